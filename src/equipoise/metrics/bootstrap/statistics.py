"""Metrics of weighted histograms, a row per replicate: values alone, for speed.

Each takes negatives and positives ``(replicates, levels)`` and the ascending scores ``(levels,)``,
and returns ``(replicates,)``, NaN where a replicate leaves it undefined.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Statistic = Callable[[Reals, Reals, Reals], Reals]
Functional = Callable[[Reals, Reals, Reals], tuple[Reals, Reals]]


def valued(functional: Functional) -> Statistic:
    """Return a functional without its influence values, as the replicates need it.

    Examples
    --------
    >>> both = lambda negative, positive, score: (auroc(negative, positive, score), negative)
    >>> valued(both)(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([0.2, 0.7])).tolist()
    [1.0]
    """

    def value(negative: Reals, positive: Reals, score: Reals) -> Reals:
        return functional(negative, positive, score)[0]

    return value


def auroc(negative: Reals, positive: Reals, score: Reals) -> Reals:
    """Return the area under the ROC curve, equal scores counted half.

    References
    ----------
    Bamber 1975, Journal of Mathematical Psychology 12:387.

    Examples
    --------
    >>> auroc(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]), np.array([0.1, 0.5])).tolist()
    [0.6666666666666666]
    """
    del score
    below = np.cumsum(negative, axis=1)
    total = below[:, -1].copy()
    below -= 0.5 * negative
    above = np.einsum("bl,bl->b", positive, below)
    return _ratio(above, total * positive.sum(axis=1))


def average_precision(negative: Reals, positive: Reals, score: Reals) -> Reals:
    """Return the mean, over positives, of the precision at each one's score.

    References
    ----------
    Davis & Goadrich 2006, ICML (why no straight lines are drawn between points).

    Examples
    --------
    >>> average_precision(np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]]), np.array([0.1, 0.5]))
    array([0.58333333])
    """
    del score
    hits, total = _upto_the_last(positive)
    called, _ = _upto_the_last(negative)
    called += hits
    precision = np.divide(hits, called, out=hits, where=called > 0.0)
    return _ratio(np.einsum("bl,bl->b", positive, precision), total)


def brier(negative: Reals, positive: Reals, score: Reals) -> Reals:
    """Return the mean squared distance of score and label.

    References
    ----------
    Brier 1950, Monthly Weather Review 78:1.

    Examples
    --------
    >>> brier(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([0.5, 1.0])).tolist()
    [0.125]
    """
    lost = negative @ np.square(score) + positive @ np.square(1.0 - score)
    return _ratio(lost, negative.sum(axis=1) + positive.sum(axis=1))


def _upto_the_last(counted: Reals) -> tuple[Reals, Reals]:
    """Return how many are at each level or above, and how many in all."""
    above = np.cumsum(counted, axis=1)
    total = above[:, -1].copy()
    np.subtract(total[:, None], above, out=above)
    above += counted
    return above, total


def _ratio(above: Reals, below: Reals) -> Reals:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0.0)
