"""The demo, and the two examples on real images; the latter are skipped by name elsewhere."""

import json

import polars as pl
import pytest

from equipoise import evidence, tables
from equipoise.cli import main
from equipoise.cli.demonstrating import ARMS
from equipoise.study import conduct, load
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def conducted(name, folder):
    path = ROOT / "examples" / f"{name}.yaml"
    conduct(load(path), folder, base=path.parent, workers=2, source=path.read_bytes())
    assert evidence.verify(folder) == []
    return folder


@pytest.fixture(scope="module")
def ham(tmp_path_factory):
    if not (ROOT.parent / "shared" / "data" / "ham10000_subset").is_dir():
        pytest.skip("shared/data/ham10000_subset is absent: the dermoscopy example is not run")
    return conducted("ham10000", tmp_path_factory.mktemp("real") / "ham")


@pytest.fixture(scope="module")
def nih(tmp_path_factory):
    if not (ROOT.parent / "shared" / "data" / "nih_cxr_1000").is_dir():
        pytest.skip("shared/data/nih_cxr_1000 is absent: the chest X-ray example is not run")
    return conducted("nih_cxr", tmp_path_factory.mktemp("real") / "nih")


def own(run, metric):
    rows = tables.read(run / "audit" / "estimates.parquet", tables.ESTIMATES)
    return rows.filter(
        pl.col("contrast").is_null(),
        pl.col("level") == 0.95,
        pl.col("sex").is_null() & pl.col("age_band").is_null(),
        interval="pointwise",
        metric=metric,
    )


def warned(run):
    """Return the sources that warn, as `document` lists them."""
    facts = json.loads((run / "document" / "facts.json").read_text(encoding="utf-8"))
    return {p["source"] for p in facts["shortcuts"] if p["verdict"] == "shortcut warning"}


def test_malignancy_is_told_with_an_auroc_of_at_least_0_82_by_unseen_lesions(ham):
    row = own(ham, "auroc").row(0, named=True)
    assert row["value"] >= 0.82
    assert row["n_images"] == 2661
    assert tables.read_json(ham / "adapt" / "selection.json")["evaluation"] == "cross-fit"


def test_the_dermoscopy_report_says_that_patients_are_unknown_and_lesions_are_the_unit(ham):
    page = (ham / "report" / "report.html").read_text(encoding="utf-8")
    assert "lesion" in page
    assert tables.metadata(ham / "ingest" / "cohort.parquet")["patient_means"] == "lesion"


def test_document_warns_of_the_pneumonia_label_and_not_of_malignancy(ham, nih):
    assert {"patient_id", "image_id"} <= warned(nih)
    assert warned(ham) == set()
    page = (nih / "report" / "report.html").read_text(encoding="utf-8").lower()
    assert "shortcut warning" in page


def test_the_chest_study_reaches_a_verdict_with_patients_as_the_unit(nih):
    verdict = tables.read_json(nih / "gate" / "verdict.json")
    assert verdict["verdict"] in {"pass", "fail", "inconclusive", "not assessable"}
    assert tables.read_json(nih / "audit" / "audit.json")["patient_is"] == "patient"


def test_the_demo_goes_the_whole_way_round_as_planted(tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        main(["demo", "--out", str(tmp_path / "demo")])
    said = " ".join(capsys.readouterr().err.split())
    assert done.value.code == 0, said
    assert "as planted" in said
    verdicts = {
        arm: tables.read_json(tmp_path / "demo" / arm / "gate" / "verdict.json") for arm in ARMS
    }
    assert {arm: said["verdict"] for arm, said in verdicts.items()} == {
        "biased": "fail",
        "twin": "pass",
        "second-site": "pass",
    }
    assert all(evidence.verify(tmp_path / "demo" / arm) == [] for arm in ARMS)
    bundle = evidence.folder_digest(tmp_path / "demo" / "twin" / "release" / "bundle")
    assert verdicts["second-site"]["bundle"] == bundle
    watched = tables.read_json(tmp_path / "demo" / "second-site" / "monitor" / "monitoring.json")
    alarms = [row for row in watched["questions"] if row["alarm"]]
    assert [(row["metric"], row["subgroup"]) for row in alarms] == [("specificity", {"sex": "F"})]
    assert all(row["alarm"] > "2024-05-01" for row in alarms)
    with pytest.raises(SystemExit):
        main(["demo", "--out", str(tmp_path / "demo")])
    said = capsys.readouterr().err
    assert said.count("nothing to do: nothing that goes into it changed") == 30
    patients = tables.read(tmp_path / "demo" / "twin" / "curate" / "splits.parquet", tables.SPLITS)
    tested = patients.filter(split="test")["patient_id"].n_unique()
    assert patients["patient_id"].n_unique() >= 1500
    assert tested / patients["patient_id"].n_unique() == pytest.approx(0.5, abs=0.02)
