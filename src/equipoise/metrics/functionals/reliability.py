"""Calibration by bins of the score: the errors under names that tell the definitions apart.

Compared groups must share their edges, else their errors answer different questions. A score
belongs to the bin whose upper edge it does not exceed; the first bin includes its lower edge.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.functionals.levels import Integers, Reals, defined, totals


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability curve: a point per arm and bin.

    Parameters
    ----------
    edges
        Shape ``(bins + 1,)``, the same for all arms.
    images, positives
        Shape ``(arms, bins)``.
    expected, observed
        Mean score and share of positives, shape ``(arms, bins)``; NaN where a bin is empty.
    """

    edges: Reals
    images: Reals
    positives: Reals
    expected: Reals
    observed: Reals


def equal_width_edges(bins: int = 15) -> Reals:
    """Return the edges of bins of equal width on [0, 1].

    Examples
    --------
    >>> equal_width_edges(4).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return np.linspace(0.0, 1.0, bins + 1)


def equal_mass_edges(count: Reals, score: Reals, bins: int = 15) -> Reals:
    """Return edges between which about equally many images lie: to be shared by all arms.

    Parameters
    ----------
    count
        Images per level, shape ``(levels,)``, of everybody (not of one arm).
    score
        The levels, ascending.
    bins
        How many are asked for; where many images share a score there are fewer.

    Examples
    --------
    >>> equal_mass_edges(np.ones(4), np.array([0.1, 0.2, 0.3, 0.9]), 2).tolist()
    [0.0, 0.2, 1.0]
    """
    running = np.cumsum(count) / max(float(count.sum()), 1.0)
    place = np.searchsorted(running, np.arange(1, bins) / bins - 1e-12)
    inner = np.unique(np.asarray(score, dtype=np.float64)[np.minimum(place, len(score) - 1)])
    return np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]])


def reliability(negative: Reals, positive: Reals, score: Reals, *, edges: Reals) -> Reliability:
    """Return mean score and share of positives per bin, with counts.

    References
    ----------
    Murphy & Winkler 1977, Applied Statistics 26:41.

    Examples
    --------
    >>> curve = reliability(np.array([[3.0, 0]]), np.array([[1.0, 2]]), np.array([0.2, 0.9]),
    ...                     edges=equal_width_edges(2))
    >>> curve.expected.round(9).tolist(), curve.observed.tolist()
    ([[0.2, 0.9]], [[0.25, 1.0]])
    """
    bins = _bins(score, edges)
    total = negative + positive
    images, positives, expected = (
        _summed(part, bins, len(edges) - 1) for part in (total, positive, total * score)
    )
    safe = np.where(images > 0, images, np.nan)
    return Reliability(edges, images, positives, expected / safe, positives / safe)


def ece(negative: Reals, positive: Reals, score: Reals, *, edges: Reals) -> tuple[Reals, Reals]:
    """Return the expected calibration error over declared bins, as it is: biased upwards.

    The mean over images of the distance of mean score and share of positives in their bin. The
    fewer images the higher, whatever the model, so it invents differences between groups: see
    `squared_calibration_error` for one that does not. In a bin without any difference the
    influence of the distance is taken as 0.

    Parameters
    ----------
    negative, positive, score
        As everywhere in this package.
    edges
        As `equal_width_edges` or `equal_mass_edges` give them, the same for all groups.

    References
    ----------
    Naeini, Cooper & Hauskrecht 2015, AAAI 29:2901; Guo et al. 2017, ICML 70:1321.

    Examples
    --------
    >>> counts = np.array([[3.0, 0]]), np.array([[1.0, 2]])
    >>> ece(*counts, np.array([0.2, 0.9]), edges=equal_width_edges(2))[0].round(9).tolist()
    [0.066666667]
    """
    bins = _bins(score, edges)
    difference = _summed((negative + positive) * score - positive, bins, len(edges) - 1)
    return _absolute(negative, positive, score, difference, np.sign(difference)[:, bins])


def ece_equal_width(
    negative: Reals, positive: Reals, score: Reals, *, bins: int = 15
) -> tuple[Reals, Reals]:
    """Return the expected calibration error over bins of equal width on [0, 1], common to all.

    References
    ----------
    Guo et al. 2017, ICML 70:1321.

    Examples
    --------
    >>> counts = np.array([[3.0, 0]]), np.array([[1.0, 2]])
    >>> ece_equal_width(*counts, np.array([0.2, 0.9]), bins=2)[0].round(9).tolist()
    [0.066666667]
    """
    return ece(negative, positive, score, edges=equal_width_edges(bins))


def ece_data_range(
    negative: Reals, positive: Reals, score: Reals, *, bins: int = 10
) -> tuple[Reals, Reals]:
    """Return the expected calibration error over bins of each group's own range of scores.

    For comparison with published values only: the bins of two groups differ, so the difference of
    their errors mixes calibration with the spread of scores. The influence takes each group's
    edges as fixed. NaN where an arm is empty.

    References
    ----------
    As computed (``pandas.cut``) by MEDFAIR, Zong et al. 2023, ICLR, and FairMedFM, Jin et al.
    2024, NeurIPS.

    Examples
    --------
    >>> counts = np.array([[3.0, 0]]), np.array([[1.0, 2]])
    >>> ece_data_range(*counts, np.array([0.2, 0.9]))[0].round(9).tolist()
    [0.066666667]
    """
    total = negative + positive
    place = np.stack([_own_bins(row, score, bins) for row in total])
    flat = place + bins * np.arange(len(total))[:, None]
    excess = total * score - positive
    size = bins * len(total)
    summed = np.bincount(flat.ravel(), excess.ravel(), minlength=size).astype(np.float64)
    difference: Reals = summed.reshape(len(total), bins)
    sign = np.take_along_axis(np.sign(difference), place, axis=1)
    return _absolute(negative, positive, score, difference, sign)


def squared_calibration_error(
    negative: Reals, positive: Reals, score: Reals, *, edges: Reals
) -> tuple[Reals, Reals]:
    """Return the mean squared calibration error over declared bins, corrected for chance.

    From each bin's squared distance the variance of its share of positives is taken off, so that
    the expectation does not grow as groups get smaller; it can be negative, which says: no error
    is seen. Images are taken as independent in the correction. A bin with one image adds 0. The
    correction itself shrinks with n, so the influence is the derivative at a fixed number of
    images.

    Parameters
    ----------
    negative, positive, score
        As everywhere in this package.
    edges
        As `equal_width_edges` or `equal_mass_edges` give them, the same for all groups.

    References
    ----------
    Kumar, Liang & Ma 2019, NeurIPS 32:3792; Bröcker 2012, Climate Dynamics 39:655; compared
    with others in arXiv 2302.08851.

    Examples
    --------
    >>> counts = np.array([[30.0, 0]]), np.array([[10.0, 20]])
    >>> scores, edges = np.array([0.2, 0.9]), equal_width_edges(2)
    >>> squared_calibration_error(*counts, scores, edges=edges)[0].round(9).tolist()
    [0.001794872]
    """
    place = _bins(score, edges)
    total = negative + positive
    images, p, expected = (
        _summed(part, place, len(edges) - 1) for part in (total, positive, total * score)
    )
    n, everybody = totals(total)
    enough = images > 1
    size, fewer = np.where(enough, images, 1.0), np.where(enough, images - 1, 1.0)
    distance, rate = (expected - p) / size, p / size
    term = np.where(enough, images * distance**2 - images * rate * (1 - rate) / fewer, 0.0)
    value = term.sum(axis=1, keepdims=True) / everybody
    # term = D^2/n - p (n - p) / (n (n - 1)), with D the sum of score less label of the bin
    spread = p * (images - p) / (size * fewer)
    by_size = -(distance**2) - p / (size * fewer) + spread * (1 / size + 1 / fewer)
    by_positive = -(images - 2 * p) / (size * fewer)
    slope, by_size, by_positive = (
        np.where(enough, part, 0.0)[:, place] for part in (2 * distance, by_size, by_positive)
    )
    of_negative = (by_size + slope * score - value) / everybody
    of_positive = (by_size + slope * (score - 1) + by_positive - value) / everybody
    excess = (negative * of_negative + positive * of_positive).sum(axis=1, keepdims=True)
    known = np.where(n[:, 0] > 0, value[:, 0], np.nan)
    return defined(known, of_negative - excess / everybody, of_positive - excess / everybody)


def rms_calibration_error(
    negative: Reals, positive: Reals, score: Reals, *, edges: Reals
) -> tuple[Reals, Reals]:
    """Return the root of the squared calibration error corrected for chance, 0 where negative.

    In units of probability. Where the correction takes everything the value is 0 and so is the
    influence: no interval can be had from it there, use `squared_calibration_error`.

    References
    ----------
    Kumar, Liang & Ma 2019, NeurIPS 32:3792; arXiv 2302.08851.

    Examples
    --------
    >>> counts = np.array([[30.0, 0]]), np.array([[10.0, 20]])
    >>> scores, edges = np.array([0.2, 0.9]), equal_width_edges(2)
    >>> rms_calibration_error(*counts, scores, edges=edges)[0].round(6).tolist()
    [0.042366]
    """
    squared, influence = squared_calibration_error(negative, positive, score, edges=edges)
    value = np.sqrt(np.maximum(squared, 0.0))
    halved = np.divide(0.5, value, out=np.zeros_like(value), where=value > 0)
    return value, influence * halved[:, None, None]


BINNED: dict[str, Callable[..., tuple[Reals, Reals]]] = {
    "ece": ece,
    "rms_calibration_error": rms_calibration_error,
    "squared_calibration_error": squared_calibration_error,
}
"""What takes declared edges."""


def _bins(score: Reals, edges: Reals) -> Integers:
    edges = np.asarray(edges, dtype=np.float64)
    if len(edges) < 2 or np.any(np.diff(edges) <= 0):
        raise InvalidConfiguration(
            f"calibration: edges {edges.tolist()}; expected at least two, ascending"
        )
    if len(score) and (score[0] < edges[0] or score[-1] > edges[-1]):
        raise InvalidConfiguration(
            f"calibration: scores from {score[0]:g} to {score[-1]:g} are not all within the edges "
            f"from {edges[0]:g} to {edges[-1]:g}"
        )
    return np.searchsorted(edges[1:-1], score, side="left").astype(np.int64)


def _own_bins(count: Reals, score: Reals, bins: int) -> Integers:
    """Return the bin of each level as ``pandas.cut`` gives it for the levels that occur."""
    seen = score[count > 0]
    if not len(seen):
        return np.zeros(len(score), dtype=np.int64)
    low, high = float(seen[0]), float(seen[-1])
    if low == high:
        margin = 0.001 * abs(low) if low else 0.001
        low, high = low - margin, high + margin
    edges = np.linspace(low, high, bins + 1)
    return np.searchsorted(edges[1:-1], score, side="left").astype(np.int64)


def _summed(values: Reals, bins: Integers, n: int) -> Reals:
    """Return sums of the levels of each bin, shape ``(arms, n)``; levels ascend, so bins do."""
    found = np.zeros((len(values), n))
    if len(bins):
        start = np.flatnonzero(np.diff(bins, prepend=-1))
        found[:, bins[start]] = np.add.reduceat(values, start, axis=1)
    return found


def _absolute(
    negative: Reals, positive: Reals, score: Reals, difference: Reals, sign: Reals
) -> tuple[Reals, Reals]:
    n, images = totals(negative + positive)
    value = np.abs(difference).sum(axis=1, keepdims=True) / images
    known = np.where(n > 0, value, np.nan)[:, 0]
    return defined(known, (sign * score - value) / images, (sign * (score - 1) - value) / images)
