"""What is embedded at size: rows of an image cache, or files, cut into parts of some thousand.

A part knows its images and where they come from, and nothing of the others: it is handed to
another process as it is. Pixels are read from the file, not through a mapping of it, so that
memory stays what a few batches take however many images there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import evidence
from equipoise.errors import InvalidTable
from equipoise.images import Form, Frame, pixels_decoded
from equipoise.tables import ImageCache

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images that were read.

    Parameters
    ----------
    image_ids
        Of those that could be read.
    pixels
        uint8 ``(b, h, w)`` or ``(b, h, w, 3)``, a row per id.
    pixel_digests
        SHA-256 of the pixels of each.
    left
        Image id → why it could not.
    """

    image_ids: list[str]
    pixels: Pixels
    pixel_digests: list[str]
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CachedImages:
    """Images in an image cache.

    Parameters
    ----------
    images
        ``image_id``, ``row`` and ``pixel_digest``, in the order in which they are embedded.
    path
        The file ``images.npy``.
    """

    images: pl.DataFrame
    path: Path

    @classmethod
    def open(cls, folder: Path, image_ids: pl.Series | None = None) -> "CachedImages":
        """Return the images of a cache, or those named, sorted by id.

        Raises
        ------
        InvalidTable
            If the cache is absent or broken, or an image is not in it.
        """
        images = ImageCache.open(folder).index
        if image_ids is not None:
            asked = pl.DataFrame({"image_id": image_ids})
            missing = asked.join(images, on="image_id", how="anti")
            if missing.height:
                first = missing["image_id"][0]
                raise InvalidTable(
                    f"image cache: {missing.height} images are missing, as {first!r}"
                )
            images = images.join(asked, on="image_id", how="semi")
        return cls(images.sort("image_id"), folder / "images.npy")

    def slice(self, start: int, n: int) -> "CachedImages":
        """Return some of the images."""
        return CachedImages(self.images.slice(start, n), self.path)

    def digest(self) -> str:
        """Return the SHA-256 over ids and pixels."""
        said = [self.images["image_id"].to_list(), self.images["pixel_digest"].to_list()]
        return evidence.digest(said)

    def read(self, start: int, n: int) -> Batch:
        """Return a batch.

        Raises
        ------
        InvalidTable
            If ``images.npy`` ends early.
        """
        some = self.images.slice(start, n)
        pixels = pixel_rows(self.path, some["row"].to_list())
        return Batch(some["image_id"].to_list(), pixels, some["pixel_digest"].to_list())


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Images in files, decoded as they are embedded.

    Parameters
    ----------
    images
        ``image_id`` and ``path``, in the order in which they are embedded.
    frame
        The size that all shall have.
    form
        ``files`` for PNG, JPEG and the like, or ``dicom``.
    """

    images: pl.DataFrame
    frame: Frame
    form: Form = "files"

    def slice(self, start: int, n: int) -> "ImageFiles":
        """Return some of the images."""
        return ImageFiles(self.images.slice(start, n), self.frame, self.form)

    def digest(self) -> str:
        """Return the SHA-256 over ids, paths, sizes, times of change and the size asked for."""
        states = [_state(Path(path)) for path in self.images["path"]]
        frame = [self.frame.height, self.frame.width, self.frame.channels, self.frame.fit]
        said = [self.images["image_id"].to_list(), self.images["path"].to_list(), states]
        return evidence.digest([*said, frame, self.form])

    def read(self, start: int, n: int) -> Batch:
        """Return a batch; a file that cannot be read is said, not skipped in silence."""
        some = self.images.slice(start, n)
        paths = [Path(path) for path in some["path"]]
        shape = (self.frame.height, self.frame.width, *([3] * (self.frame.channels == 3)))
        ids, digests, left = [], [], {}
        pixels = [np.empty((0, *shape), np.uint8)]
        found = pixels_decoded(paths, form=self.form, frame=self.frame)
        for image_id, one in zip(some["image_id"], found, strict=True):
            if one.pixels is None:
                left[image_id] = one.failure or "no pixels"
            else:
                ids.append(image_id)
                digests.append(one.pixel_digest)
                pixels.append(one.pixels[None])
        return Batch(ids, np.concatenate(pixels), digests, left)


Source = CachedImages | ImageFiles


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one output file.

    Parameters
    ----------
    number, of
        Which of how many, from 0.
    source
        Its images alone.
    """

    number: int
    of: int
    source: Source

    @property
    def n(self) -> int:
        """How many images it has."""
        return self.source.images.height


def parts(source: Source, size: int) -> Iterator[Part]:
    """Yield the parts of a source, each of `size` images, the last of the rest.

    Raises
    ------
    InvalidTable
        If there are no images, or two share an id.

    Examples
    --------
    >>> images = pl.DataFrame({"image_id": ["a", "b", "c"], "path": ["a", "b", "c"]})
    >>> [part.n for part in parts(ImageFiles(images, Frame(2, 2)), 2)]
    [2, 1]
    """
    n = source.images.height
    if n == 0:
        raise InvalidTable("embed: no images; expected at least one")
    ids = source.images["image_id"]
    if ids.null_count() or ids.n_unique() < n:
        twice = ids.filter(ids.is_duplicated() | ids.is_null())[0]
        raise InvalidTable(f"embed: several images are named {twice!r}; expected one each")
    of = -(-n // size)
    for number in range(of):
        yield Part(number, of, source.slice(number * size, size))


def pixel_rows(path: Path, rows: Sequence[int]) -> Pixels:
    """Return some rows of ``images.npy``, read from the file.

    Parameters
    ----------
    path
        A ``.npy`` file of uint8 ``(n, h, w)`` or ``(n, h, w, 3)``.
    rows
        From 0, in the order wanted.

    Raises
    ------
    InvalidTable
        If the file cannot be read, or has not that many rows.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "images.npy"
    >>> np.save(path, np.arange(8, dtype=np.uint8).reshape(4, 1, 2))
    >>> pixel_rows(path, [2, 3, 0]).tolist()
    [[[4, 5]], [[6, 7]], [[0, 1]]]
    """
    try:
        with path.open("rb") as file:
            shape, start = _header(file)
            if max(rows) >= shape[0] or min(rows) < 0:
                raise InvalidTable(
                    f"image cache: {path} has {shape[0]} rows; asked for {max(rows)}"
                )
            found = np.empty((len(rows), *shape[1:]), np.uint8)
            one = int(np.prod(shape[1:]))
            for first, last in _runs(rows):
                file.seek(start + rows[first] * one)
                if file.readinto(found[first:last].data.cast("B")) != (last - first) * one:
                    raise InvalidTable(f"image cache: {path} ends early")
    except (OSError, ValueError) as error:
        raise InvalidTable(f"image cache: {path} cannot be read ({error})") from error
    return found


def _header(file: BinaryIO) -> tuple[tuple[int, ...], int]:
    """Return shape and where the pixels start."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    shape, by_column, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
        file
    )
    if by_column or dtype != np.uint8:
        raise ValueError(f"{dtype} {shape}; expected uint8, row after row")
    return shape, file.tell()


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last (not included) of each run of rows that stand side by side."""
    cuts = [k for k in range(1, len(rows)) if rows[k] != rows[k - 1] + 1]
    yield from zip([0, *cuts], [*cuts, len(rows)], strict=True)


def _state(path: Path) -> list[int] | None:
    """Return size and time of change; nothing where there is no such file, which reading tells."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
