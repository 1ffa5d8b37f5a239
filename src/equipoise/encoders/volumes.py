"""Volumes for encoders in three dimensions: uint8 ``(b, depth, height, width)``, always grey.

Ingest does not give volumes yet: the image cache holds pictures of one slice, and a stage that
embeds them is told so here. From Python an encoder takes them. Hounsfield units must be brought
to 0 … 255 by the window that the encoder was trained with before they come; 256 steps are what is
left of them.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from equipoise.encoders.card import Card
from equipoise.errors import InvalidEncoder

Volumes = npt.NDArray[np.uint8]


def is_volume(card: Card) -> bool:
    """Return whether an encoder takes volumes.

    Examples
    --------
    >>> card = Card(name="ct", layout="NCDHW", depth=4, height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> is_volume(card)
    True
    """
    return card.layout == "NCDHW"


def check_volumes(pixels: npt.NDArray[np.generic], card: Card) -> None:
    """Refuse what is no batch of volumes.

    Parameters
    ----------
    pixels
        uint8 ``(b, depth, height, width)``.
    card
        Of the encoder.

    Raises
    ------
    InvalidEncoder
        If pixels are of another type or shape, or the card says no depth, or says *resize*.

    Examples
    --------
    >>> card = Card(name="ct", layout="NCDHW", depth=4, height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> check_volumes(np.zeros((1, 8, 8), np.uint8), card)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: encoder 'ct': pixels are uint8 (1, 8, 8); expected volumes, \
uint8 (b, depth, height, width)
    """
    if card.depth is None:
        raise InvalidEncoder(
            f"encoder '{card.name}': layout NCDHW and no depth in its card",
            hint="say depth: <slices>",
        )
    if card.resize is not None:
        raise InvalidEncoder(
            f"encoder '{card.name}': resize is {card.resize} in its card; volumes are resized whole"
        )
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or 0 in pixels.shape[1:]:
        raise InvalidEncoder(
            f"encoder '{card.name}': pixels are {pixels.dtype} {pixels.shape}; "
            "expected volumes, uint8 (b, depth, height, width)",
            hint="images of one slice, as ingest gives them, are not for this encoder",
        )


def sized(pixels: Volumes, card: Card, kind: Image.Resampling) -> Volumes:
    """Return volumes in the card's size, slice by slice and then along the depth.

    Parameters
    ----------
    pixels
        uint8 ``(b, depth, height, width)``.
    card
        Whose depth, height and width count.
    kind
        Of resampling; what is made smaller is averaged, not thinned out.

    Examples
    --------
    >>> card = Card(name="ct", layout="NCDHW", depth=2, height=2, width=2, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> sized(np.full((1, 4, 4, 4), 7, np.uint8), card, Image.Resampling.BILINEAR).shape
    (1, 2, 2, 2)
    """
    depth = card.depth or pixels.shape[1]
    if pixels.shape[1:] == (depth, card.height, card.width):
        return pixels
    return np.stack([_sized(volume, depth, card, kind) for volume in pixels])


def _sized(volume: Volumes, depth: int, card: Card, kind: Image.Resampling) -> Volumes:
    if volume.shape[1:] != (card.height, card.width):
        size = (card.width, card.height)
        volume = np.stack([np.asarray(Image.fromarray(one).resize(size, kind)) for one in volume])
    if len(volume) == depth:
        return volume
    flat = volume.reshape(len(volume), -1)  # (depth, height × width): a picture of its own
    taller = np.asarray(Image.fromarray(flat).resize((flat.shape[1], depth), kind))
    return taller.reshape(depth, card.height, card.width)
