"""A bundle made from its parts: one folder with its own statement, opened once to see it holds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import yaml

from equipoise import evidence, mitigations
from equipoise.bundles import reference as references
from equipoise.bundles.contents import VERSION, Head, Manifest
from equipoise.bundles.opening import KIND, MANIFEST
from equipoise.encoders import Encoder
from equipoise.errors import InvalidConfiguration
from equipoise.mitigations import Fitted
from equipoise.policies import Policy
from equipoise.tables import (
    COUNTS,
    ESTIMATES,
    OPERATING_POINTS,
    make_folder,
    write,
    write_bytes,
    write_json,
    write_text,
)


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """How the encoder of a bundle is loaded again.

    Parameters
    ----------
    kind
        A member of `equipoise.encoders.BUNDLED`.
    loaded
        The encoder itself: its digest binds the bundle to it.
    path
        The ONNX file; None for an encoder that needs none.
    parameters
        Of an encoder that needs no file.
    """

    kind: str
    loaded: Encoder
    path: Path | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a bundle is made of.

    Parameters
    ----------
    manifest
        What ``bundle.json`` says.
    encoder
        Its files.
    heads
        Finding → probe, or the column of what the encoder answers.
    operating_points
        The table of that name.
    policy
        What it is judged by.
    verdict
        As in ``verdict.json``.
    model_card
        In Markdown.
    reference
        What new images are compared with, if it is known.
    chain
        Stage → its ``evidence.json``.
    inputs
        Name → digest of what the bundle was made from.
    """

    manifest: Manifest
    encoder: EncoderFiles
    heads: Mapping[str, Fitted | int]
    operating_points: pl.DataFrame
    policy: Policy
    verdict: Mapping[str, object]
    model_card: str
    reference: references.Reference | None = None
    chain: Mapping[str, Path] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def heads_of(heads: Mapping[str, Fitted | int]) -> dict[str, Head]:
    """Return what ``bundle.json`` says of the heads: a file for a probe, a column for an output.

    Examples
    --------
    >>> heads_of({"covid": 1})["covid"].column
    1
    """
    said = {}
    for number, (finding, head) in enumerate(heads.items()):
        if isinstance(head, int):
            said[finding] = Head(kind="output", column=head)
        else:
            slug = re.sub(r"[^A-Za-z0-9]+", "_", finding)
            said[finding] = Head(kind="probe", file=f"probes/{number:02d}-{slug}")
    return said


def written(folder: Path, parts: Parts) -> str:
    """Write a bundle into a folder and return its digest.

    Parameters
    ----------
    folder
        Where its files shall lie: absent or empty.
    parts
        What it is made of.

    Raises
    ------
    InvalidConfiguration
        If something stands in the folder, the manifest does not fit the encoder, or a head needs
        the group of the patient.

    Examples
    --------
    See the tests: a bundle needs an encoder and a policy.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "a").write_text("")
    >>> written(place, None)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: ...: not empty; a bundle is written into a new folder
    """
    if folder.exists() and any(folder.iterdir()):
        raise InvalidConfiguration(f"{folder}: not empty; a bundle is written into a new folder")
    _check_heads(parts)
    if parts.manifest.encoder.digest != parts.encoder.loaded.digest:
        raise InvalidConfiguration(
            f"bundle '{parts.manifest.name}': says encoder "
            f"{parts.manifest.encoder.digest[:12]}…; given {parts.encoder.loaded.digest[:12]}…"
        )
    make_folder(folder)
    write_json(folder / MANIFEST, parts.manifest.model_dump(mode="json", by_alias=True))
    _encoder(folder / "encoder", parts.encoder)
    for finding, said in parts.manifest.heads.items():
        head = parts.heads[finding]
        if isinstance(head, Fitted):
            mitigations.save(head, folder / str(said.file))
    write(parts.operating_points, folder / "operating_points.parquet", OPERATING_POINTS)
    write_json(folder / "policy.json", parts.policy.model_dump(mode="json"))
    write_json(folder / "verdict.json", dict(parts.verdict))
    if parts.reference is not None:
        _reference(folder / "reference", parts.reference)
    write_text(folder / "model_card.md", parts.model_card)
    for stage, path in parts.chain.items():
        # Not called evidence.json: the files it speaks of did not come along.
        write_bytes(folder / "chain" / f"{stage}.json", path.read_bytes())
    return _sealed(folder, parts)


def _check_heads(parts: Parts) -> None:
    for finding, head in parts.heads.items():
        if isinstance(head, Fitted) and head.needs_group_at_test:
            raise InvalidConfiguration(
                f"bundle '{parts.manifest.name}': the head of '{finding}' (mitigation "
                f"'{head.mitigation}') needs the group of the patient; a bundle is asked about "
                "images alone"
            )


def _encoder(folder: Path, files: EncoderFiles) -> None:
    parameters = dict(files.parameters)
    if files.path is not None:
        write_bytes(folder / "encoder.onnx", files.path.read_bytes())
        card = files.loaded.card.model_dump(mode="json", exclude_none=True)
        write_text(folder / "card.yaml", yaml.safe_dump(card, sort_keys=False, allow_unicode=True))
        parameters = {"path": "encoder.onnx", "card": "card.yaml"}
    write_json(folder / "encoder.json", {"encoder": files.kind, "parameters": parameters})


def _reference(folder: Path, found: references.Reference) -> None:
    make_folder(folder)
    references.save(found, folder)
    if found.counts is not None:
        write(found.counts, folder / "counts.parquet", COUNTS)
    if found.estimates is not None:
        write(found.estimates, folder / "estimates.parquet", ESTIMATES)


def _sealed(folder: Path, parts: Parts) -> str:
    from equipoise import __version__

    subjects = evidence.subjects(folder)
    override = parts.manifest.override
    said = evidence.statement(
        KIND,
        subject=subjects,
        inputs=parts.inputs,
        parameters={},
        result={
            "name": parts.manifest.name,
            "findings": list(parts.manifest.findings),
            "verdict": parts.manifest.verdict,
            "override": None if override is None else override.model_dump(mode="json"),
        },
        code={"equipoise": __version__, KIND: str(VERSION)},
    )
    evidence.write_statement(folder, said)
    return evidence.digest(subjects)
