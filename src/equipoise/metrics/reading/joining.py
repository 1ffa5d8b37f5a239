"""Attributes that stand in a table of their own, joined so that no row is lost."""

import logging

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.metrics.reading.columns import need

_log = logging.getLogger(__name__)

_IDS = ("image_id", "id", "image", "filename", "path", "case_id", "sample_id", "study_id")


def with_metadata(
    frame: pl.DataFrame, metadata: pl.DataFrame, *, on: str | None = None
) -> pl.DataFrame:
    """Return predictions with the columns of a table of attributes; every row stays.

    Parameters
    ----------
    frame
        Predictions, wide.
    metadata
        A row per key. Rows that it lacks have null attributes, which is said; what it has beside
        is left out.
    on
        The column that both share; the one identifier that they share, by default. ``row``: the
        predictions name in `image_id` the number of the row, from 0, as MEDFAIR's ``index`` does.

    Raises
    ------
    InvalidTable
        If no column, or more than one, could join them, the key is null or twice there, a column
        would stand there twice, or no key of the predictions is there.

    Examples
    --------
    >>> rows = pl.DataFrame({"image_id": ["a", "b"], "score": [0.1, 0.2]})
    >>> with_metadata(rows, pl.DataFrame({"image_id": ["b", "a"], "sex": ["M", "F"]})).rows()
    [('a', 0.1, 'F'), ('b', 0.2, 'M')]
    """
    if on == "row" and "image_id" in metadata.columns:
        raise InvalidTable(
            "metadata: has a column 'image_id' of its own; expected none to join by the row",
            hint="join by it, with --on image_id, or drop it",
        )
    if on == "row":
        on, metadata = "image_id", metadata.with_row_index("image_id")
    key = on or _key(frame, metadata)
    need(frame, key)
    if key not in metadata.columns:
        raise InvalidTable(f"metadata: no column '{key}'; got {metadata.columns}")
    keys = metadata[key]
    if keys.null_count() or keys.n_unique() != keys.len():
        raise InvalidTable(
            f"metadata: column '{key}' has {keys.len() - keys.n_unique()} keys twice and "
            f"{keys.null_count()} nulls; expected one row per {key}"
        )
    both = [name for name in metadata.columns if name in frame.columns and name != key]
    if both:
        raise InvalidTable(
            f"metadata: column '{both[0]}' stands in the predictions too; expected it once",
            hint="drop it from one of them",
        )
    # A null key is in no row there, and no null either.
    there = frame[key].cast(pl.String).is_in(keys.cast(pl.String).implode()).fill_null(value=False)
    absent = int((~there).sum())
    if absent == frame.height:
        raise InvalidTable(
            f"metadata: no '{key}' of the predictions is there, as {frame[key][0]!r}; there are "
            f"{', '.join(map(repr, keys.head(3)))}, …",
            hint="identifiers are compared as texts: 1.0 is not 1, and a_1 is not a_1.png",
        )
    if absent:
        _log.warning("metadata: %d of %d predictions have no row there", absent, frame.height)
    text = pl.col(key).cast(pl.String)
    return frame.with_columns(text).join(
        metadata.with_columns(text), on=key, how="left", maintain_order="left"
    )


def _key(frame: pl.DataFrame, metadata: pl.DataFrame) -> str:
    shared = [name for name in _IDS if name in frame.columns and name in metadata.columns]
    if len(shared) != 1:
        raise InvalidTable(
            f"metadata: shares {', '.join(shared) or 'no identifier'} with the predictions; "
            f"expected one column that joins them; got {metadata.columns}",
            hint="name it with --on, or say --on row where image_id is the number of the row",
        )
    return shared[0]
