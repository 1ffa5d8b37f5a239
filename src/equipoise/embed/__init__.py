"""Embed: each image becomes a vector once, with a frozen encoder; then everything is cheap."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from equipoise.embed import in_parts
from equipoise.embed.making import How, about, halved
from equipoise.embed.opening import PRETRAINED, Opened, loaded, opened
from equipoise.embed.options import Options
from equipoise.embed.sharing import Done, Share, embed_parts
from equipoise.embed.sources import CachedImages, ImageFiles
from equipoise.embed.vectors import embeddings
from equipoise.encoders import Encoder, demo
from equipoise.encoders.building import files_of
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


STORIES = ("pretraining.json", "comparison.json")
"""What an encoder of ours tells of its training, taken along so that the report can show it."""


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

    Raises
    ------
    Refused
        If the licence of the encoder forbids the use, before any image is read.
    """
    in_parts.check(options, scope)
    ready = opened(options, inputs, scope)
    if options.shard_size is None:
        found = _in_one_file(options, ready, inputs, out, scope)
    else:
        work = in_parts.planned(options, ready, inputs, scope)
        in_parts.made(work, ready.encoder, scope)
        found = in_parts.gathered(work, out, scope)
    for path in _stories(options, inputs.get("encoder")):
        write_bytes(out / path.name, path.read_bytes())
    told: dict[str, object] = {"licence_notes": list(ready.notes)} if ready.notes else {}
    return {**found, **about(ready.encoder), **ready.said, **told}


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
    in_parts.check(options, scope)
    ready = opened(options, inputs, scope)
    in_parts.made(in_parts.planned(options, ready, inputs, scope), ready.encoder, scope)


def _in_one_file(
    options: Options, ready: Opened, inputs: Mapping[str, Path], out: Path, scope: Scope
) -> dict[str, object]:
    encoder = ready.encoder
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
    said = {**about(encoder), **ready.said}
    if options.storage == "float16":
        table, said["storage"] = _half(table, encoder), "float16"
    write(table, out / "embeddings.parquet", EMBEDDINGS, more=said)
    used = images.index.filter(images.index["image_id"].is_in(cohort["image_id"].implode()))
    return {"images": table.height, "distinct": used["pixel_digest"].n_unique()}


def _half(table: pl.DataFrame, encoder: Encoder) -> pl.DataFrame:
    half = halved(table["vector"].to_numpy(), table["image_id"].to_list(), encoder)
    kind = pl.Array(pl.Float16, encoder.dimension)
    return table.with_columns(vector=pl.Series(half, dtype=kind))
