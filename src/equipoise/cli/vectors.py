"""Embeddings and the table of their images, as a user brings them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.errors import InvalidTable, nearest

if TYPE_CHECKING:
    import polars as pl

IMAGE = "image_id"


def embeddings_read(path: Path) -> "pl.DataFrame":
    """Return `image_id` and `vector` of a Parquet or Arrow file, a row per image.

    Raises
    ------
    InvalidTable
        If a column is absent, an image has no vector or several, or a vector holds no numbers.
    """
    import polars as pl

    from equipoise.metrics.reading import table_of

    frame = table_of(path, "embeddings")
    _need(frame, (IMAGE, "vector"), "embeddings")
    dtype = frame.schema["vector"]
    inner = dtype.inner if isinstance(dtype, pl.List | pl.Array) else None
    if not isinstance(inner, pl.DataType) or not inner.is_numeric():
        raise InvalidTable(
            f"embeddings: column 'vector' is {dtype}; expected a list of numbers per image",
            hint="write it as Parquet: a CSV has no cells for lists",
        )
    if frame["vector"].null_count():
        raise InvalidTable(
            f"embeddings: column 'vector': {frame['vector'].null_count()} nulls; expected none"
        )
    return images_named(frame.select(IMAGE, "vector"), "embeddings")


def metadata_read(path: Path, finding: str) -> "pl.DataFrame":
    """Return a row per image with ``label:<finding>`` as Boolean.

    Parameters
    ----------
    path
        CSV, TSV, Parquet, Arrow or Feather.
    finding
        Its labels stand in a column ``label:<finding>`` or of that very name, as 0, 1, true,
        false, or empty where the finding was not assessed.

    Raises
    ------
    InvalidTable
        If a column is absent, an image stands there twice, or a label is none.
    """
    from equipoise.metrics.reading import table_of
    from equipoise.metrics.reading.columns import labels

    frame = table_of(path, "metadata")
    _need(frame, (IMAGE,), "metadata")
    ours = f"label:{finding}"
    name = next((one for one in (ours, finding) if one in frame.columns), None)
    if name is None:
        raise InvalidTable(
            f"metadata: no column '{ours}' or '{finding}'; got {frame.columns}",
            hint=nearest(finding, [one.removeprefix("label:") for one in frame.columns]),
        )
    try:
        made = labels(frame[name]).alias(ours)
    except InvalidTable as error:
        # What reads labels calls every table by its most common name.
        said = str(error).replace("predictions:", "metadata:", 1)
        raise InvalidTable(said, hint=error.hint) from error
    return images_named(frame.with_columns(made), "metadata")


def images_named(frame: "pl.DataFrame", what: str) -> "pl.DataFrame":
    """Return the table with `image_id` as text, once each image is seen to stand there once.

    Raises
    ------
    InvalidTable
        If one is null, or stands there twice.

    Examples
    --------
    >>> import polars as pl
    >>> images_named(pl.DataFrame({"image_id": [7, 7]}), "metadata")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: metadata: image_id='7' stands in 2 rows; expected one row each
    """
    import polars as pl

    _need(frame, (IMAGE,), what)
    nulls = frame[IMAGE].null_count()
    if nulls:
        raise InvalidTable(f"{what}: column '{IMAGE}': {nulls} nulls; expected none")
    frame = frame.with_columns(pl.col(IMAGE).cast(pl.String))
    twice = frame.group_by(IMAGE).len().filter(pl.col("len") > 1).sort(IMAGE)
    if twice.height:
        first, n = twice.row(0)
        raise InvalidTable(f"{what}: image_id={first!r} stands in {n} rows; expected one row each")
    return frame


def _need(frame: "pl.DataFrame", names: Sequence[str], what: str) -> None:
    for name in names:
        if name not in frame.columns:
            raise InvalidTable(
                f"{what}: no column '{name}'; got {frame.columns}",
                hint=nearest(name, frame.columns),
            )
