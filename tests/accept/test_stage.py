"""The acceptance test as a hospital runs it, and all that may be wrong with what it is given."""

import json
import shutil
from datetime import date

import polars as pl
import pytest

from equipoise import accept, bundles, evidence, release, tables
from equipoise.cli import main
from equipoise.cli.accepting import show_power
from equipoise.errors import (
    AlteredEvidence,
    InvalidConfiguration,
    InvalidEncoder,
    InvalidInput,
    InvalidTable,
    Refused,
)
from equipoise.scope import Scope
from equipoise.study import execute, stage
from equipoise.study.acceptance import accepted, cohort_in
from tests.conftest import ROOT
from tests.release import made

pytestmark = pytest.mark.slow

QUICK = {"draws": 10, "worst_draws": 5, "shift_draws": 100}
TODAY = date(2026, 11, 25)


def ingested(folder, *, seed, patients=160, **options):
    content = made.study(patients=patients)
    content["stages"] = {k: content["stages"][k] for k in ("phantoms", "ingest")}
    content["stages"]["phantoms"]["seed"] = seed
    content["stages"]["ingest"] |= options
    made.go(folder, content)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A released bundle and the run that made it, not to be changed."""
    folder = tmp_path_factory.mktemp("accept") / "home"
    made.go(folder, made.study(release={"format": "zip"}))
    return folder


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    """A second place's run up to its cohort, not to be changed."""
    return ingested(tmp_path_factory.mktemp("accept") / "away", seed=77)


@pytest.fixture(scope="module")
def tested(home, away, tmp_path_factory):
    """A finished acceptance test, not to be changed."""
    out = tmp_path_factory.mktemp("accept") / "out"
    bundle = home / "release" / "bundle"
    return accepted(bundle, away, out, on=TODAY, options=QUICK)


def one_stage(bundle, cohort, embeddings, out, **options):
    """Run only the stage *accept*."""
    kind = stage("accept")
    chosen = accept.Options.model_validate({**QUICK, "bundle": str(bundle), **options})
    given = {"cohort": cohort, "images": cohort, "embeddings": embeddings}
    return execute(kind, chosen, given, out, Scope(cache=out.parent / ".cache"))


def changed(away, tmp_path, change):
    """A copy of the local cohort with another table."""
    folder = tmp_path / "cohort"
    shutil.copytree(away / "ingest", folder)
    frame = tables.read(folder / "cohort.parquet", tables.COHORT)
    tables.write(change(frame), folder / "cohort.parquet", tables.COHORT)
    return folder


def test_a_chain_of_evidence_stands_and_power_was_stated(tested):
    assert evidence.verify(tested.folder) == []
    said = evidence.read_statement(tested.folder)["predicate"]
    assert said["inputs"] == [{"name": "bundle", "digest": {"sha256": tested.bundle.digest}}]
    power = tables.read_json(tested.folder / "accept" / "power.json")
    assert power["bundle"] == tested.bundle.digest
    assert sum(v["share"] for v in power["chances"][0]["verdicts"].values()) == pytest.approx(1)
    told = tables.read_json(tested.folder / "accept" / "acceptance.json")
    assert (told["name"], told["override"]) == ("small", None)
    inputs = evidence.read_statement(tested.folder / "accept")["predicate"]["inputs"]
    assert {entry["name"] for entry in inputs} == {"ingest", "embed", "source:bundle"}


def test_the_audit_is_the_bundles_own_and_over_all_local_images(tested, away):
    audit = tables.read_json(tested.folder / "audit" / "audit.json")
    cohort = tables.read(away / "ingest" / "cohort.parquet", tables.COHORT)
    assert (audit["n_images"], audit["split"]) == (cohort.height, "all")
    assert audit["exploratory"] is False
    assert audit["levels"] == dict(tested.bundle.audit.attributes)
    policy = tables.read_json(tested.folder / "gate" / "policy.json")
    assert policy == tables.read_json(tested.bundle.folder / "policy.json")


def test_local_scores_are_those_of_the_bundle(tested, away):
    scores = tables.read(
        tested.folder / "accept" / "predictions" / "bundle.parquet", tables.PREDICTIONS
    )
    rows = tables.read(tested.folder / "embed" / "embeddings.parquet", tables.EMBEDDINGS)
    both = scores.join(rows, on="image_id")
    found = bundles.scores(tested.bundle, both["vector"].to_numpy())["opacity"]
    assert (both["score:opacity"].to_numpy() == found).all()


def test_the_same_test_again_has_nothing_to_do(tested, away):
    states = []
    from equipoise.study import Watch

    accepted(
        tested.bundle.folder,
        away,
        tested.folder,
        on=date(2026, 11, 26),
        options=QUICK,
        watch=Watch(ended=lambda outcome: states.append(outcome.state)),
    )
    assert states == ["kept"] * 5


