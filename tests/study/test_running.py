import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from equipoise import evidence
from equipoise.errors import InvalidInput, Refused, StorageFailure
from equipoise.study import Node, Study, conduct
from tests.study import toys


@pytest.fixture(autouse=True)
def _fresh():
    toys.RAN.clear()
    toys.FAILING.clear()


def go(run, study=None, **more):
    outcomes = conduct(study or toys.study(), run, base=run.parent, source=b"x", **more)
    return {outcome.node: outcome.state for outcome in outcomes}


def digests(run):
    return {p.name: evidence.subjects(p) for p in run.iterdir() if p.is_dir() and p.name[0] != "."}


def test_a_first_run_does_all_and_a_second_does_nothing(tmp_path):
    assert set(go(tmp_path / "run").values()) == {"ran"}
    before = (tmp_path / "run" / "copy" / "evidence.json").stat().st_mtime_ns
    assert set(go(tmp_path / "run").values()) == {"kept"}
    assert (tmp_path / "run" / "copy" / "evidence.json").stat().st_mtime_ns == before
    assert evidence.verify(tmp_path / "run") == []


def test_a_changed_parameter_reruns_only_what_depends_on_it(tmp_path):
    go(tmp_path / "run")
    assert go(tmp_path / "run", toys.study(text="bye")) == {
        "make": "ran",
        "other": "kept",
        "copy": "ran",
    }
    assert go(tmp_path / "run", toys.study(text="bye", times=2))["make"] == "kept"
    assert (tmp_path / "run" / "copy" / "copied.txt").read_text() == "byebye"
    assert evidence.verify(tmp_path / "run") == []


def test_a_new_version_of_a_stage_reruns_it(tmp_path):
    go(tmp_path / "run")
    study = toys.study()
    newer = dataclasses.replace(study.nodes[1].stage, version=2)
    node = dataclasses.replace(study.nodes[1], stage=newer)
    nodes = (study.nodes[0], node, study.nodes[2])
    states = go(tmp_path / "run", dataclasses.replace(study, nodes=nodes))
    assert states == {"make": "kept", "other": "ran", "copy": "kept"}


def test_a_changed_source_file_reruns_what_reads_it(tmp_path):
    source = tmp_path / "source.txt"
    source.write_text("1")
    study = toys.study(source=source)
    go(tmp_path / "run", study)
    assert go(tmp_path / "run", study)["make"] == "kept"
    source.write_text("2")
    assert go(tmp_path / "run", study) == {"make": "ran", "other": "kept", "copy": "kept"}


def test_a_source_that_is_not_there_is_named(tmp_path):
    study = toys.study(source=tmp_path / "gone.txt")
    with pytest.raises(InvalidInput, match=r"make: text: no such file or folder: .*gone\.txt"):
        go(tmp_path / "run", study)


@pytest.mark.parametrize("harm", ["alter", "remove", "add"])
def test_a_table_that_was_touched_is_made_again(tmp_path, harm):
    go(tmp_path / "run")
    path = tmp_path / "run" / "make" / "made.txt"
    if harm == "remove":
        path.unlink()
    else:
        (path if harm == "alter" else path.with_name("stray.txt")).write_text("x")
    assert go(tmp_path / "run")["make"] == "ran"
    assert evidence.verify(tmp_path / "run") == []


def test_a_stage_that_fails_leaves_the_older_version_and_no_half(tmp_path):
    go(tmp_path / "run")
    before = digests(tmp_path / "run")
    toys.FAILING["copy"] = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    message = r"copy: cannot be written \(No space left on device\); nothing was changed"
    with pytest.raises(StorageFailure, match=message):
        go(tmp_path / "run", toys.study(times=3))
    assert digests(tmp_path / "run") == before
    assert not list((tmp_path / "run").glob(".partial-*"))
    toys.FAILING.clear()
    assert go(tmp_path / "run", toys.study(times=3))["copy"] == "ran"


def test_a_refusal_stops_what_needs_it_and_nothing_else(tmp_path):
    """A release without a pass must not keep the page from being written that says why."""
    run = tmp_path / "run"
    toys.FAILING["copy"] = Refused("no pass", exit_code=3)
    free, copy = toys.study().nodes[1], toys.study().nodes[2]
    after = Node("after", toys.AFTER, toys.CopyOptions(), {"copy": "copy"})
    page = Node("page", toys.PAGE, toys.MakeOptions(), {"thing": "make", "copy": "copy"})
    several = Study("toy", "", (toys.study().nodes[0], copy, free, after, page))
    with pytest.raises(Refused, match="no pass") as refused:
        go(run, several)
    assert refused.value.exit_code == 3
    assert {p.name for p in run.iterdir() if p.is_dir() and p.name[0] != "."} == {
        "make",
        "other",
        "page",
    }
    assert evidence.verify(run) == []
    toys.FAILING.clear()
    assert set(go(run, several)) == {"make", "copy", "other", "after", "page"}
    assert evidence.verify(run) == []


def test_an_error_of_another_kind_is_not_called_a_full_disk(tmp_path):
    toys.FAILING["copy"] = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    with pytest.raises(OSError, match="No such file") as caught:
        go(tmp_path / "run")
    assert not isinstance(caught.value, StorageFailure)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailure, match=r"file.run: cannot be written"):
        go(tmp_path / "file" / "run")


def test_two_runs_give_the_same_digests(tmp_path):
    go(tmp_path / "1")
    go(tmp_path / "2")
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    assert (tmp_path / "1" / "evidence.json").read_bytes() == (
        tmp_path / "2" / "evidence.json"
    ).read_bytes()


def test_what_was_spent_stands_beside_the_evidence(tmp_path):
    go(tmp_path / "run")
    spent = json.loads((tmp_path / "run" / "make" / "spent.json").read_text())
    assert spent["peak_bytes"] > 1_000_000
    assert spent["energy_method"].startswith("CPU seconds x")
    assert "wall_seconds" not in (tmp_path / "run" / "make" / "evidence.json").read_text()


def test_another_run_at_work_in_the_folder_is_an_error(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".lock").write_text(str(os.getppid()))
    with pytest.raises(StorageFailure, match=r"another run \(process \d+\) is at work there"):
        go(run)
    (run / ".lock").write_text("999999999")
    assert set(go(run).values()) == {"ran"}
    assert not (run / ".lock").exists()


SLOW = """
import sys, time
from pathlib import Path
from tests.study import toys
from equipoise.study import conduct
import dataclasses
def slow(options, inputs, out, scope):
    toys.copy(options, inputs, out, scope)
    (out.parent / "copying").write_text("")
    time.sleep(60)
study = toys.study()
stage = dataclasses.replace(study.nodes[2].stage, run=slow)
node = dataclasses.replace(study.nodes[2], stage=stage)
run = Path(sys.argv[1])
conduct(dataclasses.replace(study, nodes=(*study.nodes[:2], node)), run, base=run, source=b"x")
"""


def test_a_kill_leaves_no_half_written_table_and_the_next_run_ends_the_same(tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(run)], cwd=toys_root())
    deadline = time.monotonic() + 30
    while not (run / "copying").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.wait()
    (run / "copying").unlink()
    assert not (run / "copy").exists()
    assert list(run.glob(".partial-copy-*"))
    assert go(run) == {"make": "kept", "other": "kept", "copy": "ran"}
    assert not list(run.glob(".partial-*"))
    go(tmp_path / "undisturbed")
    assert digests(run) == digests(tmp_path / "undisturbed")


def toys_root():
    from tests.conftest import ROOT

    return ROOT
