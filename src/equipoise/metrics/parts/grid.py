"""AUROC on a grid: what ranks alike inside a bin is a tie, and ties count half.

So it is the AUROC of the scores moved to the centres of their bins, and differs from that of the
scores themselves by at most half the share of positive and negative pairs that share a bin.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from equipoise.metrics.samples import Sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def bins_of(score: npt.NDArray[np.floating], bins: int) -> Integers:
    """Return the bin of each score, shape ``(n,)``: equal bins of [0, 1], 1 in the last.

    Examples
    --------
    >>> bins_of(np.array([0.0, 0.5, 1.0]), 4).tolist()
    [0, 2, 3]
    """
    place = (score.astype(np.float64) * bins).astype(np.int64)
    return np.asarray(np.minimum(place, bins - 1), dtype=np.int64)


def on_grid(sample: Sample, bins: int) -> Sample:
    """Return a finding's images with each score at the centre of its bin, called as before.

    Examples
    --------
    >>> code = np.arange(2)
    >>> sample = Sample("x", np.array([0.1, 0.9]), code > 0, code, code, {}, 0)
    >>> on_grid(sample, 2).score.tolist()
    [0.25, 0.75]
    """
    return replace(sample, score=(bins_of(sample.score, bins) + 0.5) / bins)


def histograms(sample: Sample, inside: npt.NDArray[np.bool_], bins: int) -> Integers:
    """Return the histograms of negatives and of positives, shape ``(2, arms, bins)``.

    Examples
    --------
    >>> code = np.arange(2)
    >>> sample = Sample("x", np.array([0.1, 0.9]), code > 0, code, code, {}, 0)
    >>> histograms(sample, np.array([[True, True]]), 2).tolist()
    [[[1, 0]], [[0, 1]]]
    """
    place = bins_of(sample.score, bins)
    made = np.zeros((2, len(inside), bins), dtype=np.int64)
    for label in (0, 1):
        mine = sample.label == bool(label)
        code = sample.cell[mine] * bins + place[mine]
        by_cell = np.bincount(code, minlength=inside.shape[1] * bins).reshape(-1, bins)
        made[label] = inside.astype(np.int64) @ by_cell
    return made


def placed(histogram: Integers) -> Reals:
    """Return the share of a class below each bin, its own counted half, shape ``(arms, bins)``.

    Parameters
    ----------
    histogram
        Shape ``(arms, bins)``; where it is empty the share is NaN.

    Examples
    --------
    >>> placed(np.array([[1, 2, 1]])).tolist()
    [[0.125, 0.5, 0.875]]
    """
    upto = np.cumsum(histogram, axis=1)
    total = upto[:, -1:]
    doubled = (2 * upto - histogram).astype(np.float64)
    nothing = np.full(doubled.shape, np.nan)
    share = np.divide(doubled, 2.0 * total, out=nothing, where=total > 0)
    return np.asarray(share, dtype=np.float64)


def auroc(negative: Integers, positive: Integers) -> Reals:
    """Return the AUROC of each arm from its two histograms, NaN where a class is absent.

    Parameters
    ----------
    negative, positive
        Shape ``(arms, bins)``.

    References
    ----------
    Mann & Whitney 1947, Annals of Mathematical Statistics 18:50, ties counted half.

    Examples
    --------
    >>> auroc(np.array([[2, 1]]), np.array([[1, 1]])).tolist()
    [0.5833333333333334]
    """
    upto = np.cumsum(negative, axis=1)
    doubled = (positive * (2 * upto - negative)).sum(axis=1).astype(np.float64)
    return _share(doubled, 2.0 * _pairs(negative, positive))


def bound(negative: Integers, positive: Integers) -> Reals:
    """Return how far at most each arm's AUROC lies from that without a grid, shape ``(arms,)``.

    Half the share of pairs that share a bin: the scores inside it could rank either way.

    Examples
    --------
    >>> bound(np.array([[2, 1]]), np.array([[1, 1]])).tolist()
    [0.25]
    """
    tied = (positive * negative).sum(axis=1).astype(np.float64)
    return _share(tied, 2.0 * _pairs(negative, positive))


def _pairs(negative: Integers, positive: Integers) -> Reals:
    found = negative.sum(axis=1).astype(np.float64) * positive.sum(axis=1)
    return np.asarray(found, dtype=np.float64)


def _share(part: Reals, of: Reals) -> Reals:
    share = np.divide(part, of, out=np.full(part.shape, np.nan), where=of > 0.0)
    return np.asarray(share, dtype=np.float64)
