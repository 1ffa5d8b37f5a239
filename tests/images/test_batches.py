from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equipoise.images import Frame, decoded, pixels_decoded
from tests.images.made import dicom

FRAME = Frame(4, 4)


def folder_of(tmp_path: Path, n: int) -> list[Path]:
    paths = []
    for number in range(n):
        path = tmp_path / f"{number:04}.png"
        Image.fromarray(np.full((4, 4), number % 256, np.uint8)).save(path)
        paths.append(path)
    return paths


def test_what_cannot_be_read_does_not_stop_the_rest(tmp_path):
    paths = folder_of(tmp_path, 3)
    paths[1].write_bytes(b"broken")
    paths.append(tmp_path / "absent.png")
    found = list(decoded(paths, form="files", frame=FRAME))
    assert [one.failure for one in found] == [
        None,
        "not an image that can be read",
        None,
        "cannot be opened (No such file or directory)",
    ]
    assert found[2].pixels.tolist() == np.full((4, 4), 2).tolist()


def test_a_folder_in_place_of_a_file_is_a_failure_and_not_an_end(tmp_path):
    found = list(decoded([tmp_path], form="dicom", frame=FRAME))
    assert found[0].failure.startswith("cannot be opened")


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("equipoise.images.batches._WORTH_PROCESSES", (200, 0))
    paths = folder_of(tmp_path, 230)
    paths[7].write_bytes(b"broken")
    alone = list(decoded(paths, form="files", frame=FRAME))
    shared = list(decoded(paths, form="files", frame=FRAME, workers=2))
    assert [(a.digest, a.failure, a.facts) for a in alone] == [
        (a.digest, a.failure, a.facts) for a in shared
    ]
    assert all(
        np.array_equal(a.pixels, b.pixels)
        for a, b in zip(alone, shared, strict=True)
        if a.failure is None
    )


def test_a_dicom_file_brings_its_header(tmp_path):
    path = tmp_path / "one"
    path.write_bytes(dicom([[0, 1], [2, 3]], PatientSex="F"))
    (one,) = decoded([path], form="dicom", frame=FRAME)
    assert one.subject["sex"] == "F"
    assert one.facts["file_bytes"] == path.stat().st_size
    assert one.pixels.shape == (4, 4)


@pytest.mark.parametrize("form", ["files", "dicom"])
def test_pixels_alone_are_those_of_the_whole_file(tmp_path, form):
    paths = folder_of(tmp_path, 2)
    if form == "dicom":
        for path in paths:
            path.write_bytes(
                dicom([[0, 900], [2000, 4095]], PhotometricInterpretation="MONOCHROME1")
            )
    paths[1].write_bytes(b"broken")
    paths.append(tmp_path / "absent")
    whole = list(decoded(paths, form=form, frame=FRAME))
    found = list(pixels_decoded(paths, form=form, frame=FRAME))
    assert [one.failure for one in found] == [one.failure for one in whole]
    assert [one.pixel_digest for one in found] == [one.pixel_digest for one in whole]
    np.testing.assert_array_equal(found[0].pixels, whole[0].pixels)
    assert found[0].digest == ""
    assert not found[0].facts
