"""What each patient has in each atomic cell, counted once; every number of images follows by sums.

A *run* is a patient's images in one cell. Subgroups are unions of cells, so that what is known by
run gives the images and the patients of any subgroup without looking at an image again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.samples import Sample

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

KINDS = ("tn", "fp", "fn", "tp")
"""Kinds of image by label and call: the position is twice the label plus the call."""

NEGATIVE, POSITIVE = ("tn", "fp"), ("fn", "tp")


@dataclass(frozen=True, slots=True)
class Tally:
    """The images of one finding by run, sorted by patient and cell.

    Parameters
    ----------
    starts
        Shape ``(runs + 1,)``: the first image of each run, and the number of images.
    patient, cell
        Shape ``(runs,)``.
    lone
        Shape ``(runs,)``: whether it is the only run of its patient.
    kinds
        Operating point → images of each of `KINDS`, shape ``(4, runs)``. Under None, without an
        operating point, nobody is called.
    totals
        The same by cell, shape ``(4, cells)``.
    """

    starts: Integers
    patient: Integers
    cell: Integers
    lone: Flags
    kinds: Mapping[str | None, Integers]
    totals: Mapping[str | None, Integers]

    def has(self, point: str | None, wanted: Sequence[str]) -> Flags:
        """Return which runs have an image of the wanted kinds, shape ``(runs,)``."""
        if set(wanted) == set(KINDS):
            return np.ones(len(self.cell), dtype=bool)
        several = [self.kinds[point][KINDS.index(kind)] > 0 for kind in wanted]
        return np.asarray(np.logical_or.reduce(several), dtype=bool)


def tally(sample: Sample) -> Tally:
    """Return the images of a finding by run.

    Examples
    --------
    >>> code = np.array([0, 0, 1])
    >>> called = {"p": np.array([True, False, True])}
    >>> sample = Sample("x", code / 2, code > 0, code, code * 0, called, 0)
    >>> tally(sample).kinds["p"].tolist()
    [[1, 0], [1, 0], [0, 0], [0, 1]]
    """
    who, cell, n = sample.patient, sample.cell, len(sample.label)
    new = np.ones(n, dtype=bool)
    new[1:] = (who[1:] != who[:-1]) | (cell[1:] != cell[:-1])
    starts = np.flatnonzero(new)
    patient = who[starts]
    first = np.ones(len(starts), dtype=bool)
    first[1:] = patient[1:] != patient[:-1]
    lone = first.copy()
    lone[:-1] &= first[1:]
    run = np.cumsum(new) - 1
    points = (None, *sample.called)
    kinds = {point: _kinds(sample, point, run, len(starts)) for point in points}
    cells = int(cell.max()) + 1 if n else 0
    totals = {point: _kinds(sample, point, cell, cells) for point in points}
    return Tally(np.r_[starts, n].astype(np.int64), patient, cell[starts], lone, kinds, totals)


def kind_codes(sample: Sample, point: str | None) -> Integers:
    """Return the position in `KINDS` of each image, shape ``(n,)``.

    Examples
    --------
    >>> code, flag = np.arange(2), np.array([False, True])
    >>> kind_codes(Sample("x", code / 2, flag, code, code, {"p": flag}, 0), "p").tolist()
    [0, 3]
    """
    code = 2 * sample.label.astype(np.int64)
    return code if point is None else code + sample.called[point]


def images(tallied: Tally, point: str | None, wanted: Sequence[str], inside: Flags) -> Integers:
    """Return how many images of the wanted kinds each arm has, shape ``(arms,)``.

    Examples
    --------
    >>> code = np.array([0, 1, 1])
    >>> found = tally(Sample("x", code / 2, code > 0, code, code, {}, 0))
    >>> images(found, None, POSITIVE, np.array([[True, True], [True, False]])).tolist()
    [2, 0]
    """
    by_cell = tallied.totals[point][[KINDS.index(kind) for kind in wanted]].sum(axis=0)
    found = inside[:, : len(by_cell)].astype(np.int64) @ by_cell
    return np.asarray(found, dtype=np.int64)


def patients(tallied: Tally, point: str | None, wanted: Sequence[str], inside: Flags) -> Integers:
    """Return how many patients have an image of the wanted kinds in each arm, shape ``(arms,)``.

    Examples
    --------
    >>> code = np.array([0, 0, 1])
    >>> found = tally(Sample("x", code / 2, code > 0, np.array([7, 7, 7]), code, {}, 0))
    >>> both = np.array([[True, True], [True, False]])
    >>> patients(found, None, (*NEGATIVE, *POSITIVE), both).tolist()
    [1, 1]
    """
    has = tallied.has(point, wanted)
    by_cell = np.bincount(tallied.cell[has & tallied.lone], minlength=inside.shape[1])
    total = np.asarray(inside.astype(np.int64) @ by_cell, dtype=np.int64)
    several = has & ~tallied.lone
    if several.any():
        total += _shared(tallied.patient[several], tallied.cell[several], inside)
    return total


def _shared(patient: Integers, cell: Integers, inside: Flags) -> Integers:
    """Return the patients of each arm among those who may be in several cells."""
    first = np.flatnonzero(np.r_[True, patient[1:] != patient[:-1]])
    seen = [np.logical_or.reduceat(arm[cell], first).sum() for arm in inside]
    return np.array(seen, dtype=np.int64)


def _kinds(sample: Sample, point: str | None, place: Integers, places: int) -> Integers:
    code = kind_codes(sample, point) * places + place
    return np.bincount(code, minlength=len(KINDS) * places).reshape(len(KINDS), places)
