"""From a scene to the image its scanner forms: chest, opacity, marker, blur, noise, gain."""

from functools import lru_cache

import numpy as np

from equipoise.phantoms.anatomy import Chest, Field, axes, chest, film, opacities
from equipoise.phantoms.draws import STREAMS, Scene
from equipoise.phantoms.options import Options

_RADIUS = 0.13
_LETTERS = {
    "L": ("1....", "1....", "1....", "1....", "1....", "1....", "11111"),
    "R": ("1111.", "1...1", "1...1", "1111.", "1.1..", "1..1.", "1...1"),
}


def render(scene: Scene, options: Options) -> Field:
    """Return what the detector sees, ``(size, size)``, 0 black to about 1 white.

    Parameters
    ----------
    scene
        What is to be seen. The same scene always gives the same image.
    options
        The bench: its seed, size and sites.

    Examples
    --------
    >>> from equipoise.phantoms.draws import listed, scenes
    >>> options = Options(patients=1, size=64)
    >>> render(listed(scenes(options))[0], options).shape
    (64, 64)
    """
    stream = STREAMS.index(scene.stream)
    rng = np.random.default_rng((options.seed, stream, scene.patient, 2 + scene.number))
    person = chest(scene, options.seed)
    bright = _posed(scene, person, rng, options.size)
    bright = _blurred(bright, options.site(scene.site).blur * options.size / 128)
    _mark(bright, scene.marker)
    grain = rng.standard_normal(bright.shape, dtype=np.float32)
    grain *= np.float32(scene.noise) * np.sqrt(np.float32(0.4) + np.maximum(bright, 0))
    return np.asarray((bright + grain) * np.float32(scene.gain), dtype=np.float32)


def _posed(scene: Scene, person: Chest, rng: np.random.Generator, size: int) -> Field:
    """Return the chest as it stands; from the front (AP) it, and more so the heart, is larger."""
    shift_x, shift_y, zoom = np.clip(rng.standard_normal(3, dtype=np.float32), -2, 2)
    portable = scene.view == "AP"
    scale = np.float32(1 + 0.02 * zoom - (0.04 if portable else 0.0))
    x, y = axes(size)
    x = x * scale + np.float32(0.025) * shift_x
    y = y * scale + np.float32(0.03) * shift_y
    bright, air = film(person, x, y, 1.15 if portable else 1.0)
    if scene.contrast > 0:
        bright += np.float32(scene.contrast) * opacities(person, x, y, _RADIUS) * air
    return bright


def _blurred(bright: Field, sigma: float) -> Field:
    """Blur by a Gaussian of `sigma` pixels; what lies beyond the edge is as the edge."""
    reach = int(np.ceil(3 * sigma))
    if reach == 0:
        return bright
    weight = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weight = (weight / (weight[0] + 2 * weight[1:].sum())).astype(np.float32)
    for _ in range(2):  # along rows, turned, along columns, turned back
        wide = np.pad(bright, ((reach, reach), (0, 0)), mode="edge")
        n = bright.shape[0]
        total = weight[0] * wide[reach : reach + n]
        for k in range(1, reach + 1):
            total += weight[k] * (wide[reach - k : reach - k + n] + wide[reach + k : reach + k + n])
        bright = np.ascontiguousarray(total.T)
    return bright


@lru_cache(maxsize=8)
def _stamp(letter: str, size: int) -> Field:
    pixels = np.array([[c == "1" for c in row] for row in _LETTERS[letter]], dtype=np.float32)
    times = max(1, round(size / 128))
    return np.kron(pixels, np.ones((times, times), dtype=np.float32))


def _mark(bright: Field, letter: str) -> None:
    """Set the lead marker: R stands at the left of the image, L at its right."""
    stamp = _stamp(letter, bright.shape[0])
    height, width = stamp.shape
    edge = bright.shape[0] // 16
    left = edge if letter == "R" else bright.shape[1] - edge - width
    place = bright[edge : edge + height, left : left + width]
    np.maximum(place, 0.95 * stamp, out=place)
