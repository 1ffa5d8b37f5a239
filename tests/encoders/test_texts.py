import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.encoders import PromptSet, TextTower, zero_shot, zero_shot_each
from equipoise.encoders.building import built
from equipoise.encoders.card import Card
from equipoise.encoders.texts import check_same_model
from equipoise.errors import InvalidEncoder, InvalidTable
from equipoise.tables import PREDICTIONS, check

D = 6
SCALE = 20.0


def vector_of(text):
    rng = np.random.default_rng(list(text.encode()))
    found = rng.normal(size=D)
    return found / np.linalg.norm(found)


def words(texts):
    return np.array([vector_of(text) for text in texts], np.float32)


TOWER = TextTower("toy", "0" * 64, "1" * 64, "numpy", D, SCALE, words)
PROMPTS = PromptSet(
    name="two",
    templates=("{}", "X-ray: {}"),
    findings={
        "edema": {"positive": ["edema", "wet"], "negative": ["no edema", "dry"]},
        "effusion": {"positive": ["effusion"], "negative": ["clear"]},
    },
)
X = np.random.default_rng(1).normal(size=(7, D))
IMAGES = pl.DataFrame({"image_id": [f"i{n}" for n in range(7)], "vector": X.tolist()})


def softmax_by_hand(x, positive, negative, scale):
    """Return the score as CLIP's own code gives it: two class vectors, then a softmax."""
    classes = []
    for texts in (positive, negative):
        mean = np.mean([vector_of(text) for text in texts], axis=0)
        classes.append(mean / np.linalg.norm(mean))
    logits = scale * (x / np.linalg.norm(x, axis=1, keepdims=True)) @ np.array(classes).T
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weight[:, 0] / weight.sum(axis=1)


def test_scores_are_the_softmax_over_the_means_of_each_sides_texts():
    found = zero_shot(IMAGES, TOWER, PROMPTS)
    check(found, PREDICTIONS)
    assert found.columns == ["image_id", "score:edema", "score:effusion"]
    positive = ["edema", "X-ray: edema", "wet", "X-ray: wet"]
    negative = ["no edema", "X-ray: no edema", "dry", "X-ray: dry"]
    told = softmax_by_hand(X, positive, negative, SCALE)
    np.testing.assert_allclose(found["score:edema"], told, rtol=1e-5)


def test_each_pair_by_itself_stands_beside_the_ensemble():
    found = zero_shot_each(IMAGES, TOWER, PROMPTS).filter(finding="edema")
    assert found["prompt"].unique(maintain_order=True).to_list() == [
        None,
        "edema | no edema",
        "X-ray: edema | X-ray: no edema",
        "wet | dry",
        "X-ray: wet | X-ray: dry",
    ]
    whole = found.filter(pl.col("prompt").is_null())
    assert whole["score"].equals(zero_shot(IMAGES, TOWER, PROMPTS)["score:edema"])
    one = found.filter(prompt="wet | dry")
    told = softmax_by_hand(X, ["wet"], ["dry"], SCALE)
    np.testing.assert_allclose(one["score"], told, rtol=1e-5)
    assert one["image_id"].to_list() == IMAGES["image_id"].to_list()


def test_the_ensemble_is_a_mean_of_vectors_and_not_of_scores():
    found = zero_shot_each(IMAGES, TOWER, PROMPTS).filter(finding="edema")
    mean = (
        found.drop_nulls("prompt")
        .group_by("image_id", maintain_order=True)
        .agg(pl.col("score").mean())
    )
    whole = found.filter(pl.col("prompt").is_null())["score"]
    assert (mean["score"] - whole).abs().max() > 0.01


@given(st.permutations(range(7)), st.floats(0.01, 100.0))
def test_neither_order_nor_length_of_image_vectors_matters(order, length):
    moved = pl.DataFrame(
        {"image_id": [f"i{n}" for n in order], "vector": [(X[n] * length).tolist() for n in order]}
    )
    found, told = zero_shot(moved, TOWER, PROMPTS), zero_shot(IMAGES, TOWER, PROMPTS)
    assert found["image_id"].equals(told["image_id"])
    np.testing.assert_allclose(found["score:edema"], told["score:edema"], rtol=1e-9)


