"""Direct standardisation against closed forms, brute force and the crude estimates."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from equipoise import metrics
from equipoise.errors import InvalidTable
from equipoise.metrics.standardised import Mix, Standardised, crossed, mix, standardised
from tests.metrics import made

NAMES = tuple(metrics.METRICS)
LEVELS = {"group": ["A", "B"]}
KEY = ["finding", "operating_point", "group", "metric", "contrast", "interval", "level"]


def with_ages(rows: pl.DataFrame, rng: np.random.Generator, old: float = 0.5) -> pl.DataFrame:
    age = np.where(rng.random(rows.height) < old, "o", "y")
    return rows.with_columns(age=pl.Series(age))


def at(
    rows: pl.DataFrame,
    asked: Mix,
    *,
    names: tuple[str, ...] = NAMES,
    minimum: metrics.Minimum = made.SMALL,
    levels: dict[str, list[str]] | None = None,
    patient: str | None = "patient_id",
) -> Standardised:
    columns = {c: sorted(rows[c].unique().to_list()) for c in asked.columns}
    cells = metrics.subgroups({**columns, **(levels or LEVELS)}, order=1)
    people = metrics.population(rows, cells, patient=patient, points=made.POINT)
    plan = metrics.Plan({}, names, minimum, "made", draws=2_000)
    return standardised(people, metrics.subgroups(levels or LEVELS), plan, asked)


def crude(rows: pl.DataFrame, names: tuple[str, ...] = NAMES) -> pl.DataFrame:
    return made.estimated(rows, LEVELS, names=names).estimates


def own(found: Standardised, metric: str, group: str | None) -> dict[str, object]:
    return found.estimates.filter(
        pl.col("contrast").is_null(),
        pl.col("metric") == metric,
        pl.col("group").eq_missing(pl.lit(group, pl.String)),
        pl.col("interval") == "pointwise",
        pl.col("level") == 0.95,
    ).row(0, named=True)


def counted(strata: dict[tuple[str, str], tuple[int, int]]) -> pl.DataFrame:
    """Return positives: (group, age) → how many are called, and how many there are."""
    rows = [
        {"group": group, "age": age, "label:x": True, "score:x": 0.9 if i < hits else 0.1}
        for (group, age), (hits, n) in strata.items()
        for i in range(n)
    ]
    frame = pl.DataFrame(rows)
    return frame.with_columns(patient_id=pl.Series([f"{i:05d}" for i in range(frame.height)]))


def test_one_stratum_gives_the_crude_values_and_intervals_to_the_last_digits() -> None:
    rows = made.people(np.random.default_rng(1), patients=300, images=2, agreement=0.4, decimals=2)
    rows = rows.with_columns(age=pl.lit("all"))
    both = crude(rows).join(
        at(rows, mix({"age": {"all": 1.0}})).estimates, on=KEY, nulls_equal=True
    )
    both = both.filter(pl.col("interval") == "pointwise")
    assert both.height == 60
    for name in ("value", "low", "high"):
        gap = (both[name] - both[f"{name}_right"]).abs().max()
        assert gap < 1e-12


def test_a_group_at_its_own_mix_has_its_crude_value() -> None:
    rng = np.random.default_rng(2)
    rows = with_ages(made.people(rng, patients=300), rng)
    found = at(rows, mix({"age": "group=A", "prevalence": "group=A"}))
    expected = crude(rows)
    for name in NAMES:
        rows_of = expected.filter(metric=name, group="A", level=0.9)
        value = rows_of.filter(pl.col("contrast").is_null())["value"][0]
        assert own(found, name, "A")["value"] == pytest.approx(value, abs=1e-12)


def test_everybody_at_the_overall_mix_has_nearly_the_crude_interval() -> None:
    rng = np.random.default_rng(3)
    rows = with_ages(made.people(rng, patients=600), rng)
    found = at(rows, mix({"age": "overall"}))
    for name in NAMES:
        one = own(found, name, None)
        two = made.own(made.estimated(rows, LEVELS), name, group=None)
        assert one["value"] == pytest.approx(two["value"], abs=1e-12)
        assert one["low"] == pytest.approx(two["low"], abs=5e-4)
        assert one["high"] == pytest.approx(two["high"], abs=5e-4)


def test_direct_standardisation_is_the_weighted_mean_of_the_strata() -> None:
    rows = counted(
        {("A", "o"): (30, 100), ("A", "y"): (45, 50), ("B", "o"): (15, 50), ("B", "y"): (90, 100)}
    )
    found = at(rows, mix({"age": {"o": 0.25, "y": 0.75}}), names=("sensitivity",))
    a, b = own(found, "sensitivity", "A"), own(found, "sensitivity", "B")
    assert a["value"] == pytest.approx(0.25 * 0.3 + 0.75 * 0.9, abs=1e-12)
    assert b["value"] == pytest.approx(a["value"], abs=1e-12)
    raw = crude(rows, ("sensitivity",)).filter(contrast="rest", group="A", level=0.9)["value"][0]
    assert raw == pytest.approx(0.5 - 0.7)


def test_its_variance_is_the_stratified_one_of_the_textbook() -> None:
    rows = counted({("A", "o"): (30, 100), ("A", "y"): (25, 50), ("B", "o"): (5, 10)})
    rows = pl.concat([rows, counted({("B", "y"): (5, 10)}).with_columns(patient_id=pl.lit("last"))])
    found = at(rows, mix({"age": {"o": 0.5, "y": 0.5}}), names=("brier",))
    # Losses are 0.01 where called and 0.81 where not: a rate, stretched by 0.8.
    expected = 0.8**2 * (0.25 * 0.3 * 0.7 / 99 + 0.25 * 0.5 * 0.5 / 49)
    one = own(found, "brier", "A")
    value = one["value"]
    spread = value * (1 - value)
    low, high = (np.log(one[k] / (1 - one[k])) for k in ("low", "high"))
    error = (high - low) / 2 * spread
    assert error == pytest.approx(np.sqrt(expected) * 1.98, rel=0.02)


def test_the_lines_agree_with_a_brute_force_of_sample_weights() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(5)
    rows = with_ages(made.people(rng, patients=400, decimals=2), rng)
    share, positive = {"o": 0.2, "y": 0.8}, 0.15
    found = at(rows, mix({"age": share, "prevalence": positive}))
    for group in ("A", "B"):
        some = rows.filter(group=group)
        label, score = some["label:x"].to_numpy(), some["score:x"].to_numpy()
        n = some.select(pl.len().over("age", "label:x")).to_series().to_numpy()
        wanted = np.array([share[age] for age in some["age"]])
        weight = wanted * np.where(label, positive, 1 - positive) / n
        called = score >= 0.5
        expected = {
            "auroc": sklearn.roc_auc_score(label, score, sample_weight=weight),
            "sensitivity": sklearn.recall_score(label, called, sample_weight=weight),
            "specificity": sklearn.recall_score(~label, ~called, sample_weight=weight),
            "ppv": sklearn.precision_score(label, called, sample_weight=weight),
            "npv": sklearn.precision_score(~label, ~called, sample_weight=weight),
            "brier": sklearn.brier_score_loss(label, score, sample_weight=weight),
        }
        for name, value in expected.items():
            assert own(found, name, group)["value"] == pytest.approx(value, abs=1e-12)


def test_ppv_at_a_standard_prevalence_is_bayes_rule() -> None:
    rows = made.people(np.random.default_rng(6), patients=500)
    found = at(rows, mix({"prevalence": 0.1}))
    se = own(found, "sensitivity", "A")["value"]
    sp = own(found, "specificity", "A")["value"]
    expected = 0.1 * se / (0.1 * se + 0.9 * (1 - sp))
    assert own(found, "ppv", "A")["value"] == pytest.approx(expected, abs=1e-12)


def test_an_empty_stratum_is_named_with_the_share_that_is_lacking() -> None:
    rows = counted({("A", "o"): (30, 60), ("A", "y"): (30, 60), ("B", "y"): (40, 60)})
    found = at(rows, mix({"age": {"o": 0.3, "y": 0.7}}), names=("sensitivity",))
    one = own(found, "sensitivity", "B")
    assert one["value"] is None
    assert one["status"] == "not assessable"
    assert one["reason"] == (
        "group=B has no positives with age=o: 30.0% of the case mix is lacking there"
    )
    contrasts = found.estimates.filter(pl.col("contrast") == "rest")
    assert contrasts["value"].null_count() == contrasts.height


def test_trimming_restricts_all_arms_to_common_support_and_says_so() -> None:
    rows = counted({("A", "o"): (30, 60), ("A", "y"): (36, 60), ("B", "y"): (45, 60)})
    found = at(rows, mix({"age": {"o": 0.3, "y": 0.7}}, trim=True), names=("sensitivity",))
    a, b = own(found, "sensitivity", "A"), own(found, "sensitivity", "B")
    assert (a["value"], b["value"]) == (pytest.approx(0.6), pytest.approx(0.75))
    assert "30.0% of the case mix cut off" in a["method"]
    assert found.weights["cut_share"].to_list() == pytest.approx([0.3] * 3)


def test_nothing_in_common_is_not_assessable() -> None:
    rows = counted({("A", "o"): (30, 60), ("B", "y"): (45, 60)})
    found = at(rows, mix({"age": "overall"}, trim=True), names=("sensitivity",))
    assert "no stratum of the case mix" in str(own(found, "sensitivity", "A")["reason"])


def test_a_group_that_is_defined_by_the_mix_is_not_standardised_to_it() -> None:
    rng = np.random.default_rng(7)
    rows = with_ages(made.people(rng, patients=300), rng)
    levels = {"group": ["A", "B"], "age": ["o", "y"]}
    found = at(rows, mix({"age": "overall"}), names=("auroc",), levels=levels)
    reasons = found.estimates.filter(age="o")["reason"].unique().to_list()
    assert reasons
    assert all("is defined by age, which is in the case mix" in str(why) for why in reasons)
    assert own(found, "auroc", "A")["value"] is not None


def test_few_effective_images_are_too_few_and_extreme_weights_are_said() -> None:
    rows = counted(
        {("A", "o"): (3, 4), ("A", "y"): (80, 100), ("B", "o"): (40, 50), ("B", "y"): (40, 50)}
    )
    asked = mix({"age": {"o": 0.5, "y": 0.5}})
    found = at(rows, asked, names=("sensitivity",), minimum=metrics.Minimum())
    assert own(found, "sensitivity", "A")["reason"] == (
        "group=A: its 104 positives are worth 15.4 positives after weighting to the case mix; "
        "30 are needed"
    )
    small = at(rows, asked, names=("sensitivity",))
    assert str(own(small, "sensitivity", "A")["reason"]).startswith("the weights are extreme")
    row = small.weights.filter(group="A").row(0, named=True)
    assert row["effective_n"] == pytest.approx(1 / (0.25 / 4 + 0.25 / 100))
    assert row["largest_weight"] == pytest.approx(0.5 / 4 * 104)


def test_images_of_an_unknown_stratum_do_not_weigh() -> None:
    rows = counted({("A", "o"): (30, 60), ("A", "unknown"): (0, 60), ("B", "o"): (30, 60)})
    found = at(rows, mix({"age": "overall"}), names=("sensitivity",))
    assert own(found, "sensitivity", "A")["value"] == pytest.approx(0.5)
    assert own(found, "sensitivity", "A")["n_images"] == 120


def test_a_level_without_a_share_is_an_error() -> None:
    rows = counted({("A", "o"): (1, 2), ("B", "y"): (1, 2)})
    with pytest.raises(InvalidTable, match="no share of age=y, which occurs"):
        at(rows, mix({"age": {"o": 1.0}}))
    people = metrics.population(rows, metrics.subgroups(LEVELS), patient=None)
    plan = metrics.Plan({}, NAMES, made.SMALL, "made")
    with pytest.raises(InvalidTable, match="no column 'age' among the cells"):
        standardised(people, metrics.subgroups(LEVELS), plan, mix({"age": "overall"}))


@pytest.mark.parametrize("n", [0, 1])
def test_hardly_anybody_is_not_assessable(n: int) -> None:
    rows = counted({("A", "o"): (1, 1), ("B", "y"): (1, 1)}).head(n)
    schema = {"group": pl.String, "age": pl.String, "label:x": pl.Boolean, "score:x": pl.Float64}
    rows = rows.cast(schema) if n else pl.DataFrame(schema={**schema, "patient_id": pl.String})
    cells = metrics.subgroups({"age": ["o", "y"], **LEVELS}, order=1)
    people = metrics.population(rows, cells, patient=None, points=made.POINT)
    plan = metrics.Plan({}, NAMES, made.SMALL, "made")
    for trim in (False, True):
        asked = mix({"age": "overall", "prevalence": "overall"}, trim=trim)
        found = standardised(people, metrics.subgroups(LEVELS), plan, asked).estimates
        assert set(found["status"]) == {"not assessable"}
        assert found["value"].null_count() == found.height


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_order_of_rows_and_names_of_strata_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = with_ages(made.people(rng, patients=120, images=2, decimals=1), rng, old=0.4)
    one = at(rows, mix({"age": "overall"}), names=("auroc", "ppv")).estimates
    other = rows.sample(fraction=1.0, shuffle=True, seed=seed).with_columns(
        age=pl.col("age").replace({"o": "z"})
    )
    two = at(other, mix({"age": "overall"}), names=("auroc", "ppv")).estimates
    for name in ("value", "low", "high"):
        assert one[name].to_numpy() == pytest.approx(two[name].to_numpy(), abs=1e-9, nan_ok=True)


def test_a_crossed_table_is_the_same_as_its_margins_where_they_are_independent() -> None:
    rng = np.random.default_rng(8)
    rows = with_ages(made.people(rng, patients=400), rng)
    rows = rows.with_columns(view=pl.Series(rng.choice(["AP", "PA"], rows.height)))
    margins = mix({"age": {"o": 0.5, "y": 0.5}, "view": {"AP": 0.2, "PA": 0.8}})
    table = pl.DataFrame(
        {"age": ["o", "o", "y", "y"], "view": ["AP", "PA"] * 2, "share": [0.1, 0.4, 0.1, 0.4]}
    )
    one, two = (at(rows, m, names=("auroc",)).estimates["value"] for m in (margins, crossed(table)))
    assert one.to_list() == pytest.approx(two.to_list(), abs=1e-12)


def phantom(rng: np.random.Generator, gap: float) -> pl.DataFrame:
    """Return positives whose sensitivity hangs on age alone, but for the gap of group B."""
    n = 300
    old = np.r_[rng.random(n) < 0.7, rng.random(n) < 0.2]
    group = np.repeat(["A", "B"], n)
    rate = np.where(old, 0.6, 0.9) - gap * (group == "B")
    hit = rng.random(2 * n) < rate
    return pl.DataFrame(
        {
            "group": group,
            "age": np.where(old, "o", "y"),
            "patient_id": [f"{i:04d}" for i in range(2 * n)],
            "label:x": True,
            "score:x": np.where(hit, 0.9, 0.1),
        }
    )


@pytest.mark.slow
def test_what_was_case_mix_vanishes_and_what_is_real_stays() -> None:
    draws = 60
    held = dict.fromkeys((0.0, 0.2), 0)
    apart = 0
    for seed in range(draws):
        for gap in held:
            rows = phantom(np.random.default_rng(seed), gap)
            found = at(rows, mix({"age": "overall"}), names=("sensitivity",)).estimates
            low, high = against_the_rest(found)
            held[gap] += low <= 0.0 <= high
            apart += gap == 0.0 and against_the_rest(crude(rows, ("sensitivity",)))[1] < 0.0
    assert stats.binomtest(held[0.0], draws, 0.95, alternative="less").pvalue > 0.001
    assert held[0.2] <= 6
    assert apart >= 54


def against_the_rest(estimates: pl.DataFrame) -> tuple[float, float]:
    row = estimates.filter(contrast="rest", group="A", interval="pointwise", level=0.95)
    return row["low"][0], row["high"][0]
