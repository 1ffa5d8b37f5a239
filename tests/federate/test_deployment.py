"""A provisioned deployment: a server and sites, each a process, mutual TLS on the loopback."""

import datetime as dt
import ipaddress
import json
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from equipoise import tables
from equipoise.errors import InvalidConfiguration, InvalidInput, Refused
from equipoise.federate import processes, write_job
from equipoise.federate.analysing import audited, connected, job
from equipoise.federate.processes import waited
from equipoise.federate.provisioning import (
    ANALYST,
    SERVER,
    Deployment,
    deployment,
    free_ports,
    provisioned,
)
from tests.federate.made import SITES, hospitals, study

pytest.importorskip("nvflare")

FOUR = (*SITES, "valley")
LONG = 150
"""Seconds after which a step is given up; none is measured."""


@pytest.fixture
def told():
    return study(FOUR, timeouts={"round": 60, "patience": 6})


@pytest.fixture
def made(tmp_path, told) -> Deployment:
    places = hospitals(tmp_path / "data", FOUR, patients=120)
    return provisioned(told, places, tmp_path / "deployment", ports=None)


@pytest.mark.slow
def test_every_kit_forbids_foreign_code_and_keeps_its_key_to_itself(made, told, tmp_path):
    for name in (SERVER, *FOUR):
        local = made.kits[name] / "local"
        rights = tables.read_json(local / "authorization.json")["permissions"]
        assert all(role["byoc"] == "none" for role in rights.values()), name
        resources = tables.read_json(local / "resources.json")
        assert resources["class_list_enforcement_mode"] == "enforce"
        assert all(one.startswith("equipoise.federate.") for one in resources["class_allow_list"])
    keys = [path for kit in made.kits.values() for path in kit.rglob("*.key")]
    assert len(keys) == 1 + 4 + 1 + 4  # server, sites, analyst; and the sites' linkage keys
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)
    shared = {(made.kits[site] / "local" / "linkage.key").read_bytes() for site in FOUR}
    assert len(shared) == 1
    assert not (made.kits[SERVER] / "local" / "linkage.key").exists()
    for site in FOUR:
        text = (made.kits[site] / "local" / "equipoise.json").read_text()
        assert [other for other in FOUR if f"/{other}.parquet" in text] == [site]
    with pytest.raises(Refused, match="a deployment stands there already"):
        provisioned(told, hospitals(tmp_path / "data", FOUR), made.folder, ports=None)
    assert deployment(made.folder).sites == FOUR


