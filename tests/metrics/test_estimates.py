import numpy as np
import polars as pl
import pytest

from equipoise import metrics
from equipoise.errors import UnknownName
from equipoise.metrics.arms import Arms, arms
from equipoise.metrics.estimates import answers, estimate
from equipoise.metrics.intervals import logit_limits, mover, wilson
from equipoise.metrics.moments import Moments, moments
from equipoise.metrics.numbers import questions
from tests.metrics.made import POINT, SMALL, estimated, own, people

AB = {"group": ["A", "B"]}


def bootstrap_errors(rows: pl.DataFrame, rng: np.random.Generator, n: int) -> dict[str, float]:
    """Return standard errors of A and of A minus B, patients resampled with their images."""
    per_patient = rows.group_by("patient_id", maintain_order=True).agg(pl.all())
    called = (rows["score:x"] >= 0.5).to_numpy()
    label = rows["label:x"].to_numpy()
    group = (rows["group"] == "A").to_numpy()
    _, who = np.unique(rows["patient_id"].to_numpy(), return_inverse=True)
    drawn: dict[str, list[float]] = {"sensitivity": [], "ppv": [], "contrast": []}
    for _ in range(n):
        weight = np.bincount(
            rng.integers(0, per_patient.height, per_patient.height), minlength=per_patient.height
        )[who]
        hit = weight * label * called
        in_a, in_b = [(hit * g).sum() / (weight * label * g).sum() for g in (group, ~group)]
        drawn["sensitivity"].append(in_a)
        drawn["contrast"].append(in_a - in_b)
        drawn["ppv"].append((hit * group).sum() / (weight * called * group).sum())
    return {name: float(np.std(values, ddof=1)) for name, values in drawn.items()}


@pytest.mark.slow
def test_clustered_errors_are_those_of_a_bootstrap_of_patients() -> None:
    rng = np.random.default_rng(5)
    rows = people(rng, patients=600, images=3, agreement=0.8)
    # Group differs within a patient, so that the arms of a contrast share patients.
    rows = rows.with_columns(group=pl.Series(rng.choice(["A", "B"], rows.height)))
    compared, second = engine(rows, ["sensitivity", "ppv"])
    errors = bootstrap_errors(rows, rng, 2_000)
    a = compared.names.index("group=A")
    assert np.sqrt(second.variance[0, a]) == pytest.approx(errors["sensitivity"], rel=0.08)
    assert np.sqrt(second.variance[1, a]) == pytest.approx(errors["ppv"], rel=0.08)
    first = np.flatnonzero(second.differences.question == 0)[0]
    of_contrast = np.sqrt(second.joint_differences[0].covariance[first, first])
    assert of_contrast == pytest.approx(errors["contrast"], rel=0.08)
    independent = np.sqrt(
        second.variance[0, a] + second.variance[0, compared.names.index("group=B")]
    )
    assert of_contrast < 0.9 * independent


def engine(rows: pl.DataFrame, names: list[str]) -> tuple[Arms, Moments]:
    """Return arms and moments of rows in groups A and B, B being the reference."""
    table = metrics.subgroups(AB)
    sample = metrics.population(rows, table, patient="patient_id", points=POINT)
    compared = arms(table, sample.cells, {"group": "B"})
    asked = questions(sample.samples, [metrics.metric(name) for name in names])
    counted, found = answers(asked, compared, SMALL)
    return compared, moments(asked, counted, found, compared, patients=sample.patients)


@pytest.mark.parametrize(("images", "decimals"), [(1, None), (3, None), (3, 1)])
def test_the_engines_auroc_and_its_error_are_those_of_the_plain_function(
    images: int, decimals: int | None
) -> None:
    rng = np.random.default_rng(24)
    rows = people(rng, patients=90, images=images, agreement=0.6, decimals=decimals)
    rows = rows.with_columns(
        pl.Series("label:x", rng.random(rows.height) < 0.4)  # both classes within a patient
    )
    compared, second = engine(rows, ["auroc"])
    for arm, group in ((1, "A"), (2, "B")):
        mine = rows.filter(pl.col("group") == group)
        _, who = np.unique(mine["patient_id"].to_numpy(), return_inverse=True)
        value, error = metrics.clustered_auroc(
            mine["score:x"].to_numpy(), mine["label:x"].to_numpy(), who
        )
        assert compared.names[arm] == f"group={group}"
        assert np.sqrt(second.variance[0, arm]) == pytest.approx(error, rel=1e-9)
        assert own(estimated(rows, AB), "auroc", group=group)["value"] == pytest.approx(value)


