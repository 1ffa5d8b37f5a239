import json

import numpy as np
import polars as pl
import pytest

from equipoise import document, ingest
from equipoise.errors import InvalidTable
from equipoise.scope import Scope
from equipoise.tables import COHORT, EMBEDDINGS, IMAGE_CACHE, ImageCache, write
from tests.document.made import cohort, embeddings, images


def probes(said, finding="mass"):
    return {row["source"]: row for row in said["shortcuts"] if row["finding"] == finding}


def test_where_nothing_tells_the_label_nothing_warns():
    table = cohort()
    said = document.facts(table, images(table))
    assert said["warnings"] == []
    assert {row["verdict"] for row in said["shortcuts"]} <= {"no signal", "not assessable"}


@pytest.mark.parametrize("seed", range(4))
def test_false_warnings_are_rare(seed):
    table = cohort(300, seed=seed)
    assert document.facts(table, images(table, seed))["warnings"] == []


def test_a_header_that_tells_the_label_warns():
    table = cohort(300)
    label = table["label:mass"]
    planted = table.with_columns(kvp=pl.when(label).then(90.0).otherwise(pl.col("kvp")))
    row = probes(document.facts(planted, images(table)))["header"]
    assert row["verdict"] == "shortcut warning"
    assert row["kind"] == "content_free"
    assert row["crude"]["p_holm"] < 0.05
    assert row["crude"]["against"] == 0.6
    assert "it tells the label without any image" in row["sentence"]


def test_a_relation_that_is_not_monotone_is_seen():
    table = cohort(400)
    label = table["label:mass"].to_numpy()
    day = np.random.default_rng(1).integers(0, 100, 400)
    day = np.where(label, 100 + day, np.where(day % 2 == 0, day, 200 + day))
    planted = table.with_columns(
        acquired_on=pl.lit("2020-01-01").str.to_date() + pl.duration(days=pl.Series(day))
    )
    assert probes(document.facts(planted, images(table)))["acquired_on"]["crude"]["auroc"] > 0.9


@pytest.mark.slow
def test_a_weak_but_sure_source_is_reported_and_does_not_warn():
    table = cohort(4000)
    label = table["label:mass"].to_numpy()
    device = np.where(np.random.default_rng(2).random(4000) < 0.4 + 0.15 * label, "A", "B")
    planted = table.with_columns(manufacturer=pl.Series(device))
    row = probes(document.facts(planted, images(table)))["device"]
    assert 0.53 < row["crude"]["auroc"] < 0.6
    assert row["verdict"] == "low-resolution signal"
    assert "not surely above the declared 0.60" in row["sentence"]


def test_a_source_that_only_follows_the_view_vanishes_given_the_view():
    rng = np.random.default_rng(3)
    view = rng.choice(["AP", "PA"], 800)
    table = cohort(800, view=view.tolist())
    label = rng.random(800) < np.where(table["view"] == "AP", 0.8, 0.2)
    kvp = np.where(table["view"] == "AP", 90.0, 80.0) + rng.normal(size=800).round(1)
    planted = table.with_columns(pl.Series("label:mass", label), kvp=pl.Series(kvp))
    row = probes(document.facts(planted, images(table)))["header"]
    assert row["crude"]["auroc"] > 0.75
    assert abs(row["conditional"]["auroc"] - 0.5) < 0.06
    assert row["strata"] == 2


def test_the_size_of_a_compressed_file_is_content_and_of_another_is_not():
    table = cohort()
    label = table["label:mass"]
    planted = table.with_columns(
        file_bytes=pl.when(label).then(40_000).otherwise(pl.col("file_bytes"))
    )
    row = probes(document.facts(planted, images(table)))["file_size"]
    assert (row["kind"], row["verdict"]) == ("content_free", "shortcut warning")
    jpeg = planted.with_columns(compression=pl.lit("lossy"))
    row = probes(document.facts(jpeg, images(table)))["file_size"]
    assert (row["kind"], row["verdict"]) == ("content_bearing", "low-resolution signal")


def marked(n=300):
    table = cohort(n)
    return table, images(table, brighter=table["label:mass"].to_numpy())


def test_a_mark_in_the_corner_is_low_resolution_signal_without_an_encoder():
    table, cache = marked()
    found = probes(document.facts(table, cache))
    assert found["thumbnail"]["verdict"] == "low-resolution signal"
    assert found["border"]["crude"]["auroc"] > 0.95
    assert (
        found["encoder"]["sentence"]
        == "mass from encoder: not assessable: no embeddings were given"
    )


def test_a_border_that_tells_as_much_as_the_encoder_warns():
    table, cache = marked()
    label = table["label:mass"].to_numpy()[:, None]
    vectors = np.random.default_rng(4).normal(size=(300, 8)) + label
    found = probes(document.facts(table, cache, embeddings=embeddings(table, vectors)))
    assert found["border"]["verdict"] == "shortcut warning"
    assert found["border"]["share_of_encoder"] >= 0.8
    assert found["encoder"]["verdict"] == "reference"


def test_a_border_that_tells_much_less_than_the_encoder_does_not_warn():
    table = cohort(600)
    label = table["label:mass"].to_numpy()
    some = label & (np.random.default_rng(5).random(600) < 0.4)
    vectors = np.random.default_rng(4).normal(size=(600, 8)) + 2 * label[:, None]
    found = probes(
        document.facts(table, images(table, brighter=some), embeddings=embeddings(table, vectors))
    )
    assert found["border"]["verdict"] == "low-resolution signal"


def test_an_encoder_that_knows_nothing_makes_nothing_warn():
    table = cohort()
    vectors = np.random.default_rng(6).normal(size=(200, 8))
    said = document.facts(table, images(table), embeddings=embeddings(table, vectors))
    assert said["warnings"] == []


