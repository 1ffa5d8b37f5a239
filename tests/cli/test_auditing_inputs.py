"""The command ``audit``: where thresholds, attributes and combinations come from."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise.metrics.points import threshold
from tests.cli.test_command_line import call
from tests.metrics.made import people

BY = ("--by", "group=A,B", "--minimum", "5", "--metric", "sensitivity")


def table(seed: int, start: str) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return people(rng, patients=200).with_columns(
        (start + pl.col("patient_id")).alias("patient_id"),
        pl.Series("image_id", [f"{start}{i}" for i in range(200)]),
        pl.Series("sex", rng.choice(["F", "M"], 200)),
        pl.Series("site", rng.choice(["s", "t"], 200)),
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Return two tables that share no patient: to audit, and to tune on."""
    paths = tmp_path / "audited.csv", tmp_path / "tune.csv"
    table(0, "a").write_csv(paths[0])
    table(1, "t").write_csv(paths[1])
    return str(paths[0]), str(paths[1])


def test_rules_choose_on_the_other_table_and_the_evidence_binds_both(
    capsys, files, tmp_path
) -> None:
    out = tmp_path / "out"
    rules = ("--rule", "youden", "--rule", "specificity=0.9", "--tune", files[1])
    code, _, err = call(capsys, "audit", files[0], *BY, *rules, "--out", str(out))
    assert code == 0, err
    points = pl.read_csv(out / "operating_points.csv")
    tune = pl.read_csv(files[1])
    score, label = tune["score:x"].to_numpy(), tune["label:x"].to_numpy()
    assert dict(zip(points["operating_point"], points["threshold"], strict=True)) == {
        "youden": pytest.approx(threshold(score, label, rule="youden")),
        "specificity_0.9": pytest.approx(threshold(score, label, rule="specificity", at=0.9)),
    }
    assert set(points["chosen_on"]) == {"tuning table"}
    evidence = (out / "evidence.json").read_text()
    assert "source:predictions" in evidence
    assert "source:tune" in evidence


@pytest.mark.parametrize("same", ["file", "shuffled without ids"])
def test_the_audited_table_itself_is_refused_to_tune_on(capsys, files, tmp_path, same) -> None:
    audited, tune = files[0], files[0]
    if same != "file":
        rows = table(0, "a").drop("image_id", "patient_id")
        audited, tune = str(tmp_path / "one.csv"), str(tmp_path / "two.csv")
        rows.write_csv(audited)
        rows.sample(fraction=1.0, shuffle=True, seed=0).write_csv(tune)
    code, out, err = call(capsys, "audit", audited, *BY, "--rule", "max_f1", "--tune", tune)
    assert (code, "sensitivity" in out) == (2, False)
    assert "thresholds tuned on the audited set" in err
    assert "hint: choose them on a split of its own" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rule", "youden"), "a rule needs rows that are not audited to choose on"),
        (("--rule", "specifity=0.9"), "no rule 'specifity'"),
        (("--rule", "specificity"), "is no share between 0 and 1"),
        (("--rule", "specificity=90"), "'90' is no share between 0 and 1"),
        ((), "needs an operating point, and there is none: sensitivity"),
        (("--threshold", "half"), "'half' is no number"),
        (("--set", "group,sexx"), "a set names 'sexx', which is not declared"),
        (("--reference", "group=C", "--threshold", "0.5"), "group=C is not a declared level"),
        (("--reference", "group"), "expected attribute=level"),
        (("--metadata", "nowhere.csv"), "metadata: no file nowhere.csv"),
        (("--by", "sexx=F,M"), "no column 'sexx'"),
        (("--patient", "patient"), "no column 'patient'"),
        (("--operating-points", "nowhere.csv"), "no file nowhere.csv"),
        (("--tune", "nowhere.csv", "--rule", "youden"), "no file nowhere.csv"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_2(capsys, files, words, said) -> None:
    code, _, err = call(capsys, "audit", files[0], *BY, *words)
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_a_table_of_thresholds_that_is_about_another_finding_is_refused(
    capsys, files, tmp_path
) -> None:
    path = tmp_path / "points.csv"
    path.write_text("finding,operating_point,threshold\nedema,p,0.5\n")
    code, _, err = call(capsys, "audit", files[0], *BY, "--operating-points", str(path))
    assert code == 2
    assert "operating points: none is of a finding of the predictions, as 'edema'" in err
    path.write_text("finding,operating_point,threshold\nx,p,half\n")
    code, _, err = call(capsys, "audit", files[0], *BY, "--operating-points", str(path))
    assert code == 2
    assert "1 thresholds are no numbers, as half" in err


def estimates(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "estimates.parquet")


def test_attributes_of_another_table_are_joined(capsys, files, tmp_path) -> None:
    rows = table(0, "a")
    bare, known = tmp_path / "bare.csv", tmp_path / "known.csv"
    rows.drop("group").write_csv(bare)
    rows.select("image_id", "group").reverse().write_csv(known)
    told = ("--threshold", "0.5", "--out")
    one, two = tmp_path / "one", tmp_path / "two"
    joined = ("--metadata", str(known), "--on", "image_id")
    for words in ((files[0], *BY, *told, str(one)), (str(bare), *BY, *joined, *told, str(two))):
        code, _, err = call(capsys, "audit", *words)
        assert code == 0, err
    assert estimates(one).equals(estimates(two))
    assert "source:metadata" in (two / "evidence.json").read_text()


def test_images_that_metadata_lacks_are_unknown_and_must_be_declared(
    capsys, files, tmp_path
) -> None:
    rows = table(0, "a")
    bare, known = tmp_path / "bare.csv", tmp_path / "known.csv"
    rows.drop("group").write_csv(bare)
    rows.select("image_id", "group").head(150).write_csv(known)
    words = ("--metadata", str(known), "--on", "image_id", "--threshold", "0.5")
    code, _, err = call(capsys, "audit", str(bare), *BY, *words)
    assert code == 2
    assert "50 rows in undeclared subgroups, as {'group': 'unknown'}" in err
    assert "hint: declare it: group=A,B,unknown" in err


def test_a_set_combines_what_it_names_and_nothing_else(capsys, files, tmp_path) -> None:
    by = (*BY, "--by", "sex=F,M", "--by", "site=s,t", "--threshold", "0.5")
    out = tmp_path / "out"
    code, _, err = call(capsys, "audit", files[0], *by, "--set", "group,sex", "--out", str(out))
    assert code == 0, err
    found = estimates(out).filter(pl.col("status") != "description")
    crossed = {
        tuple(name for name in ("group", "sex", "site") if row[name] is not None)
        for row in found.select("group", "sex", "site").iter_rows(named=True)
    }
    assert crossed == {(), ("group",), ("sex",), ("site",), ("group", "sex")}


def test_candidate_and_seed_reach_the_estimates_and_the_evidence(capsys, files, tmp_path) -> None:
    told = ("--threshold", "0.5", "--candidate", "model seven", "--seed", "7", "--out")
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        code, _, err = call(capsys, "audit", files[0], *BY, *told, str(out))
        assert code == 0, err
    assert set(estimates(outs[0])["candidate"]) == {"model seven"}
    assert estimates(outs[0]).equals(estimates(outs[1]))
    text = (outs[0] / "evidence.json").read_text()
    assert "model seven" in text
    assert json.loads(text)
    assert '"seed":7' in text.replace(" ", "")