def test_power_stands_on_the_disk_before_a_score_is_made(home, away, tested, tmp_path, monkeypatch):
    from equipoise.accept import stage as stages

    def never(bundle, vectors):
        raise InvalidInput("a score was asked for")

    monkeypatch.setattr(stages.bundles, "scores", never)
    given = {"cohort": away / "ingest", "embeddings": tested.folder / "embed"}
    options = accept.Options(bundle=str(tested.bundle.folder), **QUICK)
    with pytest.raises(InvalidInput, match="a score was asked for"):
        accept.run(options, given, tmp_path, Scope())
    assert (tmp_path / "power.json").is_file()
    assert not (tmp_path / "predictions").exists()


def test_the_command_prints_power_then_shift_then_the_verdict(home, away, tmp_path, capsys):
    words = ["accept", str(home / "release" / "bundle.zip"), "--cohort", str(away / "ingest")]
    with pytest.raises(SystemExit) as done:
        main([*words, "--out", str(tmp_path / "out"), "--draws", "10"])
    printed = capsys.readouterr()
    said = " ".join(printed.out.split())
    places = [said.index(text) for text in ("power, before any result", "input shift", "'small'")]
    assert places == sorted(places)
    assert "report.html" in printed.err
    verdict = tables.read_json(tmp_path / "out" / "gate" / "verdict.json")
    assert done.value.code == verdict["exit_code"]


