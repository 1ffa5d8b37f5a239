"""The real service in its own process: started, loaded, stopped, killed, started again."""

import json
import shutil
import signal
import socket
import time

import pytest

from equipoise import bundles
from equipoise.tables import read_requests
from tests.bundles import made
from tests.serve.made import files
from tests.serve.processes import ask, asking, running, tried
from tests.serve.test_privacy import marked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images():
    return [content for _, content in files(8)]


def waited(answers, n):
    for _ in range(6000):
        if len(answers) >= n:
            return
        time.sleep(0.005)
    raise AssertionError(f"{len(answers)} answers; expected {n} by now")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_loses_no_answer_and_leaves_whole_lines(
    folder, bundle, images, tmp_path, number
):
    log = tmp_path / "log"
    with running(folder, log, "--rate", "100000") as service:
        threads, answers = asking(service.port, images, 8, 100_000)
        waited(answers, 200)
        assert service.stop(number) == 0
        for thread in threads:
            thread.join()
    found = read_requests(log, bundle=bundle.digest)
    assert found.torn == found.disordered == found.repeated == 0
    assert found.frame.height == len(answers)
    assert set(found.frame["case_id"]) == set(answers)
    assert "stopped; every answer is in the log" in (tmp_path / "stderr.txt").read_text()


def test_a_kill_under_load_loses_no_answer_and_the_next_start_goes_on(
    folder, bundle, images, tmp_path
):
    log = tmp_path / "log"
    with running(folder, log, "--rate", "100000") as service:
        threads, answers = asking(service.port, images, 8, 100_000)
        waited(answers, 200)
        service.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
    (path,) = log.glob("*.jsonl")
    whole = path.read_bytes().split(b"\n")[:-1]
    assert all(json.loads(line) for line in whole)
    found = read_requests(log, bundle=bundle.digest)
    assert set(found.frame["case_id"]) >= set(answers)  # logged first, then answered
    with path.open("ab") as file:
        file.write(b'{"case_id": "torn')  # as a power cut may leave it
    with running(folder, log) as service:
        assert ask(service.port, images[0])[0] == 200
        service.stop()
    assert (
        "1 torn lines of an earlier run were moved aside" in (tmp_path / "stderr.txt").read_text()
    )
    after = read_requests(log, bundle=bundle.digest)
    assert after.frame.height == found.frame.height + 1
    assert after.torn == 1


def test_a_body_without_end_is_cut_off_at_the_limit(folder, tmp_path):
    with running(folder, tmp_path / "log", "--maximum-bytes", "1000000") as service:
        caller = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        head = (
            "POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        caller.sendall(head.encode())
        sent = 0
        chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        try:
            while sent < 1 << 28:
                caller.sendall(chunk)
                sent += 1 << 16
        except OSError:
            pass  # it hung up
        assert sent < 1 << 28
        caller.close()
        caller = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        caller.sendall(
            b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            b"Content-Length: 10737418240\r\n\r\n"
        )
        assert b"413" in caller.recv(1 << 16).split(b"\r\n")[0]
        caller.close()
        assert ask(service.port, b"still there", "image/png")[0] == 200


def test_what_pydicom_says_of_a_header_does_not_reach_stderr(folder, images, tmp_path):
    # Of an id that is none pydicom speaks when it is read, and it quotes it.
    wrong = {"Modality": "ZQNAME^XW", "StudyDate": "ZQNAME", "SOPInstanceUID": "1.2.ZQNAME"}
    with running(folder, tmp_path / "log") as service:
        status, _, body = ask(service.port, marked(images[0], wrong))
        assert status == 200
        assert json.loads(body)["refusal"]["code"] == "modality"
        service.stop()
    assert "ZQNAME" not in (tmp_path / "stderr.txt").read_text()
    assert "ZQNAME" not in body.decode()


def test_a_port_in_use_is_a_clear_error(folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = tried(folder, tmp_path / "log", "--port", port)
    assert done.returncode == 2
    assert f"error: port {port} of 127.0.0.1 is in use" in done.stderr
    assert "hint: stop what uses it, or give another --port" in done.stderr


def test_a_bundle_that_was_altered_is_not_served(folder, tmp_path):
    altered = tmp_path / "bundle"
    shutil.copytree(folder, altered)
    (altered / "model_card.md").write_text("a better one")
    done = tried(altered, tmp_path / "log", "--port", "0")
    assert done.returncode == 2
    assert "model_card.md is altered" in done.stderr
    assert not (tmp_path / "log").exists()


def test_a_zip_is_served_as_its_folder_is(folder, bundle, images, tmp_path):
    bundles.packed(folder, tmp_path / "bundle.zip")
    with running(tmp_path / "bundle.zip", tmp_path / "log") as service:
        said = json.loads(ask(service.port, images[0])[2])
    assert said["model"]["bundle"] == bundle.digest


def test_an_expired_override_is_not_served(tmp_path):
    old = made.OVERRIDE.model_copy(update={"expires": made.date(2020, 1, 31)})
    folder = made.bundle(tmp_path / "bundle", override=old, verdict="fail")
    done = tried(folder, tmp_path / "log", "--port", "0")
    assert done.returncode == 2
    assert "the override by A. Lee expired on 2020-01-31" in done.stderr


def test_any_other_address_needs_a_token(folder, tmp_path):
    done = tried(folder, tmp_path / "log", "--port", "0", "--host", "0.0.0.0")  # noqa: S104
    assert done.returncode == 2
    assert "host 0.0.0.0 can be reached from other machines; expected a token file" in done.stderr


def test_the_log_of_another_bundle_is_left_as_it_is(folder, tmp_path):
    log = tmp_path / "log"
    log.mkdir()
    first = '{"log": "equipoise-requests", "version": 1, "bundle": "another", "salt": "k"}\n'
    (log / "requests-20260101.jsonl").write_text(first)
    done = tried(folder, log, "--port", "0")
    assert done.returncode == 2
    assert "is the log of bundle another" in done.stderr
    assert (log / "requests-20260101.jsonl").read_text() == first


def test_the_site_key_is_made_beside_the_log_and_never_in_it(folder, tmp_path):
    log = tmp_path / "log"
    with running(folder, log) as service:
        service.stop()
    key = tmp_path / "log.key"
    assert key.stat().st_mode & 0o777 == 0o600
    done = tried(folder, log, "--port", "0", "--key-file", str(log / "site.key"))
    assert done.returncode == 2
    assert "lies in the log folder" in done.stderr
