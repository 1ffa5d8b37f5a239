"""Who is in the data, and of whom what is not known: counts and shares."""

from collections.abc import Sequence
from itertools import combinations

import polars as pl

from equipoise.tables.nouns import ACQUISITION

UNKNOWN = "unknown"
_DEVICE = ("manufacturer", "device_model", "device_id")

Rows = list[dict[str, object]]


def with_groupings(cohort: pl.DataFrame) -> pl.DataFrame:
    """Return the cohort with ``device`` and ``view`` as text in which ``"unknown"`` is a level.

    Examples
    --------
    >>> with_groupings(pl.DataFrame({"manufacturer": ["A", None]}))["device"].to_list()
    ['A', 'unknown']
    """
    parts = [pl.col(name) for name in _DEVICE if name in cohort.columns]
    device = pl.concat_str(parts, separator=" ", ignore_nulls=True) if parts else pl.lit("")
    view = pl.col("view") if "view" in cohort.columns else pl.lit(None, pl.String)
    return cohort.with_columns(
        pl.when(device == "").then(pl.lit(UNKNOWN)).otherwise(device).alias("device"),
        view.fill_null(UNKNOWN).alias("view"),
    )


def counts(cohort: pl.DataFrame, columns: Sequence[str]) -> Rows:
    """Return images and patients by each level of each column.

    Examples
    --------
    >>> cohort = pl.DataFrame({"patient_id": ["p", "p"], "sex": ["F", "F"]})
    >>> counts(cohort, ["sex"])
    [{'attribute': 'sex', 'level': 'F', 'images': 2, 'patients': 1, 'share_of_images': 1.0}]
    """
    return [
        {
            "attribute": column,
            "level": level,
            "images": images,
            "patients": patients,
            "share_of_images": images / cohort.height,
        }
        for column in columns
        for level, images, patients in _grouped(cohort, [column]).iter_rows()
    ]


def intersections(cohort: pl.DataFrame, columns: Sequence[str]) -> Rows:
    """Return images and patients by each pair of levels; a pair that never occurs has zeros.

    Examples
    --------
    >>> cohort = pl.DataFrame(
    ...     {"patient_id": ["p", "q"], "sex": ["F", "M"], "age_band": ["0-39", "40+"]}
    ... )
    >>> [row["images"] for row in intersections(cohort, ["sex", "age_band"])]
    [1, 0, 0, 1]
    """
    rows: Rows = []
    for one, two in combinations(columns, 2):
        pairs = cohort.select(pl.col(one).unique()).join(
            cohort.select(pl.col(two).unique()), how="cross"
        )
        full = pairs.join(_grouped(cohort, [one, two]), on=[one, two], how="left").sort(one, two)
        rows += [
            {
                "attributes": [one, two],
                "levels": [first, second],
                "images": images or 0,
                "patients": patients or 0,
            }
            for first, second, images, patients in full.iter_rows()
        ]
    return rows


def prevalences(cohort: pl.DataFrame, findings: Sequence[str], columns: Sequence[str]) -> Rows:
    """Return the labels of each finding by each level; prevalence among images assessed.

    The first row of a finding, with no attribute, is everybody.

    Examples
    --------
    >>> cohort = pl.DataFrame({"patient_id": ["p", "q"], "label:mass": [True, None]})
    >>> row = prevalences(cohort, ["mass"], [])[0]
    >>> row["positive"], row["not_assessed"], row["prevalence"]
    (1, 1, 1.0)
    """
    rows: Rows = []
    for finding in findings:
        rows.append(_labelled(cohort, finding, None, None))
        for column in columns:
            for level in cohort[column].unique().sort():
                part = cohort.filter(pl.col(column) == level)
                rows.append(_labelled(part, finding, column, level))
    return rows


def missing(cohort: pl.DataFrame, attributes: Sequence[str], findings: Sequence[str]) -> Rows:
    """Return how many images lack a value, by column and, where some lack it, by group.

    Examples
    --------
    >>> cohort = pl.DataFrame({"sex": ["F", "unknown"], "kvp": [80.0, None]})
    >>> [(row["column"], row["images"]) for row in missing(cohort, ["sex"], [])]
    [('sex', 1), ('kvp', 1)]
    """
    kinds = dict.fromkeys(attributes, "attribute")
    more = ("age_years", "acquired_on", *ACQUISITION)
    kinds |= {name: "acquisition" for name in more if name in cohort.columns}
    kinds |= {f"label:{name}": "label" for name in findings}
    return [_missing(cohort, column, kind, attributes) for column, kind in kinds.items()]


def _missing(
    cohort: pl.DataFrame, column: str, kind: str, attributes: Sequence[str]
) -> dict[str, object]:
    lacking = _lacking(cohort[column])
    n = int(lacking.sum())
    by_group: Rows = []
    if 0 < n < cohort.height:
        marked = cohort.with_columns(lacking.alias("lacking"))
        by_group = [
            {"attribute": name, "level": level, "images": images, "share": images / total}
            for name in attributes
            if name != column
            for level, images, total in marked.group_by(name)
            .agg(pl.col("lacking").sum(), pl.len())
            .sort(name)
            .iter_rows()
        ]
    share = n / cohort.height if cohort.height else None
    return {"column": column, "kind": kind, "images": n, "share": share, "by_group": by_group}


def _lacking(values: pl.Series) -> pl.Series:
    null = values.is_null()
    return null | (values == UNKNOWN).fill_null(value=True) if values.dtype == pl.String else null


def _grouped(cohort: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    return (
        cohort.group_by(columns)
        .agg(pl.len().alias("images"), pl.col("patient_id").n_unique().alias("patients"))
        .sort(columns)
    )


def _labelled(
    part: pl.DataFrame, finding: str, column: str | None, level: str | None
) -> dict[str, object]:
    labels = part[f"label:{finding}"]
    positive, unknown = int(labels.sum() or 0), labels.null_count()
    assessed = labels.len() - unknown
    return {
        "finding": finding,
        "attribute": column,
        "level": level,
        "positive": positive,
        "negative": assessed - positive,
        "not_assessed": unknown,
        "patients": part["patient_id"].n_unique(),
        "patients_positive": part.filter(labels.fill_null(value=False))["patient_id"].n_unique(),
        "prevalence": positive / assessed if assessed else None,
    }