def test_the_error_of_a_mean_without_clusters_is_the_textbook_one() -> None:
    rows = people(np.random.default_rng(25), patients=80)
    _, second = engine(rows, ["brier"])
    loss = (rows["score:x"] - rows["label:x"].cast(pl.Float64)) ** 2
    assert second.variance[0, 0] == pytest.approx(loss.var() / 80, rel=1e-9)


def test_few_patients_widen_an_auroc_beyond_the_normal_interval() -> None:
    rows = people(np.random.default_rng(26), patients=60)
    _, second = engine(rows, ["auroc"])
    found = own(estimated(rows, AB), "auroc", group=None)
    value, error = found["value"], np.sqrt(second.variance[0, 0])
    low, high = logit_limits(np.array([value]), np.array([error]), np.array([1.959964]))
    assert found["low"] < low[0] - 1e-3
    assert found["high"] > high[0] + 1e-4


def test_simultaneous_limits_are_those_of_the_critical_value_of_their_own_family() -> None:
    rows = people(np.random.default_rng(27), patients=300)
    made = estimated(rows, AB, names=["sensitivity", "specificity", "npv"])
    assert made.critical_groups != made.critical_contrasts
    limits = {}
    for z in (made.critical_groups, made.critical_contrasts):
        for group in "AB":
            row = own(made, "sensitivity", group=group)
            rate, n = np.array([row["value"]]), np.array([float(row["trials"])])
            limits[z, group] = rate, *wilson(rate, n, z)
    rows = made.estimates.filter(pl.col("group") == "A", interval="simultaneous")
    rows = rows.filter(metric="sensitivity")
    value = rows.filter(pl.col("contrast").is_null()).row(0, named=True)
    contrast = rows.filter(pl.col("contrast") == "rest").row(0, named=True)
    _, low, high = limits[made.critical_groups, "A"]
    assert (value["low"], value["high"]) == pytest.approx((low[0], high[0]))
    z = made.critical_contrasts
    low, high = mover(limits[z, "A"], limits[z, "B"], np.zeros(1))
    assert (contrast["low"], contrast["high"]) == pytest.approx((low[0], high[0]))


def test_images_of_one_patient_each_give_plain_wilson() -> None:
    rows = people(np.random.default_rng(6), patients=300)
    found = own(estimated(rows, AB), "sensitivity", group="A")
    rate = np.array([found["events"] / found["trials"]])
    low, high = wilson(rate, np.array([float(found["trials"])]), 1.959964)
    assert (found["low"], found["high"]) == pytest.approx((low[0], high[0]), abs=1e-6)


def test_three_images_alike_widen_every_interval_by_about_root_three() -> None:
    rng = np.random.default_rng(7)
    once = people(rng, patients=600)
    rows = pl.concat([once] * 3).with_columns(
        (pl.col("score:x") + pl.Series(rng.normal(0, 1e-5, 1800))).clip(0, 1)
    )
    for metric in metrics.METRICS:
        naive = own(estimated(rows, AB, patient=None), metric, group="A")
        clustered = own(estimated(rows, AB), metric, group="A")
        ratio = (naive["high"] - naive["low"]) / (clustered["high"] - clustered["low"])
        assert ratio == pytest.approx(1 / np.sqrt(3), rel=0.05), metric
        assert "images taken as independent" in naive["method"]
        assert "clustered by patient" in clustered["method"]


def test_the_order_of_rows_and_the_names_of_groups_change_nothing() -> None:
    rows = people(np.random.default_rng(8), patients=150, images=2, decimals=1)
    numbers = ["value", "low", "high", "n_patients", "status"]
    first = estimated(rows, AB).estimates.select(numbers)
    shuffled = estimated(rows.sample(fraction=1.0, shuffle=True, seed=1), AB).estimates
    renamed = estimated(
        rows.with_columns(pl.col("group").replace({"A": "zwei", "B": "eins"})),
        {"group": ["zwei", "eins"]},
    ).estimates
    from polars.testing import assert_frame_equal

    assert_frame_equal(first, shuffled.select(numbers), rel_tol=1e-9)
    assert_frame_equal(first, renamed.select(numbers), rel_tol=1e-9)


