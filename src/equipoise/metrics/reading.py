"""Predictions that a user brings: read, reshaped once, and held against what they must be."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.metrics.groups import UNKNOWN
from equipoise.tables import findings, read_foreign

_log = logging.getLogger(__name__)

_MANY = 50
"""More levels than this are a number that nobody has cut into bands."""

_LABELS = {"false": 0, "true": 1, "0": 0, "1": 1, "0.0": 0, "1.0": 1}

Declared = Mapping[str, Sequence[str] | None]


def read_predictions(path: Path) -> pl.DataFrame:
    """Return a table of predictions from a CSV or Parquet file, wide and checked.

    Parameters
    ----------
    path
        A row per image with `label` and `score`, or ``label:<finding>`` and
        ``score:<finding>`` for several findings; or a row per image and finding with the columns
        `image_id`, `finding`, `label` and `score`.

    Raises
    ------
    InvalidTable
        If there are no rows, a column is missing, a label is not 0, 1, true, false or empty, a
        score is not in [0, 1], or an image occurs twice.

    Examples
    --------
    >>> read_predictions(Path("nowhere.csv"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: no file nowhere.csv
    """
    return wide(read_foreign(path, "predictions"))


def wide(frame: pl.DataFrame) -> pl.DataFrame:
    """Return predictions with ``label:<finding>`` (Boolean) and ``score:<finding>``, checked.

    Raises
    ------
    InvalidTable
        As for `read_predictions`.

    Examples
    --------
    >>> wide(pl.DataFrame({"label": [1, 0, None], "score": [0.9, 0.2, 0.4]})).to_dict(
    ...     as_series=False)
    {'label:finding': [True, False, None], 'score:finding': [0.9, 0.2, 0.4]}
    """
    if not frame.height:
        raise InvalidTable(f"predictions: no rows, only the columns {frame.columns}")
    if "finding" in frame.columns:
        frame = _from_long(frame)
    elif not findings(frame):
        for name in ("label", "score"):
            _need(frame, name)
        # Checked under the names that the user knows.
        frame = frame.with_columns(_labels(frame["label"]), _scores(frame["score"]))
        frame = frame.rename({"label": "label:finding", "score": "score:finding"})
    named = [name.removeprefix("score:") for name in frame.columns if name.startswith("score:")]
    for finding in dict.fromkeys([*findings(frame), *named]):
        for name in (f"label:{finding}", f"score:{finding}"):
            _need(frame, name)
        frame = frame.with_columns(
            _labels(frame[f"label:{finding}"]), _scores(frame[f"score:{finding}"])
        )
    if "image_id" in frame.columns:
        _check_unique(frame, ["image_id"])
    return frame


def with_attributes(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the table with its attributes as text, an empty one as *unknown*, and say how many.

    Parameters
    ----------
    frame
        Predictions.
    names
        The attributes.

    Raises
    ------
    InvalidTable
        If a column is absent, or holds real numbers instead of levels.

    Examples
    --------
    >>> with_attributes(pl.DataFrame({"sex": ["F", None]}), ["sex"])["sex"].to_list()
    ['F', 'unknown']
    """
    for name in names:
        _need(frame, name)
        column = frame[name]
        if column.dtype.is_float():
            raise InvalidTable(
                f"predictions: column '{name}' is {column.dtype}; expected levels",
                hint="cut it into bands first, as 0-39, 40-64, 65+",
            )
        if column.null_count():
            _log.warning(
                "predictions: column '%s': %d nulls of %d rows are read as '%s'",
                name,
                column.null_count(),
                frame.height,
                UNKNOWN,
            )
        frame = frame.with_columns(column.cast(pl.String).fill_null(UNKNOWN))
    return frame


def declared_levels(
    frame: pl.DataFrame, by: Declared | Sequence[str]
) -> tuple[dict[str, list[str]], bool]:
    """Return attribute → levels, and whether any were taken from the data.

    Parameters
    ----------
    frame
        Predictions with their attributes as text.
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
            seen = frame[name].unique().sort().to_list()
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


def of_split(frame: pl.DataFrame, split: str | None, patient: str | None) -> pl.DataFrame:
    """Return the rows of one split, once no patient is seen to be in two.

    Parameters
    ----------
    frame
        Predictions; without a column `split` all rows are returned.
    split
        Its name, or ``"all"``; *test* if None.
    patient
        The column that says whose image it is, if there is one.

    Raises
    ------
    InvalidTable
        If a split is null, a patient is in two splits, or the split has no rows.

    Examples
    --------
    >>> rows = pl.DataFrame({"split": ["train", "test"], "who": ["a", "b"]})
    >>> of_split(rows, None, "who")["who"].to_list()
    ['b']
    """
    if "split" not in frame.columns:
        return frame
    nulls = frame["split"].null_count()
    if nulls:
        raise InvalidTable(
            f"predictions: column 'split': {nulls} null{'s' * (nulls != 1)}; expected none",
            hint="an image without a split would leave the audit unseen",
        )
    if patient is not None and patient in frame.columns:
        _check_splits(frame, patient)
    chosen = split or "test"
    if chosen == "all":
        return frame
    rows = frame.filter(pl.col("split") == chosen)
    if not rows.height:
        seen = ", ".join(map(str, frame["split"].unique().sort().to_list()))
        raise InvalidTable(
            f"predictions: no row is of the split '{chosen}'; splits: {seen or 'none'}",
            hint="choose a split, or 'all'",
        )
    return rows


def _check_splits(frame: pl.DataFrame, patient: str) -> None:
    several = (
        frame.group_by(patient, maintain_order=True)
        .agg(pl.col("split").unique().sort())
        .filter(pl.col("split").list.len() > 1)
    )
    if several.height:
        who, where = several.row(0)
        n = "1 patient is" if several.height == 1 else f"{several.height} patients are"
        raise InvalidTable(
            f"predictions: {n} in more than one split, as {who!r} in {' and '.join(where)}",
            hint="split by patient; else the audit sees patients the model was trained on",
        )


def _from_long(frame: pl.DataFrame) -> pl.DataFrame:
    for name in ("image_id", "label", "score"):
        _need(frame, name)
    _check_unique(frame, ["image_id", "finding"])
    if frame["finding"].null_count():
        raise InvalidTable(
            f"predictions: column 'finding': {frame['finding'].null_count()} nulls; expected none"
        )
    index = [c for c in frame.columns if c not in {"finding", "label", "score"}]
    # Checked before the pivot: it would read a label of 2 or a NaN as it is, but not where.
    frame = frame.with_columns(_labels(frame["label"]), _scores(frame["score"]))
    rows = frame.pivot(
        on="finding", index=index, values=["label", "score"], separator=":", maintain_order=True
    )
    _check_unique(rows, ["image_id"])
    return rows


def _need(frame: pl.DataFrame, name: str) -> None:
    if name not in frame.columns:
        raise InvalidTable(
            f"predictions: no column '{name}'; got {frame.columns}",
            hint=nearest(name, frame.columns),
        )


def _labels(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column
    if column.dtype == pl.Null:
        return column.cast(pl.Boolean)
    if column.dtype == pl.String:
        column = _words(column)
    if column.dtype.is_numeric():
        stray = ((column != 0) & (column != 1)).fill_null(value=False)
    else:
        stray = column.is_not_null() & ~column.cast(pl.String).is_in(list(_LABELS))
    if stray.any():
        row = stray.arg_max() or 0
        raise InvalidTable(
            f"predictions: column '{column.name}': {stray.sum()} values outside {{0, 1, null}}, "
            f"as {column[row]!r} in row {row}",
            hint="leave the cell empty where the finding was not assessed",
        )
    if column.dtype == pl.String:
        column = column.replace_strict(_LABELS, return_dtype=pl.Int8)
    return column.cast(pl.Int8).cast(pl.Boolean)


def _words(column: pl.Series) -> pl.Series:
    """Return a text column with true and false in small letters and empty cells as null."""
    small = column.str.strip_chars().str.to_lowercase()
    known = small.is_in([*_LABELS, ""])
    said = pl.select(pl.when(known).then(small).otherwise(column)).to_series().alias(column.name)
    return said.replace("", None)


def _scores(column: pl.Series) -> pl.Series:
    if column.null_count() == column.len() or column.dtype.is_integer():
        column = column.cast(pl.Float64)
    what = f"predictions: column '{column.name}'"
    if not column.dtype.is_float():
        first = column.drop_nulls()[0]
        raise InvalidTable(
            f"{what} is {column.dtype}, as {first!r}; expected scores in [0, 1]",
            hint="write numbers as 0.473, without a percent sign; leave a cell without one empty",
        )
    # NaN is above every number for polars, so that it must be asked for by name.
    bad = ((column < 0) | (column > 1) | column.is_nan()).fill_null(value=False)
    if bad.any():
        row = bad.arg_max() or 0
        raise InvalidTable(
            f"{what}: {bad.sum()} values are NaN or outside [0, 1], as {column[row]} in row {row}",
            hint=_remedy(column),
        )
    return column


def _remedy(column: pl.Series) -> str:
    """Say what to do about scores that are none, by what they look like."""
    numbers = column.drop_nulls().drop_nans()
    if ((numbers >= 0) & (numbers <= 1)).all():
        return "leave the cell empty where the model gave no score"
    if ((numbers >= 0) & (numbers <= 100)).all():
        return "if these are percentages, divide them by 100"
    return "logits are not scores: apply the model's own sigmoid or softmax first"


def _check_unique(frame: pl.DataFrame, key: list[str]) -> None:
    twice = frame.group_by(key, maintain_order=True).len().filter(pl.col("len") > 1)
    if twice.height:
        row = twice.row(0, named=True)
        named = ", ".join(f"{k}={row[k]!r}" for k in key)
        more = f" (and {twice.height - 1} more such)" if twice.height > 1 else ""
        raise InvalidTable(
            f"predictions: {row['len']} rows share {named}{more}; expected one row each"
        )
