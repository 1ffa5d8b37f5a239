"""Many files decoded, in order, over several processes, in memory that does not grow."""

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidImage
from equipoise.images.dicoms import read_dicom, read_dicom_pixels
from equipoise.images.pictures import Frame, sized
from equipoise.images.rasters import read_raster

_READERS = {"dicom": read_dicom, "files": read_raster}
_PIXELS_ALONE = {"dicom": read_dicom_pixels, "files": read_raster}
_BATCH = 32
_BATCH_BYTES = 8 << 20
_WORTH_PROCESSES = (4000, 256 << 20)  # files, bytes: below both, starting them costs more

Form = Literal["dicom", "files"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came of one file.

    Parameters
    ----------
    digest
        SHA-256 of the file, empty if it could not be read.
    pixels
        At the size of the frame, uint8; nothing if it failed.
    failure
        Why there are no pixels.
    pixel_digest
        SHA-256 of the pixels: two files with the same one show the same.
    facts, subject, notes
        As in `Picture`.
    """

    digest: str
    pixels: npt.NDArray[np.uint8] | None = None
    failure: str | None = None
    pixel_digest: str = ""
    facts: dict[str, object] = field(default_factory=dict)
    subject: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def decoded(
    paths: Sequence[Path], *, form: Form, frame: Frame, workers: int = 1
) -> Iterator[Decoded]:
    """Yield what came of each file, in the order of `paths`, whatever the number of workers.

    Parameters
    ----------
    paths
        The files.
    form
        ``dicom``, or ``files`` for PNG, JPEG and the like.
    frame
        The size that all shall have.
    workers
        Processes; few files are decoded in this one.

    Raises
    ------
    InvalidImage
        If a file takes the process down that decodes it.

    Examples
    --------
    >>> [one.failure for one in decoded([Path("nowhere.png")], form="files", frame=Frame(2, 2))]
    ['cannot be opened (No such file or directory)']
    """
    batches = _batches(paths, frame)
    if workers == 1 or not _worth_processes(paths):
        for batch in batches:
            yield from _decode(batch, form, frame)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        waiting: deque[tuple[Sequence[Path], Future[list[Decoded]]]] = deque()
        for batch in batches:
            waiting.append((batch, pool.submit(_decode, batch, form, frame)))
            if len(waiting) > 2 * workers:
                yield from _result(*waiting.popleft())
        while waiting:
            yield from _result(*waiting.popleft())


def pixels_decoded(paths: Sequence[Path], *, form: Form, frame: Frame) -> Iterator[Decoded]:
    """Yield the pixels of each file, in the order of `paths`, without facts and file digest.

    Pixels and their digest are those of `decoded`; for images that were taken in before.

    Parameters
    ----------
    paths, form, frame
        As of `decoded`.

    Examples
    --------
    >>> [one.failure for one in
    ...  pixels_decoded([Path("nowhere.png")], form="files", frame=Frame(2, 2))]
    ['cannot be opened (No such file or directory)']
    """
    for path in paths:
        try:
            picture = _PIXELS_ALONE[form](path.read_bytes())
        except OSError as error:
            yield Decoded("", failure=f"cannot be opened ({error.strerror})")
        except InvalidImage as error:
            yield Decoded("", failure=str(error))
        else:
            pixels = sized(picture, frame)
            yield Decoded("", pixels, pixel_digest=_digest(pixels))


def _batches(paths: Sequence[Path], frame: Frame) -> list[Sequence[Path]]:
    size = max(1, min(_BATCH, _BATCH_BYTES // (frame.height * frame.width * frame.channels)))
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def _worth_processes(paths: Sequence[Path]) -> bool:
    files, size = _WORTH_PROCESSES
    if len(paths) >= files:
        return True
    return sum(path.stat().st_size for path in paths if path.is_file()) >= size


def _result(batch: Sequence[Path], future: Future[list[Decoded]]) -> list[Decoded]:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise InvalidImage(
            f"decoding ended a process among {len(batch)} files from {batch[0]} to {batch[-1]}",
            hint="there may be too little memory, or one of them is broken: leave them out",
        ) from error


def _decode(batch: Sequence[Path], form: Form, frame: Frame) -> list[Decoded]:
    return [_decode_one(path, form, frame) for path in batch]


def _decode_one(path: Path, form: Form, frame: Frame) -> Decoded:
    try:
        content = path.read_bytes()
    except OSError as error:
        return Decoded("", failure=f"cannot be opened ({error.strerror})")
    digest = hashlib.sha256(content).hexdigest()
    try:
        picture = _READERS[form](content)
    except InvalidImage as error:
        return Decoded(digest, failure=str(error))
    pixels = sized(picture, frame)
    return Decoded(
        digest,
        pixels,
        pixel_digest=_digest(pixels),
        facts=dict(picture.facts),
        subject=dict(picture.subject),
        notes=picture.notes,
    )


def _digest(pixels: npt.NDArray[np.uint8]) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()