def test_sides_that_change_places_turn_scores_round():
    turned = PromptSet(name="t", findings={"x": {"positive": ["dry"], "negative": ["wet"]}})
    right = PromptSet(name="t", findings={"x": {"positive": ["wet"], "negative": ["dry"]}})
    both = [zero_shot(IMAGES, TOWER, one)["score:x"].to_numpy() for one in (turned, right)]
    np.testing.assert_allclose(both[0], 1 - both[1], atol=1e-12)


def test_arrays_and_lists_of_either_precision_are_one():
    fixed = IMAGES.with_columns(pl.col("vector").cast(pl.Array(pl.Float32, D)))
    told = zero_shot(IMAGES, TOWER, PROMPTS)["score:edema"]
    np.testing.assert_allclose(zero_shot(fixed, TOWER, PROMPTS)["score:edema"], told, rtol=1e-5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame({"image_id": ["a"]}), "no column 'vector'"),
        (
            pl.DataFrame({"image_id": ["a"], "vector": [[1.0, 2.0]]}),
            r"vectors have \[2\] values; expected 6 as of the text tower 'toy'",
        ),
        (
            pl.DataFrame({"image_id": ["a"], "vector": [[0.0] * D]}),
            "hold NaN or infinity, or are 0 throughout",
        ),
        (pl.DataFrame({"image_id": ["a"], "vector": [[float("nan")] * D]}), "hold NaN or infinity"),
    ],
)
def test_vectors_that_cannot_be_of_this_space_are_refused(table, message):
    with pytest.raises(InvalidTable, match=message):
        zero_shot(table, TOWER, PROMPTS)


def test_no_images_give_no_rows():
    assert zero_shot(IMAGES.clear(), TOWER, PROMPTS).height == 0
    assert zero_shot_each(IMAGES.clear(), TOWER, PROMPTS).height == 0


def test_a_tokeniser_that_tells_no_texts_apart_is_found():
    deaf = TextTower("deaf", "", "", "numpy", D, 1.0, lambda texts: words(["x"] * len(texts)))
    with pytest.raises(InvalidEncoder, match="both sides of 'edema' are the same vector"):
        zero_shot(IMAGES, deaf, PROMPTS)


def test_a_tower_that_gives_nothing_of_use_is_refused():
    nan = TextTower(
        "nan", "", "", "numpy", D, 1.0, lambda texts: np.full((len(texts), D), np.nan, np.float32)
    )
    with pytest.raises(InvalidEncoder, match=r"gave \(4, 6\) for 4 texts; expected numbers"):
        zero_shot(IMAGES, nan, PROMPTS)


CARD = Card(
    name="toy",
    layout="NHWC",
    height=2,
    width=3,
    channels=1,
    value_range="uint8",
    dimension=D,
    licence="MIT",
    pooling="projection",
)


def encoder(**change):
    return built(
        CARD.model_copy(update=change),
        lambda values: values.reshape(len(values), -1).astype(np.float32),
        weights="0" * 64,
        engine="torch CPU",
        version="torch 0",
        precision="float32",
        where="toy",
    )


def test_embeddings_belong_to_the_texts_of_the_same_weights_card_and_precision():
    made = encoder()
    check_same_model(TOWER, made.card, made.digest, made.precision)
    other = TextTower("toy", "2" * 64, "1" * 64, "numpy", D, SCALE, words)
    with pytest.raises(InvalidEncoder, match="is not of the model of the text tower 'toy'"):
        check_same_model(other, made.card, made.digest, made.precision)
    with pytest.raises(InvalidEncoder, match="is not of the model"):
        check_same_model(TOWER, made.card, made.digest, "bfloat16")
    pooled = encoder(pooling="pooled")
    with pytest.raises(InvalidEncoder, match="pooling is pooled; expected projection"):
        check_same_model(TOWER, pooled.card, pooled.digest, pooled.precision)
