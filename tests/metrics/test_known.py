"""Every metric that has a name goes through the engine: value, error, and edges."""

import numpy as np
import polars as pl
import pytest

from equipoise import audit, metrics
from equipoise.errors import InvalidConfiguration, UnknownName
from equipoise.metrics.known import metric, names
from tests.metrics.made import SMALL, people

NAMES = [f"{name}0.2" if name.endswith("@") else name for name in names()]
POINTS = {"half": 0.5}
KINKED = {"ece_data_range", "rms_calibration_error"}
"""No smooth function of counts: bins that move with the data, a root that ends at zero."""


def cohort(seed: int, patients: int = 150) -> pl.DataFrame:
    rows = people(np.random.default_rng(seed), patients=patients, images=2, agreement=0.5)
    return rows.with_columns(pl.Series("label:x", rows["label:x"]))


def own(rows: pl.DataFrame, name: str, group: str | None = "A") -> dict[str, object]:
    """Return the pointwise 95 % row of a group's own value."""
    found = audit.estimates(
        rows,
        by={"group": ["A", "B"]},
        operating_points=POINTS,
        options=audit.Options(metrics=[name], minimum=SMALL),
    )
    mine = found.filter(
        pl.col("contrast").is_null(),
        pl.col("group").eq_missing(pl.lit(group, pl.String)),
        interval="pointwise",
        level=0.95,
        adjustment="crude",
    )
    return mine.row(0, named=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in KINKED])
def test_its_error_is_that_of_a_bootstrap_of_patients(name: str) -> None:
    rows = cohort(1)
    found = own(rows, name)
    assert found["metric"] == name
    rng = np.random.default_rng(2)
    by_patient = rows.sort("patient_id").partition_by("patient_id", maintain_order=True)
    drawn = []
    for _ in range(60):
        taken = rng.integers(0, len(by_patient), len(by_patient))
        some = pl.concat([by_patient[i] for i in taken]).with_columns(
            patient_id=pl.Series([f"{k:05}" for k in range(len(taken)) for _ in (0, 1)])
        )
        drawn.append(own(some, name)["value"])
    spread = np.std([value for value in drawn if value is not None])
    # 60 draws know a standard deviation to about 9 %.
    assert found["standard_error"] == pytest.approx(spread, rel=0.4)
    assert found["low"] < found["value"] < found["high"]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_and_the_names_of_groups_change_nothing(name: str) -> None:
    rows = cohort(3, 60)
    one = own(rows, name)
    mixed = rows.sample(fraction=1.0, shuffle=True, seed=1).with_columns(
        group=pl.col("group").replace_strict({"A": "B", "B": "A"})
    )
    two = own(mixed, name, "B")
    for column in ("value", "low", "high", "standard_error"):
        assert two[column] == pytest.approx(one[column], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_is_absent_makes_no_value_and_no_exception(name: str) -> None:
    rows = cohort(4, 40).with_columns(
        pl.when(pl.col("group") == "A").then(False).otherwise("label:x").alias("label:x")
    )
    found = own(rows, name)
    if metric(name).ranked and metric(name).across != "negatives":
        assert found["value"] is None
        assert "positives" in str(found["reason"])
    assert found["value"] is None or np.isfinite(found["value"])


def test_positives_of_a_group_are_ranked_against_the_negatives_of_all() -> None:
    rows = cohort(5)
    label, score = rows["label:x"].to_numpy(), rows["score:x"].to_numpy()
    group = (rows["group"] == "A").to_numpy()
    up = metrics.placements(score[label & group], np.sort(score[~label])).mean()
    assert own(rows, "xauc_of_positives")["value"] == pytest.approx(up, abs=1e-12)
    down = metrics.placements(score[label], np.sort(score[~label & group])).mean()
    assert own(rows, "xauc_of_negatives")["value"] == pytest.approx(down, abs=1e-12)
    for name in ("xauc_of_positives", "xauc_of_negatives"):
        assert own(rows, name, None)["value"] == pytest.approx(own(rows, "auroc", None)["value"])


def test_a_number_that_is_lacking_or_too_many_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match="expected a threshold probability in"):
        metric("net_benefit")
    with pytest.raises(InvalidConfiguration, match="expected a highest false positive rate"):
        metric("partial_auroc@2")
    with pytest.raises(InvalidConfiguration, match="'f1' takes no number"):
        metric("f1@0.3")
    with pytest.raises(UnknownName, match="no metric 'recal'"):
        metric("recal")


def test_underdiagnosis_of_a_disease_is_what_overdiagnosis_of_no_finding_is() -> None:
    rows = cohort(6)
    missed = own(rows, "underdiagnosis_rate")
    healthy = rows.with_columns(~pl.col("label:x"), (1.0 - pl.col("score:x")).alias("score:x"))
    turned = own(healthy, "underdiagnosis_rate_of_no_finding")
    assert turned["value"] == pytest.approx(missed["value"], abs=0.01)
    assert own(rows, "false_negative_rate")["value"] == missed["value"]
