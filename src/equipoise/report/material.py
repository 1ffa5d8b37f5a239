"""What a report is made of: the files of the stages before it, each there or known to be absent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from equipoise import evidence
from equipoise.errors import EquipoiseError
from equipoise.tables import (
    ATTRITION,
    COHORT,
    COUNTS,
    EMBEDDINGS,
    ESTIMATES,
    OPERATING_POINTS,
    Contract,
    file_digest,
    metadata,
    read,
    read_json,
)

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Link:
    """One stage in the chain of evidence.

    Parameters
    ----------
    stage
        The stage's kind.
    folder
        The name of its folder in the run.
    digest
        SHA-256 of its evidence, or of all its files where it left none.
    files
        File → SHA-256, as its evidence says.
    inputs
        Input → SHA-256, as its evidence says.
    code
        What did the work → its version.
    parameters
        All its options.
    output
        One SHA-256 over all its files: the digest that later stages name as their input.
    """

    stage: str
    folder: str
    digest: str
    files: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    parameters: Record = field(default_factory=dict)
    output: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """The content of the stages before; what is None was not given, and the report says so.

    Parameters
    ----------
    estimates
        The table *estimates*.
    audit, verdict, facts, datasheet, curation, candidates, selection
        What the stages say in JSON.
    pretraining, release, acceptance, power, shift, monitoring
        The same of what stood before the audit and of what came after.
    embeddings, cohort
        The metadata of these tables.
    operating_points
        The table of that name.
    counts
        The table *counts* of the same audit; the curves are drawn from its histograms.
    attrition
        The table *attrition*, of all stages that left one.
    openings
        How often the test split was opened beside these estimates, `times` and `questions`.
    chain
        The evidence, in the order of the way of the data.
    """

    estimates: pl.DataFrame
    audit: Record | None = None
    verdict: Record | None = None
    facts: Record | None = None
    datasheet: Record | None = None
    curation: Record | None = None
    candidates: Record | None = None
    selection: Record | None = None
    pretraining: Record | None = None
    release: Record | None = None
    acceptance: Record | None = None
    power: Record | None = None
    shift: Record | None = None
    monitoring: Record | None = None
    embeddings: Record | None = None
    cohort: Record | None = None
    operating_points: pl.DataFrame | None = None
    counts: pl.DataFrame | None = None
    attrition: pl.DataFrame | None = None
    openings: Mapping[str, int] | None = None
    chain: Sequence[Link] = ()


_ORDER = (
    "cohort",
    "facts",
    "splits",
    "embeddings",
    "acceptance",
    "predictions",
    "estimates",
    "verdict",
    "bundle",
    "monitoring",
)
_FILES = {
    "audit": ("estimates", "audit.json"),
    "verdict": ("verdict", "verdict.json"),
    "facts": ("facts", "facts.json"),
    "datasheet": ("facts", "datasheet.json"),
    "curation": ("splits", "curation.json"),
    "candidates": ("predictions", "candidates.json"),
    "selection": ("predictions", "selection.json"),
    "pretraining": ("embeddings", "comparison.json"),
    "release": ("bundle", "release.json"),
    "acceptance": ("acceptance", "acceptance.json"),
    "power": ("acceptance", "power.json"),
    "shift": ("acceptance", "shift.json"),
    "monitoring": ("monitoring", "monitoring.json"),
}


def gathered(inputs: Mapping[str, Path]) -> Material:
    """Return what the folders of the stages before hold.

    Parameters
    ----------
    inputs
        Noun → folder; only ``"estimates"`` must be there.

    Raises
    ------
    InvalidTable
        If the estimates are absent, or a table that is there breaks its contract.
    """
    said = {name: _record(inputs.get(noun), file) for name, (noun, file) in _FILES.items()}
    return Material(
        estimates=read(inputs["estimates"] / "estimates.parquet", ESTIMATES),
        **said,
        embeddings=_head(inputs.get("embeddings"), EMBEDDINGS),
        cohort=_head(inputs.get("cohort"), COHORT),
        operating_points=_table(
            inputs.get("predictions"), "operating_points.parquet", OPERATING_POINTS
        ),
        counts=_table(inputs["estimates"], "counts.parquet", COUNTS),
        attrition=_attrition([folder for _, folder in sorted(inputs.items())]),
        openings=evidence.opened(inputs["estimates"].parent),
        chain=[link for folder in _giving(inputs) for link in _links(folder)],
    )


def _record(folder: Path | None, name: str) -> Record | None:
    if folder is None or not (folder / name).is_file():
        return None
    return read_json(folder / name)


def _table(folder: Path | None, name: str, contract: Contract) -> pl.DataFrame | None:
    if folder is None or not (folder / name).is_file():
        return None
    return read(folder / name, contract)


def _head(folder: Path | None, contract: Contract) -> Record | None:
    path = None if folder is None else folder / f"{contract.name}.parquet"
    return metadata(path, contract.name) if path is not None and path.is_file() else None


def _attrition(folders: Sequence[Path]) -> pl.DataFrame | None:
    found = [_table(folder, "attrition.parquet", ATTRITION) for folder in dict.fromkeys(folders)]
    there = [table for table in found if table is not None]
    return pl.concat(there, how="diagonal_relaxed") if there else None


def _links(folder: Path) -> list[Link]:
    """Return the evidence of one folder; a stage without evidence is named with its digest."""
    try:
        said = evidence.read_statement(folder)
        predicate = said["predicate"]
    except (EquipoiseError, KeyError):
        return [Link("", folder.name, evidence.folder_digest(folder))]
    about: Record = predicate if isinstance(predicate, dict) else {}
    code = about.get("code")
    parameters = about.get("parameters")
    return [
        Link(
            stage=str(about.get("kind", "")),
            folder=folder.name,
            digest=file_digest(folder / evidence.EVIDENCE_FILE),
            files=_digests(said.get("subject")),
            inputs=_digests(about.get("inputs")),
            code={str(k): str(v) for k, v in code.items()} if isinstance(code, dict) else {},
            parameters=parameters if isinstance(parameters, dict) else {},
            output=evidence.digest(_digests(said.get("subject"))),
        )
    ]


def _digests(entries: object) -> dict[str, str]:
    if not isinstance(entries, list):
        return {}
    return {
        str(entry.get("name")): str(entry["digest"].get("sha256"))
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("digest"), dict)
    }


def _giving(inputs: Mapping[str, Path]) -> list[Path]:
    """Return each folder once, in the order of the way of the data."""
    return list(dict.fromkeys(inputs[noun] for noun in _ORDER if noun in inputs))
