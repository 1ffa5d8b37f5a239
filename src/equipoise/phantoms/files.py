"""DICOM files: one valid object an image, whose names and numbers tell nothing of the label."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from equipoise.phantoms.draws import Scene
from equipoise.phantoms.options import Options, Site
from equipoise.phantoms.rendering import render
from equipoise.phantoms.scanners import Stored, digitised, window

_CLASSES = {
    "CR": UID("1.2.840.10008.5.1.4.1.1.1"),
    "DX": UID("1.2.840.10008.5.1.4.1.1.1.1"),
}
_IMPLEMENTATION = UID("2.25.160394829471044826604838520711946128331")
_DETECTOR_MM = 350.0
"""Width of the detector; divided by the image size it is the pixel spacing."""
_VIEWS = {
    "AP": ("399348003", "SCT", "antero-posterior"),
    "PA": ("399273003", "SCT", "postero-anterior"),
    "": ("261665006", "SCT", "Unknown"),
}


def file_name(scene: Scene) -> str:
    """Return where a scene's file stands below the folder ``dicom``.

    Examples
    --------
    >>> from equipoise.phantoms.draws import listed, scenes
    >>> file_name(listed(scenes(Options(patients=1)))[0]).count("/")
    1
    """
    return f"{scene.site}/{scene.image_id.removeprefix('2.25.'):0>39}.dcm"


def save(scene: Scene, options: Options, folder: Path) -> None:
    """Render a scene and write its file into ``folder/<site>/``, which must exist.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    site = options.site(scene.site)
    stored = digitised(render(scene, options), site)
    with (folder / file_name(scene)).open("wb") as file:
        dataset(scene, site, stored).save_as(file, enforce_file_format=True)


def dataset(scene: Scene, site: Site, stored: Stored) -> Dataset:
    """Return the DICOM object of a scene.

    Parameters
    ----------
    scene
        Identifiers, patient and acquisition.
    site
        Its scanner.
    stored
        Values to store, ``(rows, columns)``.

    Examples
    --------
    >>> from equipoise.phantoms.draws import listed, scenes
    >>> options = Options(patients=1)
    >>> scene = listed(scenes(options))[0]
    >>> plain = dataset(scene, options.site(scene.site), np.zeros((4, 4), dtype=np.int64))
    >>> plain.Rows, plain.BitsAllocated
    (4, 16)
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _CLASSES[site.modality]
    meta.MediaStorageSOPInstanceUID = UID(scene.image_id)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    whole = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    whole.update(_device(site))
    whole.update(_grey_scale(site))
    whole.update(_identity(scene, site))
    whole.update(_acquisition(scene, site, stored))
    return whole


def _identity(scene: Scene, site: Site) -> Dataset:
    """Patient, study, series and instance; dates are the study's, times are noon."""
    part = Dataset()
    day = f"{scene.acquired_on:%Y%m%d}"
    part.SOPClassUID = _CLASSES[site.modality]
    part.SOPInstanceUID = scene.image_id
    part.StudyInstanceUID = scene.study_id
    part.SeriesInstanceUID = f"{scene.study_id[:40]}.1"
    part.PatientName = f"Phantom^{scene.patient_code}"
    part.PatientID = scene.patient_code
    part.PatientBirthDate = ""
    part.PatientSex = scene.sex if scene.sex_known else ""
    part.PatientAge = f"{scene.age_years:03d}Y" if scene.age_known else None
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(part, f"{name}Date", day)
        setattr(part, f"{name}Time", "120000")
    part.AccessionNumber = scene.study_id.removeprefix("2.25.")[:12]
    part.StudyID = "1"
    part.SeriesNumber = "1"
    part.InstanceNumber = "1"
    part.ReferringPhysicianName = ""
    part.InstitutionName = site.name
    return part


def _acquisition(scene: Scene, site: Site, stored: Stored) -> Dataset:
    part = Dataset()
    part.ViewPosition = scene.view if scene.view_known else ""
    part.KVP = "90" if scene.view == "AP" else "120"
    if site.modality == "DX":
        part.ViewCodeSequence = [_code(*_VIEWS[str(part.ViewPosition)])]
    part.Rows, part.Columns = stored.shape
    part.ImagerPixelSpacing = [f"{_DETECTOR_MM / stored.shape[1]:.6g}"] * 2
    part.PixelSpacing = part.ImagerPixelSpacing
    kind = "<i2" if site.signed else "<u2"
    part.add_new("PixelData", "OW", np.ascontiguousarray(stored, dtype=kind).tobytes())
    return part


@lru_cache(maxsize=64)
def _device(site: Site) -> Dataset:
    part = Dataset()
    part.Modality = site.modality
    part.Manufacturer = site.manufacturer
    part.ManufacturerModelName = site.model
    part.DeviceSerialNumber = f"{site.name}-1"
    part.SoftwareVersions = "1.0"
    part.BodyPartExamined = "CHEST"
    part.BurnedInAnnotation = "NO"
    part.LossyImageCompression = "00"
    part.ImageType = ["ORIGINAL", "PRIMARY"]
    part.PatientOrientation = ["L", "F"]
    if site.modality == "DX":
        _add_digital_radiography(part, site)
    return part


def _add_digital_radiography(part: Dataset, site: Site) -> None:
    """Add what the DX object demands beyond CR (PS3.3 A.26)."""
    part.PresentationIntentType = "FOR PRESENTATION"
    part.PixelIntensityRelationship = "LOG"
    part.PixelIntensityRelationshipSign = -1 if site.photometric == "MONOCHROME2" else 1
    inverse = site.photometric == "MONOCHROME1"
    part.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    part.ImageLaterality = "U"
    part.DetectorType = "DIRECT"
    part.PositionerType = ""
    part.AnatomicRegionSequence = [_code("51185008", "SCT", "Chest")]
    part.AcquisitionContextSequence = []


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


@lru_cache(maxsize=64)
def _grey_scale(site: Site) -> Dataset:
    part = Dataset()
    part.SamplesPerPixel = 1
    part.PhotometricInterpretation = site.photometric
    part.BitsAllocated, part.BitsStored, part.HighBit = 16, site.bits, site.bits - 1
    part.PixelRepresentation = int(site.signed)
    part.RescaleIntercept, part.RescaleSlope = f"{site.intercept:.10g}", f"{site.slope:.10g}"
    part.RescaleType = "US"
    shown = window(site)
    center, width = f"{shown.center:.10g}", f"{shown.width:.10g}"
    # Where stored values are signed a second, wider window follows: readers start with the first.
    part.WindowCenter = [center, center] if site.signed else center
    part.WindowWidth = [width, f"{2 * shown.width:.10g}"] if site.signed else width
    return part
