"""Engines side by side: the same vectors, precision said and recorded, choices kept."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("openvino")

from equipoise.encoders import demo, fastest, onnx, openvino, quantising
from equipoise.encoders.card import card_of
from equipoise.errors import InvalidConfiguration, InvalidEncoder
from equipoise.scope import Scope

MODEL = demo.FOLDER / "encoder.onnx"
CARD = yaml.safe_load((demo.FOLDER / "card.yaml").read_text(encoding="utf-8"))
BARE = {name: value for name, value in CARD.items() if name != "test_vector"}


def images(n: int, seed: int = 0) -> np.ndarray:
    """Return smooth images, as radiographs are."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return np.kron(coarse, np.ones((1, 8, 8), dtype=np.uint8)).astype(np.uint8)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Return the smallest over all images."""
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / length).min())


def loaded(precision: str, path: Path = MODEL, card: object = None) -> openvino.Encoder:
    told = {"path": str(path), "card": CARD if card is None else card, "precision": precision}
    return openvino.load(told, Scope())


@pytest.fixture(scope="module")
def integers(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("int8") / "encoder.xml"
    return quantising.quantised(MODEL, card_of(CARD, where="demo"), images(32), out)


def test_two_engines_give_the_same_vectors_in_single_precision():
    reference = onnx.load({"path": str(MODEL), "card": CARD}, Scope()).embed(images(8))
    found = loaded("float32")
    np.testing.assert_allclose(found.embed(images(8)), reference, rtol=1e-3, atol=1e-4)
    assert found.engine.startswith("OpenVINO 20")
    assert found.precision == "float32"


def test_a_lower_precision_is_another_encoder_with_nearly_the_same_vectors(integers):
    reference = loaded("float32")
    vectors = reference.embed(images(8))
    half, eight = loaded("bfloat16"), loaded("int8", integers)
    assert len({reference.digest, half.digest, eight.digest}) == 3
    assert 0.999 < cosine(half.embed(images(8)), vectors) < 1.0
    assert 0.98 < cosine(eight.embed(images(8)), vectors) < 1.0
    assert not np.array_equal(half.embed(images(8)), vectors)


def test_other_images_to_calibrate_on_make_another_encoder(integers, tmp_path):
    card = card_of(CARD, where="demo")
    other = quantising.quantised(MODEL, card, images(32, seed=1) // 4, tmp_path / "other.xml")
    assert loaded("int8", other, BARE).digest != loaded("int8", integers, BARE).digest


def test_integers_are_called_by_their_name(integers):
    with pytest.raises(InvalidEncoder, match="is quantised, and float32 was asked for"):
        loaded("float32", integers, BARE)
    with pytest.raises(InvalidEncoder, match="int8 was asked for and the model is not quantised"):
        loaded("int8")


def test_the_test_vector_catches_a_wrong_normalisation_under_any_engine():
    for precision in ("float32", "bfloat16"):
        for wrong in ({"mean": [0.2]}, {"std": [0.4]}, {"value_range": "minus_one_one"}):
            with pytest.raises(InvalidEncoder, match="the test vector of its card is missed by"):
                loaded(precision, card={**CARD, **wrong})


def test_what_does_not_fit_is_named(tmp_path):
    with pytest.raises(InvalidConfiguration, match="precision 'fp8'; expected float32, bfloat16"):
        loaded("fp8")
    with pytest.raises(InvalidEncoder, match="15 images to calibrate on; expected 16 or more"):
        quantising.quantised(
            MODEL, card_of(CARD, where="demo"), images(15), tmp_path / "encoder.xml"
        )
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InvalidEncoder, match=r"text.onnx: not a model that OpenVINO can read"):
        loaded("float32", tmp_path / "text.onnx")
    (tmp_path / "bare.xml").write_text("<net/>")
    with pytest.raises(InvalidEncoder, match=r"bare.bin: cannot be read"):
        loaded("float32", tmp_path / "bare.xml")
    with pytest.raises(InvalidEncoder, match="expected 191 as its card says"):
        loaded("float32", card={**BARE, "dimension": 191})


def test_the_choice_of_an_engine_is_recorded_and_kept(tmp_path):
    scope = Scope(cache=tmp_path)
    told = {"path": str(MODEL), "card": CARD}
    first = fastest.load(told, scope)
    assert first.chosen is not None
    assert set(first.chosen["images_per_second"]) == {"onnxruntime", "openvino"}
    (record,) = (tmp_path / "engines").iterdir()
    assert json.loads(record.read_text())["engine"] == first.chosen["engine"]
    for engine, starts in (("onnxruntime", "onnxruntime"), ("openvino", "OpenVINO")):
        record.write_text(json.dumps({**first.chosen, "engine": engine}))
        again = fastest.load(told, scope)
        assert again.engine.startswith(starts)
        assert again.chosen["engine"] == engine


def test_nobody_is_told_of_a_call():
    # In a process of its own: under pytest the library keeps silent by itself.
    probe = (
        "from equipoise.encoders.quantising import silent_nncf; silent_nncf(); "
        "from nncf.telemetry.wrapper import telemetry; print(type(telemetry).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.split()[-1] == "MagicMock", done.stderr


def test_a_trial_times_what_embeds():
    slow = onnx.load({"path": str(MODEL), "card": CARD}, Scope())
    found = fastest.choose({"one": slow}, seconds=0.01)
    assert found["engine"] == "one"
    assert found["images_per_second"]["one"] > 0
