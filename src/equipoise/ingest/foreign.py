"""A user's table, read so that no identifier changes."""

from pathlib import Path

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables import read_foreign

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


def read_table(path: Path, place: str) -> pl.DataFrame:
    """Return a table that a user brings; the cells of a CSV as text, an empty one as null.

    A CSV says nothing of types. Guessed ones would turn the patient ``0061`` into the number 61
    and the SOP instance UID ``1.2.3`` into a day.

    Parameters
    ----------
    path
        CSV, TSV or Parquet, by its ending.
    place
        Whose table it is, for messages.

    Raises
    ------
    InvalidTable
        If it is absent, cannot be read or has no rows.

    Examples
    --------
    >>> read_table(Path("nowhere.csv"), "labels")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: labels: no file nowhere.csv
    """
    separator = _SEPARATORS.get(path.suffix.lower())
    table = (
        read_foreign(path, place)
        if separator is None or not path.is_file()
        else _read_texts(path, separator, place)
    )
    if table.height == 0:
        raise InvalidTable(f"{place}: {path} has no rows")
    return table


def _read_texts(path: Path, separator: str, place: str) -> pl.DataFrame:
    try:
        return pl.read_csv(path, separator=separator, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise InvalidTable(f"{place}: {path} cannot be read ({error})") from error
