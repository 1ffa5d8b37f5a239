"""A model from outside as a bundle: its maker's file, and by hand what a study would have said.

It never met a policy, so that it goes out by an override alone; the acceptance test of a hospital
is then the first judgement of it.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from equipoise import bundles, evidence, policies, registry
from equipoise.encoders import BUNDLED, ENCODERS, Encoder
from equipoise.encoders.building import files_of
from equipoise.encoders.licensing import releasable
from equipoise.errors import InvalidConfiguration, InvalidEncoder, nearest
from equipoise.release.cards import model_card
from equipoise.scope import Scope
from equipoise.splits import assign
from equipoise.tables import COHORT, ImageCache, file_digest, read
from equipoise.tables.nouns import ACQUISITION

NOT_JUDGED = "not judged"
_REASON = "a model from outside that was never judged"
_BATCH = 32


class Wrapping(BaseModel):
    """All that is said by hand of a model from outside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="What the bundle is called.")
    intended_use: str = Field(
        default="not available", description="For whom, where and for what it is made."
    )
    encoder: str = Field(default="onnx", description="A member of the encoders, as onnx.")
    parameters: Mapping[str, object] = Field(
        description="onnx: path, the model's file, and card, its YAML file or fields."
    )
    heads: Mapping[str, int] = Field(
        min_length=1, description="Finding → the column of what the model answers, from 0."
    )
    operating_points: Mapping[str, Mapping[str, float]] = Field(
        default_factory=dict, description="Finding → name → called positive from this score on."
    )
    claims: Mapping[str, Mapping[str, bundles.Claim]] = Field(
        default_factory=dict,
        description="Finding → operating point → sensitivity and specificity that its maker "
        "claims: from them the power of an acceptance test is told.",
    )
    contract: bundles.InputContract = Field(description="What images it takes.")
    audit: bundles.AuditPlan = Field(description="How it is audited, all levels declared.")
    policy: str | Mapping[str, object] = Field(description="A YAML file, or its content.")
    override: bundles.Override = Field(description="Who lets it be used: name, reason, expires.")
    reference: str | None = Field(
        default=None,
        description="Folder of an ingest stage with images like those it was made from; without "
        "one, input shift cannot be judged.",
    )


def wrapped(folder: Path, asked: Wrapping, scope: Scope | None = None, *, on: date) -> str:
    """Write a bundle around a model from outside and return its digest.

    Parameters
    ----------
    folder
        Where its files shall lie: absent or empty.
    asked
        What is said of it.
    scope
        Where relative paths start.
    on
        Today, by which the override may have expired.

    Raises
    ------
    InvalidConfiguration
        If a finding has no head or an operating point no finding.
    InvalidEncoder
        If the file does not fit its card, or a column is not there.
    Refused
        If the override has expired, or the licence in its card lets nothing be shared.

    Examples
    --------
    See the tests and ``equipoise wrap``: it takes a model's file.

    >>> wrapped.__name__
    'wrapped'
    """
    around = scope or Scope()
    bundles.check_in_force(asked.override, on=on, name=asked.name)
    encoder = _encoder(asked, around)
    releasable(encoder.card.summary())
    policy = (
        policies.load(around.resolve(asked.policy))
        if isinstance(asked.policy, str)
        else policies.validated(asked.policy)
    )
    reference = None if asked.reference is None else _reference(asked, encoder, around)
    manifest = _manifest(asked, encoder, described=reference is not None)
    points = _points(asked)
    verdict = {"verdict": NOT_JUDGED, "reason": _REASON, "exit_code": 3, "criteria": []}
    path = asked.parameters.get("path")
    return bundles.written(
        folder,
        bundles.Parts(
            manifest=manifest,
            encoder=bundles.EncoderFiles(
                asked.encoder,
                encoder,
                None if path is None else around.resolve(str(path)),
                {} if path is not None else asked.parameters,
            ),
            heads=dict(asked.heads),
            operating_points=points,
            policy=policy,
            verdict=verdict,
            model_card=model_card(
                manifest,
                policy,
                verdict=verdict,
                points=points,
                encoder=encoder.card.summary(),
                reference=reference,
            ),
            reference=reference,
            inputs=_inputs(asked, around),
        ),
    )


