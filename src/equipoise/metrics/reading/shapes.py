"""Predictions reshaped once, from any layout to a row per image, and checked."""

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.metrics.reading.classes import against_the_rest
from equipoise.metrics.reading.columns import check_unique, labels, need, scores
from equipoise.metrics.reading.layouts import as_ours, expected, has_classes
from equipoise.metrics.reading.sources import Source, table_of
from equipoise.tables import findings


def read_predictions(source: Source) -> pl.DataFrame:
    """Return predictions from a file or a table in memory, wide and checked.

    Parameters
    ----------
    source
        CSV, TSV, Parquet, Arrow or Feather by its ending, or a table of polars, pandas or pyarrow.
        A row per image with `label` and `score`; or ``label:<finding>`` and ``score:<finding>`` for
        several findings; or a `label` of class names and a ``score:<class>`` for each; or a row per
        image and finding with `image_id`, `finding`, `label` and `score`. The layouts of
        fairmedfm, Fairlearn and MEDFAIR are recognised, and it is said.

    Raises
    ------
    InvalidTable
        If there are no rows, a column is missing, a label is not 0, 1, true, false or empty, a
        score is not in [0, 1], or an image occurs twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_predictions(Path("nowhere.csv"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: no file nowhere.csv
    """
    return wide(table_of(source))


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
    frame = as_ours(frame)
    if "finding" in frame.columns:
        frame = _from_long(frame)
    elif has_classes(frame):
        frame = against_the_rest(frame)
    elif not findings(frame):
        frame = _of_one(frame)
    named = [name.removeprefix("score:") for name in frame.columns if name.startswith("score:")]
    checked = []
    for finding in dict.fromkeys([*findings(frame), *named]):
        for name in (f"label:{finding}", f"score:{finding}"):
            need(frame, name)
        checked += [labels(frame[f"label:{finding}"]), scores(frame[f"score:{finding}"])]
    if "image_id" in frame.columns:
        check_unique(frame, ["image_id"])
    return frame.with_columns(checked)


def _of_one(frame: pl.DataFrame) -> pl.DataFrame:
    for name in ("label", "score"):
        if name not in frame.columns:
            raise InvalidTable(
                f"predictions: no column '{name}'; got {frame.columns}",
                hint=nearest(name, frame.columns) or expected(),
            )
    # Checked under the names that the user knows.
    frame = frame.with_columns(labels(frame["label"]), scores(frame["score"]))
    return frame.rename({"label": "label:finding", "score": "score:finding"})


def _from_long(frame: pl.DataFrame) -> pl.DataFrame:
    for name in ("image_id", "label", "score"):
        need(frame, name)
    check_unique(frame, ["image_id", "finding"])
    if frame["finding"].null_count():
        raise InvalidTable(
            f"predictions: column 'finding': {frame['finding'].null_count()} nulls; expected none"
        )
    index = [c for c in frame.columns if c not in {"finding", "label", "score"}]
    # Checked before the pivot: it would read a label of 2 or a NaN as it is, but not where.
    frame = frame.with_columns(labels(frame["label"]), scores(frame["score"]))
    rows = frame.pivot(
        on="finding", index=index, values=["label", "score"], separator=":", maintain_order=True
    )
    check_unique(rows, ["image_id"])
    return rows
