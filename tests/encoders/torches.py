"""What tests of torch's families share: cards, pixels prepared by hand, checkpoints that lie."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from equipoise.encoders import known_colours

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def fields(**change: object) -> dict[str, object]:
    """Return the fields of a card for colour images of 32 x 32 pixels; None leaves one out."""
    told = {
        "name": "tiny",
        "layout": "NCHW",
        "height": 32,
        "width": 32,
        "channels": 3,
        "value_range": "zero_one",
        "mean": list(MEAN),
        "std": list(STD),
        "dimension": 32,
        "licence": "MIT",
        **change,
    }
    return {name: value for name, value in told.items() if value is not None}


def pictures(n: int = 3, side: int = 32, channels: int = 3) -> np.ndarray:
    """Return n images in which nothing is symmetric."""
    shape = (n, side, side, 3) if channels == 3 else (n, side, side)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def by_hand(
    pixels: np.ndarray,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
) -> np.ndarray:
    """Return (x / 255 - mean) / std, channels first, float32; grey is repeated."""
    if pixels.ndim == 3:
        pixels = np.repeat(pixels[..., None], 3, axis=3)
    values = (pixels / 255.0 - np.array(mean)) / np.array(std)
    return values.transpose(0, 3, 1, 2).astype(np.float32)


def known(side: int = 32) -> np.ndarray:
    """Return the known image in colour, a batch of one."""
    return known_colours(side, side)[None]


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    """See that vectors are those of the library: rtol 1e-5 of the largest value."""
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * float(np.abs(wanted).max()))


class Trap:
    """A pickle that makes a file when it is read."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.sprung,)


def trapped(folder: Path, state: Mapping[str, object]) -> tuple[Path, Path]:
    """Write a checkpoint that runs code, and return it with the file that would then be there."""
    import torch

    path, sprung = folder / "trap.pth", folder / "sprung"
    torch.save({"model": dict(state), "extra": Trap(sprung)}, path, pickle_module=pickle)
    return path, sprung
