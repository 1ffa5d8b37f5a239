"""Two tables of predictions brought together, image by image, before they are compared."""

import logging

import polars as pl

from equipoise.audit.auditing import check_patient
from equipoise.errors import InvalidConfiguration, InvalidTable, nearest
from equipoise.metrics.reading import of_split, wide, with_attributes
from equipoise.tables import findings as findings_of

_log = logging.getLogger(__name__)


def unpaired(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Return the images that are in one table only: `image_id`, and `only_in` (first, second).

    Raises
    ------
    InvalidTable
        If a table has no column `image_id`.

    Examples
    --------
    >>> one, other = pl.DataFrame({"image_id": ["a", "b"]}), pl.DataFrame({"image_id": ["b", "c"]})
    >>> unpaired(one, other).rows()
    [('a', 'first'), ('c', 'second')]
    """
    one, other = _ids(first, "first"), _ids(second, "second")
    alone = (
        mine.join(theirs, on="image_id", how="anti").with_columns(only_in=pl.lit(which))
        for mine, theirs, which in ((one, other, "first"), (other, one, "second"))
    )
    return pl.concat(alone).unique().sort("only_in", "image_id")


def _ids(frame: pl.DataFrame, which: str) -> pl.DataFrame:
    if "image_id" not in frame.columns:
        raise InvalidTable(
            f"the {which} predictions: no column 'image_id'; got {frame.columns}",
            hint=nearest("image_id", frame.columns) or "two models are compared image by image",
        )
    return frame.select(pl.col("image_id").cast(pl.String))


def joined(
    first: pl.DataFrame,
    second: pl.DataFrame,
    names: list[str],
    patient: str | None,
    split: str | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both tables over the images that are in both, in one order, groups alike.

    Parameters
    ----------
    first, second
        Predictions, wide or not.
    names
        The attributes, columns of the first.
    patient
        The column that says whose image it is.
    split
        Which images, as for an audit.

    Raises
    ------
    InvalidTable
        If no image is in both, or the second says otherwise whose it is or of which group.

    Examples
    --------
    >>> one = pl.DataFrame({"image_id": ["a", "b"], "sex": ["F", "M"], "label": [1, 0],
    ...                     "score": [0.5, 0.2]})
    >>> other = one.drop("sex")[::-1]
    >>> joined(one, other, ["sex"], None, None)[1]["image_id", "sex"].rows()
    [('a', 'F'), ('b', 'M')]
    """
    if patient in names:
        raise InvalidConfiguration(f"compare: '{patient}' cannot be an attribute and the patient")
    one, other = (of_split(wide(frame), split, patient) for frame in (first, second))
    check_patient(one, patient)
    alone = unpaired(one, other)
    for (which,), rows in alone.group_by("only_in", maintain_order=True):
        _log.warning(
            "compare: %d images are in the %s predictions only, as %r: left out",
            rows.height,
            which,
            rows["image_id"][0],
        )
    one, other = (
        frame.with_columns(pl.col("image_id").cast(pl.String))
        .join(alone, on="image_id", how="anti")
        .sort("image_id")
        for frame in (one, other)
    )
    if not one.height:
        raise InvalidTable(
            "compare: no image is in both predictions", hint="image_id must be the same in both"
        )
    one = with_attributes(one, names)
    told = [*names, *([patient] if patient is not None else [])]
    for name in told:
        if name in other.columns:
            _check_alike(one, other, name)
    return one, other.drop(told, strict=False).with_columns(one.select(told))


def _check_alike(one: pl.DataFrame, other: pl.DataFrame, name: str) -> None:
    mine, theirs = (frame[name].cast(pl.String) for frame in (one, other))
    differs = (mine != theirs).fill_null(value=False)
    if differs.any():
        place = differs.arg_max() or 0
        images = "image has" if differs.sum() == 1 else "images have"
        raise InvalidTable(
            f"compare: {differs.sum()} {images} another '{name}' in the second predictions, as "
            f"image_id={one['image_id'][place]!r}: {mine[place]!r} and {theirs[place]!r}"
        )


def shared_findings(both: tuple[pl.DataFrame, pl.DataFrame], asked: list[str] | None) -> list[str]:
    """Return the findings that are asked for, once both tables are seen to have them.

    Raises
    ------
    InvalidTable
        If one is lacking, or none is in both.

    Examples
    --------
    >>> one = pl.DataFrame({"label:x": [True]})
    >>> shared_findings((one, one), None)
    ['x']
    """
    known = [name for name in findings_of(both[0]) if name in findings_of(both[1])]
    for name in asked or []:
        if name not in known:
            raise InvalidTable(
                f"compare: finding '{name}' is not in both predictions; in both: "
                f"{', '.join(known) or 'none'}",
                hint=nearest(name, known),
            )
    if not known:
        raise InvalidTable(
            f"compare: no finding is in both predictions; first: {findings_of(both[0])}, "
            f"second: {findings_of(both[1])}"
        )
    return asked or known


def both_known(
    both: tuple[pl.DataFrame, pl.DataFrame], findings: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the tables with a label only where both have label and score.

    Raises
    ------
    InvalidTable
        If both have a label and they differ.

    Examples
    --------
    >>> one = pl.DataFrame({"image_id": ["a", "b"], "label:x": [True, None], "score:x": [0.5, 0.4]})
    >>> other = one.with_columns(pl.Series("label:x", [True, False]))
    >>> both_known((one, other), ["x"])[1]["label:x"].to_list()
    [True, None]
    """
    one, other = both
    for finding in findings:
        label = f"label:{finding}"
        _check_alike(one, other, label)
        columns = [frame[name] for frame in both for name in (label, f"score:{finding}")]
        usable = pl.select(pl.all_horizontal(*(column.is_not_null() for column in columns)))
        lost = int((one[label].is_not_null() & ~usable.to_series()).sum())
        if lost:
            _log.warning(
                "compare: finding '%s': %d images lack a label or score in one of the "
                "predictions: left out",
                finding,
                lost,
            )
        masked = pl.when(usable.to_series()).then(pl.col(label))
        one, other = one.with_columns(masked), other.with_columns(masked)
    return one, other
