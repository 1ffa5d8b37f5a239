import io

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from equipoise import phantoms
from equipoise.phantoms.draws import Scene, listed
from equipoise.phantoms.files import dataset, file_name
from equipoise.phantoms.options import Options, Site
from equipoise.phantoms.pictures import seen
from equipoise.phantoms.rendering import render
from equipoise.phantoms.scanners import digitised

OPTIONS = Options(patients=60, seed=5)
SCENES = listed(phantoms.scenes(OPTIONS))
FIRST = {site.name: next(s for s in SCENES if s.site == site.name) for site in OPTIONS.sites}
SITES = [site.name for site in OPTIONS.sites]


def _read_back(scene: Scene, options: Options = OPTIONS) -> pydicom.Dataset:
    site = options.site(scene.site)
    whole = io.BytesIO()
    dataset(scene, site, digitised(render(scene, options), site)).save_as(
        whole, enforce_file_format=True
    )
    whole.seek(0)
    return pydicom.dcmread(whole)


def _grey(read: pydicom.Dataset) -> np.ndarray:
    """What pydicom, which knows nothing of us, shows of a file, 0 to 255."""
    values = apply_voi_lut(apply_modality_lut(read.pixel_array, read), read, index=0)
    slope, intercept = float(read.RescaleSlope), float(read.RescaleIntercept)
    low = -(2 ** (read.BitsStored - 1)) if read.PixelRepresentation else 0
    high = low + 2**read.BitsStored - 1
    low, high = low * slope + intercept, high * slope + intercept
    shade = (values - low) / (high - low)
    if read.PhotometricInterpretation == "MONOCHROME1":
        shade = 1 - shade
    return shade * 255


@pytest.mark.parametrize("name", SITES)
def test_pydicom_decodes_a_file_to_the_image_in_memory(name: str) -> None:
    read = _read_back(FIRST[name])

    apart = np.abs(_grey(read) - seen(FIRST[name], OPTIONS).astype(float))

    assert apart.max() <= 1


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
def test_every_kind_of_scanner_decodes_to_the_same_picture(
    bits: int, photometric: str, signed: bool
) -> None:
    site = {"name": "a", "modality": "CR", "slope": 0.25, "intercept": -300, "signed": signed}
    site |= {"bits": bits, "photometric": photometric}
    options = Options(patients=1, sites=[site])
    plain = Options(patients=1, sites=[{"name": "a"}])
    scene = listed(phantoms.scenes(options))[0]
    read = _read_back(scene, options)

    assert np.abs(_grey(read) - seen(scene, options).astype(float)).max() <= 1
    assert np.abs(seen(scene, options).astype(int) - seen(scene, plain)).max() <= 1
    assert read.BitsStored == bits
    assert read.PixelRepresentation == int(signed)


def test_monochrome1_is_stored_inverted() -> None:
    plain, inverted = Site(name="a"), Site(name="a", photometric="MONOCHROME1")
    bright = np.array([0.0, 0.5, 1.0], dtype=np.float32)

    assert (digitised(bright, plain) + digitised(bright, inverted) == 4095).all()


def test_the_sites_cover_what_hospitals_send() -> None:
    found = {name: _read_back(scene) for name, scene in FIRST.items()}

    assert {read.BitsStored for read in found.values()} == {12, 16}
    assert {read.PhotometricInterpretation for read in found.values()} == {
        "MONOCHROME1",
        "MONOCHROME2",
    }
    assert {read.PixelRepresentation for read in found.values()} == {0, 1}
    assert {float(read.RescaleSlope) for read in found.values()} == {1.0, 0.5}
    assert len({read.Manufacturer for read in found.values()}) == 3
    assert {read.SOPClassUID.name for read in found.values()} == {
        "Computed Radiography Image Storage",
        "Digital X-Ray Image Storage - For Presentation",
    }


@pytest.mark.parametrize("name", SITES)
def test_the_header_tells_the_scene(name: str) -> None:
    scene = FIRST[name]
    read = _read_back(scene)

    assert read.SOPInstanceUID == scene.image_id == read.file_meta.MediaStorageSOPInstanceUID
    assert read.StudyInstanceUID == scene.study_id
    assert read.PatientID == scene.patient_code
    assert f"{scene.acquired_on:%Y%m%d}" == read.StudyDate
    assert read.InstitutionName == scene.site
    assert (read.Rows, read.Columns, read.BitsAllocated) == (128, 128, 16)
    assert pydicom.uid.UID(read.SeriesInstanceUID).is_valid
    assert len(read.pixel_array) == 128


def test_what_is_missing_is_empty_and_what_is_known_is_said() -> None:
    for scene in SCENES:
        read = _read_back(scene)
        assert read.PatientSex == (scene.sex if scene.sex_known else "")
        assert (read.PatientAge or "") == (f"{scene.age_years:03d}Y" if scene.age_known else "")
        assert read.ViewPosition == (scene.view if scene.view_known else "")
    assert not all(scene.sex_known for scene in SCENES)
    assert not all(scene.view_known for scene in SCENES)


def test_two_arms_store_the_same_headers_whatever_the_label() -> None:
    shifted = OPTIONS.model_copy(
        update={"biases": (phantoms.PrevalenceShift(group={"sex": "F"}, prevalence=0.95),)}
    )
    others = listed(phantoms.scenes(shifted))
    at = next(k for k, (a, b) in enumerate(zip(SCENES, others, strict=True)) if a.clean != b.clean)
    before, after = _read_back(SCENES[at]), _read_back(others[at], shifted)
    assert before.PixelData != after.PixelData
    del before.PixelData, after.PixelData

    assert before == after
    assert file_name(SCENES[at]) == file_name(others[at])
