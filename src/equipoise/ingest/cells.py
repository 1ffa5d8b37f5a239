"""What the cells of a user's table mean: labels, attributes, numbers, dates."""

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.images.ages import age_years, date_of, in_range
from equipoise.ingest.options import Finding

UNKNOWN = "unknown"
_WORDS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_NOT_SAID = ("", "nan", "null", "unknown")


def column(table: pl.DataFrame, name: str, place: str) -> pl.Series:
    """Return a column of a user's table.

    Raises
    ------
    InvalidTable
        If there is none of that name; the hint names the nearest.

    Examples
    --------
    >>> column(pl.DataFrame({"Sex": ["F"]}), "sex", "table")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: table: no column 'sex'; got ['Sex']
    """
    if name not in table.columns:
        close = nearest(name, table.columns) or nearest(
            name.lower(), [column.lower() for column in table.columns]
        )
        raise InvalidTable(f"{place}: no column '{name}'; got {table.columns}", hint=close)
    return table[name]


def labels(values: pl.Series, place: str) -> pl.Series:
    """Return labels as Boolean, null = not assessed.

    Raises
    ------
    InvalidTable
        At the first value that is not 0, 1, true, false or empty, with its column and row (the
        first row is 0).

    Examples
    --------
    >>> labels(pl.Series("edema", [0, 1, None]), "table").to_list()
    [False, True, None]
    >>> labels(pl.Series("edema", ["0", "-1"]), "table")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: table: column 'edema': label '-1' in row 1; expected 0, 1, \
true, false or empty (not assessed)
    """
    if values.dtype in {pl.Boolean, pl.Null}:
        return values.cast(pl.Boolean)
    found: list[bool | None] = []
    for row, value in enumerate(values):
        text = "" if value is None else str(value).strip().lower()
        if text and text not in _WORDS:
            raise InvalidTable(
                f"{place}: column '{values.name}': label '{value}' in row {row}; "
                "expected 0, 1, true, false or empty (not assessed)",
                hint="leave the cell empty where the finding was not assessed or is uncertain",
            )
        found.append(_WORDS[text] if text else None)
    return pl.Series(values.name, found, pl.Boolean)


def finding(table: pl.DataFrame, rule: Finding, place: str) -> pl.Series:
    """Return the labels of a finding by its rule.

    Raises
    ------
    InvalidTable
        If the column is absent, holds what is no label, or never holds the word asked for.

    Examples
    --------
    >>> table = pl.DataFrame({"read": ["Edema|Mass", "Mass", None]})
    >>> rule = Finding(column="read", contains="Edema", separator="|")
    >>> finding(table, rule, "table").to_list()
    [True, False, None]
    """
    values = column(table, rule.column, place)
    if rule.contains is None:
        return labels(values, place)
    wanted = [rule.contains] if isinstance(rule.contains, str) else rule.contains
    cells = [None if value is None or value == "" else str(value) for value in values]
    parts = [cell if cell is None else _parts(cell, rule.separator) for cell in cells]
    seen = {word for part in parts if part is not None for word in part}
    for word in wanted:
        if seen and word not in seen:
            raise InvalidTable(
                f"{place}: no cell of column '{rule.column}' holds '{word}'",
                hint=nearest(word, sorted(seen)),
            )
    hit = [None if part is None else any(word in part for word in wanted) for part in parts]
    return pl.Series(rule.column, hit, pl.Boolean)


def _parts(cell: str, separator: str | None) -> list[str]:
    words = [cell] if separator is None else cell.split(separator)
    return [word.strip() for word in words]


def levels(values: pl.Series) -> pl.Series:
    """Return an attribute as text; what is not said is the level ``"unknown"``.

    Examples
    --------
    >>> levels(pl.Series(["F", " M ", "", None, "Unknown"])).to_list()
    ['F', 'M', 'unknown', 'unknown', 'unknown']
    """
    text = values.cast(pl.String).str.strip_chars()
    said = text.is_not_null() & ~text.str.to_lowercase().is_in(list(_NOT_SAID))
    return pl.select(pl.when(said).then(text).otherwise(pl.lit(UNKNOWN)).alias(values.name))[
        values.name
    ]


def texts(values: pl.Series) -> pl.Series:
    """Return text, null where nothing is said.

    Examples
    --------
    >>> texts(pl.Series(["a", " "])).to_list()
    ['a', None]
    """
    text = values.cast(pl.String).str.strip_chars()
    return pl.select(pl.when(text != "").then(text).alias(values.name))[values.name]


def numbers(values: pl.Series, place: str) -> pl.Series:
    """Return real numbers, null where nothing is said.

    Raises
    ------
    InvalidTable
        If a value is no number.

    Examples
    --------
    >>> numbers(pl.Series("kvp", ["80", None]), "table").to_list()
    [80.0, None]
    """
    try:
        found = values.cast(pl.Float64)
    except pl.exceptions.PolarsError as error:
        raise InvalidTable(
            f"{place}: column '{values.name}' ({values.dtype}) holds what is no number"
        ) from error
    return found.fill_nan(None)


def ages(values: pl.Series) -> pl.Series:
    """Return ages in years from numbers or from texts as ``045Y``; null where not known.

    Examples
    --------
    >>> ages(pl.Series([45, 999, None])).to_list()
    [45.0, None, None]
    >>> ages(pl.Series(["045Y", "7", "old"])).to_list()
    [45.0, 7.0, None]
    """
    return pl.Series(values.name, [_age(value) for value in values], pl.Float64)


def dates(values: pl.Series) -> pl.Series:
    """Return days; null where not known or not readable.

    Examples
    --------
    >>> dates(pl.Series(["2020-01-02", "20200102", "soon"])).to_list()
    [datetime.date(2020, 1, 2), datetime.date(2020, 1, 2), None]
    """
    if values.dtype == pl.Date:
        return values
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.date()
    found = [None if value is None else date_of(str(value)) for value in values]
    return pl.Series(values.name, found, pl.Date)


def _age(value: object) -> float | None:
    if value is None:
        return None
    try:
        return in_range(float(str(value)))
    except ValueError:
        return age_years(str(value))
