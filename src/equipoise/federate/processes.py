"""The processes of a deployment: started, seen, stopped, and none left behind."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from equipoise import tables
from equipoise.errors import InvalidInput, Refused
from equipoise.federate.provisioning import SERVER, Deployment

_PID = "equipoise.pid"
_PATIENCE = 10
"""Seconds that a process gets to stop by itself."""

_OUTCOMES = 3
"""Seconds that the server waits for the last word of a site once a job is done; FLARE's are 900."""


def start(made: Deployment, names: Sequence[str] | None = None) -> dict[str, int]:
    """Start participants that do not run yet, each in a session of its own.

    Parameters
    ----------
    made
        The deployment.
    names
        Which; the server and all sites by default.

    Returns
    -------
    Participant → process id.

    Raises
    ------
    Refused
        If a port of the server is in use.
    """
    started = {}
    for name in names or (SERVER, *made.sites):
        if name not in made.kits:
            raise InvalidInput(f"no participant '{name}'; there are {', '.join(made.kits)}")
        running = process(made, name)
        if running is not None:
            started[name] = running.pid
            continue
        if name == SERVER:
            _check_ports(made)
        started[name] = _launched(made.kits[name], name)
    return started


def _check_ports(made: Deployment) -> None:
    for port in made.ports:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError as error:
                raise Refused(
                    f"port {port} of the server is in use ({error.strerror})",
                    hint="stop what listens there, or provision anew with other ports",
                ) from error


def _launched(kit: Path, name: str) -> int:
    root = kit.resolve()
    kind = "server" if name == SERVER else "client"
    settings = ["secure_train=true", "config_folder=config"]
    if kind == "server":
        settings += ["org=server", f"client_outcome_wait_timeout={_OUTCOMES}"]
    else:
        settings += [f"org={name.replace('-', '_')}", f"uid={name}"]
    command = [sys.executable, "-u", "-m", f"nvflare.private.fed.app.{kind}.{kind}_train"]
    command += ["-m", str(root), "-s", f"fed_{kind}.json", "--set", *settings]
    tables.make_folder(root / "transfer")
    for sign in ("shutdown.fl", "restart.fl"):
        (root / sign).unlink(missing_ok=True)
    with (root / "console.log").open("ab") as heard:
        child = subprocess.Popen(  # noqa: S603  our own interpreter, no shell
            command,
            cwd=root,
            stdout=heard,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    # It outlives us on purpose; psutil takes leave of it by its number, see `_reap`.
    child.returncode = 0
    tables.write_text(root / _PID, str(child.pid))
    return child.pid


def process(made: Deployment, name: str) -> psutil.Process | None:
    """Return the running process of a participant, or None.

    Parameters
    ----------
    made
        The deployment.
    name
        The participant.
    """
    try:
        found = psutil.Process(int((made.kits[name] / _PID).read_text(encoding="utf-8")))
        alive = found.is_running() and found.status() != psutil.STATUS_ZOMBIE
        # Another process may have taken the number since.
        ours = str(made.kits[name].resolve()) in found.cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return found if alive and ours else None


def family(made: Deployment, name: str) -> list[psutil.Process]:
    """Return all processes of a participant: its own, and those of its jobs.

    FLARE starts the process of a job in a session of its own, which outlives a killed parent, so
    that they are found by the folder of the kit in their command.

    Parameters
    ----------
    made
        The deployment.
    name
        The participant.
    """
    root = str(made.kits[name].resolve())
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = one.cmdline()
            theirs = any(word == root or word.startswith(root + "/") for word in words)
            # Who only looks at a log of theirs is none of them.
            if theirs and any(word.startswith("nvflare.") for word in words):
                found.append(one)
    return found


def kill(made: Deployment, name: str) -> int:
    """Kill a participant and its jobs at once, as a power cut would, and return how many died.

    Parameters
    ----------
    made
        The deployment.
    name
        The participant.
    """
    dying = family(made, name)
    for one in dying:
        with contextlib.suppress(psutil.Error):
            one.send_signal(signal.SIGKILL)
    psutil.wait_procs(dying, timeout=_PATIENCE)
    _reap(dying)
    return len(dying)


def stop(made: Deployment, names: Sequence[str] | None = None) -> int:
    """Stop participants, the sites before the server, and return how many processes ended.

    Parameters
    ----------
    made
        The deployment.
    names
        Which; all by default.
    """
    ended = 0
    for name in names or (*made.sites, SERVER):
        dying = family(made, name)
        for one in dying:
            with contextlib.suppress(psutil.Error):
                one.terminate()
        _, left = psutil.wait_procs(dying, timeout=3)
        for one in left:
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, timeout=_PATIENCE)
        _reap(dying)
        (made.kits[name] / _PID).unlink(missing_ok=True)
        ended += len(dying)
    return ended


def _reap(ended: Sequence[psutil.Process]) -> None:
    """Take leave of our own children, so that none stays as a zombie."""
    for one in ended:
        with contextlib.suppress(psutil.Error):
            one.wait(timeout=1)


@contextlib.contextmanager
def running(made: Deployment) -> Iterator[Deployment]:
    """Have a deployment run, and stop all of it whatever happens.

    Parameters
    ----------
    made
        The deployment.
    """
    try:
        start(made)
        yield made
    finally:
        stop(made)


def waited(condition: object, seconds: float) -> bool:
    """Wait until a condition holds, at most so long, and return whether it does."""
    if not callable(condition):
        raise InvalidInput("waited: expected a function")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return bool(condition())


def cpu_seconds(made: Deployment) -> float:
    """Return the processor time of a running deployment, ended jobs included.

    Parameters
    ----------
    made
        The deployment.
    """
    total = 0.0
    for name in (SERVER, *made.sites):
        for one in family(made, name):
            with contextlib.suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total
