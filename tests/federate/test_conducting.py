"""Sites that answer in memory: late, wrongly, not at all, and rightly."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from equipoise.errors import InvalidInput, InvalidTable, Refused
from equipoise.federate import sums
from equipoise.federate.answering import COUNTS, MOMENTS, answer, asked
from equipoise.federate.conducting import Course, Heard, Summed, conducted
from equipoise.federate.declaring import Federation
from equipoise.federate.messages import Message, packed, unpacked
from equipoise.federate.simulating import write_site
from equipoise.metrics import parts
from tests.federate.made import SITES, hospital, study

FOUR = (*SITES, "valley")
Spoil = Callable[[str, str, bytes], bytes | None]


def honest(name: str, site: str, said: bytes) -> bytes | None:
    return said


class Room:
    """Sites in one room; `spoil` gets round, site and answer, and returns what arrives."""

    def __init__(self, folder: Path, told: Federation, spoil: Spoil = honest, **tables) -> None:
        self.told, self.spoil, self.folder = told, spoil, folder
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.tables = {
            site: tables.get(site, hospital(site, seed=n, patients=80 + 10 * n))
            for n, site in enumerate(told.sites)
        }
        for site, rows in self.tables.items():
            rows.write_parquet(folder / f"{site}.parquet")
            write_site(folder / site, told, folder / f"{site}.parquet", b"k" * 32)

    def ask(self, name: str, question: bytes, sites) -> Heard:
        self.asked.append((name, tuple(sites)))
        answers = {}
        for site in sites:
            said = self.spoil(name, site, answer(question, self.folder / site, site))
            if said is not None:
                answers[site] = said
        silent = {s: "it did not answer within 7 s" for s in sites if s not in answers}
        return Heard(answers, silent, 0.5)

    def run(self, present=None) -> tuple[Summed, Course]:
        course = Course()
        return conducted(self.told, self.ask, present or self.told.sites, "job", course), course

    def fails(self, kind, present=None) -> tuple[str, Course]:
        course = Course()
        with pytest.raises(kind) as caught:
            conducted(self.told, self.ask, present or self.told.sites, "job", course)
        return str(caught.value), course


def check_pooled(room: Room, found: Summed, sites) -> None:
    """Hold a result against the engine in one place, over the rows of these sites."""
    what = sums.agreed(room.told)
    rows = pl.concat([room.tables[site] for site in sites])
    whole = parts.pooled(parts.population_of(rows, what, patient="patient_id"), what)
    assert found.contributing == tuple(sites)
    assert found.estimated.counts.equals(whole.counts)
    made = found.estimated.estimates
    near = ["value", "low", "high", "standard_error", "p_value", "p_adjusted", "chance"]
    # What is corrected for chance jumps where a covariance has hardly any rank.
    exact = [name for name in made.columns if name not in {*near, "reason", "corrected"}]
    assert made.select(exact).equals(whole.estimates.select(exact))
    for name in near:
        mine, theirs = made[name], whole.estimates[name]
        assert mine.is_null().equals(theirs.is_null())
        assert (mine - theirs).abs().max() <= 1e-12


def test_the_sum_over_sites_equals_the_pooled_data(tmp_path):
    room = Room(tmp_path, study())
    found, course = room.run()
    check_pooled(room, found, SITES)
    assert course.left == []
    assert set(found.digests["ridge"]) == {"ridge.parquet"}


def test_a_site_that_stays_silent_is_named_and_the_rest_is_the_result(tmp_path):
    def spoil(name, site, said):
        return None if (name, site) == (COUNTS, "valley") else said

    room = Room(tmp_path, study(FOUR), spoil)
    found, course = room.run()
    check_pooled(room, found, SITES)
    assert [(one.site, one.round, one.kind) for one in course.left] == [
        ("valley", COUNTS, "silent")
    ]


def test_who_leaves_between_the_rounds_is_taken_out_of_the_counts_too(tmp_path):
    def spoil(name, site, said):
        return None if (name, site) == (MOMENTS, "harbour") else said

    room = Room(tmp_path, study(FOUR), spoil)
    found, course = room.run()
    check_pooled(room, found, FOUR[1:])
    assert [turn for turn, _ in room.asked] == [COUNTS, MOMENTS, MOMENTS]
    assert [one.round for one in course.left] == [MOMENTS]


def test_fewer_than_three_sites_are_refused_and_who_left_is_said(tmp_path):
    def spoil(name, site, said):
        return None if (name, site) == (MOMENTS, "meadow") else said

    message, course = Room(tmp_path, study(), spoil).fails(Refused)
    assert "2 of 3 sites contribute; expected 3 or more" in message
    assert "meadow: it did not answer within 7 s (moments)" in message
    assert len(course.rounds) == 2


def test_an_absent_site_is_refused_before_anybody_is_asked(tmp_path):
    room = Room(tmp_path, study())
    message, _ = room.fails(Refused, present=SITES[:2])
    assert "ridge: it was not connected (start)" in message
    assert room.asked == []


def test_a_site_that_is_not_declared_is_refused_by_name(tmp_path):
    message, _ = Room(tmp_path, study()).fails(InvalidInput, present=(*SITES, "cellar"))
    assert "site 'cellar' is not declared; the study names harbour, meadow, ridge" in message


def test_another_schema_version_is_refused_by_name_with_both_versions(tmp_path):
    def spoil(name, site, said):
        told = unpacked(said)
        old = Message({**told.head, "schema": 0}, told.blobs)
        return packed(old) if site == "valley" else said

    room = Room(tmp_path, study(FOUR), spoil)
    found, course = room.run()
    check_pooled(room, found, SITES)
    [left] = course.left
    assert left.kind == "refused"
    assert left.reason == "site 'valley' speaks schema version 0; the server 1"


def test_a_site_refuses_a_job_of_another_schema_version(tmp_path):
    Room(tmp_path, study())
    question = packed(Message({"schema": 9, "study": "", "round": COUNTS, "job": "1"}))
    said = unpacked(answer(question, tmp_path / "ridge", "ridge")).head
    assert said["error"] == "schema version here is 1; the job says 9"


def test_an_impossible_table_is_refused_by_name(tmp_path):
    def spoil(name, site, said):
        if site != "valley" or name != COUNTS:
            return said
        told = unpacked(said)
        what = sums.agreed(study(FOUR))
        part = parts.unpacked(told.blobs["part"], what, name="valley")
        cells = part.counts.confusion.copy()
        cells[0, 0, 0] += 1  # more true positives than positives allow
        wrong = dataclasses.replace(part, counts=dataclasses.replace(part.counts, confusion=cells))
        return packed(Message(told.head, {**told.blobs, "part": parts.packed(wrong)}))

    room = Room(tmp_path, study(FOUR), spoil)
    found, course = room.run()
    check_pooled(room, found, SITES)
    [left] = course.left
    assert (left.site, left.kind) == ("valley", "refused")
    assert left.reason.startswith("an answer that cannot be: parts: 'valley'")


@pytest.mark.parametrize("blob", ["part", "ids", "codes"])
def test_what_lacks_in_an_answer_is_laid_at_the_senders_door(tmp_path, blob):
    def spoil(name, site, said):
        told = unpacked(said)
        rest = {k: v for k, v in told.blobs.items() if k != blob}
        return packed(Message(told.head, rest)) if site == "valley" else said

    room = Room(tmp_path, study(FOUR), spoil)
    found, course = room.run()
    assert found.contributing == SITES
    assert [(one.site, one.kind) for one in course.left] == [("valley", "refused")]


def test_bytes_that_are_no_message_are_refused_by_name(tmp_path):
    def spoil(name, site, said):
        return b"\x80\x04noise" if site == "valley" else said

    found, course = Room(tmp_path, study(FOUR), spoil).run()
    assert found.contributing == SITES
    assert course.left[0].kind == "refused"


def test_an_answer_to_another_job_is_refused_by_name(tmp_path):
    earlier = {}

    def replays(name, site, said):
        return earlier[name] if site == "valley" and earlier else said

    room = Room(tmp_path, study(FOUR), replays)
    question = asked(room.told, COUNTS, "the job before", {})
    earlier[COUNTS] = answer(question, tmp_path / "valley", "valley")
    _, course = room.run()
    (left,) = course.left
    assert (left.site, left.round, left.kind) == ("valley", COUNTS, "refused")
    assert left.reason == "site 'valley' answered another question than was asked"


def test_whatever_breaks_on_what_a_site_sent_is_laid_at_its_door(tmp_path, monkeypatch):
    genuine = sums.check_part

    def breaks(told, site, said):
        if site == "valley":
            raise ZeroDivisionError
        genuine(told, site, said)

    monkeypatch.setattr(sums, "check_part", breaks)
    _, course = Room(tmp_path, study(FOUR)).run()
    (left,) = course.left
    assert (left.site, left.kind) == ("valley", "refused")
    assert left.reason == "an answer that cannot be read (ZeroDivisionError)"


def test_what_a_site_says_of_itself_does_nothing_to_a_terminal(tmp_path):
    def colours(name, site, said):
        del name
        if site != "valley":
            return said
        return packed(Message({**unpacked(said).head, "error": "\x1b[2Jgone\n\rfine"}))

    _, course = Room(tmp_path, study(FOUR), colours).run()
    (left,) = course.left
    assert left.reason == " [2Jgone  fine"


def test_two_sites_with_the_same_patients_are_an_error_that_names_both(tmp_path):
    rows = hospital("meadow", seed=1, patients=90)
    double = hospital("ridge", seed=2, patients=90).with_columns(
        patient_id=pl.when(pl.col("patient_id").is_in(["ridge/p00001", "ridge/p00002"]))
        .then(pl.col("patient_id").str.replace("ridge", "meadow"))
        .otherwise("patient_id")
    )
    room = Room(tmp_path, study(), meadow=rows, ridge=double)
    message, _ = room.fails(InvalidTable)
    assert "'meadow' and 'ridge' are declared to share no patient, but 2 of 90" in message
    assert room.asked == [(COUNTS, SITES)]


def test_one_cohort_given_to_two_sites_is_found_by_its_codes(tmp_path):
    rows = hospital("meadow", seed=1, patients=90)
    other = rows.with_columns(pl.col("patient_id").str.replace("meadow", "ridge"))
    room = Room(tmp_path, study(codes_local=False), meadow=rows, ridge=other)
    message, _ = room.fails(InvalidTable)
    assert "patient codes are in both" in message


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: rows.drop("age_band"), "no column 'age_band', which the study declares"),
        (
            lambda rows: rows.with_columns(sex=pl.lit("X")),
            "column 'sex': some rows have a level that is not declared; declared: F, M, unknown",
        ),
        (
            lambda rows: rows.with_columns(pl.lit(None, pl.String).alias("patient_id")),
            "column 'patient_id' has nulls",
        ),
    ],
)
def test_a_site_whose_data_are_not_as_declared_says_so_and_leaves(tmp_path, spoil, reason):
    rows = spoil(hospital("valley", seed=9, patients=80))
    room = Room(tmp_path, study(FOUR), valley=rows)
    found, course = room.run()
    check_pooled(room, found, SITES)
    [left] = course.left
    assert (left.site, left.kind, left.round) == ("valley", "error", COUNTS)
    assert reason in left.reason


def test_an_error_at_a_site_tells_the_server_of_no_row(tmp_path, caplog):
    rows = hospital("valley", seed=9, patients=80)
    twice = pl.concat([rows, rows.head(1)])
    found, course = Room(tmp_path, study(FOUR), valley=twice).run()
    assert found.contributing == SITES
    [left] = course.left
    assert left.reason == "InvalidTable; what it is stands in the site's own log alone"
    assert "valley-000000" in caplog.text


def test_a_site_whose_tables_change_between_the_rounds_is_taken_out(tmp_path):
    def spoil(name, site, said):
        if (name, site) == (COUNTS, "valley"):
            hospital("valley", seed=77, patients=80).write_parquet(tmp_path / "valley.parquet")
        return said

    room = Room(tmp_path, study(FOUR), spoil)
    found, course = room.run()
    check_pooled(room, found, SITES)
    [left] = course.left
    assert (left.site, left.round) == ("valley", MOMENTS)


def test_other_digests_in_the_second_round_are_refused_by_name(tmp_path):
    def spoil(name, site, said):
        told = unpacked(said)
        other = Message({**told.head, "tables": {"valley.parquet": "00"}}, told.blobs)
        return packed(other) if (name, site) == (MOMENTS, "valley") else said

    found, course = Room(tmp_path, study(FOUR), spoil).run()
    assert found.contributing == SITES
    [left] = course.left
    assert left.kind == "refused"
    assert left.reason == "an answer that cannot be: its tables changed between the rounds"


def test_a_site_answers_only_the_study_that_it_agreed_to(tmp_path):
    room = Room(tmp_path, study(FOUR))
    write_site(
        tmp_path / "valley", study(FOUR, minimum_cell=9), tmp_path / "valley.parquet", b"k" * 32
    )
    found, course = room.run()
    assert found.contributing == SITES
    assert "the study agreed to here is" in course.left[0].reason


def test_what_a_site_sends_holds_no_patient_id_and_no_small_cell(tmp_path):
    seen: dict[str, Message] = {}

    def spoil(name, site, said):
        if name == COUNTS:
            seen[site] = unpacked(said)
            assert site.encode() + b"/p0" not in said
        return said

    told = study(minimum_cell=10, attributes={"sex": ["F", "M", "unknown"]})
    Room(tmp_path, told, spoil).run()
    what = sums.agreed(told)
    for site, message in seen.items():
        part = parts.unpacked(message.blobs["part"], what, name=site)
        assert part.withheld.any()
        for kind in ("patients_positive", "patients_negative"):
            n = part.counts.of(kind)
            assert ((n == 0) | (n >= 10)).all()


def test_pseudonyms_of_two_jobs_cannot_be_linked(tmp_path):
    Room(tmp_path, study())
    said = []
    for job in ("1", "2"):
        head = {"schema": 1, "round": COUNTS, "job": job, "study": _digest()}
        said.append(unpacked(answer(packed(Message(head)), tmp_path / "ridge", "ridge")))
    one, other = (set(_each(message.blobs["ids"])) for message in said)
    assert len(one) == len(other)
    assert not one & other


def _digest() -> str:
    from equipoise.federate import digest

    return digest(study())


def _each(said: bytes) -> list[bytes]:
    return [said[start : start + 16] for start in range(0, len(said), 16)]
