"""The stage embed at size: parts made in the cache, by one rank or several, then gathered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equipoise import evidence
from equipoise.embed.making import How
from equipoise.embed.opening import Opened, threads_of
from equipoise.embed.options import Options
from equipoise.embed.sharing import Share, await_parts, embed_parts, place_parts
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


def check(options: Options, scope: Scope) -> None:
    """Refuse several ranks or processes without parts, and parts without a place to make them.

    Raises
    ------
    InvalidConfiguration
        Then.

    Examples
    --------
    >>> check(Options(processes=2), Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: embed: 2 processes and one file; expected shard_size
    """
    if options.shard_size is None:
        for n, what in ((scope.world_size, "ranks"), (options.processes, "processes")):
            if n > 1:
                raise InvalidConfiguration(
                    f"embed: {n} {what} and one file; expected shard_size",
                    hint="say shard_size: 8192, or let one do it all",
                )
    elif scope.cache is None:
        raise InvalidConfiguration("embed: parts and no cache; expected a folder to make them in")


def planned(options: Options, ready: Opened, inputs: Mapping[str, Path], scope: Scope) -> Work:
    """Return what this rank is to do.

    Parameters
    ----------
    options, inputs, scope
        Of the stage, as `check` lets them pass.
    ready
        What embeds, and what loads it in another process.

    Raises
    ------
    InvalidConfiguration
        As `check`.
    InvalidTable
        If cohort and image cache do not fit each other.
    """
    check(options, scope)
    size, encoder = options.shard_size or 1, ready.encoder
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    source = CachedImages.open(inputs["images"], cohort["image_id"])
    how = How(size, options.batch_size, options.storage or "float16", ready.said)
    digests = [part.source.digest() for part in parts(source, size)]
    # With card and use, which the parts tell: one that was kept must not tell those of before.
    about = [encoder.digest, encoder.engine, encoder.precision, encoder.card.summary(), ready.said]
    name = f"parts-{evidence.digest([about, how.storage, size, digests])}"
    share = Share(
        rank=scope.rank,
        world_size=scope.world_size,
        processes=options.processes,
        threads=threads_of(options, scope),
        load=ready.load,
    )
    return Work(source, (scope.cache or Path()) / FOLDER / name, how, share, len(digests))


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
    if work.share.world_size > 1:
        await_parts(work.folder, work.parts, progress=scope.progress)
    place_parts(work.folder, out / FOLDER, work.parts)
    found = open_embeddings(out / FOLDER)
    return {
        "images": found.shape[0],
        "distinct": work.source.images["pixel_digest"].n_unique(),
        "parts": work.parts,
        "storage": work.how.storage,
    }
