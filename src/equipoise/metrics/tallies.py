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
Reals = npt.NDArray[np.float64]

KINDS = ("tn", "fp", "fn", "tp")
"""Kinds of image by label and call: the position is twice the label plus the call."""

NEGATIVE, POSITIVE = ("tn", "fp"), ("fn", "tp")

_MOST = 4_000_000
"""Numbers in a table of all possible counts."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of images that are sorted by patient and cell.

    Parameters
    ----------
    starts
        Shape ``(runs + 1,)``: the first image of each run, and the number of images.
    patient, cell
        Shape ``(runs,)``.
    lone
        Shape ``(runs,)``: whether it is the only run of its patient.
    by_cell
        The images of lone runs, cell by cell; those of a patient together.
    """

    starts: Integers
    patient: Integers
    cell: Integers
    lone: Flags
    by_cell: Integers

    def of_several(self) -> Integers:
        """Return the images of patients who are in several cells, in their order."""
        if self.lone.all():
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(np.repeat(~self.lone, np.diff(self.starts)))


@dataclass(frozen=True, slots=True)
class Vectors:
    """The distinct numbers of images of each kind that patients of one cell have.

    Parameters
    ----------
    cell
        Shape ``(n,)``.
    numbers
        Shape ``(4, n)``: images of each of `KINDS`.
    times
        Shape ``(n,)``: how many patients have these numbers.
    """

    cell: Integers
    numbers: Integers
    times: Integers


@dataclass(frozen=True, slots=True)
class Tally:
    """The images of one finding, by patient and cell.

    Parameters
    ----------
    runs
        Who is where.
    totals
        Operating point → images of each of `KINDS` by cell, shape ``(4, cells)``. Under None,
        without an operating point, nobody is called.
    lone
        The same for the patients who are in one cell: their distinct numbers.
    several
        The same for each run of the others, shape ``(4, their runs)``.
    """

    runs: Runs
    totals: Mapping[str | None, Integers]
    lone: Mapping[str | None, Vectors]
    several: Mapping[str | None, Integers]


def runs(sample: Sample) -> Runs:
    """Return the runs of a finding's images.

    Examples
    --------
    >>> code = np.array([0, 0, 1])
    >>> runs(Sample("x", code / 2, code > 0, code, code * 0, {}, 0)).starts.tolist()
    [0, 2, 3]
    """
    who, cell, n = sample.patient, sample.cell, len(sample.label)
    new = np.ones(n, dtype=bool)
    np.not_equal(who[1:], who[:-1], out=new[1:])
    new[1:] |= cell[1:] != cell[:-1]
    starts = np.flatnonzero(new)
    patient = who[starts]
    first = np.ones(len(starts), dtype=bool)
    first[1:] = patient[1:] != patient[:-1]
    lone = first.copy()
    lone[:-1] &= first[1:]
    bounds = np.r_[starts, n].astype(np.int64)
    images_of = np.arange(n) if lone.all() else np.flatnonzero(np.repeat(lone, np.diff(bounds)))
    narrow = np.uint16 if n and int(cell.max()) < 2**16 else np.int64
    order = np.argsort(cell[images_of].astype(narrow), kind="stable")
    return Runs(bounds, patient, cell[starts], lone, images_of[order])


