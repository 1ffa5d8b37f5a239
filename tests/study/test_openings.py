import pytest

from equipoise import evidence, tables
from equipoise.errors import InvalidInput
from equipoise.study import openings


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
