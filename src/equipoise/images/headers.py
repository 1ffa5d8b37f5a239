"""What a DICOM header says of how an image came to be, and of whom."""

import hashlib
import math
from functools import cache

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

_LOSSY = ("4.50", "4.51", "4.81", "4.91", "4.93", "4.203", "4.111", "4.112")
_NOT_COMPRESSED = ("", ".1", ".2")  # implicit little, explicit little, explicit big endian
_ROOT = "1.2.840.10008.1.2"

_TEXTS = {
    "modality": ("Modality",),
    "manufacturer": ("Manufacturer",),
    "device_model": ("ManufacturerModelName",),
    "view": ("ViewPosition",),
    "laterality": ("ImageLaterality", "Laterality"),
    "photometric": ("PhotometricInterpretation",),
    "presentation": ("PresentationIntentType",),
    "burned_in": ("BurnedInAnnotation",),
}
_NUMBERS = {
    "kvp": ("KVP",),
    "exposure": ("Exposure",),
    "pixel_spacing_mm": ("PixelSpacing", "ImagerPixelSpacing"),
}
_WHOLES = {"bits_stored": "BitsStored", "rows": "Rows", "columns": "Columns"}
_SUBJECT = {
    "image_id": ("SOPInstanceUID",),
    "study_id": ("StudyInstanceUID",),
    "patient_id": ("PatientID",),
    "sex": ("PatientSex",),
    "age": ("PatientAge",),
    "birth_date": ("PatientBirthDate",),
    "study_date": ("StudyDate",),
    "acquired_on": ("AcquisitionDate", "StudyDate", "SeriesDate", "ContentDate"),
    "site": ("InstitutionName",),
    "species": ("PatientSpeciesDescription",),
}


def acquisition(dataset: Dataset, size: int) -> dict[str, object]:
    """Return the columns of ``tables.nouns.ACQUISITION``; null where the header does not say.

    Parameters
    ----------
    dataset
        The header.
    size
        Of the file, in bytes.

    Examples
    --------
    >>> head = Dataset()
    >>> head.KVP = "80"
    >>> acquisition(head, 10)["kvp"]
    80.0
    """
    facts: dict[str, object] = {name: _text(dataset, tags) for name, tags in _TEXTS.items()}
    facts |= {name: _real(dataset, tags) for name, tags in _NUMBERS.items()}
    facts |= {name: _whole(dataset, tag) for name, tag in _WHOLES.items()}
    facts["device_id"] = _device(dataset)
    facts["compression"] = compression(_syntax(dataset))
    facts["file_bytes"] = size
    return facts


def subject(dataset: Dataset) -> dict[str, str]:
    """Return what the header says of patient, study and image, as text; only what it says.

    Examples
    --------
    >>> head = Dataset()
    >>> head.PatientID, head.PatientSex = "7", ""
    >>> subject(head)
    {'patient_id': '7'}
    """
    found = {name: _text(dataset, tags) for name, tags in _SUBJECT.items()}
    return {name: text for name, text in found.items() if text is not None}


def compression(syntax: str) -> str | None:
    """Return how a transfer syntax stores pixels: none, lossless or lossy; null if unknown.

    JPEG 2000 that may be either counts as lossy.

    Examples
    --------
    >>> compression("1.2.840.10008.1.2.4.50")
    'lossy'
    """
    if not syntax.startswith(_ROOT):
        return None
    rest = syntax.removeprefix(_ROOT)
    if rest in _NOT_COMPRESSED:
        return "none"
    return "lossy" if rest.removeprefix(".") in _LOSSY else "lossless"


def _syntax(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    return str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""


def _device(dataset: Dataset) -> str | None:
    """Return a hash that tells devices apart without carrying a serial number on."""
    serial = _text(dataset, ("DeviceSerialNumber",))
    if serial is None:
        return None
    maker = [_text(dataset, _TEXTS[name]) or "" for name in ("manufacturer", "device_model")]
    return hashlib.sha256("\n".join([*maker, serial]).encode()).hexdigest()[:12]


@cache
def _number_of(keyword: str) -> BaseTag:
    return Tag(keyword)


def _value(dataset: Dataset, tag: str) -> object:
    """Return a value, or nothing if it is absent or is not what its type allows.

    By number, not by name: pydicom takes twenty times as long to find that a name is not there.
    """
    try:
        number = _number_of(tag)
        value: object = dataset[number].value if number in dataset else None
    except (ValueError, TypeError, OverflowError, AttributeError, KeyError, NotImplementedError):
        return None
    return value


def _text(dataset: Dataset, tags: tuple[str, ...]) -> str | None:
    for tag in tags:
        value = _value(dataset, tag)
        text = "" if value is None else str(value).strip().strip("\0")
        if text:
            return text
    return None


def _real(dataset: Dataset, tags: tuple[str, ...]) -> float | None:
    for tag in tags:
        value = _value(dataset, tag)
        if isinstance(value, MultiValue):
            value = value[0] if len(value) else None
        try:
            number = float(str(value))
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return None


def _whole(dataset: Dataset, tag: str) -> int | None:
    value = _value(dataset, tag)
    return int(value) if isinstance(value, int) and value >= 0 else None
