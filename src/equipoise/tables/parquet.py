"""Parquet in and out, with the table's name, version and unit in its metadata."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables.contracts import Contract, check
from equipoise.tables.files import aside
from equipoise.tables.marks import mark, system_errors
from equipoise.tables.marks import metadata as metadata_of
from equipoise.tables.nouns import EMBEDDINGS
from equipoise.tables.stored import open_embeddings, parts_in


def write(
    frame: pl.DataFrame,
    path: Path,
    contract: Contract,
    *,
    more: Mapping[str, object] | None = None,
) -> None:
    """Write a table that keeps its contract, sorted by its key, whole or not at all.

    Parameters
    ----------
    frame
        The table.
    path
        The Parquet file.
    contract
        What it must hold.
    more
        What else its metadata shall say, as JSON.

    Raises
    ------
    InvalidTable
        If the table breaks its contract.
    StorageFailure
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from equipoise.tables.nouns import IMAGE_CACHE
    >>> path = Path(tempfile.mkdtemp()) / "images.parquet"
    >>> rows = {"image_id": ["b", "a"], "row": [1, 0], "pixel_digest": ["y", "x"]}
    >>> write(pl.DataFrame(rows), path, IMAGE_CACHE)
    >>> read(path, IMAGE_CACHE)["image_id"].to_list()
    ['a', 'b']
    """
    check(frame, contract)
    if contract.key:
        frame = frame.sort(contract.key)
    with aside(path) as partial, system_errors():
        frame.rechunk().write_parquet(
            partial, compression="zstd", statistics=False, metadata=mark(contract, more or {})
        )


def read(path: Path, contract: Contract) -> pl.DataFrame:
    """Return a table that keeps its contract; embeddings may lie in parts beside `path`.

    Vectors stored as float16 come as float32: what is computed from them is computed in float32.

    Raises
    ------
    InvalidTable
        If the file is absent, is no Parquet, holds another table or another version of it, or
        breaks the contract.

    Examples
    --------
    >>> from equipoise.tables.nouns import COHORT
    >>> read(Path("nowhere.parquet"), COHORT)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: cohort: no file nowhere.parquet
    """
    parts = _parts(path, contract.name)
    if parts is not None:
        return open_embeddings(parts).table()
    said = metadata(path, contract.name)
    if said.get("table", contract.name) != contract.name:
        raise InvalidTable(f"{path} holds the table '{said['table']}'; expected '{contract.name}'")
    if said.get("version", contract.version) != contract.version:
        raise InvalidTable(
            f"{contract.name}: {path} has version {said['version']}; expected {contract.version}"
        )
    where = f"{contract.name} ({path.name})"
    return check(_widened(pl.read_parquet(path)), contract, where=where)


def metadata(path: Path, name: str = "table") -> dict[str, object]:
    """Return what a table says of itself, be it one file or embeddings in parts beside `path`.

    Examples
    --------
    >>> metadata(Path("nowhere.parquet"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: table: no file nowhere.parquet
    """
    parts = _parts(path, path.stem)
    return metadata_of(path, name) if parts is None else dict(open_embeddings(parts).said)


def _parts(path: Path, name: str) -> Path | None:
    """Return the folder of parts that stands where a file of embeddings is looked for."""
    folder = path.with_suffix("")
    beside = name == EMBEDDINGS.name and not path.is_file() and bool(parts_in(folder))
    return folder if beside else None


def _widened(frame: pl.DataFrame) -> pl.DataFrame:
    half = {
        name: pl.Array(pl.Float32, kind.size)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Array) and kind.inner == pl.Float16
    }
    return frame.cast(half) if half else frame  # type: ignore[arg-type]
