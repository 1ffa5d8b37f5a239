"""Scores in order, once per finding: their levels, and bins that rank alike what they hold."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.samples import Sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BINS = 2_048
"""Levels at which influence values are tabled; with fewer distinct scores, each has its own."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """The images of one finding by score.

    Parameters
    ----------
    order
        Shape ``(n,)``: images by score, positives first among equal scores.
    level
        Shape ``(n,)``, in that order: the position of the score among the distinct ones.
    bin
        Shape ``(n,)``, by image: the bin of its score.
    bins
        How many bins there are.
    exact
        Whether each distinct score has its own bin.
    """

    order: Integers
    level: Integers
    bin: Integers
    bins: int
    exact: bool


def ranks(sample: Sample, *, most: int = BINS) -> Ranks:
    """Return a finding's images in the order of their scores.

    Bins are even steps of the shares of the two classes below a score, on the arcsine scale: so the
    few and the many are told apart finely, and most finely at the ends, where a high AUROC is
    decided. Equal scores share a bin.

    Parameters
    ----------
    sample
        Its scores are in [0, 1].
    most
        How many bins at most.

    Examples
    --------
    >>> code, label = np.arange(3), np.array([True, False, True])
    >>> found = ranks(Sample("x", np.array([0.5, 0.5, 0.1]), label, code, code, {}, 0))
    >>> found.order.tolist(), found.level.tolist(), found.bin.tolist()
    ([2, 0, 1], [0, 1, 1], [1, 1, 0])
    """
    order, new = _order(sample)
    level = np.cumsum(new) - 1
    levels = int(level[-1]) + 1 if len(order) else 0
    by_image = np.empty(len(order), dtype=np.int64)
    if levels <= most:
        by_image[order] = level
        return Ranks(order, level, by_image, levels, exact=True)
    starts = _edges(sample.label[order], new, most)
    change = np.zeros(len(order), dtype=bool)
    change[starts[1:]] = True
    by_image[order] = np.cumsum(change)
    return Ranks(order, level, by_image, len(starts), exact=False)


def by_cell(sample: Sample, ranked: Ranks, cells: int) -> Integers:
    """Return how many images of each class and bin each cell holds, shape ``(cells, 2, bins)``.

    Examples
    --------
    >>> code = np.arange(2)
    >>> sample = Sample("x", code / 2, code > 0, code, code * 0, {}, 0)
    >>> by_cell(sample, ranks(sample), 1).tolist()
    [[[1, 0], [0, 1]]]
    """
    code = (2 * sample.cell + sample.label) * ranked.bins + ranked.bin
    counted = np.bincount(code, minlength=cells * 2 * ranked.bins)
    return counted.reshape(cells, 2, ranked.bins)


def bin_means(sample: Sample, ranked: Ranks) -> Reals:
    """Return the mean score of each bin, shape ``(bins,)``.

    Examples
    --------
    >>> code = np.arange(2)
    >>> sample = Sample("x", code / 2, code > 0, code, code, {}, 0)
    >>> bin_means(sample, ranks(sample)).tolist()
    [0.0, 0.5]
    """
    total = np.bincount(ranked.bin, sample.score.astype(np.float64), ranked.bins)
    return np.asarray(total / np.bincount(ranked.bin, minlength=ranked.bins), dtype=np.float64)


def _order(sample: Sample) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Return the images by score, positives first among equals, and where a new score begins.

    The bits of a number that is not below zero sort as the number does; the label goes below
    them, and where there is room the image's own position, so that plain sorting is enough.
    """
    negative = (~sample.label).astype(np.uint64)
    n = len(negative)
    if sample.score.dtype == np.float32 and n < 2**31:
        bits = (sample.score + np.float32(0.0)).view(np.uint32).astype(np.uint64)
        key = (bits << np.uint64(32)) | (negative << np.uint64(31)) | np.arange(n, dtype=np.uint64)
        key.sort()
        order, bits = (key & np.uint64(2**31 - 1)).astype(np.int64), key >> np.uint64(32)
    else:
        bits = (sample.score.astype(np.float64) + 0.0).view(np.uint64)
        order = np.argsort((bits << np.uint64(1)) | negative)
        bits = bits[order]
    new = np.ones(n, dtype=bool)
    np.not_equal(bits[1:], bits[:-1], out=new[1:])
    return order, new


def _edges(positive: npt.NDArray[np.bool_], new: npt.NDArray[np.bool_], most: int) -> Integers:
    """Return where the bins begin among the sorted images; equal scores share a bin."""
    # Steps of a few images are fine enough to look at, if there are many.
    step = max(1, len(new) // (64 * most))
    looked = np.arange(0, len(new), step)
    upto = np.add.reduceat(positive.view(np.int8), looked, dtype=np.int64).cumsum()
    below = np.r_[0, upto[:-1]]
    share = below / max(1, int(upto[-1]))
    other = (looked - below) / max(1, len(new) - int(upto[-1]))
    part = (np.arcsin(np.sqrt(share)) + np.arcsin(np.sqrt(other))) * (most / np.pi)
    part = np.minimum(part, most - 1).astype(np.int64)
    wanted = looked[np.r_[True, part[1:] != part[:-1]]]
    # A bin begins with a score of its own: where it would cut equal scores, with the next.
    fresh = np.flatnonzero(new)
    found = np.searchsorted(fresh, wanted)
    return np.unique(fresh[found[found < len(fresh)]])