@pytest.mark.slow
def test_a_site_builds_our_two_classes_and_no_other(made):
    probe = (
        "import sys\n"
        "from nvflare.apis.fl_exception import UnsafeComponentError\n"
        "from nvflare.apis.workspace import Workspace\n"
        "from nvflare.app_common.widgets.component_path_authorizer import ComponentPathAuthorizer\n"
        "kit = Workspace(sys.argv[1], site_name='ridge')\n"
        "for path in sys.argv[2:]:\n"
        "    try:\n"
        "        asked = {'path': path}\n"
        "        ComponentPathAuthorizer().authorize_component_config(asked, workspace=kit)\n"
        "        print('allowed')\n"
        "    except UnsafeComponentError:\n"
        "        print('refused')\n"
    )
    paths = ["equipoise.federate.executing.Counting", "nvflare.app_common.np.np_trainer.NPTrainer"]
    paths += ["equipoise.federate.provisioning.Deployment", "os.system"]
    done = subprocess.run(
        [sys.executable, "-c", probe, str(made.kits["ridge"]), *paths],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["allowed", "refused", "refused", "refused"], done.stderr


@pytest.mark.slow
def test_a_port_in_use_is_said_before_anything_starts(made):
    with socket.socket() as other:
        other.bind(("127.0.0.1", made.ports[0]))
        other.listen()
        with pytest.raises(Refused, match=f"port {made.ports[0]} of the server is in use"):
            processes.start(made)
    assert [name for name in made.kits if processes.family(made, name)] == []


def test_a_site_without_data_is_not_provisioned(tmp_path, told):
    with pytest.raises(InvalidConfiguration, match="site 'harbour' has no data"):
        provisioned(told, {}, tmp_path / "deployment", ports=None)
    places = dict.fromkeys(FOUR, tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="site 'harbour': no such file or folder"):
        provisioned(told, places, tmp_path / "deployment", ports=None)
    assert not (tmp_path / "deployment").exists()


@pytest.mark.slow
def test_a_deployment_lives_through_a_killed_site(made, told, tmp_path):
    """One story, since each start costs seconds: run, kill, rejoin, refuse, stop."""
    try:
        # Four processes: the server and three sites; the fourth hospital comes later.
        processes.start(made, (SERVER, *SITES))
        said = _run(made, told, tmp_path / "three", sites=3)
        assert said["contributing"] == list(SITES)
        assert [(one["site"], one["kind"]) for one in said["left"]] == [("valley", "absent")]
        _check_wires(made, tmp_path)

        processes.start(made)
        assert waited(lambda: connected(made) == sorted(FOUR), LONG)
        said = _killed_while_asked(made, told, tmp_path, "valley")
        assert said["contributing"] == list(SITES)
        [left] = said["left"]
        assert (left["site"], left["kind"]) == ("valley", "silent")
        assert left["round"] in {"counts", "moments"}

        processes.start(made, ("valley",))
        said = _run(made, told, tmp_path / "again", sites=4)
        assert said["contributing"] == list(FOUR)
        assert said["left"] == []

        _check_foreign_code(made, told, tmp_path)
        for name in (SERVER, *FOUR):
            assert (made.kits[name] / "audit.log").stat().st_size > 0, name
    finally:
        processes.stop(made)
    assert [name for name in made.kits if processes.family(made, name)] == []


def _run(made: Deployment, told, out: Path, *, sites: int) -> dict:
    audited(made, told, out, sites=sites, seconds=LONG)
    tables.read(out / "estimates.parquet", tables.ESTIMATES)
    return tables.read_json(out / "audit.json")


def _killed_while_asked(made: Deployment, told, folder: Path, site: str) -> dict:
    """Kill a site once it says that it was asked, and return what the job made of it."""
    mark = made.kits[ANALYST] / "job.json"
    mark.unlink(missing_ok=True)
    said: dict = {}
    out = folder / "killed"
    ours = threading.Thread(target=lambda: said.update(_run(made, told, out, sites=4)))
    ours.start()

    def asked() -> bool:
        if not mark.is_file():
            return False
        log = made.kits[site] / json.loads(mark.read_text())["job"] / "log.txt"
        return log.is_file() and "asked for counts" in log.read_text()

    assert waited(asked, LONG)
    assert processes.kill(made, site) >= 1
    ours.join(LONG)
    return said


def _check_wires(made: Deployment, folder: Path) -> None:
    """See that the server listens on the loopback alone, and hears only our certificates."""
    where = [
        ipaddress.ip_address(one.laddr.ip.removeprefix("::ffff:"))
        for process in processes.family(made, SERVER)
        for one in process.net_connections(kind="inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert where
    assert all(one.is_loopback for one in where)
    startup = made.kits["ridge"] / "startup"
    own = startup / "client.crt", startup / "client.key"
    assert _heard(made, own)
    assert not _heard(made, None)
    assert not _heard(made, _foreign(folder))


def _heard(made: Deployment, pair: tuple[Path, Path] | None) -> bool:
    """Return whether the server speaks to a client with this certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(made.kits["ridge"] / "startup" / "rootCA.pem")
    context.set_alpn_protocols(["h2"])
    if pair is not None:
        context.load_cert_chain(*pair)
    try:
        with (
            socket.create_connection(("127.0.0.1", made.ports[0]), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as wire,
        ):
            wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            return bool(wire.recv(1))
    except (ssl.SSLError, ConnectionError):
        return False


def _foreign(folder: Path) -> tuple[Path, Path]:
    """Return certificate and key of a site of somebody else's federation."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ridge")])
    day = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day.replace(year=2120))
        .sign(key, hashes.SHA256())
    )
    place = folder / "foreign.crt", folder / "foreign.key"
    place[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    place[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return place


def _check_foreign_code(made: Deployment, told, folder: Path) -> None:
    """A job that brings code of its own is refused, and none of it runs."""
    bad = write_job(told.model_copy(update={"name": "foreign-code"}), folder / "jobs")
    seen = folder / "it-ran"
    custom = bad / "app" / "custom"
    custom.mkdir()
    (custom / "theirs.py").write_text(
        f"import pathlib\npathlib.Path({str(seen)!r}).write_text('ran')\n"
        "from equipoise.federate.executing import Counting\n"
    )
    client = bad / "app" / "config" / "config_fed_client.json"
    client.write_text(
        client.read_text().replace("equipoise.federate.executing.Counting", "theirs.Counting")
    )
    said = job(made, bad, folder / "left", sites=4, seconds=LONG)
    assert said["status"] != "FINISHED:COMPLETED", said
    assert not seen.exists()
    logs = [made.kits[name] / "console.log" for name in (SERVER, *FOUR)]
    assert any("BYOC not permitted" in path.read_text(errors="replace") for path in logs)


def test_two_free_ports_differ():
    one, other = free_ports()
    assert one != other


@pytest.mark.slow
def test_the_federation_loads_without_flare():
    probe = (
        "import sys; sys.modules['nvflare'] = None\n"
        "import equipoise.federate.conducting, equipoise.federate.answering\n"
        "from equipoise.errors import MissingExtra\n"
        "from equipoise.federate.simulating import need_flare\n"
        "try:\n    need_flare()\nexcept MissingExtra as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stdout.strip() == "pip install 'equipoise[federate]'", done.stderr