def tally(sample: Sample, known: Runs | None = None) -> Tally:
    """Return the images of a finding by patient and cell.

    Parameters
    ----------
    sample
        The images.
    known
        Their runs, if they are known already.

    Examples
    --------
    >>> code = np.array([0, 0, 1])
    >>> called = {"p": np.array([True, False, True])}
    >>> sample = Sample("x", code / 2, code > 0, code, code * 0, called, 0)
    >>> tally(sample).totals["p"].T.tolist(), tally(sample).lone["p"].numbers.T.tolist()
    ([[1, 1, 0, 1]], [[0, 0, 0, 1], [1, 1, 0, 0]])
    """
    of = runs(sample) if known is None else known
    cells = int(sample.cell.max()) + 1 if len(sample.cell) else 0
    points = (None, *sample.called)
    by_run = {point: _by_run(sample, point, of) for point in points}
    return Tally(
        of,
        {point: _by_cell(sample, point, cells) for point in points},
        {point: distinct(of.cell[of.lone], n[:, of.lone]) for point, n in by_run.items()},
        {point: n[:, ~of.lone] for point, n in by_run.items()},
    )


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
    by_cell = tallied.totals[point][_rows(wanted)].sum(axis=0)
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
    lone, rows = tallied.lone[point], _rows(wanted)
    has = lone.numbers[rows].any(axis=0)
    by_cell = np.bincount(lone.cell[has], lone.times[has], inside.shape[1]).astype(np.int64)
    total = np.asarray(inside.astype(np.int64) @ by_cell, dtype=np.int64)
    several = tallied.several[point][rows].any(axis=0)
    if several.any():
        others = np.flatnonzero(~tallied.runs.lone)[several]
        total += _shared(tallied.runs.patient[others], tallied.runs.cell[others], inside)
    return total


def _rows(wanted: Sequence[str]) -> list[int]:
    return [KINDS.index(kind) for kind in wanted]


def _shared(patient: Integers, cell: Integers, inside: Flags) -> Integers:
    """Return the patients of each arm among those who may be in several cells."""
    first = np.flatnonzero(np.r_[True, patient[1:] != patient[:-1]])
    seen = [np.logical_or.reduceat(arm[cell], first).sum() for arm in inside]
    return np.array(seen, dtype=np.int64)


def _by_cell(sample: Sample, point: str | None, cells: int) -> Integers:
    code = kind_codes(sample, point) * cells + sample.cell
    return np.bincount(code, minlength=len(KINDS) * cells).reshape(len(KINDS), cells)


def _by_run(sample: Sample, point: str | None, of: Runs) -> Integers:
    """Return how many images of each kind each run has, shape ``(4, runs)``."""
    starts, n = of.starts[:-1], np.diff(of.starts)
    if not len(starts):
        return np.zeros((len(KINDS), 0), dtype=np.int64)

    ends = of.starts[1:] - 1

    def count(flag: Flags) -> Integers:
        # Half the time of a reduction run by run.
        return np.diff(np.cumsum(flag)[ends], prepend=0)

    positive = count(sample.label)
    if point is None:
        nobody = np.zeros_like(n)
        return np.stack([n - positive, nobody, positive, nobody])
    called = sample.called[point]
    all_called, both = count(called), count(called & sample.label)
    return np.stack([n - positive - all_called + both, all_called - both, positive - both, both])


def distinct(cell: Integers, numbers: Integers) -> Vectors:
    """Return the distinct columns of cell and numbers, and how often each occurs.

    Parameters
    ----------
    cell
        Shape ``(n,)``.
    numbers
        Shape ``(4, n)``, small whole numbers.

    Examples
    --------
    >>> found = distinct(np.array([0, 0, 1]), np.array([[1, 1, 2]]))
    >>> found.cell.tolist(), found.numbers.tolist(), found.times.tolist()
    ([0, 1], [[1, 2]], [2, 1])
    """
    if not len(cell):
        return Vectors(cell, numbers, np.zeros(0, dtype=np.int64))
    sizes = numbers.max(axis=1) + 1
    code = cell
    for row, size in zip(numbers, sizes, strict=True):
        code = code if size == 1 else code * size + row
    if (float(cell.max()) + 1.0) * np.prod(sizes.astype(np.float64)) <= _MOST:
        times = np.bincount(code)
        seen = np.flatnonzero(times)
        times = times[seen]
    else:
        seen, times = np.unique(code, return_counts=True)
    rows = []
    for size in sizes[::-1]:
        seen, row = np.divmod(seen, size)
        rows.append(row)
    return Vectors(seen, np.array(rows[::-1]), times)
