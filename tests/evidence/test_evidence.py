import json

import pytest

from equipoise import evidence
from equipoise.errors import AlteredEvidence, InvalidInput
from equipoise.tables import write_bytes, write_text


def leave(folder, *, inputs=None, stage="audit"):
    said = evidence.statement(
        stage,
        subject=evidence.subjects(folder),
        inputs=inputs or {},
        parameters={"level": 0.95},
        result={"n": 1},
        code={"equipoise": "0", stage: "1"},
    )
    return evidence.write_statement(folder, said)


@pytest.fixture
def run(tmp_path):
    """A run of two stages, the second given the first."""
    write_text(tmp_path / "one" / "a.txt", "a")
    write_text(tmp_path / "one" / "deep" / "b.txt", "b")
    leave(tmp_path / "one")
    write_text(tmp_path / "two" / "c.txt", "c")
    given = {"one": evidence.folder_digest(tmp_path / "one")}
    leave(tmp_path / "two", inputs=given)
    said = evidence.statement(
        "study",
        subject={
            f"{s}/evidence.json": evidence.statements.file_digest(tmp_path / s / "evidence.json")
            for s in ("one", "two")
        },
        inputs={},
        parameters={},
        result={},
        code={},
    )
    evidence.write_statement(tmp_path, said)
    return tmp_path


def states(run):
    return [(f.state, f.name) for f in evidence.verify(run)]


def test_an_untouched_run_has_no_findings(run):
    assert states(run) == []


def test_one_changed_byte_is_named(run):
    write_text(run / "one" / "a.txt", "A")
    assert ("altered", "one/a.txt") in states(run)


def test_a_missing_file_is_named(run):
    (run / "one" / "deep" / "b.txt").unlink()
    assert states(run) == [("missing", "one/deep/b.txt")]


def test_an_added_file_is_named_in_a_stage_and_beside_the_stages(run):
    write_text(run / "two" / "stray.txt", "x")
    write_text(run / "three" / "stray.txt", "x")
    assert set(states(run)) == {("added", "two/stray.txt"), ("added", "three/stray.txt")}


def test_time_and_memory_stand_outside_the_evidence(run):
    write_text(run / "two" / "spent.json", "{}")
    assert states(run) == []


def test_evidence_that_was_edited_is_altered_and_its_files_are_still_checked(run):
    path = run / "two" / "evidence.json"
    said = json.loads(path.read_bytes())
    said["predicate"]["result"]["n"] = 2
    write_bytes(path, evidence.canonical(said))
    assert states(run) == [("altered", "two/evidence.json")]


def test_a_stage_made_again_breaks_the_hand_off_to_the_next(run):
    write_text(run / "one" / "a.txt", "A")
    leave(run / "one")
    found = states(run)
    assert ("broken", "two/evidence.json") in found
    assert ("altered", "one/evidence.json") in found


def test_evidence_that_is_not_json_is_broken(run):
    write_text(run / "two" / "evidence.json", "{")
    assert ("broken", "two/evidence.json") in states(run)


@pytest.mark.parametrize("name", ["../secret.txt", "absolute", "a/../../secret.txt"])
def test_a_name_that_leaves_the_folder_is_neither_read_nor_told_of(tmp_path, name):
    write_text(tmp_path / "secret.txt", "7")
    name = str(tmp_path / "secret.txt") if name == "absolute" else name
    folder = tmp_path / "run"
    said = evidence.statement(
        "audit", subject={name: "0" * 64}, inputs={}, parameters={}, result={}, code={}
    )
    evidence.write_statement(folder, said)
    (found,) = evidence.verify(folder)
    assert found.state == "broken"
    assert found.detail == f"names '{name}', which is not within its folder"


def test_a_statement_of_another_kind_is_refused(tmp_path):
    write_text(tmp_path / "evidence.json", '{"_type": "x"}')
    with pytest.raises(
        AlteredEvidence, match="type 'x', predicate None; expected 'https://in-toto"
    ):
        evidence.read_statement(tmp_path)


def test_a_folder_without_evidence_is_no_run(tmp_path):
    with pytest.raises(InvalidInput, match=r"no evidence\.json in it"):
        evidence.verify(tmp_path)


def test_a_statement_has_the_in_toto_form_and_canonical_bytes(run):
    body = (run / "one" / "evidence.json").read_bytes()
    said = json.loads(body)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert set(said) == {"_type", "subject", "predicateType", "predicate"}
    assert [s["name"] for s in said["subject"]] == ["a.txt", "deep/b.txt"]
    assert all(len(s["digest"]["sha256"]) == 64 for s in said["subject"])
    assert body == evidence.canonical(said)


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="Out of range float"):
        evidence.canonical({"a": float("nan")})
