"""What all functionals share: how an undefined value is told, and areas under a stepwise curve.

The one idea: an area under a curve of one class against the other is a mean, over the images of
one class, of a height that depends on how many of the other lie above them. So its value and its
derivative in every count follow from the heights by two running sums.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Functional = Callable[[Reals, Reals, Reals], tuple[Reals, Reals]]
Heights = Callable[[Reals, Reals], tuple[Reals, Reals, Reals]]


def defined(value: Reals, negative: Reals, positive: Reals) -> tuple[Reals, Reals]:
    """Return the value, and the influence of both classes; 0 where the value is NaN.

    Parameters
    ----------
    value
        Shape ``(arms,)``, NaN where undefined.
    negative, positive
        Derivatives in the counts of a class, each of a shape that broadcasts to ``(arms, levels)``.

    Returns
    -------
    Value, and influence of shape ``(arms, 2, levels)``.

    Examples
    --------
    >>> value, influence = defined(np.array([np.nan]), np.ones((1, 2)), np.ones((1, 2)))
    >>> influence.tolist()
    [[[0.0, 0.0], [0.0, 0.0]]]
    """
    both = np.stack(np.broadcast_arrays(negative, positive), axis=1)
    both[np.isnan(value)] = 0.0
    return value, both


def above(counts: Reals) -> Reals:
    """Return the counts at or above each level, shape ``(arms, levels)``.

    Examples
    --------
    >>> above(np.array([[1.0, 2, 3]])).tolist()
    [[6.0, 5.0, 3.0]]
    """
    return np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]


def totals(counts: Reals) -> tuple[Reals, Reals]:
    """Return the total per arm, shape ``(arms, 1)``, and the same with 1 for 0, to divide by.

    Examples
    --------
    >>> totals(np.array([[1.0, 2], [0, 0]]))[1].tolist()
    [[3.0], [1.0]]
    """
    total = counts.sum(axis=1, keepdims=True)
    return total, np.where(total > 0, total, 1.0)


def averaged(weighed: Reals, passed: Reals, heights: Heights) -> tuple[Reals, Reals, Reals]:
    """Return the mean height over one class, and its derivatives in the counts of both.

    Parameters
    ----------
    weighed
        Counts of the class that the mean is over, shape ``(arms, levels)``.
    passed
        Counts of the other one: the height depends on the share of it above a level.
    heights
        Shares above and at-or-above, both ``(arms, levels)`` → the mean height in between (ties
        are a straight line) and its derivatives in the two shares.

    Returns
    -------
    The mean, shape ``(arms, 1)``; derivatives in `weighed` and in `passed`, ``(arms, levels)``.
    With a class absent the numbers mean nothing.

    Examples
    --------
    >>> def below(low, high):
    ...     return 1 - (low + high) / 2, np.full_like(low, -0.5), np.full_like(low, -0.5)
    >>> averaged(np.array([[0.0, 1]]), np.array([[3.0, 1]]), below)[0].tolist()
    [[0.875]]
    """
    _, images = totals(weighed)
    _, others = totals(passed)
    upto = above(passed)
    low, high = (upto - passed) / others, upto / others
    mean, by_low, by_high = heights(low, high)
    value = (weighed * mean).sum(axis=1, keepdims=True) / images
    by_low, by_high = weighed * by_low, weighed * by_high
    running = np.cumsum(by_low + by_high, axis=1) - by_low
    moved = running - (by_low * low + by_high * high).sum(axis=1, keepdims=True)
    return value, (mean - value) / images, moved / (images * others)
