"""Metrics of weighted images, each with its derivative by the weight of every image.

All of them stay the same when all weights are doubled, so that the sum of weight times derivative
is zero: the derivatives are the influence values from which any variance is made.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def weighted_ratio(event: Reals, trial: Reals, weight: Reals) -> tuple[float, Reals]:
    """Return a weighted rate or mean and its derivative by each weight; NaN without trials.

    Parameters
    ----------
    event
        What is summed above: event (1) or none (0), or a loss, shape ``(n,)``; 0 without trial.
    trial
        What is summed below, shape ``(n,)``.
    weight
        Shape ``(n,)``, at least 0.

    References
    ----------
    Lohr 2022, *Sampling: Design and Analysis*, 3rd ed., on ratio estimation.

    Examples
    --------
    >>> one = np.ones(2)
    >>> value, derivative = weighted_ratio(np.array([1.0, 0.0]), one, np.array([3.0, 1.0]))
    >>> value, derivative.tolist()
    (0.75, [0.0625, -0.1875])
    """
    total = float(weight @ trial)
    if not total > 0.0:
        return float("nan"), np.zeros(len(weight))
    value = float(weight @ event) / total
    return value, np.asarray((event - value * trial) / total, dtype=np.float64)


def weighted_auroc(
    score: npt.NDArray[np.floating], label: Flags, weight: Reals
) -> tuple[float, Reals]:
    """Return the weighted AUROC and its derivative by each weight; NaN if a class has no weight.

    A pair counts the product of its two weights, and half of it where the scores tie.

    Parameters
    ----------
    score, label, weight
        Each of shape ``(n,)``.

    References
    ----------
    Hanley & McNeil 1982, Radiology 143:29 (ties half); DeLong, DeLong & Clarke-Pearson 1988,
    Biometrics 44:837 (placements as influence values).

    Examples
    --------
    >>> score, label = np.array([0.1, 0.4, 0.3, 0.8]), np.array([False, False, True, True])
    >>> round(weighted_auroc(score, label, np.array([1.0, 3.0, 1.0, 1.0]))[0], 6)
    0.625
    """
    up, down = weight * label, weight * ~label
    above, below = float(up.sum()), float(down.sum())
    if not (above > 0.0 and below > 0.0):
        return float("nan"), np.zeros(len(weight))
    _, level = np.unique(score, return_inverse=True)
    positives, negatives = np.bincount(level, up), np.bincount(level, down)
    lower = (np.cumsum(negatives) - negatives / 2.0) / below
    higher = 1.0 - (np.cumsum(positives) - positives / 2.0) / above
    value = float(positives @ lower) / above
    derivative = np.where(label, (lower[level] - value) / above, (higher[level] - value) / below)
    return value, np.asarray(derivative, dtype=np.float64)


def weighted_functional(
    score: npt.NDArray[np.floating],
    label: Flags,
    weight: Reals,
    functional: Callable[[Reals, Reals, Reals], tuple[Reals, Reals]],
) -> tuple[float, Reals]:
    """Return any functional of the score distributions at weighted images, and its derivative.

    Parameters
    ----------
    score, label, weight
        Each of shape ``(n,)``.
    functional
        Negatives and positives ``(arms, levels)``, scores ``(levels,)`` → value ``(arms,)`` and
        derivative by the counts ``(arms, 2, levels)``.

    Examples
    --------
    >>> def share(negative, positive, score):
    ...     n, p = negative.sum(axis=1), positive.sum(axis=1)
    ...     both = np.stack([-p / (n + p) ** 2, n / (n + p) ** 2], axis=1)
    ...     return p / (n + p), np.repeat(both[:, :, None], len(score), axis=2)
    >>> label = np.array([False, True])
    >>> weighted_functional(np.array([0.1, 0.9]), label, np.array([3.0, 1.0]), share)[0]
    0.25
    """
    scores, level = np.unique(score.astype(np.float64), return_inverse=True)
    counts = np.stack([np.bincount(level, weight * flag, len(scores)) for flag in (~label, label)])
    both = counts.astype(np.float64)
    value, influence = functional(both[:1], both[1:], scores)
    return float(value[0]), influence[0][label.astype(np.int64), level]


def weighted_composite(
    kind: Integers, weight: Reals, composite: Callable[[Reals], tuple[Reals, Reals]]
) -> tuple[float, Reals]:
    """Return any function of the confusion matrix at weighted images, and its derivative.

    Parameters
    ----------
    kind
        Shape ``(n,)``: 0 true positive, 1 false positive, 2 true negative, 3 false negative.
    weight
        Shape ``(n,)``.
    composite
        Cells ``(4, arms)`` → value ``(arms,)`` and gradient ``(4, arms)``.

    Examples
    --------
    >>> def calls(cells):
    ...     n = cells.sum(axis=0)
    ...     value = (cells[0] + cells[1]) / n
    ...     return value, (np.array([[1.0], [1.0], [0.0], [0.0]]) - value) / n
    >>> weighted_composite(np.array([0, 2]), np.array([3.0, 1.0]), calls)[0]
    0.75
    """
    value, gradient = composite(np.bincount(kind, weight, 4)[:, None].astype(np.float64))
    return float(value[0]), gradient[kind, 0]


def kish(weight: Reals) -> float:
    """Return how many equally weighted images would be as informative; 0 without weight.

    References
    ----------
    Kish 1965, *Survey Sampling* (the effect of unequal weights on a mean).

    Examples
    --------
    >>> kish(np.array([1.0, 1.0, 2.0])).__round__(3)
    2.667
    """
    squares = float(weight @ weight)
    return float(weight.sum()) ** 2 / squares if squares > 0.0 else 0.0