def test_small_blocks_of_patients_give_what_one_block_gives(monkeypatch) -> None:
    from polars.testing import assert_frame_equal

    from equipoise.metrics import moments

    rows = people(np.random.default_rng(9), patients=200, images=2, agreement=0.5)
    whole = estimated(rows, AB).estimates
    monkeypatch.setattr(moments, "_BLOCK", 1)
    assert_frame_equal(whole, estimated(rows, AB).estimates, rel_tol=1e-9)


def test_a_monotone_change_of_scores_leaves_auroc_as_it_is() -> None:
    rows = people(np.random.default_rng(10), patients=200)
    bent = rows.with_columns(pl.col("score:x") ** 3)
    first, second = (
        estimated(some, AB, names=["auroc"], points=None).estimates for some in (rows, bent)
    )
    assert first["value"].to_list() == second["value"].to_list()
    assert first["low"].to_list() == second["low"].to_list()


def test_without_an_operating_point_no_rate_is_reported() -> None:
    found = estimated(people(np.random.default_rng(11), patients=80), AB, points=None)
    assert set(found.estimates["metric"]) == {"auroc", "brier"}
    assert found.counts["tp"].null_count() == found.counts.height


def test_too_small_is_not_assessable_with_the_number_lacking() -> None:
    rng = np.random.default_rng(12)
    rows = pl.concat(
        [
            people(rng, patients=200, groups=["A"]),
            people(rng, patients=12, groups=["B"], prevalence=1.1),
            people(rng, patients=40, groups=["B"], prevalence=-1.0),
        ]
    )
    rows = rows.with_columns(patient_id=pl.Series([str(i) for i in range(rows.height)]))
    found = estimated(rows, AB, minimum=metrics.Minimum())
    short = own(found, "sensitivity", group="B")
    assert short["status"] == "not assessable"
    assert short["reason"] == "group=B has 12 positives; 18 more are needed"
    assert (short["value"], short["low"], short["trials"]) == (None, None, 12)
    assert own(found, "specificity", group="B")["status"] == "assessed"
    contrasts = found.estimates.filter(
        pl.col("contrast") == "rest", pl.col("metric") == "sensitivity"
    )
    assert set(contrasts["status"]) == {"not assessable"}
    assert contrasts.filter(group="A")["reason"][0].startswith("the rest of group=A has 12")


def test_few_patients_behind_many_images_are_too_few() -> None:
    rows = people(np.random.default_rng(13), patients=20, images=10, groups=["A"])
    short = own(estimated(rows, AB, minimum=metrics.Minimum()), "brier", group="A")
    assert short["reason"] == "group=A has 20 patients; 10 more are needed"


def test_an_absent_subgroup_is_reported_as_not_assessable() -> None:
    rows = people(np.random.default_rng(14), patients=80, groups=["A"])
    found = estimated(rows, AB)
    absent = own(found, "auroc", group="B")
    assert (absent["status"], absent["value"], absent["n_images"]) == ("not assessable", None, 0)


@pytest.mark.parametrize("label", [True, False, None])
def test_one_class_or_none_is_not_assessable_and_not_an_exception(label: bool | None) -> None:
    rows = people(np.random.default_rng(15), patients=50).with_columns(
        pl.lit(label, dtype=pl.Boolean).alias("label:x")
    )
    found = own(estimated(rows, AB), "auroc", group=None)
    assert found["status"] == "not assessable"
    assert found["value"] is None


def test_no_rows_at_all_are_not_assessable() -> None:
    rows = people(np.random.default_rng(15), patients=50).clear()
    found = estimated(rows, AB)
    assert set(found.estimates["status"]) == {"not assessable", "description"}
    assert found.critical_contrasts is None


def test_a_perfect_auroc_has_a_conservative_lower_limit() -> None:
    label = [True] * 40 + [False] * 80
    rows = pl.DataFrame(
        {
            "group": ["A", "B"] * 60,
            "patient_id": [str(i) for i in range(120)],
            "label:x": label,
            "score:x": [0.9] * 40 + [0.1] * 80,
        }
    )
    found = own(estimated(rows, AB), "auroc", group=None)
    assert (found["value"], found["high"]) == (1.0, 1.0)
    assert found["low"] == pytest.approx(wilson(np.ones(1), np.array([40.0]), 1.959964)[0][0])
    assert "Wilson" in found["method"]


def test_ties_everywhere_are_a_half_with_an_interval() -> None:
    rows = people(np.random.default_rng(16), patients=100).with_columns(
        pl.lit(0.5).alias("score:x")
    )
    found = own(estimated(rows, AB), "auroc", group=None)
    assert found["value"] == 0.5
    assert found["low"] < 0.45 < 0.55 < found["high"]


