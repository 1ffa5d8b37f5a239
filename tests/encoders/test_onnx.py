import numpy as np
import pytest
import yaml

from equipoise.encoders.onnx import load
from equipoise.errors import InvalidConfiguration, InvalidEncoder
from equipoise.scope import Scope
from tests.encoders.models import DOUBLE, FLOAT, model
from tests.encoders.test_card import FIELDS

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 4), dtype=np.uint8)


def loaded(folder, content=None, **change):
    (folder / "tiny.onnx").write_bytes(model() if content is None else content)
    return load({"path": "tiny.onnx", "card": {**FIELDS, **change}}, Scope(base=folder))


def test_a_model_that_fits_its_card_embeds(tmp_path):
    encoder = loaded(tmp_path)
    np.testing.assert_array_equal(encoder.embed(PIXELS), PIXELS.reshape(5, 16))
    assert encoder.embed(PIXELS).dtype == np.float32
    assert encoder.engine.startswith("onnxruntime ")
    assert encoder.dimension == 16


def test_a_float_model_gets_the_range_of_its_card(tmp_path):
    encoder = loaded(tmp_path, model(kind=FLOAT), value_range="minus_one_one")
    np.testing.assert_allclose(encoder.embed(PIXELS), PIXELS.reshape(5, 16) / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_gives_the_same_vectors_as_a_free_one(tmp_path, batch):
    fixed = loaded(tmp_path, model((batch, 4, 4, 1)))
    np.testing.assert_array_equal(fixed.embed(PIXELS), PIXELS.reshape(5, 16))


def test_no_images_give_no_vectors(tmp_path):
    assert loaded(tmp_path).embed(PIXELS[:0]).shape == (0, 16)


def test_the_card_may_be_a_file(tmp_path):
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(FIELDS))
    (tmp_path / "tiny.onnx").write_bytes(model())
    encoder = load({"path": "tiny.onnx", "card": "card.yaml"}, Scope(base=tmp_path))
    assert encoder.digest == loaded(tmp_path).digest


def test_the_digest_moves_with_bytes_and_preprocessing_alone(tmp_path):
    first = loaded(tmp_path).digest
    assert loaded(tmp_path, source="elsewhere", notes="kind").digest == first
    assert loaded(tmp_path, model(operators=("Flatten", "Neg"))).digest != first
    assert loaded(tmp_path, precision="int8").digest != first
    assert loaded(tmp_path, model(kind=FLOAT), value_range="zero_one").digest != first


@pytest.mark.parametrize(
    ("content", "change", "message"),
    [
        (b"no model", {}, "tiny.onnx: not an ONNX model that onnxruntime can run"),
        (b"", {}, "tiny.onnx: not an ONNX model that onnxruntime can run"),
        (model()[:60], {}, "tiny.onnx: not an ONNX model that onnxruntime can run"),
        (
            model(),
            {"height": 8},
            r"input 'images' is \(batch, 4, 4, 1\); expected \(batch, 8, 4, 1\) \(NHWC\)",
        ),
        (
            model(),
            {"layout": "NCHW"},
            r"is \(batch, 4, 4, 1\); expected \(batch, 1, 4, 4\) \(NCHW\) as its card says",
        ),
        (model(), {"channels": 3}, r"is \(batch, 4, 4, 1\); expected \(batch, 4, 4, 3\)"),
        (model(("batch", 16)), {}, r"is \(batch, 16\); expected \(batch, 4, 4, 1\)"),
        (model(kind=DOUBLE), {}, r"input 'images' is tensor\(double\); expected tensor\(uint8\)"),
        (model(), {"value_range": "zero_one"}, "holds 0 to 255; the card says value_range 'zero"),
        (model(), {"mean": [1.0]}, "the card says value_range 'uint8' and a mean"),
        (model(), {"std": [2.0]}, "the card says value_range 'uint8' and a deviation"),
        (model(), {"output": "embeddingg"}, "no output 'embeddingg'; got embedding"),
        (model(outputs=("a", "b")), {}, r"2 outputs \(a, b\); expected one, or 'output'"),
        (model(), {"dimension": 8}, "output 'embedding' has 16 values for an image; expected 8"),
        (model(dimension="d"), {"dimension": 8}, "has 16 values for an image; expected 8"),
        (model(operators=("Neg", "Log", "Flatten")), {}, "a grey image gives NaN or infinity"),
        (model(weights_elsewhere=True), {}, "keeps weights in another file; expected all in this"),
        (model(), {"licence": ""}, r"card of .*tiny\.onnx: no licence"),
        (model(), {"channelz": 1}, r"card of .*tiny\.onnx: unknown key 'channelz'"),
    ],
)
def test_a_file_that_does_not_fit_its_card_is_refused(tmp_path, content, change, message):
    with pytest.raises(InvalidEncoder, match=message):
        loaded(tmp_path, content, **change)


def test_an_output_can_be_chosen_among_several(tmp_path):
    assert loaded(tmp_path, model(outputs=("a", "b")), output="b").embed(PIXELS).shape == (5, 16)


def test_a_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(InvalidEncoder, match=r"nowhere\.onnx: cannot be read"):
        load({"path": "nowhere.onnx", "card": FIELDS}, Scope(base=tmp_path))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"path": "a.onnx"}, r"encoder onnx: no parameter 'card'; got \['path'\]"),
        ({"pth": "a.onnx"}, "encoder onnx: unknown parameter 'pth'; expected path, card"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(InvalidConfiguration, match=message):
        load(parameters, Scope())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "dimension", "value_range"),
    [
        ("mobilenet_v1_imagenet_encoder_int8.onnx", 1024, "uint8"),
        ("mobilenet_v2_imagenet_encoder_int8.onnx", 1280, "uint8"),
        ("tm_cxr_mit.onnx", 3, "minus_one_one"),
    ],
)
def test_real_models_embed_and_do_not_mix_the_images_of_a_batch(
    shared, file, dimension, value_range
):
    card = {**FIELDS, "height": 224, "width": 224, "channels": 3, "dimension": dimension}
    parameters = {
        "path": str(shared / "models" / file),
        "card": {**card, "value_range": value_range},
    }
    encoder = load(parameters, Scope())
    pixels = np.random.default_rng(0).integers(0, 256, (4, 96, 64), dtype=np.uint8)
    together = encoder.embed(pixels)
    assert together.shape == (4, dimension)
    alone = np.concatenate([encoder.embed(pixels[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(together[::-1], encoder.embed(pixels[::-1]))
