"""A chest, drawn in unit coordinates, so that it is the same at every image size.

x runs from -1 (the patient's right, left in the image) to 1, y from -1 (neck) to 1 (abdomen).
Brightness is that of a film: 0 for air, about 1 for what lets nothing through.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from equipoise.phantoms.draws import STREAMS, Scene

Field = npt.NDArray[np.float32]
Real = npt.NDArray[np.floating]

_TRAITS = 32
_OCTAVES = ((10, 0.6), (20, 0.35), (40, 0.25))
"""Knots per side and weight of each octave of the lungs' texture."""


@dataclass(frozen=True, slots=True)
class Chest:
    """What is a patient's own, alike in all their images.

    Parameters
    ----------
    traits
        Standard normal numbers within ±2: sizes and places, by position.
    spots
        Where opacities would lie, as a side and two shares of the lung's width and height,
        their radii, their elongation and their tilt: ``(3, 6)`` uniform numbers.
    texture
        Standard normal knots per octave.
    """

    traits: Field
    spots: Field
    texture: tuple[Field, ...]


def chest(scene: Scene, seed: int) -> Chest:
    """Return the chest of the patient in a scene; the label has no part in it.

    Parameters
    ----------
    scene
        Only stream and patient are read.
    seed
        That of the bench.
    """
    rng = np.random.default_rng((seed, STREAMS.index(scene.stream), scene.patient, 1))
    traits = np.clip(rng.standard_normal(_TRAITS, dtype=np.float32), -2, 2)
    spots = rng.random((3, 6), dtype=np.float32)
    texture = tuple(rng.standard_normal((n, n), dtype=np.float32) for n, _ in _OCTAVES)
    return Chest(traits, spots, texture)


