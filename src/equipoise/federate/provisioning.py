"""A deployment on one machine, with certificates of its own: server, sites and an analyst.

Between hospitals the same kits come from ``nvflare cert``, so that no private key ever leaves
where it was made; what is written into each kit's folder ``local`` here is the same there.
"""

import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equipoise import tables
from equipoise.errors import InvalidConfiguration, InvalidInput, Refused
from equipoise.federate.declaring import Federation
from equipoise.federate.jobs import ALLOWED
from equipoise.federate.simulating import check_places, need_flare, write_site

SERVER = "localhost"
"""The server's name on its certificate; FLARE then listens on the loopback address alone."""

ANALYST = "analyst@equipoise.local"
DEPLOYMENT_FILE = "deployment.json"
_PROJECT = "equipoise"
_HEARTBEAT = 30
"""Seconds without a sign after which the server takes a site for dead; FLARE's own are 600."""

_RIGHTS = {
    "project_admin": {
        "submit_job": "none",
        "clone_job": "none",
        "manage_job": "any",
        "download_job": "none",
        "view": "any",
        "operate": "any",
        "shell_commands": "none",
        "byoc": "none",
        "server-predeployed-flwr": "none",
    },
    "org_admin": {
        "submit_job": "none",
        "clone_job": "none",
        "manage_job": "o:submitter",
        "download_job": "none",
        "view": "o:site",
        "operate": "o:site",
        "shell_commands": "none",
        "byoc": "none",
        "server-predeployed-flwr": "none",
    },
    "lead": {
        "submit_job": "any",
        "clone_job": "none",
        "manage_job": "n:submitter",
        "download_job": "n:submitter",
        "view": "any",
        "operate": "none",
        "shell_commands": "none",
        "byoc": "none",
        "server-predeployed-flwr": "none",
    },
    "member": {"view": "any", "byoc": "none"},
}
"""What each role may do at the server and at each site: nobody brings code, nobody gets a shell."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the kits of a deployment lie.

    Parameters
    ----------
    folder
        The deployment.
    kits
        Participant → its kit: the server, each site, the analyst.
    ports
        Of the server: for sites, and for the analyst.
    sites
        The sites.
    """

    folder: Path
    kits: Mapping[str, Path]
    ports: tuple[int, int]
    sites: tuple[str, ...]


def provisioned(
    study: Federation, data: Mapping[str, Path], folder: Path, *, ports: tuple[int, int] | None
) -> Deployment:
    """Make the certificates and the kits of a deployment on this machine.

    Parameters
    ----------
    study
        The declaration, laid into each site's kit as what it agrees to.
    data
        Site → where its data lie, written into that site's kit alone.
    folder
        Gets the kits; must not hold a deployment already.
    ports
        Of the server; two free ones if None.

    Raises
    ------
    InvalidConfiguration
        If a site has no data, or is not declared.
    Refused
        If a deployment stands there already.
    MissingExtra
        If FLARE is not installed.
    """
    need_flare()
    _check(study, data, folder)
    chosen = ports or free_ports()
    tables.write_json(folder / "project.yaml", _project(study, chosen))
    command = [sys.executable, "-m", "nvflare.cli", "provision"]
    command += ["-p", str(folder / "project.yaml"), "-w", str(folder / "made")]
    done = subprocess.run(  # noqa: S603  our own interpreter, no shell
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=300
    )
    made = folder / "made" / _PROJECT / "prod_00"
    tables.write_text(folder / "provision.log", done.stdout + done.stderr)
    if done.returncode or not made.is_dir():
        raise InvalidInput(
            f"{folder}: FLARE did not provision: {(done.stdout + done.stderr).strip()[-400:]}"
        )
    kits = {}
    for name in (SERVER, *study.sites, ANALYST):
        kits[name] = folder / name
        (made / name).rename(kits[name])
    # The root's private key signs new kits; it is of no use to a running deployment.
    (folder / "made" / _PROJECT / "state").rename(folder / "root-keep-offline")
    shutil.rmtree(folder / "made")
    _secure(kits, folder)
    key = secrets.token_bytes(32)
    for site in study.sites:
        write_site(kits[site] / "local", study, data[site].resolve(), key)
    for name in (SERVER, *study.sites):
        restrict(kits[name])
    said = {"ports": list(chosen), "sites": list(study.sites), "study": study.name}
    tables.write_json(folder / DEPLOYMENT_FILE, said)
    return deployment(folder)


