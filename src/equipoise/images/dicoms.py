"""One DICOM file, decoded to what a reader would see on a screen."""

import io
import struct

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from equipoise.errors import InvalidImage
from equipoise.images.extents import bounded_dataset, not_deflated
from equipoise.images.greys import modality_values, padding, shades, stored_values
from equipoise.images.headers import acquisition, subject
from equipoise.images.pictures import Picture
from equipoise.images.warned import recorded

_GREY = ("MONOCHROME1", "MONOCHROME2")
_BROKEN = (  # what pydicom and the decoders behind it raise on bytes that are not what they say
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def read_dicom(content: bytes, *, most_pixels: int | None = None) -> Picture:
    """Decode one DICOM file.

    Modality LUT, then the first VOI LUT or window, and only then MONOCHROME1 is turned round, so
    that bright is always dense. Without a window the range of values is used, padding left out.
    Padding is black. Colour comes as RGB.

    Parameters
    ----------
    content
        The bytes of the file.
    most_pixels
        Refuse, before any pixel is decoded, an image of more, and files that unpack to more than
        they say; None trusts the file.

    Raises
    ------
    InvalidImage
        If it is not DICOM, is cut short, holds no pixels or several frames, is stored in a way
        for which there is no free decoder, or is too large.

    Examples
    --------
    >>> read_dicom(b"not a DICOM file")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidImage: not a DICOM file
    """
    with recorded() as caught:
        dataset = _dataset(content, most_pixels)
        pixels, notes = _decoded(dataset)
        try:
            facts, who = acquisition(dataset, len(content)), subject(dataset)
        except _BROKEN as error:
            raise InvalidImage(f"pixels cannot be decoded ({_short(error)})") from error
    said = [text.split(":")[0].split("'")[0].strip() for text in caught]
    return Picture(pixels, facts, who, tuple(dict.fromkeys([*notes, *said])))


def read_dicom_pixels(content: bytes) -> Picture:
    """Decode one DICOM file and leave its header unread where the pixels do not need it.

    The pixels are those of `read_dicom`. There are no facts, no subject and no notes: for images
    whose header was read when they were taken in.

    Parameters
    ----------
    content
        The bytes of the file.

    Raises
    ------
    InvalidImage
        If the pixels cannot be decoded, as `read_dicom` says.

    Examples
    --------
    >>> read_dicom_pixels(b"not a DICOM file")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidImage: not a DICOM file
    """
    with recorded():
        return Picture(_decoded(_dataset(content, None))[0])


def _decoded(
    dataset: Dataset,
) -> tuple[npt.NDArray[np.float32] | npt.NDArray[np.uint8], list[str]]:
    try:
        return _pixels(dataset)
    except _BROKEN as error:
        raise InvalidImage(f"pixels cannot be decoded ({_short(error)})") from error


def _dataset(content: bytes, most_pixels: int | None) -> Dataset:
    try:
        if most_pixels is not None:
            not_deflated(content)
        dataset = pydicom.dcmread(io.BytesIO(content))
    except InvalidDicomError as error:
        raise InvalidImage("not a DICOM file") from error
    except _BROKEN as error:
        raise InvalidImage(f"DICOM header cannot be read ({_short(error)})") from error
    try:
        _check(dataset)
        if most_pixels is not None:
            bounded_dataset(dataset, most_pixels)
    except _BROKEN as error:
        raise InvalidImage(f"DICOM header cannot be read ({_short(error)})") from error
    return dataset


def _check(dataset: Dataset) -> None:
    """Refuse what is not one picture."""
    if "PixelData" not in dataset:
        kind = UID(str(dataset.get("SOPClassUID") or "")).name or "kind not stated"
        if "Rows" in dataset:
            raise InvalidImage(f"DICOM without pixels: the file is cut short ({kind})")
        raise InvalidImage(f"DICOM without pixels: not an image, or cut short ({kind})")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise InvalidImage(f"DICOM of {frames} frames; expected one")
    meta = getattr(dataset, "file_meta", None)
    if meta is None or not meta.get("TransferSyntaxUID"):
        raise InvalidImage("DICOM without a transfer syntax: how its pixels are stored is unknown")


def _pixels(
    dataset: Dataset,
) -> tuple[npt.NDArray[np.float32] | npt.NDArray[np.uint8], list[str]]:
    native = not UID(str(dataset.file_meta.TransferSyntaxUID)).is_compressed
    grey_native = native and int(dataset.get("SamplesPerPixel") or 1) == 1
    raw = pixel_array(dataset, correct_unused_bits=not grey_native)
    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        return _eight_bits(apply_color_lut(raw, dataset), 16), []
    if raw.ndim == 3:
        return _eight_bits(raw, int(dataset.BitsStored)), []
    if photometric not in _GREY:
        raise ValueError(f"photometric interpretation {photometric!r} is not known")
    shown, codes = _distinct(raw)
    values = stored_values(shown, dataset) if native else shown.astype(np.int64)
    ignored = padding(values, dataset)
    grey, note = shades(modality_values(values, dataset), dataset, ignored)
    if photometric == "MONOCHROME1":
        grey = 1.0 - grey
    if ignored is not None:
        grey = np.where(ignored, 0.0, grey)
    found = grey.astype(np.float32)
    return found if codes is None else _spread(found, shown, codes), [note] if note else []


def _distinct(
    raw: npt.NDArray[np.generic],
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.uint16] | npt.NDArray[np.uint8] | None]:
    """Return the values that occur and the pixels as their codes, where that saves work.

    What a pixel becomes hangs on its value and on which values there are, so that a film of
    millions of pixels needs the standard's steps for some thousand values only.
    """
    if raw.dtype.itemsize > 2 or raw.dtype.kind not in "iu" or raw.size <= 1 << 16:
        return raw, None
    code = np.dtype(np.uint8 if raw.dtype.itemsize == 1 else np.uint16)
    native = np.ascontiguousarray(raw.astype(raw.dtype.newbyteorder("="), copy=False))
    codes = native.view(code)
    there = np.zeros(1 << 8 * code.itemsize, dtype=bool)
    there[codes] = True
    return np.flatnonzero(there).astype(code).view(native.dtype), codes


def _spread(
    found: npt.NDArray[np.float32],
    shown: npt.NDArray[np.generic],
    codes: npt.NDArray[np.uint16] | npt.NDArray[np.uint8],
) -> npt.NDArray[np.float32]:
    """Return what each pixel becomes, from what each value becomes."""
    table = np.zeros(1 << 8 * codes.dtype.itemsize, dtype=np.float32)
    table[shown.view(codes.dtype)] = found
    return np.asarray(np.take(table, codes, mode="wrap"), dtype=np.float32)


def _eight_bits(colour: npt.NDArray[np.generic], bits: int) -> npt.NDArray[np.uint8]:
    if colour.ndim != 3 or colour.shape[2] < 3:
        raise ValueError(f"colour pixels of shape {colour.shape}; expected (height, width, 3)")
    if colour.dtype == np.uint8:
        return np.ascontiguousarray(colour[:, :, :3], np.uint8)
    return (colour[:, :, :3].astype(np.int64) >> max(0, bits - 8)).clip(0, 255).astype(np.uint8)


def _short(error: BaseException) -> str:
    """Return the first sentence of what a library said."""
    text = " ".join(str(error).split())
    return (
        text.split(", the dataset may")[0].split(" - the dataset")[0][:160] or type(error).__name__
    )
