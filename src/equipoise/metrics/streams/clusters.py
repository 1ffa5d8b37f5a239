"""What patients add to variances, counted in one pass over a stream: whole numbers, which add.

The square of a patient's sum of influence values is the sum of the squares of its images, which a
histogram holds, and twice the sum over its pairs of images, which a histogram of pairs holds. At an
operating point there are four kinds of image, and products of a patient's numbers of each say all.
So no estimate need be known while counting, and no patient is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.streams.grids import Grid, called_from
from equipoise.metrics.streams.people import NotRisingError, Rows, by_patient, rows, whole
from equipoise.metrics.streams.sources import Shard
from equipoise.metrics.tallies import distinct

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Point = tuple[str, str | None]
"""A finding and an operating point; None of the labels alone."""

_PAIRS_HELD = 16_000_000
"""Numbers in the histograms of pairs of all findings (8 bytes each)."""

ACROSS = 16
"""Bins of a pair whose images lie in different cells."""

KINDS = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """What is counted, and on which bins.

    Parameters
    ----------
    grid
        Levels and edges.
    called
        Finding and operating point → the first bin that is called positive.
    inside
        Which cells each arm is the union of, shape ``(arms, cells)``.
    """

    grid: Grid
    called: Mapping[Point, int]
    inside: Flags

    def point_of(self, finding: str) -> str | None:
        """Return an operating point of a finding, or None if it has none."""
        return next((point for mine, point in self.called if mine == finding), None)

    @property
    def coarse(self) -> int:
        """Into how many bins a pair's scores fall: as many as memory allows, at most 128."""
        room = _PAIRS_HELD // max(1, 4 * len(self.grid.findings) * self.grid.cells)
        return int(np.clip(2 ** int(np.log2(max(room, 1)) // 2), 16, 128))

    def places(self, bins: int) -> Integers:
        """Return label and coarse bin of each label and bin, shape ``(2 × grid bins,)``."""
        fine = self.grid.bins
        coarse = np.arange(fine) if fine <= bins else np.arange(fine) * bins // fine
        return np.concatenate([coarse, coarse + bins])


def layout(grid: Grid, points: Mapping[Point, float], inside: Flags) -> Layout:
    """Return what is counted, once all thresholds are seen to be edges.

    Parameters
    ----------
    grid
        Levels and edges.
    points
        Finding and operating point → threshold.
    inside
        The arms, as unions of all cells of the grid.

    Raises
    ------
    InvalidConfiguration
        If a threshold is no edge.

    Examples
    --------
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> layout(grid, {("x", "half"): 0.5}, np.ones((1, 2), dtype=bool)).called
    {('x', 'half'): 1}
    """
    called = {key: called_from(grid.edges[key[0]], value) for key, value in points.items()}
    return Layout(grid, called, inside)


@dataclass(frozen=True, slots=True)
class Clusters:
    """What is counted of the rows of a stream whose batches hold patients whole.

    Parameters
    ----------
    layout
        What was counted, and how.
    histogram
        Images, shape ``(findings, cells, 2, bins)``.
    crowd
        Of the pairs in one cell, with n images of the patient there: their number, and the sums of
        n - 2 and of (n - 2)(n - 3), shape ``(findings, cells, 3)``.
    same
        Pairs of a patient's images in one cell, ``(findings, cells, 2 × coarse, 2 × coarse)``.
    across
        Finding → pairs in different cells, ``(cells × 2 × 16, cells × 2 × 16)``, where there are.
    second
        Finding and operating point → products of a patient's numbers of each kind in one cell,
        shape ``(cells, 4, 4)``.
    second_across
        The same of two cells, ``(cells × 4, cells × 4)``, where there are.
    lone
        Finding and operating point → patients of one cell, by cell and by which kinds they have,
        ``(cells, 16)``.
    several
        The same of patients in several cells, by arm, ``(arms, 16)``.
    unscored
        Images with a label and no score, by finding: they are in no other number.
    rows
        How many.
    """

    layout: Layout
    histogram: Integers
    crowd: Integers
    same: Integers
    across: dict[str, Integers]
    second: Mapping[Point, Integers]
    second_across: dict[Point, Integers]
    lone: Mapping[Point, Integers]
    several: Mapping[Point, Integers]
    unscored: Integers
    rows: int


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
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> of = layout(grid, {("x", "half"): 0.5}, np.ones((1, 2), dtype=bool))
    >>> who = np.array([7, 7, 8], np.uint64)
    >>> one = Rows(np.array([0, 0, 1]), who, np.array([[0, 3, 3]], np.int16))
    >>> made = clustered([one], of)
    >>> made.second["x", "half"][0].tolist()
    [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    """
    total = _nothing(of)
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


def together(parts: Sequence[Clusters], *, disjoint_patients: bool) -> Clusters:
    """Return the counts of all parts.

    Parameters
    ----------
    parts
        Counts on the same layout.
    disjoint_patients
        Must be declared: a patient in two parts would be taken for two.

    Raises
    ------
    InvalidTable
        If it is not declared, there is no part, or they were counted on other grids.

    Examples
    --------
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> one = clustered([], layout(grid, {}, np.ones((1, 2), dtype=bool)))
    >>> together([one, one], disjoint_patients=True).rows
    0
    """
    if not disjoint_patients:
        raise InvalidTable("stream: parts not declared to share no patient cannot be merged")
    if not parts:
        raise InvalidTable("stream: no parts to merge; expected one or more")
    total = _nothing(parts[0].layout)
    for part in parts:
        mine, theirs = total.layout, part.layout
        if not mine.grid.same(theirs.grid) or mine.called != theirs.called:
            raise InvalidTable("stream: parts were counted on other edges, levels or thresholds")
        _join(total, part)
    return replace(total, rows=sum(part.rows for part in parts))


def _join(total: Clusters, part: Clusters) -> None:
    for name in ("histogram", "crowd", "same", "unscored"):
        getattr(total, name)[...] += getattr(part, name)
    for name in ("second", "lone", "several"):
        for key, counts in getattr(part, name).items():
            getattr(total, name)[key][...] += counts
    for finding, counts in part.across.items():
        total.across.setdefault(finding, np.zeros_like(counts))[...] += counts
    for key, counts in part.second_across.items():
        total.second_across.setdefault(key, np.zeros_like(counts))[...] += counts


def _nothing(of: Layout) -> Clusters:
    grid, wide = of.grid, 2 * of.coarse
    findings, cells, arms = len(grid.findings), grid.cells, len(of.inside)
    keys = list(of.called)
    # At any operating point labels are counted too.
    keys += [(finding, None) for finding in grid.findings if of.point_of(finding) is None]

    def zeros(*shape: int) -> Integers:
        return np.zeros(shape, dtype=np.int64)

    return Clusters(
        of,
        zeros(*grid.shape),
        zeros(findings, cells, 3),
        zeros(findings, cells, wide, wide),
        {},
        {key: zeros(cells, KINDS, KINDS) for key in keys},
        {},
        {key: zeros(cells, 1 << KINDS) for key in keys},
        {key: zeros(arms, 1 << KINDS) for key in keys},
        zeros(findings),
        0,
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Who is where in a batch: the same for all findings.

    Parameters
    ----------
    rows
        The batch, a patient's images of one cell together.
    run, first
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
        total.same[place] += np.bincount(pair, minlength=cells * size**2).reshape(cells, size, size)
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
    """Add products of patients' numbers of each kind of image, and who has which kinds."""
    (batch, code, chosen), of = seen, total.layout
    bins = of.grid.bins
    first = of.called.get(key, bins)
    kind_of = np.repeat([0, 2], bins) + (np.tile(np.arange(bins), 2) >= first)
    mine = slice(None) if chosen is None else np.flatnonzero(chosen)
    runs = len(batch.cell)
    at = kind_of[code[mine]] * runs + batch.run[mine]
    n = np.bincount(at, minlength=KINDS * runs).reshape(KINDS, runs)
    found = distinct(batch.cell, n)
    products = np.einsum("p,ip,jp->pij", found.times, found.numbers, found.numbers)
    np.add.at(total.second[key], found.cell, products)
    alone = batch.lone
    if not batch.alone:
        found = distinct(batch.cell[alone], n[:, alone])
    np.add.at(total.lone[key], (found.cell, _mask(found.numbers)), found.times)
    if not batch.alone:
        _add_several(total, key, batch, n)


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
    return _Batch(some, run, some.cell[starts], owner, sizes, lone, bool(alone), near, far)


def _pairs_within(group: Integers) -> tuple[Integers, Integers]:
    """Return all pairs of positions that are of one group; groups lie together."""
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    length = np.diff(np.r_[starts, len(group)])
    first: list[Integers] = []
    second: list[Integers] = []
    for apart in range(1, int(length.max(initial=0))):
        longer = length > apart
        starts, length = starts[longer], length[longer]
        before = np.cumsum(length - apart) - (length - apart)
        one = np.repeat(starts - before, length - apart) + np.arange(int((length - apart).sum()))
        first.append(one)
        second.append(one + apart)
    nothing = np.zeros(0, dtype=np.int64)
    return np.concatenate([nothing, *first]), np.concatenate([nothing, *second])


def _both_seen(pair: tuple[Integers, Integers], chosen: Flags | None) -> tuple[Integers, Integers]:
    if chosen is None:
        return pair
    both = chosen[pair[0]] & chosen[pair[1]]
    return pair[0][both], pair[1][both]


def _mask(numbers: Integers) -> Integers:
    """Return which kinds there are any of, as bits."""
    bits = (numbers > 0) << np.arange(KINDS)[:, None]
    return np.asarray(bits.sum(axis=0), dtype=np.int64)
