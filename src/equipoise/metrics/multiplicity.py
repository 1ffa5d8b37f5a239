"""P-values of contrasts and their adjustment; a p-value here says what the interval says.

A null (NaN) stays null and does not count in the family.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Reals = npt.NDArray[np.float64]
Limits = Callable[[float], tuple[Reals, Reals]]

_LEVELS = (0.80, 0.90, 0.95, 0.98, 0.99, 0.999)
_KNOTS = np.unique(
    np.concatenate(
        [
            [0.01],
            np.arange(0.25, 4.0, 0.25),
            np.arange(4.0, 8.0, 0.5),
            np.geomspace(8.0, 38.0, 8),
            ndtri((1.0 + np.array(_LEVELS)) / 2.0),
        ]
    )
)
"""Where an interval is looked at: closely where p-values matter, exactly at levels in use."""
_APART = 1e-9


def holm(p: Reals) -> Reals:
    """Return p-values adjusted so that the chance of any false alarm in the family is kept.

    Parameters
    ----------
    p
        Shape ``(family,)``; NaN where there is none.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.06, nan, 0.06]
    """

    def stepped(ascending: Reals) -> Reals:
        left = np.arange(len(ascending), 0, -1)
        return np.asarray(np.maximum.accumulate(ascending * left), dtype=np.float64)

    return _adjusted(p, stepped)


def benjamini_hochberg(p: Reals) -> Reals:
    """Return p-values adjusted so that the expected share of false alarms among alarms is kept.

    It needs independence, or positive dependence; for exploration.

    Parameters
    ----------
    p
        Shape ``(family,)``; NaN where there is none.

    References
    ----------
    Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B 57:289.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    return _adjusted(p, lambda ascending: _stepped_up(ascending, 1.0))


def benjamini_yekutieli(p: Reals) -> Reals:
    """Return p-values adjusted as by `benjamini_hochberg`, under any dependence.

    Parameters
    ----------
    p
        Shape ``(family,)``; NaN where there is none.

    References
    ----------
    Benjamini & Yekutieli 2001, Annals of Statistics 29:1165.

    Examples
    --------
    >>> benjamini_yekutieli(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.055, 0.073, nan, 0.073]
    """

    def stepped(ascending: Reals) -> Reals:
        return _stepped_up(ascending, float(np.sum(1.0 / np.arange(1, len(ascending) + 1))))

    return _adjusted(p, stepped)


def crossing(limits: Limits) -> Reals:
    """Return the half-width at which each interval first holds 0, in standard errors.

    What plays the part of |t| for an interval that is not symmetric: an interval at a larger z
    holds 0, one at a smaller z excludes it. Exactly so at the usual levels (80, 90, 95, 98, 99 and
    99.9 %), elsewhere within the interpolation, about 1e-4 (beyond z = 8 about 1e-2).

    Parameters
    ----------
    limits
        From z to low and high of all contrasts, each of shape ``(contrasts,)``, wider the larger z;
        about 40 values of z are asked for, the same for all contrasts. NaN where there is none.

    Returns
    -------
    Shape ``(contrasts,)``; 0 where 0 is in the interval at once, 38 where it never is.

    Examples
    --------
    >>> value, error = np.array([1.0, 0.0, np.nan]), np.array([0.5, 0.5, 0.5])
    >>> crossing(lambda z: (value - z * error, value + z * error)).round(4).tolist()
    [2.0, 0.0, nan]
    """
    looked = [limits(float(z)) for z in _KNOTS]
    low = np.array([pair[0] for pair in looked], dtype=np.float64)  # (knots, contrasts)
    high = np.array([pair[1] for pair in looked], dtype=np.float64)
    none = np.isnan(low).any(axis=0) | np.isnan(high).any(axis=0)
    margin = np.where(low[0] > 0.0, low, -high)
    # From the left the first knot that holds 0, whatever rounding does further out.
    holds = margin <= 0.0
    first = np.where(holds.any(axis=0), holds.argmax(axis=0), len(_KNOTS))
    found = _roots(margin, first)
    found[none] = np.nan
    return found


