"""Intervals as functions of z, so that one construction is pointwise and simultaneous.

`z` is the half-width in standard errors that a normal estimate would have; where few patients
stand behind a standard error, it is taken from Student's t at the same tail.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtrit

Reals = npt.NDArray[np.float64]

_NODES = 2_048
_DEEP = 20.0
"""Beyond so many standard errors tails have no digits left, and quantiles grow in proportion."""

_FAR = 1e100
"""A quantile that is as good as infinite."""


def quantile(level: float) -> float:
    """Return z of a two-sided interval.

    Examples
    --------
    >>> round(quantile(0.95), 3)
    1.96
    """
    return float(ndtri((1.0 + level) / 2.0))


def widened(z: float, freedom: Reals) -> Reals:
    """Return Student's t with the tail of z, at each number of degrees of freedom.

    Examples
    --------
    >>> widened(1.959964, np.array([29.0])).round(3).tolist()
    [2.045]
    """
    # By the lower tail, which keeps its digits however large z is.
    degrees, tail = np.maximum(freedom, 1.0), ndtr(-min(z, _DEEP))
    if len(degrees) <= _NODES:
        return np.asarray(_student(degrees, tail) * max(1.0, z / _DEEP), dtype=np.float64)
    # Of many at once, between values on a grid of 1 / freedom: right to 1e-6 of itself.
    inverse = np.linspace(0.0, 1.0, _NODES + 1)
    grid = _student(1.0 / np.maximum(inverse, 1e-9), tail) * max(1.0, z / _DEEP)
    return np.asarray(np.exp(np.interp(1.0 / degrees, inverse, np.log(grid))), dtype=np.float64)


def _student(freedom: Reals, tail: float) -> Reals:
    return np.asarray(np.clip(-stdtrit(freedom, tail), 1e-100, _FAR), dtype=np.float64)


def wilson(rate: Reals, trials: Reals, z: Reals | float) -> tuple[Reals, Reals]:
    """Return the limits of rates by the score interval.

    Parameters
    ----------
    rate
        Shape ``(n,)``, in [0, 1].
    trials
        Shape ``(n,)``, above 0; need not be whole, as an effective number is not.
    z
        Half-width in standard errors.

    References
    ----------
    Wilson 1927, JASA 22:209.

    Examples
    --------
    >>> low, high = wilson(np.array([81 / 263]), np.array([263.0]), 1.959964)
    >>> round(float(low[0]), 4), round(float(high[0]), 4)
    (0.2553, 0.3662)
    """
    square = np.square(z) / trials
    centre = (rate + square / 2.0) / (1.0 + square)
    half = np.sqrt(square * (rate * (1.0 - rate) + square / 4.0)) / (1.0 + square)
    low = np.where(rate <= 0.0, 0.0, centre - half)
    high = np.where(rate >= 1.0, 1.0, centre + half)
    return np.clip(low, 0.0, rate), np.clip(high, rate, 1.0)


def effective_trials(rate: Reals, variance: Reals, trials: Reals, patients: Reals) -> Reals:
    """Return the number of independent trials that would be as informative.

    The trials over the design effect: the patient-clustered variance over that of independent
    trials. Never more than the trials: an estimated negative correlation within patients is
    nearly always noise, and must not make an interval narrower than independence would. Where
    the variance is zero, all alike, nothing shows how much a patient's images agree: then a
    patient counts once.

    References
    ----------
    Korn & Graubard 1998, Survey Methodology 24:193.

    Examples
    --------
    >>> one = np.array([1.0])
    >>> effective_trials(one * 0.5, one * 0.25 / 29, one * 90, one * 30).round(1).tolist()
    [29.3]
    >>> effective_trials(one * 0.0, one * 0.0, one * 90, one * 30).tolist()
    [30.0]
    """
    spread = rate * (1.0 - rate)
    flat = ~(variance > 0.0) | ~(spread > 0.0)
    independent = spread / np.maximum(trials - 1.0, 1.0)
    ratio = np.divide(independent, variance, out=np.ones_like(rate), where=~flat)
    return np.where(flat, patients, trials * np.minimum(ratio, 1.0))


def rate_limits(
    rate: Reals, variance: Reals, trials: Reals, patients: Reals, z: float
) -> tuple[Reals, Reals]:
    """Return the limits of rates whose trials are clustered in patients.

    Wilson's interval at the effective number of trials; that number is reduced further by
    Student's t where the variance rests on few patients, as in Korn & Graubard.

    Examples
    --------
    >>> one = np.array([1.0])
    >>> low, high = rate_limits(one * 0.5, one * 0.25 / 99, one * 100, one * 100, 1.959964)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.404], [0.596])
    """
    effective = effective_trials(rate, variance, trials, patients)
    estimated = (variance > 0.0) & (rate > 0.0) & (rate < 1.0)
    few = widened(z, patients - 1.0) / widened(z, trials - 1.0)
    shrunk = np.where(estimated, effective / few**2, effective)
    return wilson(rate, np.maximum(shrunk, 1e-9), z)


def freedom(variance: Reals, fourth: Reals, patients: Reals) -> Reals:
    """Return the degrees of freedom of a variance that is a sum of squares over patients.

    From the spread of those squares: where a few patients carry the variance, as the few badly
    ranked ones do at a high AUROC, it is known badly, and t is wide. Never more than the
    patients less one.

    Parameters
    ----------
    variance, fourth
        Sums over patients of the squares and fourth powers of the influence values.
    patients
        How many; for AUROC in the smaller class.

    References
    ----------
    Satterthwaite 1946, Biometrics Bulletin 2:110, with the fourth moment estimated.

    Examples
    --------
    >>> freedom(np.array([10.0]), np.array([50.0]), np.array([40.0])).round(2).tolist()
    [4.21]
    """
    excess = fourth - variance**2 / patients
    by_moment = np.divide(
        2.0 * variance**2, excess, out=np.full_like(variance, np.inf), where=excess > 0.0
    )
    return np.minimum(by_moment, patients - 1.0)


def logit_limits(value: Reals, error: Reals, z: Reals) -> tuple[Reals, Reals]:
    """Return limits that are symmetric on the logit scale, for values inside (0, 1).

    Examples
    --------
    >>> low, high = logit_limits(np.array([0.9]), np.array([0.03]), np.array([1.96]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.824], [0.945])
    """
    centre = np.log(value) - np.log1p(-value)
    half = z * error / (value * (1.0 - value))
    return _logistic(centre - half), _logistic(centre + half)


def mover(
    first: tuple[Reals, Reals, Reals], second: tuple[Reals, Reals, Reals], correlation: Reals
) -> tuple[Reals, Reals]:
    """Return the limits of a difference from those of its two arms.

    Parameters
    ----------
    first, second
        Value, low and high of each arm.
    correlation
        Of the two estimates; zero where no patient is in both.

    References
    ----------
    Zou & Donner 2008, Statistics in Medicine 27:1693; with Wilson limits and no correlation it
    is method 10 of Newcombe 1998, Statistics in Medicine 17:873.

    Examples
    --------
    >>> a, b = np.array([56 / 70]), np.array([48 / 80])
    >>> limits = mover((a, *wilson(a, np.array([70.0]), 1.959964)),
    ...                (b, *wilson(b, np.array([80.0]), 1.959964)), np.array([0.0]))
    >>> [round(float(limit[0]), 4) for limit in limits]
    [0.0524, 0.3339]
    """
    difference = first[0] - second[0]
    down = _joint(first[0] - first[1], second[2] - second[0], correlation)
    up = _joint(first[2] - first[0], second[0] - second[1], correlation)
    return difference - down, difference + up


def _joint(first: Reals, second: Reals, correlation: Reals) -> Reals:
    squared = first**2 + second**2 - 2.0 * correlation * first * second
    return np.sqrt(np.maximum(squared, 0.0))


def _logistic(value: Reals) -> Reals:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(value, -700.0, 700.0))), dtype=np.float64)
