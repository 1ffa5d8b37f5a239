"""What labels that come late, or of some cases only, may do to evidence and to green."""

import datetime as dt

import polars as pl

from equipoise.monitor import labelling
from equipoise.monitor.cases import Cases
from equipoise.monitor.questions import Question
from equipoise.monitor.streams import stream

JANUARY, JUNE = "2026-01-20T00:00:00+00:00", "2026-06-20T00:00:00+00:00"


def two_findings(tmp_path):
    """Return labels of which that of the second finding came half a year after the first."""
    early, late = tmp_path / "early.csv", tmp_path / "late.csv"
    early.write_text(f"case_id,labelled_at,label:one,label:two\nc,{JANUARY},1,\n")
    late.write_text(f"case_id,labelled_at,label:one,label:two\nc,{JUNE},,1\n")
    given = labelling.read([early, late], ("one", "two"))
    row = {"case_id": "c", "patient_key": "p", "outcome": "scored", "score:one": 0.9}
    at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    frame = pl.DataFrame([{**row, "score:two": 0.9, "at": at, "period": "2026-01"}])
    return Cases(frame, None, "log", {}), given


def asked(finding):
    return Question(
        "floor", "f", "sensitivity", finding, "p", 0.5, {}, None, None, {}, 0.5, "below"
    )  # fmt: skip


def test_a_label_that_a_later_file_adds_is_not_dated_back(tmp_path):
    cases, given = two_findings(tmp_path)
    frame = labelling.joined(cases, given, None).frame
    days = {name: str(stream(frame, asked(name)).days[0])[:7] for name in ("one", "two")}
    assert days == {"one": "2026-01", "two": "2026-06"}


def test_a_look_does_not_see_the_label_of_a_second_finding_before_it_came(tmp_path):
    cases, given = two_findings(tmp_path)
    frame = labelling.joined(cases, given, dt.date(2026, 3, 1)).frame
    assert frame["label:one"].to_list() == [True]
    assert frame["label:two"].to_list() == [None]
