"""Integers of 8 bits in the stage: one rank calibrates, the others take its model, all is told."""

import shutil
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
import yaml

from equipoise import embed, evidence, tables
from equipoise.embed import calibrating
from equipoise.encoders import demo
from equipoise.errors import (
    InvalidConfiguration,
    InvalidEncoder,
    InvalidInput,
    Refused,
)
from equipoise.scope import Scope
from equipoise.tables import stored
from tests.embed.test_embed import BARRED

CARD = yaml.safe_load((demo.FOLDER / "card.yaml").read_text(encoding="utf-8"))
BARE = {name: value for name, value in CARD.items() if name != "test_vector"}
INT8 = {"path": "encoder.onnx", "precision": "int8", "card": BARE}

needs_openvino = pytest.mark.skipif(
    not (find_spec("openvino") and find_spec("nncf")), reason="needs the extra openvino"
)


def prepared(folder, n=40):
    """Write cohort, image cache and the demo's network; return folders of the inputs."""
    shape, rng = (n, CARD["height"], CARD["width"]), np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    factor = (1, shape[1] // 8, shape[2] // 8)
    pixels = np.kron(coarse, np.ones(factor, np.uint8)).astype(np.uint8)
    ids = [f"i{k:02d}" for k in range(n)]
    digests = [evidence.digest(one.tolist()) for one in pixels]
    index = pl.DataFrame({"image_id": ids, "row": range(n), "pixel_digest": digests})
    cohort = pl.DataFrame({"image_id": ids[1:], "patient_id": ids[1:], "site": "s"})
    for name in ("cohort", "images"):
        (folder / name).mkdir(parents=True)
    tables.write(cohort, folder / "cohort" / "cohort.parquet", tables.COHORT)
    tables.write(index, folder / "images" / "images.parquet", tables.IMAGE_CACHE)
    np.save(folder / "images" / "images.npy", pixels)
    shutil.copy(demo.FOLDER / "encoder.onnx", folder / "encoder.onnx")
    return {name: folder / name for name in ("cohort", "images")}


def asked(**change):
    return embed.Options(encoder="openvino", parameters={**INT8, **change})


@pytest.fixture
def without_openvino(monkeypatch):
    """Take the place of the library; return the pixels of each model that was quantised."""
    seen = []

    def quantised(path, card, pixels, out):
        if len(pixels) < 16:
            raise InvalidEncoder("too few")
        seen.append(pixels)
        tables.write_bytes(out.with_suffix(".bin"), b"weights")
        tables.write_bytes(out, b"model")
        return out

    monkeypatch.setattr("equipoise.encoders.openvino.version", lambda: "OpenVINO 0 CPU")
    monkeypatch.setattr("equipoise.encoders.quantising.quantised", quantised)
    return seen


def calibrated(folder, inputs, scope=None, options=None, **more):
    cohort = tables.read(inputs["cohort"] / "cohort.parquet", tables.COHORT)
    images = tables.ImageCache.open(inputs["images"])
    scope = scope or Scope(base=folder, cache=folder / "cache")
    return calibrating.calibrated(options or asked(), cohort, images, scope, **more)


def test_a_model_is_calibrated_once_on_images_of_the_cohort_alone(tmp_path, without_openvino):
    inputs = prepared(tmp_path)
    chosen, said = calibrated(tmp_path, inputs)
    assert chosen.parameters["path"].endswith(".xml")
    assert chosen.parameters["precision"] == "int8"
    assert said["images"] == 39  # the one that is not in the cohort is not looked at
    assert len(said["of_model"]) == len(said["pixel_digests"]) == 64
    cache = tables.ImageCache.open(inputs["images"])
    (pixels,) = without_openvino
    assert {one.tobytes() for one in pixels} == {one.tobytes() for one in cache.pixels[1:]}
    assert calibrated(tmp_path, inputs) == (chosen, said)
    assert len(without_openvino) == 1


def test_other_images_or_another_preparation_are_another_model(tmp_path, without_openvino):
    inputs = prepared(tmp_path)
    paths = [calibrated(tmp_path, inputs)[0].parameters["path"]]
    other = asked(card={**BARE, "value_range": "minus_one_one"})
    paths.append(calibrated(tmp_path, inputs, options=other)[0].parameters["path"])
    cohort = tables.read(inputs["cohort"] / "cohort.parquet", tables.COHORT)
    tables.write(cohort.head(20), inputs["cohort"] / "cohort.parquet", tables.COHORT)
    paths.append(calibrated(tmp_path, inputs)[0].parameters["path"])
    assert len(set(paths)) == len(without_openvino) == 3


def test_another_rank_takes_the_model_of_the_first_and_makes_none(tmp_path, without_openvino):
    inputs, found = prepared(tmp_path), []
    second = Scope(base=tmp_path, cache=tmp_path / "cache", rank=1, world_size=2)
    with pytest.raises(InvalidInput, match=r"no quantised model .* which the first rank makes"):
        calibrated(tmp_path, inputs, second, pause=lambda: None, patience=3)
    assert without_openvino == []

    def first():
        found.append(calibrated(tmp_path, inputs))

    assert calibrated(tmp_path, inputs, second, pause=first) == found[0]
    assert len(found) == len(without_openvino) == 1


def test_what_cannot_be_calibrated_is_refused(tmp_path, without_openvino):
    with pytest.raises(InvalidConfiguration, match="int8 needs a cache folder"):
        calibrated(tmp_path, prepared(tmp_path), Scope(base=tmp_path))
    few = tmp_path / "few"
    with pytest.raises(InvalidEncoder, match="too few"):
        calibrated(few, prepared(few, n=9))


@pytest.mark.parametrize("lacking", ["path", "card"])
def test_parameters_that_are_missing_are_left_to_the_loader_to_name(tmp_path, lacking):
    told = {name: value for name, value in INT8.items() if name != lacking}
    options = embed.Options(encoder="openvino", parameters=told)
    with pytest.raises(InvalidConfiguration, match=f"no parameter '{lacking}'"):
        embed.run(options, {}, tmp_path, Scope(base=tmp_path, cache=tmp_path))


def test_calibrating_is_a_use_that_a_licence_may_forbid(tmp_path, without_openvino):
    inputs = prepared(tmp_path)
    card = {**BARE, "licence": "its own", "terms": BARRED}
    options = asked(card=card).model_copy(update={"use": "commercial"})
    with pytest.raises(Refused, match="commercial use is ruled out"):
        embed.run(options, inputs, tmp_path, Scope(base=tmp_path, cache=tmp_path / "cache"))
    assert without_openvino == []


@needs_openvino
def test_vectors_say_what_their_encoder_was_calibrated_on_in_one_file_and_in_parts(tmp_path):
    inputs = prepared(tmp_path)
    scope = Scope(base=tmp_path, cache=tmp_path / "cache")
    results = []
    for place, size in (("one", None), ("parts", 15)):
        out = tmp_path / place
        out.mkdir()
        options = asked().model_copy(update={"shard_size": size, "storage": "float32"})
        results.append(embed.run(options, inputs, out, scope))
        said = tables.metadata(out / "embeddings.parquet")
        assert said["calibration"] == results[-1]["calibration"]
        assert (said["precision"], said["use"]) == ("int8", "research")
    one, parts = results
    assert one["calibration"] == parts["calibration"]
    assert one["calibration"]["images"] == 39
    assert one["calibration"]["by"].startswith("NNCF ")
    assert one["digest"] == parts["digest"]
    assert len(stored.parts_in(tmp_path / "parts" / "embeddings")) == 3
    tables_of = [
        tables.read(tmp_path / place / "embeddings.parquet", tables.EMBEDDINGS)
        for place in ("one", "parts")
    ]
    assert tables_of[0].equals(tables_of[1])
    assert len(list((tmp_path / "cache" / "quantised").glob("*.xml"))) == 1
