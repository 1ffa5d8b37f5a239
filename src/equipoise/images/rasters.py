"""One PNG, JPEG or other raster file, decoded with Pillow."""

import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from equipoise.errors import InvalidImage
from equipoise.images.extents import bounded
from equipoise.images.pictures import Picture
from equipoise.images.warned import recorded

RASTER_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Endings of the files that are taken for images."""

_COMPRESSION = {"JPEG": "lossy", "PNG": "lossless", "BMP": "none"}
_DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
_BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    Image.DecompressionBombError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


def read_raster(content: bytes, *, most_pixels: int | None = None) -> Picture:
    """Decode one raster file.

    The orientation in EXIF is applied, palettes become colour, and what is transparent is laid on
    black. Eight bits are taken as they are. More than eight bits of grey are spread from least to
    greatest value, as for a DICOM without a window: a 12-bit image in 16 bits would be black.

    Parameters
    ----------
    content
        The bytes of the file.
    most_pixels
        Refuse, before any pixel is decoded, an image of more; None trusts the file up to what
        Pillow takes.

    Raises
    ------
    InvalidImage
        If it is no image, is cut short, holds several frames or is too large.

    Examples
    --------
    >>> read_raster(b"not a picture")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidImage: not an image that can be read
    """
    with recorded() as caught:
        try:
            pixels, facts = _decoded(content, most_pixels)
        except UnidentifiedImageError as error:
            raise InvalidImage("not an image that can be read") from error
        except _BROKEN as error:
            text = " ".join(str(error).split())[:160] or type(error).__name__
            raise InvalidImage(f"image cannot be decoded ({text})") from error
    facts["file_bytes"] = len(content)
    return Picture(pixels, facts, {}, tuple(caught))


def _decoded(
    content: bytes, most_pixels: int | None
) -> tuple[npt.NDArray[np.float32] | npt.NDArray[np.uint8], dict[str, object]]:
    with Image.open(io.BytesIO(content)) as opened:
        frames = getattr(opened, "n_frames", 1)
        if frames > 1:
            raise InvalidImage(f"image of {frames} frames; expected one")
        bounded(opened.height, opened.width, most_pixels)
        opened.load()
        kind = opened.format or ""
        image = ImageOps.exif_transpose(opened)
        bits = 16 if image.mode in _DEEP else 8
        pixels = _spread(image) if image.mode in _DEEP else _plain(image)
    facts: dict[str, object] = {
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "bits_stored": bits,
        "photometric": "RGB" if pixels.ndim == 3 else "MONOCHROME2",
        "compression": _COMPRESSION.get(kind),
    }
    return pixels, facts


def _spread(image: Image.Image) -> npt.NDArray[np.float32]:
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not numbers")
    low, high = float(values.min()), float(values.max())
    return ((values - low) / ((high - low) or 1.0)).astype(np.float32)


def _plain(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.mode in {"L", "1"}:
        return np.asarray(image.convert("L"))
    grey = image.mode in {"LA", "La"}
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, (0, 0, 0, 255)), clear)
    colour = np.asarray(image.convert("RGB"))
    return np.ascontiguousarray(colour[:, :, 0]) if grey else colour
