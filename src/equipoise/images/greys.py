"""From stored DICOM values to shades of grey: modality LUT, then VOI LUT or window (PS3.3 C.11).

The steps are ours because each is a line of the standard that a test can hold against numbers
worked out by hand, and because their result is always in [0, 1], whatever the bits.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

Real = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_GREATEST = 2.0**32
"""No stored value is greater."""


def stored_values(raw: npt.NDArray[np.generic], dataset: Dataset) -> Whole:
    """Return the stored values without the bits that are not theirs.

    Where ``HighBit`` is not ``BitsStored - 1`` the value sits higher in its word, and what lies
    around it may be an overlay.

    Examples
    --------
    >>> head = Dataset()
    >>> head.BitsAllocated, head.BitsStored, head.HighBit, head.PixelRepresentation = 16, 12, 15, 1
    >>> stored_values(np.array([0xFFF7], np.uint16), head).tolist()
    [-1]
    """
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    shift = int(dataset.get("HighBit") or stored - 1) + 1 - stored
    if allocated < 8 or not 0 < stored <= allocated or not 0 <= shift <= allocated - stored:
        return raw.astype(np.int64)
    whole = raw.astype(np.int64) & ((1 << allocated) - 1)
    whole = (whole >> shift) & ((1 << stored) - 1)
    if dataset.get("PixelRepresentation") == 1:
        whole -= (whole >> (stored - 1)) << stored
    return whole


def padding(values: Whole, dataset: Dataset) -> npt.NDArray[np.bool_] | None:
    """Return where a pixel is padding, or nothing if the header names none.

    Examples
    --------
    >>> head = Dataset()
    >>> head.PixelPaddingValue = 0
    >>> padding(np.array([0, 5]), head).tolist()
    [True, False]
    """
    low = dataset.get("PixelPaddingValue")
    if low is None or low == "":
        return None
    high = dataset.get("PixelPaddingRangeLimit")
    ends = [_signed(int(end), dataset) for end in (low, low if high in {None, ""} else high)]
    return np.asarray((values >= min(ends)) & (values <= max(ends)))


def modality_values(values: Whole, dataset: Dataset) -> Real:
    """Return what the values mean: through the modality LUT, or slope and intercept.

    Raises
    ------
    ValueError
        If slope or intercept make no numbers of them: NaN would go on as some grey or other.

    Examples
    --------
    >>> head = Dataset()
    >>> head.RescaleSlope, head.RescaleIntercept = 2, -1000
    >>> modality_values(np.array([0, 10]), head).tolist()
    [-1000.0, -980.0]
    """
    tables = dataset.get("ModalityLUTSequence")
    if tables:
        return _looked_up(values, tables[0])[0]
    slope = _number(dataset.get("RescaleSlope"), 1.0)
    intercept = _number(dataset.get("RescaleIntercept"), 0.0)
    if not math.isfinite(abs(slope) * _GREATEST + abs(intercept)):
        raise ValueError(f"slope {slope:g} and intercept {intercept:g} make no numbers")
    return np.asarray(values * slope + intercept, np.float64)


def shades(
    values: Real, dataset: Dataset, ignored: npt.NDArray[np.bool_] | None
) -> tuple[Real, str | None]:
    """Return shades in [0, 1] and, if the header's window could not be used, why.

    The first VOI LUT is taken, else the first window, else the range from the least to the
    greatest value, without the pixels in `ignored`.

    Examples
    --------
    >>> shades(np.array([0.0, 5.0, 10.0]), Dataset(), None)
    (array([0. , 0.5, 1. ]), None)
    """
    tables = dataset.get("VOILUTSequence")
    if tables:
        found, bits = _looked_up(values, tables[0])
        return np.clip(found / ((1 << bits) - 1), 0.0, 1.0), None
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    least = 1.0 if function == "LINEAR" else np.nextafter(0.0, 1.0)
    if center is None or width is None:
        return _full_range(values, ignored), None
    if not np.isfinite(center) or not np.isfinite(width) or width < least:
        return _full_range(values, ignored), "window width is not valid: full range used"
    return windowed(values, center, width, function), None


def windowed(values: Real, center: float, width: float, function: str = "LINEAR") -> Real:
    """Return shades in [0, 1] through one window (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    References
    ----------
    DICOM PS3.3, C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).

    Examples
    --------
    >>> windowed(np.array([0.0, 50.0, 100.0]), 50.5, 101).tolist()
    [0.0, 0.5, 1.0]
    >>> windowed(np.array([0.0, 50.0, 100.0]), 50, 100, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    if function == "SIGMOID":
        return np.asarray(
            1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700, 700)))
        )
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width == 1.0:
        return np.where(values > center - 0.5, 1.0, 0.0)
    return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _full_range(values: Real, ignored: npt.NDArray[np.bool_] | None) -> Real:
    seen = values if ignored is None else values[~ignored]
    if seen.size == 0:
        return np.zeros_like(values)
    low, high = float(seen.min()), float(seen.max())
    if low == high:
        return np.zeros_like(values)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _looked_up(values: npt.NDArray[np.generic], item: Dataset) -> tuple[Real, int]:
    """Return the entries of a LUT for `values`, and how many bits an entry has."""
    n, first, bits = (int(value) for value in item.LUTDescriptor)
    n = n or 1 << 16
    if first >= 1 << 15 and values.size and float(np.min(values)) < 0:
        first -= 1 << 16
    data = item.LUTData
    if isinstance(data, bytes):
        entries = np.frombuffer(data, "<u1" if len(data) < 2 * n else "<u2")
    else:
        entries = np.asarray(data)
    entries = entries[:n].astype(np.float64)
    if not entries.size:
        raise ValueError("its lookup table is empty")
    where = np.rint(values.astype(np.float64)) - first
    return entries[np.clip(where, 0, len(entries) - 1).astype(np.int64)], bits or 16


def _first(value: object) -> float | None:
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    return None if value is None or value == "" else float(str(value))


def _number(value: object, otherwise: float) -> float:
    return otherwise if value is None or value == "" else float(str(value))


def _signed(value: int, dataset: Dataset) -> int:
    """Return a padding value that some writers store as unsigned although pixels are signed."""
    bits = int(dataset.get("BitsAllocated") or 16)
    if dataset.get("PixelRepresentation") == 1 and value >= 1 << (bits - 1):
        return value - (1 << bits)
    return value
