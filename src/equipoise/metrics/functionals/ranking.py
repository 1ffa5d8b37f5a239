"""How well scores rank positives above negatives: AUROC, whole and over a range of FPR.

Equal scores count half: the ROC curve is a straight line across a tie, as everywhere in this
package. See the package for the shape of arguments and results.
"""

from functools import partial

import numpy as np

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.functionals.levels import Reals, averaged, defined, totals


def auroc(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the area under the ROC curve: how often a positive outranks a negative.

    NaN if a class is absent.

    References
    ----------
    Bamber 1975, J. Mathematical Psychology 12:387; the influence values are the placements of
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837.

    Examples
    --------
    >>> negative, positive = np.array([[2.0, 1, 0]]), np.array([[0.0, 1, 1]])
    >>> auroc(negative, positive, np.array([0.1, 0.2, 0.3]))[0].round(6).tolist()
    [0.916667]
    """
    del score
    n, others = totals(negative)
    p, images = totals(positive)
    below = (np.cumsum(negative, axis=1) - negative / 2) / others
    higher = (p - np.cumsum(positive, axis=1) + positive / 2) / images
    value = (positive * below).sum(axis=1, keepdims=True) / images
    known = np.where((n > 0) & (p > 0), value, np.nan)[:, 0]
    return defined(known, (higher - value) / others, (below - value) / images)


def partial_auroc(
    negative: Reals, positive: Reals, score: Reals, *, lowest: float = 0.0, highest: float
) -> tuple[Reals, Reals]:
    """Return the area under the ROC curve between two false positive rates, as it is.

    Parameters
    ----------
    negative, positive, score
        As everywhere in this package.
    lowest, highest
        The range of false positive rates, within [0, 1]; the area is at most their difference.

    Raises
    ------
    InvalidConfiguration
        If the range is empty or not in [0, 1].

    References
    ----------
    McClish 1989, Medical Decision Making 9:190; Dodd & Pepe 2003, Biometrics 59:614.

    Examples
    --------
    >>> negative, positive = np.array([[2.0, 2, 0]]), np.array([[0.0, 1, 1]])
    >>> partial_auroc(negative, positive, np.array([0.1, 0.2, 0.3]), highest=0.5)[0].tolist()
    [0.375]
    """
    del score
    if not 0 <= lowest < highest <= 1:
        raise InvalidConfiguration(
            f"partial AUROC: false positive rates from {lowest} to {highest}; "
            "expected 0 <= lowest < highest <= 1"
        )
    value, by_positive, by_negative = averaged(
        positive, negative, partial(_length_left, lowest=lowest, highest=highest)
    )
    both = (negative.sum(axis=1) > 0) & (positive.sum(axis=1) > 0)
    return defined(np.where(both, value[:, 0], np.nan), by_negative, by_positive)


def partial_auroc_standardized(
    negative: Reals, positive: Reals, score: Reals, *, lowest: float = 0.0, highest: float
) -> tuple[Reals, Reals]:
    """Return the partial AUROC stretched so that chance is 0.5 and perfection 1.

    With ``lowest=0`` that of scikit-learn's ``roc_auc_score(..., max_fpr=highest)``.

    References
    ----------
    McClish 1989, Medical Decision Making 9:190.

    Examples
    --------
    >>> negative, positive = np.array([[2.0, 2, 0]]), np.array([[0.0, 1, 1]])
    >>> scores = np.array([0.1, 0.2, 0.3])
    >>> partial_auroc_standardized(negative, positive, scores, highest=0.5)[0].round(9).tolist()
    [0.833333333]
    """
    area, influence = partial_auroc(negative, positive, score, lowest=lowest, highest=highest)
    chance, perfect = (highest**2 - lowest**2) / 2, highest - lowest
    stretch = 0.5 / (perfect - chance)
    return 0.5 + (area - chance) * stretch, influence * stretch


def _length_left(
    low: Reals, high: Reals, *, lowest: float, highest: float
) -> tuple[Reals, Reals, Reals]:
    """Return how much of the range lies beyond a share, on average from `low` to `high`."""
    width = high - low
    start, stop = np.clip(low, lowest, highest), np.clip(high, lowest, highest)
    before = np.maximum(np.minimum(high, lowest) - low, 0)
    area = before * (highest - lowest) + (stop - start) * (highest - (start + stop) / 2)
    flat = width <= 0
    safe = np.where(flat, 1.0, width)
    mean = np.where(flat, highest - start, area / safe)
    limit = -0.5 * ((low >= lowest) & (low <= highest))
    by_low = np.where(flat, limit, (mean - (highest - start)) / safe)
    by_high = np.where(flat, limit, ((highest - stop) - mean) / safe)
    return mean, by_low, by_high
