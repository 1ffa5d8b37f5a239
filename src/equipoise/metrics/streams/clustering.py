"""Counting a stream: rows in batches that hold patients whole, added up."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.metrics.streams.clusters import ACROSS, KINDS, Clusters, Layout, Point, nothing
from equipoise.metrics.streams.people import NotRisingError, Rows, by_patient, rows, whole
from equipoise.metrics.streams.sources import Shard

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def clustered(some: Iterable[Rows], of: Layout) -> Clusters:
    """Return what is counted of rows, in memory that does not grow with them.

    Parameters
    ----------
    some
        Batches that hold patients whole.
    of
        What is counted.

    Examples
    --------
    >>> from equipoise.metrics.streams.clusters import layout
    >>> from equipoise.metrics.streams.grids import Grid
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> of = layout(grid, {("x", "half"): 0.5}, np.ones((1, 2), dtype=bool))
    >>> who = np.array([7, 7, 8], np.uint64)
    >>> one = Rows(np.array([0, 0, 1]), who, np.array([[0, 3, 3]], np.int16))
    >>> made = clustered([one], of)
    >>> made.second["x", "half"][0].tolist()
    [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    """
    total = nothing(of)
    n = 0
    for batch in some:
        n += len(batch.patient)
        _add(total, batch)
    return replace(total, rows=n)


def count(
    shards: Sequence[Shard],
    of: Layout,
    patient: str | None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Clusters:
    """Return what is counted of some shards.

    Parameters
    ----------
    shards
        Files, or parts of files.
    of
        What is counted.
    patient
        The column that says whose image it is; None takes images as independent.
    progress
        Told how many rows there were, batch by batch.

    Raises
    ------
    InvalidTable
        As for `rows`.

    Examples
    --------
    >>> from equipoise.metrics.streams.clusters import layout
    >>> from equipoise.metrics.streams.grids import Grid
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> count([], layout(grid, {}, np.ones((1, 2), dtype=bool)), None).rows
    0
    """
    if patient is not None:
        try:  # Most files are sorted by patient: one reading tells that too.
            return _count(shards, of, patient, progress, rising=True)
        except NotRisingError:
            pass
    return _count(shards, of, patient, progress, rising=False)


def _count(
    shards: Sequence[Shard],
    of: Layout,
    patient: str | None,
    progress: Callable[[int], None] | None,
    *,
    rising: bool,
) -> Clusters:
    unscored = np.zeros(len(of.grid.findings), dtype=np.int64)
    if rising:
        found = whole(rows(shards, of.grid, patient, unscored=unscored, rising=True))
    else:
        found = by_patient(shards, of.grid, patient, unscored=unscored)

    def told() -> Iterator[Rows]:
        for batch in found:
            yield batch
            if progress is not None:
                progress(len(batch.patient))

    return replace(clustered(told(), of), unscored=unscored)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Who is where in a batch: the same for all findings.

    Parameters
    ----------
    rows
        The batch, a patient's images of one cell together.
    run, starts
        Of each image its run, and of each run its first image; a run is a patient in one cell.
    cell, patient
        Of each run.
    sizes
        Images of each run.
    lone, alone
        Whether a run is the only one of its patient; whether all are.
    near, far
        Pairs of images of a patient, in one cell and in several: both images of each pair.
    """

    rows: Rows
    run: Integers
    starts: Integers
    cell: Integers
    patient: Integers
    sizes: Integers
    lone: Flags
    alone: bool
    near: tuple[Integers, Integers]
    far: tuple[Integers, Integers]


def _add(total: Clusters, some: Rows) -> None:
    if not len(some.patient):
        return
    batch, of = _batch(some), total.layout
    wide, few = of.places(of.coarse), of.places(ACROSS)
    for place, finding in enumerate(of.grid.findings):
        code = batch.rows.code[place]
        seen = None if code.min() >= 0 else code >= 0
        _add_scores(total, place, finding, (batch, code, seen), (wide, few))
        for key in total.second:
            if key[0] == finding:
                _add_kinds(total, key, (batch, code, seen))


_Seen = tuple[_Batch, npt.NDArray[np.signedinteger], Flags | None]


def _add_scores(
    total: Clusters, place: int, finding: str, seen: _Seen, places: tuple[Integers, Integers]
) -> None:
    """Add images and pairs of one finding by cell, label and bin."""
    (batch, code, chosen), of = seen, total.layout
    cells, levels = of.grid.cells, 2 * of.grid.bins
    cell = batch.rows.cell
    at = cell * levels + code if chosen is None else (cell * levels + code)[chosen]
    total.histogram[place] += np.bincount(at, minlength=cells * levels).reshape(cells, 2, -1)
    sizes = batch.sizes
    if chosen is not None:
        sizes = np.bincount(batch.run[chosen], minlength=len(batch.cell))
    _add_crowd(total.crowd[place], batch.cell, sizes)
    wide, few = places
    size, coarse = 2 * of.coarse, wide[code]
    one, other = _both_seen(batch.near, chosen)
    if len(one):
        pair = (cell[one] * size + coarse[one]) * size + coarse[other]
        # Far fewer pairs than places: adding at each costs less than a pass over all places.
        np.add.at(total.same[place].reshape(-1), pair, 1)
    one, other = _both_seen(batch.far, chosen)
    if len(one):
        size = cells * 2 * ACROSS
        pair = (cell[one] * 2 * ACROSS + few[code[one]]) * size
        pair += cell[other] * 2 * ACROSS + few[code[other]]
        held = total.across.setdefault(finding, np.zeros((size, size), dtype=np.int64))
        held += np.bincount(pair, minlength=size**2).reshape(size, size)


def _add_crowd(crowd: Integers, cell: Integers, sizes: Integers) -> None:
    """Add the pairs of each run, and how many more images of the patient stand around them."""
    cells = len(crowd)
    most = int(sizes.max(initial=0))
    if most < 2:
        return
    # Runs of a cell and a size are alike.
    alike = np.bincount(cell * (most + 1) + sizes, minlength=cells * (most + 1))
    n = np.arange(most + 1)
    pairs = n * (n - 1) // 2
    each = np.stack([pairs, pairs * (n - 2), pairs * (n - 2) * (n - 3)], axis=1)
    crowd += alike.reshape(cells, most + 1) @ each


def _add_kinds(total: Clusters, key: Point, seen: _Seen) -> None:
    """Add products of patients' numbers of each kind of image, and who has which kinds.

    A product of numbers is the number of pairs of images, each with itself too.
    """
    (batch, code, chosen), of = seen, total.layout
    cells, bins = of.grid.cells, of.grid.bins
    first = of.called.get(key, bins)
    kind_of = np.repeat([0, 2], bins) + (np.tile(np.arange(bins), 2) >= first)
    kind = kind_of.astype(np.int8)[code]
    alone = np.bincount(_places(batch.rows.cell, kind, chosen, KINDS), minlength=cells * KINDS)
    held = total.second[key]
    held[:, range(KINDS), range(KINDS)] += alone.reshape(cells, KINDS)
    one, other = _both_seen(batch.near, chosen)
    at = (batch.rows.cell[one] * KINDS + kind[one]) * KINDS + kind[other]
    pairs = np.bincount(at, minlength=cells * KINDS**2).reshape(cells, KINDS, KINDS)
    held += pairs + pairs.transpose(0, 2, 1)
    bits = np.left_shift(np.int8(1), kind)
    if chosen is not None:
        bits[~chosen] = 0
    has = np.bitwise_or.reduceat(bits, batch.starts)
    chosen_runs = None if batch.alone else batch.lone
    at = _places(batch.cell, has, chosen_runs, 1 << KINDS)
    total.lone[key][...] += np.bincount(at, minlength=cells << KINDS).reshape(cells, -1)
    if not batch.alone:
        mine = slice(None) if chosen is None else np.flatnonzero(chosen)
        at = kind[mine] * np.int64(len(batch.cell)) + batch.run[mine]
        n = np.bincount(at, minlength=KINDS * len(batch.cell)).reshape(KINDS, -1)
        _add_several(total, key, batch, n)


def _places(
    cell: Integers, within: npt.NDArray[np.int8], chosen: Flags | None, size: int
) -> Integers:
    """Return the place of each chosen element in a table of cells by something of that size."""
    at = cell * size + within
    return at if chosen is None else at[chosen]


def _add_several(total: Clusters, key: Point, batch: _Batch, n: Integers) -> None:
    """Add what patients in several cells have in two of them, and who of them is in which arm."""
    of, alone = total.layout, batch.lone
    others, patient = np.flatnonzero(~alone), batch.patient[~alone]
    one, other = _pairs_within(patient)
    a, b = others[one], others[other]
    size = of.grid.cells * KINDS
    place = batch.cell[a][:, None] * KINDS + np.arange(KINDS)
    beside = batch.cell[b][:, None] * KINDS + np.arange(KINDS)
    pair = place[:, :, None] * size + beside[:, None, :]
    weight = n.T[a][:, :, None] * n.T[b][:, None, :]
    both = np.bincount(pair.ravel(), weight.ravel().astype(np.float64), size**2)
    held = total.second_across.setdefault(key, np.zeros((size, size), dtype=np.int64))
    held += both.astype(np.int64).reshape(size, size)
    starts = np.flatnonzero(np.r_[True, patient[1:] != patient[:-1]])
    for arm, inside in enumerate(of.inside):
        here = np.where(inside[batch.cell[others]], _mask(n[:, others]), 0)
        which = np.bitwise_or.reduceat(here, starts)
        total.several[key][arm] += np.bincount(which, minlength=1 << KINDS)


def _batch(some: Rows) -> _Batch:
    new = np.concatenate([[True], some.patient[1:] != some.patient[:-1]])
    patient = np.cumsum(new) - 1
    moved = some.cell[1:] != some.cell[:-1]
    if (moved & ~new[1:]).any():
        order = np.argsort(patient * (int(some.cell.max()) + 1) + some.cell, kind="stable")
        some = Rows(some.cell[order], some.patient[order], some.code[:, order])
        moved = some.cell[1:] != some.cell[:-1]
    begins = new.copy()
    begins[1:] |= moved
    run = np.cumsum(begins) - 1
    starts = np.flatnonzero(begins)
    owner = patient[starts]
    sizes = np.diff(np.append(starts, len(run)))
    alone = owner[-1] + 1 == len(owner)
    lone = np.ones(len(owner), dtype=bool) if alone else np.bincount(owner)[owner] == 1
    pairs = _pairs_within(patient)
    near, far = pairs, (pairs[0][:0], pairs[1][:0])
    if not alone:
        close = some.cell[pairs[0]] == some.cell[pairs[1]]
        near = pairs[0][close], pairs[1][close]
        far = pairs[0][~close], pairs[1][~close]
    return _Batch(some, run, starts, some.cell[starts], owner, sizes, lone, bool(alone), near, far)


def _pairs_within(group: Integers) -> tuple[Integers, Integers]:
    """Return all pairs of positions that are of one group; groups lie together."""
    nothing = np.zeros(0, dtype=np.int64)
    first, second = [nothing], [nothing]
    one, apart = np.flatnonzero(group[1:] == group[:-1]), 1
    while len(one):
        first.append(one)
        second.append(one + apart)
        # Only where two lie so far apart can two lie farther.
        apart += 1
        one = one[one + apart < len(group)]
        one = one[group[one] == group[one + apart]]
    return np.concatenate(first), np.concatenate(second)


def _both_seen(pair: tuple[Integers, Integers], chosen: Flags | None) -> tuple[Integers, Integers]:
    if chosen is None:
        return pair
    both = chosen[pair[0]] & chosen[pair[1]]
    return pair[0][both], pair[1][both]


def _mask(numbers: Integers) -> Integers:
    """Return which kinds there are any of, as bits."""
    bits = (numbers > 0) << np.arange(KINDS)[:, None]
    return np.asarray(bits.sum(axis=0), dtype=np.int64)
