"""A bundle opened: every digest recomputed, the encoder loaded, the probes read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from equipoise import evidence, mitigations, policies, registry
from equipoise.bundles import reference as references
from equipoise.bundles.archives import unpacked
from equipoise.bundles.belongings import check_links, check_own, check_verdict
from equipoise.bundles.chains import check_chain
from equipoise.bundles.contents import (
    AuditPlan,
    Head,
    InputContract,
    Manifest,
    Override,
    check_in_force,
    parsed,
)
from equipoise.encoders import BUNDLED, ENCODERS, Encoder
from equipoise.errors import (
    AlteredEvidence,
    InvalidConfiguration,
    InvalidEncoder,
    InvalidInput,
    InvalidTable,
    Refused,
    nearest,
)
from equipoise.mitigations import Fitted
from equipoise.scope import Scope
from equipoise.tables import COUNTS, ESTIMATES, OPERATING_POINTS, Contract, read, read_json

MANIFEST = "bundle.json"
KIND = "bundle"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model with all that is needed to use it, and all that is known of it.

    Parameters
    ----------
    folder
        Where its files lie.
    digest
        SHA-256 over the names and digests of all its files.
    manifest
        What ``bundle.json`` says.
    encoder
        Ready to embed.
    heads
        Finding → its probe, or the column of what the encoder answers.
    operating_points
        The table of that name, of the released candidate.
    policy
        What it was judged by, and is judged by anywhere.
    verdict
        As in ``verdict.json``; the verdict *not judged* if it never met a policy.
    reference
        What new images are compared with; None if none is described.
    """

    folder: Path
    digest: str
    manifest: Manifest
    encoder: Encoder
    heads: Mapping[str, Fitted | int]
    operating_points: pl.DataFrame
    policy: policies.Policy
    verdict: Mapping[str, object]
    reference: references.Reference | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.manifest.name

    @property
    def findings(self) -> tuple[str, ...]:
        """What it answers."""
        return self.manifest.findings

    @property
    def candidate(self) -> str:
        """Whose scores they are."""
        return self.manifest.candidate

    @property
    def override(self) -> Override | None:
        """Who lets it be used without a pass."""
        return self.manifest.override

    @property
    def contract(self) -> InputContract:
        """What images it takes."""
        return self.manifest.contract

    @property
    def audit(self) -> AuditPlan:
        """How it is audited."""
        return self.manifest.audit


def opened(path: Path, scope: Scope | None = None) -> Bundle:
    """Return a bundle from its folder or zip, once every file is seen to be as it was released.

    Nothing is signed: this finds accidents, not forgery. No code from the bundle runs: its encoder
    is a member of `equipoise.encoders.BUNDLED`.

    Parameters
    ----------
    path
        A folder, or a zip of one.
    scope
        Its `cache` is where a zip is unpacked; its `workers` are the encoder's threads.

    Raises
    ------
    AlteredEvidence
        If a file is altered, missing or added: it is named. If what it holds is not what the
        stages in its chain say they made.
    InvalidInput
        If it is no bundle, a part of it cannot be read, it holds a link, or it names a file that
        is none of its own.
    InvalidEncoder
        If its encoder is not the one with which it was released.

    Examples
    --------
    >>> opened(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere: no such bundle; expected a folder or a zip
    """
    around = scope or Scope()
    folder = _folder(path, around)
    check_links(folder, path)
    subjects = _checked(folder, path)
    manifest = parsed(Manifest, read_json(folder / MANIFEST), f"{path}: {MANIFEST}")
    check_own(folder, manifest, subjects, path)
    verdict = read_json(folder / "verdict.json")
    check_verdict(manifest, verdict, path)
    encoder = _encoder(folder / "encoder", manifest, around, path)
    heads = {name: _head(folder, head, encoder) for name, head in manifest.heads.items()}
    points = read(folder / "operating_points.parquet", OPERATING_POINTS)
    return Bundle(
        folder=folder,
        digest=evidence.digest(subjects),
        manifest=manifest,
        encoder=encoder,
        heads=heads,
        operating_points=_points(points, manifest, path),
        policy=policies.validated(read_json(folder / "policy.json"), where=f"{path}: policy.json"),
        verdict=verdict,
        reference=_reference(folder / "reference", manifest, path),
    )


def check_usable(bundle: Bundle, *, on: date | None) -> None:
    """Refuse a bundle that neither passed nor is under an override that holds.

    Who uses a bundle asks this first: the acceptance test, and a service before it starts.

    Parameters
    ----------
    bundle
        The bundle.
    on
        Today, as the caller says; only a bundle with an override needs it.

    Raises
    ------
    Refused
        If its verdict is no pass and no override holds.
    InvalidConfiguration
        If it has an override and the date is not said.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(name="demo", override=None,
    ...                         manifest=SimpleNamespace(verdict="fail", reason="F is missed"))
    >>> check_usable(model, on=None)
    Traceback (most recent call last):
        ...
    equipoise.errors.Refused: bundle 'demo': its verdict is 'fail' (F is missed), and no override \
is recorded
    """
    if bundle.override is None and bundle.manifest.verdict != policies.Verdict.PASS.value:
        raise Refused(
            f"bundle '{bundle.name}': its verdict is '{bundle.manifest.verdict}' "
            f"({bundle.manifest.reason}), and no override is recorded"
        )
    if bundle.override is not None and on is None:
        raise InvalidConfiguration(
            f"bundle '{bundle.name}': is used by an override until {bundle.override.expires}; "
            "expected 'today', the date"
        )
    if on is not None:
        check_in_force(bundle.override, on=on, name=bundle.name)


