"""What a Parquet file of ours says of itself, and the system's errors beneath those of polars."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables.contracts import Contract

MARK = "equipoise"
"""The key under which it stands in the metadata of a file."""


def mark(contract: Contract, more: Mapping[str, object]) -> dict[str, str]:
    """Return the metadata of a table: its name, version and unit, and what else is to be said.

    Examples
    --------
    >>> mark(Contract("people", "person", {}), {"n": 1})[MARK]
    '{"n": 1, "table": "people", "unit": "person", "version": 1}'
    """
    head = {"table": contract.name, "version": contract.version, "unit": contract.unit}
    return {MARK: json.dumps({**head, **more}, sort_keys=True, allow_nan=False)}


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
        text = pl.read_parquet_metadata(path).get(MARK, "{}")
        said = json.loads(text)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise InvalidTable(f"{name}: {path} is not readable as Parquet ({error})") from error
    return said if isinstance(said, dict) else {}


@contextlib.contextmanager
def system_errors() -> Iterator[None]:
    """Give a full disk its name again: polars wraps the system's error in one of its own.

    Examples
    --------
    >>> with system_errors():
    ...     raise pl.exceptions.ComputeError("No space left on device (os error 28)")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] No space left on device
    """
    try:
        yield
    except pl.exceptions.PolarsError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
