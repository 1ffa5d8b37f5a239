"""From labels, scores and groups to the groups' values, by the conventions of published code.

Two of them move numbers: whether an image that lies on the threshold is called positive, and over
which range a calibration error is binned. Here a group in which a value is undefined has None.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidConfiguration, InvalidTable, UnknownName, nearest
from equipoise.metrics.composites import RATES, rate
from equipoise.metrics.functionals.losses import brier, log_loss
from equipoise.metrics.functionals.ranking import auroc
from equipoise.metrics.functionals.reliability import ece_data_range, ece_equal_width
from equipoise.metrics.literature.published import Reals

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_TINY_FAIRMEDFM = 1e-8
_FLOOR_FAIRMEDFM = -100.0
_SNAP = 1e-9
"""How near a share must be to the one that is asked for, to be it."""


def called_fairlearn(score: npt.ArrayLike, *, threshold: float) -> Flags:
    """Return who is called positive if the score *reaches* the threshold.

    Fairlearn takes calls, not scores; this is how its examples, FairCLIP and FairVision make them,
    and how the rest of this package does.

    Examples
    --------
    >>> called_fairlearn([0.4, 0.5, 0.6], threshold=0.5).tolist()
    [False, True, True]
    """
    stored = _stored(score)
    return np.asarray(stored >= stored.dtype.type(threshold), dtype=np.bool_)


def called_fairmedfm(score: npt.ArrayLike, *, threshold: float) -> Flags:
    """Return who is called positive if the score *exceeds* the threshold.

    So FairMedFM, and MEDFAIR in *DP*, *EqOpp* and *EqOdd*; in the rates of groups that it prints
    beside them MEDFAIR calls what reaches the threshold.

    Examples
    --------
    >>> called_fairmedfm([0.4, 0.5, 0.6], threshold=0.5).tolist()
    [False, False, True]
    """
    stored = _stored(score)
    return np.asarray(stored > stored.dtype.type(threshold), dtype=np.bool_)


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
    truth, scores = _labelled(label, score)
    if not truth.any():
        raise InvalidTable("label: no positive; F1 needs one")
    levels = np.unique(scores)
    found = _at_or_above(scores[truth], levels)
    precision = found / _at_or_above(scores, levels)
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
    truth, calls = _flags(label, "label"), _flags(called, "called")
    names, code = _groups(group, len(truth), len(calls))
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
    truth, scores = _labelled(label, score)
    names, code = _groups(group, len(truth), len(scores))
    if len(scores) and (scores.min() < 0.0 or scores.max() > 1.0):
        raise InvalidTable(
            f"score: from {scores.min():g} to {scores.max():g}; expected numbers from 0 to 1"
        )
    levels, level = np.unique(scores, return_inverse=True)
    counts = np.zeros((2, len(names), len(levels)))
    np.add.at(counts, (truth.astype(np.int64), code, level), 1.0)
    return _told(names, _SCORED[metric](counts[0], counts[1], levels))


def sensitivity_at_specificity(
    label: npt.ArrayLike, score: npt.ArrayLike, *, specificity: float
) -> float | None:
    """Return the highest sensitivity that a threshold reaches at no less than a specificity.

    It is attained by a threshold: nothing is interpolated, so it can be had in practice. It is the
    sensitivity at the operating point ``specificity=0.9`` of this package if that were chosen on
    the same images, and so looks better than on other images, most of all in small groups.

    Parameters
    ----------
    label
        Shape ``(n,)``, 0 or 1.
    score
        Shape ``(n,)``; positive where it reaches the threshold.
    specificity
        The least there must be, in [0, 1].

    Returns
    -------
    None where a class is absent.

    Raises
    ------
    InvalidTable, InvalidConfiguration
        If a label or score, or the specificity, cannot be.

    References
    ----------
    Zhang et al. 2022, CHIL (CXR_Fairness); Zhou, Obuchowski & McClish 2011, Statistical Methods in
    Diagnostic Medicine, chapter 4.

    Examples
    --------
    >>> sensitivity_at_specificity([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9], specificity=0.75)
    0.5
    """
    curve = _curve(label, score, specificity, "specificity")
    if curve is None:
        return None
    held, reached = curve
    return float(reached[held >= specificity - _SNAP].max())


def specificity_at_sensitivity(
    label: npt.ArrayLike, score: npt.ArrayLike, *, sensitivity: float
) -> float | None:
    """Return the highest specificity that a threshold holds at no less than a sensitivity.

    Parameters
    ----------
    label, score
        As of `sensitivity_at_specificity`.
    sensitivity
        The least there must be, in [0, 1].

    Raises
    ------
    InvalidTable, InvalidConfiguration
        As of `sensitivity_at_specificity`.

    References
    ----------
    As of `sensitivity_at_specificity`.

    Examples
    --------
    >>> specificity_at_sensitivity([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9], sensitivity=0.75)
    0.5
    """
    curve = _curve(label, score, sensitivity, "sensitivity")
    if curve is None:
        return None
    held, reached = curve
    return float(held[reached >= sensitivity - _SNAP].max())


def sensitivity_at_specificity_medfair(
    label: npt.ArrayLike, score: npt.ArrayLike, *, specificity: float
) -> float | None:
    """Return what MEDFAIR's code prints as the sensitivity at a specificity: not the ROC curve.

    It interpolates between the corners of the ROC curve in order of specificity, and so joins the
    wrong ends of its steps: the upper end at the lower specificity to the *lower* end at the
    higher. A perfect model has 0.2 at a specificity of 0.8. For comparison with published values
    only; `sensitivity_at_specificity` is the definition to use.

    Parameters
    ----------
    label, score, specificity
        As of `sensitivity_at_specificity`.

    Raises
    ------
    InvalidTable, InvalidConfiguration
        As of `sensitivity_at_specificity`.

    References
    ----------
    Zong, Yang & Hospedales 2023, MEDFAIR, ICLR: the code's *tpr_at_tnr*, at 0.8.

    Examples
    --------
    >>> round(sensitivity_at_specificity_medfair([0, 1], [0.1, 0.9], specificity=0.8), 9)
    0.2
    """
    curve = _curve(label, score, specificity, "specificity")
    if curve is None:
        return None
    held, reached = (part[::-1] for part in curve)
    kept = _corners(held, reached)
    order = np.argsort(held[kept], kind="stable")  # of a step the lower end comes first
    return float(np.interp(specificity, held[kept][order], reached[kept][order]))


def _curve(
    label: npt.ArrayLike, score: npt.ArrayLike, share: float, what: str
) -> tuple[Reals, Reals] | None:
    """Return specificity and sensitivity at each threshold, ascending in the first."""
    if not 0.0 <= share <= 1.0:
        raise InvalidConfiguration(f"{what}: {share}; expected a share from 0 to 1")
    truth, scores = _labelled(label, score)
    if truth.all() or not truth.any():
        return None
    levels = np.append(np.unique(scores), np.inf)
    held = 1.0 - _at_or_above(scores[~truth], levels) / (~truth).sum()
    return held, _at_or_above(scores[truth], levels) / truth.sum()


def _corners(held: Reals, reached: Reals) -> Integers:
    """Return which points scikit-learn keeps of a ROC curve, from the strictest threshold on.

    The first one is added after the others are thinned, so it and its neighbour always stay.
    """
    bent = np.zeros(len(held), dtype=bool)
    for part in (held, reached):
        bent[2:-1] |= np.abs(np.diff(part[1:], 2)) > _SNAP
    bent[[0, 1, -1]] = True
    return np.flatnonzero(bent).astype(np.int64)


def _at_or_above(scores: Reals, levels: Reals) -> Reals:
    """Return how many scores reach each level, as real numbers."""
    below = np.searchsorted(np.sort(scores), levels, side="left")
    return (len(scores) - below).astype(np.float64)


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


def _labelled(label: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Flags, Reals]:
    truth, scores = _flags(label, "label"), _scores(score)
    if len(truth) != len(scores):
        raise InvalidTable(f"score: {len(scores)} rows; expected those of the label, {len(truth)}")
    return truth, scores


def _flags(given: npt.ArrayLike, what: str) -> Flags:
    values = np.asarray(given)
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        odd = values[~np.isin(values, (0, 1))]
        found = f"value {odd.flat[0]}" if odd.size else f"shape {values.shape}"
        raise InvalidTable(f"{what}: {found}; expected one row of 0 and 1")
    return values.astype(bool)


def _scores(given: npt.ArrayLike) -> Reals:
    return _stored(given).astype(np.float64)


def _stored(given: npt.ArrayLike) -> npt.NDArray[np.floating]:
    """Return scores in the precision in which they were stored: 0.7 of Float32 reaches 0.7."""
    values = np.asarray(given)
    if values.dtype.kind not in "fiub":
        raise InvalidTable(f"score: {values.dtype}; expected one row of finite numbers")
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        odd = values[~np.isfinite(values)]
        found = f"value {odd.flat[0]}" if odd.size else f"shape {values.shape}"
        raise InvalidTable(f"score: {found}; expected one row of finite numbers")
    return values


def _groups(group: Sequence[str], *rows: int) -> tuple[list[str], Integers]:
    if any(n != len(group) for n in rows):
        raise InvalidTable(f"group: {len(group)} rows; expected those of the others, {max(rows)}")
    each: list[object] = list(group)
    if any(name is None or (isinstance(name, float) and np.isnan(name)) for name in each):
        raise InvalidTable("group: a null; expected a group in each row, 'unknown' being one")
    names, code = np.unique(np.array(each, dtype=str), return_inverse=True)
    return names.tolist(), code.astype(np.int64)


def _told(names: Sequence[str], values: Reals) -> dict[str, float | None]:
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(names, values, strict=True)
    }
