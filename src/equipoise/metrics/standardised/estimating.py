"""From predictions to estimates at a declared case mix, in the columns of the table *estimates*."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.arms import Arms, arms
from equipoise.metrics.definitions import Minimum
from equipoise.metrics.estimates import Plan
from equipoise.metrics.known import metric
from equipoise.metrics.numbers import lacking_of
from equipoise.metrics.samples import Population, Sample
from equipoise.metrics.standardised.answers import Asked, answer
from equipoise.metrics.standardised.mixes import Mix
from equipoise.metrics.standardised.tabling import Found, Ground, tabled, weighed
from equipoise.metrics.standardised.targets import (
    lacking_share,
    target,
    trimmed,
)

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

KINDS = ("rate", "mean", "ranking")
"""Kinds of metrics that are standardised; others are left to their crude form."""


@dataclass(frozen=True, slots=True)
class Standardised:
    """What one call estimated at a standard case mix.

    Parameters
    ----------
    estimates
        The table *estimates*, of this adjustment alone; its contrasts are a family of their own.
    weights
        A row per finding, operating point, metric and arm: `images`, `effective_n` (images),
        `effective_share`, `largest_weight` (in mean weights), `cut_share` of the mix.
    critical_groups, critical_contrasts
        Half-width of the simultaneous intervals in standard errors; None without a family.
    """

    estimates: pl.DataFrame
    weights: pl.DataFrame
    critical_groups: float | None
    critical_contrasts: float | None


def standardised(people: Population, table: pl.DataFrame, plan: Plan, mix: Mix) -> Standardised:
    """Return the estimates of all declared subgroups at one case mix, jointly.

    Within each arm an image weighs the wanted share of its stratum over the share it has there. A
    stratum of the mix in which an arm has nobody makes the arm *not assessable*, unless the mix
    is to be trimmed: then it is left out for all arms, and the share cut off is said. An arm
    that is defined by a column of the mix cannot be standardised to it.

    Parameters
    ----------
    people
        The predictions as arrays; the columns of the mix are among the attributes of the cells.
    table
        The table *subgroups* that is reported; need not restrict the columns of the mix.
    plan
        What is estimated; metrics other than rates, means and rankings are left out.
    mix
        The case mix.

    Raises
    ------
    InvalidTable
        If a column of the mix is not among the cells, or an occurring level has no share.

    References
    ----------
    Kitagawa 1955, JASA 50:1168 (direct standardisation); Glocker et al. 2023, eBioMedicine 89
    (PMC10025760: what looks like disparity may be case mix); Lohr 2022, *Sampling: Design and
    Analysis* (post-stratification); Hernán & Robins 2020, *Causal Inference: What If*
    (positivity); Zou & Donner 2008, Statistics in Medicine 27:1693 (differences).

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.samples import population
    >>> from equipoise.metrics.standardised.mixes import mix
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 40, "view": ["AP", "AP", "PA", "PA"] * 20,
    ...                      "label:x": [True] * 80, "score:x": [0.2, 0.3, 0.8, 0.9] * 20})
    >>> point = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})
    >>> cells = subgroups({"sex": ["F", "M"], "view": ["AP", "PA"]})
    >>> people = population(rows, cells, patient=None, points=point)
    >>> plan = Plan({}, ("sensitivity",), Minimum(positives=20, patients=20), "probe")
    >>> asked = mix({"view": {"AP": 0.3, "PA": 0.7}})
    >>> made = standardised(people, subgroups({"sex": ["F", "M"]}), plan, asked).estimates
    >>> made["adjustment", "value"].rows()[0]
    ('standardised to the declared mix of view', 0.7)
    """
    compared = arms(table, people.cells, plan.references, against=plan.against)
    own = _restricted(compared, mix)
    found = [
        _found(asked, compared, own, plan.minimum, people.patients)
        for asked in _questions(people, plan, mix)
    ]
    ground = Ground(table, compared, people.clustered, plan.candidate, mix.name)
    rng = np.random.default_rng(plan.seed)
    estimates, critical = tabled(ground, found, rng, draws=plan.draws)
    return Standardised(estimates, weighed(ground, found), *critical)


def _questions(people: Population, plan: Plan, mix: Mix) -> list[tuple[Asked, bool]]:
    """Return all that is asked, and whether its mix is to be trimmed."""
    metrics = [metric(name) for name in plan.metrics]
    return [
        (Asked(sample, one, point, target(mix, one, sample, people.cells)), mix.trim)
        for sample in people.samples
        for one in metrics
        if one.kind in KINDS
        for point in (sample.called if one.thresholded else [None])
    ]


def _restricted(compared: Arms, mix: Mix) -> tuple[str | None, ...]:
    """Return why arms that are defined by a column of the mix cannot be standardised to it."""
    why: list[str | None] = [None] * len(compared.names)
    for arm, subgroup in enumerate(compared.subgroups):
        mine = [column for column in mix.columns if subgroup.get(column) is not None]
        if mine:
            why[arm] = f"{compared.names[arm]} is defined by {mine[0]}, which is in the case mix"
    for contrast in compared.contrasts:
        if why[contrast.group] is not None:
            why[contrast.against] = why[contrast.against] or why[contrast.group]
    return tuple(why)


def _found(
    question: tuple[Asked, bool],
    compared: Arms,
    own: Sequence[str | None],
    minimum: Minimum,
    patients: int,
) -> Found:
    asked, trim = question
    raw = _raw(asked, compared, minimum)
    lacking = [mine or theirs for mine, theirs in zip(own, raw, strict=True)]
    counts = _counts(asked, compared)
    cut = 0.0
    if trim:
        fine = [arm for arm, why in enumerate(lacking) if why is None]
        wanted, cut = trimmed(asked.target, counts[fine])
        asked = replace(asked, target=wanted)
    short = lacking_share(asked.target, counts)
    if cut > 1.0 - 1e-9:
        nothing = "there is no stratum of the case mix in which every group has images"
        lacking = [why or nothing for why in lacking]
    lacking = [
        why or _positivity(compared.names[arm], asked, short[arm], counts[arm])
        for arm, why in enumerate(lacking)
    ]
    made = answer(asked, compared, lacking, minimum, patients=patients)
    return Found(asked, made, cut, _people(asked.sample, compared))


def _counts(asked: Asked, compared: Arms) -> Integers:
    """Return the images of each arm by class and stratum, ``(arms, classes, strata)``."""
    sample, shape = asked.sample, asked.target.share.shape
    code = asked.target.code(sample)
    row = np.flatnonzero(code >= 0)
    cells = compared.inside.shape[1]
    size = asked.target.share.size
    by_cell = np.bincount(sample.cell[row] * size + code[row], minlength=cells * size)
    counts = compared.inside.astype(np.int64) @ by_cell.reshape(cells, size)
    return np.asarray(counts.reshape(len(compared.names), *shape), dtype=np.int64)


def _positivity(name: str, asked: Asked, short: Reals, counts: Integers) -> str | None:
    """Return in words which strata of the mix an arm lacks, or None."""
    worst = int(np.argmax(short)) if short.size else 0
    if not short.size or not short[worst] > 0.0:
        return None
    share = asked.target.share[worst]
    empty = np.flatnonzero((counts[worst] == 0) & (share > 0.0))
    empty = empty[np.argsort(-share[empty], kind="stable")]
    strata = " or ".join(asked.target.names[s] for s in empty[:3])
    more = f" or {len(empty) - 3} more strata" if len(empty) > 3 else ""
    what = ("negatives", "positives")[worst] if len(short) == 2 else "images"
    return (
        f"{name} has no {what} with {strata}{more}: {short[worst]:.1%} of the case mix is lacking "
        "there"
    )


def _raw(asked: Asked, compared: Arms, minimum: Minimum) -> tuple[str | None, ...]:
    """Return why arms are not assessable by their own numbers, those of known strata."""
    sample = asked.sample
    known = asked.target.stratum[sample.cell] >= 0
    flags = [known & sample.label, known & ~sample.label, known & (asked.trial() > 0)]
    have = [_numbers(sample, flag, compared) for flag in flags]
    return lacking_of(asked.metric, compared.names, (have[0], have[1], have[2]), minimum)


def _numbers(
    sample: Sample, flag: npt.NDArray[np.bool_], compared: Arms
) -> tuple[Integers, Integers]:
    """Return flagged images and their patients, each of shape ``(arms,)``."""
    row = np.flatnonzero(flag)
    cells = compared.inside.shape[1]
    images = compared.inside.astype(np.int64) @ np.bincount(sample.cell[row], minlength=cells)
    patients = [
        len(np.unique(sample.patient[row[inside[sample.cell[row]]]])) for inside in compared.inside
    ]
    return np.asarray(images, dtype=np.int64), np.array(patients, dtype=np.int64)


def _people(sample: Sample, compared: Arms) -> dict[str, Integers]:
    everyone = np.ones(len(sample.label), dtype=bool)
    images, patients = _numbers(sample, everyone, compared)
    positive, _ = _numbers(sample, sample.label, compared)
    return {
        "n_images": images,
        "n_patients": patients,
        "n_positive": positive,
        "n_negative": images - positive,
    }
