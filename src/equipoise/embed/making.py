"""One part embedded: read ahead, computed in batches of one size, checked, written whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise.embed.ahead import ahead
from equipoise.embed.shards import Vectors
from equipoise.embed.sources import Batch, Part
from equipoise.embed.vectors import check_vectors, constant
from equipoise.encoders import Encoder
from equipoise.errors import InvalidEncoder, InvalidTable
from equipoise.tables import metadata
from equipoise.tables.stored import (
    SAME,
    Storage,
    is_whole,
    part_path,
    parts_in,
    storage_dtype,
    write_part,
)

Told = Callable[[int], None]
"""Called with the number of images that were done since it was called last."""

_LOSS = 2e-3
"""Most that a vector may lose of its length in float16, whose own rounding is 5e-4 at most."""

_ENOUGH = 16
"""Different images of a part that are too many to have the same vector by chance."""


@dataclass(frozen=True, slots=True)
class How:
    """In what form vectors are made and kept.

    Parameters
    ----------
    size
        Images of a part: what a kill can cost at most, and what is held in memory as vectors.
    batch_size
        Images computed at a time.
    storage
        ``float16`` or ``float32``: of the vectors in the file.
    said
        What else each part tells, as what the encoder was calibrated on.
    """

    size: int = 8192
    batch_size: int = 32
    storage: Storage = "float16"
    said: Mapping[str, object] = field(default_factory=dict)


def about(encoder: Encoder) -> dict[str, object]:
    """Return what a file of vectors says of the encoder that made them.

    Examples
    --------
    >>> from equipoise.encoders import Card
    >>> card = Card(name="mean", layout="NHWC", height=2, width=2, channels=1,
    ...             value_range="uint8", dimension=1, licence="MIT")
    >>> about(Encoder("mean", "0" * 64, "numpy", "float32", 1, card, lambda x: x))["engine"]
    'numpy'
    """
    return {
        "encoder": encoder.name,
        "digest": encoder.digest,
        "engine": encoder.engine,
        "precision": encoder.precision,
        "dimension": encoder.dimension,
        "card": encoder.card.summary(),
        **({} if encoder.chosen is None else {"engine_chosen": dict(encoder.chosen)}),
    }


def marks(encoder: Encoder, how: How) -> dict[str, object]:
    """Return what every part says of its encoder and its storage.

    Examples
    --------
    See the tests of embedding at size: it needs an encoder.
    """
    return {**how.said, **about(encoder), "storage": how.storage}


def check_folder(folder: Path, said: Mapping[str, object], of: int) -> None:
    """Refuse a folder in which parts of something else lie.

    Parameters
    ----------
    folder
        Need not exist.
    said
        What our parts say.
    of
        How many there are.

    Raises
    ------
    InvalidTable
        With the file, what it says and what was expected.

    Examples
    --------
    >>> check_folder(Path("nowhere"), {}, 1)
    """
    for path in parts_in(folder):
        _check_same(path, {**said, "parts": of})


def is_made(part: Part, folder: Path, said: Mapping[str, object]) -> bool:
    """See whether a part is there and whole; one that is torn is not.

    Raises
    ------
    InvalidTable
        If another encoder made it, or it holds other images.

    Examples
    --------
    See the tests of embedding at size: it needs a part.
    """
    path = part_path(folder, part.number)
    if not path.is_file():
        return False
    _check_same(path, {**said, "parts": part.of, "part": part.number})
    if not is_whole(path):
        return False
    if metadata(path).get("inputs") != part.source.digest():
        raise InvalidTable(
            f"embeddings: {path} holds other images, or the same with other pixels; expected "
            f"those of part {part.number}",
            hint="choose another folder, or remove the parts in this one",
        )
    return True


def left_of(part: Part, folder: Path) -> dict[str, str]:
    """Return why images of a part that is made have no vector.

    Examples
    --------
    See the tests of embedding at size: it needs a part.
    """
    said = metadata(part_path(folder, part.number), "embeddings").get("left")
    return {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}


def _check_same(path: Path, wanted: Mapping[str, object]) -> None:
    try:
        found = metadata(path, "embeddings")
    except InvalidTable:
        return  # torn: it is made again
    for name in (*SAME, "part"):
        if name in wanted and found.get(name) != wanted[name]:
            raise InvalidTable(
                f"embeddings: {path} says {name} {found.get(name)!r}; expected {wanted[name]!r}: "
                "parts of two runs are never mixed",
                hint="choose another folder, or remove the parts in this one",
            )


def make(
    part: Part, encoder: Encoder, folder: Path, *, how: How, threads: int, told: Told
) -> dict[str, str]:
    """Embed the images of a part and write its file.

    Parameters
    ----------
    part
        The images.
    encoder
        What embeds.
    folder
        Where the file lies.
    how
        In what form.
    threads
        That read ahead.
    told
        Told of each batch.

    Returns
    -------
    Image id → why it has no vector.

    Raises
    ------
    InvalidEncoder
        If vectors have another shape than the encoder says, hold NaN or infinity, do not fit
        float16, or are the same for several different images.
    InvalidTable
        If the image cache ends early.
    StorageFailure
        If the file cannot be written.

    Examples
    --------
    See the tests of embedding at size: it needs images.
    """
    inputs = part.source.digest()  # before anything is read: a file may change meanwhile
    vectors = np.empty((part.n, encoder.dimension), storage_dtype(how.storage))
    ids: list[str] = []
    seen: set[str] = set()
    first: Vectors | None = None
    alike = True
    left: dict[str, str] = {}

    def read(start: int) -> Batch:
        return part.source.read(start, how.batch_size)

    starts = range(0, part.n, how.batch_size)
    for batch in ahead(read, starts, threads=threads):
        n, at = len(batch.image_ids), len(ids)
        if n:
            found = filled(encoder, batch, how.batch_size)
            first = found[0] if first is None else first
            alike = alike and bool((found == first).all())
            fits = found if how.storage == "float32" else halved(found, batch.image_ids, encoder)
            vectors[at : at + n] = fits
        ids += batch.image_ids
        seen.update(batch.pixel_digests)
        left |= batch.left
        told(n + len(batch.left))
    # Two images that nearly are one may have one vector, and be all that a short last part holds.
    if alike and len(seen) >= (2 if part.of == 1 else max(2, min(how.size, _ENOUGH))):
        raise constant(len(seen), encoder)
    numbers = {"part": part.number, "parts": part.of, "inputs": inputs, "left": left}
    said = {**marks(encoder, how), "batch_size": how.batch_size, **numbers}
    write_part(ids, vectors[: len(ids)], part_path(folder, part.number), said)
    return left


def filled(encoder: Encoder, batch: Batch, size: int) -> Vectors:
    """Return the vectors of a batch, computed in a batch of the size that all have.

    Raises
    ------
    InvalidEncoder
        As `make`; the first image concerned is named.

    Examples
    --------
    See the tests of embedding at size: it needs an encoder.
    """
    n, lack = len(batch.image_ids), size - len(batch.image_ids)
    pixels = batch.pixels
    if lack:
        pixels = np.concatenate([pixels, np.repeat(pixels[-1:], lack, axis=0)])
    found = encoder.embed(pixels)
    check_vectors(found, size, encoder, batch.image_ids)
    return found[:n]


def halved(found: Vectors, image_ids: Sequence[str], encoder: Encoder) -> npt.NDArray[np.float16]:
    """Return vectors as float16, which ends at 65504 and has few bits near 0.

    Parameters
    ----------
    found
        ``(n, d)``.
    image_ids
        Of each, for the message.
    encoder
        What made them.

    Raises
    ------
    InvalidEncoder
        If one loses more than 0.2 % of its length, where rounding alone costs 0.05 % at most.

    Examples
    --------
    See the tests of embedding at size: it needs an encoder.
    """
    with np.errstate(over="ignore"):
        half: npt.NDArray[np.float16] = found.astype(np.float16)
    length = np.linalg.norm(found, axis=1)
    lost = np.linalg.norm(half.astype(np.float32) - found, axis=1)
    bad = ~(lost <= _LOSS * length)
    if bad.any():
        first = int(bad.argmax())
        raise InvalidEncoder(
            f"encoder '{encoder.name}': {bad.sum()} of {len(bad)} vectors do not fit float16, as "
            f"that of {image_ids[first]!r}, whose values reach {np.abs(found[first]).max():.3g}; "
            "expected 0.0001 to 65504",
            hint="say storage: float32",
        )
    return half
