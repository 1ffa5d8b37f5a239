"""Thresholds of a group's own: only if asked for, with the reason, and all of them written down.

One score per image is compared with one threshold downstream. So the scores of each group are
moved, in order, such that its own threshold comes to lie on the common one: who is called changes,
who stands before whom within a group does not. The group of every patient is needed from then on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from equipoise.adapt.material import Rows
from equipoise.adapt.options import BY_GROUP, Options
from equipoise.adapt.outcomes import Held, Outcome
from equipoise.metrics import UNKNOWN
from equipoise.metrics.points import seal, threshold

Reals = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moved:
    """A candidate with thresholds of each group's own.

    Parameters
    ----------
    outcome
        Its scores moved, its operating points renewed.
    records
        Per fold, group and operating point: the threshold on the scores before they were moved.
    """

    outcome: Outcome
    records: list[dict[str, object]]


def by_group(rows: Rows, one: Outcome, options: Options) -> Moved:
    """Return a candidate with a threshold per group, chosen on validation by the study's rules.

    A group with too few images of either label on validation, one in which two operating points
    lie in another order than in all, and patients of unknown group keep the common thresholds; the
    records say so.

    Parameters
    ----------
    rows
        The images.
    one
        The candidate, with its scores on validation.
    options
        Operating points, and what a group needs.

    References
    ----------
    Hardt, Price & Srebro 2016, NeurIPS (thresholds by group after training).

    Examples
    --------
    >>> import polars as pl
    >>> n, label = 8, np.arange(8) % 2 == 1
    >>> ids = [str(i) for i in range(n)]
    >>> rows = Rows(ids, ids, np.zeros((n, 1)), {"x": pl.Series(label)},
    ...             np.array(["F"] * 4 + ["M"] * 4), [""] * n, np.arange(n),
    ...             np.array(["validation"] * n), np.zeros(n, int))
    >>> score = np.array([.1, .2, .1, .2, .6, .8, .6, .8], np.float32)
    >>> point = {"finding": "x", "candidate": "a", "operating_point": "youden", "fold": None,
    ...          "rule": "youden", "threshold": 0.8, "chosen_on": "validation", "digest": ""}
    >>> held = {None: Held(np.arange(n), score)}
    >>> one = Outcome("x", "a", "a", 0, "a-0", {}, {}, score, [point], None, held)
    >>> asked = Options(operating_points=({"name": "youden", "rule": "youden"},),
    ...                 selection_minimum=2)
    >>> found = by_group(rows, one, asked)
    >>> (found.outcome.scores >= np.float32(0.8)).tolist() == label.tolist()
    True
    """
    scores, points, held = one.scores.copy(), [], {}
    records: list[dict[str, object]] = []
    for fold, part in one.held.items():
        own, told = _thresholds(rows, one, fold, part, options)
        records += told
        common = _common(one, fold, options)
        scored = np.ones(len(scores), dtype=bool) if fold is None else rows.fold == fold
        score = part.score.copy()
        for group, values in own.items():
            inside, here = scored & (rows.groups == group), rows.groups[part.rows] == group
            scores[inside] = moved(one.scores[inside], values, common)
            score[here] = moved(part.score[here], values, common)
        held[fold] = Held(part.rows, score)
        points += _points(rows, one, fold, held[fold])
    name, file = f"{one.candidate}{BY_GROUP}", f"{one.candidate}{BY_GROUP}-{one.seed}"
    return Moved(
        replace(one, candidate=name, file=file, scores=scores, points=points, held=held), records
    )


def moved(score: Scores, own: Sequence[float], common: Sequence[float]) -> Scores:
    """Return scores moved, in order, so that each own threshold comes to lie on the common one.

    Parameters
    ----------
    score
        Shape ``(n,)``, in [0, 1].
    own, common
        Thresholds in the same, ascending order.

    Examples
    --------
    >>> moved(np.array([0.1, 0.2, 0.6], np.float32), [0.2], [0.5]).round(2).tolist()
    [0.25, 0.5, 0.75]
    """
    order = np.argsort(np.asarray(common), kind="stable")
    mine, theirs = (np.asarray(one, dtype=np.float64)[order] for one in (own, common))
    place = np.searchsorted(mine, score.astype(np.float64), side="right")
    from_low, from_high = _edges(mine)
    to_low, to_high = _edges(theirs)
    width = np.maximum(from_high[place] - from_low[place], np.finfo(np.float64).tiny)
    share = np.clip((score - from_low[place]) / width, 0.0, 1.0)
    found = (to_low[place] + share * (to_high[place] - to_low[place])).astype(np.float32)
    # Rounding must carry nobody over a threshold.
    below = np.nextafter(to_high[place].astype(np.float32), np.float32(-np.inf))
    capped = np.where(place < len(mine), np.minimum(found, below), found)
    return np.asarray(np.clip(capped, 0.0, 1.0), dtype=np.float32)


def _edges(thresholds: Reals) -> tuple[Reals, Reals]:
    """Return where the interval before and after each threshold begins and ends."""
    top = max(1.0, float(thresholds[-1]))
    return np.concatenate([[0.0], thresholds]), np.concatenate([thresholds, [top]])


def _common(one: Outcome, fold: int | None, options: Options) -> list[float]:
    found = {p["operating_point"]: p["threshold"] for p in one.points if p["fold"] == fold}
    return [float(str(found[point.name])) for point in options.operating_points]


def _thresholds(
    rows: Rows, one: Outcome, fold: int | None, part: Held, options: Options
) -> tuple[dict[str, list[float]], list[dict[str, object]]]:
    """Return the thresholds of each group that is large enough, and a record of every group."""
    own: dict[str, list[float]] = {}
    records: list[dict[str, object]] = []
    common = _common(one, fold, options)
    for group in sorted(set(rows.groups.tolist()) - {UNKNOWN}):
        here = rows.groups[part.rows] == group
        label, score = rows.truth(one.finding)[part.rows][here], part.score[here]
        positive, negative = int(label.sum()), int((~label).sum())
        values, chosen_on = common, "all groups: too few on validation"
        if min(positive, negative) >= max(options.selection_minimum, 1):
            values = [
                threshold(score, label, rule=point.rule, at=point.at)
                for point in options.operating_points
            ]
            why = conflict(values, common, options)
            chosen_on = "the group itself" if why is None else f"all groups: {why}"
            if why is None:
                own[group] = values
            else:
                values = common
        records += [
            {
                "finding": one.finding,
                "candidate": one.candidate,
                "seed": one.seed,
                "fold": fold,
                "group": group,
                "operating_point": point.name,
                "threshold": value,
                "common": shared,
                "n_positive": positive,
                "n_negative": negative,
                "chosen_on": chosen_on,
            }
            for point, value, shared in zip(options.operating_points, values, common, strict=True)
        ]
    return own, records


def conflict(own: Sequence[float], common: Sequence[float], options: Options) -> str | None:
    """Return why one score cannot serve a group's own thresholds and the common ones, or None.

    Examples
    --------
    >>> asked = Options(operating_points=({"name": "a", "rule": "youden"},))
    >>> conflict([0.4], [0.0], asked)
    "'a' calls every image in all groups and not in this one"
    """
    names = [point.name for point in options.operating_points]
    for name, mine, theirs in zip(names, own, common, strict=True):
        if theirs <= 0.0 < mine or mine <= 1.0 < theirs:
            whom = "every image" if theirs <= 0.0 else "no image"
            return f"'{name}' calls {whom} in all groups and not in this one"
    order = np.argsort(np.asarray(common), kind="stable")
    for first, second in pairwise(order):
        level = common[first] == common[second] and own[first] != own[second]
        if own[first] > own[second] or level:
            return (
                f"'{names[first]}' and '{names[second]}' do not lie as they do in all; ask for one "
                "operating point"
            )
    return None


def _points(rows: Rows, one: Outcome, fold: int | None, held: Held) -> list[dict[str, object]]:
    """Return the operating points, on moved scores, under the name of the new candidate."""
    truth = rows.truth(one.finding)[held.rows]
    digest = seal([rows.image_ids[i] for i in held.rows], held.score, truth)
    return [
        {**_renamed(point, one), "rule": f"{point['rule']}, in each group", "digest": digest}
        for point in one.points
        if point["fold"] == fold
    ]


def _renamed(point: Mapping[str, object], one: Outcome) -> dict[str, object]:
    name = str(point["candidate"]).replace(one.candidate, f"{one.candidate}{BY_GROUP}", 1)
    return {**point, "candidate": name}
