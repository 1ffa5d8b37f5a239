"""A user's table, read so that no identifier changes."""

from pathlib import Path

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables import read_texts


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
    table = read_texts(path, place)
    if table.height == 0:
        raise InvalidTable(f"{place}: {path} has no rows")
    return table
