"""Patients in several splits, and the same picture under several patients."""

from collections.abc import Mapping

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.tables import attributes

_FIRST = 5
UNKNOWN = "unknown"


def leakage(cohort: pl.DataFrame, column: str) -> dict[str, object]:
    """Return which patients stand in several of the splits that a column holds.

    Parameters
    ----------
    cohort
        The table *cohort*, or any with ``patient_id``.
    column
        The splits; images whose split is unknown are left aside.

    Raises
    ------
    InvalidTable
        If there is no such column.

    Examples
    --------
    >>> cohort = pl.DataFrame({"patient_id": ["p", "p"], "split": ["train", "test"]})
    >>> leakage(cohort, "split")["sentence"]
    '1 patient is in several splits (split), as p (test, train)'
    """
    if column not in cohort.columns:
        known = attributes(cohort)
        raise InvalidTable(
            f"cohort: no column '{column}' with splits; known: {', '.join(known) or 'none'}",
            hint=nearest(column, known) or "name it under columns.attributes of ingest",
        )
    split = cohort.filter(pl.col(column).is_not_null() & (pl.col(column) != UNKNOWN))
    by_patient = split.group_by("patient_id").agg(pl.col(column).unique().sort().alias("splits"))
    several = by_patient.filter(pl.col("splits").list.len() > 1).sort("patient_id")
    images = split.join(several, on="patient_id", how="semi").height
    return {
        "column": column,
        "splits": dict(split.group_by(column).len().sort(column).iter_rows()),
        "patients_in_several": several.height,
        "images_of_these": images,
        "first": several.head(_FIRST).to_dicts(),
        "sentence": _sentence(several, column),
    }


def duplicates(cohort: pl.DataFrame, images: pl.DataFrame) -> dict[str, object]:
    """Return the pictures that occur more than once, and those under several patients.

    Parameters
    ----------
    cohort
        The table *cohort*.
    images
        The table *image cache*: two images with one ``pixel_digest`` show the same.

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "q"]})
    >>> images = pl.DataFrame({"image_id": ["a", "b"], "pixel_digest": ["x", "x"]})
    >>> duplicates(cohort, images)["across_patients"]
    1
    """
    joined = cohort.select("image_id", "patient_id").join(
        images.select("image_id", "pixel_digest"), on="image_id"
    )
    groups = (
        joined.sort("image_id")
        .group_by("pixel_digest")
        .agg(pl.col("image_id"), pl.col("patient_id").unique().sort())
        .filter(pl.col("image_id").list.len() > 1)
        .sort(pl.col("image_id").list.first())
    )
    across = groups.filter(pl.col("patient_id").list.len() > 1)
    return {
        "pictures_more_than_once": groups.height,
        "images_of_these": int(groups["image_id"].list.len().sum()),
        "across_patients": across.height,
        "first": [_named(row) for row in across.head(_FIRST).iter_rows(named=True)],
        "sentence": _same(across),
    }


def _named(row: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {"images": row["image_id"][:_FIRST], "patients": row["patient_id"][:_FIRST]}


def _sentence(several: pl.DataFrame, column: str) -> str:
    if several.is_empty():
        return f"no patient is in several splits ({column})"
    patient, splits = several.row(0)
    are = "1 patient is" if several.height == 1 else f"{several.height} patients are"
    return f"{are} in several splits ({column}), as {patient} ({', '.join(splits)})"


def _same(across: pl.DataFrame) -> str:
    if across.is_empty():
        return "no picture occurs under several patients"
    images = ", ".join(across["image_id"][0][:3])
    are = "1 picture occurs" if across.height == 1 else f"{across.height} pictures occur"
    return f"{are} under several patients, as {images}"
