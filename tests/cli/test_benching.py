import json

import polars as pl
import pytest
import yaml

from equipoise import curate, evidence, tables
from equipoise.cli import main
from tests.bench.made import cohort
from tests.pretrain.made import given as made


@pytest.fixture
def given(tmp_path):
    frame, vectors = cohort(patients=700, sites=("a", "b"))
    for name, table, contract in (
        ("cohort", frame, tables.COHORT),
        ("splits", curate.splits(frame), tables.SPLITS),
        ("embeddings", vectors, tables.EMBEDDINGS),
    ):
        (tmp_path / name).mkdir()
        tables.write(table, tmp_path / name / f"{name}.parquet", contract)
    config = {"adapt": {"candidates": [], "penalties": [1.0]}, "seeds": [0, 1]}
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump(config))
    folders = [
        word
        for name in ("cohort", "embeddings")
        for word in (f"--from-{name}", str(tmp_path / name))
    ]
    return tmp_path, [*folders, "--config", str(tmp_path / "asked.yaml"), "--by", "sex"]


def run(*words):
    try:
        code = main([str(word) for word in words])
    except SystemExit as ended:
        code = ended.code
    return code or 0


def test_labels_writes_tables_evidence_and_counts_the_opening(given, capsys):
    folder, words = given
    splits = ["--from-splits", folder / "splits"]
    out = folder / "curve"
    asked = ["bench", "labels", *words, *splits, "--fraction", "0.2", "--fraction", "1"]
    assert run(*asked, "--out", out) == 0
    said = capsys.readouterr()
    assert "by share of labels" in said.out
    assert "20 %" in said.out
    assert "the test split was opened once, for 1 different question" in said.err
    table = pl.read_csv(out / "labels.csv")
    assert sorted(table["fraction"].unique()) == [0.2, 1.0]
    content = json.loads((out / "labels.json").read_text())
    assert content["asked"]["fractions"] == [0.2, 1.0]
    assert content["asked"]["adapt"]["group_by"] == ["sex"]
    assert len(content["rows"]) == table.height
    assert evidence.verify(out) == []
    assert run(*asked, "--out", out) == 0
    assert evidence.opened(folder) == {"times": 2, "questions": 1}
    assert run(*asked, "--reference", "M", "--out", out) == 0
    assert evidence.opened(folder) == {"times": 3, "questions": 2}


def test_a_group_without_a_number_is_said_with_the_reason(given, capsys):
    folder, words = given
    frame = pl.read_parquet(folder / "cohort" / "cohort.parquet")
    rare = frame["patient_id"].rank("dense") <= 20
    frame = frame.with_columns(sex=pl.when(rare).then(pl.lit("X")).otherwise(pl.col("sex")))
    tables.write(frame, folder / "cohort" / "cohort.parquet", tables.COHORT)
    more = ["--from-splits", folder / "splits", "--fraction", "1", "--out", folder / "curve"]
    assert run("bench", "labels", *words, *more) == 0
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if line.startswith("no number: edema, auroc, X: ")]
    assert len(lines) == 1
    assert "positives (images); needs 30" in lines[0]
    assert "everybody │ –       │  100 % │" in said
    assert "│ +0.9" not in said  # a value is no difference


def test_an_opening_is_counted_beside_the_cohort_wherever_the_tables_go(given, tmp_path_factory):
    folder, words = given
    splits = ["--from-splits", folder / "splits", "--fraction", "1"]
    out = tmp_path_factory.mktemp("elsewhere") / "curve"
    assert run("bench", "labels", *words, *splits, "--out", out) == 0
    assert evidence.opened(folder) == {"times": 1, "questions": 1}
    assert evidence.opened(out.parent) is None


def test_sites_shows_both_sides(given, capsys):
    folder, words = given
    out = folder / "sites"
    assert run("bench", "sites", *words, "--train", "a", "--test", "b", "--out", out) == 0
    said = capsys.readouterr()
    assert "where it was trained, and elsewhere" in said.out
    table = pl.read_csv(out / "sites.csv")
    assert {"value_in", "value_out", "shift"} <= set(table.columns)
    assert evidence.verify(out) == []