def test_labels_that_are_null_and_images_without_score_are_left_out_and_said() -> None:
    rows = people(np.random.default_rng(17), patients=60).with_row_index()
    rows = rows.with_columns(
        pl.when(pl.col("index") < 10).then(None).otherwise(pl.col("label:x")).alias("label:x"),
        pl.when(pl.col("index").is_between(8, 19))
        .then(None)
        .otherwise(pl.col("score:x"))
        .alias("score:x"),
    )
    found = estimated(rows, AB)
    assert own(found, "brier", group=None)["n_images"] == 40
    assert found.unscored == {"x": 10}


def test_a_contrast_against_a_reference_is_its_negative_the_other_way_round() -> None:
    rows = people(np.random.default_rng(18), patients=300)
    there, back = (
        estimated(rows, AB, references={"group": level}).estimates.filter(
            pl.col("contrast") == "reference", interval="pointwise"
        )
        for level in "AB"
    )
    assert there["value"].to_list() == pytest.approx([-v for v in back["value"]])
    assert there["low"].to_list() == pytest.approx([-v for v in back["high"]])
    assert set(back["against"]) == {"group=B"}


def test_simultaneous_intervals_hold_the_pointwise_ones_and_all_findings_are_one_family() -> None:
    rng = np.random.default_rng(19)
    rows = people(rng, patients=400)
    more = rows.with_columns(
        pl.col("label:x").alias("label:y"), pl.Series(rng.random(400)).alias("score:y")
    )
    one, two = estimated(rows, AB), estimated(more, AB)
    assert two.critical_contrasts > one.critical_contrasts > 1.96
    assert two.family_contrasts == one.family_contrasts + 4  # auroc and brier of two groups
    wide = one.estimates.filter(interval="simultaneous")
    narrow = one.estimates.filter(interval="pointwise", level=0.95)
    assert (wide["low"] <= narrow["low"]).all()
    assert (wide["high"] >= narrow["high"]).all()


def test_a_range_is_a_description_with_what_chance_would_make_of_it() -> None:
    rows = people(np.random.default_rng(20), patients=300)
    found = estimated(rows, AB).estimates
    ranges = found.filter(pl.col("contrast") == "range")
    assert set(ranges["status"]) == {"description"}
    assert ranges["low"].null_count() == ranges["interval"].null_count() == ranges.height
    values = found.filter(
        pl.col("contrast").is_null(), pl.col("group").is_not_null(), metric="auroc", level=0.9
    )["value"]
    auroc = ranges.filter(metric="auroc").row(0, named=True)
    assert auroc["value"] == pytest.approx(values.max() - values.min())
    assert "would be expected with no difference at all" in auroc["reason"]


def test_the_same_seed_gives_the_same_table() -> None:
    rows = people(np.random.default_rng(21), patients=100)
    assert estimated(rows, AB).estimates.equals(estimated(rows, AB).estimates)


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no metric 'sensitivty'") as raised:
        estimated(people(np.random.default_rng(22), patients=20), AB, names=["sensitivty"])
    assert raised.value.hint == "did you mean 'sensitivity'?"


@pytest.mark.slow
def test_simultaneous_intervals_raise_no_more_false_alarms_than_they_say() -> None:
    rng = np.random.default_rng(23)
    levels = list("ABCDEF")
    table = metrics.subgroups({"group": levels})
    plan = metrics.Plan({}, ("auroc", "sensitivity"), metrics.Minimum(), "made", draws=4_000)
    group = np.repeat(levels, 180)
    label = np.tile(np.arange(180) < 60, 6)
    alarms, runs = 0, 200
    for _ in range(runs):
        latent = rng.standard_normal(group.size) + 1.2 * label - 0.6
        rows = pl.DataFrame(
            {"group": group, "label:x": label, "score:x": 1.0 / (1.0 + np.exp(-latent))}
        )
        sample = metrics.population(rows, table, patient=None, points=POINT)
        found = estimate(sample, table, plan).estimates.filter(
            pl.col("contrast") == "rest", interval="simultaneous"
        )
        assert found["low"].null_count() == 0
        alarms += int(((found["low"] > 0) | (found["high"] < 0)).any())
    # 5 % and two Monte-Carlo standard errors of 200 runs.
    assert alarms / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)