def test_too_few_patients_are_not_assessable_with_the_number_that_is_lacking():
    table = cohort(30)
    row = probes(document.facts(table, images(table)))["header"]
    assert row["verdict"] == "not assessable"
    assert "patients with the finding; 20 are needed" in row["sentence"]
    assert row["crude"] is None


def test_what_is_not_recorded_is_not_assessable_and_a_constant_has_no_signal():
    table = cohort().with_columns(acquired_on=pl.lit(None, pl.Date))
    found = probes(document.facts(table, images(table)))
    assert found["acquired_on"]["verdict"] == "not assessable"
    assert found["dimensions"]["verdict"] == "no signal"
    assert found["site"]["sentence"] == "mass from site: no signal, it is the same for all images"


def test_images_that_were_not_assessed_stay_out_of_a_probe():
    table = cohort(300)
    some = pl.Series("label:mass", [None, *table["label:mass"][1:]], pl.Boolean)
    row = probes(document.facts(table.with_columns(some), images(table)))["view"]
    assert row["n"] == 299


def test_many_images_are_drawn_by_whole_patients():
    table = cohort(400)
    options = document.Options(most_images=100)
    row = probes(document.facts(table, images(table), options=options))["view"]
    assert 90 <= row["n"] <= 100


def test_leakage_and_duplicates_are_warned_of_and_the_rest_is_kept():
    table = cohort()
    given = ["train" if row % 3 else "test" for row in range(200)]
    table = table.with_columns(pl.Series("given", given))
    cache = images(table)
    same = cache.index.with_columns(pixel_digest=pl.lit("same"))
    said = document.facts(
        table, ImageCache(same, cache.pixels), options=document.Options(given_splits="given")
    )
    assert "patients are in several splits (given), as north/" in said["warnings"][0]
    assert said["warnings"][1].startswith("1 picture occurs under several patients")
    assert said["attributes"] == ["sex", "age_band"]
    assert said["images"] == 200


def test_an_attribute_or_finding_that_is_not_there_names_the_nearest():
    table = cohort()
    with pytest.raises(InvalidTable, match="no attribute 'sx'; known: sex") as caught:
        document.facts(table, images(table), options=document.Options(attributes=["sx"]))
    assert caught.value.hint == "did you mean 'sex'?"
    with pytest.raises(InvalidTable, match="no finding 'mas'; known findings: mass"):
        document.facts(table, images(table), options=document.Options(findings=["mas"]))


def written(place, table, cache, vectors=None):
    write(table, place / "cohort.parquet", COHORT, more={"patient_means": "lesion"})
    write(cache.index, place / "images.parquet", IMAGE_CACHE)
    np.save(place / "images.npy", cache.pixels)
    inputs = {"cohort": place, "images": place}
    if vectors is not None:
        write(embeddings(table, vectors), place / "embeddings.parquet", EMBEDDINGS)
        inputs["embeddings"] = place
    return inputs


def test_the_stage_writes_facts_and_datasheet_alike_each_time(tmp_path):
    table, cache = marked()
    inputs = written(tmp_path, table, cache, np.random.default_rng(0).normal(size=(300, 4)))
    options = document.Options(datasheet={"licence": {"name": "CC0"}})
    first = document.run(options, inputs, tmp_path, Scope())
    before = (tmp_path / "facts.json").read_bytes()
    assert document.run(options, inputs, tmp_path, Scope()) == first
    assert (tmp_path / "facts.json").read_bytes() == before
    assert json.loads(before)["patient_means"] == "lesion"
    sheet = json.loads((tmp_path / "datasheet.json").read_text("utf-8"))
    assert sheet["licence"] == {
        "name": "CC0",
        "terms": "not available",
        "attribution": "not available",
    }


def embedded(shared, cache):
    """Return vectors of the MobileNet encoder beside the real sets."""
    import onnxruntime as ort

    model = shared / "models" / "mobilenet_v2_imagenet_encoder_int8.onnx"
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    found = []
    for start in range(0, len(cache.pixels), 32):
        batch = np.asarray(cache.pixels[start : start + 32])
        found.append(session.run(None, {name: batch})[0].reshape(len(batch), -1))
    return np.concatenate(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "finding", "warned"),
    [
        ("nih_cxr_1000", "pneumonia", {"patient_id", "image_id", "thumbnail"}),
        ("ham10000_subset", "malignant", set()),
    ],
)
def test_the_artefact_of_nih_warns_and_malignancy_of_ham10000_does_not(
    shared, tmp_path, name, finding, warned
):
    options = ingest.Options(
        format="files",
        folder=name,
        table=f"{name}/metadata.csv",
        channels=3,
        columns=ingest.Columns(
            patient="patient_id",
            view="view",
            age="age",
            attributes={"sex": "sex"},
            findings={finding: finding},
        ),
    )
    ingest.run(options, {}, tmp_path, Scope(base=shared, workers=2))
    cache = ImageCache.open(tmp_path)
    order = cache.index.sort("row")
    write(embeddings(order, embedded(shared, cache)), tmp_path / "embeddings.parquet", EMBEDDINGS)
    inputs = dict.fromkeys(("cohort", "images", "embeddings"), tmp_path)
    said = document.run(document.Options(), inputs, tmp_path, Scope())
    assert {row["source"] for row in said["shortcut_warnings"]} == warned
    del inputs["embeddings"]
    said = document.run(document.Options(), inputs, tmp_path, Scope())
    assert {row["source"] for row in said["shortcut_warnings"]} == warned - {"thumbnail"}
