"""How far values of different groups are apart, with the gradient: means, kernels, covariances."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Discrepancy = Callable[[Reals], tuple[float, Reals]]
"""Values ``(n, k)`` → how far groups are apart in them, and the gradient ``(n, k)``."""

_BLOCK = 256
"""Rows whose random features stay in a processor's cache together."""


def between_groups(codes: Codes) -> Reals:
    """Return a contrast per pair of groups ``(pairs, n)``: mean of the one less that of the other.

    Rows of code -1 are in none.

    Examples
    --------
    >>> between_groups(np.array([0, 0, 1, -1])).tolist()
    [[0.5, 0.5, -1.0, 0.0]]
    """
    means = _means(codes)
    pairs = [(i, j) for i in range(len(means)) for j in range(i + 1, len(means))]
    return np.array([means[i] - means[j] for i, j in pairs]).reshape(len(pairs), len(codes))


def within_labels(codes: Codes, y: npt.NDArray[np.bool_]) -> Reals:
    """Return a contrast per cell ``(cells, n)``: its mean less that of all rows of its label.

    Examples
    --------
    >>> found = within_labels(np.array([0, 1, 0, 1]), np.array([True, True, False, False]))
    >>> found[0].tolist()
    [0.0, 0.0, 0.5, -0.5]
    """
    found = []
    for label in (False, True):
        inside = (y == label) & (codes >= 0)
        everyone = inside / max(int(inside.sum()), 1)
        for place in range(int(codes.max()) + 1):
            cell = inside & (codes == place)
            if cell.any():
                found.append(cell / int(cell.sum()) - everyone)
    return np.array(found).reshape(len(found), len(codes))


def mean_gaps(contrasts: Reals) -> Discrepancy:
    """Return the mean square of contrasts of means as a discrepancy.

    Examples
    --------
    >>> far = mean_gaps(np.array([[1.0, -1.0]]))
    >>> far(np.array([[3.0], [1.0]]))[0]
    4.0
    """

    def discrepancy(values: Reals) -> tuple[float, Reals]:
        gaps = contrasts @ values
        n = max(len(contrasts), 1)
        return float((gaps**2).sum()) / n, (2.0 / n) * (contrasts.T @ gaps)

    return discrepancy


def kernel_gaps(
    contrasts: Reals,
    k: int,
    *,
    bandwidths: tuple[float, ...],
    n_features: int,
    rng: np.random.Generator,
) -> Discrepancy:
    """Return the squared maximum mean discrepancy under a sum of Gaussian kernels.

    The kernels ``exp(-γ |u - v|²)`` are those of random Fourier features drawn once, so that a
    pass takes time in proportion to the rows and not to their square.

    Parameters
    ----------
    contrasts
        ``(c, n)``; the mean over them is taken.
    k
        Columns of the values that will be given.
    bandwidths
        γ; of each, divided by k, as many features.
    n_features
        In all.
    rng
        Draws the features.

    References
    ----------
    Gretton et al., *A kernel two-sample test*, JMLR 13, 2012. Rahimi and Recht, *Random features
    for large-scale kernel machines*, NeurIPS 2007.

    Examples
    --------
    >>> far = kernel_gaps(np.array([[1.0, -1.0]]), 1, bandwidths=(1.0,), n_features=500,
    ...                   rng=np.random.default_rng(0))
    >>> round(far(np.array([[1.0], [1.0]]))[0], 3), round(far(np.array([[0.0], [9.0]]))[0], 1)
    (0.0, 1.9)
    """
    each = max(1, n_features // len(bandwidths))
    widths = np.repeat(np.sqrt(2.0 * np.array(bandwidths) / k), each)
    angles = rng.normal(size=(k, len(widths))) * widths
    shift = rng.uniform(0.0, 2.0 * np.pi, size=len(widths))
    n, size = max(len(contrasts), 1), 2.0 / len(widths)
    sines = np.empty((contrasts.shape[1], len(widths)))
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(sines), _BLOCK)]

    def discrepancy(values: Reals) -> tuple[float, Reals]:
        gaps = np.zeros((len(contrasts), len(widths)))
        for block in blocks:
            cosine, sines[block] = _turned(values[block] @ angles + shift)
            gaps += contrasts[:, block] @ cosine
        gradient = np.empty_like(values)
        for block in blocks:
            by_phase = sines[block] * (contrasts[:, block].T @ gaps)
            gradient[block] = by_phase @ angles.T
        return size / n * float((gaps**2).sum()), (-2.0 * size / n) * gradient

    return discrepancy