def _folder(path: Path, scope: Scope) -> Path:
    if path.is_dir():
        return path
    if not path.is_file():
        raise InvalidInput(f"{path}: no such bundle; expected a folder or a zip")
    if scope.cache is None:
        raise InvalidInput(
            f"{path}: a zip needs a folder to be unpacked into",
            hint="unpack it and give the folder, or give a cache",
        )
    return unpacked(path, scope.cache)


def _checked(folder: Path, path: Path) -> dict[str, str]:
    """Return name → SHA-256 of all files, once they are those of the bundle's own statement."""
    if not (folder / MANIFEST).is_file() and not (folder / evidence.EVIDENCE_FILE).is_file():
        raise InvalidInput(
            f"{path}: no {MANIFEST} and no {evidence.EVIDENCE_FILE} in it; expected a bundle",
            hint="the folder 'bundle' in that of the release",
        )
    found = evidence.verify(folder)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise AlteredEvidence(
            f"{path}: {found[0].name} is {found[0].state}: {found[0].detail}{more}",
            hint="get the bundle again from where it was released; do not use it as it is",
        )
    said = evidence.read_statement(folder)
    predicate = said["predicate"]
    kind = predicate.get("kind") if isinstance(predicate, dict) else None
    if kind != KIND:
        raise InvalidInput(
            f"{path}: its evidence is that of '{kind}'; expected a bundle",
            hint=_below(folder),
        )
    subjects = evidence.subjects(folder)
    check_chain(folder, subjects, str(path))
    return subjects


def _below(folder: Path) -> str | None:
    """Return a hint that names the bundle in the folder of a release, or of a run that has one."""
    found = sorted([*folder.glob(f"bundle/{MANIFEST}"), *folder.glob(f"*/bundle/{MANIFEST}")])
    return f"the bundle is {found[0].parent}" if len(found) == 1 else None


def _encoder(folder: Path, manifest: Manifest, scope: Scope, path: Path) -> Encoder:
    said = read_json(folder / "encoder.json")
    name, parameters = said.get("encoder"), said.get("parameters")
    if name not in BUNDLED or not isinstance(parameters, dict):
        raise InvalidEncoder(
            f"{path}: encoder '{name}'; a bundle may name {', '.join(BUNDLED)}",
            hint=nearest(str(name), BUNDLED),
        )
    load = registry.load(str(name), ENCODERS, kind="encoder")
    found = load(parameters, Scope(base=folder, workers=scope.workers))
    if not isinstance(found, Encoder) or found.digest != manifest.encoder.digest:
        digest = found.digest if isinstance(found, Encoder) else "none"
        raise InvalidEncoder(
            f"{path}: encoder '{manifest.encoder.name}' has the digest {digest[:12]}…; "
            f"{MANIFEST} expects {manifest.encoder.digest[:12]}…"
        )
    return found


def _head(folder: Path, head: Head, encoder: Encoder) -> Fitted | int:
    if head.kind == "output":
        column = head.column or 0
        if column >= encoder.dimension:
            raise InvalidInput(
                f"head: column {column} of what encoder '{encoder.name}' answers; it has "
                f"{encoder.dimension}"
            )
        return column
    fitted = mitigations.load(folder / str(head.file))
    if fitted.needs_group_at_test:
        raise InvalidInput(
            f"head: {head.file} (mitigation '{fitted.mitigation}') needs the group of the patient; "
            "a bundle is asked about images alone"
        )
    return fitted


def _points(points: pl.DataFrame, manifest: Manifest, path: Path) -> pl.DataFrame:
    mine = points.filter(
        (pl.col("candidate") == manifest.candidate) & pl.col("finding").is_in(manifest.findings)
    )
    if mine["fold"].null_count() < mine.height:
        raise InvalidTable(f"{path}: operating points differ by fold; expected those of one model")
    return mine


def _reference(folder: Path, manifest: Manifest, path: Path) -> references.Reference | None:
    if not manifest.reference:
        return None
    counts = _table(folder / "counts.parquet", COUNTS)
    estimates = _table(folder / "estimates.parquet", ESTIMATES)
    found = references.load(folder, counts=counts, estimates=estimates)
    if len(found.mean) != manifest.encoder.dimension:
        raise InvalidInput(
            f"{path}: the reference has vectors of length {len(found.mean)}; the encoder's have "
            f"{manifest.encoder.dimension}"
        )
    return found


def _table(path: Path, contract: Contract) -> pl.DataFrame | None:
    return read(path, contract) if path.is_file() else None
