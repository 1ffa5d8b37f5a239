"""What the stage refuses before it trains, and whom it learns from."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from equipoise import pretrain, training
from equipoise.errors import (
    InvalidConfiguration,
    InvalidTable,
    MissingExtra,
    UnknownName,
)
from equipoise.pretrain.material import seen
from equipoise.scope import Scope
from equipoise.study import parse
from equipoise.tables import COHORT, EMBEDDINGS, SPLITS, WEIGHTS, read, read_json, write
from tests.pretrain.made import given

SMALL = {"steps": 2, "batch": 8, "precision": "float32", "size": 32, "widths": (8, 8, 8)}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return given(tmp_path_factory.mktemp("given"), patients=60)


def test_only_patients_of_the_training_split_are_seen(inputs, tmp_path) -> None:
    found = seen(pretrain.Options(**SMALL), inputs, Scope())
    splits = read(inputs["splits"] / "splits.parquet", SPLITS)
    training_split = splits.filter(pl.col("split") == "train")
    assert set(found.cohort["image_id"]) == set(training_split["image_id"])
    assert found.split == "train"
    assert set(found.rows.tolist()) <= set(range(splits.height))
    torn = splits.with_row_index().with_columns(
        pl.when(pl.col("index") % 2 == 0).then(pl.lit("test")).otherwise("split").alias("split")
    )
    write(torn.drop("index"), tmp_path / "splits.parquet", SPLITS)
    with pytest.raises(InvalidTable, match="patients are in training and elsewhere"):
        seen(pretrain.Options(**SMALL), {**inputs, "splits": tmp_path}, Scope())


def test_without_splits_it_refuses_unless_told_and_then_records_it(inputs) -> None:
    bare = {noun: folder for noun, folder in inputs.items() if noun != "splits"}
    with pytest.raises(InvalidConfiguration, match="no splits are given") as caught:
        seen(pretrain.Options(**SMALL), bare, Scope())
    assert "without_splits: true" in caught.value.hint
    found = seen(pretrain.Options(**SMALL, without_splits=True), bare, Scope())
    assert found.split == "none given: all patients"
    assert found.cohort.height == read(inputs["cohort"] / "cohort.parquet", COHORT).height


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        ({"batch": 500}, InvalidConfiguration, "batch 500 is larger than the"),
        ({"objective": "simclrr"}, UnknownName, "no objective 'simclrr'; known: simclr"),
        ({"reducer": {"kind": "group_drop"}}, UnknownName, "no reducer 'group_drop'; known: cvar"),
        ({"sampler": {"kind": "uniforn"}}, UnknownName, "no sampler 'uniforn'"),
        ({"group_by": ["sexe"]}, InvalidTable, "cohort: no column 'sexe'"),
        ({"group_by": ["modality"], "sampler": {"kind": "groups"}}, None, None),
        ({"reducer": {"kind": "group_dro"}}, InvalidConfiguration, "no groups are declared"),
        ({"sampler": {"kind": "weights"}}, InvalidConfiguration, "no weights are given"),
        (
            {"same_group_negatives": True, "group_by": ["site"]},
            InvalidConfiguration,
            "a batch of 8 holds .* images of site=harbour on average; expected at least 8",
        ),
        ({"device": "cuda"}, InvalidConfiguration, "torch finds no GPU here"),
    ],
)
def test_what_cannot_be_trained_is_said_before_training(inputs, tmp_path, told, error, words):
    if error is None:
        pretrain.run(pretrain.Options(**{**SMALL, **told}), inputs, tmp_path, Scope())
        return
    with pytest.raises(error, match=words):
        pretrain.run(pretrain.Options(**{**SMALL, **told}), inputs, tmp_path, Scope())
    assert list(tmp_path.iterdir()) == []


def test_an_attribute_of_one_level_is_refused(inputs, tmp_path) -> None:
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    write(cohort.with_columns(ward=pl.lit("b")), tmp_path / "cohort.parquet", COHORT)
    options = pretrain.Options(**SMALL, group_by=["ward"])
    with pytest.raises(InvalidConfiguration, match=r"1 level is known \(ward=b\)"):
        seen(options, {**inputs, "cohort": tmp_path}, Scope())


def test_weights_of_a_table_are_taken_by_image_and_a_stray_column_is_named(inputs, tmp_path):
    ids = read(inputs["cohort"] / "cohort.parquet", COHORT)["image_id"]
    table = pl.DataFrame({"image_id": ids, "rarity": np.arange(len(ids), dtype=float)})
    table.write_csv(tmp_path / "w.csv")
    chosen = {"kind": "weights", "table": "w.csv", "column": "rarity"}
    found = seen(pretrain.Options(**SMALL, sampler=chosen), inputs, Scope(base=tmp_path))
    by_image = dict(table.iter_rows())
    assert found.weights.tolist() == [by_image[i] for i in found.cohort["image_id"]]
    chosen["column"] = "rarty"
    with pytest.raises(InvalidTable, match="weights: no column 'rarty'") as caught:
        seen(pretrain.Options(**SMALL, sampler=chosen), inputs, Scope(base=tmp_path))
    assert caught.value.hint == "did you mean 'rarity'?"


def test_an_unknown_augmentation_names_the_nearest() -> None:
    with pytest.raises(InvalidConfiguration, match="unknown key 'rotatoin'") as caught:
        pretrain.Options(augmentation={"rotatoin": 3})
    assert caught.value.hint == "did you mean 'rotation'?"


def test_a_loss_that_is_no_number_stops_with_step_and_rate_and_leaves_nothing(inputs, tmp_path):
    out, cache = tmp_path / "out", tmp_path / "cache"
    out.mkdir()
    options = pretrain.Options(**{**SMALL, "steps": 40}, learning_rate=1e30, every=1, warm_up=0.0)
    with pytest.raises(InvalidConfiguration, match=r"is (nan|inf) at step \d+ of 40") as caught:
        pretrain.run(options, inputs, out, Scope(cache=cache))
    assert "learning_rate to 1e+29" in caught.value.hint
    assert list(out.iterdir()) == []


def test_without_torch_it_says_what_to_install(monkeypatch, inputs, tmp_path) -> None:
    monkeypatch.setattr(training, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match="pre-training needs torch") as caught:
        pretrain.run(pretrain.Options(**SMALL), inputs, tmp_path, Scope())
    assert caught.value.hint == "pip install 'equipoise[train]'"


def test_a_study_hands_the_encoder_to_embed_only_if_there_is_one() -> None:
    stages = {"phantoms": {}, "ingest": {"format": "dicom"}, "curate": {}, "pretrain": {}}
    with_one = parse({"version": 1, "name": "x", "stages": {**stages, "embed": {}}})
    assert with_one.nodes[-1].givers["encoder"] == "pretrain"
    assert with_one.nodes[-2].givers["splits"] == "curate"
    del stages["pretrain"]
    without = parse({"version": 1, "name": "x", "stages": {**stages, "embed": {}}})
    assert set(without.nodes[-1].givers) == {"cohort", "images"}


def test_clusters_of_embeddings_stand_in_for_groups_and_tell_what_they_go_with(inputs, tmp_path):
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT).sort("image_id")
    at = (cohort["site"] == "ridge").cast(pl.Float32).to_numpy()
    vectors = np.stack([10 * at, np.random.default_rng(0).random(len(at))], axis=1)
    table = cohort.select("image_id").with_columns(
        vector=pl.Series(vectors.astype(np.float32), dtype=pl.Array(pl.Float32, 2))
    )
    write(table, tmp_path / "e.parquet", EMBEDDINGS)
    told = {"clusters": {"embeddings": "e.parquet", "n": 2}, "sampler": {"kind": "groups"}}
    options = pretrain.Options(**SMALL, **told)
    found = seen(options, inputs, Scope(base=tmp_path))
    assert set(found.groups.counts()) == {"cluster=0", "cluster=1"}
    assert found.associations()["site"] == 1.0
    assert pretrain.sources(options, Scope(base=tmp_path))["clusters"] == tmp_path / "e.parquet"
    write(table.head(3), tmp_path / "e.parquet", EMBEDDINGS)
    with pytest.raises(InvalidTable, match=r"embeddings: \d+ of \d+ images are missing"):
        seen(options, inputs, Scope(base=tmp_path))
    with pytest.raises(ValueError, match="group_by and clusters are both given"):
        pretrain.Options(**SMALL, **told, group_by=["site"])


def test_weights_of_curate_are_drawn_by_and_the_story_says_that_they_rest_on_labels(
    inputs, tmp_path
):
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    weights = cohort.select("image_id", pl.lit(1.0).alias("weight:opacity"))
    write(weights, tmp_path / "weights.parquet", WEIGHTS)
    out = tmp_path / "out"
    out.mkdir()
    options = pretrain.Options(**SMALL, sampler={"kind": "weights"})
    pretrain.run(options, {**inputs, "weights": tmp_path}, out, Scope())
    assert read_json(out / "pretraining.json")["sampler"]["rests_on_labels"] is True
