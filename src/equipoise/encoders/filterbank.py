"""Oriented-filter features in numpy: the encoder that needs no weights.

An image is averaged down to a small grid, its local contrast is evened out, and at three scales
the responses of oriented and centre-surround filters are pooled, mean and maximum, over a coarse
grid. Every image goes through products of one fixed shape, so the batch it comes in cannot
change its vector.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from equipoise.encoders.card import Card, Encoder
from equipoise.errors import InvalidConfiguration, nearest
from equipoise.scope import Scope

Grey = npt.NDArray[np.floating]

_VERSION = 1
"""Raised when the vectors change."""
_SIDE = 9
"""Side of a filter (cells)."""
_STEP = 2
"""Cells from one place of a filter to the next."""
_THUMBNAIL = 8
"""Side of the picture in small (cells)."""
_FLOOR = 0.05
"""Local spread below which contrast is no longer evened out (of full scale)."""
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R BT.601."""


class Parameters(BaseModel):
    """How the filters are laid out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: int = Field(
        default=64, ge=32, le=256, description="Side to which an image is averaged (cells)."
    )
    scales: int = Field(default=3, ge=1, le=3, description="Octaves; each halves the grid.")
    orientations: int = Field(
        default=4, ge=2, le=8, description="Orientations of the Gabor filters."
    )
    cells: int = Field(default=4, ge=1, le=8, description="Side of the coarse grid of pooling.")
    channels: int = Field(
        default=1, description="1 for luminance alone; 3 adds colour, which is 0 in grey images."
    )

    @property
    def dimension(self) -> int:
        """Length of a vector: pooled maps, the picture in small, colour."""
        maps = self.scales * (self.orientations + 4) * 2 * self.cells**2
        colour = 4 * self.cells**2 if self.channels == 3 else 0
        return maps + 2 * _THUMBNAIL**2 + colour


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder, ready to embed.

    Parameters
    ----------
    parameters
        Fields of `Parameters`; all have defaults.
    scope
        Not used: nothing is read and nothing is cached.

    Raises
    ------
    InvalidConfiguration
        If a parameter is not known or out of its range.

    Examples
    --------
    >>> encoder = load({}, Scope())
    >>> encoder.embed(np.zeros((2, 128, 128), dtype=np.uint8)).shape == (2, encoder.dimension)
    True
    """
    del scope
    layout = _checked(parameters)
    said = {"name": "filterbank", "version": _VERSION, **layout.model_dump(mode="json")}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    card = Card(
        name="filterbank",
        modality="any",
        layout="NHWC",
        height=layout.grid,
        width=layout.grid,
        channels=3 if layout.channels == 3 else 1,
        value_range="uint8",
        dimension=layout.dimension,
        licence="Apache-2.0",
        source="computed, part of Equipoise",
        training_data="none: fixed filters",
        notes="images of any size are averaged to the grid; a baseline, not a foundation model",
    )

    def embed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return embedded(pixels, layout)

    return Encoder(
        name="filterbank",
        digest=digest,
        engine=f"numpy, filterbank {_VERSION}",
        precision="float32",
        dimension=layout.dimension,
        card=card,
        embed=embed,
    )


def embedded(pixels: npt.NDArray[np.uint8], layout: Parameters) -> npt.NDArray[np.float32]:
    """Return the vectors of a batch, float32 ``(b, d)``; each image for itself.

    Parameters
    ----------
    pixels
        uint8 ``(b, height, width)`` or ``(b, height, width, 3)``.
    layout
        How the filters are laid out.

    Examples
    --------
    >>> embedded(np.zeros((0, 64, 64), dtype=np.uint8), Parameters()).shape
    (0, 896)
    """
    rows = [_vector(image, layout) for image in pixels]
    return np.array(rows, dtype=np.float32).reshape(len(rows), layout.dimension)


def _checked(parameters: Mapping[str, object]) -> Parameters:
    known = Parameters.model_fields
    for name in parameters:
        if name not in known:
            raise InvalidConfiguration(
                f"encoder filterbank: no parameter '{name}'; known: {', '.join(known)}",
                hint=nearest(name, known),
            )
    try:
        layout = Parameters.model_validate(dict(parameters))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidConfiguration(f"encoder filterbank: {name}: {first['msg']}") from error
    _check_layout(layout)
    return layout


def _check_layout(layout: Parameters) -> None:
    if layout.channels not in {1, 3}:
        raise InvalidConfiguration(
            f"encoder filterbank: channels is {layout.channels}; expected 1 or 3"
        )
    unit = 2**layout.scales * layout.cells
    if layout.grid % unit or layout.grid % _THUMBNAIL:
        raise InvalidConfiguration(
            f"encoder filterbank: grid is {layout.grid}; expected a multiple of {unit} "
            f"({layout.scales} scales, {layout.cells} cells) and of {_THUMBNAIL}"
        )


