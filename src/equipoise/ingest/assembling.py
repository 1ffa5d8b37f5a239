"""Rows, attrition and image index put together, each as its contract wants it."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from equipoise.images.ages import banded
from equipoise.ingest.cells import UNKNOWN
from equipoise.ingest.leaving import attrition
from equipoise.ingest.options import Options
from equipoise.ingest.reading import Plan, Read
from equipoise.tables import attributes, findings
from equipoise.tables.nouns import ACQUISITION

_TYPES = {"text": pl.String, "integer": pl.Int64, "real": pl.Float64}
_FIXED = {
    "image_id": pl.String,
    "patient_id": pl.String,
    "site": pl.String,
    "study_id": pl.String,
    "acquired_on": pl.Date,
    "path": pl.String,
    "image_digest": pl.String,
    "age_years": pl.Float64,
    **{name: _TYPES[column.kind] for name, column in ACQUISITION.items()},
}


@dataclass(frozen=True, slots=True)
class Ingested:
    """What ingestion gives, beside the pixels.

    Parameters
    ----------
    cohort
        The table *cohort*.
    attrition
        The table *attrition*.
    images
        The table *image cache*.
    notes
        What was odd but did no harm → in how many images.
    patient_means
        What a patient id stands for: ``patient``, or the unit that takes its place.
    """

    cohort: pl.DataFrame
    attrition: pl.DataFrame
    images: pl.DataFrame
    notes: Mapping[str, int]
    patient_means: str


def assembled(plan: Plan, found: Read, options: Options) -> Ingested:
    """Return the tables of what was read.

    Examples
    --------
    >>> from pathlib import Path
    >>> plan = Plan(Path(), ["a.png"], lambda one, path: {}, lambda path: {}, [], list, ["sex"])
    >>> row = {"image_id": "a", "patient_id": "n/p", "site": "n", "path": "a.png"}
    >>> assembled(plan, Read(rows=[row]), Options()).cohort["sex"].to_list()
    ['unknown']
    """
    schema = dict(_FIXED)
    schema |= {name: _kind(name, options) for name in plan.columns if name not in schema}
    rows = pl.DataFrame(found.rows, schema={**schema, "pixel_digest": pl.String})
    images = rows.select("image_id", pl.int_range(pl.len()).alias("row"), "pixel_digest")
    cohort = rows.drop("pixel_digest")
    named = [name for name in attributes(cohort) if name not in options.columns.keep]
    cohort = cohort.with_columns(pl.col(named).fill_null(UNKNOWN)) if named else cohort
    for name, band in options.bands.items():
        cohort = cohort.with_columns(banded(cohort[band.source], band.edges).alias(name))
    return Ingested(
        cohort=cohort.sort("image_id"),
        attrition=attrition(found.left, named, options.bands),
        images=images.sort("image_id"),
        notes=dict(sorted(found.notes.items())),
        patient_means=_patient_means(options),
    )


def summary(ingested: Ingested) -> dict[str, object]:
    """Return the numbers that evidence keeps of an ingestion.

    Examples
    --------
    >>> from pathlib import Path
    >>> plan = Plan(Path(), ["a.png"], lambda one, path: {}, lambda path: {}, [], list, [])
    >>> row = {"image_id": "a", "patient_id": "n/p", "site": "n", "path": "a.png"}
    >>> said = summary(assembled(plan, Read(rows=[row]), Options(patient_means="lesion")))
    >>> said["images"], said["patient_note"]
    (1, 'patient unknown: lesion id used')
    """
    cohort, rules = ingested.cohort, ingested.attrition["rule"].value_counts()
    said: dict[str, object] = {
        "images": cohort.height,
        "patients": cohort["patient_id"].n_unique(),
        "sites": cohort["site"].n_unique(),
        "left": ingested.attrition.height,
        "left_by_rule": dict(sorted(rules.iter_rows())),
        "labels": {finding: _labels(cohort[f"label:{finding}"]) for finding in findings(cohort)},
        "notes": dict(ingested.notes),
        "patient_means": ingested.patient_means,
    }
    if ingested.patient_means != "patient":
        said["patient_note"] = f"patient unknown: {ingested.patient_means} id used"
    return said


def _labels(labels: pl.Series) -> dict[str, int]:
    positive = int(labels.sum() or 0)
    not_assessed = labels.null_count()
    return {
        "positive": positive,
        "negative": labels.len() - positive - not_assessed,
        "not_assessed": not_assessed,
    }


def _kind(name: str, options: Options) -> type[pl.DataType]:
    if name.startswith("label:"):
        return pl.Boolean
    return pl.Float64 if name in options.columns.keep else pl.String


def _patient_means(options: Options) -> str:
    """Without patient ids each image stands for itself."""
    if options.format == "files" and options.columns.patient is None:
        return "image"
    return options.patient_means
