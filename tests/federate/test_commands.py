import json
from pathlib import Path

import pytest

from equipoise import tables
from equipoise.cli import main
from equipoise.federate import text
from tests.federate.made import hospital, study


def run(capsys, *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["federate", *words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), " ".join((said.out + said.err).split())


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (["--site", "harbour"], "--site harbour: expected site=FOLDER"),
        (["--site", "harbour=a", "--site", "harbour=b"], "--site harbour: is said twice"),
        (["--site", "cellar=a"], "site 'cellar' is not declared"),
        (["--site", "harbour=nowhere"], "site 'harbour': no such file or folder: nowhere"),
    ],
)
def test_a_site_that_cannot_be_is_said(tmp_path, capsys, site, message):
    pytest.importorskip("nvflare")
    path = tmp_path / "federation.yaml"
    path.write_text(text(study()))
    code, said = run(capsys, "simulate", str(path), *site, "--out", str(tmp_path / "out"))
    assert code == 2
    assert message in said


def test_ports_are_two_numbers(tmp_path, capsys):
    path = tmp_path / "federation.yaml"
    path.write_text(text(study()))
    words = ["provision", str(path), "--site", "harbour=a", "--out", str(tmp_path / "out")]
    code, said = run(capsys, *words, "--ports", "8002")
    assert code == 2
    assert "--ports 8002: expected two numbers" in said


def test_a_folder_without_a_deployment_is_said(tmp_path, capsys):
    for command in ("start", "stop", "status"):
        code, said = run(capsys, command, str(tmp_path))
        assert code == 2
        assert "no deployment.json in it" in said


def test_help_names_each_command(capsys):
    code, said = run(capsys, "--help")
    assert code == 0
    for name in ("simulate", "provision", "start", "submit", "stop", "prepare", "job", "demo"):
        assert name in said


def test_a_job_is_written_for_flares_own_command(tmp_path, capsys):
    path = tmp_path / "federation.yaml"
    path.write_text(text(study()))
    code, _ = run(capsys, "job", str(path), "--out", str(tmp_path / "jobs"))
    assert code == 0
    assert (tmp_path / "jobs" / "three-hospitals" / "meta.json").is_file()
    assert not list((tmp_path / "jobs").rglob("*.py"))


def kit(folder: Path) -> Path:
    """Return what FLARE's own kit of a site looks like, where it matters here."""
    made = folder / "ridge"
    for place in ("startup", "local"):
        (made / place).mkdir(parents=True)
    (made / "startup" / "fed_client.json").write_text("{}")
    (made / "local" / "resources.json.default").write_text(
        json.dumps({"components": [{"id": "site_log_streamer"}, {"id": "process_launcher"}]})
    )
    return made


def test_a_kit_of_flares_is_made_ready_and_its_data_are_looked_at(tmp_path, capsys):
    made, key = kit(tmp_path), tmp_path / "linkage.key"
    key.write_bytes(b"k" * 32)
    path = tmp_path / "federation.yaml"
    path.write_text(text(study()))
    rows = hospital("ridge", seed=1, patients=30)
    rows.write_parquet(tmp_path / "ridge.parquet")
    words = ["prepare", str(made), "--study", str(path), "--linkage-key", str(key)]
    code, said = run(capsys, *words)
    assert code == 2
    assert "a site needs --study, --data and --linkage-key" in said
    code, said = run(capsys, *words, "--data", str(tmp_path / "ridge.parquet"))
    assert code == 0
    assert f"{rows.height} rows are as the study declares" in said
    resources = tables.read_json(made / "local" / "resources.json")
    assert resources["components"] == [{"id": "process_launcher"}]
    assert resources["allow_log_streaming"] is False
    rights = tables.read_json(made / "local" / "authorization.json")["permissions"]
    assert {role["byoc"] for role in rights.values()} == {"none"}


def test_what_is_no_kit_is_said(tmp_path, capsys):
    code, said = run(capsys, "prepare", str(tmp_path))
    assert code == 2
    assert "no kit of a server or a site" in said


def test_a_job_for_a_server_that_does_not_run_is_refused_at_once(tmp_path, capsys):
    (tmp_path / "deployment.json").write_text(json.dumps({"ports": [1, 2], "sites": ["a"]}))
    path = tmp_path / "federation.yaml"
    path.write_text(text(study()))
    code, said = run(capsys, "submit", str(tmp_path), str(path), "--out", str(tmp_path / "out"))
    assert code == 2
    assert "the server does not run" in said
