"""Who may leave, under whose name, and what travels."""

import contextlib
import shutil
from datetime import date

import numpy as np
import polars as pl
import pytest
import yaml

from equipoise import bundles, evidence, release, tables
from equipoise.cli import main
from equipoise.errors import (
    AlteredEvidence,
    InvalidConfiguration,
    InvalidEncoder,
    InvalidInput,
    Refused,
)
from equipoise.release.cards import escaped
from equipoise.scope import Scope
from equipoise.study import execute, parse, stage
from tests.release import made

pytestmark = pytest.mark.slow

NEVER = made.policy(sensitivity=0.999)
HARD = made.policy(tolerance=0.02)
OVERRIDE = {"name": "A. Lee", "reason": "a pilot <b>with</b> a reader", "expires": "2026-12-31"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run up to a pass, not to be changed."""
    folder = tmp_path_factory.mktemp("release") / "run"
    made.go(folder, made.study())
    return folder


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A run up to a fail, not to be changed."""
    folder = tmp_path_factory.mktemp("release") / "failed"
    made.go(folder, made.study(rules=NEVER))
    return folder


def released(run, out, **options):
    given = {
        "cohort": "ingest",
        "images": "ingest",
        "splits": "curate",
        "embeddings": "embed",
        "predictions": "adapt",
        "estimates": "audit",
        "verdict": "gate",
    }
    folders = {noun: run / name for noun, name in given.items()}
    kind = stage("release")
    chosen = release.Options.model_validate({"name": "small", **options})
    return execute(kind, chosen, folders, out, Scope(base=run.parent)).result


def test_a_pass_becomes_a_bundle_that_scores_as_the_study_did(run, tmp_path):
    said = released(run, tmp_path / "release")
    found = bundles.opened(tmp_path / "release" / "bundle")
    assert (said["verdict"], said["override"], said["bundle"]) == ("pass", None, found.digest)
    rows = tables.read(run / "embed" / "embeddings.parquet", tables.EMBEDDINGS)
    written = tables.read(run / "adapt" / "predictions" / "plain-0.parquet", tables.PREDICTIONS)
    both = rows.join(written, on="image_id")
    online = bundles.scores(found, both["vector"].to_numpy())["opacity"]
    assert np.array_equal(online, both["score:opacity"].to_numpy())
    assert evidence.verify(tmp_path / "release") == []
    assert evidence.verify(tmp_path / "release" / "bundle") == []


def test_what_travels_are_summaries_and_the_contract_of_what_was_seen(run, tmp_path):
    released(run, tmp_path / "release", format="zip")
    found = bundles.opened(tmp_path / "release" / "bundle.zip", Scope(cache=tmp_path / "cache"))
    assert found.contract.modalities == ("CR", "DX")
    assert found.contract.may_lack == ("view",)
    assert found.contract.rows == (32, 128)
    assert found.audit.bands["age_band"].edges == (60,)
    assert found.audit.attributes["age_band"] == ["0-59", "60+", "unknown"]
    splits = tables.read(run / "curate" / "splits.parquet", tables.SPLITS)
    by = dict(splits.group_by("split").len().iter_rows())
    assert (found.reference.n_train, found.reference.n_held) == (by["train"], by["validation"])
    ids = set(splits["image_id"]) | set(splits["patient_id"])
    text = b"".join(p.read_bytes() for p in found.folder.rglob("*") if p.is_file())
    assert not [name for name in ids if name.encode() in text]
    chain = {path.stem for path in (found.folder / "chain").iterdir()}
    assert chain == {"ingest", "curate", "embed", "adapt", "audit", "gate"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("verdict.json", "not the one that its gate made"),
        ("probes/00-opacity.json", "none that its adapt made"),
        ("chain/audit.json", "its gate was not given what its audit made"),
    ],
)
def test_a_bundle_sealed_anew_over_another_file_is_not_opened(run, tmp_path, name, why):
    released(run, tmp_path / "release")
    folder = tmp_path / "release" / "bundle"
    content = tables.read_json(folder / name)
    if name.startswith("chain"):
        content["subject"] = content["subject"][1:]
    tables.write_json(folder / name, {**content, "reason": "better"})
    said = evidence.read_statement(folder)
    for entry in said["subject"]:
        entry["digest"]["sha256"] = evidence.subjects(folder)[entry["name"]]
    evidence.write_statement(folder, said)
    with pytest.raises(AlteredEvidence, match=why):
        bundles.opened(folder)


