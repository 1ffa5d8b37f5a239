"""The image cache: all pixels of a cohort in one uint8 array, read without loading it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables.files import aside
from equipoise.tables.nouns import IMAGE_CACHE
from equipoise.tables.parquet import read

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ImageCache:
    """The pixels of a cohort.

    Parameters
    ----------
    index
        The table *image cache*: image id → row.
    pixels
        uint8 ``(n, height, width)`` for grey or ``(n, height, width, 3)`` for colour images,
        memory-mapped.
    """

    index: pl.DataFrame
    pixels: Pixels

    @classmethod
    def open(cls, folder: Path) -> "ImageCache":
        """Return the cache in a folder (``images.npy`` and ``images.parquet``).

        Raises
        ------
        InvalidTable
            If it is absent, or pixels and index do not belong together.
        """
        index = read(folder / "images.parquet", IMAGE_CACHE)
        try:
            pixels = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InvalidTable(f"image cache: {folder / 'images.npy'} ({error})") from error
        if pixels.dtype != np.uint8 or pixels.ndim not in {3, 4} or len(pixels) != index.height:
            raise InvalidTable(
                f"image cache: images.npy is {pixels.dtype} {pixels.shape}; expected uint8 "
                f"({index.height}, height, width[, 3])"
            )
        return cls(index, pixels)

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width (pixels) and channels (1 or 3) of every image."""
        height, width = self.pixels.shape[1:3]
        return height, width, 3 if self.pixels.ndim == 4 else 1

    def rows(self, image_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the row of each image, in the order asked.

        Raises
        ------
        InvalidTable
            If an image is not in the cache.
        """
        where = dict(zip(self.index["image_id"], self.index["row"], strict=True))
        missing = [image for image in image_ids if image not in where]
        if missing:
            raise InvalidTable(f"image cache: {len(missing)} images are missing, as {missing[0]!r}")
        return np.array([where[image] for image in image_ids], dtype=np.int64)

    def batches(self, rows: npt.NDArray[np.int64], size: int) -> Iterator[Pixels]:
        """Yield the pixels of `rows` in batches of at most `size` images."""
        for start in range(0, len(rows), size):
            yield np.ascontiguousarray(self.pixels[rows[start : start + size]])


class ImageWriter:
    """Writes ``images.npy`` row by row, whole or not at all, in memory that does not grow.

    Parameters
    ----------
    path
        The ``.npy`` file.
    shape
        ``(n, height, width)`` or ``(n, height, width, 3)``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "images.npy"
    >>> with ImageWriter(path, (2, 4, 4)) as writer:
    ...     writer[1] = np.full((4, 4), 7, np.uint8)
    >>> int(np.load(path)[1, 0, 0])
    7
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._aside = aside(path)
        self._shape = shape

    def __enter__(self) -> "ImageWriter":
        partial = self._aside.__enter__()
        self._pixels = np.lib.format.open_memmap(partial, "w+", np.uint8, self._shape)
        return self

    def __setitem__(self, row: int, pixels: Pixels) -> None:
        self._pixels[row] = pixels

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pixels.flush()
        del self._pixels
        self._aside.__exit__(kind, error, trace)