def _vector(image: npt.NDArray[np.uint8], layout: Parameters) -> Grey:
    whole = image.astype(np.float32) / np.float32(255)
    colour = image.ndim == 3
    bright = whole @ _LUMINANCE if colour else whole
    grey = _averaged(bright, layout.grid)
    even = _evened(grey)
    parts = [_averaged(grey, _THUMBNAIL).ravel(), _averaged(even, _THUMBNAIL).ravel()]
    for scale in range(layout.scales):
        maps = _responses(_averaged(even, layout.grid >> scale), layout.orientations)
        parts.append(_pooled(maps, layout.cells))
    if layout.channels == 3:
        parts.append(_colour(whole, layout) if colour else np.zeros(4 * layout.cells**2))
    return np.concatenate(parts).astype(np.float32)


def _averaged(image: Grey, side: int) -> Grey:
    """Return the mean over each cell of a square grid; a cell may end within a pixel."""
    for _ in range(2):  # along rows, turned, along columns, turned back
        n = image.shape[0]
        if n % side == 0:
            image = image.reshape(side, n // side, -1).mean(axis=1, dtype=np.float32).T
            continue
        total = np.zeros((n + 1, image.shape[1]), dtype=np.float64)
        np.cumsum(image, axis=0, dtype=np.float64, out=total[1:])
        edge = np.arange(side + 1) * (n / side)
        low = np.minimum(edge.astype(np.int64), n - 1)
        part = (edge - low)[:, None]
        at = total[low] * (1 - part) + total[low + 1] * part
        image = (np.diff(at, axis=0) * (side / n)).astype(np.float32).T
    return np.ascontiguousarray(image)


def _evened(grey: Grey) -> Grey:
    """Return the image less its local mean, over its local spread: illumination and gain go."""
    mean = _local_mean(grey)
    rest = grey - mean
    spread = np.sqrt(_local_mean(rest * rest))
    return np.asarray(rest / (spread + np.float32(_FLOOR)), dtype=np.float32)


def _local_mean(image: Grey) -> Grey:
    side = image.shape[0] // 4 + 1
    for _ in range(2):  # along rows, turned, along columns, turned back
        wide = np.pad(image, ((side // 2 + 1, side // 2), (0, 0)), mode="reflect")
        total = np.cumsum(wide, axis=0, dtype=np.float64)
        image = ((total[side:] - total[:-side]) / side).astype(np.float32).T
    return image


@lru_cache(maxsize=8)
def _filters(orientations: int) -> Grey:
    """Return the filters as columns, ``(81, 2 × orientations + 1)``: even, odd, centre-surround."""
    half = _SIDE // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    near = np.exp(-(x**2 + y**2) / (2 * 2.2**2))
    even, odd = [], []
    for k in range(orientations):
        angle = np.pi * k / orientations
        wave = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / 7.0
        even.append(near * np.cos(wave))
        odd.append(near * np.sin(wave))
    centre = np.exp(-(x**2 + y**2) / (2 * 1.4**2))
    surround = np.exp(-(x**2 + y**2) / (2 * 2.8**2))
    bank = [*even, *odd, centre / centre.sum() - surround / surround.sum()]
    flat = np.stack([kernel - near * kernel.sum() / near.sum() for kernel in bank])
    flat /= np.sqrt((flat**2).sum(axis=(1, 2), keepdims=True))
    return np.ascontiguousarray(flat.reshape(len(bank), -1).T.astype(np.float32))


def _responses(image: Grey, orientations: int) -> Grey:
    """Return the maps ``(side / 2, side / 2, orientations + 4)``, all 0 or above."""
    half = _SIDE // 2
    wide = np.pad(image, half, mode="reflect")
    seen = np.lib.stride_tricks.sliding_window_view(wide, (_SIDE, _SIDE))[::_STEP, ::_STEP]
    side = seen.shape[0]
    # A product per row of places stays below the size at which a library splits it over threads.
    found = seen.reshape(side, side, _SIDE**2) @ _filters(orientations)  # (row, column, filter)
    even, odd = found[..., :orientations], found[..., orientations : 2 * orientations]
    surround = found[..., -1]
    maps = [
        surround,
        -surround,
        even.min(axis=-1),  # bright whichever way one looks: a spot, not a rib
        -even.max(axis=-1),
    ]
    spots = np.maximum(np.stack(maps, axis=-1), 0)
    return np.concatenate([np.hypot(even, odd), spots], axis=-1)


def _pooled(maps: Grey, cells: int) -> Grey:
    side = maps.shape[0] // cells
    blocks = maps.reshape(cells, side, cells, side, -1)  # (row, within, column, within, map)
    mean, most = blocks.mean(axis=(1, 3)), blocks.max(axis=(1, 3))
    return np.concatenate([mean.ravel(), most.ravel()])


def _colour(whole: Grey, layout: Parameters) -> Grey:
    """Return mean and spread of red against green and of blue against both, per cell."""
    red, green, blue = whole[..., 0], whole[..., 1], whole[..., 2]
    parts = []
    for chroma in (red - green, blue - (red + green) / 2):
        mean = _averaged(chroma, layout.cells)
        square = _averaged(chroma * chroma, layout.cells)
        parts += [mean.ravel(), np.sqrt(np.maximum(square - mean * mean, 0)).ravel()]
    return np.concatenate(parts)
