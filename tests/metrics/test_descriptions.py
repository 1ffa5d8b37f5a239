import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.metrics.descriptions import Description, Measured, descriptions
from equipoise.metrics.spread import between_variance

NAMES = ["F, old", "F, young", "M, old", "M, young"]
CONTRASTS = [
    "range",
    "ratio",
    "worst",
    "between_group_variance",
    "equity_scaled_sum",
    "equity_scaled_std",
]
ODDS = ["equalised_odds_difference", "equalised_odds_mean", "equal_opportunity_difference"]
RATE = st.floats(0.05, 0.95).map(lambda x: round(x, 3))
RATES = st.lists(RATE, min_size=4, max_size=4)


def measured(metric: str, values: list[float], *, worse: str = "low", n: int = 100) -> Measured:
    found = np.array(values)
    covariance = np.diag(found * (1 - found) / n)
    overall = float(np.nanmean(found)) if np.isfinite(found).any() else np.nan
    return Measured(metric, found, covariance, overall, worse)


def described(*parts: Measured, names=NAMES, seed: int = 0) -> dict[tuple[str, str], Description]:
    rows = descriptions(names, parts, np.random.default_rng(seed), draws=400)
    found = {(row.metric, row.contrast): row for row in rows}
    assert len(found) == len(rows)
    return found


SENSITIVITY = measured("sensitivity", [0.9, 0.6, 0.8, 0.85])
FALSE_POSITIVES = measured("false_positive_rate", [0.1, 0.2, 0.5, 0.15], worse="high")


def test_each_metric_has_its_six_rows_and_both_rates_three_more() -> None:
    assert [key[1] for key in described(SENSITIVITY)] == CONTRASTS
    found = described(SENSITIVITY, FALSE_POSITIVES)
    assert [key[1] for key in found] == CONTRASTS * 2 + ODDS


def test_values_are_those_of_the_definitions() -> None:
    found = described(SENSITIVITY)
    values = SENSITIVITY.values
    expected = {
        "range": 0.3,
        "ratio": 0.6 / 0.9,
        "worst": 0.6,
        "between_group_variance": np.var(values, ddof=1),
        "equity_scaled_sum": 0.7875 / (1 + np.abs(values - 0.7875).sum()),
        "equity_scaled_std": values.mean() / (1 + values.std()),
    }
    for contrast, value in expected.items():
        assert found["sensitivity", contrast].value == pytest.approx(value)
    variance = between_variance(values, SENSITIVITY.covariance)
    assert found["sensitivity", "between_group_variance"].corrected == variance.corrected


@settings(max_examples=40)
@given(RATES, RATES)
def test_odds_are_the_larger_and_the_mean_of_the_two_ranges(positives, negatives) -> None:
    """Fairlearn's worst_case and mean, from the rates that its MetricFrame would hold."""
    true = measured("sensitivity", positives)
    false = measured("false_positive_rate", negatives, worse="high")
    found = described(true, false)
    ranges = max(positives) - min(positives), max(negatives) - min(negatives)
    both = "sensitivity and false_positive_rate"
    assert found[both, ODDS[0]].value == pytest.approx(max(ranges))
    assert found[both, ODDS[1]].value == pytest.approx(sum(ranges) / 2)
    assert found["sensitivity", ODDS[2]].value == pytest.approx(ranges[0])


def test_the_larger_of_two_ranges_is_by_chance_larger_than_either() -> None:
    found = described(SENSITIVITY, FALSE_POSITIVES)
    each = [found[m, "range"].chance for m in ("sensitivity", "false_positive_rate")]
    both = "sensitivity and false_positive_rate"
    assert found[both, "equalised_odds_difference"].chance > 1.05 * max(each)
    assert found[both, "equalised_odds_mean"].chance == pytest.approx(np.mean(each))


@settings(max_examples=40)
@given(RATES, RATES)
def test_specificity_and_the_false_positive_rate_say_the_same(positives, negatives) -> None:
    true = measured("sensitivity", positives)
    false = measured("false_positive_rate", negatives, worse="high")
    right = measured("specificity", [1 - x for x in negatives])
    one, other = described(true, false), described(true, right)
    for contrast in ODDS[:2]:
        first = one["sensitivity and false_positive_rate", contrast]
        second = other["sensitivity and specificity", contrast]
        for field in ("value", "corrected", "chance"):
            assert getattr(first, field) == pytest.approx(getattr(second, field), abs=1e-9)


