"""Parquet files as shards that can be read alone: a file, and some of its row groups."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from equipoise.errors import InvalidTable, nearest

_SHARD = 1 << 22
"""About as many rows a shard has, so that workers have equal ends."""

BATCH = 1 << 17
"""Rows at a time, at most: few enough for the cache, enough for what a batch costs to be small."""

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class Shard:
    """Row groups of a file, one after the other.

    Parameters
    ----------
    path
        The file.
    groups
        Their positions.
    first
        The row of the file at which they begin.
    rows
        How many they have.
    """

    path: Path
    groups: tuple[int, ...]
    first: int
    rows: int


def shards(paths: Paths, *, rows: int = _SHARD) -> list[Shard]:
    """Return files as shards, in the order of their names.

    Parameters
    ----------
    paths
        A file, a folder, a pattern as ``"predictions-*.parquet"``, or several of these.
    rows
        Row groups are put together up to so many.

    Raises
    ------
    InvalidTable
        If there is no such file, one is not Parquet, or two differ in columns or types.

    Examples
    --------
    >>> shards("nowhere-*.parquet")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: no file nowhere-*.parquet
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    files = list(dict.fromkeys(file for path in given for file in _files(path)))
    if not files:
        raise InvalidTable("predictions: no files were given; expected one or more")
    found: list[Shard] = []
    schema: pa.Schema | None = None
    for path in files:
        with _opened(path) as file:
            schema = schema or file.schema_arrow
            _check_same(path, file.schema_arrow, files[0], schema)
            found += _of_file(path, file.metadata, rows)
    return found


def singles(shard: Shard) -> list[Shard]:
    """Return each row group of a shard as a shard of its own.

    Examples
    --------
    >>> singles(Shard(Path("nowhere"), (), 0, 0))
    []
    """
    if len(shard.groups) <= 1:
        return [shard] if shard.groups else []
    with _opened(shard.path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in shard.groups]
    starts = [shard.first + sum(sizes[:place]) for place in range(len(sizes))]
    return [
        Shard(shard.path, (group,), start, size)
        for group, start, size in zip(shard.groups, starts, sizes, strict=True)
    ]


def schema_of(shard: Shard) -> pa.Schema:
    """Return the columns of the file of a shard, with their types.

    Examples
    --------
    >>> schema_of(Shard(Path("nowhere"), (), 0, 0))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: nowhere is not readable as Parquet ...
    """
    with _opened(shard.path) as file:
        return file.schema_arrow


def pair(schema: pa.Schema, finding: str) -> tuple[str, str]:
    """Return the names of the columns of a finding: its label, its score.

    A table of one finding may call them `label` and `score`; its finding is then `finding`.

    Raises
    ------
    InvalidTable
        If one is absent.

    Examples
    --------
    >>> pair(pa.schema({"label:x": pa.bool_(), "score:x": pa.float32()}), "x")
    ('label:x', 'score:x')
    """
    names = list(schema.names)
    if finding == "finding" and {"label", "score"} <= set(names):
        return "label", "score"
    for name in (f"label:{finding}", f"score:{finding}"):
        need(names, name)
    return f"label:{finding}", f"score:{finding}"


def findings_in(schema: pa.Schema) -> tuple[str, ...]:
    """Return the findings that have a label or a score.

    Examples
    --------
    >>> findings_in(pa.schema({"label:x": pa.bool_(), "score:x": pa.float32()}))
    ('x',)
    """
    named = [name.partition(":") for name in schema.names]
    found = [finding for kind, colon, finding in named if colon and kind in {"label", "score"}]
    if not found and {"label", "score"} <= set(schema.names):
        return ("finding",)
    return tuple(dict.fromkeys(found))


def need(names: Sequence[str], name: str) -> None:
    """Raise if a column is absent.

    Raises
    ------
    InvalidTable
        With what there is.

    Examples
    --------
    >>> need(["sex"], "sex")
    """
    if name not in names:
        raise InvalidTable(
            f"predictions: no column '{name}'; got {list(names)}", hint=nearest(name, names)
        )


def read(
    shard: Shard, columns: Sequence[str], *, levels: Sequence[str] = (), rows: int = BATCH
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the row at which each batch of a shard begins, and the batch.

    Parameters
    ----------
    shard
        What is read.
    columns
        Only these.
    levels
        Which of them are read as codes of a dictionary, where they are text.
    rows
        The most rows of a batch.

    Raises
    ------
    InvalidTable
        If the file cannot be read.

    Examples
    --------
    >>> list(read(Shard(Path("nowhere"), (), 0, 0), ["sex"]))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: nowhere is not readable as Parquet ...
    """
    with _opened(shard.path, levels) as file:
        for name in columns:
            need(file.schema_arrow.names, name)
        batches = file.iter_batches(
            batch_size=rows, row_groups=list(shard.groups), columns=list(columns), use_threads=False
        )
        start = shard.first
        try:
            for batch in batches:
                yield start, batch
                start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(shard.path, error) from error


def _files(path: str | Path) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        found = sorted(place.glob("*.parquet"))
    elif place.is_file():
        found = [place]
    else:
        found = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 (absolute)
    if not found:
        raise InvalidTable(f"predictions: no file {path}")
    return found


def _opened(path: Path, levels: Sequence[str] = ()) -> pq.ParquetFile:
    try:
        # Without a pre-buffer only what a batch needs is held, however large a row group is.
        return pq.ParquetFile(
            path, read_dictionary=list(levels), pre_buffer=False, buffer_size=1 << 20
        )
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InvalidTable:
    return InvalidTable(f"predictions: {path} is not readable as Parquet ({error})")


def _of_file(path: Path, metadata: pq.FileMetaData, rows: int) -> list[Shard]:
    found: list[Shard] = []
    for group in range(metadata.num_row_groups):
        n = metadata.row_group(group).num_rows
        last = found[-1] if found else Shard(path, (), 0, 0)
        if last.groups and last.rows + n <= rows:
            found[-1] = Shard(path, (*last.groups, group), last.first, last.rows + n)
        else:
            found.append(Shard(path, (group,), last.first + last.rows, n))
    return found


def _check_same(path: Path, schema: pa.Schema, first: Path, expected: pa.Schema) -> None:
    kinds: Mapping[str, pa.DataType] = dict(zip(schema.names, schema.types, strict=True))
    for name, kind in zip(expected.names, expected.types, strict=True):
        if name not in kinds:
            raise InvalidTable(f"predictions: no column '{name}' in {path}; it is in {first}")
        if kinds[name] != kind:
            raise InvalidTable(
                f"predictions: column '{name}' is {kinds[name]} in {path}; it is {kind} in {first}"
            )
