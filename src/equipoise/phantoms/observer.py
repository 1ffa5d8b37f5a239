"""A fixed model: it finds the lungs, looks for a spot in them, and never learns.

Its constants were set once, on the usual bench without biases. What it does to a group is
therefore a property of the images and the labels alone: the truth that a bench is measured by.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from equipoise.phantoms.anatomy import axes
from equipoise.phantoms.scanners import Pixels

THRESHOLD = 0.5
"""An image is called positive when its score is at least this (specificity about 0.88)."""

_GRID = 32
_DARK = 0.9
"""Lung is what is darker than this share of the image's median."""
_CENTRE, _SURROUND = 0.8, 2.0
"""Widths of the template (cells)."""

Scores = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def scores(images: Pixels) -> Scores:
    """Return how strongly each image shows a spot in the lungs, relative to the rest of them.

    The template is the mean over a small neighbourhood less that over a wider one, both taken
    over lung only, so that the borders of heart and ribcage do not answer.

    Parameters
    ----------
    images
        uint8 ``(n, size, size)``, `size` a multiple of 32.

    Returns
    -------
    ``(n,)``; the best place within the lungs, over the spread of all places there.

    Examples
    --------
    >>> scores(np.zeros((1, 64, 64), dtype=np.uint8)).tolist()
    [0.0]
    """
    n, step = images.shape[0], images.shape[1] // _GRID
    cells = images.reshape(n, _GRID, step, _GRID, step)  # (image, row, within, column, within)
    grid = cells.mean(axis=(2, 4), dtype=np.float64)
    lungs, inside = _lungs(grid)
    answer = _over_lung(grid, lungs, _CENTRE) - _over_lung(grid, lungs, _SURROUND)
    places = np.maximum(inside.sum(axis=(1, 2)), 1)
    answer = np.where(inside, answer, 0.0)
    spread = np.sqrt((answer**2).sum(axis=(1, 2)) / places)
    return np.asarray(answer.max(axis=(1, 2), initial=0.0) / (spread + 0.5), dtype=np.float64)


def _over_lung(grid: Scores, lungs: Mask, sigma: float) -> Scores:
    from scipy.ndimage import gaussian_filter

    width = (0, sigma, sigma)
    weight = gaussian_filter(lungs.astype(np.float64), width)
    total = gaussian_filter(grid * lungs, width)
    return np.asarray(total / np.maximum(weight, 1e-3), dtype=np.float64)


def _lungs(grid: Scores) -> tuple[Mask, Mask]:
    """Return where the lungs are, opacities within them included, and their inner part."""
    from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

    median = np.median(grid.reshape(len(grid), _GRID**2), axis=1)[:, None, None]
    near = (1, 5, 5)
    dark = (gaussian_filter(grid, (0, 0.7, 0.7)) < _DARK * median) & _frame()
    wider = maximum_filter(dark.astype(np.uint8), near, mode="constant")
    lungs = minimum_filter(wider, near, mode="constant") * _frame()
    return lungs > 0, minimum_filter(lungs, near, mode="constant") > 0


@lru_cache(maxsize=1)
def _frame() -> Mask:
    """Return where lungs can lie at all, ``(32, 32)``."""
    x, y = axes(_GRID)
    side = np.abs(x)
    return np.asarray((side > 0.17) & (side < 0.74) & (y > -0.55) & (y < 0.50))
