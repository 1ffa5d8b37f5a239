from pathlib import Path

import pytest

from equipoise import gate, policies, tables
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.scope import Scope
from tests.policies.made import difference, fine, policy, table


def folder(tmp_path: Path) -> Path:
    made = tables.make_folder(tmp_path / "estimates")
    tables.write(table(fine(), difference(0.2)), made / "estimates.parquet", tables.ESTIMATES)
    return made


def test_a_run_writes_the_verdict(tmp_path: Path) -> None:
    options = gate.Options(policy=policy().model_dump(mode="json"))
    out = tables.make_folder(tmp_path / "verdict")
    result = gate.run(options, {"estimates": folder(tmp_path)}, out, Scope())
    said = tables.read_json(out / "verdict.json")
    assert result["verdict"] == said["verdict"] == "fail"
    assert result["exit_code"] == 1
    assert "override" not in said
    written = tables.read_json(out / "policy.json")
    assert policies.validated(written) == policy()


def test_the_override_of_an_audited_bundle_stands_beside_its_verdict(tmp_path: Path) -> None:
    given = folder(tmp_path)
    override = {"name": "A. Lee", "reason": "pilot", "expires": "2030-01-01"}
    tables.write_json(given / "audit.json", {"bundle": "f" * 64, "override": override})
    out = tables.make_folder(tmp_path / "verdict")
    options = gate.Options(policy=policy().model_dump(mode="json"))
    assert gate.run(options, {"estimates": given}, out, Scope())["override"] == override
    assert tables.read_json(out / "verdict.json")["bundle"] == "f" * 64


def test_a_policy_file_is_a_source_seen_from_the_study(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(policies.example(), encoding="utf-8")
    options, scope = gate.Options(policy="mine.yaml"), Scope(base=tmp_path)
    assert gate.sources(options, scope) == {"policy": tmp_path / "mine.yaml"}
    out = tables.make_folder(tmp_path / "verdict")
    result = gate.run(options, {"estimates": folder(tmp_path)}, out, scope)
    assert result["verdict"] == "fail"  # though age_band and rates are not there: fail is worse


def test_no_policy_and_no_estimates_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="policy: no file"):
        gate.run(gate.Options(policy="no.yaml"), {}, tmp_path, Scope(base=tmp_path))
    options = gate.Options(policy=policy().model_dump(mode="json"))
    with pytest.raises(InvalidTable, match="estimates: no file"):
        gate.run(options, {"estimates": tmp_path}, tmp_path, Scope())