def test_members_are_shown_beside_plain_training(given, capsys):
    folder, words = given
    out = folder / "members"
    asked = [*words, "--from-splits", folder / "splits", "--member", "jtt", "--member", "leace"]
    assert run("bench", "members", *asked, "--out", out) == 0
    said = capsys.readouterr()
    assert "edema · sensitivity: difference from plain training" in said.out
    assert "plain (value)" in said.out
    assert "F less M" in said.out
    table = pl.read_csv(out / "members.csv")
    assert table["candidate"].unique().sort().to_list() == ["jtt", "leace"]
    assert evidence.verify(out) == []
    assert evidence.opened(folder) == {"times": 1, "questions": 1}


def test_a_parameter_that_a_member_does_not_know_is_an_error(given, capsys):
    folder, words = given
    told = {"name": "loud", "mitigation": "jtt", "parameters": {"upwegiht": 2}}
    config = {"adapt": {"candidates": [told]}, "seeds": [0]}
    (folder / "asked.yaml").write_text(yaml.safe_dump(config))
    asked = [*words, "--from-splits", folder / "splits", "--out", folder / "members"]
    assert run("bench", "members", *asked) == 2
    assert "unknown parameter 'upwegiht'" in capsys.readouterr().err


@pytest.mark.slow
def test_stages_are_held_against_each_other_from_images(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    made(tmp_path / "given", patients=500, size=32)
    small = {"steps": 2, "batch": 24, "size": 32, "widths": [4, 8, 8], "precision": "float32"}
    told = [{"name": "reweighting", "mitigation": "reweighting"}]
    config = {
        "images": 120,
        "pretrain": small,
        "adapt": {"candidates": told, "penalties": [1.0], "margin": 0.05},
    }
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump(config))
    words = [f"--from-{name}={tmp_path / 'given'}" for name in ("cohort", "images", "splits")]
    words += ["--finding", "opacity", "--by", "sex", "--seed", "0", "--out", tmp_path / "out"]
    assert run("bench", "stages", *words, "--config", tmp_path / "asked.yaml") == 0
    assert "all, guarded" in capsys.readouterr().out
    assert set(pl.read_csv(tmp_path / "out" / "stages.csv")["runs"]) == {1}
    chosen = pl.read_csv(tmp_path / "out" / "chosen.csv")
    assert chosen.filter(way="mitigation")["candidate"].to_list() == ["reweighting"]
    assert evidence.opened(tmp_path) == {"times": 1, "questions": 1}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--train", "a", "--test", "c"], "no site 'c'; sites: a, b"),
        (["--train", "a", "--test", "a"], "site 'a' is to train and to test at"),
        (["--train", "a"], "bench sites.test"),
        (["--train", "a", "--test", "b", "--by", "sx"], "no attribute 'sx'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(given, capsys, more, message):
    folder, words = given
    assert run("bench", "sites", *words, *more, "--out", folder / "sites") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "sites").exists()


def test_an_unknown_option_names_the_known_ones(given, capsys):
    folder, words = given
    (folder / "asked.yaml").write_text("sedes: [0]\n")
    more = ["--train", "a", "--test", "b", "--out", folder / "sites"]
    assert run("bench", "sites", *words, *more) == 2
    said = capsys.readouterr().err
    assert "bench sites: unknown key 'sedes'" in said
    assert "did you mean 'seeds'?" in said


def test_adapt_says_what_was_chosen_why_and_what_other_rules_would_choose(given, capsys):
    folder, words = given
    (folder / "asked.yaml").write_text("{candidates: [], penalties: [1.0], evaluation: split}\n")
    words = [*words[:-2], "--group-by", "[sex]", "--from-splits", str(folder / "splits")]
    assert run("adapt", *words, "--out", folder / "adapt") == 0
    said = capsys.readouterr().err
    assert "chosen by rule overall: plain: plain training: none is better by this rule" in said
    assert "  smallest_contrast: plain" in said


def test_a_written_reason_can_be_given_as_a_flag(given, capsys):
    folder, words = given
    (folder / "asked.yaml").write_text("{candidates: [{name: jtt, mitigation: jtt}]}\n")
    words = [*words[:-2], "--group-by", "[sex]", "--from-splits", str(folder / "splits")]
    asked = ["--despite-guard", "{jtt: the board weighed it}", "--standard-errors", "0"]
    assert run("adapt", *words, *asked, "--out", folder / "adapt") == 0
    capsys.readouterr()
    assert run("adapt", *words, "--despite-guard", "{jt: why}", "--out", folder / "adapt") == 2
    assert "no candidate 'jt'; candidates: plain, jtt; did you mean" in capsys.readouterr().err
