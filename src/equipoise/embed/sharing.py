"""Parts shared out: over processes of one machine, and over ranks that know nothing of each other.

A rank takes every n-th part and writes its files; nothing is sent between ranks, so no collective
is needed, and a rank that is started again goes on where it was. Every process loads the encoder
itself.
"""

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from equipoise.embed.making import How, check_folder, is_made, left_of, make, marks
from equipoise.embed.sources import Part, Source, parts
from equipoise.encoders import Encoder
from equipoise.errors import EquipoiseError, InvalidConfiguration, InvalidImage, InvalidInput
from equipoise.scope import Progress, silent
from equipoise.tables import aside, make_folder
from equipoise.tables.stored import is_whole, part_path

Load = Callable[[int], Encoder]
"""Loads the encoder, given how many threads it may use; goes to other processes, so picklable."""

_HINT = "what is whole is kept: run again and it goes on"


@dataclass(frozen=True, slots=True)
class Share:
    """Who does what.

    Parameters
    ----------
    rank, world_size
        This rank, from 0, of how many: it takes the parts rank, rank + world_size, ...
    processes
        Of this rank, at least 1.
    threads
        Of each process, at least 1: of the network, and as many that read ahead.
    load
        Loads the encoder in each process; needed where there are several.
    """

    rank: int = 0
    world_size: int = 1
    processes: int = 1
    threads: int = 1
    load: Load | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise InvalidConfiguration(
                f"embed: rank {self.rank} of {self.world_size}; expected 0 to world size - 1"
            )
        if min(self.processes, self.threads) < 1:
            raise InvalidConfiguration(
                f"embed: {self.processes} processes of {self.threads} threads; expected 1 or more"
            )
        if self.processes > 1 and self.load is None:
            raise InvalidConfiguration(
                f"embed: {self.processes} processes and nothing that loads the encoder in them"
            )


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the parts of one rank.

    Parameters
    ----------
    images
        In these parts.
    made, kept
        Parts that were embedded now, and those that were whole already.
    left
        Image id → why it has no vector, of these parts.
    """

    images: int
    made: int
    kept: int
    left: dict[str, str] = field(default_factory=dict)


def embed_parts(
    source: Source,
    encoder: Encoder,
    folder: Path,
    *,
    how: How | None = None,
    share: Share | None = None,
    progress: Progress = silent,
) -> Done:
    """Embed images into a folder of parts; what is whole already is not made again.

    Parameters
    ----------
    source
        Rows of an image cache, or files.
    encoder
        What embeds.
    folder
        Of the parts; made if need be.
    how
        Size of a part and of a batch, and float16 or float32.
    share
        Processes, threads and rank; by default one process of one thread does it all.
    progress
        Told ``("images", done, total)`` of this rank.

    Raises
    ------
    InvalidTable
        If the folder holds parts of another encoder, storage, size or of other images.
    InvalidEncoder
        If vectors hold NaN, are all the same or do not fit float16.
    InvalidImage
        If not one file of a source of files can be read, or a process ends.
    StorageFailure
        If a part cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, polars as pl
    >>> from PIL import Image
    >>> from equipoise.encoders import Card
    >>> from equipoise.embed.sources import ImageFiles
    >>> from equipoise.images import Frame
    >>> from equipoise.tables import open_embeddings
    >>> place = Path(tempfile.mkdtemp())
    >>> for level in (1, 2):
    ...     Image.new("L", (2, 2), level).save(place / f"{level}.png")
    >>> files = pl.DataFrame({"image_id": ["a", "b"], "path": [str(place / "1.png"),
    ...                                                        str(place / "2.png")]})
    >>> card = Card(name="mean", layout="NHWC", height=2, width=2, channels=1,
    ...             value_range="uint8", dimension=1, licence="MIT")
    >>> mean = Encoder("mean", "0" * 64, "numpy", "float32", 1, card,
    ...                lambda x: x.mean(axis=(1, 2), dtype=np.float32)[:, None])
    >>> images = ImageFiles(files, Frame(2, 2, 1))
    >>> embed_parts(images, mean, place / "vectors")
    Done(images=2, made=1, kept=0, left={})
    >>> open_embeddings(place / "vectors").matrix().tolist()
    [[1.0], [2.0]]
    """
    how, share = how or How(), share or Share()
    all_parts = list(parts(source, how.size))
    mine = all_parts[share.rank :: share.world_size]
    check_folder(make_folder(folder), marks(encoder, how), len(all_parts))
    if share.load is None or share.processes == 1 or len(mine) < 2:
        results = _here(mine, encoder, folder, how, share.threads, progress)
    else:
        results = _in_processes(mine, share.load, folder, how, share, progress)
    left = {image: reason for _, some in results for image, reason in some.items()}
    images = sum(part.n for part in mine)
    if left and len(left) == source.images.height:
        image, reason = next(iter(left.items()))
        raise InvalidImage(f"embed: none of {len(left)} images can be read, as {image}: {reason}")
    made = sum(new for new, _ in results)
    return Done(images, made, len(mine) - made, left)


Result = tuple[bool, dict[str, str]]
"""Whether a part was made now, and why images of it have no vector."""


def _here(
    mine: Sequence[Part],
    encoder: Encoder,
    folder: Path,
    how: How,
    threads: int,
    progress: Progress,
) -> list[Result]:
    total, done = sum(part.n for part in mine), 0

    def told(n: int) -> None:
        nonlocal done
        done += n
        progress("images", done, total)

    progress("images", 0, total)
    said = marks(encoder, how)
    results: list[Result] = []
    for part in mine:
        if is_made(part, folder, said):
            told(part.n)
            results.append((False, left_of(part, folder)))
        else:
            left = make(part, encoder, folder, how=how, threads=threads, told=told)
            results.append((True, left))
    return results


def _in_processes(
    mine: Sequence[Part], load: Load, folder: Path, how: How, share: Share, progress: Progress
) -> list[Result]:
    context = multiprocessing.get_context("spawn")
    count: Synchronized[int] = context.Value("q", 0)
    total = sum(part.n for part in mine)
    pool = ProcessPoolExecutor(
        min(share.processes, len(mine)),
        context,
        initializer=_start,
        initargs=(load, share.threads, count),
    )
    futures: list[Future[Result]] = []
    try:
        futures += [pool.submit(_one, part, folder, how, share.threads) for part in mine]
        for done in _watched(futures):
            for future in done:
                future.result()  # the first failure stops the rest
            progress("images", count.value, total)
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise InvalidInput(
            f"embed: a process ended among the parts in {folder}",
            hint=f"there may be too little memory for {share.processes} processes; {_HINT}",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _watched(futures: Sequence[Future[Result]]) -> Iterator[set[Future[Result]]]:
    """Yield what ended, and now and then nothing, so that progress can be told."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        yield done


