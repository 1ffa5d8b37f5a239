"""Every way of training beside plain training, on the same patients, with one family of intervals.

The worst group and the largest contrast are extremes of several numbers, and which one is the
extreme is not known. So their limits are those of all that it may be: the intervals of groups and
gaps hold together, and a group is ruled out as the worst only where another is shown to be worse.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtr

from equipoise import adapt
from equipoise.adapt.outcomes import Outcome, outcome
from equipoise.adapt.rounds import Evaluation, decided, rounds
from equipoise.bench.arms import Arm, arms, difference
from equipoise.bench.options import Members
from equipoise.bench.runs import numbers_of
from equipoise.errors import InvalidTable
from equipoise.metrics import UNKNOWN, Answers
from equipoise.metrics.changes import Change, change_limits, changes, gap
from equipoise.metrics.simultaneous import joint
from equipoise.mitigations import MITIGATIONS
from equipoise.registry import load
from equipoise.scope import Progress, silent
from equipoise.splits import assign, patient_folds

Flags = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]
Limits = tuple[float, float]
Pair = tuple[int, int]

COMPARED = ("auroc", "sensitivity")
"""What is compared; sensitivity at the first operating point."""
_DRAWS = 20_000
_FIT = {"train": 0.75, "validation": 0.25}


@dataclass(slots=True)
class _Fits:
    """What one candidate said of all images, run by run, and why runs failed."""

    score: list[npt.NDArray[np.float32]] = field(default_factory=list)
    called: list[Flags] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sides:
    """One candidate and plain training by one metric.

    `moves` are everybody's and each group's changes, `gaps` those between two groups; `own` are
    the groups as the candidate leaves them, `plain` as plain training does.
    """

    candidate: str
    metric: str
    moves: list[Change]
    gaps: dict[Pair, Change]
    plain: list[Arm]
    own: list[Arm]
    lacking: list[str]


def members(
    images: adapt.Rows,
    options: Members | None = None,
    *,
    truth: Mapping[str, pl.Series] | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """Return by how much each candidate differs from plain training.

    Every seed draws anew which patients train and which validate, among those who are not tested;
    in a cross-fit it draws the folds anew. Plain training is drawn alike, so that runs are paired.

    Parameters
    ----------
    images
        Cohort, split and embeddings, brought together by `equipoise.adapt.rows`.
    options
        Candidates, penalties, one operating point, evaluation, seeds.
    truth
        Finding → labels ``(n,)`` to test by, null = not assessed, where they are known better
        than those that are trained on; by default these themselves.
    progress
        Told ``("fits", done, total)``.

    Returns
    -------
    A row per finding, candidate, metric (AUROC, sensitivity) and quantity: *everybody*, each
    *group*, *worst group*, *largest contrast* (between two groups). `first` is plain training,
    `difference` the candidate less it, `low` and `high` hold for all rows of a finding together,
    over patients and seeds; `status` and `reason`, where groups that are too small are named.

    Raises
    ------
    InvalidTable
        If fewer than two groups are known, `truth` does not fit, or plain training failed.
    UnknownName
        If there is no such mitigation; before anything is fitted.

    References
    ----------
    Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346 (simultaneous intervals); Obuchowski
    1997, Biometrics 53:567 (clusters); Zou & Donner 2008, Statistics in Medicine 27:1693.

    Examples
    --------
    >>> ids = [str(i) for i in range(400)]
    >>> label, rng = np.arange(400) % 2 == 1, np.random.default_rng(0)
    >>> split = np.array(["train", "test"])[np.arange(400) // 2 % 2]
    >>> images = adapt.Rows(ids, ids, rng.normal(size=(400, 2)) + label[:, None],
    ...     {"x": pl.Series(label)}, np.array(["F", "M"])[np.arange(400) // 8 % 2],
    ...     [str(one) for one in label], np.arange(400), split, np.zeros(400, dtype=int))
    >>> asked = adapt.Options(candidates=(adapt.Candidate(name="jtt", mitigation="jtt"),),
    ...     penalties=(1.0,), evaluation="split")
    >>> found = members(images, Members(adapt=asked, seeds=(0, 1)))
    >>> found.filter(metric="auroc")["quantity"].to_list()
    ['everybody', 'group', 'group', 'worst group', 'largest contrast']
    """
    chosen = options or Members()
    known = sorted(set(images.groups.tolist()) - {UNKNOWN})
    if len(known) < 2:
        raise InvalidTable(
            f"cohort: the groups are {', '.join(known) or 'all unknown'}; expected two or more "
            "that are known"
        )
    known_better = images.labels if truth is None else truth
    by = {name: known_better.get(name) for name in images.labels}
    labels = {name: _checked(name, by[name], len(images.image_ids)) for name in by}
    evaluation, _ = decided(images, chosen.adapt)
    everyone = np.ones(len(images.image_ids), dtype=bool)
    tested = images.split == "test" if evaluation == "split" else everyone
    if not tested.any():
        raise InvalidTable("splits: no image is in the test split; expected some to test on")
    told = _fitted(images, chosen, evaluation, progress)
    rows: list[dict[str, object]] = []
    for finding, label in labels.items():
        one = dataclasses.replace(images, labels={finding: label})
        own = {name: fits for (about, name), fits in told.items() if about == finding}
        rows += _finding(one, finding, tested, own, chosen)
    return pl.DataFrame(rows, infer_schema_length=None)


def _checked(finding: str, labels: pl.Series | None, n: int) -> pl.Series:
    if labels is None:
        raise InvalidTable(f"truth: no labels of finding '{finding}'; expected those of all")
    if labels.dtype != pl.Boolean or len(labels) != n:
        raise InvalidTable(
            f"truth: finding '{finding}' has {len(labels)} labels of type {labels.dtype}; "
            f"expected {n} of type Boolean"
        )
    return labels


def _fitted(
    images: adapt.Rows, options: Members, evaluation: Evaluation, progress: Progress
) -> dict[tuple[str, str], _Fits]:
    """Return what every candidate said of every finding."""
    asked = options.adapt
    for candidate in asked.compared():
        load(candidate.mitigation, MITIGATIONS, kind="mitigation")
    if not asked.operating_points:
        raise InvalidTable("adapt: no operating point; expected one to compare sensitivities at")
    told: dict[tuple[str, str], _Fits] = {}
    work = [(seed, one) for seed in options.seeds for one in asked.compared()]
    for done, (seed, candidate) in enumerate(work):
        progress("fits", done, len(work))
        drawn = _drawn(images, evaluation, seed)
        parts = rounds(drawn, evaluation, seed=seed, inner=asked.inner_validation)
        for finding in images.labels:
            fits = told.setdefault((finding, candidate.name), _Fits())
            _add(fits, outcome(drawn, finding, candidate, parts, asked, seed=seed), drawn.fold)
    progress("fits", len(work), len(work))
    return told


def _drawn(images: adapt.Rows, evaluation: Evaluation, seed: int) -> adapt.Rows:
    """Return the images with the patients of training and validation, or the folds, drawn anew."""
    if evaluation == "cross-fit":
        n = len(np.unique(images.fold))
        folds = patient_folds(images.patient_ids, images.strata, n=n, seed=seed)
        return dataclasses.replace(images, fold=np.asarray(folds, dtype=np.int64))
    outside = np.flatnonzero(images.split != "test")
    part = assign(
        [images.patient_ids[i] for i in outside],
        [images.strata[i] for i in outside],
        shares=_FIT,
        seed=seed,
    )
    split = images.split.astype("<U10")
    split[outside] = part
    return dataclasses.replace(images, split=split)


def _add(fits: _Fits, one: Outcome, folds: npt.NDArray[np.int64]) -> None:
    if one.reason is not None:
        fits.failed.append(f"seed {one.seed}: {one.reason}")
        return
    first = one.points[0]["operating_point"]
    cut = np.full(len(folds), np.nan)
    for point in one.points:
        if point["operating_point"] == first:
            inside = slice(None) if point["fold"] is None else folds == point["fold"]
            cut[inside] = float(str(point["threshold"]))
    fits.score.append(one.scores)
    fits.called.append(one.scores >= cut)


def _finding(
    images: adapt.Rows,
    finding: str,
    tested: Flags,
    told: Mapping[str, _Fits],
    options: Members,
) -> Iterator[dict[str, object]]:
    """Yield all rows of one finding: one family."""
    name, *others = [one.name for one in options.adapt.compared()]
    reference = told[name]
    if reference.failed:
        raise InvalidTable(f"finding '{finding}': plain training failed; {reference.failed[0]}")
    known = sorted(set(images.groups.tolist()) - {UNKNOWN})
    sides = {
        (candidate, metric): _sides(images, finding, tested, (candidate, metric), told, options)
        for candidate in others
        for metric in COMPARED
        if not told[candidate].failed
    }
    z = _critical(list(sides.values()), options.level)
    for candidate in others:
        for metric in COMPARED:
            about = {
                "finding": finding,
                "candidate": candidate,
                "metric": metric,
                "runs": len(options.seeds) - len(told[candidate].failed),
                "failed": len(told[candidate].failed),
                "critical": None if np.isnan(z) else z,
            }
            side = sides.get((candidate, metric))
            if side is None:
                why = "; ".join(told[candidate].failed)
                yield {**about, "quantity": "everybody", "status": "failed", "reason": why}
                continue
            for row in _rows(side, known, z):
                yield {**about, **row}


def _sides(
    images: adapt.Rows,
    finding: str,
    tested: Flags,
    which: tuple[str, str],
    told: Mapping[str, _Fits],
    options: Members,
) -> _Sides:
    candidate, metric = which
    inside = images.assessed(finding, tested)
    label = images.truth(finding)[inside]
    patient = np.unique(images.patients[inside], return_inverse=True)[1].astype(np.int64)
    known = sorted(set(images.groups.tolist()) - {UNKNOWN})
    masks = [images.groups[inside] == name for name in known]
    plain, own = (
        Answers(np.stack(fits.score)[:, inside], np.stack(fits.called)[:, inside])
        for fits in (told[options.adapt.compared()[0].name], told[candidate])
    )
    everybody = np.ones(len(label), dtype=bool)
    least = options.minimum
    groups = [everybody, *masks]
    moves = changes(
        metric, (plain, own), label=label, patient=patient, groups=groups, minimum=least
    )
    there = [place for place, one in enumerate(moves[1:]) if one.lacking is None]
    gaps = {(i, j): gap(moves[i + 1], moves[j + 1]) for i, j in combinations(there, 2)}
    both = [
        arms(metric, one, label=label, patient=patient, groups=masks, minimum=least)
        for one in (plain, own)
    ]
    lacking = [
        f"{name}: {one.lacking}"
        for name, one in zip(known, moves[1:], strict=True)
        if one.lacking is not None
    ]
    return _Sides(candidate, metric, moves, gaps, both[0], both[1], lacking)


def _critical(sides: Sequence[_Sides], level: float) -> float:
    """Return the half-width, in standard errors, at which all intervals hold together."""
    family: list[Reals] = []
    for side in sides:
        family += [one.influence for one in (*side.moves, *side.gaps.values()) if not one.lacking]
        for i, j in side.gaps:
            family += [of[i].totals - of[j].totals for of in (side.plain, side.own)]
    if not family:
        return float("nan")
    stacked = np.stack(family)  # (family, patient)
    found = joint([stacked @ stacked.T], level, np.random.default_rng(0), n=_DRAWS)
    return float("nan") if found.critical is None else found.critical


def _rows(side: _Sides, known: Sequence[str], z: float) -> Iterator[dict[str, object]]:
    everybody = side.moves[0]
    yield _row(
        "everybody",
        None,
        everybody,
        (everybody.first, everybody.second),
        change_limits(everybody, z),
    )
    for name, one in zip(known, side.moves[1:], strict=True):
        yield _row("group", name, one, (one.first, one.second), change_limits(one, z))
    for quantity, extreme in (("worst group", _worst), ("largest contrast", _largest)):
        if not side.gaps:
            why = f"fewer than two groups have a number; {'; '.join(side.lacking)}"
            none = dataclasses.replace(everybody, lacking=why)
            yield _row(quantity, None, none, (0.0, 0.0), (0.0, 0.0))
            continue
        values, limits = extreme(side, z)
        row = _row(quantity, None, everybody, values, limits)
        yield {**row, "reason": "; ".join(f"without {one}" for one in side.lacking) or None}


def _row(
    quantity: str, group: str | None, about: Change, values: tuple[float, float], limits: Limits
) -> dict[str, object]:
    fine = about.lacking is None
    return {
        "quantity": quantity,
        "group": group,
        "first": values[0] if fine else None,
        "second": values[1] if fine else None,
        "difference": values[1] - values[0] if fine else None,
        "low": max(limits[0], -1.0) if fine else None,
        "high": min(limits[1], 1.0) if fine else None,
        **numbers_of(about.numbers),
        "status": "assessed" if fine else "not assessable",
        "reason": about.lacking,
    }


def _worst(side: _Sides, z: float) -> tuple[tuple[float, float], Limits]:
    """Return the worst group's value under both, and the limits of the difference.

    The worst afterwards is no better than the one that was worst before is then, and it was no
    worse before than the worst: the difference lies between the changes of these two.
    """
    there = sorted({place for pair in side.gaps for place in pair})
    limits = {place: change_limits(side.moves[place + 1], z) for place in there}
    worst = [
        [i for i in there if not any(_apart(of, j, i, z)[1] < 0 for j in there if j != i)]
        for of in (side.plain, side.own)
    ]
    low = min(limits[i][0] for i in worst[1])
    high = max(limits[i][1] for i in worst[0])
    first, second = (min(of[i].value for i in there) for of in (side.plain, side.own))
    return (first, second), (low, high)


def _largest(side: _Sides, z: float) -> tuple[tuple[float, float], Limits]:
    """Return the largest contrast under both, and the limits of the difference, likewise."""
    limits: dict[Pair, Limits] = {}
    for (i, j), change in side.gaps.items():
        low, high = change_limits(change, z)
        limits[i, j], limits[j, i] = (low, high), (-high, -low)
    largest = [
        [pair for pair in limits if not _apart(of, *pair, z)[1] < 0]
        for of in (side.plain, side.own)
    ]
    low = min(limits[pair][0] for pair in largest[0])
    high = max(limits[pair][1] for pair in largest[1])
    first, second = (
        max(of[i].value - of[j].value for i, j in limits) for of in (side.plain, side.own)
    )
    return (first, second), (low, high)


def _apart(of: Sequence[Arm], i: int, j: int, z: float) -> Limits:
    return difference(of[i], of[j], 2.0 * float(ndtr(z)) - 1.0)
