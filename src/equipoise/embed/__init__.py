"""Embed: each image becomes a vector once, with a frozen encoder; then everything is cheap."""

from collections.abc import Mapping
from pathlib import Path

from equipoise import registry
from equipoise.embed.options import Options
from equipoise.embed.vectors import embeddings
from equipoise.encoders import ENCODERS, Encoder, demo, onnx
from equipoise.encoders.building import files_of
from equipoise.encoders.licensing import allowed
from equipoise.errors import InvalidConfiguration, InvalidEncoder
from equipoise.scope import Scope
from equipoise.tables import COHORT, EMBEDDINGS, ImageCache, read, write, write_bytes

VERSION = 2
NEEDS = ("cohort", "images")
WANTS = ("encoder",)
GIVES = ("embeddings",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Options",
    "embeddings",
    "loaded",
    "run",
    "sources",
]


PRETRAINED = "pretrained"
"""The encoder that the stage pretrain of the same study made."""

STORIES = ("pretraining.json", "comparison.json")
"""What an encoder of ours tells of its training, taken along so that the report can show it."""


def loaded(options: Options, scope: Scope, given: Path | None = None) -> Encoder:
    """Return the encoder that the options name.

    Parameters
    ----------
    options
        What is asked.
    scope
        Where paths start.
    given
        The folder of the stage that gave an *encoder*, if there is one.

    Raises
    ------
    UnknownName
        If there is no such encoder.
    InvalidEncoder
        If its file does not fit its card, or the function named gives no encoder.
    InvalidConfiguration
        If the pretrained encoder is asked for and none is given.

    Examples
    --------
    >>> loaded(Options(encoder="filterbnk"), Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no encoder 'filterbnk'; known: demo, fastest, filterbank, ...
    """
    if options.encoder == PRETRAINED:
        return _pretrained(options, scope, given)
    load = registry.load(options.encoder, ENCODERS, kind="encoder")
    encoder = load(options.parameters, scope)
    if not isinstance(encoder, Encoder):
        raise InvalidEncoder(
            f"encoder '{options.encoder}' gives {type(encoder).__name__}; expected an Encoder"
        )
    return encoder


def _pretrained(options: Options, scope: Scope, given: Path | None) -> Encoder:
    if given is None:
        raise InvalidConfiguration(
            "embed: encoder 'pretrained': no stage of the study gives an encoder",
            hint="add the stage pretrain, or give its folder as --from-encoder",
        )
    if options.parameters:
        raise InvalidConfiguration(
            f"embed: encoder 'pretrained': unknown parameter '{next(iter(options.parameters))}'; "
            "expected none"
        )
    parameters = {"path": str(given.resolve() / "encoder.onnx")}
    return onnx.load({**parameters, "card": str(given.resolve() / "card.yaml")}, scope)


def _stories(options: Options, given: Path | None) -> list[Path]:
    """Return the files in which an encoder of ours tells of its training."""
    home = {PRETRAINED: given, "demo": demo.FOLDER}.get(options.encoder)
    return [] if home is None else [home / name for name in STORIES if (home / name).is_file()]


def sources(options: Options, scope: Scope) -> dict[str, Path]:
    """Return the files that the encoder is made of: its parameters `path` and `card`.

    Examples
    --------
    >>> chosen = Options(encoder="onnx", parameters={"path": "a.onnx", "card": {}})
    >>> {name: path.name for name, path in sources(chosen, Scope()).items()}
    {'path': 'a.onnx'}
    """
    if options.encoder == "demo":
        return {"encoder": demo.FOLDER / "encoder.onnx", "card": demo.FOLDER / "card.yaml"}
    return files_of(options.parameters, scope)


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Read cohort and images, write ``embeddings.parquet``, and take the encoder's story along.

    Parameters
    ----------
    options
        What is asked.
    inputs
        The folders of *cohort* and *images*, and that of *encoder* if there is one.
    out
        An existing folder.
    scope
        Where vectors are kept between runs, and how many threads may work.

    Returns
    -------
    How many images and different images there are, and what the encoder says of itself.

    Raises
    ------
    Refused
        If the licence of the encoder forbids the use, before any image is read.
    """
    encoder = loaded(options, scope, inputs.get("encoder"))
    notes = allowed(encoder.card.summary(), options.use)
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    images = ImageCache.open(inputs["images"])
    table = embeddings(
        cohort["image_id"].to_list(),
        images,
        encoder,
        batch_size=options.batch_size,
        store=None if scope.cache is None else scope.cache / "embeddings",
        progress=scope.progress,
    )
    said = {
        "encoder": encoder.name,
        "digest": encoder.digest,
        "engine": encoder.engine,
        "precision": encoder.precision,
        "dimension": encoder.dimension,
        "card": encoder.card.summary(),
        **({} if encoder.chosen is None else {"engine_chosen": dict(encoder.chosen)}),
        "use": options.use,
    }
    write(table, out / "embeddings.parquet", EMBEDDINGS, more=said)
    for path in _stories(options, inputs.get("encoder")):
        write_bytes(out / path.name, path.read_bytes())
    used = images.index.filter(images.index["image_id"].is_in(cohort["image_id"].implode()))
    told: dict[str, object] = {"licence_notes": list(notes)} if notes else {}
    return {"images": table.height, "distinct": used["pixel_digest"].n_unique(), **said, **told}
