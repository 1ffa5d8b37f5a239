"""The first pass over a stream: histograms per cell and label, which add over parts.

However many rows there are, a worker holds one batch of them and one array of counts.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from equipoise.errors import InvalidTable
from equipoise.metrics.streams.batches import batches, columns_of
from equipoise.metrics.streams.encoding import Place, cells_of, codes_of
from equipoise.metrics.streams.grids import Grid
from equipoise.metrics.streams.sources import BATCH, Shard

Integers = npt.NDArray[np.int64]
Progress = Callable[[int], None]
"""Told after each shard how many rows were read since."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the first pass over some rows gives: whole numbers, which add.

    Parameters
    ----------
    grid
        What they were counted on.
    histogram
        Shape ``(findings, cells, 2, bins)``, images; negatives first.
    unscored
        Images with a label and no score, by finding: they are in no other number.
    unknown
        Images without a level, read as *unknown*, by attribute.
    rows
        How many were read, of all splits.
    """

    grid: Grid
    histogram: Integers
    unscored: Integers
    unknown: Integers
    rows: int


def counted(shards: Sequence[Shard], grid: Grid, *, progress: Progress | None = None) -> Counted:
    """Return the histograms of the rows of some shards, in memory that does not grow with them.

    Parameters
    ----------
    shards
        From `shards`.
    grid
        Levels and edges.
    progress
        Told how many rows were read, after each shard.

    Raises
    ------
    InvalidTable
        If a column is absent, a level is not declared, a label is not 0 or 1, or a score is NaN or
        outside [0, 1]; with file and row.

    Examples
    --------
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> counted([], grid).histogram.shape
    (1, 2, 2, 2)
    """
    total = nothing(grid)
    space = np.empty((3, BATCH), dtype=np.int64)
    rows = 0
    for shard in shards:
        for at, batch in batches(shard, grid):
            _add(total, batch, at, space)
        rows += shard.rows
        if progress is not None:
            progress(shard.rows)
    return Counted(grid, total.histogram, total.unscored, total.unknown, rows)


def counted_by_workers(
    shards: Sequence[Shard], grid: Grid, *, workers: int, progress: Progress | None = None
) -> Counted:
    """Return what `counted` returns, by several processes of this machine.

    Parameters
    ----------
    shards, grid, progress
        As for `counted`.
    workers
        How many processes.

    Raises
    ------
    InvalidTable
        As for `counted`.

    Examples
    --------
    >>> grid = Grid({}, {"x": np.array([0.0, 0.5])})
    >>> counted_by_workers([], grid, workers=2).rows
    0
    """
    if workers <= 1 or len(shards) <= 1:
        return counted(shards, grid, progress=progress)
    total = nothing(grid)
    # A forked child of a process with threads may wait for a lock that nobody holds.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(shards)), mp_context=context) as pool:
        tasks = {pool.submit(counted, [shard], grid): shard for shard in shards}
        try:
            for task in as_completed(tasks):
                total = merged([total, task.result()])
                if progress is not None:
                    progress(tasks[task].rows)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return total


def nothing(grid: Grid) -> Counted:
    """Return the counts of no rows.

    Examples
    --------
    >>> nothing(Grid({}, {"x": np.array([0.0])})).histogram.tolist()
    [[[[0], [0]]]]
    """
    return Counted(
        grid,
        np.zeros(grid.shape, dtype=np.int64),
        np.zeros(len(grid.findings), dtype=np.int64),
        np.zeros(len(grid.levels), dtype=np.int64),
        0,
    )


def merged(parts: Sequence[Counted]) -> Counted:
    """Return the counts of all parts together.

    Images are counted, so it does not matter whether parts share a patient.

    Parameters
    ----------
    parts
        Of the same grid.

    Raises
    ------
    InvalidTable
        If there are none, or two were counted on other levels or edges.

    Examples
    --------
    >>> grid = Grid({}, {"x": np.array([0.0])})
    >>> merged([nothing(grid), nothing(grid)]).rows
    0
    >>> merged([nothing(grid), nothing(Grid({}, {"x": np.array([0.0, 0.5])}))])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: counts: part 1 was counted on other levels or edges than part 0
    """
    if not parts:
        raise InvalidTable("counts: no parts to merge; expected one or more")
    first = parts[0]
    for place, part in enumerate(parts):
        if part.grid is not first.grid and not part.grid.same(first.grid):
            raise InvalidTable(
                f"counts: part {place} was counted on other levels or edges than part 0"
            )
    return Counted(
        first.grid,
        np.sum([part.histogram for part in parts], axis=0, dtype=np.int64),
        np.sum([part.unscored for part in parts], axis=0, dtype=np.int64),
        np.sum([part.unknown for part in parts], axis=0, dtype=np.int64),
        sum(part.rows for part in parts),
    )


def _add(total: Counted, batch: pa.RecordBatch, at: Place, space: Integers) -> None:
    grid = total.grid
    columns = [batch.column(name) for name in grid.levels]
    cell, nulls = cells_of(columns, grid.levels, at, space[2])
    total.unknown[:] += nulls
    base = None if cell is None else np.multiply(cell, 2 * grid.bins, out=cell)
    for place, finding in enumerate(columns_of(batch.schema, grid)):
        found = codes_of(batch, finding, at, space)
        if base is not None:
            found.code[:] += base if found.rows is None else base[found.rows]
        by_code = np.bincount(found.code, minlength=grid.cells * 2 * grid.bins)
        total.histogram[place] += by_code.reshape(grid.shape[1:])
        total.unscored[place] += found.unscored