def test_two_tests_do_not_take_each_others_folder(home, away, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for bundle in (home / "release" / "bundle", home / "release" / "bundle.zip"):
        with pytest.raises(SystemExit):
            main(["accept", str(bundle), "--cohort", str(away), "--draws", "10"])
    with pytest.raises(SystemExit):
        main(["accept", str(bundle), "--cohort", str(away / "ingest"), "--draws", "10"])
    capsys.readouterr()
    assert [path.name for path in (tmp_path / "acceptance").iterdir()] == ["home-at-away"]


def test_the_very_cohort_it_was_made_from_is_refused(home, tmp_path):
    with pytest.raises(Refused, match="the very cohort that the bundle 'small' was made from"):
        accepted(home / "release" / "bundle", home, tmp_path / "out", on=TODAY, options=QUICK)


def test_a_bundle_that_was_altered_is_not_opened(home, away, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(home / "release" / "bundle", copy)
    (copy / "policy.json").write_text("{}")
    with pytest.raises(AlteredEvidence, match=r"policy\.json is altered"):
        accepted(copy, away, tmp_path / "out", on=TODAY, options=QUICK)
    assert not (tmp_path / "out").exists()


def test_embeddings_of_another_encoder_are_refused(home, away, tested, tmp_path):
    folder = tmp_path / "embed"
    shutil.copytree(tested.folder / "embed", folder)
    rows = tables.read(folder / "embeddings.parquet", tables.EMBEDDINGS)
    more = {"encoder": "other", "digest": "f" * 64}
    tables.write(rows, folder / "embeddings.parquet", tables.EMBEDDINGS, more=more)
    with pytest.raises(InvalidEncoder, match=r"made by encoder 'other' .* needs 'filterbank'"):
        one_stage(tested.bundle.folder, away / "ingest", folder, tmp_path / "out")


def test_a_cohort_without_a_declared_attribute_is_refused_with_the_band_to_cut(
    tested, away, tmp_path
):
    cohort = changed(away, tmp_path, lambda frame: frame.drop("age_band"))
    with pytest.raises(InvalidTable, match="no attribute 'age_band', which the bundle") as why:
        one_stage(tested.bundle.folder, cohort, tested.folder / "embed", tmp_path / "out")
    assert "bands: {age_band: {from: age_years, edges: [60]}}" in why.value.hint


def test_a_band_that_is_cut_elsewhere_is_refused_with_the_band_to_cut(tested, away, tmp_path):
    cohort = changed(away, tmp_path, lambda frame: frame.with_columns(age_band=pl.lit("40-64")))
    with pytest.raises(InvalidTable, match="have the level '40-64'") as why:
        one_stage(tested.bundle.folder, cohort, tested.folder / "embed", tmp_path / "out")
    assert why.value.hint == "ingest with bands: {age_band: {from: age_years, edges: [60]}}"


def test_the_page_shows_power_and_shift_before_the_verdict_is_read(tested):
    page = (tested.folder / "report" / "report.html").read_text()
    assert 'id="acceptance"' in page
    assert tables.read_json(tested.folder / "report" / "report.json")["acceptance"]["chances"]


def test_a_truth_that_a_maker_claims_is_not_called_a_reference(capsys):
    row = {
        "case": "reference",
        "draws": 10,
        "verdicts": {v: {"share": 0.0} for v in ("pass", "inconclusive", "not assessable", "fail")},
    }
    show_power({"chances": [row], "expected_from": {"x": "claims of the maker, the same …"}})
    assert "as its maker claims" in capsys.readouterr().out
    show_power({"chances": [row], "expected_from": {"x": "reference counts"}})
    assert "as in its reference" in capsys.readouterr().out


def test_a_level_that_is_not_declared_is_refused(tested, away, tmp_path):
    cohort = changed(
        away, tmp_path, lambda frame: frame.with_columns(sex=pl.lit("X", dtype=pl.String))
    )
    with pytest.raises(InvalidTable, match="have the level 'X', which the bundle 'small' does not"):
        one_stage(tested.bundle.folder, cohort, tested.folder / "embed", tmp_path / "out")


def test_a_finding_without_a_column_or_without_a_label_is_refused(tested, away, tmp_path):
    cohort = changed(away, tmp_path / "a", lambda frame: frame.drop("label:opacity"))
    with pytest.raises(InvalidTable, match="no finding 'opacity'"):
        one_stage(tested.bundle.folder, cohort, tested.folder / "embed", tmp_path / "out")
    nothing = pl.lit(None, dtype=pl.Boolean).alias("label:opacity")
    cohort = changed(away, tmp_path / "b", lambda frame: frame.with_columns(nothing))
    with pytest.raises(InvalidTable, match=r"no image of .* has a label of 'opacity'"):
        one_stage(tested.bundle.folder, cohort, tested.folder / "embed", tmp_path / "out")


def test_images_of_another_size_are_refused(tested, tmp_path):
    other = ingested(tmp_path / "other", seed=8, patients=30, size=32)
    with pytest.raises(InvalidConfiguration, match=r"32 × 32 pixels.*takes 64 × 64"):
        one_stage(tested.bundle.folder, other / "ingest", tested.folder / "embed", tmp_path / "o")


def test_a_cohort_that_is_not_there_or_not_the_only_one_is_said(away, tmp_path):
    assert cohort_in(away) == away / "ingest"
    with pytest.raises(InvalidInput, match=r"no cohort\.parquet with images\.npy"):
        cohort_in(tmp_path)
    for name in ("a", "b"):
        shutil.copytree(away / "ingest", tmp_path / name)
    with pytest.raises(InvalidInput, match="found a, b"):
        cohort_in(tmp_path)


@pytest.fixture(scope="module")
def overridden(tmp_path_factory):
    """A bundle that failed and went out by override."""
    folder = tmp_path_factory.mktemp("accept") / "failed"
    given = {"name": "A. Lee", "reason": "a pilot", "expires": "2026-12-31"}
    rules = made.policy(sensitivity=0.999)
    made.go(folder, made.study(rules=rules, release={"override": given, "today": "2026-11-25"}))
    return folder / "release" / "bundle"


def test_an_override_that_expired_is_refused_before_anything_runs(overridden, away, tmp_path):
    with pytest.raises(Refused, match=r"the override by A\. Lee expired on 2026-12-31"):
        accepted(overridden, away, tmp_path / "out", on=date(2027, 1, 1), options=QUICK)
    with pytest.raises(InvalidConfiguration, match="expected 'today', the date"):
        bundles.check_usable(bundles.opened(overridden), on=None)


def test_an_override_that_holds_is_shown_in_every_record_and_saves_nobody(
    overridden, away, tmp_path
):
    done = accepted(overridden, away, tmp_path / "out", on=TODAY, options=QUICK)
    assert done.exit_code == 1
    assert done.sentence.startswith("refused: 'small' fails here")
    assert "override of A. Lee until 2026-12-31: a pilot" in done.sentence
    for name in ("acceptance.json", "selection.json"):
        assert tables.read_json(done.folder / "accept" / name)["override"]["name"] == "A. Lee"
    for name in ("audit/audit.json", "gate/verdict.json"):
        said = tables.read_json(done.folder / name)
        assert (said["override"]["name"], said["bundle"]) == ("A. Lee", done.bundle.digest)
    page = (done.folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "RELEASED BY OVERRIDE, not by a pass: A. Lee answers for it until 2026-12-31" in page
    for folder in (done.folder, done.folder / "accept", done.folder / "gate"):
        said = evidence.read_statement(folder)["predicate"]["result"]
        assert said["override"]["name"] == "A. Lee"


def test_a_study_goes_round_in_one_file(tmp_path):
    content = made.study(release={})
    second = made.study(patients=160)["stages"]
    second["phantoms"]["seed"] = 77
    content["stages"] |= {
        "phantoms2": {"stage": "phantoms", **second["phantoms"]},
        "ingest2": {"stage": "ingest", **second["ingest"], "inputs": {"dicom": "phantoms2"}},
        "embed2": {
            "stage": "embed",
            **second["embed"],
            "inputs": {"cohort": "ingest2", "images": "ingest2"},
        },
        "accept": {
            **QUICK,
            "inputs": {"cohort": "ingest2", "images": "ingest2", "embeddings": "embed2"},
        },
        "audit2": {
            "stage": "audit",
            **second["audit"],
            "inputs": {"cohort": "ingest2", "predictions": "accept"},
        },
        "gate2": {"stage": "gate", **second["gate"], "inputs": {"estimates": "audit2"}},
    }
    made.go(tmp_path / "run", content)
    assert evidence.verify(tmp_path / "run") == []
    audit = tables.read_json(tmp_path / "run" / "audit2" / "audit.json")
    cohort = tables.read(tmp_path / "run" / "ingest2" / "cohort.parquet", tables.COHORT)
    assert audit["n_images"] == cohort.height


def test_a_model_from_outside_is_refused_on_the_films_of_the_nih(shared, tmp_path, capsys):
    """It answers "COVID" for nearly every film there."""
    bundle = tmp_path / "bundle"
    example = ROOT / "examples" / "outside_model.yaml"
    with pytest.raises(SystemExit) as done:
        main(["wrap", str(example), "--out", str(bundle)])
    assert done.value.code == 0
    study = ROOT / "examples" / "nih_cxr.yaml"
    import yaml

    content = yaml.safe_load(study.read_text(encoding="utf-8"))
    content["stages"] = {"ingest": content["stages"]["ingest"]}
    from equipoise.study import conduct, parse

    conduct(parse(content), tmp_path / "nih", base=study.parent)
    words = ["accept", str(bundle), "--cohort", str(tmp_path / "nih"), "--draws", "10"]
    with pytest.raises(SystemExit) as done:
        main([*words, "--out", str(tmp_path / "out")])
    said = " ".join(capsys.readouterr().out.split())
    assert done.value.code == 1
    assert "RELEASED BY OVERRIDE, not by a pass" in said
    assert "input shift cannot be judged: not available" in said
    assert "refused: 'tm-cxr' fails here and must not be used on these patients" in said
    verdict = tables.read_json(tmp_path / "out" / "gate" / "verdict.json")
    assert verdict["verdict"] == "fail"
    failed = {c["name"] for c in verdict["criteria"] if c["outcome"] == "fail"}
    assert {"not everybody is alarmed", "a useful ranking for everybody"} <= failed
    assert evidence.verify(tmp_path / "out") == []


def test_a_model_from_outside_says_what_is_wrong_with_it(tmp_path, shared):
    import yaml

    path = ROOT / "examples" / "outside_model.yaml"
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    scope = Scope(base=path.parent)
    wrong = release.Wrapping.model_validate({**said, "heads": {"pneumonia": 3}})
    with pytest.raises(InvalidEncoder, match="column 3 of what 'tm_cxr' answers; it has 3"):
        release.wrapped(tmp_path / "a", wrong, scope, on=TODAY)
    wrong = release.Wrapping.model_validate({**said, "operating_points": {"covid": {"half": 0.5}}})
    with pytest.raises(InvalidConfiguration, match="no finding 'covid'; known: pneumonia"):
        release.wrapped(tmp_path / "b", wrong, scope, on=TODAY)
    asked = release.Wrapping.model_validate(said)
    with pytest.raises(Refused, match="expired on 2099-12-31"):
        release.wrapped(tmp_path / "c", asked, scope, on=date(2100, 1, 1))
    digest = release.wrapped(tmp_path / "d", asked, scope, on=TODAY)
    found = bundles.opened(tmp_path / "d")
    assert found.digest == digest
    assert found.verdict["verdict"] == "not judged"
    assert json.loads((tmp_path / "d" / "bundle.json").read_text())["reference"] is False


def test_a_given_cohort_becomes_the_reference_of_a_model_from_outside(away, tmp_path):
    """Here the filterbank with a column that happens to lie in [0, 1] stands for a model."""
    asked = release.Wrapping.model_validate(
        {
            "name": "outside",
            "encoder": "filterbank",
            "parameters": {},
            "heads": {"opacity": 0},
            "contract": {"height": 64, "width": 64, "channels": 1},
            "audit": {"attributes": {"sex": ["F", "M", "unknown"]}},
            "policy": made.policy(),
            "override": {"name": "A. Lee", "reason": "a test", "expires": "2027-01-01"},
            "reference": str(away / "ingest"),
        }
    )
    release.wrapped(tmp_path / "b", asked, on=TODAY)
    found = bundles.opened(tmp_path / "b")
    cohort = tables.read(away / "ingest" / "cohort.parquet", tables.COHORT)
    assert found.reference.n_train + found.reference.n_held == cohort.height
    assert found.reference.mix["sex"]["F"] == (cohort["sex"] == "F").sum()
    assert found.reference.counts is None
