"""Areas under curves of precision, by the three definitions in use.

All but that in gains move with prevalence, so a difference between groups of unlike prevalence
need be no difference of the model.
"""

from functools import partial

import numpy as np

from equipoise.metrics.functionals.levels import Reals, above, averaged, defined, totals

_SMALL = 0.05
_TERMS = 12


def average_precision(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the average precision: AUPRC as a step function, ties entering together.

    That of scikit-learn's ``average_precision_score``; chance is the prevalence. NaN without
    positives.

    References
    ----------
    Buckley & Voorhees 2000, SIGIR 33; Boyd, Eng & Page 2013, ECML PKDD 451.

    Examples
    --------
    >>> negative, positive = np.array([[2.0, 1, 0]]), np.array([[0.0, 1, 1]])
    >>> average_precision(negative, positive, np.array([0.1, 0.2, 0.3]))[0].round(9).tolist()
    [0.833333333]
    """
    del score
    p, images = totals(positive)
    found = above(positive)
    called = found + above(negative)
    safe = np.where(called > 0, called, 1.0)
    precision = np.where(called > 0, found / safe, 1.0)
    value = (positive * precision).sum(axis=1, keepdims=True) / images
    later_found = np.cumsum(positive * (1 - precision) / safe, axis=1)
    later_called = np.cumsum(positive * precision / safe, axis=1)
    known = np.where(p > 0, value, np.nan)[:, 0]
    by_positive = (precision - value + later_found) / images
    return defined(known, -later_called / images, by_positive)


def auprc_interpolated(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the area under the precision-recall curve, interpolated as the ROC curve is.

    Between two thresholds false positives grow in proportion to true ones, so precision follows a
    hyperbola; the integral is exact. Above the highest level its precision holds. NaN without
    positives. A level above all counted ones has influence 0 (its derivative is not finite).

    References
    ----------
    Davis & Goadrich 2006, ICML 233; the continuous form: Keilwagen, Grosse & Grau 2014,
    PLOS ONE 9:e92209.

    Examples
    --------
    >>> negative, positive = np.array([[2.0, 1, 0]]), np.array([[0.0, 1, 1]])
    >>> auprc_interpolated(negative, positive, np.array([0.1, 0.2, 0.3]))[0].round(6).tolist()
    [0.887327]
    """
    del score
    p, images = totals(positive)
    both = positive + negative
    height, by_found, by_called, by_new, by_newly_called = _hyperbola(
        above(positive) - positive, above(both) - both, positive, both
    )
    value = (positive * height).sum(axis=1, keepdims=True) / images
    called = np.cumsum(positive * by_called, axis=1) - positive * by_called
    found = np.cumsum(positive * by_found, axis=1) - positive * by_found
    by_negative = (called + positive * by_newly_called) / images
    by_positive = by_negative + (height - value + found + positive * by_new) / images
    known = np.where(p > 0, value, np.nan)[:, 0]
    return defined(known, by_negative, by_positive)


def auprg(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the area under the precision-recall-gain curve, where recall gain is not negative.

    Chance is 0 and perfection 1 at every prevalence; it can be negative. Interpolated linearly
    between thresholds, which in gains is exact. NaN if a class is absent.

    References
    ----------
    Flach & Kull 2015, NeurIPS 28:838.

    Examples
    --------
    >>> negative, positive = np.array([[2.0, 1, 0]]), np.array([[0.0, 1, 1]])
    >>> auprg(negative, positive, np.array([0.1, 0.2, 0.3]))[0].round(6).tolist()
    [0.888889]
    """
    del score
    (n, others), (p, images) = totals(negative), totals(positive)
    share, odds = p / np.where(n + p > 0, n + p, 1.0), p / others
    share = np.where(share > 0, share, 1.0)
    missed, by_negative, by_positive = averaged(
        negative, positive, partial(_missed_gain, share=share)
    )
    upto = above(positive) / images
    part = positive / images
    crossed = np.where(
        part > 0, (share - upto + part) / np.where(part > 0, part, 1.0), upto < share
    )
    wrong = (negative * np.clip(crossed, 0, 1)).sum(axis=1, keepdims=True) / others
    by_share = odds * wrong / share**3
    known = np.where((n > 0) & (p > 0), 1 - odds * missed, np.nan)[:, 0]
    total = np.where(n + p > 0, n + p, 1.0)
    return defined(
        known,
        -odds * by_negative + odds / others * missed - by_share * p / total**2,
        -odds * by_positive - missed / others + by_share * n / total**2,
    )


def _missed_gain(low: Reals, high: Reals, *, share: Reals) -> tuple[Reals, Reals, Reals]:
    """Return the integral of recall ** -3 beyond a recall, on average from `low` to `high`."""
    width = high - low
    start, stop = np.maximum(low, share), np.maximum(high, share)
    before = np.maximum(np.minimum(high, share) - low, 0)
    area = before * (share**-2 - 1) / 2 + (stop - start) * (1 / (start * stop) - 1) / 2
    first, last = (start**-2 - 1) / 2, (stop**-2 - 1) / 2
    flat = width <= 0
    safe = np.where(flat, 1.0, width)
    mean = np.where(flat, first, area / safe)
    limit = -0.5 * start**-3 * (low >= share)
    return (
        mean,
        np.where(flat, limit, (mean - first) / safe),
        np.where(flat, limit, (last - mean) / safe),
    )


def _hyperbola(
    found: Reals, called: Reals, new: Reals, newly_called: Reals
) -> tuple[Reals, Reals, Reals, Reals, Reals]:
    """Return the mean precision from one threshold to the next, and its four derivatives."""
    top = called <= 0
    scale = np.where(top, 1.0, called)
    ratio = np.where(top, 0.0, newly_called / scale)
    a0, a1, b0, b1, b2 = _integrals(ratio)
    some = np.where(newly_called > 0, newly_called, 1.0)
    first = np.where(newly_called > 0, new / some, 1.0)
    return (
        np.where(top, first, (found * a0 + new * a1) / scale),
        np.where(top, 0.0, a0 / scale),
        np.where(top, 0.0, -(found * b0 + new * b1) / scale**2),
        np.where(top, 1 / some, a1 / scale),
        np.where(top, -first / some, -(found * b1 + new * b2) / scale**2),
    )


def _integrals(z: Reals) -> tuple[Reals, Reals, Reals, Reals, Reals]:
    """Return the integrals over t in [0, 1] of t^k / (1 + tz)^j: (0,1) (1,1) (0,2) (1,2) (2,2)."""
    safe = np.maximum(z, _SMALL)
    a0 = np.log1p(safe) / safe
    b0 = 1 / (1 + z)
    a1 = (1 - a0) / safe
    b1 = (a0 - 1 / (1 + safe)) / safe
    b2 = (a1 - b1) / safe
    small = z < _SMALL
    if small.any():
        x = -z[small]
        k = np.arange(_TERMS)
        series = [1 / (k + 1), 1 / (k + 2), (k + 1) / (k + 2), (k + 1) / (k + 3)]
        a0[small], a1[small], b1[small], b2[small] = (
            np.polynomial.polynomial.polyval(x, coefficients) for coefficients in series
        )
    return a0, a1, b0, b1, b2
