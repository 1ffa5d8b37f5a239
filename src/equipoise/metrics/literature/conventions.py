"""From labels, scores and groups to the groups' values, by the conventions of published code.

Two of them move numbers: whether an image that lies on the threshold is called positive, and over
which range a calibration error is binned. Here a group in which a value is undefined has None.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable, UnknownName, nearest
from equipoise.metrics.composites import RATES, rate
from equipoise.metrics.functionals.losses import brier, log_loss
from equipoise.metrics.functionals.ranking import auroc
from equipoise.metrics.functionals.reliability import ece_data_range, ece_equal_width
from equipoise.metrics.literature.given import Flags, coded, flags, labelled, reaching, stored
from equipoise.metrics.literature.published import Reals

_TINY_FAIRMEDFM = 1e-8
_FLOOR_FAIRMEDFM = -100.0


def called_fairlearn(score: npt.ArrayLike, *, threshold: float) -> Flags:
    """Return who is called positive if the score *reaches* the threshold.

    Fairlearn takes calls, not scores; this is how its examples, FairCLIP and FairVision make them,
    and how the rest of this package does.

    Examples
    --------
    >>> called_fairlearn([0.4, 0.5, 0.6], threshold=0.5).tolist()
    [False, True, True]
    """
    scores = stored(score)
    return np.asarray(scores >= scores.dtype.type(threshold), dtype=np.bool_)


def called_fairmedfm(score: npt.ArrayLike, *, threshold: float) -> Flags:
    """Return who is called positive if the score *exceeds* the threshold.

    So FairMedFM, and MEDFAIR in *DP*, *EqOpp* and *EqOdd*; in the rates of groups that it prints
    beside them MEDFAIR calls what reaches the threshold.

    Examples
    --------
    >>> called_fairmedfm([0.4, 0.5, 0.6], threshold=0.5).tolist()
    [False, False, True]
    """
    scores = stored(score)
    return np.asarray(scores > scores.dtype.type(threshold), dtype=np.bool_)


def best_f1_threshold_fairmedfm(label: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return the score at which F1 is best, as fairmedfm finds it.

    Found with images on the threshold called positive and, in FairMedFM, applied with them called
    negative; and found on the images that are audited, which makes a model look better than it is.
    For comparison with published values only: `audit.estimates` refuses to do so. Of thresholds
    of equal F1 it is that of the largest precision + recall, because a tiny number is added to
    their sum, then the lowest.

    Parameters
    ----------
    label
        Shape ``(n,)``, 0 or 1, with a positive.
    score
        Shape ``(n,)``.

    Raises
    ------
    InvalidTable
        If there is no positive, or a label or score cannot be.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks; fairmedfm 0.4.2.

    Examples
    --------
    >>> best_f1_threshold_fairmedfm([0, 1, 0, 1], [0.1, 0.5, 0.6, 0.9])
    0.5
    """
    truth, scores = labelled(label, score)
    if not truth.any():
        raise InvalidTable("label: no positive; F1 needs one")
    levels = np.unique(scores)
    found = reaching(scores[truth], levels)
    precision = found / reaching(scores, levels)
    recall = found / truth.sum()
    f1 = 2 * precision * recall / (precision + recall + _TINY_FAIRMEDFM)
    return float(levels[np.argmax(f1)])


def rates(
    label: npt.ArrayLike, called: npt.ArrayLike, group: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return all rates at an operating point, of each group.

    Parameters
    ----------
    label, called
        Shape ``(n,)``, 0 or 1.
    group
        Shape ``(n,)``.

    Returns
    -------
    Name of the rate, as in `metrics.names`, → group → value; None where there is nothing to divide
    by, where Fairlearn gives 0.

    Raises
    ------
    InvalidTable
        If a label cannot be, or the lengths differ.

    Examples
    --------
    >>> found = rates([1, 0, 1, 0, 0], [1, 1, 0, 0, 0], ["A", "A", "B", "B", "C"])
    >>> found["sensitivity"], found["false_positive_rate"]
    ({'A': 1.0, 'B': 0.0, 'C': None}, {'A': 1.0, 'B': 0.0, 'C': 0.0})
    """
    truth, calls = flags(label, "label"), flags(called, "called")
    names, code = coded(group, len(truth), len(calls))
    cells = np.zeros((4, len(names)))
    for place, chosen in enumerate(
        (truth & calls, ~truth & calls, ~truth & ~calls, truth & ~calls)
    ):
        cells[place] = np.bincount(code[chosen], minlength=len(names))
    return {name: _told(names, rate(cells, name=name)[0]) for name in RATES}


def scored(
    label: npt.ArrayLike, score: npt.ArrayLike, group: Sequence[str], *, metric: str
) -> dict[str, float | None]:
    """Return a metric of the scores, of each group.

    Parameters
    ----------
    label, score, group
        Shape ``(n,)``; scores in [0, 1].
    metric
        *auroc*, *brier*, *log_loss*; *cross_entropy_fairmedfm*, whose logarithms are kept above
        -100; *ece_equal_width* (15 bins on [0, 1], Guo et al. 2017) or *ece_data_range* (10 bins on
        the group's own range of scores, as MEDFAIR and FairMedFM have it).

    Raises
    ------
    UnknownName
        If there is no such metric.
    InvalidTable
        If a label or score cannot be, or the lengths differ.

    Examples
    --------
    >>> scored([1, 0, 1, 0, 0], [0.9, 0.1, 0.4, 0.6, 0.2], list("AABBC"), metric="auroc")
    {'A': 1.0, 'B': 0.0, 'C': None}
    """
    if metric not in _SCORED:
        raise UnknownName(
            f"no metric '{metric}' of scores; known: {', '.join(_SCORED)}",
            hint=nearest(metric, _SCORED),
        )
    truth, scores = labelled(label, score)
    names, code = coded(group, len(truth), len(scores))
    if len(scores) and (scores.min() < 0.0 or scores.max() > 1.0):
        raise InvalidTable(
            f"score: from {scores.min():g} to {scores.max():g}; expected numbers from 0 to 1"
        )
    levels, level = np.unique(scores, return_inverse=True)
    counts = np.zeros((2, len(names), len(levels)))
    np.add.at(counts, (truth.astype(np.int64), code, level), 1.0)
    return _told(names, _SCORED[metric](counts[0], counts[1], levels))


def _cross_entropy_fairmedfm(negative: Reals, positive: Reals, score: Reals) -> Reals:
    with np.errstate(divide="ignore"):
        hit, miss = (np.maximum(np.log(part), _FLOOR_FAIRMEDFM) for part in (score, 1.0 - score))
    total = positive @ hit + negative @ miss
    return np.asarray(-total / (negative + positive).sum(axis=1), dtype=np.float64)


_SCORED: Mapping[str, Callable[[Reals, Reals, Reals], Reals]] = {
    "auroc": lambda *counts: auroc(*counts)[0],
    "brier": lambda *counts: brier(*counts)[0],
    "cross_entropy_fairmedfm": _cross_entropy_fairmedfm,
    "ece_data_range": lambda *counts: ece_data_range(*counts)[0],
    "ece_equal_width": lambda *counts: ece_equal_width(*counts)[0],
    "log_loss": lambda *counts: log_loss(*counts)[0],
}


def _told(names: Sequence[str], values: Reals) -> dict[str, float | None]:
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(names, values, strict=True)
    }
