"""The stage embed at size: parts made in the cache, by one rank or several, then gathered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equipoise import evidence
from equipoise.embed.making import How
from equipoise.embed.options import Options
from equipoise.embed.sharing import Load, Share, await_parts, embed_parts, place_parts
from equipoise.embed.sources import CachedImages, parts
from equipoise.encoders import Encoder
from equipoise.errors import InvalidConfiguration
from equipoise.scope import Scope
from equipoise.tables import COHORT, open_embeddings, read

FOLDER = "embeddings"
"""Of the parts, in the folder of the stage."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one rank is to do.

    Parameters
    ----------
    source
        All images of the cohort.
    folder
        Where parts are made; the same for all ranks.
    how
        In what form.
    share
        Of this rank.
    parts
        How many there will be.
    """

    source: CachedImages
    folder: Path
    how: How
    share: Share
    parts: int


def threads_of(options: Options, scope: Scope) -> int:
    """Return how many threads each process has.

    Examples
    --------
    >>> threads_of(Options(processes=2), Scope(workers=4))
    2
    """
    return max(1, scope.workers // options.processes)


def settled(options: Options, scope: Scope) -> tuple[Path, int]:
    """Return where parts are made, which outlives a run that is killed, and images of a part.

    Raises
    ------
    InvalidConfiguration
        If there is no cache, or no size of a part for several ranks.

    Examples
    --------
    >>> settled(Options(), Scope(world_size=2))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: embed: 2 ranks and one file; expected shard_size
    """
    if options.shard_size is None:
        raise InvalidConfiguration(
            f"embed: {scope.world_size} ranks and one file; expected shard_size",
            hint="say shard_size: 8192, or run it without torchrun",
        )
    if scope.cache is None:
        raise InvalidConfiguration("embed: parts and no cache; expected a folder to make them in")
    return scope.cache / FOLDER, options.shard_size


def planned(
    options: Options, encoder: Encoder, load: Load, inputs: Mapping[str, Path], scope: Scope
) -> Work:
    """Return what this rank is to do.

    Parameters
    ----------
    options, inputs, scope
        Of the stage.
    encoder, load
        What embeds, and what loads it in another process.

    Raises
    ------
    InvalidConfiguration
        As `settled`.
    InvalidTable
        If cohort and image cache do not fit each other.
    """
    place, size = settled(options, scope)
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    source = CachedImages.open(inputs["images"], cohort["image_id"])
    how = How(size, options.batch_size, options.storage or "float16")
    digests = [part.source.digest() for part in parts(source, size)]
    kind = [encoder.digest, encoder.engine, encoder.precision, how.storage, size]
    share = Share(
        rank=scope.rank,
        world_size=scope.world_size,
        processes=options.processes,
        threads=threads_of(options, scope),
        load=load,
    )
    folder = place / f"parts-{evidence.digest([kind, digests])}"
    return Work(source, folder, how, share, len(digests))


def made(work: Work, encoder: Encoder, scope: Scope) -> None:
    """Make the parts of this rank."""
    embed_parts(
        work.source,
        encoder,
        work.folder,
        how=work.how,
        share=work.share,
        progress=scope.progress,
    )


def gathered(work: Work, out: Path, scope: Scope) -> dict[str, object]:
    """Wait for the parts of other ranks, put all into the folder of the stage, and sum up.

    Raises
    ------
    InvalidInput
        If the other ranks are given up.
    InvalidTable
        If the parts do not fit each other.
    """
    await_parts(work.folder, work.parts, progress=scope.progress)
    place_parts(work.folder, out / FOLDER, work.parts)
    found = open_embeddings(out / FOLDER)
    return {
        "images": found.shape[0],
        "distinct": work.source.images["pixel_digest"].n_unique(),
        "parts": work.parts,
        "storage": work.how.storage,
    }
