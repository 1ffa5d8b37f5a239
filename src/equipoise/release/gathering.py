"""What the stages before left, read once and seen to belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from equipoise import evidence, policies, registry
from equipoise.bundles import EncoderFiles
from equipoise.encoders import BUNDLED, ENCODERS, Encoder
from equipoise.errors import EquipoiseError, InvalidEncoder, InvalidInput, Refused
from equipoise.scope import Scope
from equipoise.tables import (
    COHORT,
    EMBEDDINGS,
    OPERATING_POINTS,
    PREDICTIONS,
    SPLITS,
    metadata,
    read,
    read_json,
)

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Material:
    """What a release is made from.

    Parameters
    ----------
    folders
        Noun → folder of the stage that gave it.
    digests
        Name of each folder → SHA-256 over its files.
    said
        Noun → the predicate of that stage's statement.
    cohort, splits, embeddings, points, scores
        Tables.
    audit, verdict
        What these stages say in JSON.
    policy
        By which was judged.
    file
        The audited predictions, without folder and ending: the name of the probes.
    """

    folders: Mapping[str, Path]
    digests: Mapping[str, str]
    said: Mapping[str, Record]
    cohort: pl.DataFrame
    splits: pl.DataFrame
    embeddings: pl.DataFrame
    points: pl.DataFrame
    scores: pl.DataFrame
    audit: Record
    verdict: Record
    policy: policies.Policy
    file: str

    def parameter(self, noun: str, name: str) -> object:
        """Return an option of the stage that gave a noun, as its evidence says."""
        parameters = self.said[noun].get("parameters")
        return parameters.get(name) if isinstance(parameters, dict) else None


def gathered(inputs: Mapping[str, Path]) -> Material:
    """Return what the stages before left.

    Parameters
    ----------
    inputs
        Noun → folder.

    Raises
    ------
    InvalidInput
        If a stage left no evidence, or verdict, estimates, predictions and embeddings do not
        stand on each other.
    Refused
        If there is no one model: scores are cross-fitted.

    Examples
    --------
    >>> gathered({"verdict": Path("nowhere")})
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere/evidence.json: no such file
    """
    said = {noun: _predicate(folder) for noun, folder in inputs.items()}
    digests = {folder: evidence.folder_digest(folder) for folder in set(inputs.values())}
    _check_chain(inputs, said, digests)
    audit = read_json(inputs["estimates"] / "audit.json")
    selection = read_json(inputs["predictions"] / "selection.json")
    if selection.get("evaluation") != "split" or audit.get("cross_fitted") is not False:
        raise Refused(
            "release: the scores are cross-fitted, by several probes: they are evidence about the "
            "procedure, and there is no one model to release",
            hint="say evaluation: split in adapt, with a test split that is large enough",
            exit_code=policies.Verdict.NOT_ASSESSABLE.exit_code,
        )
    file = str(audit["file"])
    policy = read_json(inputs["verdict"] / "policy.json")
    return Material(
        folders=inputs,
        digests={folder.name: digest for folder, digest in digests.items()},
        said=said,
        cohort=read(inputs["cohort"] / "cohort.parquet", COHORT),
        splits=read(inputs["splits"] / "splits.parquet", SPLITS),
        embeddings=read(inputs["embeddings"] / "embeddings.parquet", EMBEDDINGS),
        points=read(inputs["predictions"] / "operating_points.parquet", OPERATING_POINTS),
        scores=read(inputs["predictions"] / file, PREDICTIONS),
        audit=audit,
        verdict=read_json(inputs["verdict"] / "verdict.json"),
        policy=policies.validated(policy, where="policy.json"),
        file=Path(file).stem,
    )


def _predicate(folder: Path) -> Record:
    predicate = evidence.read_statement(folder)["predicate"]
    return predicate if isinstance(predicate, dict) else {}


def _check_chain(
    inputs: Mapping[str, Path], said: Mapping[str, Record], digests: Mapping[Path, str]
) -> None:
    """See that the verdict is that of these estimates, they of these predictions, and so on."""
    made_from = {
        "verdict": ("estimates",),
        "estimates": ("predictions", "cohort"),
        "predictions": ("embeddings", "splits", "cohort"),
        "embeddings": ("cohort",),
    }
    for noun, before in made_from.items():
        given = {entry["digest"]["sha256"] for entry in _entries(said[noun].get("inputs"))}
        for name in before:
            if digests[inputs[name]] not in given:
                raise InvalidInput(
                    f"release: the {noun} in {inputs[noun]} were not made from the {name} in "
                    f"{inputs[name]}",
                    hint="give the folders of one and the same run",
                )


def _entries(listed: object) -> list[dict[str, dict[str, str]]]:
    return listed if isinstance(listed, list) else []


def encoder_of(material: Material, scope: Scope) -> EncoderFiles:
    """Return the encoder that made the embeddings, found again and seen to be the same.

    Its file is that which the embed stage was told, or that of a stage which gives an *encoder*.

    Parameters
    ----------
    material
        What the stages before left.
    scope
        Where relative paths start.

    Raises
    ------
    InvalidEncoder
        If it is not found, is another one, or is code of the study's own: a bundle holds none.

    Examples
    --------
    See the tests of the stage: it needs a run on disk.

    >>> empty = Material({}, {}, {"embeddings": {}}, *([None] * 8), file="plain-0")
    >>> encoder_of(empty, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: release: encoder 'None' is no member of demo, \
filterbank, onnx: a bundle holds no code
    """
    kind = material.parameter("embeddings", "encoder")
    given = "encoder" in material.folders
    if kind not in BUNDLED and not given:
        raise InvalidEncoder(
            f"release: encoder '{kind}' is no member of {', '.join(BUNDLED)}: a bundle holds no "
            "code",
            hint="equipoise encoders export writes networks of torch as ONNX: embed with onnx and "
            "that file",
        )
    wanted = metadata(material.folders["embeddings"] / "embeddings.parquet").get("digest")
    told = material.parameter("embeddings", "parameters")
    parameters: Record = told if isinstance(told, dict) else {}
    found: Encoder | None = None
    for place, options in _places(material.folders.get("encoder"), parameters):
        found = _loaded("onnx" if place is not None else str(kind), options, scope)
        if found is not None and found.digest == wanted and place is not None:
            return EncoderFiles("onnx", found, scope.resolve(place))
        if found is not None and found.digest == wanted:
            return EncoderFiles(str(kind), found, parameters=parameters)
    digest = "none that can be read" if found is None else f"{found.digest[:12]}…"
    raise InvalidEncoder(
        f"release: the embeddings were made by the encoder {str(wanted)[:12]}…; found {digest}",
        hint="the encoder's file or card has changed since: embed again",
    )


def _places(given: Path | None, parameters: Record) -> list[tuple[str | Path | None, Record]]:
    """Return where the encoder may be: its file and how it is loaded."""
    places: list[tuple[str | Path | None, Record]] = []
    if given is not None:
        for path in sorted(given.resolve().rglob("*.onnx")):
            beside = (path.with_suffix(".yaml"), path.with_name("card.yaml"))
            card = next((one for one in beside if one.is_file()), None)
            if card is not None:
                places.append((path, {"path": str(path), "card": str(card)}))
    said = parameters.get("path")
    places.append((None if said is None else str(said), parameters))
    return places


def _loaded(kind: str, parameters: Record, scope: Scope) -> Encoder | None:
    if kind not in BUNDLED:
        return None
    try:
        found = registry.load(kind, ENCODERS, kind="encoder")(parameters, scope)
    except EquipoiseError:
        return None
    return found if isinstance(found, Encoder) else None
