"""From the uint8 pixels of the image cache to what a model takes, as its card says."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from equipoise.encoders.card import Card
from equipoise.encoders.volumes import check_volumes, is_volume, sized
from equipoise.errors import InvalidEncoder

Pixels = npt.NDArray[np.uint8]

_KINDS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def ready_for(pixels: Pixels, card: Card) -> None:
    """Refuse pixels that an encoder cannot take.

    Parameters
    ----------
    pixels
        uint8 ``(b, h, w)`` or ``(b, h, w, 3)``, or volumes as `volumes` says. Grey images go to a
        colour encoder, their one channel repeated; colour images do not go to a grey one.
    card
        Of the encoder.

    Raises
    ------
    InvalidEncoder
        If the pixels are of another type or shape, or in colour where the encoder takes grey.

    Examples
    --------
    >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> ready_for(np.zeros((1, 8, 8, 3), np.uint8), card)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: encoder 'bank': takes grey images; got colour (1, 8, 8, 3)
    """
    if is_volume(card):
        check_volumes(pixels, card)
        return
    grey = pixels.ndim == 3
    if pixels.dtype != np.uint8 or not (grey or (pixels.ndim == 4 and pixels.shape[3] == 3)):
        raise InvalidEncoder(
            f"encoder '{card.name}': pixels are {pixels.dtype} {pixels.shape}; "
            "expected uint8 (b, h, w) or (b, h, w, 3)"
        )
    if not grey and card.channels == 1:
        raise InvalidEncoder(
            f"encoder '{card.name}': takes grey images; got colour {pixels.shape}",
            hint="ingest the images in grey, or choose an encoder that takes colour",
        )


def prepared(pixels: Pixels, card: Card) -> npt.NDArray[np.generic]:
    """Return pixels in the size, channels, range and layout that a card asks for.

    Parameters
    ----------
    pixels
        uint8 ``(b, h, w)`` or ``(b, h, w, 3)``, or volumes ``(b, depth, h, w)``.
    card
        Of the encoder.

    Returns
    -------
    uint8 where the card says so and asks for no mean or deviation, else float32.

    Examples
    --------
    >>> card = Card(name="bank", layout="NCHW", height=2, width=2, channels=3,
    ...             value_range="minus_one_one", dimension=4, licence="MIT")
    >>> found = prepared(np.full((1, 4, 4), 255, np.uint8), card)
    >>> found.shape, float(found.max())
    ((1, 3, 2, 2), 1.0)
    """
    volume = is_volume(card)
    kind = _KINDS[card.interpolation or "bilinear"]
    found = sized(pixels, card, kind) if volume else _sized(pixels, card)
    if volume or found.ndim == 3:
        found = np.repeat(found[..., None], card.channels, axis=-1)  # (b, …, h, w, c)
    values: npt.NDArray[np.generic] = _ranged(found, card)
    if card.layout != "NHWC":
        values = np.moveaxis(values, -1, 1)  # (b, c, …, h, w)
    return np.ascontiguousarray(values)


def _sized(pixels: Pixels, card: Card) -> Pixels:
    """Return pixels in the card's size; where it says *resize*, the middle of a larger image."""
    kind = _KINDS[card.interpolation or "bilinear"]
    if card.resize is None:
        return _resized(pixels, card.height, card.width, kind)
    height, width = pixels.shape[1:3]
    scale = card.resize / min(height, width)
    tall, wide = max(card.height, round(height * scale)), max(card.width, round(width * scale))
    larger = _resized(pixels, tall, wide, kind)
    top, left = (tall - card.height) // 2, (wide - card.width) // 2
    return larger[:, top : top + card.height, left : left + card.width]


def _resized(pixels: Pixels, height: int, width: int, kind: Image.Resampling) -> Pixels:
    if pixels.shape[1:3] == (height, width):
        return pixels
    size = (width, height)
    return np.stack([np.asarray(Image.fromarray(image).resize(size, kind)) for image in pixels])


def _ranged(pixels: Pixels, card: Card) -> npt.NDArray[np.generic]:
    if card.value_range == "uint8" and card.mean is None and card.std is None:
        return pixels
    values = pixels.astype(np.float32)
    if card.value_range == "zero_one":
        values /= 255.0
    elif card.value_range == "minus_one_one":
        values = values / 127.5 - 1.0
    elif card.value_range == "minus_1024_1024":
        values = (values * (2.0 / 255.0) - 1.0) * 1024.0
    elif card.value_range == "min_max":
        axes = tuple(range(1, values.ndim))
        low = values.min(axis=axes, keepdims=True)
        high = values.max(axis=axes, keepdims=True)
        values = (values - low) / np.maximum(high - low, 1.0)
    if card.mean is not None:
        values -= np.array(card.mean, np.float32)
    if card.std is not None:
        values /= np.array(card.std, np.float32)
    return values
