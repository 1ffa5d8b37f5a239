"""Curves from histograms of the score by label: ROC, reliability, net benefit.

Pure functions of whole numbers, so that two drawings of one table cannot disagree. A histogram
knows no patients: where limits are given, a group's images count as if all images of a patient
agreed and every patient had as many, which is never narrower than patients of equal size make it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.intervals import quantile, wilson

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Roc:
    """Points of a ROC curve, from the strictest threshold to the most lenient.

    Parameters
    ----------
    false_positive_rate, sensitivity
        Shape ``(levels + 1,)``; NaN throughout where a class is absent.
    """

    false_positive_rate: Reals
    sensitivity: Reals


@dataclass(frozen=True, slots=True)
class Reliability:
    """What was observed beside what was predicted, bin by bin.

    Parameters
    ----------
    score, rate
        Mean score and share of positives, shape ``(bins,)``; NaN in an empty bin.
    low, high
        Limits of the share.
    images
        How many are in each bin.
    """

    score: Reals
    rate: Reals
    low: Reals
    high: Reals
    images: Integers


@dataclass(frozen=True, slots=True)
class Benefit:
    """Net benefit over threshold probabilities, per image.

    Parameters
    ----------
    threshold
        Shape ``(levels,)``, the lower edge of each level, from 0.
    model, everyone
        Of calling by the score, and of calling everyone positive; calling no one gives zero.
    """

    threshold: Reals
    model: Reals
    everyone: Reals


def roc(negative: Integers, positive: Integers) -> Roc:
    """Return the ROC curve of one group.

    Parameters
    ----------
    negative, positive
        Images at each level of the score, ascending, shape ``(levels,)``.

    References
    ----------
    Fawcett 2006, Pattern Recognition Letters 27:861.

    Examples
    --------
    >>> found = roc(np.array([3, 1]), np.array([0, 2]))
    >>> found.false_positive_rate.tolist(), found.sensitivity.tolist()
    ([0.0, 0.25, 1.0], [0.0, 1.0, 1.0])
    """
    called = [np.r_[0, np.cumsum(counts[::-1])] for counts in (negative, positive)]
    if not called[0][-1] or not called[1][-1]:
        absent = np.full(len(called[0]), np.nan)
        return Roc(absent, absent)
    return Roc(called[0] / called[0][-1], called[1] / called[1][-1])


def sensitivity_limits(found: Roc, patients: int, level: float) -> tuple[Reals, Reals]:
    """Return pointwise limits of the sensitivity at each threshold of a ROC curve.

    Parameters
    ----------
    found
        The curve.
    patients
        Those with a positive image; each counts once.
    level
        Of the interval, as 0.95. The false positive rate is taken as it is.

    References
    ----------
    Wilson 1927, JASA 22:209.

    Examples
    --------
    >>> low, high = sensitivity_limits(roc(np.array([3, 1]), np.array([5, 5])), 10, 0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.237, 0.722], [0.278, 0.763, 1.0])
    """
    rate = np.nan_to_num(found.sensitivity)
    limits = wilson(rate, np.full(len(rate), max(float(patients), 1e-9)), quantile(level))
    absent = np.isnan(found.sensitivity) | (patients < 1)
    low, high = (np.where(absent, np.nan, limit) for limit in limits)
    return low, high


def equal_mass(images: Integers, bins: int) -> Integers:
    """Return edges of bins of about as many images each, as positions on the levels.

    Parameters
    ----------
    images
        At each level, shape ``(levels,)``.
    bins
        At most so many; fewer where many images share a level.

    Returns
    -------
    Ascending, from 0 to the number of levels: bin k holds the levels from edge k up to, and
    without, edge k + 1.

    References
    ----------
    Roelofs et al. 2022, AISTATS: bins of equal mass estimate calibration error with less bias
    than bins of equal width.

    Examples
    --------
    >>> equal_mass(np.array([1, 1, 1, 1]), 2).tolist()
    [0, 2, 4]
    >>> equal_mass(np.array([0, 9, 0, 0]), 3).tolist()
    [0, 4]
    """
    total = np.cumsum(images)
    if not len(total) or not total[-1]:
        return np.array([0, len(images)], dtype=np.int64)
    wanted = np.arange(1, bins) * total[-1] / bins
    inner = np.searchsorted(total, wanted, side="left") + 1
    held = np.r_[0, total][inner]
    return np.unique(np.r_[0, inner[held < total[-1]], len(images)]).astype(np.int64)


def reliability(
    negative: Integers, positive: Integers, edges: Integers, *, patients: int, level: float = 0.95
) -> Reliability:
    """Return the share of positives beside the mean score in bins that all groups share.

    Parameters
    ----------
    negative, positive
        Images at each level of the score, on equal levels of [0, 1], shape ``(levels,)``. An
        image's score is taken to be the middle of its level.
    edges
        Of the bins, as `equal_mass` gives them.
    patients
        Those in the group: the trials of a bin are its images times patients per image.
    level
        Of the pointwise interval.

    References
    ----------
    Wilson 1927, JASA 22:209; Murphy & Winkler 1977, Applied Statistics 26:41.

    Examples
    --------
    >>> found = reliability(np.array([9, 1]), np.array([1, 9]), np.array([0, 1, 2]), patients=20)
    >>> found.score.tolist(), found.rate.tolist(), found.low.round(3).tolist()
    ([0.25, 0.75], [0.1, 0.9], [0.018, 0.596])
    """
    images, total = positive + negative, int((positive + negative).sum())
    middle = (np.arange(len(images)) + 0.5) / len(images)
    of = [np.add.reduceat(each, edges[:-1]) for each in (images, positive, images * middle)]
    held = of[0] > 0
    trials = np.maximum(of[0], 1).astype(np.float64)
    rate = of[1] / trials
    independent = trials * min(1.0, patients / total if total else 1.0)
    low, high = wilson(rate, np.maximum(independent, 1e-9), quantile(level))
    parts = (np.where(held, part, np.nan) for part in (of[2] / trials, rate, low, high))
    score, share, under, over = parts
    return Reliability(score, share, under, over, of[0].astype(np.int64))


def net_benefit(negative: Integers, positive: Integers) -> Benefit:
    """Return the decision curve of one group.

    Parameters
    ----------
    negative, positive
        Images at each level of the score, on equal levels of [0, 1], shape ``(levels,)``.

    Returns
    -------
    NaN throughout where the group is empty. Exact: a threshold on the edge of a level calls that
    level and those above it.

    References
    ----------
    Vickers & Elkin 2006, Medical Decision Making 26:565.

    Examples
    --------
    >>> found = net_benefit(np.array([3, 1]), np.array([0, 4]))
    >>> found.threshold.tolist(), found.model.tolist(), found.everyone.tolist()
    ([0.0, 0.5], [0.5, 0.375], [0.5, 0.0])
    """
    n = int(negative.sum() + positive.sum())
    threshold = np.arange(len(negative)) / max(len(negative), 1)
    odds = threshold / (1.0 - threshold)
    if not n:
        absent = np.full(len(negative), np.nan)
        return Benefit(threshold, absent, absent)
    false, true = (np.cumsum(counts[::-1])[::-1] / n for counts in (negative, positive))
    return Benefit(threshold, true - false * odds, true[:1] - false[:1] * odds)
