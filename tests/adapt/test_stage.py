import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from equipoise import adapt, curate, embed, mitigations, tables
from equipoise.errors import InvalidTable
from equipoise.metrics import clustered_auroc
from equipoise.metrics.points import seal
from equipoise.scope import Scope
from tests.adapt.made import cohort, embeddings

OPTIONS = adapt.Options(group_by=("sex",), minimum=5, penalties=(1.0,))


def prepared(folder):
    frame, x = cohort()
    for name in ("cohort", "splits", "embeddings", "out"):
        (folder / name).mkdir(parents=True)
    splits = curate.splits(frame, curate.Options(folds=3))
    tables.write(frame, folder / "cohort" / "cohort.parquet", tables.COHORT)
    tables.write(splits, folder / "splits" / "splits.parquet", tables.SPLITS)
    vectors = embeddings(frame, x)
    tables.write(vectors, folder / "embeddings" / "embeddings.parquet", tables.EMBEDDINGS)
    return {name: folder / name for name in ("cohort", "splits", "embeddings")}


@pytest.mark.parametrize("evaluation", ["split", "cross-fit"])
def test_the_stage_writes_tables_that_keep_their_contracts(tmp_path, evaluation):
    out = tmp_path / "out"
    options = OPTIONS.model_copy(update={"evaluation": evaluation})
    result = adapt.run(options, prepared(tmp_path), out, Scope())
    said = tables.read_json(out / "selection.json")
    assert {"candidate", "seed", "file", "evaluation", "rule", "choices", "reason"} <= set(said)
    assert said["file"] == f"predictions/{said['candidate']}-{said['seed']}.parquet"
    tables.read(out / said["file"], tables.PREDICTIONS)
    points = tables.read(out / "operating_points.parquet", tables.OPERATING_POINTS)
    named = {"plain", "reweighting", "group_dro"}
    cross = evaluation == "cross-fit"
    assert set(points["candidate"]) == (named | {"procedure"} if cross else named)
    records = tables.read_json(out / "candidates.json")
    assert len(records["candidates"]) == 3
    assert records["evaluation"] == evaluation
    files = {row["file"] for row in records["trials"]}
    assert len(files) == 3 * len(OPTIONS.penalties)
    for file in files:
        tables.read(out / file, tables.PREDICTIONS)
    assert result["not_assessed"] == {"edema": 20}
    assert (result["n_candidates"], result["n_failed"]) == (3, 0)


@pytest.mark.parametrize("evaluation", ["split", "cross-fit"])
def test_operating_points_carry_the_digest_of_validation_scores_that_are_kept(tmp_path, evaluation):
    inputs, out = prepared(tmp_path), tmp_path / "out"
    options = OPTIONS.model_copy(update={"evaluation": evaluation, "seeds": (0, 1)})
    adapt.run(options, inputs, out, Scope())
    labels = tables.read(inputs["cohort"] / "cohort.parquet", tables.COHORT)
    points = tables.read(out / "operating_points.parquet", tables.OPERATING_POINTS)
    own = points.filter(~pl.col("candidate").str.starts_with("procedure"))
    assert own.height == 3 * 2 * (3 if evaluation == "cross-fit" else 1)
    for row in own.iter_rows(named=True):
        if row["fold"] is None:
            kept = tables.read(
                out / "predictions" / f"{row['candidate']}.parquet", tables.PREDICTIONS
            ).filter(split="validation")
        else:
            name = f"{row['candidate']}-fold{row['fold']}.parquet"
            kept = tables.read(out / "validation" / name, tables.PREDICTIONS)
        both = kept.join(labels, on="image_id").drop_nulls(["label:edema", "score:edema"])
        score, label = both["score:edema"].to_numpy(), both["label:edema"].to_numpy()
        assert seal(both["image_id"].to_list(), score, label) == row["digest"]


def test_a_probe_that_is_saved_gives_the_scores_that_were_written(tmp_path):
    inputs, out = prepared(tmp_path), tmp_path / "out"
    options = OPTIONS.model_copy(update={"evaluation": "split"})
    adapt.run(options, inputs, out, Scope())
    vectors = tables.read(inputs["embeddings"] / "embeddings.parquet", tables.EMBEDDINGS)
    for name in ("plain-0", "reweighting-0", "group_dro-0"):
        table = tables.read(out / "predictions" / f"{name}.parquet", tables.PREDICTIONS)
        fitted = mitigations.load(out / "probes" / "00-edema" / name)
        scores = fitted.probe.scores(vectors["vector"].to_numpy()).astype(np.float32)
        np.testing.assert_array_equal(table["score:edema"].to_numpy(), scores)


