import numpy as np
import pytest

from equipoise.encoders import Card, card_of, check_known, known_image
from equipoise.errors import InvalidEncoder
from tests.encoders.test_card import FIELDS

NEW = {"training_digest", "groups_seen", "fairness", "cost", "test_vector"}


def embed(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(len(pixels), -1).astype(np.float32)


def card(factor: float) -> Card:
    values = (embed(known_image(4, 4)[None])[0] * factor).tolist()
    return card_of({**FIELDS, "test_vector": {"values": values}}, where="card")


def test_the_known_image_has_ramps_both_ways_a_square_and_the_same_bytes_everywhere():
    image = known_image(64, 32)
    assert image.shape == (64, 32)
    assert image.dtype == np.uint8
    assert (image[32:48, 16:24] == 255).all()
    assert int(image.astype(np.int64).sum()) == 222_335
    assert len(np.unique(image)) > 64


def test_a_vector_off_by_rounding_passes_and_one_off_by_more_does_not():
    check_known(card(1.0005), embed, where="tiny")
    with pytest.raises(
        InvalidEncoder, match=r"tiny: the test vector of its card is missed by 0\.02"
    ):
        check_known(card(0.98), embed, where="tiny")
    with pytest.raises(InvalidEncoder, match="missed by nan"):
        check_known(card(1.0), lambda x: embed(x) * np.nan, where="tiny")


def test_a_test_vector_of_another_length_is_refused():
    with pytest.raises(InvalidEncoder, match="test_vector has 3 values; expected the dimension"):
        card_of({**FIELDS, "test_vector": {"values": [1, 2, 3]}}, where="card")


def test_a_card_without_the_new_fields_sums_up_as_before_and_one_with_them_leaves_out_numbers():
    assert not NEW & set(card_of(FIELDS, where="card").summary())
    more = {"groups_seen": {"sex": {"F": 3}}, "cost": {"steps": 2}}
    told = card(1.0).model_copy(update=more).summary()
    assert told["groups_seen"] == {"sex": {"F": 3}}
    assert "test_vector" not in told
