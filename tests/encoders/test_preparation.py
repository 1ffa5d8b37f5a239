import numpy as np
import pytest
from PIL import Image

from equipoise.encoders import Card, card_of
from equipoise.encoders.preparation import prepared, ready_for
from equipoise.errors import InvalidEncoder
from tests.encoders.test_card import FIELDS


def card(**change: object) -> Card:
    return card_of({**FIELDS, **change}, where="card")


def test_plain_bytes_stay_as_they_are():
    pixels = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    found = prepared(pixels, card())
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], pixels)


def test_grey_is_repeated_for_a_colour_encoder():
    pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    found = prepared(pixels, card(channels=3))
    assert found.shape == (1, 4, 4, 3)
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], pixels)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("uint8", 0, 255), ("zero_one", 0, 1), ("minus_one_one", -1, 1)]
)
def test_each_value_range_has_its_ends(name, low, high):
    pixels = np.array([0, 255] * 8, dtype=np.uint8).reshape(1, 4, 4)
    found = prepared(pixels, card(value_range=name))
    assert (found.min(), found.max()) == (low, high)


def test_mean_and_deviation_go_by_channel():
    pixels = np.full((1, 4, 4, 3), 255, np.uint8)
    wanted = card(channels=3, value_range="zero_one", mean=[0.5, 0, 0], std=[0.5, 0.25, 1])
    assert prepared(pixels, wanted)[0, 0, 0].tolist() == [1.0, 4.0, 1.0]


def test_channels_first_is_a_transposition():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    last = prepared(pixels, card(channels=3))
    first = prepared(pixels, card(channels=3, layout="NCHW"))
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), last)


def test_another_size_is_resized_as_pillow_does():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 9, 7, 3), dtype=np.uint8)
    expected = Image.fromarray(pixels[0]).resize((4, 4), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(prepared(pixels, card(channels=3))[0], np.asarray(expected))


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.uint8), np.zeros((1, 4, 4, 2), np.uint8)],
    ids=["float", "no batch", "two channels"],
)
def test_what_is_no_image_is_refused(pixels):
    with pytest.raises(InvalidEncoder, match=r"encoder 'tiny': pixels are .* expected uint8"):
        ready_for(pixels, card())
