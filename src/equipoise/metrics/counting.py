"""All that is counted of one finding, once, for every question about it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.ranks import Ranks, bin_means, by_cell, ranks
from equipoise.metrics.samples import Sample
from equipoise.metrics.tallies import NEGATIVE, POSITIVE, Runs, Tally, images, patients, tally
from equipoise.metrics.wins import wins

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A finding's scores in order, and what follows from the order.

    Parameters
    ----------
    ranks
        The order, and bins.
    wins
        From `wins.wins`, shape ``(cells, cells)``.
    histogram
        Images by cell, class and bin, shape ``(cells, 2, bins)``.
    scores
        Mean score of each bin, shape ``(bins,)``.
    """

    ranks: Ranks
    wins: Reals
    histogram: Integers
    scores: Reals


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted of one finding.

    Parameters
    ----------
    sample
        Its images.
    tally
        They, by patient and cell.
    positive, negative
        Images and patients of each class by arm, each of shape ``(arms,)``.
    everybody
        The same of all images: images and patients with a positive, and with a negative.
    ranked
        None if no question needs an order of scores.
    cells
        How many atomic cells there are.
    """

    sample: Sample
    tally: Tally
    positive: tuple[Integers, Integers]
    negative: tuple[Integers, Integers]
    everybody: tuple[tuple[int, int], tuple[int, int]]
    ranked: Ranked | None
    cells: int


def counted_of(
    sample: Sample, compared: Arms, *, ranked: bool, known: Runs | None = None
) -> Counted:
    """Return all that is counted of one finding.

    Parameters
    ----------
    sample
        Its images.
    compared
        The arms.
    ranked
        Whether any question needs the order of the scores.
    known
        The runs of the images, if they are known already.

    Examples
    --------
    >>> code = np.arange(4)
    >>> sample = Sample("x", code / 4, code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> counted_of(sample, compared, ranked=True).ranked.wins.tolist()
    [[4.0]]
    """
    tallied, inside = tally(sample, known), compared.inside
    sides = [
        (images(tallied, None, side, inside), patients(tallied, None, side, inside))
        for side in (POSITIVE, NEGATIVE)
    ]
    whole = np.ones((1, inside.shape[1]), dtype=bool)
    everybody = [
        (int(images(tallied, None, side, whole)[0]), int(patients(tallied, None, side, whole)[0]))
        for side in (POSITIVE, NEGATIVE)
    ]
    return Counted(
        sample,
        tallied,
        sides[0],
        sides[1],
        (everybody[0], everybody[1]),
        _ranked(sample, inside.shape[1]) if ranked else None,
        inside.shape[1],
    )


def histograms(ranked: Ranked, inside: Flags) -> Integers:
    """Return the images of each arm by class and bin, shape ``(arms, 2, bins)``.

    Examples
    --------
    >>> code = np.arange(2)
    >>> sample = Sample("x", code / 2, code > 0, code, code, {}, 0)
    >>> both = np.ones((1, 2), dtype=bool)
    >>> compared = Arms(both, ("everybody",), (), ({"sex": None},))
    >>> histograms(counted_of(sample, compared, ranked=True).ranked, both).tolist()
    [[[1, 0], [0, 1]]]
    """
    cells, _, bins = ranked.histogram.shape
    # Sums of whole numbers are exact in doubles, and go through the fast product of matrices.
    flat = ranked.histogram.reshape(cells, 2 * bins).astype(np.float64)
    found = (inside.astype(np.float64) @ flat).astype(np.int64)
    return found.reshape(len(inside), 2, bins)


def exact_histogram(counted: Counted, inside: Flags) -> tuple[Reals, Reals, Reals]:
    """Return negatives, positives ``(1, levels)`` and scores ``(levels,)`` of one arm, unbinned.

    Parameters
    ----------
    counted
        The finding, ranked.
    inside
        Which cells the arm is of, shape ``(cells,)``.

    Examples
    --------
    >>> code = np.arange(2)
    >>> sample = Sample("x", code / 2, code > 0, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> exact_histogram(counted_of(sample, compared, ranked=True), np.array([True]))
    (array([[1., 0.]]), array([[0., 1.]]), array([0. , 0.5]))
    """
    if counted.ranked is None:
        return np.zeros((1, 0)), np.zeros((1, 0)), np.zeros(0)
    ordered = counted.ranked.ranks
    mine = inside[counted.sample.cell[ordered.order]]
    images_of, level = ordered.order[mine], ordered.level[mine]
    new = np.ones(len(level), dtype=bool)
    new[1:] = level[1:] != level[:-1]
    place, levels = np.cumsum(new) - 1, int(new.sum())
    label = counted.sample.label[images_of]
    negative, positive = (
        np.bincount(place[side], minlength=levels).astype(np.float64)[None]
        for side in (~label, label)
    )
    return negative, positive, counted.sample.score[images_of[new]].astype(np.float64)


def _ranked(sample: Sample, cells: int) -> Ranked:
    ordered = ranks(sample)
    return Ranked(
        ordered,
        wins(sample, ordered, cells),
        by_cell(sample, ordered, cells),
        bin_means(sample, ordered),
    )
