import json
import re
import subprocess
import sys
from importlib import resources

import polars as pl
import pytest
import yaml

from equipoise import policies
from equipoise.cli import main
from equipoise.cli.demonstrating import ARMS
from equipoise.cli.studies import told_release
from equipoise.study import json_schema, load, parse
from equipoise.study.titles import TITLES
from tests.study import toys


def call(capsys, *words):
    """Return exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as done:
        main(list(words))
    said = capsys.readouterr()
    code = done.value.code
    return (0 if code is None else code), said.out, said.err


def test_help_lists_every_stage_with_what_it_does(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    for kind in TITLES:
        assert re.search(rf"│ {kind}\s+\w+", out), kind


@pytest.mark.parametrize("kind", [k for k in TITLES if k not in {"accept", "audit"}])
def test_a_stage_has_a_flag_for_each_of_its_options(capsys, kind, monkeypatch):
    from equipoise.study import stage

    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = call(capsys, kind, "--help")
    for name in stage(kind).options.model_fields:
        assert f"--{name.replace('_', '-')}" in out
    for noun in stage(kind).needs:
        assert f"--from-{noun}" in out


def test_python_m_equipoise_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "equipoise", "--version"], capture_output=True, text=True
    )
    assert re.fullmatch(r"equipoise \d+\.\d+\.\d+\n", done.stdout)


def test_an_error_of_use_is_a_sentence_with_a_hint_and_exit_2(capsys):
    code, out, err = call(capsys, "run", "nowhere.yaml")
    assert (code, out) == (2, "")
    assert "error: nowhere.yaml: no such study file" in err
    assert "\nhint: 'equipoise init' writes one to start from" in err
    assert "Traceback" not in err


def test_an_unknown_key_of_a_stage_names_the_nearest(capsys, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("version: 1\nname: x\nstages:\n  phantoms: {patiens: 3}\n")
    code, _, err = call(capsys, "run", str(path))
    assert code == 2
    assert "study.yaml: stages.phantoms: unknown key 'patiens'" in err
    assert "hint: did you mean 'patients'?" in err


def test_init_writes_a_study_that_is_valid_and_never_overwrites(capsys, tmp_path):
    path = tmp_path / "study.yaml"
    assert call(capsys, "init", str(path))[0] == 0
    assert [node.name for node in load(path).nodes][-1] == "report"
    policies.load(tmp_path / "policy.yaml")
    code, _, err = call(capsys, "init", str(path))
    assert code == 2
    assert "stands already and is left as it is" in err


def test_the_schema_accepts_the_studies_that_are_shipped_and_has_every_option(capsys):
    _, out, _ = call(capsys, "schema")
    said = json.loads(out)
    assert said == json.loads(json.dumps(json_schema()))
    assert set(said["properties"]["stages"]["properties"]) == set(TITLES)
    home = resources.files("equipoise.study")
    for name in ("template.yaml", *(f"demo/{arm}.yaml" for arm in ARMS)):
        content = yaml.safe_load(home.joinpath(name).read_text(encoding="utf-8"))
        parse(content, where=name)
        for node, options in content["stages"].items():
            known = said["$defs"][(options or {}).get("stage", node)]["properties"]
            assert set(options or {}) <= set(known)


def test_the_demos_arms_differ_only_in_the_planted_bias():
    home = resources.files("equipoise.study").joinpath("demo")
    arms = [
        yaml.safe_load(home.joinpath(f"{arm}.yaml").read_text(encoding="utf-8"))["stages"]
        for arm in ("biased", "twin")
    ]
    planted = [arm["phantoms"].pop("biases") for arm in arms]
    for arm in arms:
        arm["report"].pop("title")
    assert arms[1].pop("release")["name"] == "demo"
    assert arms[0] == arms[1]
    assert planted[1] == []
    assert [bias["kind"] for bias in planted[0]] == ["lower_visibility"]
    assert arms[0]["phantoms"]["patients"] >= 1500
    assert arms[0]["curate"]["shares"]["test"] == 0.5


def test_a_stage_runs_alone_then_says_that_it_has_nothing_to_do(capsys, tmp_path):
    out = str(tmp_path / "phantoms")
    words = ("phantoms", "--patients", "12", "--truth-patients", "20", "--size", "64")
    code, _, err = call(capsys, *words, "--out", out, "--workers", "1")
    assert code == 0, err
    assert (tmp_path / "phantoms" / "evidence.json").is_file()
    _, _, err = call(capsys, *words, "--out", out, "--workers", "1")
    assert "nothing to do" in err
    assert call(capsys, "verify", out)[0] == 0


def test_verify_names_what_was_touched_and_exits_with_1(capsys, tmp_path):
    from equipoise.study import conduct

    run = tmp_path / "run"
    conduct(toys.study(), run, base=tmp_path, source=b"x")
    code, _, err = call(capsys, "verify", str(run))
    assert code == 0
    assert "forgery will need signatures" in " ".join(err.split())
    (run / "copy" / "copied.txt").write_text("changed")
    code, out, _ = call(capsys, "verify", str(run))
    assert code == 1
    assert out.startswith("altered\tcopy/copied.txt\t")


POLICY = """
version: 1
name: p
criteria: [{name: alike, metric: auroc, attributes: [sex], tolerance: 0.2}]
floors: [{name: useful, metric: auroc, minimum: 0.6, attributes: [sex]}]
"""


@pytest.fixture
def predictions(tmp_path):
    n = 400
    sex = ["F", "M"] * (n // 2)
    label = [int(i % 4 < 2) for i in range(n)]
    score = [0.2 + 0.5 * y + 0.25 * ((i * 37 % 100) / 100) for i, y in enumerate(label)]
    frame = pl.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "patient_id": [f"p{i // 2}" for i in range(n)],
            "sex": sex,
            "label": label,
            "score": score,
        }
    )
    path = tmp_path / "predictions.csv"
    frame.write_csv(path)
    return path


def test_an_audit_of_a_table_prints_groups_and_never_a_silent_threshold(capsys, predictions):
    code, out, err = call(capsys, "audit", str(predictions), "--by", "sex")
    assert code == 0, err
    assert "sex=F" in out
    assert "auroc" in out
    assert "sensitivity" not in out
    assert "exploratory:" in err


def test_a_threshold_said_aloud_gives_rates(capsys, predictions):
    words = ("--by", "sex=F,M", "--threshold", "screening=0.5")
    _, out, err = call(capsys, "audit", str(predictions), *words)
    assert "screening · sensitivity" in out
    assert "exploratory" not in err


def test_without_a_patient_column_the_audit_says_what_that_costs(capsys, predictions):
    frame = pl.read_csv(predictions).drop("patient_id")
    frame.write_csv(predictions)
    _, _, err = call(capsys, "audit", str(predictions), "--by", "sex=F,M")
    assert "images are taken as independent" in " ".join(err.split())


def test_an_audit_with_out_leaves_estimates_and_evidence(capsys, predictions, tmp_path):
    out = tmp_path / "out"
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    words = ("--by", "sex=F,M", "--out", str(out), "--policy", str(policy))
    call(capsys, "audit", str(predictions), *words)
    assert json.loads((out / "verdict.json").read_text())["verdict"] == "pass"
    assert (out / "estimates.csv").read_text().startswith("finding,")
    assert call(capsys, "verify", str(out))[0] == 0


def test_an_audit_with_a_policy_exits_with_the_verdict(capsys, predictions, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    words = ("audit", str(predictions), "--policy", str(policy))
    code, _, err = call(capsys, *words, "--by", "sex=F,M")
    assert (code, "verdict: pass" in err) == (0, True)
    code, _, err = call(capsys, *words, "--by", "sex")
    assert (code, "exploratory" in err) == (3, True)
    policy.write_text(policy.read_text().replace("0.6,", "0.999,"))
    pl.read_csv(predictions).with_columns(score=pl.lit(0.5)).write_csv(predictions)
    assert call(capsys, *words, "--by", "sex=F,M")[0] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--by", "sx"), "predictions: no column 'sx'"),
        (("--by", "sex=F"), "undeclared"),
        (("--by", "sex", "--threshold", "a=b"), "'b' is no number"),
        (("--by", "sex", "--reference", "sex"), "expected attribute=level, as sex=M"),
    ],
)
def test_wrong_words_of_an_audit_are_explained(capsys, predictions, words, message):
    code, _, err = call(capsys, "audit", str(predictions), *words)
    assert code == 2
    assert message in " ".join(err.split())


def test_the_gate_alone_exits_with_its_verdict(capsys, predictions, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("0.6,", "0.999,"))
    pl.read_csv(predictions).with_columns(score=pl.lit(0.5)).write_csv(predictions)
    audited, judged = str(tmp_path / "audit"), str(tmp_path / "gate")
    call(capsys, "audit", str(predictions), "--by", "sex=F,M", "--out", audited)
    words = ("--from-estimates", audited, "--policy", str(policy), "--out", judged)
    for _ in range(2):
        code, _, err = call(capsys, "gate", *words)
        assert (code, "verdict (gate): fail" in err) == (1, True)


def test_a_defect_of_the_program_never_looks_like_a_verdict(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("version: 1\nname: x\nstages:\n  phantoms: {patients: 3}\n")
    broken = (
        "import sys; from equipoise.study import running\n"
        "def fail(*a, **k): raise RuntimeError('planted')\n"
        "running.execute = fail\n"
        f"sys.argv = ['equipoise', 'run', {str(path)!r}, '--out', {str(tmp_path / 'run')!r}]\n"
        "from equipoise.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True)
    assert done.returncode == 70
    assert "RuntimeError: planted" in done.stderr
    assert "this is a defect of Equipoise, not a verdict" in done.stderr


def test_a_file_that_a_late_stage_needs_is_missed_before_the_first_runs(capsys, tmp_path):
    path = tmp_path / "study.yaml"
    call(capsys, "init", str(path))
    (tmp_path / "images").mkdir()
    (tmp_path / "metadata.csv").write_text("file\n")
    (tmp_path / "policy.yaml").unlink()
    code, _, err = call(capsys, "run", str(path), "--out", str(tmp_path / "run"))
    said = " ".join(err.split())
    assert (code, "gate: policy: no such file or folder" in said) == (2, True)
    assert "hint: relative paths start from" in said
    assert not (tmp_path / "run").exists()


def test_what_left_at_ingestion_is_said_on_the_terminal(capsys, tmp_path):
    out, dicom = tmp_path / "ingest", tmp_path / "phantoms"
    words = ("--patients", "12", "--truth-patients", "20", "--size", "64", "--workers", "1")
    call(capsys, "phantoms", *words, "--out", str(dicom))
    first = next(dicom.rglob("*.dcm"))
    first.write_bytes(first.read_bytes()[:900])
    words = ("--from-dicom", str(dicom), "--size", "64", "--workers", "1", "--out", str(out))
    code, _, err = call(capsys, "ingest", *words)
    assert code == 0, err
    assert "left out (see attrition.parquet): " in err


def test_an_empty_study_and_a_broken_one_are_said_in_one_line(capsys, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("")
    assert "study.yaml: is empty; expected keys with values" in call(capsys, "run", str(path))[2]
    path.write_text("a:\n\t- b\n")
    err = call(capsys, "run", str(path))[2]
    assert "study.yaml: not readable as YAML in line 2: " in err


def test_it_is_said_which_bundle_was_made_and_that_an_override_let_it_go(tmp_path, capsys):
    given = {"name": "A. Lee", "reason": "a pilot", "expires": "2030-01-31"}
    said = {"bundle": "ab" * 32, "verdict": "inconclusive", "override": given}
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "release.json").write_text(json.dumps(said), encoding="utf-8")
    told_release(tmp_path / "release" / "release.json")
    told = capsys.readouterr().err
    assert f"{tmp_path / 'release' / 'bundle'} (abababababab)" in told
    assert "RELEASED WITHOUT A PASS (inconclusive): A. Lee answers for it until 2030-01-31" in told