def test_the_direction_is_said_in_words() -> None:
    found = described(SENSITIVITY, FALSE_POSITIVES)
    opportunity = found["sensitivity", "equal_opportunity_difference"].reason
    assert opportunity == (
        "sensitivity is lowest in F, young 0.600 and highest in F, old 0.900, where low is worse"
    )
    odds = found["sensitivity and false_positive_rate", "equalised_odds_difference"].reason
    assert odds.startswith("the range of false_positive_rate is the larger: sensitivity is lowest")
    assert "highest in M, old 0.500, where high is worse" in odds


def test_the_worst_group_is_the_highest_where_high_is_worse() -> None:
    row = described(FALSE_POSITIVES)["false_positive_rate", "worst"]
    assert row.value == 0.5
    assert row.reason.startswith("M, old, the highest of 4 of 4 assessable groups")
    assert "above everybody" in row.reason
    assert row.chance > FALSE_POSITIVES.overall
    low = described(SENSITIVITY)["sensitivity", "worst"]
    assert low.chance < SENSITIVITY.overall
    assert np.isnan(low.corrected)
    assert low.reason.startswith("F, young, the lowest of 4 of 4 assessable groups")


def test_what_is_expected_by_chance_is_what_equal_groups_show_on_average() -> None:
    rng = np.random.default_rng(2)
    rates = rng.binomial(60, 0.8, (150, 6)) / 60
    names = [str(i) for i in range(6)]
    seen = []
    for values in rates:
        one = Measured("sensitivity", values, np.diag(values * (1 - values) / 59), 0.8, "low")
        seen.append(descriptions(names, [one], rng, draws=200))
    for i, contrast in enumerate(CONTRASTS):
        rows = [found[i] for found in seen]
        assert rows[0].contrast == contrast
        value, chance = (np.array([getattr(r, f) for r in rows]) for f in ("value", "chance"))
        error = value.std() / np.sqrt(len(rows))
        # A variance of a rate is itself smaller where the rate is a high one: a little bias.
        assert abs(chance.mean() - value.mean()) < 3 * error + 0.03 * abs(value.mean()), contrast


@settings(max_examples=40)
@given(RATES, st.integers(0, 20))
def test_order_of_groups_changes_neither_values_nor_words(values, seed) -> None:
    values = [v + 0.0001 * i for i, v in enumerate(values)]
    order = np.random.default_rng(seed).permutation(4)
    one = described(measured("auroc", values))
    other = described(
        measured("auroc", [values[i] for i in order]), names=[NAMES[i] for i in order]
    )
    for key, row in one.items():
        assert other[key].value == pytest.approx(row.value)
        assert other[key].reason == row.reason


def test_a_group_that_is_not_assessable_is_counted_and_never_named() -> None:
    one = measured("sensitivity", [0.9, np.nan, 0.8, 0.7])
    found = described(one, measured("specificity", [np.nan, np.nan, 0.5, np.nan]))
    assert found["sensitivity", "range"].reason == (
        "M, young 0.700 to F, old 0.900; 3 of 4 groups are assessable"
    )
    assert found["sensitivity", "range"].value == pytest.approx(0.2)
    assert np.isnan(found["specificity", "worst"].value)
    assert found["specificity", "range"].reason == "1 of 4 groups are assessable"
    odds = found["sensitivity and specificity", "equalised_odds_difference"]
    assert np.isnan([odds.value, odds.chance, odds.corrected]).all()
    assert "specificity has fewer than two assessable groups" in odds.reason
    assert found["sensitivity", "equal_opportunity_difference"].value == pytest.approx(0.2)


def test_of_no_groups_and_of_nothing_measured_there_is_nothing() -> None:
    assert described() == {}
    nothing = Measured("auroc", np.full(4, np.nan), np.full((4, 4), np.nan), np.nan, "low")
    rows = described(nothing).values()
    assert np.isnan([[row.value, row.chance, row.corrected] for row in rows]).all()
    assert {row.reason for row in rows} == {"0 of 4 groups are assessable"}
    empty = Measured("auroc", np.empty(0), np.empty((0, 0)), np.nan, "low")
    assert np.isnan([row.value for row in described(empty, names=[]).values()]).all()
