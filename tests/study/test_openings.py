import shutil

import pytest

from equipoise import curate, evidence, tables
from equipoise.errors import InvalidConfiguration, InvalidInput
from equipoise.scope import Scope
from equipoise.study import execute, openings
from equipoise.study import stage as stage_of
from tests.adapt.made import cohort, embeddings


def stage(folder, split):
    folder.mkdir(parents=True)
    tables.write_json(folder / "audit.json", {"split": split})
    return folder


def test_only_a_stage_that_looked_at_a_test_split_is_counted(tmp_path):
    openings.count(stage(tmp_path / "one", "all"), tmp_path / "audit", "a")
    (tmp_path / "empty").mkdir()
    openings.count(tmp_path / "empty", tmp_path / "audit", "a")
    assert evidence.opened(tmp_path) is None
    openings.count(stage(tmp_path / "two", "test"), tmp_path / "audit", "a")
    assert evidence.opened(tmp_path) == {"times": 1, "questions": 1}


def test_the_same_question_asked_again_is_another_opening(tmp_path):
    looked = stage(tmp_path / "two", "test")
    for asked in ("a", "a", "b"):
        openings.count(looked, tmp_path / "audit", asked)
    assert evidence.opened(tmp_path) == {"times": 3, "questions": 2}
    assert [one["asked"] for one in evidence.openings(tmp_path)] == ["a", "a", "b"]


def test_a_tally_that_cannot_be_read_is_not_begun_anew(tmp_path):
    tables.write_json(tmp_path / evidence.OPENINGS_FILE, {"openings": 3})
    with pytest.raises(InvalidInput, match=r"test_openings\.json: expected a list of openings"):
        openings.count(stage(tmp_path / "two", "test"), tmp_path / "audit", "a")


@pytest.fixture
def prepared(tmp_path):
    frame, x = cohort(n=800)
    splits = curate.splits(frame)
    for name, table, contract in (
        ("cohort", frame, tables.COHORT),
        ("splits", splits, tables.SPLITS),
        ("embeddings", embeddings(frame, x), tables.EMBEDDINGS),
    ):
        (tmp_path / name).mkdir()
        tables.write(table, tmp_path / name / f"{name}.parquet", contract)
    given = {name: tmp_path / name for name in ("cohort", "splits", "embeddings")}
    found = stage_of("adapt")
    options = found.options(evaluation="split", candidates=(), penalties=(1.0,), group_by=("sex",))
    execute(found, options, given, tmp_path / "adapt", Scope())
    return tmp_path, {**given, "predictions": tmp_path / "adapt"}


def audited(folder, given, **more):
    found = stage_of("audit")
    options = found.options(attributes={"sex": ["F", "M"]}, **more)
    return execute(found, options, given, folder / "audit", Scope()).state


def test_an_audit_of_the_test_split_is_counted_each_time_it_runs_and_not_when_it_is_kept(prepared):
    folder, given = prepared
    assert [audited(folder, given), audited(folder, given)] == ["ran", "kept"]
    assert evidence.opened(folder) == {"times": 1, "questions": 1}
    audited(folder, given, intersections=1)
    assert evidence.opened(folder) == {"times": 2, "questions": 2}
    shutil.rmtree(folder / "audit")
    audited(folder, given)
    assert evidence.opened(folder) == {"times": 3, "questions": 2}
    audited(folder, given, split="validation")
    assert evidence.opened(folder) == {"times": 3, "questions": 2}


def test_an_audit_that_fails_leaves_the_tally_as_it_was(prepared):
    folder, given = prepared
    with pytest.raises(InvalidConfiguration, match="no predictions of the candidate"):
        audited(folder, given, candidate="nowhere")
    assert evidence.opened(folder) is None


def test_the_report_carries_the_tally(prepared):
    folder, given = prepared
    audited(folder, given)
    found = stage_of("report")
    noted = {"estimates": folder / "audit", "predictions": folder / "adapt"}
    execute(found, found.options(), noted, folder / "report", Scope())
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "Times the test split was opened: 1; different questions: 1" in page
    content = tables.read_json(folder / "report" / "report.json")
    assert content["openings"] == {"times": 1, "questions": 1}
    assert [row["guard"] for row in content["judged"]] == ["reference"]
