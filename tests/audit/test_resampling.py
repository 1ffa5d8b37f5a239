"""Intervals by a bootstrap of patients beside those by influence values."""

import numpy as np
import polars as pl
import pytest

from equipoise import audit
from equipoise.errors import InvalidConfiguration
from tests.metrics.made import SMALL, people

BY = {"group": ["A", "B"]}
POINTS = {"half": 0.5}
NAMES = ["auroc", "sensitivity", "ppv", "brier", "average_precision", "f1", "calibration_slope"]
KEY = ["metric", "operating_point", "group", "contrast", "level"]


def both(rows: pl.DataFrame, names: list[str] = NAMES, n: int = 600) -> pl.DataFrame:
    options = audit.Options(metrics=names, minimum=SMALL)
    told = {"by": BY, "operating_points": POINTS, "options": options}
    one = audit.bootstrapped(rows, replicates=n, **told)
    other = audit.estimates(rows, **told).filter(interval="pointwise", adjustment="crude")
    assert one.height == other.height
    return one.join(other, on=KEY, nulls_equal=True, suffix="_influence")


@pytest.mark.slow
def test_both_ways_give_the_same_values_and_nearly_the_same_errors() -> None:
    rows = people(np.random.default_rng(0), patients=300, images=2, agreement=0.6)
    pair = both(rows)
    assert (pair["value"] - pair["value_influence"]).abs().max() < 1e-12
    ratio = pair["standard_error"] / pair["standard_error_influence"]
    # 600 replicates know a standard deviation to about 3 %.
    assert ratio.is_between(0.85, 1.18).all()
    assert (pair["low"] < pair["value"]).all()
    assert (pair["high"] > pair["value"]).all()


def test_the_order_of_rows_changes_nothing() -> None:
    rows = people(np.random.default_rng(1), patients=60, images=2)
    one = both(rows, ["average_precision"], 100)
    two = both(rows.sample(fraction=1.0, shuffle=True, seed=3), ["average_precision"], 100)
    for name in ("value", "low", "high", "standard_error"):
        assert np.allclose(one[name], two[name], rtol=1e-9)


def test_replicates_without_a_value_are_counted_and_not_replaced() -> None:
    rows = people(np.random.default_rng(2), patients=40, prevalence=0.08)
    found = both(rows, ["auroc"], 200)
    some = found.filter(pl.col("method").str.contains("without a value"))
    assert some.height
    assert found.filter(status="assessed")["value"].null_count() == 0


def test_replicates_refuse_a_case_mix_that_they_would_not_apply() -> None:
    rows = pl.DataFrame({"sex": ["F", "M"] * 20, "label": [1, 1, 0, 0] * 10, "score": [0.5] * 40})
    chosen = audit.Options(standardise=[{"sex": {"F": 0.5, "M": 0.5}}])
    with pytest.raises(InvalidConfiguration, match=r"options\.standardise declares 1"):
        audit.bootstrapped(rows, by={"sex": ["F", "M"]}, patient=None, options=chosen)