def test_the_test_split_sets_no_distance_limit(run, tmp_path):
    released(run, tmp_path / "release", distance_quantile=1.0)
    found = bundles.opened(tmp_path / "release" / "bundle")
    rows = tables.read(run / "embed" / "embeddings.parquet", tables.EMBEDDINGS)
    splits = tables.read(run / "curate" / "splits.parquet", tables.SPLITS)
    held = rows.join(splits.filter(split="validation"), on="image_id", how="semi")
    far = bundles.distances(found, held["vector"].to_numpy())
    assert found.contract.distance_limit == pytest.approx(far.max())


def test_a_fail_is_refused_with_its_exit_code(failed, tmp_path):
    with pytest.raises(Refused, match=r"the verdict is 'fail' \(.*only a pass is released") as why:
        released(failed, tmp_path / "release")
    assert why.value.exit_code == 1
    assert "override" in why.value.hint
    assert not (tmp_path / "release").exists()


def test_an_inconclusive_verdict_is_refused_with_exit_code_3(tmp_path):
    with pytest.raises(Refused, match="the verdict is 'inconclusive'") as why:
        made.go(tmp_path / "run", made.study(rules=HARD, release={}))
    assert why.value.exit_code == 3


def test_an_override_lets_a_fail_go_and_is_shown_everywhere(failed, tmp_path):
    said = released(failed, tmp_path / "release", override=OVERRIDE, today="2026-12-31")
    found = bundles.opened(tmp_path / "release" / "bundle")
    assert said["override"] == OVERRIDE
    assert found.override.expires == date(2026, 12, 31)
    assert found.verdict["verdict"] == "fail"
    for folder in (tmp_path / "release", found.folder):
        assert evidence.read_statement(folder)["predicate"]["result"]["override"] == OVERRIDE
    assert tables.read_json(found.folder / "bundle.json")["override"] == OVERRIDE
    card = (found.folder / "model_card.md").read_text(encoding="utf-8")
    assert "Released by override, not by a pass" in card
    assert "<b>" not in card


def test_an_override_that_expired_lets_nothing_go(failed, tmp_path):
    with pytest.raises(Refused, match=r"the override by A\. Lee expired on 2026-12-31") as why:
        released(failed, tmp_path / "release", override=OVERRIDE, today="2027-01-01")
    assert why.value.exit_code == 1


@pytest.mark.parametrize("missing", ["name", "reason", "expires"])
def test_an_override_without_name_reason_or_expiry_is_none(missing):
    said = {k: v for k, v in OVERRIDE.items() if k != missing}
    content = made.study(release={"override": said, "today": "2026-12-31"})
    with pytest.raises(InvalidConfiguration, match=rf"override\.{missing}"):
        parse(content)
    said = OVERRIDE | {"reason": "  "}
    with pytest.raises(InvalidConfiguration, match=r"override\.reason: .*is blank"):
        parse(made.study(release={"override": said, "today": "2026-12-31"}))


def test_an_override_of_a_pass_is_not_recorded(run, tmp_path):
    said = released(run, tmp_path / "release", override=OVERRIDE, today="2026-01-01")
    assert said["override"] is None
    assert said["override_not_needed"] is True


def test_cross_fitted_scores_are_no_model(tmp_path):
    content = made.study(
        evaluation="cross-fit", release={"override": OVERRIDE, "today": "2026-01-01"}
    )
    with pytest.raises(Refused, match="cross-fitted, by several probes") as why:
        made.go(tmp_path / "run", content)
    assert why.value.exit_code == 3


def test_groups_taken_from_the_data_never_pass(tmp_path):
    content = made.study(release={}, attributes={"sex": None})
    with pytest.raises(Refused, match="'not assessable'"):
        made.go(tmp_path / "run", content)


