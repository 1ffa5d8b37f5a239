"""The rows of a shard that are counted, a batch at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from equipoise.errors import InvalidTable
from equipoise.metrics.streams.encoding import Finding, Place
from equipoise.metrics.streams.grids import Grid
from equipoise.metrics.streams.sources import Shard, pair, read, schema_of


def batches(
    shard: Shard, grid: Grid, *, also: Sequence[str] = ()
) -> Iterator[tuple[Place, pa.RecordBatch]]:
    """Yield where each batch comes from, and the batch: the needed columns, the rows of the split.

    Parameters
    ----------
    shard
        What is read.
    grid
        Its attributes, findings and split say what is needed.
    also
        More columns.

    Raises
    ------
    InvalidTable
        If the file cannot be read, a column is absent, or a split is null.

    Examples
    --------
    >>> from pathlib import Path
    >>> list(batches(Shard(Path("nowhere"), (), 0, 0), Grid({}, {})))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: nowhere is not readable as Parquet ...
    """
    schema = schema_of(shard)
    columns = [name for finding in grid.findings for name in pair(schema, finding)]
    split = [] if grid.split is None else ["split"]
    levels = [*grid.levels, *split]
    for first, batch in read(shard, [*levels, *columns, *also], levels=levels):
        at = Place(shard.path.name, first)
        yield (at, batch) if grid.split is None else of_split(batch, grid.split, at)


def columns_of(schema: pa.Schema, grid: Grid) -> list[Finding]:
    """Return how the columns of each finding of a grid become codes.

    Examples
    --------
    >>> schema = pa.schema({"label:x": pa.bool_(), "score:x": pa.float64()})
    >>> columns_of(schema, Grid({}, {"x": np.array([0.0, 0.5])}))[0].bins
    2
    """
    return [
        Finding(*pair(schema, name), binned, grid.bins) for name, binned in grid.binnings.items()
    ]


def of_split(batch: pa.RecordBatch, split: str, at: Place) -> tuple[Place, pa.RecordBatch]:
    """Return the rows of a batch that are of a split, and where they come from.

    Raises
    ------
    InvalidTable
        If a split is null.

    Examples
    --------
    >>> batch = pa.record_batch({"split": ["train", "test"]})
    >>> of_split(batch, "test", Place("a.parquet", 0))[0].kept.tolist()
    [1]
    """
    column = batch.column("split")
    if column.null_count:
        empty = column.is_null().to_numpy(zero_copy_only=False)
        raise InvalidTable(
            f"predictions: column 'split': a null in {at.row(empty)}; expected none",
            hint="an image without a split would leave the audit unseen",
        )
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    chosen = np.array([name == split for name in coded.dictionary.to_pylist()], dtype=bool)
    rows = np.flatnonzero(chosen[coded.indices.to_numpy()])
    if len(rows) == batch.num_rows:
        return at, batch
    return Place(at.file, at.first, rows), batch.take(pa.array(rows))
