"""A decoded image, and how it is brought to one size."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Fit = Literal["stretch", "pad"]
Grey = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """What a reader would see, and what the file says of how it came to be.

    Parameters
    ----------
    pixels
        float32 ``(height, width)`` in [0, 1], black to white; or uint8 ``(height, width)`` grey or
        ``(height, width, 3)`` colour, where the file holds 8 bits.
    facts
        Columns of ``tables.nouns.ACQUISITION``; null where the file does not say.
    subject
        Texts of a DICOM header on patient, study and image; empty for other files.
    notes
        What was odd but did no harm, for example a window that could not be used.
    """

    pixels: Grey | Bytes
    facts: Mapping[str, object] = field(default_factory=dict)
    subject: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """The one size of all images of a cohort.

    Parameters
    ----------
    height, width
        In pixels.
    channels
        1 (grey) or 3 (red, green, blue).
    fit
        ``stretch`` uses the whole frame and gives up the aspect ratio. ``pad`` keeps it and
        fills with black; the width of its bars then tells the shape of the original, which a
        model may learn as a shortcut.
    """

    height: int
    width: int
    channels: int = 1
    fit: Fit = "stretch"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels of one image."""
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, 3)


def sized(picture: Picture, frame: Frame) -> Bytes:
    """Return the pixels of a picture at the size of a frame, uint8.

    Reduction averages over all pixels that are left out (Pillow's bilinear filter widens with
    the factor), so that fine patterns do not turn into coarse ones. Colour becomes grey by
    ITU-R 601 weights; grey becomes colour by three equal channels.

    Examples
    --------
    >>> white = Picture(np.ones((4, 2), np.float32))
    >>> sized(white, Frame(2, 2)).tolist()
    [[255, 255], [255, 255]]
    >>> sized(white, Frame(2, 4, fit="pad")).tolist()
    [[0, 255, 0, 0], [0, 255, 0, 0]]
    """
    image = Image.fromarray(picture.pixels)
    if frame.channels == 1 and image.mode == "RGB":
        image = image.convert("L")
    height, width = _inner(image.height, image.width, frame)
    if (image.height, image.width) != (height, width):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0.0, 1.0) * 255.0).astype(np.uint8)
    if frame.channels == 3 and pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)  # (height, width, 3)
    return _centred(pixels, frame)


def thumbnails(pixels: Bytes, side: int) -> npt.NDArray[np.float32]:
    """Return the means over a `side` × `side` grid of each image, float32 in [0, 255].

    Parameters
    ----------
    pixels
        ``(n, height, width)`` or ``(n, height, width, 3)``.
    side
        Cells a side; an image with fewer pixels has fewer cells.

    Returns
    -------
    ``(n, cells)``, or ``(n, cells, 3)`` for colour, cells row by row.

    Examples
    --------
    >>> thumbnails(np.array([[[0, 2], [4, 6]]], np.uint8), 1).tolist()
    [[3.0]]
    """
    n, height, width = pixels.shape[:3]
    top = _starts(height, side)
    left = _starts(width, side)
    sums = np.add.reduceat(pixels, top, axis=1, dtype=np.float32)
    sums = np.add.reduceat(sums, left, axis=2)  # (n, cells high, cells wide[, 3])
    area = np.outer(np.diff([*top, height]), np.diff([*left, width])).astype(np.float32)
    means = sums / (area if pixels.ndim == 3 else area[:, :, np.newaxis])
    return np.asarray(means.reshape(n, len(top) * len(left), *pixels.shape[3:]), np.float32)


def _inner(height: int, width: int, frame: Frame) -> tuple[int, int]:
    """Return the size of the picture itself within the frame."""
    if frame.fit == "stretch":
        return frame.height, frame.width
    scale = min(frame.height / height, frame.width / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _centred(pixels: Bytes, frame: Frame) -> Bytes:
    if pixels.shape == frame.shape:
        return pixels
    canvas = np.zeros(frame.shape, np.uint8)
    top = (frame.height - pixels.shape[0]) // 2
    left = (frame.width - pixels.shape[1]) // 2
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


def _starts(length: int, cells: int) -> list[int]:
    cells = min(cells, length)
    return [cell * length // cells for cell in range(cells)]
