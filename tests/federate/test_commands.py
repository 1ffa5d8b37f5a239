import pytest

from equipoise.cli import main
from equipoise.federate import text
from tests.federate.made import study


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
        assert "deployment.json: no such file" in said


def test_help_names_each_command(capsys):
    code, said = run(capsys, "--help")
    assert code == 0
    for name in ("simulate", "provision", "start", "status", "submit", "stop", "demo"):
        assert name in said
