"""What asks for more memory than it is worth is refused before it is decoded."""

import io
import struct
import threading
import warnings

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from equipoise.errors import InvalidImage
from equipoise.images import read_dicom, read_raster
from equipoise.images.warned import recorded
from tests.images.made import dataset, dicom, encoded

MOST = 1_000_000


def test_a_small_png_that_unpacks_to_gigabytes_is_refused_by_its_header():
    content = io.BytesIO()
    Image.new("L", (2000, 2000)).save(content, "PNG")
    with pytest.raises(InvalidImage, match="2000 x 2000 pixels; at most 1000000"):
        read_raster(content.getvalue(), most_pixels=MOST)
    assert read_raster(content.getvalue()).pixels.shape == (2000, 2000)


def test_a_dicom_with_absurd_rows_and_columns_is_refused():
    made = dataset(np.zeros((4, 4)))
    made.Rows = made.Columns = 65535
    with pytest.raises(InvalidImage, match="65535 x 65535 pixels; at most"):
        read_dicom(encoded(made), most_pixels=MOST)


def compressed(kind, codestream):
    made = dataset(np.zeros((4, 4)))
    made.file_meta.TransferSyntaxUID = kind
    made.PixelData = encapsulate([codestream])
    made["PixelData"].VR = "OB"
    return encoded(made)


J2K = b"\xff\x4f\xff\x51" + struct.pack(">HH8IH", 41, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0, 1)
JLS = b"\xff\xd8\xff\xf7" + struct.pack(">HBHHB", 11, 12, 60000, 60000, 1) + b"\x01\x11\x00"


@pytest.mark.parametrize(
    ("kind", "codestream"), [(JPEG2000Lossless, J2K), (JPEGLSLossless, JLS)], ids=["j2k", "jls"]
)
def test_compressed_pixels_larger_than_the_header_says_are_refused(kind, codestream):
    with pytest.raises(InvalidImage, match="compressed pixels of 60000 x 60000; the header says 4"):
        read_dicom(compressed(kind, codestream + bytes(64)), most_pixels=MOST)


def test_compressed_pixels_that_hide_their_size_are_refused():
    hidden = compressed(JPEG2000Lossless, bytes(1 << 17) + J2K)
    with pytest.raises(InvalidImage, match="do not begin with their size"):
        read_dicom(hidden, most_pixels=MOST)


@pytest.mark.parametrize("kind", [JPEG2000Lossless, JPEGLSLossless], ids=["j2k", "jls"])
def test_real_compressed_pixels_pass(kind):
    made = dataset(np.arange(64 * 48).reshape(64, 48) % 4096)
    made.compress(kind, encoding_plugin="pylibjpeg" if kind == JPEG2000Lossless else "pyjpegls")
    found = read_dicom(encoded(made), most_pixels=MOST)
    assert found.pixels.shape == (64, 48)


def test_run_lengths_that_unpack_to_more_than_the_header_says_are_refused():
    made = dataset(np.arange(64 * 48).reshape(64, 48) % 4096)
    made.compress(RLELossless)
    assert read_dicom(encoded(made), most_pixels=MOST).pixels.shape == (64, 48)
    plane = bytes([129, 7]) * 5000  # 128 times the byte 7, and again: 640,000 bytes
    bomb = struct.pack("<16L", 2, 64, 64 + len(plane), *[0] * 13) + plane + plane
    with pytest.raises(InvalidImage, match="unpack to more than the 16 of the header"):
        read_dicom(compressed(RLELossless, bomb), most_pixels=MOST)
    many = struct.pack("<16L", 15, *[64] * 15) + plane
    with pytest.raises(InvalidImage, match="of 15 planes; the header says 2"):
        read_dicom(compressed(RLELossless, many), most_pixels=MOST)


def test_a_dicom_deflated_as_a_whole_is_refused_before_it_unpacks():
    made = dataset(np.zeros((4, 4)))
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(InvalidImage, match="deflated"):
        read_dicom(encoded(made), most_pixels=MOST)
    # One that only speaks of that syntax elsewhere is taken.
    plain = dicom(np.zeros((4, 4)), ImageComments=str(DeflatedExplicitVRLittleEndian))
    assert read_dicom(plain, most_pixels=MOST).pixels.shape == (4, 4)


def test_warnings_of_threads_stay_apart_and_the_process_is_left_as_it_was(capsys):
    before = warnings.filters[:], warnings.showwarning
    found = {}

    def work(name, barrier):
        for _ in range(50):
            barrier.wait()
            with recorded() as said:
                barrier.wait()
                warnings.warn(f"of {name}", stacklevel=1)
            found.setdefault(name, []).append(said)

    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=work, args=(name, barrier)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(said == [[f"of {name}"]] * 50 for name, said in found.items())
    assert (warnings.filters[:], warnings.showwarning) == before
    assert capsys.readouterr().err == ""
