"""The log of requests: what was written is read, whatever happened between."""

import datetime as dt
import errno
import json
import os
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import InvalidInput, InvalidTable, StorageFailure
from equipoise.tables import REQUESTS, RequestLog, check, read_requests

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def row(case, **more):
    made = {"case_id": case, "patient_key": f"p-{case}", "bundle": "b1", "outcome": "scored"}
    return made | {"score:opacity": 0.25, "sex": "F", "rows": 128} | more


def written(folder, *lines, bundle="b1", salt="k1"):
    log = RequestLog(folder, bundle=bundle, salt=salt)
    for line in lines:
        log.append([line])
    log.close()
    return log


def test_what_is_written_is_read_as_the_table_requests(tmp_path):
    refused = row("c2", outcome="refused", refusal="modality", distance=None)
    del refused["score:opacity"], refused["sex"]
    written(tmp_path, (NOON, row("c1", distance=3.5, kvp=80)), (NOON, refused))
    found = read_requests(tmp_path, bundle="b1")
    check(found.frame, REQUESTS)
    assert found.frame["case_id"].to_list() == ["c1", "c2"]
    assert found.frame["at"].dtype == pl.Datetime("us", "UTC")
    assert found.frame["score:opacity"].dtype == pl.Float32
    assert found.frame["score:opacity"].to_list() == [0.25, None]
    assert found.frame["sex"].to_list() == ["F", "unknown"]
    assert (found.salt, found.torn, found.repeated, found.disordered) == ("k1", 0, 0, 0)


def test_a_day_has_a_file_and_each_begins_with_a_header(tmp_path):
    late = dt.datetime(2026, 3, 1, 23, 59, 59, 999999, dt.UTC)
    written(tmp_path, (late, row("c1")), (late + dt.timedelta(microseconds=1), row("c2")))
    names = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert names == ["requests-20260301.jsonl", "requests-20260302.jsonl"]
    for name in names:
        first = json.loads((tmp_path / name).read_text().splitlines()[0])
        assert first == {"log": "equipoise-requests", "version": 1, "bundle": "b1", "salt": "k1"}
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_going_on_after_a_stop_adds_to_the_file_of_the_day(tmp_path):
    written(tmp_path, (NOON, row("c1")))
    written(tmp_path, (NOON, row("c2")))
    assert read_requests(tmp_path, bundle="b1").frame.height == 2
    assert len((tmp_path / "requests-20260301.jsonl").read_text().splitlines()) == 3


@given(keep=st.integers(0, 400))
def test_a_log_cut_anywhere_is_mended_and_loses_no_whole_line(keep):
    folder = Path(tempfile.mkdtemp())
    written(folder, *((NOON, row(f"c{n}")) for n in range(3)))
    path = folder / "requests-20260301.jsonl"
    content = path.read_bytes()
    keep = min(keep, len(content))
    path.write_bytes(content[:keep])
    whole = max(content[:keep].count(b"\n") - 1, 0)
    cut = content[:keep].rpartition(b"\n")[2]
    complete = bool(cut) and content[keep : keep + 1] == b"\n" and keep > content.find(b"\n") + 1
    before = read_requests(folder, bundle="b1")
    assert before.frame.height == whole + complete
    assert before.torn == int(bool(cut) and not complete)

    log = written(folder, (NOON, row("new")))
    assert log.torn == before.torn
    after = read_requests(folder, bundle="b1")
    assert after.frame.height == whole + complete + 1
    assert after.torn == before.torn
    aside = [part.read_bytes() for part in folder.glob("*.torn")]
    assert aside == ([cut] if before.torn else [])


def test_the_log_of_another_bundle_is_refused_by_writer_and_reader(tmp_path):
    written(tmp_path, (NOON, row("c1")))
    with pytest.raises(InvalidInput, match="is the log of bundle b1; expected b2"):
        RequestLog(tmp_path, bundle="b2", salt="k1")
    with pytest.raises(InvalidInput, match="is the log of bundle b1; expected b2"):
        read_requests(tmp_path, bundle="b2")
    assert read_requests(tmp_path, bundle="b1").frame.height == 1


def test_another_site_key_is_refused_since_each_patient_would_be_two(tmp_path):
    written(tmp_path, (NOON, row("c1")))
    with pytest.raises(InvalidInput, match="written under site key k1; the key given is k2"):
        RequestLog(tmp_path, bundle="b1", salt="k2")
    text = (tmp_path / "requests-20260301.jsonl").read_text().replace('"k1"', '"k2"')
    (tmp_path / "requests-20260302.jsonl").write_text(text)
    with pytest.raises(InvalidInput, match="under 2 site keys"):
        read_requests(tmp_path, bundle="b1")


