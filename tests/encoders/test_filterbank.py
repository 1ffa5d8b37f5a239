import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from equipoise.encoders.filterbank import Parameters, _averaged, _responses, load
from equipoise.errors import InvalidConfiguration
from equipoise.scope import Scope

ENCODER = load({}, Scope())
RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 256, (7, 128, 128), dtype=np.uint8)


def test_vectors_have_the_length_that_the_encoder_says() -> None:
    vectors = ENCODER.embed(GREY)

    assert vectors.shape == (7, ENCODER.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert 500 <= ENCODER.dimension == ENCODER.card.dimension <= 1000


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(7)), st.integers(1, 6))
def test_the_batch_an_image_comes_in_does_not_change_its_vector(order: list[int], cut: int) -> None:
    whole = ENCODER.embed(GREY)

    parts = [ENCODER.embed(GREY[order[:cut]]), ENCODER.embed(GREY[order[cut:]])]

    assert (np.concatenate(parts) == whole[order]).all()


@pytest.mark.parametrize("shape", [(20, 20), (100, 77), (65, 200), (64, 64)])
def test_images_of_any_size_have_vectors(shape: tuple[int, int]) -> None:
    images = RNG.integers(0, 256, (2, *shape), dtype=np.uint8)

    assert np.isfinite(ENCODER.embed(images)).all()


def test_averaging_whole_cells_agrees_with_pillow() -> None:
    image = GREY[0].astype(np.float32)
    small = Image.fromarray(image).resize((64, 64), Image.Resampling.BOX)

    np.testing.assert_allclose(_averaged(image, 64), np.asarray(small), rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 40), st.integers(3, 40))
def test_averaging_cells_that_end_within_a_pixel_is_exact(height: int, width: int) -> None:
    image = np.random.default_rng(height * width).random((height, width), dtype=np.float32)
    fine = image.repeat(8, axis=0).repeat(8, axis=1)
    expected = fine.reshape(8, height, 8, width).mean(axis=(1, 3))

    np.testing.assert_allclose(_averaged(image, 8), expected, rtol=1e-4)


def test_oriented_filters_answer_to_their_orientation() -> None:
    stripes = np.sin(2 * np.pi * np.arange(32) / 7).astype(np.float32)
    upright, lying = np.tile(stripes, (32, 1)), np.tile(stripes[:, None], (1, 32))

    across, along = _responses(upright, 4).mean((0, 1)), _responses(lying, 4).mean((0, 1))

    assert across[:4].argmax() == 0
    assert along[:4].argmax() == 2


def test_a_spot_is_no_stripe() -> None:
    y, x = np.mgrid[-16:16, -16:16]
    spot = np.exp(-(x**2 + y**2) / 8).astype(np.float32)
    stripe = np.exp(-(x**2) / 8).astype(np.float32)

    seen = [_responses(image, 4)[4:-4, 4:-4, 6].max() for image in (spot, stripe)]

    assert seen[0] > 3 * seen[1]


def test_a_grey_image_in_three_channels_has_the_vector_of_the_grey_one() -> None:
    colour = np.repeat(GREY[..., None], 3, axis=3)

    np.testing.assert_allclose(ENCODER.embed(colour), ENCODER.embed(GREY), atol=1e-4)


def test_colour_is_seen_when_asked_for() -> None:
    colours = load({"channels": 3}, Scope())
    red = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    red[..., 0] = 200

    seen = colours.embed(red)[0, ENCODER.dimension :]

    assert colours.card.channels == 3
    assert seen[:16] == pytest.approx([200 / 255] * 16, abs=1e-5)
    assert seen[32:48] == pytest.approx([-100 / 255] * 16, abs=1e-5)
    assert (colours.embed(GREY)[:, ENCODER.dimension :] == 0).all()


def test_an_even_image_has_no_texture() -> None:
    flat = np.full((1, 64, 64), 90, dtype=np.uint8)

    vector = ENCODER.embed(flat)[0]

    assert vector[:64] == pytest.approx([90 / 255] * 64)
    assert np.abs(vector[64:]).max() < 1e-4


def test_the_digest_is_that_of_the_parameters() -> None:
    assert load({}, Scope()).digest == ENCODER.digest
    assert load({"cells": 2}, Scope()).digest != ENCODER.digest
    assert load({"grid": 64}, Scope()).digest == ENCODER.digest
    assert len(ENCODER.digest) == 64


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cell": 4}, "no parameter 'cell'; known: grid, scales"),
        ({"grid": 4}, "grid: Input should be greater than or equal to 32"),
        ({"channels": 2}, "channels is 2; expected 1 or 3"),
        ({"grid": 40}, "grid is 40; expected a multiple of 32"),
    ],
)
def test_parameters_that_cannot_be_are_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        load(parameters, Scope())


def test_the_parameters_are_frozen_and_described() -> None:
    fields = Parameters.model_json_schema()["properties"].values()

    assert all(field.get("description") for field in fields)
