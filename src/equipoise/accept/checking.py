"""Whether a bundle may be tested here, and whether the local tables are what it needs."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from equipoise import bundles, metrics, tables
from equipoise.errors import InvalidConfiguration, InvalidEncoder, InvalidTable, Refused, nearest


def check_cohort(bundle: bundles.Bundle, cohort: pl.DataFrame) -> None:
    """Refuse a cohort that lacks what the bundle declares.

    Parameters
    ----------
    bundle
        The bundle.
    cohort
        The local table *cohort*.

    Raises
    ------
    InvalidTable
        If an attribute or a finding is absent, a level is not declared, or a finding has no label.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> plan = bundles.AuditPlan(attributes={"sex": ["F", "M"]})
    >>> local = pl.DataFrame({"image_id": ["a"], "sexx": ["F"]})
    >>> check_cohort(SimpleNamespace(name="demo", audit=plan, findings=("x",)), local)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: cohort: no attribute 'sex', which the bundle 'demo' declares; \
got sexx
    """
    for name, levels in bundle.audit.attributes.items():
        _check_attribute(bundle, cohort, name, levels)
    for finding in bundle.findings:
        labels = tables.labels_of(cohort, finding)
        if labels.null_count() == labels.len():
            raise InvalidTable(
                f"cohort: no image of {labels.len()} has a label of '{finding}', which the bundle "
                f"'{bundle.name}' answers; expected labels",
                hint="an acceptance test compares answers with labels: label a sample first; "
                "power.json of another cohort says how many positives are needed",
            )


def _check_attribute(
    bundle: bundles.Bundle, cohort: pl.DataFrame, name: str, levels: list[str]
) -> None:
    known = tables.attributes(cohort)
    if name not in known:
        remedy = _cut(bundle, name) or nearest(name, known)
        raise InvalidTable(
            f"cohort: no attribute '{name}', which the bundle '{bundle.name}' declares; got "
            f"{', '.join(known) or 'none'}",
            hint=remedy,
        )
    stray = cohort.filter(~pl.col(name).is_in(levels))
    if stray.height:
        raise InvalidTable(
            f"cohort: attribute '{name}': {stray.height} images have the level "
            f"{stray[name][0]!r}, which the bundle '{bundle.name}' does not declare; declared: "
            f"{', '.join(levels)}",
            hint=_cut(bundle, name)
            or f"recode it as a declared level, or as '{metrics.UNKNOWN}': results then say so",
        )


def _cut(bundle: bundles.Bundle, name: str) -> str | None:
    """Return how the bundle cuts an attribute into bands, as ingest is told it."""
    band = bundle.audit.bands.get(name)
    if band is None:
        return None
    edges = ", ".join(map(str, band.edges))
    return f"ingest with bands: {{{name}: {{from: {band.source}, edges: [{edges}]}}}}"


def check_embeddings(bundle: bundles.Bundle, folder: Path) -> None:
    """Refuse embeddings that another encoder made.

    Raises
    ------
    InvalidEncoder
        If their encoder is not the bundle's.

    Examples
    --------
    >>> check_embeddings(None, Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: embeddings: no file nowhere/embeddings.parquet
    """
    said = tables.metadata(folder / "embeddings.parquet", "embeddings")
    wanted = bundle.manifest.encoder
    if said.get("digest") != wanted.digest:
        raise InvalidEncoder(
            f"embeddings: made by encoder '{said.get('encoder')}' ({str(said.get('digest'))[:12]}…)"
            f"; the bundle '{bundle.name}' needs '{wanted.name}' ({wanted.digest[:12]}…)",
            hint="embed with the encoder in the bundle; 'equipoise accept' does so",
        )


def check_images(bundle: bundles.Bundle, folder: Path, fit: object) -> None:
    """Refuse images that were brought to another size than the bundle's.

    Raises
    ------
    InvalidConfiguration
        If height, width, channels or fit differ.

    Examples
    --------
    >>> check_images(None, Path("nowhere"), "stretch")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: image cache: no file nowhere/images.parquet
    """
    found = (*tables.ImageCache.open(folder).size, fit or bundle.contract.fit)
    frame = bundle.contract.frame
    wanted = (frame.height, frame.width, frame.channels, frame.fit)
    if found != wanted:
        raise InvalidConfiguration(
            f"images: {found[0]} × {found[1]} pixels, {found[2]} channels, {found[3]}; the bundle "
            f"'{bundle.name}' takes {wanted[0]} × {wanted[1]}, {wanted[2]}, {wanted[3]}",
            hint=f"ingest with size: [{wanted[0]}, {wanted[1]}], channels: {wanted[2]}, "
            f"fit: {wanted[3]}",
        )


def check_elsewhere(bundle: bundles.Bundle, cohort: Path) -> None:
    """Refuse the very cohort that the bundle was made from: it cannot test it.

    Raises
    ------
    Refused
        If the cohort's file is the one in the bundle's chain of evidence.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> check_elsewhere(SimpleNamespace(folder=Path("nowhere")), Path("cohort.parquet"))
    """
    for path in sorted((bundle.folder / "chain").glob("*.json")):
        subject = tables.read_json(path).get("subject")
        made = {entry["digest"]["sha256"] for entry in subject} if isinstance(subject, list) else ()
        if path.stem == "ingest" and tables.file_digest(cohort) in made:
            raise Refused(
                f"accept: {cohort} is the very cohort that the bundle '{bundle.name}' was made "
                "from; a model looks better on what it has seen",
                hint="test it on local images that it has never seen",
            )


def findings_present(bundle: bundles.Bundle, cohort: pl.DataFrame) -> Mapping[str, int]:
    """Return finding → images whose label is not assessed.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> local = pl.DataFrame({"label:x": [True, None]})
    >>> findings_present(SimpleNamespace(findings=("x",)), local)
    {'x': 1}
    """
    return {name: tables.labels_of(cohort, name).null_count() for name in bundle.findings}
