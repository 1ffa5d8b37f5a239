"""The whole way on a small bench of phantoms: every real stage, from DICOM to report."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
import yaml

from equipoise import evidence, tables
from equipoise.cli.studies import closing
from equipoise.errors import EquipoiseError
from equipoise.study import conduct, parse

POLICY = {
    "version": 1,
    "name": "test",
    "criteria": [
        {"name": "alike", "metric": "sensitivity", "attributes": ["sex"], "tolerance": 0.2}
    ],
    "floors": [
        {"name": m, "metric": m, "minimum": 0.6, "attributes": ["sex"]}
        for m in ("auroc", "sensitivity", "specificity")
    ],
}


def study(*, tolerance=0.2, patients=200):
    policy = {**POLICY, "criteria": [{**POLICY["criteria"][0], "tolerance": tolerance}]}
    return {
        "version": 1,
        "name": "small",
        "stages": {
            "phantoms": {"patients": patients, "seed": 5, "size": 64, "truth_patients": 40},
            "ingest": {"size": 64, "bands": {"age_band": {"from": "age_years", "edges": [60]}}},
            "curate": {"stratify_by": ["sex"]},
            "embed": {"encoder": "filterbank"},
            "document": {"attributes": ["sex"]},
            "adapt": {"group_by": ["sex"], "penalties": [0.1, 1.0]},
            "audit": {"attributes": {"sex": ["F", "M", "unknown"]}},
            "gate": {"policy": policy},
            "report": {"title": "Small <b>study</b>"},
        },
    }


def go(folder, content, workers=1):
    outcomes = conduct(
        parse(content),
        folder,
        base=folder.parent,
        workers=workers,
        source=yaml.safe_dump(content).encode(),
    )
    return {outcome.node: outcome.state for outcome in outcomes}


def digests(run):
    folders = [p for p in run.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return {p.name: evidence.subjects(p) for p in sorted(folders)}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert set(go(folder, study()).values()) == {"ran"}
    return folder


pytestmark = pytest.mark.slow


def test_every_stage_leaves_evidence_and_the_chain_holds(run):
    assert evidence.verify(run) == []
    said = evidence.read_statement(run / "audit")["predicate"]
    assert {entry["name"] for entry in said["inputs"]} == {"ingest", "adapt", "curate"}
    assert said["parameters"]["minimum"]["positives"] == 30


def test_a_second_run_does_nothing(run):
    assert set(go(run, study()).values()) == {"kept"}


def test_tables_on_disk_keep_their_contracts(run):
    cohort = tables.read(run / "ingest" / "cohort.parquet", tables.COHORT)
    assert cohort["patient_id"].str.contains("/").all()
    assert set(tables.attributes(cohort)) == {"sex", "age_band"}
    tables.read(run / "ingest" / "attrition.parquet", tables.ATTRITION)
    tables.read(run / "curate" / "weights.parquet", tables.WEIGHTS)
    tables.read(run / "embed" / "embeddings.parquet", tables.EMBEDDINGS)
    tables.read(run / "audit" / "counts.parquet", tables.COUNTS)
    estimates = tables.read(run / "audit" / "estimates.parquet", tables.ESTIMATES)
    assert {"F", "M", "unknown", None} == set(estimates["sex"].unique())
    assert tables.ImageCache.open(run / "ingest").size == (64, 64, 1)


def test_a_small_test_split_is_cross_fitted_and_the_report_says_so(run):
    said = tables.read_json(run / "adapt" / "selection.json")
    assert said["evaluation"] == "cross-fit"
    points = tables.read(run / "adapt" / "operating_points.parquet", tables.OPERATING_POINTS)
    assert points["fold"].null_count() == 0
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "procedure" in page


def test_the_report_stands_alone_and_escapes_what_it_is_told(run):
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "<b>study</b>" not in page
    assert "&lt;b&gt;study&lt;/b&gt;" in page
    assert "src=" not in page.replace("img-src", "")
    assert "<script" not in page


def test_the_losers_predictions_are_kept_too(run):
    kept = {path.stem for path in (run / "adapt" / "predictions").glob("*.parquet")}
    assert kept == {"plain-0", "reweighting-0", "group_dro-0", "procedure-0"}


def test_scores_of_an_image_come_from_a_probe_that_has_not_seen_its_patient(run):
    scores = tables.read(run / "adapt" / "predictions" / "plain-0.parquet", tables.PREDICTIONS)
    splits = tables.read(run / "curate" / "splits.parquet", tables.SPLITS)
    joined = scores.join(splits, on="image_id", suffix="_frozen")
    assert joined.height == scores.height
    assert joined.filter(pl.col("fold") != pl.col("fold_frozen")).height == 0
    assert splits.group_by("patient_id").agg(pl.col("fold").n_unique())["fold"].max() == 1


def test_one_changed_parameter_reruns_only_what_depends_on_it(tmp_path):
    run = tmp_path / "run"
    go(run, study())
    states = go(run, study(tolerance=0.3))
    assert {node for node, state in states.items() if state == "ran"} == {"gate", "report"}
    assert evidence.verify(run) == []


def test_the_number_of_workers_changes_no_digest(run, tmp_path):
    go(tmp_path / "run", study(), workers=2)
    assert digests(tmp_path / "run") == digests(run)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_kill_at_any_moment_ends_with_the_same_digests(run, tmp_path, seed):
    folder = tmp_path / "run"
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study()))
    rng = np.random.default_rng(seed)
    for _ in range(3):
        words = [sys.executable, "-m", "equipoise", "run", str(path), "--out", str(folder)]
        process = subprocess.Popen([*words, "--workers", "1"], stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.6, 4.0))
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
    go(folder, study())
    assert digests(folder) == digests(run)
    assert evidence.verify(folder) == []
    assert not [p for p in folder.iterdir() if p.name.startswith((".partial-", ".old-"))]


def test_label_noise_shows_only_against_the_recorded_labels_of_the_truth(tmp_path):
    content = study(patients=60)
    content["stages"]["phantoms"] |= {
        "truth_patients": 1500,
        "biases": [{"kind": "label_noise", "group": {"sex": "F"}, "under_diagnosis": 0.5}],
    }
    content["stages"] = {"phantoms": content["stages"]["phantoms"]}
    go(tmp_path / "run", content)
    truth = json.loads((tmp_path / "run" / "phantoms" / "truth.json").read_text())
    shown = {
        row["labels"]: row["difference"] / row["difference_standard_error"]
        for row in truth["population"]["contrasts"]
        if row["group"] == {"sex": "F"} and row["metric"] == "specificity"
    }
    # The model is right about the missed positives, and recorded labels call that false alarms.
    assert abs(shown["clean"]) < 3
    assert shown["recorded"] < -4
    assert "only against clean labels" in truth["identifiability"]


def test_the_report_says_that_label_errors_by_group_cannot_be_seen(run):
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "Label errors by group" in page
    assert "cannot be seen" in page


def test_an_error_names_the_stage_it_came_from(tmp_path):
    content = study()
    content["stages"]["audit"] = {"attributes": {"sex": ["F", "M"]}}
    with pytest.raises(EquipoiseError, match="undeclared") as caught:
        go(tmp_path / "run", content)
    assert caught.value.__notes__ == ["in stage 'audit'"]
    assert (tmp_path / "run" / "adapt" / "evidence.json").is_file()


def test_a_study_on_a_test_split_counts_its_openings_and_its_evidence_names_the_tally(
    tmp_path, capsys
):
    content = study(patients=120)
    content["stages"]["adapt"] |= {"evaluation": "split", "candidates": []}
    run = tmp_path / "run"
    go(run, content)
    assert evidence.opened(run) == {"times": 1, "questions": 1}
    assert evidence.verify(run) == []
    assert set(go(run, content).values()) == {"kept"}
    content["stages"]["audit"]["intersections"] = 1
    go(run, content)
    assert evidence.opened(run) == {"times": 2, "questions": 2}
    assert evidence.verify(run) == []
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert "Times the test split was opened: 2" in page
    closing(run)
    said = capsys.readouterr().err
    assert "the test split was opened 2 times, for 2 different questions" in said
    (run / evidence.OPENINGS_FILE).write_text('{"openings": []}')
    assert [one.state for one in evidence.verify(run)] == ["altered"]