_PROCESS: "list[tuple[Encoder, Synchronized[int]]]" = []
"""What a process of the pool loaded when it started; in the first process it stays empty."""


def _start(load: Load, threads: int, count: "Synchronized[int]") -> None:
    """Load the encoder; BLAS keeps to the threads it is given, as in the first process."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="blas")
    _PROCESS.append((load(threads), count))


def _one(part: Part, folder: Path, how: How, threads: int) -> Result:
    encoder, count = _PROCESS[0]

    def told(n: int) -> None:
        with count.get_lock():
            count.value += n

    if is_made(part, folder, marks(encoder, how)):
        told(part.n)
        return False, left_of(part, folder)
    return True, make(part, encoder, folder, how=how, threads=threads, told=told)


def await_parts(
    folder: Path,
    of: int,
    *,
    pause: Callable[[], None] = lambda: time.sleep(1),
    patience: int = 6 * 3600,
    progress: Progress = silent,
) -> None:
    """Wait until all parts lie in a folder and are whole, as other ranks write theirs.

    Parameters
    ----------
    folder
        Of the parts.
    of
        How many there will be.
    pause
        Called between looks; waits a second.
    patience
        Looks without a new part after which the others are given up.
    progress
        Told ``("parts", there, of)``.

    Raises
    ------
    InvalidInput
        If the others are given up.

    Examples
    --------
    >>> await_parts(Path("nowhere"), 2, pause=lambda: None, patience=3)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: embed: 0 of 2 parts lie in nowhere, and no other came; as \
part-00000.parquet
    """
    missing, quiet = list(range(of)), -1
    while left := [k for k in missing if not is_whole(part_path(folder, k))]:
        quiet = 0 if len(left) < len(missing) else quiet + 1
        missing, there = left, of - len(left)
        if quiet >= patience:
            raise InvalidInput(
                f"embed: {there} of {of} parts lie in {folder}, and no other came; as "
                f"{part_path(folder, missing[0]).name}",
                hint=f"see what became of the other ranks; {_HINT}",
            )
        progress("parts", there, of)
        pause()


def place_parts(made: Path, out: Path, of: int) -> None:
    """Put the parts of a work folder into a folder of results, without a second copy if possible.

    Raises
    ------
    EquipoiseError
        If one is missing, or cannot be written.

    Examples
    --------
    See the tests of the stage.
    """
    make_folder(out)
    for number in range(of):
        source, target = part_path(made, number), part_path(out, number)
        if not source.is_file():
            raise EquipoiseError(f"embed: {source} is missing; expected {of} parts", hint=_HINT)
        try:
            target.unlink(missing_ok=True)
            os.link(source, target)
        except OSError:  # another disk, or one without links
            with aside(target) as partial:
                shutil.copyfile(source, partial)
