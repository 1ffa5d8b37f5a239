import io

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, RLELossless

from equipoise.errors import InvalidImage
from equipoise.images import dicoms, read_dicom
from tests.images.made import dataset, dicom, encoded

WINDOW = {"WindowCenter": "2048", "WindowWidth": "4096"}


def grey(content):
    return read_dicom(content).pixels


def test_the_window_maps_its_ends_to_black_and_white():
    shades = grey(dicom([[0, 1000], [1500, 4095]], WindowCenter="1000.5", WindowWidth="1001"))
    assert shades.tolist() == [[0.0, 0.5], [1.0, 1.0]]


def test_only_the_first_of_several_windows_counts():
    several = dicom([[0, 1000]], WindowCenter=["1000.5", "7"], WindowWidth=["1001", "2"])
    assert np.array_equal(
        grey(several), grey(dicom([[0, 1000]], WindowCenter="1000.5", WindowWidth="1001"))
    )


def test_the_window_agrees_with_pydicom():
    values = np.arange(0, 4096, 8).reshape(16, 32)
    made = dataset(values, RescaleSlope="1.5", RescaleIntercept="-200", **WINDOW)
    reference = apply_windowing(apply_modality_lut(values.astype(np.uint16), made), made)
    reference = (reference - -200) / (4095 * 1.5)
    assert np.allclose(grey(encoded(made)), reference, atol=1e-6)


def test_a_sigmoid_window_follows_the_standard():
    shades = grey(
        dicom([[0, 100, 200]], WindowCenter="100", WindowWidth="50", VOILUTFunction="SIGMOID")
    )
    expected = [1 / (1 + np.exp(8)), 0.5, 1 / (1 + np.exp(-8))]
    assert np.allclose(shades[0], expected, atol=1e-6)


def test_an_exact_linear_window_follows_the_standard():
    shades = grey(
        dicom(
            [[50, 100, 125]], WindowCenter="100", WindowWidth="100", VOILUTFunction="LINEAR_EXACT"
        )
    )
    assert np.allclose(shades[0], [0.0, 0.5, 0.75])


@pytest.mark.parametrize("how", [{"RescaleSlope": "1e308"}, {"RescaleIntercept": "-1e999"}])
def test_a_slope_that_makes_no_numbers_is_an_error_and_no_picture(how):
    with pytest.raises(InvalidImage, match="make no numbers"):
        grey(dicom([[0, 4095]], **({"RescaleSlope": "1", "RescaleIntercept": "0"} | how)))


def test_monochrome1_is_turned_round_after_slope_and_window():
    """Turned round before the modality LUT, the negative slope would undo it."""
    options = {"RescaleSlope": "-1", "RescaleIntercept": "1000"}
    options |= {"WindowCenter": "500.5", "WindowWidth": "1001"}
    first = grey(dicom([[0, 250, 1000]], PhotometricInterpretation="MONOCHROME1", **options))
    assert np.allclose(first[0], [0.0, 0.25, 1.0])
    second = grey(dicom([[0, 250, 1000]], **options))
    assert np.allclose(first, 1 - second)


def test_monochrome1_is_turned_round_after_a_sigmoid_window():
    options = {"WindowCenter": "100", "WindowWidth": "50", "VOILUTFunction": "SIGMOID"}
    shades = grey(dicom([[0, 110]], PhotometricInterpretation="MONOCHROME1", **options))
    assert np.allclose(shades[0], [1 - 1 / (1 + np.exp(8)), 1 - 1 / (1 + np.exp(-0.8))], atol=1e-6)


def test_signed_pixels_keep_their_sign():
    shades = grey(dicom([[-1024, -24, 976]], bits=16, signed=True))
    assert np.allclose(shades[0], [0.0, 0.5, 1.0])


