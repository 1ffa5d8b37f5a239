"""Parquet in and out, with the table's name, version and unit in its metadata."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables.contracts import Contract, check
from equipoise.tables.files import aside

_MARK = "equipoise"


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
    head = {"table": contract.name, "version": contract.version, "unit": contract.unit}
    text = json.dumps({**head, **(more or {})}, sort_keys=True, allow_nan=False)
    with aside(path) as partial, _system_errors():
        frame.rechunk().write_parquet(
            partial, compression="zstd", statistics=False, metadata={_MARK: text}
        )


@contextlib.contextmanager
def _system_errors() -> Iterator[None]:
    """Give a full disk its name again: polars wraps the system's error in one of its own."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def read(path: Path, contract: Contract) -> pl.DataFrame:
    """Return a table that keeps its contract.

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
    said = metadata(path, contract.name)
    if said.get("table", contract.name) != contract.name:
        raise InvalidTable(f"{path} holds the table '{said['table']}'; expected '{contract.name}'")
    if said.get("version", contract.version) != contract.version:
        raise InvalidTable(
            f"{contract.name}: {path} has version {said['version']}; expected {contract.version}"
        )
    return check(pl.read_parquet(path), contract, where=f"{contract.name} ({path.name})")


def metadata(path: Path, name: str = "table") -> dict[str, object]:
    """Return what a Parquet file says of itself; empty if another program wrote it.

    Examples
    --------
    >>> metadata(Path("nowhere.parquet"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: table: no file nowhere.parquet
    """
    if not path.is_file():
        raise InvalidTable(f"{name}: no file {path}")
    try:
        text = pl.read_parquet_metadata(path).get(_MARK, "{}")
    except pl.exceptions.PolarsError as error:
        raise InvalidTable(f"{name}: {path} is not readable as Parquet ({error})") from error
    said = json.loads(text)
    return said if isinstance(said, dict) else {}
