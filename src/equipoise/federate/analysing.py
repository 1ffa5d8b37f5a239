"""The analyst's side: hands a job to the server over mutual TLS and fetches its result.

It is run as a process of its own, ``python -m equipoise.federate.analysing``, because FLARE logs,
warns and keeps threads that a command line should not inherit.
"""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from equipoise import tables
from equipoise.errors import InvalidInput, Refused
from equipoise.federate.declaring import Federation
from equipoise.federate.jobs import write_job
from equipoise.federate.provisioning import ANALYST, SERVER, Deployment
from equipoise.federate.simulating import settled
from equipoise.federate.writing import RESULT

_BETWEEN = 0.5
"""Seconds between two questions to the server."""

_REACHED = 60
"""Seconds within which a server that has just been started must answer."""


def connected(made: Deployment) -> list[str]:
    """Return which sites the server sees now.

    Raises
    ------
    InvalidInput
        If the server does not answer.
    """
    said = _asked(made, ["sites"], 60)["sites"]
    return [str(site) for site in said] if isinstance(said, list) else []


def audited(
    made: Deployment, study: Federation, out: Path, *, sites: int, seconds: int
) -> dict[str, object]:
    """Run the audit of a study in a running deployment and put its result in its place.

    Parameters
    ----------
    made
        The deployment.
    study
        The declaration, the same as the sites agreed to.
    out
        Gets the result; one that stood there before is replaced.
    sites, seconds
        As for `job`.

    Returns
    -------
    What `job` returns.

    Raises
    ------
    Refused
        If there is no result; the message says why, as the server did.
    InvalidInput
        As `job`.
    """
    folder = write_job(study, made.folder / "jobs")
    said = job(made, folder, made.folder / "left", sites=sites, seconds=seconds)
    if said.get("error"):
        raise Refused(f"the server did not take the job: {said['error']}")
    found = Path(str(said["folder"])) / "workspace" / RESULT
    settled(found, out, made.kits[SERVER] / "console.log")
    return said


def job(
    made: Deployment, folder: Path, out: Path, *, sites: int, seconds: int
) -> dict[str, object]:
    """Wait for sites, submit a job, wait for its end, fetch what it left.

    Parameters
    ----------
    made
        The deployment.
    folder
        The job.
    out
        Gets what the job left.
    sites
        How many sites must be connected before it is submitted.
    seconds
        How long is waited for each of connection and end.

    Returns
    -------
    `job` its id, `status` as FLARE says it, `folder` of what it left, `seconds` from submission
    to end, and `error` if the server did not take it.

    Raises
    ------
    InvalidInput
        If the server does not answer, or the job does not end.
    """
    words = ["job", str(folder.resolve()), str(out.resolve())]
    words += ["--sites", str(sites), "--seconds", str(seconds)]
    return _asked(made, words, 2 * seconds + 120)


def _asked(made: Deployment, words: Sequence[str], seconds: float) -> dict[str, object]:
    kit = made.kits[ANALYST].resolve()
    said = kit / "said.json"
    said.unlink(missing_ok=True)
    command = [sys.executable, "-m", "equipoise.federate.analysing", str(kit), str(said), *words]
    with (kit / "console.log").open("ab") as heard:
        try:
            subprocess.run(  # noqa: S603  our own interpreter, no shell
                command,
                stdout=heard,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=kit,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InvalidInput(
                f"the server did not come to an end within {seconds:.0f} s",
                hint=f"see {made.folder}/localhost/console.log",
            ) from error
    if not said.is_file():
        raise InvalidInput(
            "the server cannot be reached", hint=f"is it started? see {kit / 'console.log'}"
        )
    answer = tables.read_json(said)
    if answer.get("failure"):
        raise InvalidInput(str(answer["failure"]), hint=f"see {kit / 'console.log'}")
    return answer


def main(words: Sequence[str]) -> None:
    """Do one thing in a session with the server and write what came of it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kit", type=Path)
    parser.add_argument("said", type=Path)
    parser.add_argument("what", choices=["sites", "job"])
    parser.add_argument("job", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--sites", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=300)
    told = parser.parse_args(words)
    tables.write_json(told.said, _done(told))


def _done(told: argparse.Namespace) -> dict[str, object]:
    from nvflare.fuel.flare_api.api_spec import NoConnection
    from nvflare.fuel.flare_api.flare_api import new_secure_session

    end = time.monotonic() + min(told.seconds, _REACHED)
    while True:
        try:
            session = new_secure_session(ANALYST, str(told.kit), timeout=5)
            break
        except (NoConnection, ConnectionError) as error:
            if time.monotonic() > end:
                return {"failure": f"the server cannot be reached: {error}"}
            time.sleep(_BETWEEN)
    end = time.monotonic() + told.seconds
    with contextlib.closing(session):
        if told.what == "sites":
            return {"sites": _sites(session)}
        while len(_sites(session)) < told.sites:
            if time.monotonic() > end:
                return {
                    "failure": f"{len(_sites(session))} of {told.sites} sites are connected "
                    f"after {told.seconds} s: {', '.join(_sites(session)) or 'none'}"
                }
            time.sleep(_BETWEEN)
        return _ran(session, told)


def _sites(session: object) -> list[str]:
    return sorted(one.name for one in session.get_connected_client_list())  # type: ignore[attr-defined]


def _ran(session: object, told: argparse.Namespace) -> dict[str, object]:
    from nvflare.fuel.flare_api.api_spec import InvalidJobDefinition

    started = time.monotonic()
    try:
        name = session.submit_job(str(told.job))  # type: ignore[attr-defined]
    except InvalidJobDefinition as error:
        return {"job": None, "status": "refused", "error": str(error), "seconds": 0.0}
    tables.write_json(told.said.with_name("job.json"), {"job": name})
    end = started + told.seconds
    while True:
        status = str(session.get_job_status(name))  # type: ignore[attr-defined]
        if status.startswith("FINISHED"):
            break
        if time.monotonic() > end:
            session.abort_job(name)  # type: ignore[attr-defined]
            return {"failure": f"job {name} is {status} after {told.seconds} s; it was aborted"}
        time.sleep(_BETWEEN)
    seconds = time.monotonic() - started
    left = session.download_job_result(name, str(told.out))  # type: ignore[attr-defined]
    return {"job": name, "status": status, "folder": str(left), "seconds": round(seconds, 3)}


if __name__ == "__main__":
    main(sys.argv[1:])
    # FLARE leaves threads that would keep this process.
    sys.stdout.flush()
    import os

    os._exit(0)