def test_signed_pixels_of_twelve_bits_without_sign_extension_keep_their_sign():
    shades = grey(dicom([[0x800, 0, 0x7FF]], bits=12, PixelRepresentation=1))
    assert np.allclose(shades[0], [0.0, 2048 / 4095, 1.0], atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_ten_to_sixteen_bits_fill_the_same_range(bits):
    top = (1 << bits) - 1
    options = {"WindowCenter": str(1 << (bits - 1)), "WindowWidth": str(1 << bits)}
    shades = grey(dicom([[0, top]], bits=bits, **options))
    assert np.allclose(shades[0], [0.0, 1.0])


def test_a_high_bit_of_fifteen_moves_the_value_to_its_place():
    values = np.array([[0, 1000, 4095]]) << 4
    options = {"WindowCenter": "1000.5", "WindowWidth": "1001"}
    assert np.allclose(grey(dicom(values, HighBit=15, **options))[0], [0.0, 0.5, 1.0])


def test_an_overlay_in_the_unused_bits_does_not_show():
    plain = np.array([[0, 1000, 4095]])
    marked = plain | (1 << 15)
    assert np.array_equal(grey(dicom(marked, **WINDOW)), grey(dicom(plain, **WINDOW)))


def test_without_a_window_the_range_of_values_is_used_and_padding_left_out():
    shades = grey(dicom([[0, 1000, 1500, 2000]], PixelPaddingValue=0))
    assert np.allclose(shades[0], [0.0, 0.0, 0.5, 1.0])


def test_padding_is_black_in_monochrome1_too():
    shades = grey(
        dicom([[4095, 1000, 2000]], PixelPaddingValue=4095, PhotometricInterpretation="MONOCHROME1")
    )
    assert np.allclose(shades[0], [0.0, 1.0, 0.0])


def test_a_range_of_padding_is_left_out():
    shades = grey(dicom([[0, 5, 10, 1000, 2000]], PixelPaddingValue=0, PixelPaddingRangeLimit=10))
    assert np.allclose(shades[0], [0, 0, 0, 0, 1])


def test_signed_padding_that_was_stored_as_unsigned_is_recognised():
    made = dataset([[-2000, 0, 100]], bits=16, signed=True)
    made.add_new("PixelPaddingValue", "US", 63536)
    assert np.allclose(grey(encoded(made))[0], [0, 0, 1])


def test_an_image_of_nothing_but_padding_is_black():
    assert grey(dicom([[7, 7]], PixelPaddingValue=7)).tolist() == [[0, 0]]


def test_a_constant_image_is_black_and_not_a_division_by_zero():
    assert grey(dicom([[7, 7]])).tolist() == [[0, 0]]


def test_a_window_that_is_not_valid_is_said_and_the_full_range_used():
    picture = read_dicom(dicom([[0, 10]], WindowCenter="5", WindowWidth="0"))
    assert picture.pixels.tolist() == [[0, 1]]
    assert picture.notes == ("window width is not valid: full range used",)


def lut(first, entries, bits=8):
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = np.asarray(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    item["LUTDescriptor"].VR = "US"
    return item


def test_a_voi_lut_is_looked_up_and_held_at_its_ends():
    made = dataset([[0, 10, 11, 12, 99]], VOILUTSequence=[lut(10, [0, 51, 255])], **WINDOW)
    assert np.allclose(grey(encoded(made))[0], [0.0, 0.0, 0.2, 1.0, 1.0])


def test_a_modality_lut_comes_before_the_window():
    made = dataset([[0, 1, 2]], ModalityLUTSequence=[lut(0, [300, 100, 200], 16)])
    made.WindowCenter, made.WindowWidth = "200.5", "201"
    assert np.allclose(grey(encoded(made))[0], [1.0, 0.0, 0.5])


def test_colour_stays_colour():
    colour = np.arange(12).reshape(2, 2, 3)
    picture = read_dicom(dicom(colour))
    assert picture.pixels.dtype == np.uint8
    assert np.array_equal(picture.pixels, colour)


def test_run_length_compression_gives_the_same_pixels():
    plain = dataset(np.random.default_rng(3).integers(0, 4096, (16, 16)), **WINDOW)
    expected = grey(encoded(plain))
    plain.compress(RLELossless)
    picture = read_dicom(encoded(plain))
    assert np.array_equal(picture.pixels, expected)
    assert picture.facts["compression"] == "lossless"


@pytest.mark.parametrize(
    ("syntax", "form"), [(JPEG2000Lossless, "JPEG2000"), (JPEGBaseline8Bit, "JPEG")]
)
def test_jpegs_within_dicom_are_decoded(syntax, form):
    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16), 51, np.uint8)).save(buffer, form)
    made = dataset(np.zeros((16, 16), int), WindowCenter="128", WindowWidth="256")
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    picture = read_dicom(encoded(made))
    assert np.allclose(picture.pixels, 0.2, atol=0.005)
    assert picture.facts["compression"] == ("lossless" if form == "JPEG2000" else "lossy")


