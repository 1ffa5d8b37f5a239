import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import metrics
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics import parts
from tests.metrics.parts.made import (
    OPEN,
    POINTS,
    SMALL,
    TABLE,
    agreement,
    cut,
    federated,
    hospital,
    same,
)


def whole(rows: pl.DataFrame, agreed: parts.Agreed) -> metrics.Estimated:
    """Return the pooled counterpart."""
    return parts.pooled(parts.population_of(rows, agreed, patient="patient_id"), agreed)


@pytest.mark.slow
@pytest.mark.parametrize("references", [{}, {"sex": "M"}, {"sex": "F", "age": "old"}])
def test_parts_give_the_tables_of_the_pooled_data(references: dict[str, str]) -> None:
    rows = hospital(np.random.default_rng(1), 200)
    agreed = agreement(references=references)
    found, _, _ = federated(cut(rows, [0, 1, 2, 1, 0]), agreed)
    same(found, whole(rows, agreed))


@pytest.mark.slow
def test_rates_means_and_cells_are_those_of_the_engine_on_the_scores_themselves() -> None:
    rows = hospital(np.random.default_rng(2), 150)
    names = ["sensitivity", "specificity", "ppv", "npv", "brier"]
    agreed = agreement(references={"sex": "M"}, names=names)
    found, _, _ = federated(cut(rows, [0, 1, 1]), agreed)
    people = metrics.population(rows, TABLE, patient="patient_id", points=POINTS)
    same(found, metrics.estimate(people, TABLE, agreed.plan))


def test_aurocs_are_those_of_the_engine_on_scores_at_the_centres_of_their_bins() -> None:
    rows = hospital(np.random.default_rng(3), 150)
    centred = rows.with_columns(
        (((pl.col(f"score:{x}").cast(pl.Float64) * 32).floor().clip(0, 31) + 0.5) / 32).alias(
            f"score:{x}"
        )
        for x in ("x", "y")
    )
    rules = OPEN.model_copy(update={"bins": 32})
    agreed = agreement(rules=rules, names=["auroc"])
    found, _, _ = federated(cut(rows, [1, 0]), agreed)
    people = metrics.population(centred, TABLE, patient="patient_id", points=POINTS)
    expected = metrics.estimate(people, TABLE, agreed.plan)
    cells = ["tp", "fp", "tn", "fn"]  # a score is called before it is moved
    assert found.counts.drop(cells).equals(expected.counts.drop(cells))
    for name in ("value", "low", "high"):
        a, b = found.estimates[name], expected.estimates[name]
        assert a.is_null().equals(b.is_null())
        assert np.allclose(a.drop_nulls(), b.drop_nulls(), rtol=1e-12, atol=1e-14)


@pytest.mark.slow
@settings(max_examples=12)
@given(
    st.integers(0, 1000),
    st.lists(st.integers(0, 3), min_size=1, max_size=7),
)
def test_any_cut_between_patients_gives_the_same(seed: int, where: list[int]) -> None:
    rows = hospital(np.random.default_rng(seed), 30)
    agreed = agreement(names=["auroc", "sensitivity", "brier"], findings=("x",))
    found, _, second = federated(cut(rows, where), agreed)
    same(found, whole(rows, agreed))
    one, _, alone = federated([rows], agreed)
    same(found, one)
    for name in ("variance", "fourth", "covariance", "joint_values", "joint_differences"):
        a, b = getattr(second, name), getattr(alone, name)
        scale = np.maximum(np.abs(b), 1e-12 * max(1.0, float(np.abs(b).max(initial=0.0))))
        assert (np.abs(a - b) <= 1e-12 * np.maximum(scale, np.abs(b).max(initial=0.0))).all()


def test_a_metric_that_no_part_can_count_is_refused() -> None:
    for name in ("f1", "average_precision", "xauc_of_positives"):
        with pytest.raises(InvalidConfiguration, match=f"'{name}' cannot be counted in parts"):
            agreement(names=[name])


def test_the_order_in_which_parts_come_changes_no_bit() -> None:
    agreed = agreement(names=["auroc", "ppv", "brier"], findings=("x",))
    rows = [hospital(np.random.default_rng(seed), 40) for seed in range(4)]
    people = [parts.population_of(one, agreed, patient="patient_id") for one in rows]
    told = [parts.first(one, agreed, name=f"s{at}") for at, one in enumerate(people)]
    made = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        merged = parts.merge([told[at] for at in order], agreed, disjoint_patients=True)
        seconds = [parts.moments_of(people[at], told[at], merged, agreed) for at in order]
        made.append((parts.packed(merged), parts.packed(parts.sum_moments(seconds, merged))))
    assert made[0] == made[1]


