"""From what a detector sees to the numbers a file stores, and from those to what a reader sees.

The reader's grey level is stored value → modality rescale → linear VOI window → inversion for
MONOCHROME1 → 0 to 255, rounded. Whoever decodes the files gets the same within one level.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.phantoms.anatomy import Field
from equipoise.phantoms.options import Site

Stored = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

_HEADROOM = 1.25
"""The largest stored value stands for this brightness; the window shows 0 to 1."""


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window in modality units, as DICOM's function LINEAR takes it."""

    center: float
    width: float


def digitised(bright: Field, site: Site) -> Stored:
    """Return the values that the site's scanner stores.

    Parameters
    ----------
    bright
        What the detector sees, 0 black to about 1 white.
    site
        Its bits, sign and photometric interpretation.

    Examples
    --------
    >>> plain = Site(name="here")
    >>> digitised(np.array([0.0, 1.0, 9.0], dtype=np.float32), plain).tolist()
    [0, 3276, 4095]
    """
    top = 2**site.bits - 1
    codes = np.clip(np.rint(bright.astype(np.float64) * (top / _HEADROOM)), 0, top).astype(np.int64)
    if site.photometric == "MONOCHROME1":
        codes = top - codes
    return np.asarray(codes - (2 ** (site.bits - 1) if site.signed else 0), dtype=np.int64)


def window(site: Site) -> Window:
    """Return the window that shows brightness 0 to 1 on the site's scanner.

    Examples
    --------
    >>> window(Site(name="here"))
    Window(center=1638.5, width=3277.0)
    """
    ends = digitised(np.array([0.0, 1.0], dtype=np.float32), site) * site.slope + site.intercept
    low, high = float(ends.min()), float(ends.max())
    # The function LINEAR spreads its range over width - 1 around center - 0.5.
    return Window((low + high) / 2 + 0.5, high - low + 1)


def displayed(stored: Stored, site: Site) -> Pixels:
    """Return the grey levels that a reader sees, uint8.

    Parameters
    ----------
    stored
        What the file holds.
    site
        Whose scanner stored it.

    Examples
    --------
    >>> film = Site(name="here", photometric="MONOCHROME1")
    >>> displayed(digitised(np.array([0.0, 0.5, 1.0], dtype=np.float32), film), film).tolist()
    [0, 128, 255]
    """
    shown = window(site)
    units = stored * site.slope + site.intercept
    level = (units - (shown.center - 0.5)) / (shown.width - 1) + 0.5
    if site.photometric == "MONOCHROME1":
        level = 1 - level
    grey = np.clip(level, 0, 1).astype(np.float32) * np.float32(255)
    return np.asarray(np.rint(grey), dtype=np.uint8)
