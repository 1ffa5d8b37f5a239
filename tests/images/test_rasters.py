import io

import numpy as np
import pytest
from PIL import Image

from equipoise.errors import InvalidImage
from equipoise.images import read_raster


def encoded(pixels, form="PNG", **options):
    buffer = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_eight_bits_are_taken_as_they_are():
    grey = np.array([[3, 200]], np.uint8)
    picture = read_raster(encoded(grey))
    assert picture.pixels.tolist() == [[3, 200]]
    assert picture.facts["compression"] == "lossless"
    assert picture.facts["photometric"] == "MONOCHROME2"


def test_sixteen_bits_are_spread_over_their_range_and_not_cut():
    picture = read_raster(encoded(np.array([[1000, 2000, 3000]], np.uint16)))
    assert np.allclose(picture.pixels, [[0.0, 0.5, 1.0]])
    assert picture.facts["bits_stored"] == 16


def test_the_orientation_in_exif_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read_raster(encoded(np.zeros((8, 16, 3), np.uint8), "JPEG", exif=exif))
    assert picture.pixels.shape == (16, 8, 3)
    assert (picture.facts["rows"], picture.facts["columns"]) == (16, 8)
    assert picture.facts["compression"] == "lossy"


def test_what_is_transparent_is_laid_on_black():
    clear = np.array([[[200, 100, 50, 0], [200, 100, 50, 255]]], np.uint8)
    assert read_raster(encoded(clear)).pixels.tolist() == [[[0, 0, 0], [200, 100, 50]]]


def test_grey_with_alpha_stays_grey():
    clear = Image.fromarray(np.array([[[200, 0], [200, 255]]], np.uint8), "LA")
    assert read_raster(encoded(clear)).pixels.tolist() == [[0, 200]]


def test_a_palette_becomes_colour():
    colour = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))
    palette = colour.convert("P", palette=Image.Palette.ADAPTIVE)
    assert read_raster(encoded(palette)).pixels.tolist() == [[[255, 0, 0], [0, 0, 255]]]


def test_one_bit_becomes_black_and_white():
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert read_raster(encoded(bits)).pixels.tolist() == [[0, 255]]


def test_an_unreadable_png_is_refused():
    with pytest.raises(InvalidImage, match="not an image that can be read"):
        read_raster(b"\x89PNG\r\n")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_file_that_is_cut_short_is_refused(form):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    content = encoded(noise, form)
    with pytest.raises(InvalidImage, match="image cannot be decoded"):
        read_raster(content[: len(content) // 2])


def test_several_frames_are_refused():
    frames = [Image.new("L", (2, 2), shade) for shade in (0, 255)]
    content = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidImage, match="image of 2 frames; expected one"):
        read_raster(content)
