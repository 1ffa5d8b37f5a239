import logging

import numpy as np
import polars as pl
import pytest

from equipoise import audit, metrics
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.tables import ESTIMATES, check

BY = {"sex": ["F", "M"]}


def rows(n: int = 400, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.4
    sex = rng.choice(["F", "M"], n)
    score = 1 / (1 + np.exp(-(rng.standard_normal(n) + label * np.where(sex == "F", 0.5, 2.5))))
    return pl.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in range(n)],
            "patient_id": [f"p{i // 2:05d}" for i in range(n)],
            "sex": sex,
            "band": rng.choice(["old", "young"], n),
            "label": label,
            "score": score,
        }
    )


def test_one_function_on_a_table_returns_the_long_table_of_estimates() -> None:
    found = audit.estimates(rows(), by=BY, operating_points={"half": 0.5})
    check(found, ESTIMATES)
    assert set(found["metric"]) == set(metrics.METRICS)
    assert set(found["candidate"]) == {"predictions"}
    assert set(found.filter(metric="ppv")["operating_point"]) == {"half"}
    assert found["exploratory"].sum() == 0


def test_without_an_operating_point_half_is_never_assumed() -> None:
    found = audit.estimates(rows(), by=BY)
    assert set(found["metric"]) == {"auroc", "brier"}
    assert found["operating_point"].null_count() == found.height


@pytest.mark.parametrize("by", [["sex", "band"], {"sex": ["F", "M"], "band": None}])
def test_levels_from_the_data_make_every_result_exploratory(by: object) -> None:
    assert audit.estimates(rows(), by=by)["exploratory"].all()


def test_only_the_test_split_is_audited_unless_all_is_said() -> None:
    table = rows().with_columns(
        split=pl.when(pl.int_range(pl.len()) < 200).then(pl.lit("train")).otherwise(pl.lit("test"))
    )
    default = audit.estimates(table, by=BY)
    everything = audit.estimates(table, by=BY, options=audit.Options(split="all"))
    assert default["n_images"].max() == 200
    assert everything["n_images"].max() == 400


def test_options_reach_the_engine() -> None:
    options = audit.Options(
        references={"sex": "M"},
        intersections=1,
        metrics=["auroc"],
        minimum=metrics.Minimum(positives=5, negatives=5, patients=5),
    )
    found = audit.estimates(rows(60), by={**BY, "band": ["old", "young"]}, options=options)
    assert set(found.filter(pl.col("contrast") == "reference")["against"]) == {"sex=M"}
    assert not found.filter(pl.col("sex").is_not_null(), pl.col("band").is_not_null()).height
    assert set(found["metric"]) == {"auroc"}


def test_a_finding_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InvalidTable, match="no finding 'edema'; known findings: finding"):
        audit.estimates(rows(), by=BY, options=audit.Options(findings=["edema"]))


def test_a_threshold_that_is_no_number_is_an_error() -> None:
    with pytest.raises(InvalidTable, match="1 thresholds are no numbers, as nan"):
        audit.estimates(rows(), by=BY, operating_points={"p": float("nan")})


@pytest.mark.parametrize("threshold", [20.0, -0.1])
def test_a_threshold_that_no_score_can_meet_is_an_error(threshold: float) -> None:
    with pytest.raises(InvalidTable, match=f"outside \\[0, 1\\], as {threshold}") as raised:
        audit.estimates(rows(), by=["sex"], operating_points={"screening": threshold})
    assert raised.value.hint == "scores lie in [0, 1], so 20 % is 0.2"


def test_the_patient_cannot_be_an_attribute() -> None:
    with pytest.raises(InvalidConfiguration, match="'patient_id' cannot be an attribute"):
        audit.estimates(rows(), by=["patient_id"])


def test_the_summary_has_the_worst_group_first_and_what_lacks_last() -> None:
    table = pl.concat([rows(), rows(6, seed=1).with_columns(sex=pl.lit("X"))])
    table = table.with_columns(image_id=pl.Series([str(i) for i in range(406)]))
    found = audit.summary(audit.estimates(table, by={"sex": ["F", "M", "X"]}))
    auroc = found.filter(metric="auroc")
    assert auroc["group"].to_list() == ["sex=F", "everybody", "sex=M", "sex=X"]
    worst, last = auroc.row(0, named=True), auroc.row(3, named=True)
    assert worst["low"] < worst["value"] < worst["high"]
    assert worst["difference_low"] < worst["difference"] < worst["difference_high"] < 0
    assert last["value"] is None
    assert "more are needed" in last["note"]


def test_in_the_summary_a_large_brier_score_is_the_worst() -> None:
    brier = audit.summary(audit.estimates(rows(), by=BY)).filter(metric="brier")
    assert brier["value"].to_list() == sorted(brier["value"], reverse=True)


def test_labelled_images_without_a_score_are_left_out_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = rows().with_columns(
        score=pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(pl.col("score"))
    )
    with caplog.at_level(logging.WARNING):
        audit.estimates(table, by=BY)
    assert "7 images with a label have no score and are in no number" in caplog.text