def _turned(phase: Reals) -> tuple[Reals, Reals]:
    """Return cosine and sine, to rounding, of one tangent of half the angle.

    NumPy computes tangents of Float64 many at once where the processor can, sines one by one.
    """
    half = np.tan(0.5 * phase)
    square = half**2
    shrunk = 1.0 / (1.0 + square)
    return (1.0 - square) * shrunk, 2.0 * half * shrunk


def covariance_gaps(codes: Codes) -> Discrepancy:
    """Return the squared difference of means and covariances, each averaged over its entries.

    Examples
    --------
    >>> far = covariance_gaps(np.array([0, 0, 1, 1]))
    >>> far(np.array([[0.0], [2.0], [0.0], [2.0]]))[0]
    0.0
    """
    places = [np.flatnonzero(codes == place) for place in range(int(codes.max()) + 1)]
    pairs = [(i, j) for i in range(len(places)) for j in range(i + 1, len(places))]

    def discrepancy(values: Reals) -> tuple[float, Reals]:
        k = values.shape[1]
        means = np.array([values[one].mean(axis=0) for one in places])
        centred = [values[one] - mean for one, mean in zip(places, means, strict=True)]
        spreads = np.array([one.T @ one / max(len(one) - 1, 1) for one in centred])
        of_mean, of_spread = np.zeros_like(means), np.zeros_like(spreads)
        total = 0.0
        for i, j in pairs:
            apart, bent = means[i] - means[j], spreads[i] - spreads[j]
            total += float((apart**2).mean() + (bent**2).mean())
            for place, sign in ((i, 1.0), (j, -1.0)):
                of_mean[place] += sign * 2.0 * apart / k
                of_spread[place] += sign * 2.0 * bent / k**2
        gradient = np.zeros_like(values)
        for place, one in enumerate(places):
            gradient[one] = of_mean[place] / len(one)
            gradient[one] += 2.0 * centred[place] @ of_spread[place] / max(len(one) - 1, 1)
        return total / len(pairs), gradient / len(pairs)

    return discrepancy


def standardised(discrepancy: Discrepancy) -> Discrepancy:
    """Return a discrepancy of the values brought to mean 0 and spread 1 column by column.

    Otherwise groups could be brought together by shrinking everybody, which changes nothing.

    Examples
    --------
    >>> far = standardised(mean_gaps(np.array([[1.0, -1.0]])))
    >>> round(far(np.array([[0.0], [2.0]]))[0], 6) == round(far(np.array([[0.0], [4.0]]))[0], 6)
    True
    """

    def found(values: Reals) -> tuple[float, Reals]:
        unit, scale = normed(values)
        value, gradient = discrepancy(unit)
        return value, norm_gradient(unit, scale, gradient)

    return found


def normed(values: Reals) -> tuple[Reals, Reals]:
    """Return values of mean 0 and spread 1, and what they were divided by.

    Examples
    --------
    >>> normed(np.array([[0.0], [2.0]]))[0].round(6).tolist()
    [[-1.0], [1.0]]
    """
    centred = values - _mean(values)
    scale = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(values) + 1e-12)
    return centred / scale, scale


def norm_gradient(unit: Reals, scale: Reals, gradient: Reals) -> Reals:
    """Return the gradient by values from that by normed values.

    Examples
    --------
    >>> norm_gradient(np.array([[-1.0], [1.0]]), np.ones(1), np.ones((2, 1))).ravel().tolist()
    [0.0, 0.0]
    """
    along = np.einsum("ij,ij->j", gradient, unit) / len(unit)
    inner = gradient - _mean(gradient) - unit * along
    return np.asarray(inner / scale, dtype=np.float64)


def _mean(values: Reals) -> Reals:
    """Return the mean of each column: of few columns a product is faster than a sum by row."""
    return np.ones(len(values)) @ values / len(values)


def _means(codes: Codes) -> Reals:
    n_groups = int(codes.max()) + 1
    inside = codes[None, :] == np.arange(n_groups)[:, None]
    return np.asarray(inside / inside.sum(axis=1, keepdims=True), dtype=np.float64)
