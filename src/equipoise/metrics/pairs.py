"""Pairs of images of a patient, counted by cell, label and bin: what clustering adds to variances.

The square of a patient's sum is the sum of the squares of its images, which a histogram holds, and
twice the sum over its pairs of images, which a histogram of pairs holds. Both are whole numbers
that add over parts of the data, in one pass, before any estimate is known.
"""

import numpy as np
import numpy.typing as npt

from equipoise.metrics.ranks import Ranks
from equipoise.metrics.samples import Sample
from equipoise.metrics.tallies import Tally

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

COARSE = 64
"""Bins of a pair's two scores: it is a product of influence values that they must tell."""


def coarse(bins: int) -> Integers:
    """Return the coarse bin of each bin, shape ``(bins,)``.

    Examples
    --------
    >>> coarse(3).tolist(), coarse(128)[-3:].tolist()
    ([0, 1, 2], [62, 63, 63])
    """
    return np.arange(bins) if bins <= COARSE else np.arange(bins) * COARSE // bins


def pairs(sample: Sample, tallied: Tally, ranked: Ranks, cells: int) -> Integers:
    """Return the pairs of images of patients who are in one cell only.

    Parameters
    ----------
    sample, tallied, ranked
        The images, by patient and by score.
    cells
        How many cells there are.

    Returns
    -------
    Shape ``(cells, 2 × coarse, 2 × coarse)``: label and coarse bin of either; each pair once.

    Examples
    --------
    >>> from equipoise.metrics.ranks import ranks
    >>> from equipoise.metrics.tallies import tally
    >>> code = np.array([0, 0, 1])
    >>> sample = Sample("x", np.array([0.1, 0.9, 0.5]), code > 0, code, code * 0, {}, 0)
    >>> np.argwhere(pairs(sample, tally(sample), ranks(sample), 1)).tolist()
    [[0, 0, 2]]
    """
    place = coarse(ranked.bins)
    size = 2 * (int(place[-1]) + 1) if ranked.bins else 0
    code = sample.label * (size // 2) + place[ranked.bin]
    found = np.zeros(cells * size * size, dtype=np.int64)
    lengths = np.diff(tallied.starts)
    several = np.flatnonzero(tallied.lone & (lengths > 1))
    start, length = tallied.starts[several], lengths[several]
    for apart in range(1, int(length.max(initial=0))):
        longer = length > apart
        start, length = start[longer], length[longer]
        first = _ranges(start, length - apart)
        both = (sample.cell[first] * size + code[first]) * size + code[first + apart]
        found += np.bincount(both, minlength=len(found))
    return found.reshape(cells, size, size)


def pair_count(tallied: Tally) -> int:
    """Return how many pairs `pairs` would count.

    Examples
    --------
    >>> from equipoise.metrics.tallies import tally
    >>> code = np.zeros(3, dtype=int)
    >>> pair_count(tally(Sample("x", code / 2, code > 0, code, code, {}, 0)))
    3
    """
    n = np.diff(tallied.starts)[tallied.lone]
    return int((n * (n - 1) // 2).sum())


def products(table: Reals, histogram: Integers, paired: Integers) -> Reals:
    """Return the sums over patients of products of influence values, from what is counted.

    Parameters
    ----------
    table
        Influence by arm, label and bin, shape ``(arms, 2, bins)``.
    histogram
        Images by label and bin, shape ``(2, bins)``.
    paired
        Pairs of one cell, from `pairs`.

    Examples
    --------
    >>> table, none = np.array([[[0.5, 0.0], [0.0, -0.5]]]), np.zeros((4, 4), dtype=int)
    >>> products(table, np.array([[2, 0], [0, 2]]), none).tolist()
    [[1.0]]
    """
    arms, _, bins = table.shape
    flat = table.reshape(arms, 2 * bins)
    weighted = flat * histogram.ravel()
    found = weighted @ flat.T
    if paired.any():
        place = coarse(bins)
        starts = np.searchsorted(place, np.arange(place[-1] + 1))
        starts = np.r_[starts, starts + bins]
        n = np.add.reduceat(histogram.ravel(), starts)
        mean = np.add.reduceat(weighted, starts, axis=1) / np.maximum(n, 1)
        half = mean @ paired.astype(np.float64) @ mean.T
        found += half + half.T
    return np.asarray(found, dtype=np.float64)


def _ranges(starts: Integers, lengths: Integers) -> Integers:
    """Return the whole numbers from each start on, as many as its length, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
