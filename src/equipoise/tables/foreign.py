"""Tables that a user brings, read so that no identifier changes."""

import re
from pathlib import Path

import polars as pl

from equipoise.errors import InvalidTable

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ENDINGS = (*_SEPARATORS, ".parquet", ".arrow", ".feather")
_HINTS = {
    "utf-8": "save it as CSV in UTF-8",
    "more fields": "a row has more cells than the header: is a comma a decimal mark, or in a text?",
}
_WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
_REAL = r"^[+-]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)$"
_NO_NUMBER = r"(?i)^[+-]?(nan|inf|infinity)$"


def read_foreign(path: Path, name: str) -> pl.DataFrame:
    r"""Return a table that a user brings, as CSV, TSV, Parquet or Arrow by its ending.

    A CSV says nothing of types. A column is read as numbers only if each of its cells is one as a
    program would write it: ``0061`` stays a text, so that no two patients become one, and so do
    dates. An empty cell is null; NaN stays NaN, for the stage to refuse.

    Parameters
    ----------
    path
        The file.
    name
        Whose table it is, for messages.

    Raises
    ------
    InvalidTable
        If it is absent or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "table.csv"
    >>> _ = path.write_text("id,score\n0061,0.5\n61,1\n")
    >>> read_foreign(path, "predictions").rows()
    [('0061', 0.5), ('61', 1.0)]
    """
    frame = read_texts(path, name)
    if path.suffix.lower() not in _SEPARATORS:
        return frame
    return frame.with_columns(_recognised(column) for column in frame)


def read_texts(path: Path, name: str) -> pl.DataFrame:
    """Return a table that a user brings; every cell of a CSV is text, an empty one null.

    Parameters
    ----------
    path
        CSV, TSV, Parquet, Arrow or Feather, by its ending.
    name
        Whose table it is, for messages.

    Raises
    ------
    InvalidTable
        If it is absent or cannot be read.

    Examples
    --------
    >>> read_texts(Path("nowhere.csv"), "predictions")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: no file nowhere.csv
    """
    if not path.is_file():
        raise InvalidTable(f"{name}: no file {path}")
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise InvalidTable(
            f"{name}: {path} ends in '{path.suffix}'; expected {', '.join(_ENDINGS)}",
            hint="export it as CSV or Parquet",
        )
    try:
        if ending == ".parquet":
            return pl.read_parquet(path)
        if ending in {".arrow", ".feather"}:
            return pl.read_ipc(path)
        return _delimited(path, _SEPARATORS[ending], name)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        hint = next((hint for sign, hint in _HINTS.items() if sign in first.lower()), None)
        raise InvalidTable(f"{name}: {path} cannot be read ({first})", hint=hint) from error


def _delimited(path: Path, separator: str, name: str) -> pl.DataFrame:
    with path.open("rb") as file:
        head = file.readline()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidTable(f"{name}: {path} is UTF-16", hint=_HINTS["utf-8"])
    frame = pl.read_csv(path, separator=separator, infer_schema=False)
    twice = [c for c in frame.columns if re.search(r"_duplicated_\d+$", c)]
    if twice:
        column = re.sub(r"_duplicated_\d+$", "", twice[0])
        raise InvalidTable(f"{name}: {path}: two columns are named '{column}'; expected one")
    other = next((mark for mark in ";\t,|" if mark != separator and mark in frame.columns[0]), None)
    if frame.width == 1 and other is not None:
        raise InvalidTable(
            f"{name}: {path} has one column, {frame.columns[0]!r}; expected cells parted by "
            f"{separator!r}",
            hint=f"it seems to be parted by {other!r}: save it as comma-separated",
        )
    return frame


def _recognised(column: pl.Series) -> pl.Series:
    """Return numbers where all cells are numbers, else the texts as they are."""
    said = column.str.strip_chars().drop_nulls()
    if said.is_empty():
        return column
    if said.str.contains(_WHOLE).all():
        return column.str.strip_chars().cast(pl.Int64)
    whole = said.str.contains(_WHOLE)
    # 007 beside 0.5 is a number in no file that a program wrote.
    padded = said.str.contains(r"^-?0[0-9]")
    if (whole | (said.str.contains(_REAL) & ~padded) | said.str.contains(_NO_NUMBER)).all():
        return column.str.strip_chars().cast(pl.Float64)
    return column
