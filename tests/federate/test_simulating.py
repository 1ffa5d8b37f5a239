"""The job in FLARE's own simulator, run as a process of its own."""

import polars as pl
import pytest

from equipoise import evidence, gate, scope, tables
from equipoise.errors import InvalidConfiguration, InvalidInput, Refused
from equipoise.federate import sums
from equipoise.federate.simulating import simulated
from equipoise.metrics import parts
from tests.federate.made import SITES, hospitals, study

pytest.importorskip("nvflare")


@pytest.mark.slow
def test_the_simulated_audit_equals_the_pooled_one_and_the_gate_judges_it(tmp_path):
    places = hospitals(tmp_path / "data")
    out = simulated(study(), places, tmp_path / "out", tmp_path / "work")
    what = sums.agreed(study())
    rows = pl.concat([pl.read_parquet(path) for path in places.values()])
    whole = parts.pooled(parts.population_of(rows, what, patient="patient_id"), what)
    found = tables.read(out / "estimates.parquet", tables.ESTIMATES)
    counts = tables.read(out / "counts.parquet", tables.COUNTS)
    assert counts.equals(whole.counts)
    for name in ("value", "low", "high"):
        assert found[name].is_null().equals(whole.estimates[name].is_null())
        assert (found[name] - whole.estimates[name]).abs().max() <= 1e-12
    policy = {
        "version": 1,
        "name": "made",
        "criteria": [{"name": "alike", "metric": "auroc", "attributes": ["sex"], "tolerance": 0.3}],
        "floors": [{"name": "useful", "metric": "auroc", "minimum": 0.6, "attributes": ["sex"]}],
    }
    gate.run(gate.Options(policy=policy), {"estimates": out}, tmp_path / "verdict", scope.Scope())
    assert tables.read_json(tmp_path / "verdict" / "verdict.json")["verdict"] == "pass"
    said = tables.read_json(out / "audit.json")
    assert said["contributing"] == list(SITES)
    assert said["whole"] is True
    statement = evidence.read_statement(out)
    inputs = {one["name"]: one["digest"]["sha256"] for one in statement["predicate"]["inputs"]}
    assert inputs["ridge/ridge.parquet"] == tables.file_digest(places["ridge"])
    assert not list(evidence.verify(out))


@pytest.mark.slow
def test_a_refused_simulation_leaves_what_stood_there_and_says_why(tmp_path):
    places = hospitals(tmp_path / "data", patients=60)
    places["ridge"].write_bytes(places["meadow"].read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "before.txt").write_text("stands")
    with pytest.raises(Refused, match="'meadow' and 'ridge' are declared to share no patient"):
        simulated(study(), places, tmp_path / "out", tmp_path / "work")
    assert (tmp_path / "out" / "before.txt").read_text() == "stands"


def test_an_undeclared_site_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(InvalidConfiguration, match="site 'cellar' is not declared"):
        simulated(study(), {"cellar": tmp_path}, tmp_path / "out", tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_data_that_are_not_there_are_missed_before_anything_runs(tmp_path):
    places = dict.fromkeys(SITES, tmp_path / "nowhere.parquet")
    with pytest.raises(InvalidInput, match="site 'harbour': no such file or folder"):
        simulated(study(), places, tmp_path / "out", tmp_path / "work")
