"""From predictions to the table *estimates*: every subgroup, contrast and interval of one call."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.arms import arms
from equipoise.metrics.counts import count
from equipoise.metrics.definitions import Minimum, metric
from equipoise.metrics.groups import levels_of
from equipoise.metrics.intervals import quantile
from equipoise.metrics.limits import arm_limits, contrast_limits
from equipoise.metrics.moments import Moments, moments
from equipoise.metrics.numbers import Numbers, Question, numbers, questions
from equipoise.metrics.ranges import range_row, ranges
from equipoise.metrics.rows import (
    Kind,
    Sheet,
    contrast_rows,
    group_rows,
    ordered_columns,
    with_methods,
)
from equipoise.metrics.samples import Population
from equipoise.metrics.simultaneous import joint
from equipoise.tables import ESTIMATES, check

Reals = npt.NDArray[np.float64]

LEVEL = 0.95
POINTWISE = (0.95, 0.90)
"""Levels of the pointwise intervals: the second is what equivalence is judged by."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call estimates; all of its contrasts are one family.

    Parameters
    ----------
    references
        Attribute → the level with which the others are compared; without one, the rest.
    metrics
        Names of metrics.
    minimum
        What an arm must have.
    candidate
        Whose scores they are.
    seed
        Of the joint draws behind the simultaneous intervals.
    draws
        How many.
    """

    references: Mapping[str, str]
    metrics: tuple[str, ...]
    minimum: Minimum
    candidate: str
    seed: int = 0
    draws: int = 20_000


@dataclass(frozen=True, slots=True)
class Estimated:
    """What one call estimated.

    Parameters
    ----------
    estimates, counts
        The tables of these names.
    critical_groups, critical_contrasts
        Half-width of the simultaneous intervals, in standard errors; None without a family.
    family_groups, family_contrasts
        How many estimates share each simultaneous statement.
    unscored
        Finding → images with a label and no score, which were left out.
    """

    estimates: pl.DataFrame
    counts: pl.DataFrame
    critical_groups: float | None
    critical_contrasts: float | None
    family_groups: int
    family_contrasts: int
    unscored: Mapping[str, int]


def estimate(people: Population, table: pl.DataFrame, plan: Plan) -> Estimated:
    """Return all estimates of all declared subgroups, jointly.

    Parameters
    ----------
    people
        The predictions as arrays.
    table
        The table *subgroups*.
    plan
        What is estimated.

    References
    ----------
    AUROC: DeLong et al. 1988, Obuchowski 1997. Rates: Wilson 1927 at the effective number of
    trials of Korn & Graubard 1998. Differences: Zou & Donner 2008. Simultaneous: the quantile
    of the largest of all contrasts under their joint normal distribution, Hothorn et al. 2008.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 4, "label:x": [True, True, False, False] * 2,
    ...                      "score:x": [0.8, 0.9, 0.2, 0.3, 0.7, 0.6, 0.1, 0.65]})
    >>> plan = Plan({}, ("auroc",), Minimum(positives=2, negatives=2, patients=2), "probe")
    >>> made = estimate(population(rows, table, patient=None), table, plan).estimates
    >>> made.filter(pl.col("contrast").is_null(), level=0.9)["sex", "value"].rows()
    [(None, 0.9375), ('F', 1.0), ('M', 0.75)]
    """
    compared = arms(table, people.cells, plan.references)
    asked = questions(people.samples, [metric(name) for name in plan.metrics])
    found = [numbers(question, compared, plan.minimum) for question in asked]
    second = moments(asked, found, compared, patients=people.patients)
    counts = count(people, table, candidate=plan.candidate)
    sheet = Sheet(tuple(levels_of(table)), counts, compared, people.clustered)
    unscored = {sample.finding: sample.unscored for sample in people.samples}
    return answered((asked, found), second, sheet, plan, unscored=unscored)


def answered(
    counted: tuple[list[Question], list[Numbers]],
    second: Moments,
    sheet: Sheet,
    plan: Plan,
    *,
    unscored: Mapping[str, int],
) -> Estimated:
    """Return all estimates from what was counted: no image and no patient is looked at.

    Parameters
    ----------
    counted
        The questions and the answers to them.
    second
        Second moments of the influence values.
    sheet
        The table *counts*, the arms and contrasts.
    plan
        What is estimated.
    unscored
        Finding → images with a label and no score.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.samples import population
    >>> table, plan = subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe")
    >>> rows = pl.DataFrame({"sex": ["F"], "label:x": [True], "score:x": [0.8]})
    >>> people = population(rows, table, patient=None)
    >>> compared = arms(table, people.cells, {})
    >>> asked = questions(people.samples, [metric("auroc")])
    >>> found = [numbers(question, compared, plan.minimum) for question in asked]
    >>> second = moments(asked, found, compared, patients=1)
    >>> sheet = Sheet(("sex",), count(people, table, candidate="probe"), compared, False)
    >>> answered((asked, found), second, sheet, plan, unscored={}).family_groups
    0
    """
    asked, found = counted
    spans = ranges(sheet.compared, second.values, len(asked))
    rng = np.random.default_rng(plan.seed)
    sets = [span.members for span in spans if span.several]
    groups = joint(second.joint_values, LEVEL, rng, n=plan.draws, sets=sets)
    contrasts = joint(second.joint_differences, LEVEL, rng, n=plan.draws)
    critical = groups.critical, contrasts.critical
    frames = [
        frame
        for position, (question, answer) in enumerate(zip(asked, found, strict=True))
        for frame in _frames(sheet, question, answer, (second, position), critical)
    ]
    by_chance = iter(groups.ranges)
    for span in spans:
        chance = next(by_chance) if span.several else None
        values = found[span.question].value[second.values.member[span.members]]
        frames.append(range_row(sheet, asked[span.question], span, values=values, chance=chance))
    rows = pl.concat([ordered_columns(frame, sheet.attributes) for frame in frames])
    return Estimated(
        estimates=check(rows, ESTIMATES),
        counts=sheet.counts,
        critical_groups=groups.critical,
        critical_contrasts=contrasts.critical,
        family_groups=len(second.values.question),
        family_contrasts=len(second.differences.question),
        unscored=unscored,
    )


def _frames(
    sheet: Sheet,
    question: Question,
    found: Numbers,
    where: tuple[Moments, int],
    critical: tuple[float | None, float | None],
) -> Iterator[pl.DataFrame]:
    """Yield the rows of one question: pointwise at each level, and simultaneous."""
    second, position = where
    variance, fourth = second.variance[position], second.fourth[position]
    kinds = [(Kind("pointwise", level), quantile(level), quantile(level)) for level in POINTWISE]
    # Without a family nothing is assessable, and any z gives the same empty limits.
    simultaneous = Kind("simultaneous", LEVEL), critical[0] or 1.0, critical[1] or 1.0
    for kind, z_group, z_contrast in [*kinds, simultaneous]:
        limits = arm_limits(found, variance, fourth, z=z_group)
        rows = group_rows(sheet, question, found, limits, kind)
        yield with_methods(rows, sheet, question, found, variance)
        limits = arm_limits(found, variance, fourth, z=z_contrast)
        three = contrast_limits(
            found, variance, second.covariance[position], sheet.compared, limits
        )
        rows = contrast_rows(sheet, question, found, three, kind)
        yield with_methods(rows, sheet, question, found, variance)
