"""The second pass over a stream: rows as codes, in batches that hold patients whole.

Where each patient's rows lie together, a batch hands its last patient on to the next. Where they do
not, rows are first parted on disk by a hash of the patient, so that each part fits in memory.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from equipoise.errors import StorageFailure
from equipoise.metrics.streams.batches import batches, columns_of
from equipoise.metrics.streams.encoding import Place, cells_of, codes_of, patients_of
from equipoise.metrics.streams.grids import Grid
from equipoise.metrics.streams.sources import BATCH, Shard, read

Patients = npt.NDArray[np.uint64]

_RUNS = 1 << 23
"""So many runs of one patient are remembered to see whether any comes again."""

_PART = 1 << 21
_PARTS = 256
"""Rows of a part on disk, and the most parts."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a stream.

    Parameters
    ----------
    cell
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, 64 bits that stand for a patient.
    code
        Shape ``(findings, n)``: ``label * bins + bin`` on the grid, -1 where a finding was not
        assessed or has no score.
    """

    cell: npt.NDArray[np.int64]
    patient: Patients
    code: npt.NDArray[np.signedinteger]


def rows(
    shards: Sequence[Shard],
    grid: Grid,
    patient: str | None,
    *,
    unscored: npt.NDArray[np.int64] | None = None,
    rising: bool = False,
) -> Iterator[Rows]:
    """Yield the rows of shards as codes, batch by batch, as they lie in the files.

    Parameters
    ----------
    shards
        From `shards`.
    grid
        Levels and edges.
    patient
        The column that says whose image it is; None takes images as independent.
    unscored
        Gets, finding by finding, how many images have a label and no score.
    rising
        Whether patients must rise from row to row.

    Raises
    ------
    InvalidTable
        As for `counted`, and if a patient is null.
    NotRisingError
        If a patient is below the one before, and must not be.

    Examples
    --------
    >>> list(rows([], Grid({}, {}), None))
    []
    """
    space = np.empty((3, BATCH), dtype=np.int64)
    kind = np.int16 if 2 * grid.bins <= np.iinfo(np.int16).max else np.int32
    done, last = 0, None
    for shard in shards:
        for at, batch in batches(shard, grid, also=[] if patient is None else [patient]):
            n = batch.num_rows
            cell, _ = cells_of([batch.column(name) for name in grid.levels], grid.levels, at)
            code = np.full((len(grid.findings), n), -1, dtype=kind)
            for place, finding in enumerate(columns_of(batch.schema, grid)):
                found = codes_of(batch, finding, at, space)
                code[place][slice(None) if found.rows is None else found.rows] = found.code
                if unscored is not None:
                    unscored[place] += found.unscored
            who = np.arange(done, done + n, dtype=np.uint64)
            if patient is not None:
                who = patients_of(batch.column(patient), patient, at)
                last = _risen(batch.column(patient), last) if rising else None
            done += n
            yield Rows(np.zeros(n, dtype=np.int64) if cell is None else cell, who, code)


class NotRisingError(Exception):
    """Patients do not rise from row to row: said by one part of a stream to another."""


def _risen(column: pa.Array, last: pl.Series | None) -> pl.Series | None:
    """Return the last patient, once all are seen to be no lower than the one before."""
    names = pl.Series(pl.from_arrow(column))
    if not names.len():
        return last
    before = last is not None and names[0] < last[0]
    if before or (names[1:] < names[:-1]).any():
        raise NotRisingError
    return names[-1:]


def whole(some: Iterable[Rows]) -> Iterator[Rows]:
    """Yield rows in batches that hold patients whole, if the rows of each lie together.

    Parameters
    ----------
    some
        From `rows`.

    Examples
    --------
    >>> def batch(*who):
    ...     n = len(who)
    ...     return Rows(np.zeros(n, np.int64), np.array(who, np.uint64), np.zeros((1, n), np.int16))
    >>> [made.patient.tolist() for made in whole([batch(1, 2), batch(2, 2), batch(2, 3)])]
    [[1], [2, 2, 2, 2], [3]]
    """
    held: list[Rows] = []
    for batch in some:
        if not len(batch.patient):
            continue
        starts = np.flatnonzero(_begins(batch.patient))
        last = int(starts[-1])
        # All of it is the patient that is held: perhaps there is more.
        if held and held[0].patient[0] == batch.patient[0] and last == 0:
            held.append(batch)
            continue
        if held and held[0].patient[0] != batch.patient[0]:
            yield _joined(held)
            held = []
        if last:
            yield _joined([*held, _cut(batch, slice(0, last))])
        held = [_cut(batch, slice(last, None))]
    if held:
        yield _joined(held)


def adjacent(shards: Sequence[Shard], patient: str, *, runs: int = _RUNS) -> bool:
    """Return whether the rows of each patient are seen to lie together, over all shards in order.

    They do if the patients rise, or if there are as many patients as runs of one.

    Parameters
    ----------
    shards
        From `shards`.
    patient
        The column that says whose image it is.
    runs
        So many are remembered; if there are more and they do not rise, the answer is no.

    Raises
    ------
    InvalidTable
        If the column is absent, or a patient is null.

    Examples
    --------
    >>> adjacent([], "patient_id")
    True
    """
    rising, before, last = True, None, None
    seen: list[Patients] | None = []
    remembered = 0
    for shard in shards:
        for first, batch in read(shard, [patient]):
            column = batch.column(patient)
            if not batch.num_rows:
                continue
            who = patients_of(column, patient, Place(shard.path.name, first))
            begins = _begins(who)
            begins[0] = last is None or who[0] != last
            last = who[-1]
            names = pl.Series(pl.from_arrow(column)).filter(pl.Series(begins))
            if rising and len(names):
                rising = bool((names[1:] > names[:-1]).all())
                rising = rising and (before is None or names[0] > before)
                before = names[-1]
            remembered += len(names)
            if seen is not None:
                seen = [*seen, who[begins]] if remembered <= runs else None
            if seen is None and not rising:
                return False
    if rising or seen is None:
        return rising
    # Sorting is many times faster here than `np.unique`, which hashes.
    everyone = np.sort(np.concatenate(seen))
    return bool((everyone[1:] != everyone[:-1]).all())


def disjoint(shards: Sequence[Shard], patient: str | None) -> list[list[Shard]]:
    """Return shards in groups that share no patient, or all in one group.

    Only where patients rise from row to row: then a patient who ends one shard and begins the next
    keeps them together, and nobody else is in two.

    Parameters
    ----------
    shards
        From `shards`.
    patient
        The column that says whose image it is; None takes images as independent.

    Raises
    ------
    InvalidTable
        If the column is absent, or a patient is null.

    Examples
    --------
    >>> disjoint([], "patient_id")
    [[]]
    """
    if patient is None:
        return [[shard] for shard in shards] or [[]]
    groups: list[list[Shard]] = []
    before: pl.Series | None = None
    for shard in shards:
        ends = _ends(shard, patient)
        if ends is None or (before is not None and ends[0] < before[1]):
            return [list(shards)]
        if before is not None and ends[0] == before[1]:
            groups[-1].append(shard)
        else:
            groups.append([shard])
        before = ends
    return groups or [list(shards)]


def _ends(shard: Shard, patient: str) -> pl.Series | None:
    """Return the first and the last patient of a shard, or None if they do not rise."""
    ends: pl.Series | None = None
    for start, batch in read(shard, [patient]):
        if batch.num_rows:
            patients_of(batch.column(patient), patient, Place(shard.path.name, start))
            names = pl.Series(pl.from_arrow(batch.column(patient)))
            if (names[1:] < names[:-1]).any() or (ends is not None and names[0] < ends[1]):
                return None
            ends = (names if ends is None else ends)[:1].append(names[-1:])
    return ends


def by_patient(
    shards: Sequence[Shard],
    grid: Grid,
    patient: str | None,
    *,
    folder: Path | None = None,
    unscored: npt.NDArray[np.int64] | None = None,
) -> Iterator[Rows]:
    """Yield rows in batches that hold patients whole, in whatever order the files are.

    Parameters
    ----------
    shards, grid, patient
        As for `rows`.
    folder
        Where rows are parted if the rows of a patient lie apart; a temporary folder by default.
        It is left as it was found.
    unscored
        As for `rows`.

    Raises
    ------
    InvalidTable
        As for `rows`.
    StorageFailure
        If they cannot be written.

    Examples
    --------
    >>> list(by_patient([], Grid({}, {}), "patient_id"))
    []
    """
    if patient is None:
        yield from rows(shards, grid, None, unscored=unscored)
    elif adjacent(shards, patient):
        yield from whole(rows(shards, grid, patient, unscored=unscored))
    else:
        total = sum(shard.rows for shard in shards)
        parts = min(max(-(-total // _PART), 1), _PARTS)
        found = rows(shards, grid, patient, unscored=unscored)
        yield from parted(found, parts=parts, folder=folder)


def parted(some: Iterable[Rows], *, parts: int, folder: Path | None = None) -> Iterator[Rows]:
    """Yield all rows again in so many batches that hold patients whole, sorted by patient.

    Parameters
    ----------
    some
        From `rows`, patients in any order.
    parts
        How many batches. One of them is in memory at a time.
    folder
        Where they are written meanwhile.

    Raises
    ------
    StorageFailure
        If they cannot be written.

    Examples
    --------
    >>> who = np.array([5, 3, 5], np.uint64)
    >>> one = Rows(np.array([0, 1, 2]), who, np.zeros((1, 3), np.int16))
    >>> [made.cell.tolist() for made in parted([one], parts=1)]
    [[1, 0, 2]]
    """
    with tempfile.TemporaryDirectory(prefix="parts-", dir=folder) as place:
        paths = [Path(place) / f"{part:03}.arrow" for part in range(parts)]
        try:
            _write(some, paths)
        except OSError as error:
            raise StorageFailure(
                f"{place}: rows could not be parted by patient ({error.strerror or error})",
                hint="free some space or choose another folder; files sorted by patient need none",
            ) from error
        for path in paths:
            if path.exists():
                made = _read(path)
                order = np.argsort(made.patient, kind="stable")
                yield Rows(made.cell[order], made.patient[order], made.code[:, order])


def _write(some: Iterable[Rows], paths: Sequence[Path]) -> None:
    with ExitStack() as stack:
        files: dict[int, pa.RecordBatchFileWriter] = {}
        for batch in some:
            # The high half of the hash: it is even over all parts, whatever their number.
            part = ((batch.patient >> np.uint64(32)) * np.uint64(len(paths))) >> np.uint64(32)
            order = np.argsort(part, kind="stable")
            cuts = np.searchsorted(part[order], np.arange(len(paths) + 1, dtype=np.uint64))
            for place in np.flatnonzero(np.diff(cuts)).tolist():
                mine = _cut(batch, order[cuts[place] : cuts[place + 1]])
                table = _batch(mine)
                if place not in files:
                    writer = pa.ipc.new_file(str(paths[place]), table.schema)
                    files[place] = stack.enter_context(writer)
                files[place].write_batch(table)


def _batch(some: Rows) -> pa.RecordBatch:
    codes = {f"code{place}": pa.array(row) for place, row in enumerate(some.code)}
    return pa.record_batch({"cell": some.cell, "patient": some.patient, **codes})


def _read(path: Path) -> Rows:
    with pa.ipc.open_file(str(path)) as file:
        table = file.read_all()
    cell, patient, *codes = (column.to_numpy() for column in table.columns)
    code = np.stack(codes) if codes else np.zeros((0, len(cell)), dtype=np.int16)
    return Rows(cell, patient, code)


def _begins(patient: Patients) -> npt.NDArray[np.bool_]:
    """Return which rows begin a run of one patient."""
    first = np.ones(min(len(patient), 1), dtype=bool)
    return np.concatenate([first, patient[1:] != patient[:-1]])


def _cut(some: Rows, part: slice | npt.NDArray[np.int64]) -> Rows:
    return Rows(some.cell[part], some.patient[part], some.code[:, part])


def _joined(some: Sequence[Rows]) -> Rows:
    if len(some) == 1:
        return some[0]
    return Rows(
        np.concatenate([one.cell for one in some]),
        np.concatenate([one.patient for one in some]),
        np.concatenate([one.code for one in some], axis=1),
    )