def inverted(limits: Limits) -> Reals:
    """Return the two-sided p-value of each contrast: the smallest level that excludes 0.

    One less the confidence level of the interval that just touches 0, so that p is below 0.05
    where, and only where, the 95 % interval excludes 0; see `crossing`.

    Parameters
    ----------
    limits
        As of `crossing`.

    Examples
    --------
    >>> value, error = np.array([0.98, 0.0, np.nan]), np.array([0.5, 0.5, 0.5])
    >>> inverted(lambda z: (value - z * error, value + z * error)).round(4).tolist()
    [0.05, 1.0, nan]
    """
    return np.asarray(2.0 * ndtr(-crossing(limits)), dtype=np.float64)


def by_maximum(statistic: Reals, maxima: Reals) -> Reals:
    """Return p-values adjusted for a family by the largest of its members by chance.

    Never 0: what was observed is counted as one more draw.

    Parameters
    ----------
    statistic
        Shape ``(family,)``, as from `crossing`, or |t|; NaN where there is none.
    maxima
        The largest absolute value of each joint draw of the family, ascending.

    References
    ----------
    Westfall & Young 1993, Resampling-Based Multiple Testing (single step); Phipson & Smyth 2010,
    Statistical Applications in Genetics and Molecular Biology 9:39 (one more draw).

    Examples
    --------
    >>> by_maximum(np.array([2.0, 0.1, np.nan]), np.array([0.5, 1.0, 1.5, 2.5])).tolist()
    [0.4, 1.0, nan]
    """
    below = np.searchsorted(maxima, np.abs(statistic), side="left")
    found = (1.0 + len(maxima) - below) / (1.0 + len(maxima))
    return np.where(np.isnan(statistic), np.nan, found)


def _adjusted(p: Reals, stepped: Callable[[Reals], Reals]) -> Reals:
    """Return what a step procedure makes of the p-values that there are, at their places."""
    found = np.full(p.shape, np.nan)
    there = np.flatnonzero(~np.isnan(p))
    order = there[np.argsort(p[there], kind="stable")]
    found[order] = np.minimum(stepped(p[order]), 1.0)
    return found


def _stepped_up(ascending: Reals, factor: float) -> Reals:
    scaled = ascending * factor * len(ascending) / np.arange(1, len(ascending) + 1)
    return np.asarray(np.minimum.accumulate(scaled[::-1])[::-1], dtype=np.float64)


def _roots(margin: Reals, first: npt.NDArray[np.int64]) -> Reals:
    """Return z where each margin falls to 0, just before its knot `first`, the first beyond."""
    last = len(_KNOTS) - 1
    upper = np.clip(first, 1, last)
    four = np.clip(upper, 2, last - 1) + np.arange(-2, 2)[:, None]  # (4, contrasts)
    column = np.arange(margin.shape[1])
    cubic = _where_zero(_KNOTS[four], margin[four, column])
    two = upper + np.arange(-1, 1)[:, None]
    straight = _where_zero(_KNOTS[two], margin[two, column])
    low, high = _KNOTS[upper - 1] + _APART, _KNOTS[upper] - _APART
    fine = (
        (np.diff(margin[four, column], axis=0) < 0.0).all(axis=0) & (low < cubic) & (cubic < high)
    )
    found = np.clip(np.where(fine, cubic, straight), low, high)
    return np.asarray(
        np.where(first == 0, 0.0, np.where(first > last, _KNOTS[last], found)), dtype=np.float64
    )


def _where_zero(z: Reals, margin: Reals) -> Reals:
    """Return Lagrange's polynomial of z in the margin, at 0; both ``(points, contrasts)``."""
    total = np.zeros(z.shape[1])
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        apart = margin[others] - margin[i]
        terms = np.divide(margin[others], apart, out=np.zeros_like(apart), where=apart != 0.0)
        total += z[i] * terms.prod(axis=0)
    return total