def _manifest(asked: Wrapping, encoder: Encoder, *, described: bool) -> bundles.Manifest:
    return bundles.Manifest(
        name=asked.name,
        intended_use=asked.intended_use,
        findings=tuple(asked.heads),
        candidate="outside",
        encoder=bundles.EncoderNote.of(encoder),
        heads=bundles.heads_of(dict(asked.heads)),
        contract=asked.contract,
        audit=asked.audit,
        verdict=NOT_JUDGED,
        reason=_REASON,
        override=asked.override,
        claims=asked.claims,
        reference=described,
    )


def _encoder(asked: Wrapping, scope: Scope) -> Encoder:
    if asked.encoder not in BUNDLED:
        raise InvalidEncoder(
            f"wrap: encoder '{asked.encoder}'; a bundle may name {', '.join(BUNDLED)}",
            hint=nearest(asked.encoder, BUNDLED),
        )
    found = registry.load(asked.encoder, ENCODERS, kind="encoder")(asked.parameters, scope)
    if not isinstance(found, Encoder):
        raise InvalidEncoder(f"wrap: '{asked.encoder}' gives no encoder")
    for finding, column in asked.heads.items():
        if not 0 <= column < found.dimension:
            raise InvalidEncoder(
                f"wrap: finding '{finding}': column {column} of what '{found.name}' answers; it "
                f"has {found.dimension}, from 0"
            )
    return found


def _points(asked: Wrapping) -> pl.DataFrame:
    rows = []
    for finding, named in asked.operating_points.items():
        if finding not in asked.heads:
            raise InvalidConfiguration(
                f"wrap: operating_points: no finding '{finding}'; known: {', '.join(asked.heads)}",
                hint=nearest(finding, asked.heads),
            )
        rows += [
            {
                "finding": finding,
                "candidate": "outside",
                "operating_point": name,
                "fold": None,
                "rule": "given by hand",
                "threshold": threshold,
                "chosen_on": "not available",
                "digest": evidence.digest([finding, name, threshold]),
            }
            for name, threshold in named.items()
        ]
    schema: dict[str, pl.DataType] = {
        name: pl.String()
        for name in ("finding", "candidate", "operating_point", "rule", "chosen_on", "digest")
    }
    kinds = {"fold": pl.Int64(), "threshold": pl.Float64()}
    order = ["finding", "candidate", "operating_point", "fold", "rule", "threshold"]
    return pl.DataFrame(
        rows, schema={n: {**schema, **kinds}[n] for n in [*order, "chosen_on", "digest"]}
    )


def _reference(asked: Wrapping, encoder: Encoder, scope: Scope) -> bundles.Reference:
    """Return the reference of given images: half of the patients shape it, half are held out."""
    folder = scope.resolve(str(asked.reference))
    cohort = read(folder / "cohort.parquet", COHORT).sort("image_id")
    images = ImageCache.open(folder)
    rows = images.rows(cohort["image_id"].to_list())
    vectors = np.concatenate([_embedded(part, encoder) for part in images.batches(rows, _BATCH)])
    patients = cohort["patient_id"].to_list()
    shares = {"train": 0.5, "validation": 0.5}
    train = assign(patients, ["all"] * len(patients), shares=shares, seed=0) == "train"
    words = [n for n, column in ACQUISITION.items() if column.kind == "text" and n != "device_id"]
    mix = {}
    for name in [*words, *asked.audit.attributes]:
        if name in cohort.columns and cohort[name].null_count() < cohort.height:
            counted = cohort[name].fill_null("not said").value_counts().sort(name)
            mix[name] = {str(level): int(n) for level, n in counted.iter_rows()}
    return bundles.described(
        vectors[train], vectors[~train], mix=mix, n_patients=cohort["patient_id"].n_unique()
    )


def _embedded(pixels: npt.NDArray[np.uint8], encoder: Encoder) -> npt.NDArray[np.float32]:
    """Return vectors of a batch that is filled up: they must not depend on its size."""
    lack = _BATCH - len(pixels)
    whole = np.concatenate([pixels, np.repeat(pixels[-1:], lack, axis=0)])
    return encoder.embed(whole)[: len(pixels)]


def _inputs(asked: Wrapping, scope: Scope) -> dict[str, str]:
    inputs = {
        f"source:{name}": file_digest(path)
        for name, path in files_of(asked.parameters, scope).items()
    }
    if isinstance(asked.policy, str):
        inputs["source:policy"] = file_digest(scope.resolve(asked.policy))
    if asked.reference is not None:
        folder = scope.resolve(asked.reference)
        inputs["source:reference"] = evidence.folder_digest(folder)
    return inputs
