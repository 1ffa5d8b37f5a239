"""A label of several classes, read as one finding per class: one against the rest."""

import logging

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.metrics.reading.columns import scores
from equipoise.tables import findings

_log = logging.getLogger(__name__)

_SLACK = 0.01
"""How far from 1 the scores of an image may sum: two digits of rounding."""


def against_the_rest(frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``label:<class>`` for each ``score:<class>``: whether the image is of that class.

    Parameters
    ----------
    frame
        With `label`, the name of a class or its whole number, null = not assessed.

    Returns
    -------
    The table with a Boolean ``label:<class>`` per class; `label` stays, as an enumeration of the
    classes, by which `classes_of` knows that they are of one task.

    Raises
    ------
    InvalidTable
        If a label has no score column.

    Examples
    --------
    >>> rows = pl.DataFrame({"label": ["mel", "nv"], "score:mel": [0.7, 0.1],
    ...                      "score:nv": [0.3, 0.9]})
    >>> against_the_rest(rows)["label:mel"].to_list()
    [True, False]
    >>> against_the_rest(rows.with_columns(label=pl.lit("bcc")))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: column 'label': 2 values have no score column, as \
'bcc' in row 0; classes: mel, nv
    """
    names = [name.removeprefix("score:") for name in frame.columns if name.startswith("score:")]
    said = _texts(frame["label"])
    label = said.cast(pl.Enum(names), strict=False)
    stray = label.is_null() & said.is_not_null()
    if stray.any():
        row = stray.arg_max() or 0
        raise InvalidTable(
            f"predictions: column 'label': {stray.sum()} values have no score column, as "
            f"{said[row]!r} in row {row}; classes: {', '.join(names)}",
            hint=nearest(str(said[row]), names) or f"add the column 'score:{said[row]}'",
        )
    code = label.to_physical()
    checked = [scores(frame[f"score:{name}"]) for name in names]
    _check_sums(pl.DataFrame(checked))
    return frame.with_columns(
        label, *checked, *[(code == i).alias(f"label:{name}") for i, name in enumerate(names)]
    )


def classes_of(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the findings that are classes of one task, or none: what a macro average is over.

    Parameters
    ----------
    frame
        Predictions, wide.

    Examples
    --------
    >>> rows = pl.DataFrame({"label": [0, 1], "score:0": [0.7, 0.1], "score:1": [0.3, 0.9]})
    >>> classes_of(against_the_rest(rows)), classes_of(pl.DataFrame({"label:x": [True]}))
    (('0', '1'), ())
    """
    kind = frame.schema.get("label")
    if not isinstance(kind, pl.Enum):
        return ()
    names = tuple(kind.categories)
    return names if set(names) <= set(findings(frame)) else ()


def _texts(column: pl.Series) -> pl.Series:
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.cast(pl.Int64, strict=False)
        column = whole if (whole == column).all() else column
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None) if (text == "").any() else text


def _check_sums(frame: pl.DataFrame) -> None:
    total = frame.select(pl.sum_horizontal(pl.all().cast(pl.Float64), ignore_nulls=False))
    off = ((total.to_series() - 1).abs() > _SLACK).fill_null(value=False)
    if off.any():
        row = off.arg_max() or 0
        _log.warning(
            "predictions: the scores of %d of %d rows do not sum to 1, as %.3f in row %d: are they "
            "one softmax?",
            off.sum(),
            frame.height,
            total.to_series()[row],
            row,
        )
