"""One image that everybody can draw, and what an encoder must make of it.

Weights and card may each be whole and yet not belong together: a mean or deviation of other
training, a range of 0 to 1 where 0 to 255 was meant. The vectors then come out, and are wrong.
A card that tells the vector of a known image lets this be seen when the encoder is loaded.
"""

import numpy as np
import numpy.typing as npt

from equipoise.encoders.card import Card, Embed
from equipoise.encoders.volumes import is_volume
from equipoise.errors import InvalidEncoder

Pixels = npt.NDArray[np.uint8]

_COARSER = {"bfloat16": 0.02, "int8": 0.1}
"""What a vector may differ by, of its length, in a precision below that of the card's."""


def known_image(height: int, width: int) -> Pixels:
    """Return the known image, uint8 ``(height, width)``: ramps both ways and a bright square.

    Made of whole numbers only, so that it is the same on every machine.

    Examples
    --------
    >>> known_image(4, 4).tolist()
    [[191, 127, 63, 127], [159, 96, 32, 95], [127, 64, 255, 63], [159, 95, 31, 95]]
    """
    across = np.abs(np.arange(width) * 510 // width - 255)
    down = np.abs(np.arange(height) * 510 // height - 255)
    image = (across[None, :] * 2 + down[:, None]) // 4
    image[height // 2 : height // 2 + height // 4, width // 2 : width // 2 + width // 4] = 255
    return np.asarray(image, dtype=np.uint8)


def known_colours(height: int, width: int) -> Pixels:
    """Return the known image of encoders that take colour, uint8 ``(height, width, 3)``.

    No channel is another's: were all of them grey, weights for blue, green and red would give the
    vectors of those for red, green and blue wherever mean and deviation are the same in each.

    Examples
    --------
    >>> known_colours(4, 4)[0].tolist()
    [[191, 95, 79], [127, 47, 47], [63, 95, 15], [127, 143, 47]]
    """
    red = known_image(height, width).astype(np.int64)
    green, blue = red[:, ::-1] * 3 // 4, red[::-1] // 2
    return np.stack([red, green, blue], axis=2).astype(np.uint8)  # (height, width, 3)


def known_volume(depth: int, height: int, width: int) -> Pixels:
    """Return the known volume, uint8 ``(depth, height, width)``: darker from slice to slice.

    Examples
    --------
    >>> known_volume(2, 4, 4)[:, 0].tolist()
    [[191, 127, 63, 127], [95, 63, 31, 63]]
    """
    image = known_image(height, width).astype(np.int64)
    share = np.arange(depth, 0, -1)[:, None, None]  # of `depth`
    return np.asarray(image * share // depth, dtype=np.uint8)


def known_input(card: Card) -> Pixels:
    """Return the known image in an encoder's size, grey or in colour, or the known volume.

    It is a batch of one: ``(1, h, w)``, ``(1, h, w, 3)`` or ``(1, depth, h, w)``.

    Examples
    --------
    >>> card = Card(name="ct", layout="NCDHW", depth=4, height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> known_input(card).shape
    (1, 4, 8, 8)
    """
    if is_volume(card):
        return known_volume(card.depth or 1, card.height, card.width)[None]
    if card.channels == 3:
        return known_colours(card.height, card.width)[None]
    return known_image(card.height, card.width)[None]


def check_known(card: Card, embed: Embed, *, where: str, precision: str = "float32") -> None:
    """Refuse an encoder that makes of the known image something else than its card says.

    Parameters
    ----------
    card
        Of the encoder; without a test vector there is nothing to check.
    embed
        What embeds.
    where
        Whose card it is, for the message.
    precision
        Of the arithmetic: where it is coarser than the card's own, more is allowed (0.02 in
        bfloat16, 0.1 in integers of 8 bits). Of the demo's encoder a mean off by 1.3 deviations
        misses by 0.07, a wrong range by 0.36: check a card in its own precision first.

    Raises
    ------
    InvalidEncoder
        If the vectors differ by more than the tolerance, relative to the length of the card's.

    Examples
    --------
    >>> card = Card(name="mean", layout="NHWC", height=4, width=4, channels=1, licence="MIT",
    ...             value_range="uint8", dimension=1, test_vector={"values": [1.0]})
    >>> check_known(card, lambda x: x.mean(axis=(1, 2), dtype=np.float32)[:, None], where="mean")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: mean: the test vector of its card is missed by 1e+02 of its \
length; expected at most 0.001
    """
    if card.test_vector is None:
        return
    told = np.array(card.test_vector.values)
    found = embed(known_input(card))[0].astype(np.float64)
    off = float(np.linalg.norm(found - told)) / max(float(np.linalg.norm(told)), 1e-12)
    allowed = card.test_vector.tolerance
    if precision != card.precision:
        allowed = max(allowed, _COARSER.get(precision, 0.0))
    if not off <= allowed:
        raise InvalidEncoder(
            f"{where}: the test vector of its card is missed by {off:.1g} of its length; expected "
            f"at most {allowed:g}",
            hint="see whether value range, mean and std in the card are those of its training, "
            "and whether card and file belong together",
        )
