"""Whether what comes in has changed: tests of distributions and of mixes, period by period."""

import math

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

_EXPECTED = 5.0
"""Levels with fewer cases expected are taken together, as the chi-square law asks."""


def spent(level: float, period: int, tests: int) -> float:
    """Return the level of one test of one period, so that all of them together keep to `level`.

    The k-th period may spend 6/(π² k²) of it, shared by its tests: however many periods come, the
    chance of any false alarm stays at most `level`.

    Parameters
    ----------
    level
        Of all tests of all periods.
    period
        Counted from 1.
    tests
        How many there are in the period.

    Examples
    --------
    >>> round(spent(0.05, 1, 1), 4), round(sum(spent(0.05, k, 1) for k in range(1, 9999)), 4)
    (0.0304, 0.05)
    """
    return level * 6.0 / (math.pi * period) ** 2 / max(tests, 1)


def shifted(reference: Reals, now: Reals) -> tuple[float, float]:
    """Return how far two histograms on the same bins are apart, and the p-value.

    The distance of Kolmogorov and Smirnov between the cumulative shares at the bins' edges. The
    p-value is that of its limit law, conservative where values share a bin.

    Parameters
    ----------
    reference, now
        Counts per bin in order, ``(bins,)``.

    References
    ----------
    Smirnov 1948, Annals of Mathematical Statistics 19:279.

    Examples
    --------
    >>> shifted(np.array([50.0, 50.0]), np.array([50.0, 50.0]))
    (0.0, 1.0)
    >>> shifted(np.array([50.0, 50.0]), np.array([90.0, 10.0]))[1] < 1e-6
    True
    """
    from scipy.special import kolmogorov

    n, m = float(reference.sum()), float(now.sum())
    if not n or not m:
        return 0.0, 1.0
    gap = float(np.abs(np.cumsum(reference) / n - np.cumsum(now) / m).max())
    return gap, float(kolmogorov(gap * math.sqrt(n * m / (n + m))))


def moved(before: Reals, now: Reals) -> tuple[float, float]:
    """Return how far two samples are apart, and the p-value, as `shifted` does for histograms.

    Examples
    --------
    >>> moved(np.arange(100.0), np.arange(100.0))
    (0.0, 1.0)
    >>> moved(np.arange(100.0), np.arange(100.0) + 50)[0]
    0.5
    """
    edges = np.unique(np.concatenate([before, now]))
    counts = [
        np.bincount(np.searchsorted(edges, part), minlength=len(edges)).astype(np.float64)
        for part in (before, now)
    ]
    return shifted(counts[0], counts[1])


def remixed(reference: Reals, now: Reals) -> tuple[float, float]:
    """Return the largest difference in a level's share, and the p-value of no difference.

    Parameters
    ----------
    reference, now
        Cases per level, the same levels in the same order, ``(levels,)``.

    References
    ----------
    Pearson 1900, Philosophical Magazine 50:157 (chi-square).

    Examples
    --------
    >>> remixed(np.array([70.0, 30.0]), np.array([70.0, 30.0]))
    (0.0, 1.0)
    >>> remixed(np.array([70.0, 30.0]), np.array([20.0, 80.0]))[1] < 1e-9
    True
    """
    from scipy.special import chdtrc

    n, m = float(reference.sum()), float(now.sum())
    if not n or not m:
        return 0.0, 1.0
    gap = float(np.abs(reference / n - now / m).max())
    table = np.array([reference, now])
    least = (table.sum(axis=0) / (n + m)) * min(n, m)
    rare = least < _EXPECTED
    kept = np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)
    kept = kept[:, kept.sum(axis=0) > 0]
    if kept.shape[1] < 2:
        return gap, 1.0
    expected = np.outer(kept.sum(axis=1), kept.sum(axis=0)) / kept.sum()
    square = float(((kept - expected) ** 2 / expected).sum())
    return gap, float(chdtrc(kept.shape[1] - 1, square))
