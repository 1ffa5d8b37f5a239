"""A service in a process of its own, and callers that keep asking it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.conftest import ROOT


@dataclass
class Running:
    """A service that runs, and what it says."""

    process: subprocess.Popen
    port: int
    answers: list = field(default_factory=list)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


def command(bundle, log, *more):
    return [sys.executable, "-m", "equipoise", "serve", str(bundle), "--log", str(log), *more]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}


def tried(bundle, log, *more):
    """Run a service that cannot start, and return how it ended."""
    return subprocess.run(
        command(bundle, log, *more),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def running(bundle, log, *more):
    """Give a service on a free port; it is killed at the end if it still runs."""
    with (log.parent / "stderr.txt").open("w") as spoken:
        process = subprocess.Popen(
            command(bundle, log, "--port", "0", *more),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=spoken,
            text=True,
        )
        try:
            address = process.stdout.readline().strip()
            assert address, (log.parent / "stderr.txt").read_text()
            yield Running(process, int(address.rsplit(":")[-1]))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def ask(port, content, kind="application/dicom", path="/v1/score", **headers):
    """Ask once; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, content, {"Content-Type": kind, **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def asking(port, contents, callers, most):
    """Have callers ask at most so many times each; return threads and the answers they fill."""
    answers = []

    def work(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            for turn in range(most):
                content = contents[(number * 7 + turn) % len(contents)]
                kind = {"Content-Type": "application/dicom"}
                case = {"X-Case-Id": f"{number}-{turn}"}
                connection.request("POST", "/v1/score", content, kind | case)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    answers.append(json.loads(body)["case_id"])
        except (OSError, http.client.HTTPException):
            pass  # the service has ended
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    return threads, answers
