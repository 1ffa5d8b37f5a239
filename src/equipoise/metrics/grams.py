"""Sums over patients of products of their influence values, for one question and all its arms.

Most patients have all their images in one cell. Of those, a cell at a time: a sparse matrix counts
each patient's images by label and level, its product with the table of influence values gives the
patients' sums, and the product of these with themselves the second moments. At an operating point
there are four kinds of image only, and the moments of the counts say everything.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.counting import Counted
from equipoise.metrics.influences import Influence
from equipoise.metrics.samples import Sample
from equipoise.metrics.tallies import KINDS

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_BLOCK = 4_000_000
"""Numbers held at once (8 bytes each)."""

_PER_CELL = 100
"""Images per cell from which on cells are taken one by one, not patients."""

_PAIRS = np.array([(i, j) for i in range(len(KINDS)) for j in range(i, len(KINDS))]).T


@dataclass(frozen=True, slots=True)
class Gram:
    """Sums over patients.

    Parameters
    ----------
    products
        Of products of the influence values of two arms, shape ``(arms, arms)``.
    fourth
        Of fourth powers, shape ``(arms,)``.
    """

    products: Reals
    fourth: Reals

    def __add__(self, other: "Gram") -> "Gram":
        """Return the sums over the patients of both, who must be different patients."""
        return Gram(self.products + other.products, self.fourth + other.fourth)


@dataclass(frozen=True, slots=True)
class Calls:
    """Moments of patients' numbers of images of each kind, by cell; whole numbers, so they add.

    Parameters
    ----------
    second
        Shape ``(cells, 4, 4)``: sums over patients of products of two numbers.
    fourth
        Shape ``(cells, 10, 10)``: of products of two products.
    """

    second: Reals
    fourth: Reals


def gram(one: Influence, counted: Counted, known: dict[tuple[int, str | None], Calls]) -> Gram:
    """Return the sums of one question.

    Parameters
    ----------
    one, counted
        Its influence values, and what is counted of its finding.
    known
        Moments of calls that were taken already, by finding and operating point; added to.

    Examples
    --------
    >>> from equipoise.metrics.arms import Arms
    >>> from equipoise.metrics.counting import counted_of
    >>> code = np.arange(2)
    >>> sample = Sample("x", code / 2, code > 0, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> table, inside = np.array([[[0.1, 0.0], [0.0, 0.3]]]), np.ones((2, 1, 1), dtype=bool)
    >>> made = Influence(np.array([0, 1]), table, inside, None)
    >>> gram(made, counted_of(sample, compared, ranked=True), {}).products.round(3).tolist()
    [[0.1]]
    """
    sample, of = counted.sample, counted.tally.runs
    if one.bin is None and one.alike:
        key = id(sample), one.point
        if key not in known:
            known[key] = calls_of(counted, one.point)
        return of_calls(one, known[key]) + _dense(one, sample, of.of_several())
    if len(sample.label) >= _PER_CELL * one.inside.shape[2]:
        return _by_cell(one, sample, of.by_cell) + _dense(one, sample, of.of_several())
    return _dense(one, sample, np.arange(len(sample.label)))


def calls_of(counted: Counted, point: str | None) -> Calls:
    """Return the moments of calls, of the patients who have one cell.

    Examples
    --------
    >>> from equipoise.metrics.arms import Arms
    >>> from equipoise.metrics.counting import counted_of
    >>> code, flag = np.arange(2), np.array([False, True])
    >>> sample = Sample("x", code / 2, flag, code, code * 0, {"p": flag}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> np.diag(calls_of(counted_of(sample, compared, ranked=False), "p").second[0]).tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    lone = counted.tally.lone[point]
    cell, n, times = lone.cell, lone.numbers.astype(np.float64), lone.times.astype(np.float64)
    second, fourth = np.zeros((counted.cells, 4, 4)), np.zeros((counted.cells, 10, 10))
    np.add.at(second, cell, np.einsum("p,ip,jp->pij", times, n, n))
    pairs = n[_PAIRS[0]] * n[_PAIRS[1]]
    np.add.at(fourth, cell, np.einsum("p,ip,jp->pij", times, pairs, pairs))
    return Calls(second, fourth)


def add_rows(block: Reals, one: Influence, sample: Sample, rows: slice, start: int) -> None:
    """Add the influence values of some images to those of their patients.

    Parameters
    ----------
    block
        Shape ``(arms, patients)``, patients from `start` on.
    one, sample
        The influence values, and whose they are.
    rows
        Which images: all of each patient.
    start
        The patient of the first column.

    Examples
    --------
    >>> code, block = np.arange(2), np.zeros((1, 2))
    >>> sample = Sample("x", code / 2, code > 0, code, code * 0, {}, 0)
    >>> table, inside = np.array([[[0.1, 0.0], [0.0, 0.3]]]), np.ones((2, 1, 1), dtype=bool)
    >>> made = Influence(np.array([0, 1]), table, inside, None)
    >>> add_rows(block, made, sample, slice(0, 2), 0)
    >>> block.tolist()
    [[0.1, 0.3]]
    """
    if rows.start >= rows.stop:
        return
    who = sample.patient[rows] - start
    first = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    values = _values(one, sample, rows)
    block[:, who[first]] = np.add.reduceat(values, first, axis=1)


def _values(one: Influence, sample: Sample, rows: Integers | slice) -> Reals:
    """Return the influence of each image on each arm, shape ``(arms, images)``."""
    cell, flat = sample.cell[rows], one.table.reshape(len(one.table), -1)
    values = flat[:, one.codes(sample, rows)]
    if one.alike:
        values *= one.inside[0][:, cell]
    else:
        down, up = one.inside[0][:, cell], one.inside[1][:, cell]
        values *= np.where(sample.label[rows], up, down)
    return values


def _dense(one: Influence, sample: Sample, chosen: Integers) -> Gram:
    """Return the sums over the patients of the chosen images, which are all of each."""
    arms = len(one.table)
    made = Gram(np.zeros((arms, arms)), np.zeros(arms))
    for rows in _chunks(chosen, sample.patient[chosen], max(1, _BLOCK // arms)):
        who = sample.patient[rows]
        first = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
        values = _values(one, sample, rows)
        sums = np.add.reduceat(values, first, axis=1)
        made += Gram(sums @ sums.T, np.einsum("ap,ap->a", sums**2, sums**2))
    return made


def _chunks(rows: Integers, patient: Integers, size: int) -> Iterator[Integers]:
    """Yield about so many rows at a time, those of a patient together."""
    start = 0
    while start < len(rows):
        stop = min(start + size, len(rows))
        if stop < len(rows):
            stop = int(np.searchsorted(patient, patient[stop - 1], side="right"))
        yield rows[start:stop]
        start = stop


def of_calls(one: Influence, calls: Calls) -> Gram:
    """Return the sums of an estimate at an operating point, from moments of calls.

    Examples
    --------
    >>> second = np.zeros((1, 4, 4))
    >>> second[0, 3, 3] = 2.0
    >>> table, inside = np.array([[[0.0, 0.0], [0.0, 0.5]]]), np.ones((2, 1, 1), dtype=bool)
    >>> of_calls(Influence(None, table, inside, "p"), Calls(second, np.zeros((1, 10, 10)))).products
    array([[0.5]])
    """
    arms, inside = len(one.table), one.inside[0].astype(np.float64)
    flat = one.table.reshape(arms, len(KINDS))
    # An arm is a union of cells: its weights beside each other, nothing where a cell is outside.
    weights = (inside[:, :, None] * flat[:, None, :]).transpose(1, 0, 2)
    left = (weights @ calls.second).transpose(1, 0, 2).reshape(arms, -1)
    right = weights.transpose(1, 0, 2).reshape(arms, -1)
    pairs = flat[:, _PAIRS[0]] * flat[:, _PAIRS[1]] * np.where(_PAIRS[0] == _PAIRS[1], 1, 2)
    fourth = (inside @ calls.fourth.reshape(len(calls.fourth), -1)).reshape(
        arms, *([len(_PAIRS[0])] * 2)
    )
    return Gram(left @ right.T, np.einsum("ai,aij,aj->a", pairs, fourth, pairs))


def _by_cell(one: Influence, sample: Sample, order: Integers) -> Gram:
    """Return the sums over the patients who have one cell, a cell at a time.

    In single precision, each arm's table scaled to one: right to six digits, and half the time.
    """
    from scipy.sparse import csr_array

    arms, _, levels = one.table.shape
    scale = np.maximum(np.abs(one.table).max(axis=(1, 2)), 1e-300)
    flat = (one.table.reshape(arms, -1).T / scale).astype(np.float32)  # (label and level, arm)
    who, code = sample.patient[order], one.codes(sample, order).astype(np.int32)
    starts = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    last = sample.cell[order[starts]]
    made = Gram(np.zeros((arms, arms)), np.zeros(arms))
    ends = np.r_[starts, len(order)].astype(np.int32)
    for cell in np.unique(last).tolist():
        first, stop = np.searchsorted(last, [cell, cell + 1])
        low, high = ends[first], ends[stop]
        either = one.inside[:, :, cell]
        mine = np.flatnonzero(either.any(axis=0))
        table = flat[:, mine]
        if not one.alike:
            table = table * np.repeat(either[:, mine], levels, axis=0)
        ones = np.ones(high - low, dtype=np.float32)
        pointers = ends[first : stop + 1] - low
        counts = csr_array((ones, code[low:high], pointers), (stop - first, 2 * levels))
        sums = counts @ table
        made.products[np.ix_(mine, mine)] += sums.T @ sums
        sums *= sums
        made.fourth[mine] += np.einsum("pa,pa->a", sums, sums)
    return Gram(made.products * np.outer(scale, scale), made.fourth * scale**4)
