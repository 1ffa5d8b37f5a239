"""The same job in FLARE's simulator: real messages, threads for sites, no certificates."""

import importlib.util
import secrets
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from equipoise import tables
from equipoise.errors import (
    InvalidConfiguration,
    InvalidInput,
    MissingExtra,
    Refused,
)
from equipoise.federate.declaring import Federation, text
from equipoise.federate.jobs import ALLOWED, write_job
from equipoise.federate.local import SITE_FILE
from equipoise.federate.writing import REFUSAL, RESULT

_LONGEST = 3600
"""Seconds after which a simulation that hangs is ended."""


def need_flare() -> None:
    """See that FLARE is installed, without loading it.

    Raises
    ------
    MissingExtra
        If it is not.

    Examples
    --------
    >>> need_flare()
    """
    try:
        found = importlib.util.find_spec("nvflare")
    except ValueError:  # somebody has forbidden it
        found = None
    if found is None:
        raise MissingExtra(
            "federate: nvflare is not installed", hint="pip install 'equipoise[federate]'"
        )


def simulated(study: Federation, data: Mapping[str, Path], out: Path, work: Path) -> Path:
    """Run the job of a study in the simulator and return the folder of its result.

    Parameters
    ----------
    study
        The declaration.
    data
        Site → its table of predictions, or its folder.
    out
        Gets the result; a result that stood there before is replaced.
    work
        Gets the workspace with all logs.

    Raises
    ------
    Refused
        If there is no result; the message says why, as the server did.
    MissingExtra
        If FLARE is not installed.
    """
    need_flare()
    check_places(study, data)
    shutil.rmtree(work, ignore_errors=True)
    job = write_job(study, work / "jobs")
    workspace = work / "simulator"
    _prepare(study, data, workspace)
    log = work / "simulator.log"
    command = [sys.executable, "-m", "nvflare.private.fed.app.simulator.simulator", str(job)]
    command += ["-w", str(workspace), "-c", ",".join(data), "-t", str(len(data)), "-l", "full"]
    with log.open("wb") as heard:
        subprocess.run(  # noqa: S603  our own interpreter, no shell
            command,
            stdout=heard,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=_LONGEST,
            check=False,
        )
    return settled(workspace / "server" / "simulate_job" / RESULT, out, log)


def check_places(study: Federation, data: Mapping[str, Path]) -> None:
    """Raise if a site is not declared, or its data are not there.

    Parameters
    ----------
    study
        The declaration.
    data
        Site → where its data lie.
    """
    for site, path in data.items():
        if site not in study.sites:
            raise InvalidConfiguration(
                f"site '{site}' is not declared; the study names {', '.join(study.sites)}"
            )
        if not path.exists():
            raise InvalidInput(f"site '{site}': no such file or folder: {path}")


def _prepare(study: Federation, data: Mapping[str, Path], workspace: Path) -> None:
    local = workspace / "local"
    tables.write_json(
        local / "resources.json", {"format_version": 2, "class_allow_list": list(ALLOWED)}
    )
    key = secrets.token_bytes(32)
    for site, path in data.items():
        mine = local / site
        write_site(mine, study, path.resolve(), key)


def write_site(folder: Path, study: Federation, data: Path, key: bytes) -> None:
    """Write what a site's own folder says of study, data and key.

    Parameters
    ----------
    folder
        The site's folder ``local``.
    study
        The declaration that this site agrees to.
    data
        Where its data lie.
    key
        The linkage key, the same at all sites.
    """
    tables.write_text(folder / "federation.yaml", text(study))
    with tables.aside(folder / "linkage.key") as partial:
        partial.touch(mode=0o600)  # before the key is in it
        partial.write_bytes(key)
    said = {"study": "federation.yaml", "data": str(data), "linkage_key": "linkage.key"}
    tables.write_json(folder / SITE_FILE, said)


def settled(found: Path, out: Path, log: Path) -> Path:
    """Put the result of a job in its place, or say why there is none.

    Parameters
    ----------
    found
        The folder of the result in the folder of the job.
    out
        Where it shall lie.
    log
        Where to look if the job left nothing.

    Raises
    ------
    Refused
        If the job was refused.
    InvalidInput
        If it left nothing.
    """
    if (found / REFUSAL).is_file():
        said = tables.read_json(found / REFUSAL)
        hint = said.get("hint")
        raise Refused(str(said["error"]), hint=str(hint) if hint else None)
    if not (found / "audit.json").is_file():
        raise InvalidInput(
            f"the federated job left no result; its last words: {_last(log)}",
            hint=f"see {log}",
        )
    aside = tables.make_folder(out.parent) / f".{out.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        shutil.copytree(found, aside)
        if out.exists():
            out.rename(aside.with_suffix(".old"))
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(aside.with_suffix(".old"), ignore_errors=True)
    return out


def _last(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "none"
    bad = [line for line in lines if "ERROR" in line or "Error" in line]
    return (bad or lines or ["none"])[-1][:500]
