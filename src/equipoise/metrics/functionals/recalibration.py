"""Calibration intercept and slope: how scores must be moved on the logit scale to be right.

Both are maximum-likelihood fits of one logistic regression per arm. Their influence values are
those of an M-estimator: the score of one image's likelihood, through the inverse information.
"""

import numpy as np
from scipy.special import expit, logit

from equipoise.metrics.functionals.levels import Flags, Reals, defined

CLIP = 1e-6
"""How far from 0 and 1 a score is kept before its logit is taken."""

_STEPS = 60
_ENOUGH = 1e-11
"""When no fitted parameter moves by more than this, relative to its size or to 1."""


def calibration_intercept(
    negative: Reals, positive: Reals, score: Reals, *, clip: float = CLIP
) -> tuple[Reals, Reals]:
    """Return the calibration intercept: the shift of all logits that makes the mean right.

    The slope is held at 1 (*calibration in the large*): 0 is right, negative where scores are too
    high. NaN if a class is absent.

    Parameters
    ----------
    negative, positive, score
        As everywhere in this package.
    clip
        Scores are kept this far from 0 and 1.

    References
    ----------
    Cox 1958, Biometrika 45:562; Van Calster et al. 2016, J. Clinical Epidemiology 74:167.

    Examples
    --------
    >>> counts = np.array([[1.0, 1]]), np.array([[1.0, 1]])
    >>> calibration_intercept(*counts, np.array([0.2, 0.2 + 1e-9]))[0].round(6).tolist()
    [1.386294]
    """
    x = _logits(score, clip)
    both = (negative.sum(axis=1) > 0) & (positive.sum(axis=1) > 0)
    total, p = negative + positive, positive.sum(axis=1)
    shift, low = np.zeros(len(total)), np.full(len(total), -2 * np.abs(x).max() - 50.0)
    high = -low
    for _ in range(_STEPS):
        chance = expit(x + shift[:, None])
        excess = p - (total * chance).sum(axis=1)
        low, high = np.where(excess >= 0, shift, low), np.where(excess <= 0, shift, high)
        information = (total * chance * (1 - chance)).sum(axis=1)
        step = shift + excess / np.where(information > 0, information, 1.0)
        inside = (step > low) & (step < high) & (information > 0)
        new = np.where(inside, step, (low + high) / 2)
        moved, shift = np.abs(new - shift) / (1 + np.abs(shift)), new
        if np.all(moved[both] < _ENOUGH):
            break
    chance = expit(x + shift[:, None])
    information = (total * chance * (1 - chance)).sum(axis=1, keepdims=True)
    safe = np.where(information > 0, information, 1.0)
    return defined(np.where(both, shift, np.nan), -chance / safe, (1 - chance) / safe)


def calibration_slope(
    negative: Reals, positive: Reals, score: Reals, *, clip: float = CLIP
) -> tuple[Reals, Reals]:
    """Return the calibration slope: below 1 where scores are too extreme.

    The coefficient of the logit of the score in a logistic regression with its own intercept. NaN
    where no finite one is the most likely: a class is absent, or the scores of the classes do not
    overlap (all positives at or above all negatives, or the reverse).

    Parameters
    ----------
    negative, positive, score
        As everywhere in this package.
    clip
        Scores are kept this far from 0 and 1; levels beyond count as tied.

    References
    ----------
    Cox 1958, Biometrika 45:562; Van Calster et al. 2016, J. Clinical Epidemiology 74:167; when
    the fit is finite: Albert & Anderson 1984, Biometrika 71:1.

    Examples
    --------
    >>> counts = np.array([[4.0, 2]]), np.array([[2.0, 4]])
    >>> calibration_slope(*counts, np.array([0.2, 0.8]))[0].round(6).tolist()
    [0.5]
    """
    x = _logits(score, clip)
    finite = overlapping(negative, positive, x)
    total = negative + positive
    n = np.where(finite, total.sum(axis=1), 1.0)[:, None]
    center = (total * x).sum(axis=1, keepdims=True) / n
    spread = np.sqrt((total * (x - center) ** 2).sum(axis=1, keepdims=True) / n)
    spread = np.where(spread > 0, spread, 1.0)
    z = (x - center) / spread
    fitted, converged = _fit(positive, total, z, finite)
    known = np.where(finite & converged, fitted[:, 1] / spread[:, 0], np.nan)
    chance = expit(fitted[:, :1] + fitted[:, 1:] * z)
    weight = total * chance * (1 - chance)
    s0, s1, s2 = (s[:, None] for s in _sums(weight, z))
    determinant = s0 * s2 - s1**2
    lever = (s0 * z - s1) / np.where(determinant > 0, determinant, 1.0) / spread
    return defined(known, -lever * chance, lever * (1 - chance))


def overlapping(negative: Reals, positive: Reals, x: Reals) -> Flags:
    """Return for which arms some negative lies above some positive, and the reverse.

    Examples
    --------
    >>> overlapping(np.array([[4.0, 0]]), np.array([[2.0, 4]]), np.array([-1.0, 1])).tolist()
    [False]
    """
    lowest = [np.where(side > 0, x, np.inf).min(axis=1) for side in (negative, positive)]
    highest = [np.where(side > 0, x, -np.inf).max(axis=1) for side in (negative, positive)]
    found: Flags = (highest[0] > lowest[1]) & (highest[1] > lowest[0])
    return found


def _logits(score: Reals, clip: float) -> Reals:
    found: Reals = logit(np.clip(np.asarray(score, dtype=np.float64), clip, 1 - clip))
    return found


def _sums(weight: Reals, z: Reals) -> tuple[Reals, Reals, Reals]:
    moved = weight * z
    return weight.sum(axis=1), moved.sum(axis=1), (moved * z).sum(axis=1)


def _likelihood(fitted: Reals, positive: Reals, total: Reals, z: Reals) -> Reals:
    eta = fitted[:, :1] + fitted[:, 1:] * z
    found: Reals = (positive * eta - total * np.logaddexp(0, eta)).sum(axis=1)
    return found


def _fit(positive: Reals, total: Reals, z: Reals, wanted: Flags) -> tuple[Reals, Flags]:
    """Return intercept and slope of every wanted arm by Newton's method, halved where it fails."""
    fitted = np.zeros((len(total), 2))
    size = np.ones(len(total))
    best = _likelihood(fitted, positive, total, z)
    done = ~wanted
    for _ in range(_STEPS):
        chance = expit(fitted[:, :1] + fitted[:, 1:] * z)
        left = positive - total * chance
        g0, g1 = left.sum(axis=1), (left * z).sum(axis=1)
        s0, s1, s2 = _sums(total * chance * (1 - chance), z)
        determinant = np.where(done, 1.0, s0 * s2 - s1**2)
        determinant = np.where(determinant > 0, determinant, np.inf)
        step = np.stack([s2 * g0 - s1 * g1, s0 * g1 - s1 * g0], axis=1) / determinant[:, None]
        small = np.abs(step).max(axis=1) < _ENOUGH * (1 + np.abs(fitted).max(axis=1))
        done |= small & np.isfinite(determinant)
        if done.all():
            break
        trial = fitted + np.where(done, 0.0, size)[:, None] * step
        reached = _likelihood(trial, positive, total, z)
        better = reached >= best - 1e-9 * (1 + np.abs(best))
        fitted = np.where(better[:, None], trial, fitted)
        best, size = np.where(better, reached, best), np.where(better, 1.0, size / 2)
    return fitted, done
