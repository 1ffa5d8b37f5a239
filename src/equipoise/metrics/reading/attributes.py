"""The attributes of predictions: levels as text, numbers cut, an empty one as *unknown*."""

import logging
from collections.abc import Mapping, Sequence

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.metrics.groups import UNKNOWN
from equipoise.metrics.reading.bands import bands, cut
from equipoise.metrics.reading.columns import need

_log = logging.getLogger(__name__)

_MANY = 50
"""More levels than this are a number that nobody has cut into bands."""

Declared = Mapping[str, Sequence[str] | None]


def with_attributes(frame: pl.DataFrame, by: Declared | Sequence[str]) -> pl.DataFrame:
    """Return the table with its attributes as levels, an empty one as *unknown*, and say how many.

    Parameters
    ----------
    frame
        Predictions.
    by
        The attributes, or attribute → its levels: bands as ``40-64`` cut a column of numbers.

    Raises
    ------
    InvalidTable
        If a column is absent, holds real numbers and no bands are declared, or a number is in none.

    Examples
    --------
    >>> with_attributes(pl.DataFrame({"sex": ["F", None]}), ["sex"])["sex"].to_list()
    ['F', 'unknown']
    >>> rows = pl.DataFrame({"age_years": [39.5, 70.0]})
    >>> with_attributes(rows, {"age_years": ["0-39", "40+"]})["age_years"].to_list()
    ['0-39', '40+']
    """
    asked: Declared = by if isinstance(by, Mapping) else dict.fromkeys(by)
    made = []
    for name, levels in asked.items():
        need(frame, name)
        column = frame[name]
        if column.null_count():
            _log.warning(
                "predictions: column '%s': %d nulls of %d rows are read as '%s'",
                name,
                column.null_count(),
                frame.height,
                UNKNOWN,
            )
        found = _levels(column, levels)
        if found.null_count():
            found = found.cast(pl.String).fill_null(UNKNOWN)
        made.append(found)
    return frame.with_columns(made)


def declared_levels(
    frame: pl.DataFrame, by: Declared | Sequence[str]
) -> tuple[dict[str, list[str]], bool]:
    """Return attribute → levels, and whether any were taken from the data.

    Parameters
    ----------
    frame
        Predictions with their attributes as levels.
    by
        Attribute → levels, or None: then they are those that occur, *unknown* last. A list of
        names declares no level at all.

    Raises
    ------
    InvalidTable
        If more levels occur than can be groups.

    Examples
    --------
    >>> frame = pl.DataFrame({"sex": ["unknown", "M", "F"]})
    >>> declared_levels(frame, ["sex"])
    ({'sex': ['F', 'M', 'unknown']}, True)
    >>> declared_levels(frame, {"sex": ["F", "M", "unknown"]})
    ({'sex': ['F', 'M', 'unknown']}, False)
    """
    asked: Declared = by if isinstance(by, Mapping) else dict.fromkeys(by)
    found: dict[str, list[str]] = {}
    for name, levels in asked.items():
        if levels is None:
            seen = frame[name].unique().cast(pl.String).sort().to_list()
            if len(seen) > _MANY:
                raise InvalidTable(
                    f"predictions: column '{name}' has {len(seen)} levels; "
                    f"expected at most {_MANY}",
                    hint="cut it into bands, or declare the levels that count",
                )
            found[name] = sorted(seen, key=lambda level: (level == UNKNOWN, level))
        else:
            found[name] = list(levels)
    return found, any(levels is None for levels in asked.values())


def _levels(column: pl.Series, levels: Sequence[str] | None) -> pl.Series:
    if column.dtype.is_nested():
        raise InvalidTable(
            f"predictions: column '{column.name}' is {column.dtype}; expected levels, as texts"
        )
    if column.dtype.is_numeric():
        made = bands(levels) if levels is not None else None
        if made is not None:
            return cut(column, made)
    if column.dtype.is_float():
        whole = column.fill_nan(None).cast(pl.Int64, strict=False)
        # In pandas a column of whole numbers with a gap is one of real numbers.
        if levels is None or not (whole == column).all():
            raise InvalidTable(
                f"predictions: column '{column.name}' is {column.dtype}; expected levels",
                hint="cut it into bands, as "
                f"{column.name}=0-39,40-64,65+: they cut a column of numbers",
            )
        column = whole
    # Levels that are already few and known are not written out for each row.
    return column if isinstance(column.dtype, pl.Enum) else column.cast(pl.String)
