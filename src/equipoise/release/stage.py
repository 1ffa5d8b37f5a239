"""The stage: from a verdict to a bundle, or a refusal that says why."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from equipoise import bundles, evidence, mitigations
from equipoise.encoders.licensing import releasable
from equipoise.errors import InvalidInput, Refused
from equipoise.mitigations import Fitted
from equipoise.policies import Verdict
from equipoise.release import describing
from equipoise.release.cards import model_card
from equipoise.release.gathering import Material, encoder_of, gathered
from equipoise.release.options import Options
from equipoise.scope import Scope
from equipoise.tables import ESTIMATES, metadata, read, write_json

FOLDER = "bundle"
ARCHIVE = "bundle.zip"


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Write ``bundle/`` (and ``bundle.zip``) with its own statement, and ``release.json``.

    Parameters
    ----------
    options
        What is asked.
    inputs
        Folders of *estimates*, *verdict*, *predictions*, *embeddings*, *cohort* and *splits*;
        of *images*, *facts* and *encoder* if there are any.
    out
        An existing folder.
    scope
        Where relative paths of the encoder start.

    Raises
    ------
    Refused
        If the verdict is no pass and no override holds, or there is no one model; if the licence
        of the encoder binds what is made with it, which no override lifts.
    """
    scope.progress("parts", 0, 3)
    material = gathered(inputs)
    override = permitted(material.verdict, options)
    notes = _leave_of_the_maker(material)
    parts = _parts(material, options, override, scope)
    scope.progress("parts", 1, 3)
    digest = bundles.written(out / FOLDER, parts)
    bundles.opened(out / FOLDER, Scope(workers=scope.workers))  # what cannot be opened is not kept
    scope.progress("parts", 2, 3)
    if options.format == "zip":
        bundles.packed(out / FOLDER, out / ARCHIVE)
    said: dict[str, object] = {
        "bundle": digest,
        "name": options.name,
        "findings": list(parts.manifest.findings),
        "candidate": parts.manifest.candidate,
        "verdict": parts.manifest.verdict,
        "reason": parts.manifest.reason,
        "override": None if override is None else override.model_dump(mode="json"),
        "override_not_needed": override is None and options.override is not None,
        **({"licence_notes": list(notes)} if notes else {}),
    }
    write_json(out / "release.json", said)
    scope.progress("parts", 3, 3)
    return said


def permitted(verdict: Mapping[str, object], options: Options) -> bundles.Override | None:
    """Return the override under which a model goes out, None if it passed; else refuse.

    Parameters
    ----------
    verdict
        As in ``verdict.json``.
    options
        With the override, if there is one, and the date.

    Raises
    ------
    Refused
        If the verdict is no pass and no override holds.

    Examples
    --------
    >>> permitted({"verdict": "fail", "reason": "F is missed"}, Options(name="demo"))
    Traceback (most recent call last):
        ...
    equipoise.errors.Refused: release: the verdict is 'fail' (F is missed); only a pass is released
    """
    found = Verdict(str(verdict["verdict"]))
    if found is Verdict.PASS:
        return None
    given = options.override
    if given is None:
        raise Refused(
            f"release: the verdict is '{found.value}' ({verdict.get('reason')}); only a pass is "
            "released",
            hint="or record an override: who answers for it (name), why (reason), until when "
            "(expires)",
            exit_code=found.exit_code,
        )
    if options.today is None or options.today > given.expires:
        raise Refused(
            f"release: the verdict is '{found.value}', and the override by {given.name} expired on "
            f"{given.expires} (today is {options.today})",
            exit_code=found.exit_code,
        )
    return given


def _leave_of_the_maker(material: Material) -> tuple[str, ...]:
    """Refuse where the encoder's licence does, by what its card said when it embedded."""
    card = metadata(material.folders["embeddings"] / "embeddings.parquet").get("card")
    return releasable(card if isinstance(card, Mapping) else {})


def _parts(
    material: Material, options: Options, override: bundles.Override | None, scope: Scope
) -> bundles.Parts:
    heads = _heads(material)
    encoder = encoder_of(material, scope)
    releasable(encoder.loaded.card.summary())  # a card may say more today than when it embedded
    reference = describing.reference(material, list(heads))
    candidate = str(material.audit["candidate"])
    points = _points(material, list(heads), candidate)
    manifest = bundles.Manifest(
        name=options.name,
        intended_use=options.intended_use,
        findings=tuple(heads),
        candidate=candidate,
        encoder=bundles.EncoderNote.of(encoder.loaded),
        heads=bundles.heads_of(heads),
        contract=describing.contract(material, reference, options),
        audit=describing.audit_plan(material),
        verdict=str(material.verdict["verdict"]),
        reason=str(material.verdict["reason"]),
        override=override,
        reference=True,
    )
    return bundles.Parts(
        manifest=manifest,
        encoder=encoder,
        heads=heads,
        operating_points=points,
        policy=material.policy,
        verdict=material.verdict,
        model_card=model_card(
            manifest,
            material.policy,
            verdict=material.verdict,
            points=points,
            encoder=encoder.loaded.card.summary(),
            reference=reference,
        ),
        reference=reference,
        chain={
            str(said["kind"]): material.folders[noun] / evidence.EVIDENCE_FILE
            for noun, said in material.said.items()
        },
        inputs=material.digests,
    )


def _heads(material: Material) -> dict[str, Fitted | int]:
    """Return the probe of every finding that was audited."""
    folders = sorted(
        (material.folders["predictions"] / "probes").iterdir(),
        key=lambda path: int(path.name.split("-")[0]),
    )
    scored = [n.removeprefix("score:") for n in material.scores.columns if n.startswith("score:")]
    audited = set(_audited(material))
    heads: dict[str, Fitted | int] = {}
    for folder, finding in zip(folders, scored, strict=True):
        if finding in audited:
            heads[finding] = _alone(mitigations.load(folder / material.file), material.file)
    if not heads:
        raise InvalidInput("release: no finding was both scored and audited")
    return heads


def _alone(fitted: Fitted, file: str) -> Fitted:
    """Refuse a probe that would have to be told whose image it scores."""
    if fitted.needs_group_at_test:
        raise Refused(
            f"release: candidate '{file}' (mitigation '{fitted.mitigation}') needs the group of "
            "the patient for every score, and a bundle is asked about images alone",
            hint="release a candidate that needs groups for training only",
        )
    return fitted


def _audited(material: Material) -> list[str]:
    rows = read(material.folders["estimates"] / "estimates.parquet", ESTIMATES)
    return rows["finding"].unique(maintain_order=True).to_list()


def _points(material: Material, findings: list[str], candidate: str) -> pl.DataFrame:
    """Return the operating points under the candidate's name: with several seeds it bears one."""
    for name in (material.file, candidate):
        mine = material.points.filter(
            (pl.col("candidate") == name) & pl.col("finding").is_in(findings)
        )
        if mine.height:
            return mine.with_columns(candidate=pl.lit(candidate))
    raise InvalidInput(f"release: no operating points of the candidate '{candidate}'")