def test_a_torn_line_that_was_taken_away_is_no_obstacle_to_the_next(tmp_path):
    path = tmp_path / "requests-20260101.jsonl"
    for turn in range(3):
        log = RequestLog(tmp_path, bundle="b", salt="k")
        assert log.torn == int(turn > 0)
        log.append([(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), {"case_id": str(turn)})])
        log.close()
        with path.open("ab") as file:
            file.write(b'{"case')
        if turn == 2:
            (tmp_path / "requests-20260101-1.torn").unlink()
    RequestLog(tmp_path, bundle="b", salt="k").close()
    assert len(list(tmp_path.glob("*.torn"))) == 2


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_the_log_is_its_owners_alone(tmp_path):
    RequestLog(tmp_path / "site" / "log", bundle="b", salt="k").close()
    assert (tmp_path / "site" / "log").stat().st_mode & 0o077 == 0


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path):
    first = RequestLog(tmp_path, bundle="b1", salt="k1")
    with pytest.raises(InvalidInput, match="another process writes this log"):
        RequestLog(tmp_path, bundle="b1", salt="k1")
    first.close()
    RequestLog(tmp_path, bundle="b1", salt="k1").close()


def test_a_clock_that_was_set_back_is_reported_and_no_row_is_lost(tmp_path):
    back = NOON - dt.timedelta(days=1)
    written(tmp_path, (NOON, row("c1")), (back, row("c2")), (NOON, row("c3")))
    found = read_requests(tmp_path, bundle="b1")
    assert found.frame["case_id"].to_list() == ["c2", "c1", "c3"]
    assert found.disordered == 0  # the earlier day has its own file, so its rows stand in order
    again = NOON - dt.timedelta(minutes=1)
    written(tmp_path, (again, row("c4")))
    found = read_requests(tmp_path, bundle="b1")
    assert found.disordered == 1
    assert found.frame["at"].is_sorted()
    assert found.frame.height == 4


def test_of_a_repeated_case_the_first_that_was_scored_stands(tmp_path):
    later = NOON + dt.timedelta(hours=1)
    refused = row("c1", outcome="refused", refusal="view") | {"score:opacity": None}
    written(
        tmp_path,
        (NOON, refused),
        (later, row("c1")),
        (later + dt.timedelta(hours=1), row("c1", **{"score:opacity": 0.75})),
    )
    found = read_requests(tmp_path, bundle="b1")
    assert found.repeated == 2
    assert found.frame["score:opacity"].to_list() == [0.25]
    assert found.frame["at"].to_list() == [later]


def test_a_line_altered_in_the_middle_is_an_error_with_its_number(tmp_path):
    written(tmp_path, (NOON, row("c1")), (NOON, row("c2")))
    path = tmp_path / "requests-20260301.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:20], lines[2]]) + "\n")
    with pytest.raises(InvalidTable, match=r"requests-20260301.jsonl line 2 is not readable"):
        read_requests(tmp_path, bundle="b1")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"score:opacity": 2.0}, "1 values outside"),
        ({"score:opacity": "high"}, "'score:opacity' is not Float32"),
        ({"outcome": "lost"}, "expected one of scored, refused"),
        ({"at": "yesterday"}, "'at' holds 'yesterday'"),
        ({"at": "2026-01-01T00:00:00"}, "with its offset from UTC"),
    ],
)
def test_a_row_that_breaks_the_contract_is_an_error(tmp_path, more, message):
    written(tmp_path, (NOON, row("c1", **more)))
    with pytest.raises(InvalidTable, match=message):
        read_requests(tmp_path, bundle="b1")


def test_no_folder_and_no_log_are_errors(tmp_path):
    with pytest.raises(InvalidInput, match="no folder"):
        read_requests(tmp_path / "nowhere", bundle="b1")
    with pytest.raises(InvalidInput, match="holds no file requests-"):
        read_requests(tmp_path, bundle="b1")


def test_a_log_without_rows_is_an_empty_table(tmp_path):
    written(tmp_path, (NOON, row("c1")))
    path = tmp_path / "requests-20260301.jsonl"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert read_requests(tmp_path, bundle="b1").frame.height == 0


def test_a_disk_that_fills_up_leaves_whole_lines_and_the_log_goes_on_after(tmp_path, monkeypatch):
    log = RequestLog(tmp_path, bundle="b1", salt="k1")
    log.append([(NOON, row("c1"))])
    real = os.write

    def half(file, content):
        monkeypatch.setattr(os, "write", full)
        return real(file, bytes(content)[:10])

    def full(file, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StorageFailure, match="No space left on device"):
        log.append([(NOON, row("c2"))])
    monkeypatch.setattr(os, "write", real)
    assert (tmp_path / "requests-20260301.jsonl").read_bytes().endswith(b"}\n")
    log.append([(NOON, row("c3"))])
    log.close()
    found = read_requests(tmp_path, bundle="b1")
    assert found.frame["case_id"].to_list() == ["c1", "c3"]
    assert found.torn == 0


def test_a_disk_that_is_full_when_the_day_turns_leaves_no_file_without_header(
    tmp_path, monkeypatch
):
    log = RequestLog(tmp_path, bundle="b1", salt="k1")
    real = os.write

    def full(file, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFailure):
        log.append([(NOON, row("c1"))])
    monkeypatch.setattr(os, "write", real)
    log.append([(NOON, row("c2"))])
    log.close()
    assert read_requests(tmp_path, bundle="b1").frame["case_id"].to_list() == ["c2"]