@pytest.mark.parametrize("bins", [4, 16, 256])
def test_an_auroc_without_a_grid_lies_within_the_bound(bins: int) -> None:
    rows = hospital(np.random.default_rng(4), 200)
    agreed = agreement(rules=OPEN.model_copy(update={"bins": bins}), names=["auroc"])
    found, merged, _ = federated([rows], agreed)
    people = metrics.population(rows, TABLE, patient="patient_id", points=POINTS)
    exact = metrics.estimate(people, TABLE, agreed.plan)
    group = pl.col("contrast").is_null() & (pl.col("level") == 0.9)
    a, b = found.estimates.filter(group)["value"], exact.estimates.filter(group)["value"]
    limit = parts.bounds(merged)[:, : TABLE.height].reshape(-1)
    assert (np.abs((a - b).to_numpy()) <= limit + 1e-15).all()
    assert "on a grid of" in found.estimates.filter(group)["reason"][0]


def empty(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.clear()


def one_class(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(value=True).alias("label:x"))


def unscored(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, pl.Float32).alias("score:x"))


def one_patient(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.head(2)


def one_sex(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("sex") == "F")


def unassessed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.drop("label:x", "score:x")


ODD = (empty, one_class, unscored, one_patient, one_sex, unassessed)


@pytest.mark.parametrize("change", ODD, ids=lambda change: change.__name__)
def test_an_odd_part_adds_what_it_has(change) -> None:
    agreed = agreement(names=["auroc", "npv", "brier"], findings=("x",))
    many = hospital(np.random.default_rng(5), 60)
    odd = change(hospital(np.random.default_rng(6), 20)).with_columns(
        pl.format("odd/{}", "patient_id").alias("patient_id")
    )
    found, _, _ = federated([many, odd], agreed)
    for name, kind in (("label:x", pl.Boolean), ("score:x", pl.Float32)):
        if name not in odd.columns:
            odd = odd.with_columns(pl.lit(None, kind).alias(name))
    same(found, whole(pl.concat([many, odd.select(many.columns)]), agreed))


def test_parts_without_any_patient_assess_nothing() -> None:
    agreed = agreement(findings=("x",))
    nobody = empty(hospital(np.random.default_rng(7), 2))
    found, _, _ = federated([nobody, nobody], agreed)
    assert found.estimates["value"].null_count() == found.estimates.height
    assert found.counts["n_images"].sum() == 0


def test_images_taken_as_independent_are_so_in_parts() -> None:
    agreed = agreement(names=["auroc", "ppv"], findings=("x",))
    rows = hospital(np.random.default_rng(8), 60)
    found, _, _ = federated([rows.head(70), rows.tail(50)], agreed, patient=None)
    expected = parts.pooled(parts.population_of(rows, agreed, patient=None), agreed)
    same(found, expected)
    assert "images taken as independent" in found.estimates["method"][0]


def test_findings_of_the_same_patients_covary_in_the_joint_statement() -> None:
    agreed = agreement(names=["auroc"], minimum=SMALL)
    rows = hospital(np.random.default_rng(9), 120)
    same_scores = rows.with_columns(
        pl.col("label:x").alias("label:y"), pl.col("score:x").alias("score:y")
    )
    _, _, second = federated(cut(same_scores, [0, 1]), agreed)
    n = len(second.joint_values) // 2
    across = second.joint_values[:n, n:]
    assert np.allclose(across, second.joint_values[:n, :n], rtol=1e-12)


def test_thresholds_that_differ_by_fold_are_counted_where_the_folds_are_known() -> None:
    rng = np.random.default_rng(10)
    rows = hospital(rng, 60).with_columns(fold=pl.Series(rng.integers(0, 2, 120)))
    points = pl.DataFrame(
        {
            "finding": ["x", "x"],
            "operating_point": ["p", "p"],
            "threshold": [0.3, 0.7],
            "fold": [0, 1],
        }
    )
    plan = agreement().plan
    agreed = parts.Agreed(TABLE, plan, ("x",), points, OPEN)
    found, _, _ = federated(cut(rows, [0, 1]), agreed)
    same(found, whole(rows, agreed))
    one = POINTS.filter(pl.col("operating_point") == "low", finding="x").with_columns(
        operating_point=pl.lit("p")
    )
    other = parts.Agreed(TABLE, plan, ("x",), one, OPEN)
    told = parts.first(parts.population_of(rows, other, patient="patient_id"), other, name="s")
    with pytest.raises(InvalidTable, match="'s' has operating_points"):
        parts.merge([told], agreed, disjoint_patients=True)