def test_a_compression_without_a_free_decoder_is_a_reason():
    made = dataset([[0, 1]])
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    made.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    made["PixelData"].is_undefined_length = True
    with pytest.raises(InvalidImage, match="pixels cannot be decoded"):
        read_dicom(encoded(made))


def test_several_frames_are_refused_with_their_number():
    made = dataset([[0, 1], [2, 3]], NumberOfFrames="2", Rows=1)
    with pytest.raises(InvalidImage, match="DICOM of 2 frames; expected one"):
        read_dicom(encoded(made))


def test_a_report_without_pixels_is_refused_by_its_kind():
    made = dataset([[0, 1]])
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(made, keyword)
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    with pytest.raises(InvalidImage, match=r"without pixels: not an image.*Basic Text SR"):
        read_dicom(encoded(made))


def test_a_file_cut_within_its_pixels_is_refused():
    content = dicom(np.zeros((64, 64), int))
    with pytest.raises(
        InvalidImage, match=r"bytes of pixel data is less than expected \(7192 vs 8192"
    ):
        read_dicom(content[:-1000])


def test_a_file_cut_before_its_pixels_is_refused():
    content = dicom(np.zeros((64, 64), int))
    with pytest.raises(InvalidImage, match="DICOM without pixels: the file is cut short"):
        read_dicom(content[: -64 * 64 * 2 - 12])


def test_header_facts_are_kept_and_the_serial_number_is_not():
    made = dataset(
        [[0, 1]],
        Manufacturer="Maker",
        ManufacturerModelName="M1",
        DeviceSerialNumber="SN-774",
        KVP="81.5",
        Exposure="3",
        ViewPosition="AP",
        PixelSpacing=["0.2", "0.2"],
        PatientAge="045Y",
    )
    picture = read_dicom(encoded(made))
    assert picture.facts["kvp"] == 81.5
    assert picture.facts["exposure"] == 3.0
    assert picture.facts["view"] == "AP"
    assert picture.facts["pixel_spacing_mm"] == 0.2
    assert picture.facts["compression"] == "none"
    assert (picture.facts["rows"], picture.facts["columns"], picture.facts["bits_stored"]) == (
        1,
        2,
        12,
    )
    assert picture.subject["age"] == "045Y"
    assert len(str(picture.facts["device_id"])) == 12
    assert "774" not in str(picture.facts) + str(picture.subject)


def test_a_header_value_that_is_no_number_costs_the_value_and_not_the_image():
    content = dicom([[0, 1]], KVP="81.5").replace(b"81.5", b"8x.5")
    picture = read_dicom(content)
    assert picture.facts["kvp"] is None
    assert picture.pixels.tolist() == [[0, 1]]


def test_what_pydicom_warns_of_becomes_a_note():
    content = dicom([[0, 1]], StudyInstanceUID="1.2.3.45").replace(b"1.2.3.45", b"1.2.3.x5")
    picture = read_dicom(content)
    assert picture.pixels.tolist() == [[0, 1]]
    assert any("Invalid value for VR UI" in note for note in picture.notes)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    st.integers(0, 999),
)
def test_whatever_is_wrong_with_the_bytes_is_an_invalid_image(changes, cut):
    content = bytearray(dicom(np.zeros((4, 4), int), **WINDOW))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        picture = read_dicom(bytes(content[: len(content) - cut % 200]))
    except InvalidImage:
        return
    assert np.isfinite(picture.pixels).all()
    assert picture.pixels.min() >= 0


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"signed": True},
        {"bits": 16},
        {"bits": 16, "signed": True},
        {"HighBit": 15},
        {"WindowCenter": 900, "WindowWidth": 700},
        {"WindowCenter": 900, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
        {"RescaleSlope": "0.5", "RescaleIntercept": "-100"},
        {"PixelPaddingValue": 7},
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 900},
        {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 7},
        {"VOILUTSequence": [lut(100, list(range(0, 255, 5)))]},
    ],
)
def test_a_large_film_worked_out_by_value_is_that_worked_out_by_pixel(monkeypatch, said):
    rng = np.random.default_rng(3)
    top = 1 << said.get("bits", 12)
    values = rng.integers(0, top, (300, 280)) - (top // 2 if said.get("signed") else 0)
    content = dicom(values, **said)
    by_value = read_dicom(content).pixels
    monkeypatch.setattr(dicoms, "_distinct", lambda raw: (raw, None))
    by_pixel = read_dicom(content).pixels
    assert len(np.unique(by_pixel)) > 10
    np.testing.assert_array_equal(by_value, by_pixel)
