import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from equipoise.images import Frame, Picture, sized, thumbnails


def test_reduction_averages_and_does_not_pick():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert abs(int(sized(Picture(stripes), Frame(8, 8))[4, 4]) - 127) <= 3


def test_padding_keeps_the_aspect_ratio_and_centres():
    pixels = sized(Picture(np.full((10, 20), 255, np.uint8)), Frame(20, 20, fit="pad"))
    assert pixels[:5].max() == 0
    assert pixels[5:15].min() == 255
    assert pixels[15:].max() == 0


def test_grey_in_three_channels_is_three_times_the_same():
    pixels = sized(Picture(np.array([[0.0, 1.0]], np.float32)), Frame(1, 2, 3))
    assert pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_colour_in_one_channel_follows_the_usual_weights():
    green = np.zeros((2, 2, 3), np.uint8)
    green[..., 1] = 255
    assert sized(Picture(green), Frame(2, 2)).tolist() == [[150, 150], [150, 150]]


def test_floats_and_bytes_of_the_same_picture_are_sized_alike():
    bytes_ = np.random.default_rng(2).integers(0, 256, (40, 30)).astype(np.uint8)
    floats = (bytes_ / 255).astype(np.float32)
    one, two = (sized(Picture(p), Frame(16, 16)).astype(int) for p in (bytes_, floats))
    assert np.abs(one - two).max() <= 1


@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([1, 3]),
    st.sampled_from(["stretch", "pad"]),
)
def test_the_size_is_always_the_one_declared(pixels, height, width, channels, fit):
    frame = Frame(height, width, channels, fit)
    assert sized(Picture(pixels), frame).shape == frame.shape


def test_thumbnails_agree_with_pillow():
    pixels = np.random.default_rng(4).integers(0, 256, (3, 64, 48)).astype(np.uint8)
    expected = [
        np.asarray(Image.fromarray(one.astype(np.float32)).resize((16, 16), Image.Resampling.BOX))
        for one in pixels
    ]
    assert np.allclose(thumbnails(pixels, 16), np.reshape(expected, (3, 256)), atol=1e-3)


def test_thumbnails_of_colour_keep_the_channels():
    pixels = np.zeros((2, 5, 7, 3), np.uint8)
    pixels[..., 2] = 9
    small = thumbnails(pixels, 16)
    assert small.shape == (2, 35, 3)
    assert np.unique(small[..., 2]).tolist() == [9]
