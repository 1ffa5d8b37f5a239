"""Means over images: Brier, log loss, the mean score, and expected over observed positives.

An image's influence is its own term less the mean, over their number.
"""

import numpy as np

from equipoise.metrics.functionals.levels import Reals, defined, totals

CLIP = float(np.finfo(np.float64).eps)
"""How far from 0 and 1 a score is kept where its logarithm is taken."""


def brier(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the mean squared distance of score and label; it moves with prevalence.

    References
    ----------
    Brier 1950, Monthly Weather Review 78:1.

    Examples
    --------
    >>> brier(np.array([[1.0, 0]]), np.array([[0.0, 1]]), np.array([0.2, 0.6]))[0].round(9).tolist()
    [0.1]
    """
    return _mean(negative, positive, score**2, (1 - score) ** 2)


def log_loss(
    negative: Reals, positive: Reals, score: Reals, *, clip: float = CLIP
) -> tuple[Reals, Reals]:
    """Return the mean binary cross-entropy in nats (BCE), scores kept `clip` off 0 and 1.

    Parameters
    ----------
    negative, positive, score
        As everywhere in this package.
    clip
        One confident error costs at most its negative logarithm: 36 by default, which is that of
        scikit-learn; PyTorch bounds the logarithm at 100 instead.

    References
    ----------
    Good 1952, J. Royal Statistical Society B 14:107.

    Examples
    --------
    >>> both = np.array([[1.0, 0]]), np.array([[0.0, 1]])
    >>> log_loss(*both, np.array([0.5, 0.5]))[0].round(6).tolist()
    [0.693147]
    """
    kept = np.clip(score, clip, 1 - clip)
    return _mean(negative, positive, -np.log1p(-kept), -np.log(kept))


def mean_score(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the mean score of all images: the prevalence that the model expects.

    Examples
    --------
    >>> counts = np.array([[3.0, 0]]), np.array([[0.0, 1]])
    >>> mean_score(*counts, np.array([0.2, 0.8]))[0].round(9).tolist()
    [0.35]
    """
    return _mean(negative, positive, score, score)


def mean_score_of_positives(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the mean score of images with the finding; NaN without any.

    Equal between groups where the model is balanced for the positive class (Kleinberg,
    Mullainathan & Raghavan 2017, ITCS 43).

    Examples
    --------
    >>> counts = np.array([[3.0, 1]]), np.array([[1.0, 1]])
    >>> mean_score_of_positives(*counts, np.array([0.2, 0.6]))[0].round(9).tolist()
    [0.4]
    """
    value, influence = _mean(0 * negative, positive, score, score)
    influence[:, 0] = 0
    return value, influence


def mean_score_of_negatives(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the mean score of images without the finding; NaN without any.

    Equal between groups where the model is balanced for the negative class (Kleinberg,
    Mullainathan & Raghavan 2017, ITCS 43).

    Examples
    --------
    >>> counts = np.array([[3.0, 1]]), np.array([[1.0, 1]])
    >>> mean_score_of_negatives(*counts, np.array([0.2, 0.6]))[0].round(9).tolist()
    [0.3]
    """
    value, influence = _mean(negative, 0 * positive, score, score)
    influence[:, 1] = 0
    return value, influence


def expected_observed_ratio(negative: Reals, positive: Reals, score: Reals) -> tuple[Reals, Reals]:
    """Return the expected over the observed positives: above 1 where the model says too many.

    NaN without positives.

    References
    ----------
    Debray et al. 2017, BMJ 356:i6460.

    Examples
    --------
    >>> counts = np.array([[3.0, 0]]), np.array([[0.0, 1]])
    >>> expected_observed_ratio(*counts, np.array([0.2, 0.6]))[0].round(9).tolist()
    [1.2]
    """
    p, images = totals(positive)
    value = (negative + positive) @ score / images[:, 0]
    known = np.where(p[:, 0] > 0, value, np.nan)
    by_negative = score / images
    return defined(known, by_negative, by_negative - value[:, None] / images)


def _mean(
    negative: Reals, positive: Reals, of_negative: Reals, of_positive: Reals
) -> tuple[Reals, Reals]:
    n, images = totals(negative + positive)
    value = (negative @ of_negative + positive @ of_positive) / images[:, 0]
    known = np.where(n[:, 0] > 0, value, np.nan)
    return defined(
        known, (of_negative - value[:, None]) / images, (of_positive - value[:, None]) / images
    )