@lru_cache(maxsize=4)
def axes(size: int) -> tuple[Field, Field]:
    """Return x ``(1, size)`` and y ``(size, 1)`` of the pixels' centres."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    return line[None, :], line[:, None]


@lru_cache(maxsize=16)
def _taps(size: int, knots: int) -> tuple[npt.NDArray[np.int64], Field]:
    """Return the first of four knots of each place, and their weights ``(4, size)``."""
    at = (np.arange(size) + 0.5) / size * (knots - 3)
    base = np.floor(at).astype(np.int64)
    t = at - base
    weight = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    )
    return base, (weight / 6).astype(np.float32)


def _smooth(knots: Field, size: int) -> Field:
    """Return the cubic spline through knots, ``(size, size)``.

    Sums of four, in a fixed order, and no matrix product: the bytes of a bench must not depend on
    how many threads a linear algebra library takes.
    """
    base, weight = _taps(size, len(knots))
    rows = sum(weight[k][:, None] * knots[base + k] for k in range(4))
    across = np.asarray(rows, dtype=np.float32).T
    columns = sum(weight[k][:, None] * across[base + k] for k in range(4))
    return np.asarray(columns, dtype=np.float32).T


def texture(person: Chest, size: int) -> Field:
    """Return smooth texture of standard deviation about 0.5, ``(size, size)``."""
    finest = _OCTAVES[-1][0]
    knots = np.zeros((finest, finest), dtype=np.float32)
    for octave, (_, weight) in zip(person.texture, _OCTAVES, strict=True):
        fits = octave if len(octave) == finest else _smooth(octave, finest)
        knots += np.float32(weight) * fits
    return _smooth(knots, size)


def _step(distance: Real, width: float) -> Field:
    """Return 0 well outside, 1 well inside, over a soft border."""
    rise = np.tanh(distance * np.float32(1 / width))
    return np.asarray(0.5 + 0.5 * rise, dtype=np.float32)


def _bump(distance: Real, width: float) -> Field:
    return np.asarray(np.exp(-((distance * np.float32(1 / width)) ** 2)), dtype=np.float32)


def lung(x: Field, y: Field, traits: Field, side: int) -> tuple[Field, Field]:
    """Return how far inside the lung each place is, and how far above the diaphragm.

    Parameters
    ----------
    x, y
        Places.
    traits
        The patient's.
    side
        -1 for the lung at the left of the image, 1 for that at the right.
    """
    wide = np.float32(0.80 + 0.035 * traits[0])
    across = x * np.float32(side)
    inner = 0.13 + 0.05 * (y + 0.5) ** 2 + np.float32(0.01 * traits[1])
    arch = np.clip(1 - ((y - 0.42) / np.float32(1.20 + 0.03 * traits[2])) ** 2, 0.0, 1.0)
    outer = wide * np.sqrt(arch, dtype=np.float32) - 0.02
    floor = np.float32(0.66 + 0.05 * traits[3] + 0.03 * side)
    above = floor - 0.17 * (1 - ((across - 0.42) / 0.44) ** 2) - y
    return np.minimum(np.minimum(across - inner, outer - across), above), above


def _bones(x: Field, y: Field, traits: Field) -> Field:
    pitch = np.float32(0.215 + 0.01 * traits[4])
    phase = np.float32(0.1 * traits[5])
    side = np.abs(x)
    behind = (y - (0.62 + 0.05 * traits[16]) * side**2 + 0.22 * side - phase) / pitch
    before = (y + (0.55 + 0.05 * traits[17]) * side - phase - 0.15) / pitch
    ribs = _crest(behind) + 0.5 * _crest(before) * _step(side - 0.32, 0.08)
    tilt = np.float32(0.16 + 0.05 * traits[6])
    collar = _bump(y + 0.62 + tilt * (side - 0.35) + 0.12 * np.sin(5 * side), 0.045)
    collar = collar * _step(side - 0.12, 0.03) * _step(0.80 - side, 0.05)
    return np.asarray(0.060 * ribs + 0.11 * collar, dtype=np.float32)


def _crest(turns: Real) -> Field:
    """Return bands, one a turn, flat-topped as ribs are."""
    wave = np.cos(np.float32(2 * np.pi) * turns)
    return _step(wave - 0.25, 0.35)


def _middle(x: Field, y: Field, traits: Field, magnification: float) -> tuple[Field, Field]:
    """Return where spine, great vessels and heart lie (0 to 1), and what they add."""
    band = _step(np.float32(0.125 + 0.01 * traits[7]) - np.abs(x), 0.04)
    knob = _bump(x - 0.14, 0.11) * _bump(y + 0.33 - 0.03 * traits[8], 0.11)
    size = magnification * (1 + 0.07 * traits[9])
    across = (x - 0.12 - 0.015 * traits[10]) / np.float32(0.37 * size)
    along = (y - 0.31 - 0.025 * traits[11]) / np.float32(0.33 * size)
    heart = _step(1 - np.sqrt((across - 0.35 * along) ** 2 + along**2), 0.12)
    where = np.maximum(np.maximum(band, heart), 0.8 * knob)
    spine = band * (0.05 + 0.02 * np.cos(np.float32(2 * np.pi / 0.17) * y))
    roots = _bump(np.abs(x) - 0.19, 0.12) * _bump(y + 0.03, 0.20)
    airway = _bump(x, 0.05) * _step(-0.25 - y, 0.05)
    adds = spine + 0.07 * heart + 0.10 * roots * (1 - heart) - 0.09 * airway
    return where, np.asarray(adds, dtype=np.float32)


def body(x: Field, y: Field, traits: Field) -> Field:
    """Return 1 inside the trunk, 0 in the air beside it."""
    shoulder = 0.36 + 0.66 * _step(y + np.float32(0.80 + 0.03 * traits[12]), 0.10)
    half = shoulder + np.float32(0.03 * traits[0]) - 0.03 * y
    return _step(half - np.abs(x), 0.035)


def film(person: Chest, x: Field, y: Field, magnification: float) -> tuple[Field, Field]:
    """Return the brightness of a chest without finding, and where its lungs are (0 to 1)."""
    traits = person.traits
    trunk = body(x, y, traits)
    left, below_left = lung(x, y, traits, -1)
    right, below_right = lung(x, y, traits, 1)
    where, adds = _middle(x, y, traits, magnification)
    air = _step(np.maximum(left, right), 0.03) * (1 - 0.92 * where)
    belly = _step(-np.where(x < 0, below_left, below_right), 0.03) * _step(y - 0.1, 0.1)
    grain = texture(person, x.shape[1])
    depth = np.float32(0.40 + 0.02 * traits[13])
    bright = np.float32(0.56 + 0.03 * traits[14]) + 0.14 * belly - depth * air
    bright = bright + 0.10 * air * (0.75 - np.abs(x)) ** 2 + 0.06 * y
    bright = bright + _bones(x, y, traits) * (0.35 + 0.65 * air) + adds * (1 - 0.6 * belly)
    bright = bright + grain * (0.025 + 0.045 * air)
    return np.asarray(bright * trunk + 0.01, dtype=np.float32), air * trunk


def opacities(person: Chest, x: Field, y: Field, size: float) -> Field:
    """Return the shape of the patient's opacities, peak 1, shown or not.

    Parameters
    ----------
    person
        Whose.
    x, y
        Places.
    size
        Radius of a middling one, in units of half the image.
    """
    total = np.zeros((y.shape[0], x.shape[1]), dtype=np.float32)
    for side, across, along, radius, stretch, tilt in person.spots[: 1 + _more(person)]:
        sign = 1.0 if side < 0.5 else -1.0
        row = -0.42 + 0.72 * along
        inner = 0.46 if side >= 0.5 and row > -0.02 else 0.26
        outer = 0.80 * np.sqrt(1 - ((row - 0.42) / 1.2) ** 2) - 0.12
        column = sign * (inner + across * max(outer - inner, 0.0))
        reach = size * (0.8 + 0.4 * radius)
        turn, shape = np.pi * tilt, 0.8 + 0.4 * stretch
        u = (x - column) * np.float32(np.cos(turn)) + (y - row) * np.float32(np.sin(turn))
        v = (y - row) * np.float32(np.cos(turn)) - (x - column) * np.float32(np.sin(turn))
        square = (u * np.float32(shape / reach)) ** 2 + (v * np.float32(1 / (shape * reach))) ** 2
        np.maximum(total, np.exp(-(square**2), dtype=np.float32), out=total)
    return total


def _more(person: Chest) -> int:
    """Return how many opacities there are beyond the first, 0 to 2."""
    return int(person.traits[15] > 0) + int(person.traits[15] > 1)
