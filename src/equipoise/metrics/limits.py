"""The limits of every arm and every contrast of one question, at a given z."""

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.intervals import (
    freedom,
    logit_limits,
    mover,
    rate_limits,
    widened,
    wilson,
)
from equipoise.metrics.numbers import Numbers

Reals = npt.NDArray[np.float64]
Pair = tuple[Reals, Reals]


def arm_limits(
    found: Numbers, variance: Reals, fourth: Reals, *, z: float, bounded: bool = True
) -> Pair:
    """Return low and high of each arm, shape ``(arms,)``, NaN where it is not assessable.

    Rates: Wilson at the effective number of trials. AUROC and means: logit scale, Student's t;
    where the variance is zero, as at an AUROC of 1, Wilson with a patient of the smaller class
    as one trial, which is wider than any ranking of so many patients needs. What does not lie in
    [0, 1]: its own scale, Student's t.

    Parameters
    ----------
    found
        Values and numbers of one question; it has trials if the metric is a rate.
    variance, fourth
        Sums over patients of squares and fourth powers of the influence values.
    z
        Half-width in standard errors.
    bounded
        Whether the metric lies in [0, 1].

    Examples
    --------
    >>> n = np.array([40])
    >>> found = Numbers(np.array([0.5]), n // 2, n, n, (n, n), (n, n), (None,))
    >>> low, high = arm_limits(found, np.array([0.25 / 39]), np.zeros(1), z=1.96)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.352], [0.648])
    """
    low, high = np.full_like(found.value, np.nan), np.full_like(found.value, np.nan)
    fine = found.assessable
    value, patients = found.value[fine], found.patients[fine].astype(np.float64)
    if found.trials is not None:
        trials = found.trials[fine].astype(np.float64)
        low[fine], high[fine] = rate_limits(value, variance[fine], trials, patients, z)
        return low, high
    flat = is_flat(found, variance, bounded=bounded)
    low[flat], high[flat] = wilson(found.value[flat], found.patients[flat].astype(np.float64), z)
    smooth = fine & ~flat
    degrees = freedom(variance[smooth], fourth[smooth], found.patients[smooth].astype(np.float64))
    error, width = np.sqrt(variance[smooth]), widened(z, degrees)
    if bounded:
        low[smooth], high[smooth] = logit_limits(found.value[smooth], error, width)
    else:
        low[smooth] = found.value[smooth] - width * error
        high[smooth] = found.value[smooth] + width * error
    return low, high


def is_flat(found: Numbers, variance: Reals, *, bounded: bool = True) -> npt.NDArray[np.bool_]:
    """Return which assessable arms have no variance or a value at the edge, shape ``(arms,)``.

    Without bounds there is no edge: an estimate without variance has an interval of no width.

    Examples
    --------
    >>> n = np.array([40])
    >>> found = Numbers(np.array([0.5]), n // 2, n, n, (n, n), (n, n), (None,))
    >>> is_flat(found, np.array([0.0])).tolist()
    [True]
    """
    if not bounded:
        return np.zeros(len(variance), dtype=bool)
    inner = (found.value > 0.0) & (found.value < 1.0)
    return found.assessable & ~((variance > 0.0) & inner)


def contrast_limits(
    found: Numbers,
    variance: Reals,
    covariance: Reals,
    compared: Arms,
    limits: Pair,
    *,
    bounded: bool = True,
) -> tuple[Reals, Reals, Reals]:
    """Return difference, low and high of each contrast, shape ``(contrasts,)``.

    Parameters
    ----------
    found
        Values of the arms.
    variance, covariance
        Of each arm, and of the two arms of each contrast.
    compared
        The contrasts.
    limits
        Low and high of each arm, at the z that the contrast shall have.
    bounded
        Whether the metric lies in [0, 1].

    Examples
    --------
    >>> n, inside = np.array([40, 40]), np.ones((2, 1), dtype=bool)
    >>> found = Numbers(np.array([0.5, 0.25]), n // 2, n, n, (n, n), (n, n), (None, None))
    >>> from equipoise.metrics.arms import Contrast
    >>> one = Contrast(0, 1, "reference", "sex=M")
    >>> compared = Arms(inside, ("sex=F", "sex=M"), (one,), ({"sex": "F"}, {"sex": "M"}))
    >>> limits = np.array([0.3, 0.2]), np.array([0.7, 0.3])
    >>> made = contrast_limits(found, np.ones(2), np.zeros(1), compared, limits)
    >>> [float(part[0].round(3)) for part in made]
    [0.25, 0.044, 0.456]
    """
    first = np.array([c.group for c in compared.contrasts], dtype=np.int64)
    second = np.array([c.against for c in compared.contrasts], dtype=np.int64)
    scale = np.sqrt(variance[first] * variance[second])
    together = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0.0)
    low, high = mover(
        (found.value[first], limits[0][first], limits[1][first]),
        (found.value[second], limits[0][second], limits[1][second]),
        np.clip(together, -1.0, 1.0),
    )
    if bounded:
        low, high = np.maximum(low, -1.0), np.minimum(high, 1.0)
    return found.value[first] - found.value[second], low, high
