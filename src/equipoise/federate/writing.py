"""The result in files: the same tables as the audit writes, so that the gate judges them."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import polars as pl

from equipoise import __version__, evidence, metrics, tables
from equipoise.errors import EquipoiseError
from equipoise.federate.conducting import Course, Summed
from equipoise.federate.declaring import VERSION, Federation, digest
from equipoise.federate.sums import subgroups_of

RESULT = "federated"
"""Folder of the result in the folder of the job."""

REFUSAL = "refusal.json"


def write_result(out: Path, study: Federation, found: Summed, course: Course) -> None:
    """Write tables, ``audit.json`` and evidence; times stand beside it.

    Parameters
    ----------
    out
        The folder.
    study
        What was declared.
    found
        The result.
    course
        What happened.
    """
    said = told(study, found, course)
    estimated = found.estimated
    tables.write(subgroups_of(study), out / "subgroups.parquet", tables.SUBGROUPS)
    tables.write(estimated.counts, out / "counts.parquet", tables.COUNTS)
    tables.write(estimated.estimates, out / "estimates.parquet", tables.ESTIMATES)
    tables.write_text(out / "estimates.csv", estimated.estimates.write_csv())
    tables.write_json(out / "audit.json", said)
    inputs = {
        f"{site}/{name}": value
        for site, files in found.digests.items()
        for name, value in files.items()
    }
    statement = evidence.statement(
        "federate",
        subject=evidence.subjects(out),
        inputs=inputs,
        parameters=study.model_dump(mode="json"),
        result={name: said[name] for name in ("contributing", "left", "not_assessable")},
        code={"equipoise": __version__, "federate": str(VERSION)},
    )
    tables.write_json(out / evidence.SPENT_FILE, {"rounds": course.rounds})
    evidence.write_statement(out, statement)


def told(study: Federation, found: Summed, course: Course) -> dict[str, object]:
    """Return what the result says of itself: who is in it, and who is not."""
    rows = found.estimated.estimates.filter(pl.col("level") == 0.95, interval="pointwise")
    everybody = found.estimated.counts.filter(
        *[pl.col(name).is_null() for name in study.attributes]
    )
    return {
        "candidate": study.candidate,
        "study": study.name,
        "declaration": digest(study),
        "contributing": list(found.contributing),
        "left": [asdict(one) for one in course.left],
        "whole": not course.left,
        "n_images": everybody["n_images"].max(),
        "n_patients": everybody["n_patients"].max(),
        "patient_is": "patient",
        "levels": metrics.levels_of(subgroups_of(study)),
        "references": dict(study.references),
        "exploratory": False,
        "images_without_a_score": dict(found.estimated.unscored),
        "minimum": study.minimum.model_dump(),
        "minimum_cell": study.minimum_cell,
        "simultaneous": {
            "level": 0.95,
            "groups": {
                "family": found.estimated.family_groups,
                "critical_value": found.estimated.critical_groups,
            },
            "contrasts": {
                "family": found.estimated.family_contrasts,
                "critical_value": found.estimated.critical_contrasts,
            },
        },
        "assessed": int((rows["status"] == "assessed").sum()),
        "not_assessable": int((rows["status"] == "not assessable").sum()),
    }


def write_refusal(out: Path, study: Federation, error: EquipoiseError, course: Course) -> None:
    """Write why there is no result, and who did what until then.

    Parameters
    ----------
    out
        The folder.
    study
        What was declared.
    error
        Why.
    course
        What happened.
    """
    said: Mapping[str, object] = {
        "study": study.name,
        "declaration": digest(study),
        "error": str(error),
        "hint": error.hint,
        "left": [asdict(one) for one in course.left],
        "rounds": course.rounds,
    }
    tables.write_json(out / REFUSAL, said)