def test_a_verdict_of_another_run_is_refused(run, failed, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(run, mixed)
    shutil.rmtree(mixed / "audit")
    made.go(tmp_path / "other", made.study(seed=9))
    shutil.copytree(tmp_path / "other" / "audit", mixed / "audit")
    with pytest.raises(InvalidInput, match=r"the verdict in .* were not made from the estimates"):
        released(mixed, tmp_path / "release")


def test_an_encoder_that_changed_since_is_refused(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    # The embeddings now say that another encoder made them; every later digest agrees.
    path = copy / "embed" / "embeddings.parquet"
    rows, said = tables.read(path, tables.EMBEDDINGS), tables.metadata(path)
    more = {k: v for k, v in said.items() if k not in {"table", "version", "unit"}}
    tables.write(rows, path, tables.EMBEDDINGS, more={**more, "digest": "0" * 64})
    from equipoise.release.gathering import Material, encoder_of

    empty = pl.DataFrame()
    material = Material(
        {"embeddings": copy / "embed"},
        {},
        {"embeddings": evidence.read_statement(copy / "embed")["predicate"]},
        *([empty] * 5),
        {},
        {},
        None,
        "plain-0",
    )
    with pytest.raises(
        InvalidEncoder, match="the embeddings were made by the encoder 000000000000"
    ):
        encoder_of(material, Scope())


def test_the_command_exits_with_the_code_of_the_verdict(failed, tmp_path, capsys):
    words = ["release", "--name", "x", "--out", str(tmp_path / "release")]
    for noun, name in (
        ("cohort", "ingest"),
        ("splits", "curate"),
        ("embeddings", "embed"),
        ("predictions", "adapt"),
        ("estimates", "audit"),
        ("verdict", "gate"),
    ):
        words += [f"--from-{noun}", str(failed / name)]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 1
    assert "only a pass is released" in " ".join(capsys.readouterr().err.split())
    long_after = "{name: A. Lee, reason: pilot, expires: 2999-01-01}"
    main_words = [*words, "--override", long_after]
    with pytest.raises(SystemExit) as done:
        main(main_words)
    assert done.value.code == 0
    assert bundles.opened(tmp_path / "release" / "bundle").override.name == "A. Lee"


def test_a_study_without_a_pass_still_leaves_verdict_and_report_and_says_where(tmp_path, capsys):
    content = made.study(rules=NEVER, release={})
    content["stages"]["report"] = {}
    study, out = tmp_path / "study.yaml", tmp_path / "run"
    study.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(SystemExit) as done:
        main(["run", str(study), "--out", str(out), "--workers", "1"])
    err = " ".join(capsys.readouterr().err.split())
    assert done.value.code == 1
    assert "only a pass is released" in err
    assert "verdict (gate): fail" in err
    assert f"report: {out / 'report' / 'report.html'}" in err
    assert f"bundle: {out}" not in err
    assert evidence.verify(out) == []


def test_the_bundle_of_an_earlier_run_is_not_taken_for_this_ones(tmp_path, capsys):
    study, out = tmp_path / "study.yaml", tmp_path / "run"
    study.write_text(yaml.safe_dump(made.study(release={"format": "zip"}), sort_keys=False))
    words = ["run", str(study), "--out", str(out), "--workers", "1"]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    assert f"bundle: {out / 'release' / 'bundle'}" in " ".join(capsys.readouterr().err.split())
    for path in (out / "release" / "bundle", out / "release" / "bundle.zip"):
        with contextlib.suppress(SystemExit):
            main(["verify", str(path)])
        assert "every file is as its evidence says" in capsys.readouterr().err
    study.write_text(
        yaml.safe_dump(made.study(rules=NEVER, release={"format": "zip"}), sort_keys=False)
    )
    with pytest.raises(SystemExit) as done:
        main(words)
    err = " ".join(capsys.readouterr().err.split())
    assert done.value.code == 1
    assert "a bundle of an earlier run, which this one did not release" in err
    assert f"bundle: {out}" not in err


def test_an_altered_zip_is_verified_as_its_folder_would_be(run, tmp_path, capsys):
    released(run, tmp_path / "release")
    folder = tmp_path / "release" / "bundle"
    (folder / "model_card.md").write_text("better")
    bundles.packed(folder, tmp_path / "altered.zip")
    with pytest.raises(SystemExit) as done:
        main(["verify", str(tmp_path / "altered.zip")])
    printed = capsys.readouterr()
    assert done.value.code == 1
    assert printed.out.startswith("altered\tmodel_card.md\t")
    assert "1 difference between" in printed.err


def test_the_folder_around_a_bundle_is_no_bundle_and_the_bundle_is_named(run, tmp_path):
    released(run, tmp_path / "release")
    with pytest.raises(InvalidInput, match="is that of 'release'; expected a bundle") as why:
        bundles.opened(tmp_path / "release")
    assert why.value.hint == f"the bundle is {tmp_path / 'release' / 'bundle'}"


def test_an_override_in_a_study_needs_the_date_and_says_how():
    content = made.study(rules=NEVER, release={"override": OVERRIDE})
    with pytest.raises(InvalidConfiguration, match="date of the release, as today: 2026") as why:
        parse(content)
    assert "A. Lee" not in str(why.value)


def test_text_from_data_is_escaped_in_the_card():
    assert escaped("a\n# b") == r"a \# b"
    assert escaped("![x](javascript:1)") == r"\!\[x\]\(javascript:1\)"
