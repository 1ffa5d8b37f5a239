"""Embed: each image becomes a vector once, with a frozen encoder; then everything is cheap."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from equipoise import registry
from equipoise.embed import in_parts
from equipoise.embed.making import How, about, halved
from equipoise.embed.options import Options
from equipoise.embed.sharing import Done, Share, embed_parts
from equipoise.embed.sources import CachedImages, ImageFiles
from equipoise.embed.vectors import embeddings
from equipoise.encoders import ENCODERS, Encoder, demo, onnx
from equipoise.errors import InvalidConfiguration, InvalidEncoder
from equipoise.scope import Scope
from equipoise.tables import COHORT, EMBEDDINGS, ImageCache, read, write, write_bytes

VERSION = 1
NEEDS = ("cohort", "images")
WANTS = ("encoder",)
GIVES = ("embeddings",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "CachedImages",
    "Done",
    "How",
    "ImageFiles",
    "Options",
    "Share",
    "embed_parts",
    "embeddings",
    "loaded",
    "run",
    "share",
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
    equipoise.errors.UnknownName: no encoder 'filterbnk'; known: demo, filterbank, onnx
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
    given = options.parameters
    if options.encoder == "demo":
        return {"encoder": demo.FOLDER / "encoder.onnx", "card": demo.FOLDER / "card.yaml"}
    names = [name for name in ("path", "card") if isinstance(given.get(name), str)]
    return {name: scope.resolve(str(given[name])) for name in names}


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Read cohort and images, write ``embeddings.parquet``, and take the encoder's story along.

    With a shard size the vectors stand in a folder ``embeddings`` of parts instead, which are made
    in the cache and outlive a run that is killed.

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
    """
    if options.shard_size is not None or scope.world_size > 1:
        return _in_parts(options, inputs, out, scope)
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    images = ImageCache.open(inputs["images"])
    encoder = loaded(options, scope, inputs.get("encoder"))
    table = embeddings(
        cohort["image_id"].to_list(),
        images,
        encoder,
        batch_size=options.batch_size,
        store=None if scope.cache is None else scope.cache / "embeddings",
        progress=scope.progress,
    )
    said = about(encoder)
    if options.storage == "float16":
        half = halved(table["vector"].to_numpy(), table["image_id"].to_list(), encoder)
        kind = pl.Array(pl.Float16, encoder.dimension)
        table = table.with_columns(vector=pl.Series(half, dtype=kind))
    more = {**said, "storage": "float16"} if options.storage == "float16" else said
    write(table, out / "embeddings.parquet", EMBEDDINGS, more=more)
    _take_stories(options, inputs, out)
    used = images.index.filter(images.index["image_id"].is_in(cohort["image_id"].implode()))
    return {"images": table.height, "distinct": used["pixel_digest"].n_unique(), **said}


def share(options: Options, inputs: Mapping[str, Path], scope: Scope) -> None:
    """Embed the parts of a rank other than the first, which gathers them.

    Parameters
    ----------
    options, inputs, scope
        As of `run`; the cache must be the same place for all ranks.

    Raises
    ------
    InvalidConfiguration
        If the options ask for one file.

    Examples
    --------
    >>> share(Options(), {}, Scope(rank=1, world_size=2))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: embed: 2 ranks and one file; expected shard_size
    """
    _made(options, inputs, scope)


def _made(
    options: Options, inputs: Mapping[str, Path], scope: Scope
) -> tuple[in_parts.Work, Encoder]:
    in_parts.settled(options, scope)
    load = partial(_load, options, scope.base, inputs.get("encoder"), _device(options, scope))
    encoder = load(in_parts.threads_of(options, scope))
    work = in_parts.planned(options, encoder, load, inputs, scope)
    in_parts.made(work, encoder, scope)
    return work, encoder


def _in_parts(
    options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope
) -> dict[str, object]:
    work, encoder = _made(options, inputs, scope)
    found = in_parts.gathered(work, out, scope)
    _take_stories(options, inputs, out)
    return {**found, **about(encoder)}


def _device(options: Options, scope: Scope) -> dict[str, JsonValue]:
    """Return which GPU this rank takes, if the encoder is asked to run on one."""
    shared = scope.world_size > 1 and options.parameters.get("device") == "cuda"
    return {"device": f"cuda:{scope.local_rank}"} if shared else {}


def _load(
    options: Options, base: Path, given: Path | None, device: dict[str, JsonValue], threads: int
) -> Encoder:
    """Load the encoder in whatever process this is."""
    placed = options.model_copy(update={"parameters": {**options.parameters, **device}})
    return loaded(placed, Scope(base=base, workers=threads), given)


def _take_stories(options: Options, inputs: Mapping[str, Path], out: Path) -> None:
    for path in _stories(options, inputs.get("encoder")):
        write_bytes(out / path.name, path.read_bytes())
