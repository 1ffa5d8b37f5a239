"""The label-fraction curve: what fewer labels do to each group, and to the gaps between them.

Every seed puts the patients of training and validation in an order in which strata alternate; a
fraction is a beginning of it, so that a smaller fraction's patients are among a larger one's. The
test split stays whole: all fractions answer for the same patients.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import adapt
from equipoise.adapt.comparison import check_asked
from equipoise.adapt.rounds import Evaluation, decided
from equipoise.bench.arms import Arm, arms, difference, limits
from equipoise.bench.options import Labels
from equipoise.bench.runs import (
    Pair,
    Said,
    add_run,
    asked,
    check_fitted,
    numbers_of,
    pairs,
    redrawn,
    unlabelled,
)
from equipoise.errors import InvalidTable
from equipoise.metrics.changes import change_limits, changes, gap
from equipoise.metrics.intervals import quantile
from equipoise.scope import Progress, silent

Flags = npt.NDArray[np.bool_]
_Told = Mapping[tuple[str, str], Said]


def label_curve(
    images: adapt.Rows, options: Labels | None = None, *, progress: Progress = silent
) -> pl.DataFrame:
    """Return what each candidate reaches in each group with a share of the labels.

    Parameters
    ----------
    images
        Cohort, split and embeddings, brought together by `equipoise.adapt.rows`.
    options
        Fractions, seeds, candidates.
    progress
        Told ``("runs", done, total)``.

    Returns
    -------
    A row per finding, candidate, metric, operating point, group or contrast (`against`), and
    fraction: `value` with `low` and `high` over patients and seeds; `change` from the largest
    fraction on the same patients, paired, with limits; `labelled_patients` whose labels were used
    (mean over seeds); `runs` and how many `failed`; `status` and `reason`.

    Raises
    ------
    InvalidTable
        If the test split is empty, or no run could be fitted.
    UnknownName
        If there is no such reference.

    Examples
    --------
    >>> ids = [str(i) for i in range(400)]
    >>> label, rng = np.arange(400) % 2 == 1, np.random.default_rng(0)
    >>> split = np.array(["train", "validation", "test", "test"])[np.arange(400) // 2 % 4]
    >>> images = adapt.Rows(ids, ids, rng.normal(size=(400, 2)) + label[:, None],
    ...     {"x": pl.Series(label)}, np.array(["F", "M"])[np.arange(400) // 8 % 2],
    ...     [str(one) for one in label], np.arange(400), split, np.zeros(400, dtype=int))
    >>> plain = adapt.Options(candidates=(), penalties=(1.0,))
    >>> found = label_curve(images, Labels(adapt=plain, fractions=(0.5, 1.0), seeds=(0,)))
    >>> found.filter(metric="auroc", group="F", against="rest")["labelled_patients"].to_list()
    [100.0, 200.0]
    """
    chosen = options or Labels()
    check_asked(images, chosen.adapt)
    evaluation, _ = decided(images, chosen.adapt)
    everyone = np.ones(len(images.image_ids), dtype=bool)
    tested = images.split == "test" if evaluation == "split" else everyone
    if not tested.any():
        raise InvalidTable("splits: no image is in the test split; expected some to test on")
    pairs(images.groups, chosen.reference)
    fractions = sorted(chosen.fractions)
    told: dict[float, dict[tuple[str, str], Said]] = {share: {} for share in fractions}
    labelled: dict[float, list[float]] = {share: [] for share in fractions}
    work = [(seed, share) for seed in chosen.seeds for share in fractions]
    for done, (seed, share) in enumerate(work):
        progress("runs", done, len(work))
        drawn = redrawn(images, evaluation, seed)
        # In a cross-fit everybody is tested, and labels are those outside the fold that is scored.
        outside = ~tested if evaluation == "split" else tested
        kept = _kept(drawn, outside, share, seed)
        without = ~kept & outside
        labelled[share].append(_used(drawn, kept, evaluation))
        add_run(told[share], unlabelled(drawn, without), chosen.adapt, evaluation, seed=seed)
    progress("runs", len(work), len(work))
    check_fitted(said for by_candidate in told.values() for said in by_candidate.values())
    rows: list[dict[str, object]] = []
    for finding, candidate in told[fractions[-1]]:
        by_share = {share: told[share][finding, candidate] for share in fractions}
        for metric, point in asked(chosen.adapt):
            about = {
                "finding": finding,
                "candidate": candidate,
                "metric": metric,
                "operating_point": point,
            }
            for row in _curve(images, tested, about, by_share, chosen):
                mean = float(np.mean(labelled[float(str(row["fraction"]))]))
                rows.append({**about, **row, "labelled_patients": mean})
    return pl.DataFrame(rows, infer_schema_length=None)


def _used(images: adapt.Rows, kept: Flags, evaluation: Evaluation) -> float:
    """Return how many patients' labels a probe rests on, in a cross-fit the mean over folds."""
    if evaluation == "split":
        return float(len(np.unique(images.patients[kept])))
    folds = np.unique(images.fold)
    return float(
        np.mean([len(np.unique(images.patients[kept & (images.fold != f)])) for f in folds])
    )


def _kept(images: adapt.Rows, outside: Flags, share: float, seed: int) -> Flags:
    """Return which images are of the patients whose labels are used, alike in every stratum.

    Each stratum's patients lie evenly between 0 and 1, from a place that is drawn, and the lowest
    of all are kept. One of every stratum would be far more than the share where strata are many,
    as with a dozen findings.
    """
    development = np.flatnonzero(outside)
    people, first = np.unique(images.patients[development], return_index=True)
    strata = np.array([images.strata[i] for i in development[first]])
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(people))
    place = np.zeros(len(people))
    for stratum in np.unique(strata):
        inside = order[strata[order] == stratum]
        place[inside] = (np.arange(len(inside)) + rng.random()) / len(inside)
    n = max(1, round(share * len(people)))
    return np.isin(images.patients, people[np.argsort(place, kind="stable")[:n]])


def _curve(
    images: adapt.Rows,
    tested: Flags,
    about: Mapping[str, str | None],
    by_share: Mapping[float, Said],
    options: Labels,
) -> Iterator[dict[str, object]]:
    """Yield a row per group or contrast and fraction, of one candidate and metric."""
    finding = str(about["finding"])
    inside = images.assessed(finding, tested)
    found, masks = pairs(images.groups, options.reference)
    patient = np.unique(images.patients[inside], return_inverse=True)[1].astype(np.int64)
    label = images.truth(finding)[inside]
    own = [mask[inside] for mask in masks]
    metric, point = str(about["metric"]), about["operating_point"]
    least = options.minimum
    full = by_share[max(by_share)]
    for share, said in by_share.items():
        if not said.scores:
            yield from (_failed(share, pair, said) for pair in found)
            continue
        answers = said.answers(point, inside)
        reached = arms(metric, answers, label=label, patient=patient, groups=own, minimum=least)
        moved: list[tuple[float, float, float] | None] = [None] * len(found)
        # Runs are paired by seed: with a failure they would not be the same ones.
        if said is not full and not said.failed and not full.failed:
            both = full.answers(point, inside), answers
            moves = changes(metric, both, label=label, patient=patient, groups=own, minimum=least)
            z = quantile(options.level)
            each = [
                moves[p.place] if p.other is None else gap(moves[p.place], moves[p.other])
                for p in found
            ]
            moved = [
                None if one.lacking else (one.difference, *change_limits(one, z)) for one in each
            ]
        for pair, move in zip(found, moved, strict=True):
            yield _row(share, pair, reached, said, (move, options.level))


def _row(
    share: float,
    pair: Pair,
    reached: Sequence[Arm],
    said: Said,
    about: tuple[tuple[float, float, float] | None, float],
) -> dict[str, object]:
    move, level = about
    arm = reached[pair.place]
    other = None if pair.other is None else reached[pair.other]
    lacking = arm.lacking or (other.lacking if other is not None else None)
    low, high = limits(arm, level) if other is None else difference(arm, other, level)
    value = arm.value if other is None else arm.value - other.value
    fine = lacking is None
    return {
        **_about(share, pair, said),
        "value": value if fine else None,
        "low": low if fine else None,
        "high": high if fine else None,
        "change": move[0] if move else None,
        "change_low": move[1] if move else None,
        "change_high": move[2] if move else None,
        **numbers_of(arm.numbers),
        "status": "assessed" if fine else "not assessable",
        "reason": lacking or "; ".join(said.failed) or None,
    }


def _failed(share: float, pair: Pair, said: Said) -> dict[str, object]:
    nothing = ("value", "low", "high", "change", "change_low", "change_high")
    return {
        **_about(share, pair, said),
        **dict.fromkeys(nothing),
        **dict.fromkeys(numbers_of((0, 0, 0, 0))),
        "status": "failed",
        "reason": "; ".join(said.failed),
    }


def _about(share: float, pair: Pair, said: Said) -> dict[str, object]:
    return {
        "group": pair.group,
        "against": pair.against,
        "fraction": share,
        "runs": len(said.scores),
        "failed": len(said.failed),
    }
