"""What a column of labels or scores must hold, and what is said if it does not."""

import logging

import numpy as np
import polars as pl

from equipoise.errors import InvalidTable, nearest

_log = logging.getLogger(__name__)

_LABELS = {"false": 0, "true": 1, "0": 0, "1": 1, "0.0": 0, "1.0": 1}


def need(frame: pl.DataFrame, name: str) -> None:
    """Refuse a table without this column.

    Examples
    --------
    >>> need(pl.DataFrame({"scores": [0.5]}), "score")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: no column 'score'; got ['scores']
    """
    if name not in frame.columns:
        raise InvalidTable(
            f"predictions: no column '{name}'; got {frame.columns}",
            hint=nearest(name, frame.columns),
        )


def labels(column: pl.Series) -> pl.Series:
    """Return labels as Boolean, null where the finding was not assessed.

    Raises
    ------
    InvalidTable
        If one is not 0, 1, true, false or empty.

    Examples
    --------
    >>> labels(pl.Series("label", ["True", "0", ""])).to_list()
    [True, False, None]
    """
    if column.dtype == pl.Boolean:
        return column
    if column.dtype == pl.Null:
        return column.cast(pl.Boolean)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
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


def scores(column: pl.Series) -> pl.Series:
    """Return scores in [0, 1] in the precision in which they came, null where there is none.

    Raises
    ------
    InvalidTable
        If one is no number, NaN, or outside [0, 1].

    Examples
    --------
    >>> scores(pl.Series("score", [0, 1, None])).to_list()
    [0.0, 1.0, None]
    """
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


def narrowed(column: pl.Series) -> pl.Series:
    """Return scores as Float32, and say how many that differed are now alike.

    In memory nothing is narrowed: scores are compared in the precision in which they came. What
    stores or streams Float32 goes through here.

    Examples
    --------
    >>> narrowed(pl.Series("score", [0.1, 0.1 + 1e-12, 0.5])).n_unique()
    2
    """
    if column.dtype == pl.Float32:
        return column
    small = column.cast(pl.Float32)
    lost = column.n_unique() - small.n_unique()
    if lost:
        _log.warning(
            "predictions: column '%s': %d of %d distinct scores collapse when stored as Float32; "
            "pairs of them count as ties",
            column.name,
            lost,
            column.drop_nulls().n_unique(),
        )
    return small


def check_unique(frame: pl.DataFrame, key: list[str]) -> None:
    """Refuse a table in which two rows share a key.

    Examples
    --------
    >>> check_unique(pl.DataFrame({"image_id": ["a", "a"]}), ["image_id"])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: 2 rows share image_id='a'; expected one row each
    """
    # Hashes that all differ come from keys that all differ, and cost a twentieth of grouping.
    hashes = np.sort(frame.select(key).hash_rows().to_numpy())
    if not (hashes[1:] == hashes[:-1]).any():
        return
    twice = frame.group_by(key, maintain_order=True).len().filter(pl.col("len") > 1)
    if not twice.height:
        return
    row = twice.row(0, named=True)
    named = ", ".join(f"{k}={row[k]!r}" for k in key)
    more = f" (and {twice.height - 1} more such)" if twice.height > 1 else ""
    raise InvalidTable(f"predictions: {row['len']} rows share {named}{more}; expected one row each")


def _words(column: pl.Series) -> pl.Series:
    """Return a text column with true and false in small letters and empty cells as null."""
    small = column.str.strip_chars().str.to_lowercase()
    known = small.is_in([*_LABELS, ""])
    said = pl.select(pl.when(known).then(small).otherwise(column)).to_series().alias(column.name)
    return said.replace("", None)


def _remedy(column: pl.Series) -> str:
    """Say what to do about scores that are none, by what they look like."""
    numbers = column.drop_nulls().drop_nans()
    if ((numbers >= 0) & (numbers <= 1)).all():
        return "leave the cell empty where the model gave no score"
    if ((numbers >= 0) & (numbers <= 100)).all():
        return "if these are percentages, divide them by 100"
    return "logits are not scores: apply the model's own sigmoid or softmax first"
