"""From a user's table to columns of the cohort, by the names that the study file declares."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.ingest import cells
from equipoise.ingest.options import Columns, Finding, Options, Word
from equipoise.tables.nouns import ACQUISITION, COHORT

_LABEL = "label:"


def described(table: pl.DataFrame, columns: Columns, place: str) -> pl.DataFrame:
    """Return attributes, labels and what is kept, a row per row of `table`.

    Parameters
    ----------
    table
        As the user brings it.
    columns
        What its columns mean.
    place
        Whose table it is, for messages.

    Raises
    ------
    InvalidTable
        If a column is absent or holds what it cannot.

    Examples
    --------
    >>> table = pl.DataFrame({"Sex": ["F", None], "edema": [1, 0]})
    >>> columns = Columns(attributes={"sex": "Sex"}, findings={"edema": "edema"})
    >>> described(table, columns, "table").rows()
    [('F', True), ('unknown', False)]
    """
    found: dict[str, pl.Series] = {}
    for name, source in columns.attributes.items():
        found[name] = cells.levels(cells.column(table, source, place))
    for name, source in columns.keep.items():
        found[name] = _kept(name, cells.column(table, source, place), place)
    for name, rule in columns.findings.items():
        asked = Finding(column=rule) if isinstance(rule, str) else rule
        found[_LABEL + name] = cells.finding(table, asked, place)
        if asked.source is not None:
            found[f"label_source:{name}"] = pl.Series([asked.source] * table.height)
    return pl.DataFrame(found) if found else pl.DataFrame()


def with_named_labels(columns: Columns, table: pl.DataFrame, place: str) -> Columns:
    """Return `columns` with the findings that a label table itself names ``label:<finding>``.

    Only if none is declared.

    Raises
    ------
    InvalidTable
        If there is none either.

    Examples
    --------
    >>> with_named_labels(Columns(), pl.DataFrame({"label:edema": [1]}), "labels").findings
    {'edema': 'label:edema'}
    """
    if columns.findings:
        return columns
    named = {n.removeprefix(_LABEL): n for n in table.columns if n.startswith(_LABEL)}
    if not named:
        raise InvalidTable(
            f"{place}: no finding: no column is called label:<finding>; got {table.columns}",
            hint="say which columns hold findings under columns.findings",
        )
    return columns.model_copy(update={"findings": named})


def one_each(keys: Sequence[str | None], what: str, place: str) -> None:
    """Refuse a key that two rows share.

    Examples
    --------
    >>> one_each(["a", "b", "a"], "image", "table")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: table: 2 rows share image 'a'; expected one row each
    """
    counts = pl.Series("key", keys, pl.String).drop_nulls().value_counts().sort("key")
    twice = counts.filter(pl.col("count") > 1)
    if twice.height:
        first = ", ".join(f"'{key}'" for key in twice["key"][:3])
        more = f" and {twice.height - 3} more" if twice.height > 3 else ""
        raise InvalidTable(
            f"{place}: {twice['count'][0]} rows share {what} {first}{more}; expected one row each",
            hint="leave one row of each out, or name another column",
        )


def kept(row: Mapping[str, object], where: Mapping[str, Word | list[Word]]) -> str | None:
    """Return why a row is filtered out, or nothing if it stays.

    Examples
    --------
    >>> kept({"view": "AP"}, {"view": ["PA", "LL"]})
    "view is 'AP', not among 'PA', 'LL'"
    >>> kept({"pneumonia": 1}, {"pneumonia": 1}) is None
    True
    """
    for name, wanted in where.items():
        words = wanted if isinstance(wanted, list) else [wanted]
        value = row.get(name)
        if not any(_same(value, word) for word in words):
            named = ", ".join(repr(word) for word in words)
            return f"{name} is {value!r}, not {'among ' if len(words) > 1 else ''}{named}"
    return None


def check_where(options: Options, known: Sequence[str], place: str) -> None:
    """Refuse a filter on a column that is not there.

    Raises
    ------
    InvalidTable
        With the nearest column as a hint.

    Examples
    --------
    >>> check_where(Options(where={"vieu": "AP"}), ["view"], "table")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: table: no column 'vieu' to filter by; got ['view']
    """
    for name in options.where:
        if name not in known:
            raise InvalidTable(
                f"{place}: no column '{name}' to filter by; got {list(known)}",
                hint=nearest(name, known),
            )


def check_bands(options: Options, known: Iterable[str]) -> None:
    """Refuse a band that is cut from a column that is not there.

    Raises
    ------
    InvalidConfiguration
        With the nearest column as a hint.

    Examples
    --------
    >>> bands = {"age_band": {"from": "age", "edges": [40]}}
    >>> check_bands(Options.model_validate({"bands": bands}), [])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: ingest: bands.age_band: no number 'age'; known: age_years
    """
    numbers = ["age_years", *sorted(known)]
    for name, band in options.bands.items():
        if band.source not in numbers:
            raise InvalidConfiguration(
                f"ingest: bands.{name}: no number '{band.source}'; known: {', '.join(numbers)}",
                hint=nearest(band.source, numbers),
            )


def _kept(name: str, values: pl.Series, place: str) -> pl.Series:
    if name in ACQUISITION:
        kind = ACQUISITION[name].kind
        if kind == "text":
            return cells.texts(values)
        found = cells.numbers(values, place)
        return found.cast(pl.Int64) if kind == "integer" else found
    if name in COHORT.columns or name.startswith(tuple(COHORT.families)):
        raise InvalidConfiguration(
            f"ingest: columns.keep: '{name}' has its own place; expected an acquisition column or "
            "a new number",
            hint=nearest(name, ACQUISITION),
        )
    try:
        return cells.numbers(values, place)
    except InvalidTable as error:
        raise InvalidConfiguration(
            f"ingest: columns.keep: '{name}' is text; expected one of {', '.join(ACQUISITION)}, "
            "or a number",
            hint=nearest(name, ACQUISITION) or "say it under columns.attributes",
        ) from error


def _same(value: object, wanted: Word) -> bool:
    if value is None:
        return False
    if isinstance(value, bool) or isinstance(wanted, bool):
        return str(value).lower() == str(wanted).lower() or value == wanted
    return value == wanted or str(value) == str(wanted)
