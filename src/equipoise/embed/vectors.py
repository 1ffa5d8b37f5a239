"""The embeddings of a cohort: what is kept is used, the rest is embedded once per pixel digest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import evidence
from equipoise.embed.shards import SIZE, Vectors, keep, kept
from equipoise.encoders import Encoder
from equipoise.errors import InvalidEncoder
from equipoise.scope import Progress, silent
from equipoise.tables import ImageCache


def embeddings(
    image_ids: Sequence[str],
    images: ImageCache,
    encoder: Encoder,
    *,
    batch_size: int = 32,
    store: Path | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """Return the table *embeddings* of the images named.

    Images with the same pixels are embedded once. Every batch has the same size, the last one
    filled up, so that a vector does not depend on what stands beside its image, nor on where an
    earlier run was stopped.

    Parameters
    ----------
    image_ids
        The images.
    images
        Their pixels.
    encoder
        What embeds.
    batch_size
        Images at a time, at least 1.
    store
        Folder in which vectors are kept between runs; by default they are not.
    progress
        Told ``("images", done, total)``; counts images of different pixels.

    Raises
    ------
    InvalidEncoder
        If vectors have another shape than the encoder says, hold NaN or infinity, or are the same
        for all of several different images.
    InvalidTable
        If an image has no pixels.

    Examples
    --------
    >>> from equipoise.encoders import Card
    >>> card = Card(name="mean", layout="NHWC", height=2, width=2, channels=1,
    ...             value_range="uint8", dimension=1, licence="MIT")
    >>> encoder = Encoder("mean", "0" * 64, "numpy", "float32", 1, card,
    ...                   lambda x: x.mean(axis=(1, 2), dtype=np.float32)[:, None])
    >>> index = pl.DataFrame({"image_id": ["a", "b"], "row": [0, 1], "pixel_digest": ["x", "y"]})
    >>> images = ImageCache(index, np.array([[[0]], [[8]]], np.uint8))
    >>> embeddings(["b", "a"], images, encoder)["vector"].to_list()
    [[0.0], [8.0]]
    """
    asked = pl.DataFrame({"image_id": sorted(image_ids), "at": images.rows(sorted(image_ids))})
    index = images.index.select("row", "pixel_digest")
    rows = asked.join(index, left_on="at", right_on="row", how="left", maintain_order="left")
    distinct = rows.unique("pixel_digest", keep="first").sort("at")
    digests = distinct["pixel_digest"].to_list()
    place = None if store is None else store / _folder_name(encoder)
    vectors = np.empty((len(digests), encoder.dimension), np.float32)
    done = _recalled(vectors, digests, place)
    left = np.flatnonzero(~done)
    for start in range(0, len(left), SIZE):
        progress("images", len(digests) - len(left) + start, len(digests))
        part = left[start : start + SIZE]
        vectors[part] = _embedded(images, distinct["at"].to_numpy()[part], encoder, batch_size)
        if place is not None:
            keep(place, [digests[i] for i in part], vectors[part])
    progress("images", len(digests), len(digests))
    _check_varied(vectors, encoder)
    return _table(rows, digests, vectors)


def _folder_name(encoder: Encoder) -> str:
    """Vectors of another version of the engine are not the same vectors."""
    return evidence.digest([encoder.digest, encoder.engine, encoder.precision])


def _recalled(
    vectors: Vectors, digests: Sequence[str], place: Path | None
) -> npt.NDArray[np.bool_]:
    """Fill in the vectors that an earlier run kept, and say which."""
    done = np.zeros(len(digests), dtype=bool)
    if place is None:
        return done
    where = {digest: i for i, digest in enumerate(digests)}
    for names, part in kept(place, set(digests), dimension=vectors.shape[1]):
        for name, vector in zip(names, part, strict=True):
            if name in where:
                vectors[where[name]] = vector
                done[where[name]] = True
    return done


def _embedded(
    images: ImageCache, rows: npt.NDArray[np.int64], encoder: Encoder, batch_size: int
) -> Vectors:
    parts = []
    for pixels in images.batches(rows, batch_size):
        lack = batch_size - len(pixels)
        whole = np.concatenate([pixels, np.repeat(pixels[-1:], lack, axis=0)]) if lack else pixels
        found = encoder.embed(whole)
        check_vectors(found, batch_size, encoder)
        parts.append(found[: len(pixels)])
    return np.concatenate(parts)


def check_vectors(found: Vectors, n: int, encoder: Encoder, image_ids: Sequence[str] = ()) -> None:
    """Refuse vectors that are not what an encoder says it gives.

    Parameters
    ----------
    found
        What it gave for a batch.
    n
        How many images that had.
    encoder
        For the message.
    image_ids
        Of the batch, so that the first image concerned can be named.

    Raises
    ------
    InvalidEncoder
        If they have another shape, or hold NaN or infinity.

    Examples
    --------
    See `embeddings`, which calls it for every batch.
    """
    if found.shape != (n, encoder.dimension):
        raise InvalidEncoder(
            f"encoder '{encoder.name}': gave {found.shape} for {n} images; "
            f"expected ({n}, {encoder.dimension})"
        )
    real = found[: len(image_ids) or n]  # without what fills up a batch
    bad = ~np.isfinite(real).all(axis=1)
    if bad.any():
        named = f", as that of {image_ids[int(bad.argmax())]!r}" if image_ids else ""
        raise InvalidEncoder(
            f"encoder '{encoder.name}': {bad.sum()} of {len(real)} vectors of a batch hold NaN or "
            f"infinity{named}; expected numbers",
            hint="see whether value range, mean and std in its card are those of its training",
        )


def constant(n: int, encoder: Encoder) -> InvalidEncoder:
    """Return the error that different images have the same vector.

    Examples
    --------
    See `embeddings`.
    """
    return InvalidEncoder(
        f"encoder '{encoder.name}': {n} different images have the same vector; "
        "expected vectors that differ",
        hint="see whether value range, mean and std in its card are those of its training",
    )


def _check_varied(vectors: Vectors, encoder: Encoder) -> None:
    if len(vectors) > 1 and (vectors == vectors[0]).all():
        raise constant(len(vectors), encoder)


def _table(rows: pl.DataFrame, digests: Sequence[str], vectors: Vectors) -> pl.DataFrame:
    where = {digest: i for i, digest in enumerate(digests)}
    order = np.array([where[digest] for digest in rows["pixel_digest"]], dtype=np.int64)
    shape = pl.Array(pl.Float32, vectors.shape[1])
    return rows.select("image_id").with_columns(vector=pl.Series(vectors[order], dtype=shape))
