"""What a label may be told from without looking at what the image shows, or hardly looking.

A content-free source knows nothing of the picture. The size of a compressed file is none: it
follows texture, so that only an uncompressed file's size counts as content-free.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.document.features import Reals, bent, identifiers, joined, one_hot
from equipoise.images import thumbnails
from equipoise.tables import ImageCache

Kind = Literal["content_free", "content_bearing", "encoder"]
Matrix = npt.NDArray[np.float32] | Reals

_WORDS = ("modality", "laterality", "photometric", "presentation", "burned_in", "compression")
_NUMBERS = ("bits_stored", "kvp", "exposure", "pixel_spacing_mm")
_SIDE = 16
_BORDER = 8
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Source:
    """What one probe sees.

    Parameters
    ----------
    name
        As it is reported.
    kind
        Whether it can know what the image shows.
    columns
        ``(n, k)``, a row per image of the cohort; k = 0 if it is the same for all images.
    lacking
        Why there is nothing to see, if so.
    """

    name: str
    kind: Kind
    columns: Matrix
    lacking: str | None = None


def content_free(cohort: pl.DataFrame) -> list[Source]:
    """Return the sources that a table of the cohort gives, file size among them.

    Examples
    --------
    >>> cohort = pl.DataFrame({"image_id": ["a"], "patient_id": ["p"], "site": ["north"]})
    >>> [source.name for source in content_free(cohort)][:3]
    ['header', 'view', 'dimensions']
    """
    return [
        _source(
            cohort, name, needs, build, _kind(cohort) if name == "file_size" else "content_free"
        )
        for name, (needs, build) in _TABLE.items()
    ]


def content_bearing(images: ImageCache, cohort: pl.DataFrame) -> list[Source]:
    """Return a 16 × 16 thumbnail and the border of each image of the cohort.

    Examples
    --------
    >>> index = pl.DataFrame({"image_id": ["a"], "row": [0], "pixel_digest": ["x"]})
    >>> cache = ImageCache(index, np.zeros((1, 32, 32), np.uint8))
    >>> [source.columns.shape for source in content_bearing(cache, index)]
    [(1, 256), (1, 64)]
    """
    rows = images.rows(cohort["image_id"].to_list())
    small, edge = [], []
    for pixels in images.batches(rows, _BATCH):
        small.append(thumbnails(pixels, _SIDE).reshape(len(pixels), -1))
        edge.append(border(pixels))
    return [
        Source("thumbnail", "content_bearing", np.concatenate(small)),
        Source("border", "content_bearing", np.concatenate(edge)),
    ]


def encoder(embeddings: pl.DataFrame | None, cohort: pl.DataFrame) -> Source:
    """Return the embeddings of the cohort's images, or say that they are lacking.

    Examples
    --------
    >>> encoder(None, pl.DataFrame({"image_id": ["a"]})).lacking
    'no embeddings were given'
    """
    empty = np.zeros((cohort.height, 0))
    if embeddings is None:
        return Source("encoder", "encoder", empty, "no embeddings were given")
    joined_ = cohort.select("image_id").join(
        embeddings.select("image_id", "vector"), on="image_id", how="left", maintain_order="left"
    )
    n = joined_["vector"].null_count()
    if n:
        return Source("encoder", "encoder", empty, f"{n} images have no embedding")
    return Source("encoder", "encoder", joined_["vector"].to_numpy().astype(np.float32))


def border(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the means of segments along the four edges ``(n, k)``.

    The strip is an eighth of the side, where markers stand, in up to 16 segments an edge. The
    spread within a segment is left out: it would tell texture, which is content.

    Examples
    --------
    >>> border(np.zeros((1, 32, 32), np.uint8)).shape
    (1, 64)
    """
    high, wide = (max(1, side // _BORDER) for side in pixels.shape[1:3])
    strips = [
        pixels[:, :high],
        pixels[:, -high:],
        np.swapaxes(pixels[:, :, :wide], 1, 2),
        np.swapaxes(pixels[:, :, -wide:], 1, 2),
    ]
    return np.concatenate([_segments(strip) for strip in strips], axis=1)


def _segments(strip: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the means of segments of ``(n, thick, long[, 3])`` as ``(n, k)``."""
    cells = thumbnails(strip, _SIDE)
    across = min(_SIDE, strip.shape[1])
    rows = cells.reshape(len(strip), across, -1, *cells.shape[2:])  # (n, across, along[, 3])
    return np.asarray(rows.mean(axis=1).reshape(len(strip), -1), np.float32)


def _source(
    cohort: pl.DataFrame,
    name: str,
    needs: tuple[str, ...],
    build: Callable[[pl.DataFrame], Reals],
    kind: Kind,
) -> Source:
    there = [column for column in needs if column in cohort.columns]
    recorded = any(cohort[column].null_count() < cohort.height for column in there)
    if not recorded:
        empty = np.zeros((cohort.height, 0))
        return Source(name, kind, empty, f"not recorded ({', '.join(needs)})")
    return Source(name, kind, build(cohort))


def _kind(cohort: pl.DataFrame) -> Kind:
    """File size says nothing of the picture only where nothing is compressed."""
    if "compression" not in cohort.columns:
        return "content_bearing"
    none = (cohort["compression"] == "none").fill_null(value=False)
    return "content_free" if none.all() else "content_bearing"


def _header(cohort: pl.DataFrame) -> Reals:
    parts = [one_hot(cohort[name]) for name in _WORDS if name in cohort.columns]
    parts += [bent(cohort[name]) for name in _NUMBERS if name in cohort.columns]
    return joined(parts, cohort.height)


def _dimensions(cohort: pl.DataFrame) -> Reals:
    parts = [bent(cohort[name]) for name in ("rows", "columns") if name in cohort.columns]
    if len(parts) == 2:
        parts.append(bent(cohort["columns"] / cohort["rows"]))
    return joined(parts, cohort.height)


def _device(cohort: pl.DataFrame) -> Reals:
    names = ("manufacturer", "device_model", "device_id")
    return joined(
        [one_hot(cohort[name]) for name in names if name in cohort.columns], cohort.height
    )


def _date(cohort: pl.DataFrame) -> Reals:
    day = cohort["acquired_on"]
    return joined([bent(day.to_physical()), one_hot(day.dt.weekday())], cohort.height)


def _patient_id(cohort: pl.DataFrame) -> Reals:
    return identifiers([text.split("/", 1)[-1] for text in cohort["patient_id"]])


_TABLE: Mapping[str, tuple[tuple[str, ...], Callable[[pl.DataFrame], Reals]]] = {
    "header": ((*_WORDS, *_NUMBERS), _header),
    "view": (("view",), lambda cohort: one_hot(cohort["view"])),
    "dimensions": (("rows", "columns"), _dimensions),
    "file_size": (("file_bytes",), lambda cohort: bent(cohort["file_bytes"])),
    "patient_id": (("patient_id",), _patient_id),
    "image_id": (("image_id",), lambda cohort: identifiers(cohort["image_id"].to_list())),
    "site": (("site",), lambda cohort: one_hot(cohort["site"])),
    "device": (("manufacturer", "device_model", "device_id"), _device),
    "acquired_on": (("acquired_on",), _date),
}