def deployment(folder: Path) -> Deployment:
    """Return the deployment in a folder.

    Raises
    ------
    InvalidInput
        If there is none.

    Examples
    --------
    >>> deployment(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere: no deployment.json in it
    """
    if not (folder / DEPLOYMENT_FILE).is_file():
        raise InvalidInput(
            f"{folder}: no {DEPLOYMENT_FILE} in it",
            hint="give the folder that 'equipoise federate provision' made",
        )
    said = tables.read_json(folder / DEPLOYMENT_FILE)
    ports, sites = said.get("ports"), said.get("sites")
    if not isinstance(ports, list) or not isinstance(sites, list) or len(ports) != 2:
        raise InvalidInput(f"{folder / DEPLOYMENT_FILE}: expected two ports and the sites")
    names = tuple(str(site) for site in sites)
    kits = {name: folder / name for name in (SERVER, *names, ANALYST)}
    return Deployment(folder, kits, (int(ports[0]), int(ports[1])), names)


def free_ports() -> tuple[int, int]:
    """Return two ports of the loopback address that nobody listens on now.

    Examples
    --------
    >>> len(set(free_ports()))
    2
    """
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _check(study: Federation, data: Mapping[str, Path], folder: Path) -> None:
    if (folder / DEPLOYMENT_FILE).exists():
        raise Refused(
            f"{folder}: a deployment stands there already, with its keys; nothing was changed",
            hint="choose another folder, or remove it yourself",
        )
    check_places(study, data)
    for site in study.sites:
        if site not in data:
            raise InvalidConfiguration(
                f"site '{site}' has no data", hint=f"say where they lie: --site {site}=FOLDER"
            )


def _project(study: Federation, ports: tuple[int, int]) -> dict[str, object]:
    people: list[dict[str, object]] = [
        {
            "name": SERVER,
            "type": "server",
            "org": "server",
            "fed_learn_port": ports[0],
            "admin_port": ports[1],
        }
    ]
    people += [
        {"name": site, "type": "client", "org": site.replace("-", "_")} for site in study.sites
    ]
    people.append({"name": ANALYST, "type": "admin", "org": "analysis", "role": "lead"})
    lighter = "nvflare.lighter.impl"
    builders: list[dict[str, object]] = [
        {
            "path": f"{lighter}.workspace.WorkspaceBuilder",
            "args": {"template_file": ["master_template.yml"]},
        },
        {
            "path": f"{lighter}.static_file.StaticFileBuilder",
            "args": {"config_folder": "config", "scheme": "grpc"},
        },
        {"path": f"{lighter}.cert.CertBuilder"},
        {"path": f"{lighter}.signature.SignatureBuilder"},
    ]
    return {
        "api_version": 3,
        "name": _PROJECT,
        "description": f"Equipoise, study {study.name}",
        "participants": people,
        "builders": builders,
    }


def _secure(kits: Mapping[str, Path], folder: Path) -> None:
    """Let only the owner of a kit read its keys."""
    for kit in [*kits.values(), folder / "root-keep-offline"]:
        kit.chmod(0o700)
        for key in [*kit.rglob("*.key"), *kit.rglob("cert.json")]:
            key.chmod(0o600)


def restrict(kit: Path) -> None:
    """Write what a server or site allows: our classes, no foreign code, short timeouts.

    Parameters
    ----------
    kit
        A kit as FLARE made it, by provisioning or by ``nvflare package``.

    Raises
    ------
    InvalidInput
        If it is no kit of a server or a site.

    Examples
    --------
    >>> restrict(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere: no kit of a server or a site
    """
    kinds = [k for k in ("server", "client") if (kit / "startup" / f"fed_{k}.json").is_file()]
    if not kinds:
        raise InvalidInput(f"{kit}: no kit of a server or a site")
    local = kit / "local"
    tables.write_json(
        local / "authorization.json", {"format_version": "1.0", "permissions": _RIGHTS}
    )
    resources = tables.read_json(local / "resources.json.default")
    resources["class_allow_list"] = list(ALLOWED)
    resources["class_list_enforcement_mode"] = "enforce"
    (_server if kinds == ["server"] else _without_logs)(resources, kit)
    tables.write_json(local / "resources.json", resources)


def _server(resources: dict[str, object], kit: Path) -> None:
    """Keep what the server stores in its own folder, and notice early that a site is gone."""
    servers, components = resources["servers"], resources["components"]
    if isinstance(servers, list):
        servers[0]["heart_beat_timeout"] = _HEARTBEAT
    root = kit.resolve()
    if isinstance(components, list):
        for one in components:
            if one["id"] == "job_manager":
                one["args"]["uri_root"] = str(root / "jobs-storage")
    keeper = resources["snapshot_persistor"]
    if isinstance(keeper, dict):
        keeper["args"]["storage"]["args"]["root_dir"] = str(root / "snapshot-storage")


def _without_logs(resources: dict[str, object], kit: Path) -> None:
    """Keep a site's logs at the site: FLARE's default streams them to the server."""
    del kit
    resources["allow_log_streaming"] = False
    components = resources["components"]
    if isinstance(components, list):
        resources["components"] = [one for one in components if one["id"] != "site_log_streamer"]
