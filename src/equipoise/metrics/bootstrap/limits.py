"""Intervals from replicates; which of them covers is measured, not assumed.

A replicate that leaves the metric undefined is counted and left out, and nothing stands in for it.
Where replicates do not vary, as at an AUROC of 1, there are no limits: an interval of no width
would say that the value is known.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtrit

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """The limits of each arm, and what they rest on; each of shape ``(arms,)``.

    Parameters
    ----------
    low, high
        NaN where there are none.
    error
        Standard deviation of the replicates that are defined.
    undefined
        How many replicates are not.
    """

    low: Reals
    high: Reals
    error: Reals
    undefined: Integers


def percentile(values: Reals, *, level: float = 0.95) -> Interval:
    """Return the quantiles of the replicates.

    Parameters
    ----------
    values
        Shape ``(replicates, arms)``.
    level
        Of the interval, two-sided.

    References
    ----------
    Efron & Tibshirani 1993, *An introduction to the bootstrap*, ch. 13.

    Examples
    --------
    >>> found = percentile(np.arange(101.0)[:, None], level=0.9)
    >>> round(float(found.low[0]), 1), round(float(found.high[0]), 1)
    (5.0, 95.0)
    """
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return _quantiles(values, np.repeat(tails[:, None], values.shape[1], axis=1))


def bca(values: Reals, estimate: Reals, accelerated: Reals, *, level: float = 0.95) -> Interval:
    """Return the bias-corrected and accelerated quantiles of the replicates.

    Parameters
    ----------
    values
        Shape ``(replicates, arms)``.
    estimate
        Shape ``(arms,)``, the metric of the images themselves.
    accelerated
        Shape ``(arms,)``, of `acceleration`.
    level
        Of the interval, two-sided.

    References
    ----------
    Efron 1987, JASA 82:171.

    Examples
    --------
    >>> found = bca(np.arange(101.0)[:, None], np.array([50.0]), np.zeros(1), level=0.9)
    >>> round(float(found.low[0]), 1), round(float(found.high[0]), 1)
    (5.0, 95.0)
    """
    known = np.isfinite(values)
    n = known.sum(axis=0)
    below = (values < estimate).sum(axis=0) + 0.5 * (values == estimate).sum(axis=0)
    # Never 0 or 1: a shift without end would be read from finitely many replicates.
    share = np.clip((below + 0.5) / (n + 1.0), 0.5 / (n + 1.0), 1.0 - 0.5 / (n + 1.0))
    shift = ndtri(share)
    z = np.array([[ndtri((1.0 - level) / 2.0)], [ndtri((1.0 + level) / 2.0)]])
    moved = shift + (shift + z) / np.maximum(1.0 - accelerated * (shift + z), 1e-6)
    return _quantiles(values, ndtr(moved))


def logit_t(
    values: Reals, estimate: Reals, degrees: Reals | float, *, level: float = 0.95
) -> Interval:
    """Return limits symmetric on the logit scale, for a metric in (0, 1).

    Student's t times the standard deviation of the replicates on that scale. Replicates at 0 or 1
    have no logit: the standard deviation is then carried over by the slope of the logit at the
    estimate, for all replicates alike.

    Parameters
    ----------
    values
        Shape ``(replicates, arms)``.
    estimate
        Shape ``(arms,)``.
    degrees
        Of freedom; the patients of the smaller class less one, or fewer.
    level
        Of the interval, two-sided.

    Examples
    --------
    >>> values = 0.9 + 0.03 * np.array([[-1.0], [1.0]])
    >>> found = logit_t(values, np.array([0.9]), 1e9)
    >>> found.low.round(2).tolist(), found.high.round(2).tolist()
    ([0.78], [0.96])
    """
    error, undefined = _error(values)
    slope = estimate * (1.0 - estimate)
    fine = (slope > 0.0) & (error > 0.0)
    scaled = np.divide(error, slope, out=np.full_like(error, np.nan), where=fine)
    inner = np.where(fine, estimate, 0.5)
    centre = np.log(inner) - np.log1p(-inner)
    half = stdtrit(np.maximum(degrees, 1.0), (1.0 + level) / 2.0) * scaled
    low, high = (1.0 / (1.0 + np.exp(-(centre + side * half))) for side in (-1.0, 1.0))
    return Interval(low, high, error, undefined)


def student_t(
    values: Reals, estimate: Reals, degrees: Reals | float, *, level: float = 0.95
) -> Interval:
    """Return the estimate with Student's t times the standard deviation of the replicates.

    Parameters
    ----------
    values
        Shape ``(replicates, arms)``.
    estimate
        Shape ``(arms,)``.
    degrees
        Of freedom.
    level
        Of the interval, two-sided.

    Examples
    --------
    >>> found = student_t(np.array([[-1.0], [1.0]]), np.array([0.5]), 1e9)
    >>> found.low.round(2).tolist(), found.high.round(2).tolist()
    ([-2.27], [3.27])
    """
    error, undefined = _error(values)
    half = stdtrit(np.maximum(degrees, 1.0), (1.0 + level) / 2.0) * error
    half = np.where(error > 0.0, half, np.nan)
    return Interval(estimate - half, estimate + half, error, undefined)


def acceleration(influence: Reals) -> Reals:
    """Return how fast the standard error changes with the value, shape ``(arms,)``.

    Parameters
    ----------
    influence
        Shape ``(patients, arms)``: influence values summed per patient; or the mean of the
        jackknife's values less each.

    References
    ----------
    Efron 1987, JASA 82:171, equation 6.6.

    Examples
    --------
    >>> acceleration(np.array([[-1.0], [-1.0], [2.0]])).round(4).tolist()
    [0.068]
    """
    square = np.square(influence).sum(axis=0)
    cube = (np.square(influence) * influence).sum(axis=0)
    below = 6.0 * square * np.sqrt(square)
    found: Reals = np.zeros_like(square)
    np.divide(cube, below, out=found, where=square > 0.0)
    return found


def _error(values: Reals) -> tuple[Reals, Integers]:
    known = np.isfinite(values)
    n = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(n, 1)
    squares = np.where(known, np.square(values - mean), 0.0).sum(axis=0)
    error = np.sqrt(np.divide(squares, n - 1.0, out=np.full_like(mean, np.nan), where=n > 1))
    # Equal replicates differ from their own mean by rounding.
    flat = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    flat = flat == np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    return np.where(flat & (n > 1), 0.0, error), (len(values) - n).astype(np.int64)


def _quantiles(values: Reals, tails: Reals) -> Interval:
    """Return the quantiles at ``tails`` ``(2, arms)``, of the replicates that are defined."""
    error, undefined = _error(values)
    low, high = np.full(len(error), np.nan), np.full(len(error), np.nan)
    for arm in np.flatnonzero(error > 0.0):
        known = values[np.isfinite(values[:, arm]), arm]
        low[arm], high[arm] = np.quantile(known, tails[:, arm])
    return Interval(low, high, error, undefined)
