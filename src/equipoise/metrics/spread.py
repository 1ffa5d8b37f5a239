"""How far the values of k groups lie apart, beside what chance alone would make of it.

Largest minus smallest, and all that takes absolute differences, is too large on average: noise
spreads equal groups apart, the more of them and the smaller they are, the farther. So each is a
`Spread` of three numbers. All are descriptions: what is judged are contrasts with their intervals.
Values are ``(k,)`` with their covariance ``(k, k)``; null (NaN) groups are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Reals = npt.NDArray[np.float64]
Worse = Literal["low", "high"]
Statistic = Callable[[Reals], Reals]

_GRID = 2_001
_RIDGE = 1e-8


@dataclass(frozen=True, slots=True)
class Spread:
    """One description of how far groups lie apart; all NaN of fewer than two groups.

    Parameters
    ----------
    value
        As observed.
    chance
        Expected with no true difference at all, given the covariance.
    corrected
        The value less its estimated bias; never beyond what no difference at all would give.
    """

    value: float
    chance: float
    corrected: float


def sampling_errors(covariance: Reals, rng: np.random.Generator, n: int) -> Reals:
    """Return joint normal errors of the groups' values, shape ``(n, k)``, each with its mirror.

    The mirror makes their mean zero exactly, and no bias of a convex statistic negative. A group
    whose variance is null has null errors.

    Parameters
    ----------
    covariance
        Shape ``(k, k)``.
    rng
        Where the draws come from.
    n
        How many draws, an even number.

    Examples
    --------
    >>> errors = sampling_errors(np.diag([4.0, 1.0]), np.random.default_rng(0), 10_000)
    >>> errors.shape, errors.std(axis=0).round(1).tolist()
    ((10000, 2), [2.0, 1.0])
    """
    # The draws of a group lie together: all statistics here go over groups, draw by draw.
    errors = np.full((2 * (n // 2), len(covariance)), np.nan, order="F")
    there = ~np.isnan(np.diag(covariance))
    scale = np.sqrt(np.diag(covariance)[there])
    known = np.where(scale > 0.0, scale, 1.0)
    related = covariance[np.ix_(there, there)] / known[:, None] / known[None, :]
    np.fill_diagonal(related, 1.0)
    # The ridge keeps the root real where groups repeat each other.
    root = np.linalg.cholesky(related / (1.0 + _RIDGE) + _RIDGE * np.eye(len(scale)))
    free = rng.standard_normal((n // 2, len(scale))) @ root.T * scale
    errors[: len(free), there] = free
    errors[len(free) :, there] = -free
    return errors


def worst(values: Reals, worse: Worse) -> int | None:
    """Return the position of the worst group, the first of equals; None where all are null.

    Parameters
    ----------
    values
        Shape ``(k,)``.
    worse
        Which values are worse.

    Examples
    --------
    >>> worst(np.array([0.9, np.nan, 0.7]), "low"), worst(np.array([np.nan]), "high")
    (2, None)
    """
    if np.isnan(values).all():
        return None
    return int(np.nanargmin(values) if worse == "low" else np.nanargmax(values))


def gap(values: Reals, covariance: Reals, errors: Reals) -> Spread:
    """Return the largest less the smallest value.

    The correction is by bootstrap from shrunken values. Truth is taken to be the values shrunk to
    their mean, as far as `between_variance` says that they differ by noise; what noise adds to the
    gap of *that* truth is taken off. Bias and root mean squared error in standard errors of a
    group, 6 groups of which one differs by the true gap, 600 repetitions
    (``benchmarks/spread.py`` prints the whole table):

    ====================================  ============  ============  ============
    true gap, in standard errors                     0             2             8
    ====================================  ============  ============  ============
    as observed                            +2.46, 2.59   +1.26, 1.62   +1.15, 1.68
    less its expectation by chance         +0.27, 0.54   -1.17, 1.45   -1.42, 1.88
    bootstrap from the observed values     +1.43, 1.75   +0.42, 1.35   +0.66, 1.49
    root of the squares' difference        +0.63, 1.18   -0.30, 1.54   +0.73, 1.49
    bootstrap from shrunken values (this)  +0.57, 1.09   -0.38, 1.58   +0.62, 1.48
    ====================================  ============  ============  ============

    Of those that hold where gaps are real it errs least of six or more equal groups. None is right
    at all gaps, and of equal groups this one is still above 0 on average, as it is never below.

    Parameters
    ----------
    values, covariance
        Of the groups.
    errors
        As from `sampling_errors`.

    Examples
    --------
    >>> covariance = 0.01 * np.eye(6)
    >>> errors = sampling_errors(covariance, np.random.default_rng(0), 4_000)
    >>> found = gap(np.array([0.7, 0.75, 0.8, 0.82, 0.9, 0.95]), covariance, errors)
    >>> round(found.value, 2), round(found.chance, 2), found.corrected
    (0.25, 0.25, 0.0)
    """
    found = _corrected(_range, values, covariance, errors)
    return Spread(found.value, found.chance, float(np.maximum(found.corrected, 0.0)))


def ratio(values: Reals, covariance: Reals, errors: Reals) -> Spread:
    """Return the smallest over the largest value, of values at least 0; NaN where all are 0.

    Noise makes it too small; corrected as is `gap`, to at most 1.

    Examples
    --------
    >>> covariance = 0.0001 * np.eye(2)
    >>> errors = sampling_errors(covariance, np.random.default_rng(0), 4_000)
    >>> found = ratio(np.array([0.5, 0.8]), covariance, errors)
    >>> round(found.value, 3), round(found.chance, 3), round(found.corrected, 3)
    (0.625, 0.983, 0.625)
    """
    if not (values > 0.0).any():
        return Spread(np.nan, np.nan, np.nan)
    found = _corrected(_ratio, values, covariance, errors)
    return Spread(found.value, found.chance, float(np.clip(found.corrected, 0.0, 1.0)))


def between_variance(values: Reals, covariance: Reals) -> Spread:
    """Return the variance of the true values over the groups, by method of moments.

    `value` is the sample variance (divisor k - 1), `chance` what the sampling errors add to it,
    (trace less the mean of all covariances times k) / (k - 1), and `corrected` the difference, not
    below 0; `value` - `chance` itself is right on average, and may be negative.

    Parameters
    ----------
    values, covariance
        Of the groups.

    References
    ----------
    Lum, Zhang & Bower 2022, De-biasing "bias" measurement, FAccT 22:379 (for independent groups:
    less the mean sampling variance, as here with a diagonal covariance).

    Examples
    --------
    >>> found = between_variance(np.array([0.7, 0.8, 0.9]), 0.004 * np.eye(3))
    >>> round(found.value, 4), round(found.chance, 4), round(found.corrected, 4)
    (0.01, 0.004, 0.006)
    """
    values, covariance, _ = _present(values, covariance, None)
    k = len(values)
    if k < 2:
        return Spread(np.nan, np.nan, np.nan)
    value = float(np.var(values, ddof=1))
    added = float((np.trace(covariance) - covariance.sum() / k) / (k - 1))
    return Spread(value, added, max(value - added, 0.0))


def standard_deviation(values: Reals, covariance: Reals, errors: Reals) -> Spread:
    """Return the standard deviation of these groups' values, with divisor k, as toolkits print it.

    Corrected: the root of the corrected `between_variance`, times (k - 1) / k.

    Examples
    --------
    >>> covariance = 0.004 * np.eye(3)
    >>> errors = sampling_errors(covariance, np.random.default_rng(0), 4_000)
    >>> found = standard_deviation(np.array([0.7, 0.8, 0.9]), covariance, errors)
    >>> round(found.value, 3), round(found.chance, 3), round(found.corrected, 3)
    (0.082, 0.046, 0.063)
    """
    found = _corrected(_deviation, values, covariance, errors)
    variance = between_variance(values, covariance)
    k = np.count_nonzero(~np.isnan(values) & ~np.isnan(np.diag(covariance)))
    true = float(np.sqrt(variance.corrected * (k - 1) / k)) if k > 1 else np.nan
    return Spread(found.value, found.chance, true)


def equity_scaled_sum(overall: float, values: Reals, covariance: Reals, errors: Reals) -> Spread:
    """Return the overall value over 1 + the sum of the groups' absolute differences from it.

    Noise alone lowers it, the more groups there are; corrected as is `gap`, in the sum. The
    overall value is taken as known exactly.

    References
    ----------
    Luo et al. 2024, FairCLIP, CVPR: equity-scaled AUC.

    Examples
    --------
    >>> covariance = 0.0025 * np.eye(4)
    >>> errors = sampling_errors(covariance, np.random.default_rng(0), 4_000)
    >>> found = equity_scaled_sum(0.8, np.array([0.74, 0.86, 0.77, 0.83]), covariance, errors)
    >>> round(found.value, 3), round(found.chance, 3), round(found.corrected, 3)
    (0.678, 0.689, 0.764)
    """

    def total(rows: Reals) -> Reals:
        return np.asarray(np.abs(rows - overall).sum(axis=-1), dtype=np.float64)

    found = _corrected(total, values, covariance, errors, centre=overall)
    return _scaled(overall, found)


def equity_scaled_std(values: Reals, covariance: Reals, errors: Reals) -> Spread:
    """Return the mean over the groups, over 1 + their standard deviation.

    Not `equity_scaled_sum`, whose name it shares in the literature; FairMedFM's code takes the mean
    over images (`literature.equity_scaled_fairmedfm`). Corrected by `standard_deviation`.

    References
    ----------
    Jin et al. 2024, FairMedFM, NeurIPS Datasets and Benchmarks: equity-scaled Dice.

    Examples
    --------
    >>> covariance = 0.0025 * np.eye(4)
    >>> errors = sampling_errors(covariance, np.random.default_rng(0), 4_000)
    >>> found = equity_scaled_std(np.array([0.74, 0.86, 0.77, 0.83]), covariance, errors)
    >>> round(found.value, 3), round(found.chance, 3), round(found.corrected, 3)
    (0.764, 0.769, 0.785)
    """
    values, covariance, errors = _present(values, covariance, errors)
    mean = float(values.mean()) if len(values) else np.nan
    return _scaled(mean, standard_deviation(values, covariance, errors))


def gap_limits(
    values: Reals, covariance: Reals, errors: Reals, *, level: float
) -> tuple[float, float]:
    """Return limits between which the true gap lies, for description only.

    Warning: never judge by them; judge declared contrasts. They come from simultaneous intervals of
    all pairs (largest lower limit, largest upper limit) and hold at least as often as said where
    values are normal; of equal rates of 30 trials they held 92 % at 95 %. A lower limit of 0 says
    that no pair was shown to differ, not that none does.

    Parameters
    ----------
    values, covariance, errors
        Of the groups.
    level
        At least how often the limits hold the true gap.

    References
    ----------
    Hsu 1996, Multiple Comparisons, chapter 5 (all pairs).

    Examples
    --------
    >>> covariance = 0.0004 * np.eye(3)
    >>> errors = sampling_errors(covariance, np.random.default_rng(0), 4_000)
    >>> low, high = gap_limits(np.array([0.7, 0.8, 0.9]), covariance, errors, level=0.95)
    >>> round(low, 2), round(high, 2)
    (0.13, 0.27)
    """
    values, covariance, errors = _present(values, covariance, errors)
    if len(values) < 2:
        return np.nan, np.nan
    first, second = np.triu_indices(len(values), 1)
    variance = np.diag(covariance)
    error = variance[first] + variance[second] - 2.0 * covariance[first, second]
    error = np.sqrt(np.maximum(error, 0.0))
    flat = error <= 0.0
    scale = np.where(flat, np.inf, error)
    largest = np.array([np.max(np.abs(row[first] - row[second]) / scale) for row in errors])
    half = error * float(np.quantile(largest, level))
    apart = np.abs(values[first] - values[second])
    return float(max(np.max(apart - half), 0.0)), float(np.max(apart + half))


def expected_gap(errors: Reals) -> float:
    """Return the mean of largest minus smallest with no true difference, from joint draws.

    Examples
    --------
    >>> errors = sampling_errors(np.eye(6), np.random.default_rng(0), 20_000)
    >>> round(expected_gap(errors), 1)
    2.5
    """
    there = errors[:, ~np.isnan(errors).any(axis=0)]
    return float(_range(there).mean()) if there.shape[1] > 1 else np.nan


def expected_independent_gap(error: Reals) -> float:
    """Return the same for independent groups, by numerical integration.

    Parameters
    ----------
    error
        Standard error of each group, shape ``(k,)``, above 0.

    References
    ----------
    Tippett 1925, Biometrika 17:364: the integral of 1 - F**k - (1 - F)**k, here of unlike F.

    Examples
    --------
    >>> round(expected_independent_gap(np.ones(6)), 3)
    2.534
    """
    grid = np.linspace(-9.0, 9.0, _GRID)[:, None] * float(error.max())
    below = ndtr(grid / error)
    above = ndtr(-grid / error)
    inside = 1.0 - below.prod(axis=1) - above.prod(axis=1)
    return float(inside.sum() * (grid[1, 0] - grid[0, 0]))


def _corrected(
    statistic: Statistic,
    values: Reals,
    covariance: Reals,
    errors: Reals,
    *,
    centre: float | None = None,
) -> Spread:
    """Return a statistic of rows of values with the bias that noise gives it at shrunken values."""
    values, covariance, errors = _present(values, covariance, errors)
    if len(values) < 2:
        return Spread(np.nan, np.nan, np.nan)
    middle = float(values.mean()) if centre is None else centre
    truth = middle + _signal(values, covariance) @ (values - middle)
    bias = float(statistic(truth + errors).mean() - statistic(truth))
    value = float(statistic(values))
    return Spread(value, float(statistic(middle + errors).mean()), value - bias)


def _signal(values: Reals, covariance: Reals) -> Reals:
    """Return the matrix that shrinks departures from the mean to what is not noise."""
    between = between_variance(values, covariance).corrected
    if not between > 0.0:
        return np.zeros_like(covariance)
    return np.asarray(
        between * np.linalg.inv(between * np.eye(len(values)) + covariance), dtype=np.float64
    )


def _present(values: Reals, covariance: Reals, errors: Reals | None) -> tuple[Reals, Reals, Reals]:
    """Return the same of the groups that have a value and a variance."""
    there = ~np.isnan(values) & ~np.isnan(np.diag(covariance))
    drawn = np.empty((0, len(values))) if errors is None else errors
    if there.all():
        return values, covariance, drawn
    return values[there], covariance[np.ix_(there, there)], drawn[:, there]


def _scaled(overall: float, found: Spread) -> Spread:
    """Return the overall value divided by 1 + each number of a spread."""
    return Spread(
        overall / (1.0 + found.value),
        overall / (1.0 + found.chance),
        overall / (1.0 + float(np.maximum(found.corrected, 0.0))),
    )


def _range(rows: Reals) -> Reals:
    return np.asarray(np.ptp(rows, axis=-1), dtype=np.float64)


def _deviation(rows: Reals) -> Reals:
    return np.asarray(rows.std(axis=-1), dtype=np.float64)


def _ratio(rows: Reals) -> Reals:
    low, high = np.maximum(rows.min(axis=-1), 0.0), np.asarray(rows.max(axis=-1))
    found = np.divide(low, high, out=np.zeros_like(high), where=high > 0.0)
    return np.asarray(found, dtype=np.float64)
