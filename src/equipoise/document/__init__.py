"""Document: what the data are, who is missing, what leaks, and what could be a shortcut."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from equipoise.document.datasheets import FIELDS, NOT_AVAILABLE, datasheet
from equipoise.document.gathering import facts
from equipoise.document.options import Options
from equipoise.document.shortcuts import WARNING
from equipoise.scope import Scope
from equipoise.tables import (
    ATTRITION,
    COHORT,
    EMBEDDINGS,
    SPLITS,
    Contract,
    ImageCache,
    metadata,
    read,
    write_json,
)

__all__ = [
    "FIELDS",
    "GIVES",
    "NEEDS",
    "NOT_AVAILABLE",
    "VERSION",
    "WANTS",
    "Options",
    "datasheet",
    "facts",
    "run",
]

VERSION = 2
NEEDS: tuple[str, ...] = ("cohort", "images")
WANTS: tuple[str, ...] = ("splits", "embeddings")
GIVES: tuple[str, ...] = ("facts",)


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Write ``facts.json`` and ``datasheet.json``."""
    place = inputs["cohort"] / "cohort.parquet"
    cohort, images = read(place, COHORT), ImageCache.open(inputs["images"])
    means = str(metadata(place).get("patient_means", "patient"))
    said = facts(
        cohort,
        images,
        options=options,
        embeddings=_table(inputs, "embeddings", EMBEDDINGS),
        splits=_table(inputs, "splits", SPLITS),
        scope=scope,
    )
    write_json(out / "facts.json", {**said, "patient_means": means, "patient_unit": means})
    sheet = datasheet(
        cohort,
        options.datasheet,
        size=images.size,
        patient_means=means,
        left=_left(inputs["cohort"] / "attrition.parquet"),
    )
    write_json(out / "datasheet.json", sheet)
    return _summary(said, sheet)


def _table(inputs: Mapping[str, Path], noun: str, contract: Contract) -> pl.DataFrame | None:
    return read(inputs[noun] / f"{noun}.parquet", contract) if noun in inputs else None


def _left(path: Path) -> dict[str, int] | None:
    if not path.is_file():
        return None
    return dict(sorted(read(path, ATTRITION)["rule"].value_counts().iter_rows()))


def _summary(
    said: Mapping[str, object], sheet: Mapping[str, Mapping[str, str]]
) -> dict[str, object]:
    shortcuts = said["shortcuts"]
    rows = shortcuts if isinstance(shortcuts, list) else []
    answers = [answer for section in sheet.values() for answer in section.values()]
    return {
        "images": said["images"],
        "patients": said["patients"],
        "warnings": said["warnings"],
        "shortcut_warnings": [
            {"finding": row["finding"], "source": row["source"]}
            for row in rows
            if row["verdict"] == WARNING
        ],
        "datasheet_not_available": answers.count(NOT_AVAILABLE),
    }
