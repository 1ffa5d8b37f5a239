from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise import audit, tables
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable
from equipoise.scope import Scope

OPTIONS = audit.Options(attributes={"sex": ["F", "M", "unknown"]})


def run_folders(tmp_path: Path, *, evaluation: str = "split", n: int = 600) -> dict[str, Path]:
    """Write what ingest, curate and adapt would, with a score that knows half of the label."""
    rng = np.random.default_rng(0)
    ids = [f"i{i:04d}" for i in range(n)]
    patients = [f"s/p{i // 2:04d}" for i in range(n)]
    label = rng.random(n) < 0.4
    cohort = pl.DataFrame(
        {"image_id": ids, "patient_id": patients, "site": "s", "sex": rng.choice(["F", "M"], n)}
    ).with_columns(pl.Series("label:x", label))
    split = ["test" if i // 2 % 2 else "train" for i in range(n)]
    fold = [i // 2 % 3 for i in range(n)]
    splits = pl.DataFrame({"image_id": ids, "patient_id": patients, "split": split, "fold": fold})
    score = 1 / (1 + np.exp(-rng.standard_normal(n) - 2 * label))
    predictions = pl.DataFrame({"image_id": ids, "fold": fold}).with_columns(
        pl.Series("score:x", score, dtype=pl.Float32)
    )
    points = pl.DataFrame(
        {
            "finding": "x",
            "candidate": "plain",
            "operating_point": "high",
            "fold": pl.Series([0, 1, 2] if evaluation == "cross-fit" else [None], dtype=pl.Int64),
            "rule": "sensitivity 0.9",
            "threshold": [0.5, 0.6, 0.7] if evaluation == "cross-fit" else [0.6],
            "chosen_on": "validation",
            "digest": "d",
        }
    )
    folders = {n: tables.make_folder(tmp_path / n) for n in ("cohort", "splits", "predictions")}
    tables.write(cohort, folders["cohort"] / "cohort.parquet", tables.COHORT)
    tables.write(splits, folders["splits"] / "splits.parquet", tables.SPLITS)
    tables.make_folder(folders["predictions"] / "predictions")
    file = "predictions/plain-0.parquet"
    tables.write(predictions, folders["predictions"] / file, tables.PREDICTIONS)
    tables.write(
        points, folders["predictions"] / "operating_points.parquet", tables.OPERATING_POINTS
    )
    selected = {"candidate": "plain", "seed": 0, "file": file, "evaluation": evaluation}
    tables.write_json(folders["predictions"] / "selection.json", selected)
    return folders


def run(tmp_path: Path, folders: dict[str, Path], options: audit.Options = OPTIONS) -> Path:
    out = tables.make_folder(tmp_path / "estimates")
    audit.run(options, folders, out, Scope())
    return out


def test_a_run_writes_the_tables_and_says_what_it_did(tmp_path: Path) -> None:
    out = run(tmp_path, run_folders(tmp_path))
    estimates = tables.read(out / "estimates.parquet", tables.ESTIMATES)
    counts = tables.read(out / "counts.parquet", tables.COUNTS)
    assert set(estimates["metric"]) == {
        "auroc",
        "sensitivity",
        "specificity",
        "ppv",
        "npv",
        "brier",
    }
    assert counts["n_images"].max() == 300  # the test split
    assert (out / "estimates.csv").read_text().count("\n") == estimates.height + 1
    said = tables.read_json(out / "audit.json")
    assert (said["n_images"], said["n_patients"], said["split"]) == (300, 150, "test")
    assert said["unknown_share"] == {"sex": 0.0}
    assert said["exploratory"] is False
    assert said["simultaneous"]["contrasts"]["critical_value"] > 1.96


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    folders = run_folders(tmp_path)
    names = [
        "subgroups.parquet",
        "counts.parquet",
        "estimates.parquet",
        "estimates.csv",
        "audit.json",
    ]
    digests = []
    for name in ("one", "two"):
        out = run(tables.make_folder(tmp_path / name), folders)
        digests.append([tables.file_digest(out / file) for file in names])
    assert digests[0] == digests[1]


def test_cross_fitted_scores_are_audited_on_all_images_at_their_own_thresholds(
    tmp_path: Path,
) -> None:
    folders = run_folders(tmp_path, evaluation="cross-fit")
    out = run(tmp_path, folders)
    counts = tables.read(out / "counts.parquet", tables.COUNTS)
    scores = pl.read_parquet(folders["predictions"] / "predictions/plain-0.parquet")
    cut = np.array([0.5, 0.6, 0.7], dtype=np.float32)[scores["fold"].to_numpy()]
    called = int((scores["score:x"].to_numpy() >= cut).sum())
    everybody = counts.filter(pl.col("sex").is_null()).row(0, named=True)
    assert everybody["n_images"] == 600
    assert everybody["tp"] + everybody["fp"] == called
    assert tables.read_json(out / "audit.json")["cross_fitted"] is True


def test_an_image_of_the_split_without_a_score_is_counted(tmp_path: Path) -> None:
    folders = run_folders(tmp_path)
    path = folders["predictions"] / "predictions/plain-0.parquet"
    tables.write(pl.read_parquet(path).head(590), path, tables.PREDICTIONS)
    said = tables.read_json(run(tmp_path, folders) / "audit.json")
    assert said["images_without_a_score"] == {"x": 6}  # of ten, those of the test split


def test_an_image_that_no_fold_scored_is_counted_and_needs_no_threshold(tmp_path: Path) -> None:
    folders = run_folders(tmp_path, evaluation="cross-fit")
    path = folders["predictions"] / "predictions/plain-0.parquet"
    tables.write(pl.read_parquet(path).head(590), path, tables.PREDICTIONS)
    said = tables.read_json(run(tmp_path, folders) / "audit.json")
    assert said["images_without_a_score"] == {"x": 10}


def test_a_candidate_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    folders = run_folders(tmp_path)
    options = OPTIONS.model_copy(update={"candidate": "plane"})
    with pytest.raises(InvalidConfiguration, match="no predictions of the candidate 'plane'") as e:
        run(tmp_path, folders, options)
    assert e.value.hint == "did you mean 'plain-0'?"


def test_no_attribute_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="audit: no attribute is named"):
        run(tmp_path, run_folders(tmp_path), audit.Options())


def test_an_attribute_that_the_cohort_has_not_is_an_error(tmp_path: Path) -> None:
    options = audit.Options(attributes={"sx": None})
    with pytest.raises(InvalidTable, match="cohort: no attribute 'sx'; known attributes: sex"):
        run(tmp_path, run_folders(tmp_path), options)


def test_predictions_of_images_outside_the_cohort_are_an_error(tmp_path: Path) -> None:
    folders = run_folders(tmp_path)
    path = folders["cohort"] / "cohort.parquet"
    tables.write(pl.read_parquet(path).head(590), path, tables.COHORT)
    with pytest.raises(InvalidTable, match="10 images are not in the cohort, as 'i0590'"):
        run(tmp_path, folders)


def test_a_selection_that_names_no_file_is_an_error(tmp_path: Path) -> None:
    folders = run_folders(tmp_path)
    tables.write_json(folders["predictions"] / "selection.json", {"candidate": "plain"})
    with pytest.raises(InvalidInput, match=r"selection\.json: no 'seed'"):
        run(tmp_path, folders)


@pytest.mark.parametrize(
    ("split", "exploratory"), [("all", True), ("train", True), ("test", False)]
)
def test_images_that_the_model_was_fitted_on_make_every_result_exploratory(
    tmp_path: Path, split: str, exploratory: bool
) -> None:
    options = audit.Options(attributes=OPTIONS.attributes, split=split)
    out = run(tmp_path, run_folders(tmp_path), options)
    found = tables.read(out / "estimates.parquet", tables.ESTIMATES)
    assert found["exploratory"].unique().to_list() == [exploratory]
    assert tables.read_json(out / "audit.json")["exploratory"] is exploratory


def test_all_images_may_be_audited_where_scores_are_cross_fitted(tmp_path: Path) -> None:
    options = audit.Options(attributes=OPTIONS.attributes, split="all")
    out = run(tmp_path, run_folders(tmp_path, evaluation="cross-fit"), options)
    assert not tables.read(out / "estimates.parquet", tables.ESTIMATES)["exploratory"].any()
