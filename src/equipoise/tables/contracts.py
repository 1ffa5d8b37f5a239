"""What a contract is, and the check that holds a table against it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from equipoise.errors import InvalidTable, nearest

Kind = Literal["text", "boolean", "integer", "real", "date", "time", "vector", "counts"]

_TYPES: dict[Kind, tuple[type[pl.DataType], ...]] = {
    "text": (pl.String,),
    "boolean": (pl.Boolean,),
    "integer": (pl.Int64, pl.Int32, pl.UInt32, pl.UInt64, pl.Int16, pl.UInt16, pl.UInt8, pl.Int8),
    "real": (pl.Float64, pl.Float32),
    "date": (pl.Date,),
    "time": (pl.Datetime,),
    "vector": (pl.Array,),
    "counts": (pl.List,),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a contract.

    Parameters
    ----------
    kind
        What its values are.
    nullable
        Whether null, *not known* or *not assessed*, may stand there.
    required
        Whether the table must have it.
    low, high
        The closed range of a number.
    among
        The words that a text may be.
    """

    kind: Kind
    nullable: bool = False
    required: bool = True
    low: float | None = None
    high: float | None = None
    among: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The columns of a table, by name and by prefix.

    Parameters
    ----------
    name
        What the table is called in messages and in its metadata.
    unit
        What a row is.
    columns
        Column name → what it holds.
    families
        Prefix, as ``"label:"`` → what each column of that prefix holds.
    key
        The columns that name a row: no two rows share them.
    other
        What a column that is not named may hold, or None: then it is an error.
    version
        Raised when the meaning of a column changes.
    """

    name: str
    unit: str
    columns: Mapping[str, Column]
    families: Mapping[str, Column] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    other: Mapping[Kind, Column] | None = None
    version: int = 1

    def column(self, name: str, dtype: pl.DataType) -> Column | None:
        """Return what the contract says of one column, or nothing."""
        if name in self.columns:
            return self.columns[name]
        for prefix, column in self.families.items():
            if name.startswith(prefix):
                return column
        if self.other is None:
            return None
        return next((c for k, c in self.other.items() if isinstance(dtype, _TYPES[k])), None)


def check(frame: pl.DataFrame, contract: Contract, *, where: str | None = None) -> pl.DataFrame:
    """Return `frame` as it came, once it is seen to keep its contract.

    Parameters
    ----------
    frame
        The table.
    contract
        What it must hold.
    where
        Whose table it is, for the message; the contract's name by default.

    Raises
    ------
    InvalidTable
        With the table, the column, what was found and what was expected.

    Examples
    --------
    >>> people = Contract("people", "person", {"id": Column("text")}, key=("id",))
    >>> check(pl.DataFrame({"id": ["a", "a"]}), people)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: people: 2 rows share id='a'; expected one row each
    """
    place = where or contract.name
    for name, column in contract.columns.items():
        if column.required and name not in frame.columns:
            raise InvalidTable(
                f"{place}: no column '{name}'; got {frame.columns}",
                hint=nearest(name, frame.columns),
            )
    for name, dtype in frame.schema.items():
        found = contract.column(name, dtype)
        if found is None:
            known = ", ".join([*contract.columns, *(f"{p}…" for p in contract.families)])
            raise InvalidTable(
                f"{place}: column '{name}' ({dtype}) is not part of the table; expected {known}",
                hint=nearest(name, contract.columns),
            )
        _check_column(frame[name], found, place)
    _check_key(frame, contract.key, place)
    return frame


def _check_column(values: pl.Series, column: Column, place: str) -> None:
    what = f"{place}: column '{values.name}'"
    if values.dtype == pl.Null and column.nullable:
        return
    if not isinstance(values.dtype, _TYPES[column.kind]):
        raise InvalidTable(f"{what} is {values.dtype}; expected {column.kind}")
    if not column.nullable and values.null_count():
        n, first = values.null_count(), values.is_null().arg_max() or 0
        raise InvalidTable(f"{what}: {n} nulls, the first in row {first}; expected none")
    if column.kind == "real":
        _check_real(values, what)
    if column.low is not None or column.high is not None:
        _check_range(values, column, what)
    if column.among is not None:
        _check_words(values, column.among, what)


def _check_real(values: pl.Series, what: str) -> None:
    bad = ~values.is_finite() & values.is_not_null()
    if bad.any():
        row = bad.arg_max() or 0
        raise InvalidTable(
            f"{what}: {bad.sum()} values are {values[row]}, the first in row {row}; "
            "expected numbers, or null where there is none"
        )


def _check_range(values: pl.Series, column: Column, what: str) -> None:
    outside = pl.Series([False]).new_from_index(0, values.len())
    if column.low is not None:
        outside |= (values < column.low).fill_null(value=False)
    if column.high is not None:
        outside |= (values > column.high).fill_null(value=False)
    if outside.any():
        row = outside.arg_max() or 0
        low = "-∞" if column.low is None else f"{column.low:g}"
        high = "∞" if column.high is None else f"{column.high:g}"
        raise InvalidTable(
            f"{what}: {outside.sum()} values outside [{low}, {high}], as {values[row]} in row {row}"
        )


def _check_words(values: pl.Series, among: tuple[str, ...], what: str) -> None:
    stray = values.filter(~values.is_in(list(among)) & values.is_not_null())
    if stray.len():
        raise InvalidTable(
            f"{what}: {stray.len()} values as '{stray[0]}'; expected one of {', '.join(among)}",
            hint=nearest(str(stray[0]), among),
        )


def _check_key(frame: pl.DataFrame, key: tuple[str, ...], place: str) -> None:
    if not key:
        return
    twice = frame.group_by(key, maintain_order=True).len().filter(pl.col("len") > 1)
    if twice.height:
        row = twice.row(0, named=True)
        named = ", ".join(f"{k}={row[k]!r}" for k in key)
        more = f" (and {twice.height - 1} more such)" if twice.height > 1 else ""
        raise InvalidTable(f"{place}: {row['len']} rows share {named}{more}; expected one row each")