def test_a_rerun_gives_the_same_bytes(tmp_path):
    found = []
    for name in ("one", "other"):
        adapt.run(OPTIONS, prepared(tmp_path / name), tmp_path / name / "out", Scope())
        out = tmp_path / name / "out"
        paths = sorted(path for path in out.rglob("*") if path.is_file())
        found.append({path.relative_to(out): path.read_bytes() for path in paths})
    assert found[0] == found[1]


def test_an_image_without_an_embedding_is_named(tmp_path):
    inputs = prepared(tmp_path)
    path = inputs["embeddings"] / "embeddings.parquet"
    tables.write(tables.read(path, tables.EMBEDDINGS)[1:], path, tables.EMBEDDINGS)
    with pytest.raises(
        InvalidTable, match="embeddings: 1 of 400 images of the split are missing, as 'i0000'"
    ):
        adapt.run(OPTIONS, inputs, tmp_path / "out", Scope())


def test_an_embedding_that_is_no_number_stops_the_run_and_fails_no_candidate(tmp_path):
    inputs = prepared(tmp_path)
    frame, x = cohort()
    x[3, 0] = np.nan
    vectors = embeddings(frame, x)
    tables.write(vectors, inputs["embeddings"] / "embeddings.parquet", tables.EMBEDDINGS)
    told = "embeddings: 1 of 400 images of the split hold NaN or infinity, as 'i0003'"
    with pytest.raises(InvalidTable, match=told):
        adapt.run(OPTIONS, inputs, tmp_path / "out", Scope())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"findings": ("oedema",)}, "cohort: no finding 'oedema'; known findings: edema"),
        ({"group_by": ("gender",)}, "cohort: no attribute 'gender'"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, options, message):
    with pytest.raises(InvalidTable, match=message):
        adapt.run(adapt.Options(**options), prepared(tmp_path), tmp_path / "out", Scope())


@lru_cache(maxsize=1)
def dermoscopy(shared: Path) -> tuple[pl.DataFrame, tables.ImageCache]:
    """Return HAM10000's cohort and pixels; its patients are lesions."""
    rows = pl.read_csv(shared / "ham10000_subset" / "metadata.csv")
    pixels = np.stack(
        [
            np.asarray(Image.open(shared / "ham10000_subset" / name).convert("RGB"))
            for name in rows["image"]
        ]
    )
    frame = pl.DataFrame(
        {
            "image_id": rows["source_image"],
            "patient_id": "ham/" + rows["patient_id"],
            "site": ["ham"] * rows.height,
            "sex": rows["sex"].fill_null("unknown"),
            "label:malignant": rows["malignant"] == 1,
        }
    )
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
    index = {"image_id": frame["image_id"], "row": range(len(pixels)), "pixel_digest": digests}
    return frame, tables.ImageCache(pl.DataFrame(index), pixels)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "dimension"), [("v1", 1024), ("v2", 1280)])
def test_malignancy_on_ham10000_is_read_by_a_cross_fitted_plain_probe(shared, version, dimension):
    frame, cache = dermoscopy(shared)
    card = {
        "name": f"mobilenet_{version}",
        "layout": "NHWC",
        "height": 224,
        "width": 224,
        "channels": 3,
        "value_range": "uint8",
        "dimension": dimension,
        "licence": "Apache-2.0",
    }
    path = str(shared / "models" / f"mobilenet_{version}_imagenet_encoder_int8.onnx")
    chosen = embed.Options(encoder="onnx", parameters={"path": path, "card": card})
    encoder = embed.loaded(chosen, Scope(workers=2))
    vectors = embed.embeddings(frame["image_id"].to_list(), cache, encoder)
    made = adapt.rows(frame, curate.splits(frame), vectors, findings=None, group_by=("sex",))
    options = adapt.Options(candidates=(), evaluation="cross-fit")
    table = adapt.predictions(made, options).predictions["predictions/plain-0.parquet"]
    score, truth = table["score:malignant"].to_numpy(), made.truth("malignant")
    auroc, _ = clustered_auroc(score, truth, made.patients)
    assert auroc >= 0.82
