import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics import spread
from equipoise.metrics.spread import (
    between_variance,
    equity_scaled_std,
    equity_scaled_sum,
    expected_gap,
    expected_independent_gap,
    gap,
    gap_limits,
    ratio,
    sampling_errors,
    standard_deviation,
    worst,
)

VALUE = st.floats(0.05, 0.95).map(lambda x: round(x, 3))
GROUPS = st.lists(VALUE, min_size=2, max_size=8).map(np.array)


def covariance_of(k: int, *, correlated: float = 0.2, seed: int = 0) -> np.ndarray:
    error = np.random.default_rng(seed).uniform(0.02, 0.08, k)
    return np.outer(error, error) * ((1 - correlated) * np.eye(k) + correlated)


def drawn(covariance: np.ndarray, n: int = 2_000, seed: int = 0) -> np.ndarray:
    return sampling_errors(covariance, np.random.default_rng(seed), n)


def test_what_is_observed_is_what_numpy_computes() -> None:
    values = np.array([0.7, np.nan, 0.9, 0.8, 0.75])
    covariance = covariance_of(5)
    errors = drawn(covariance)
    there = values[~np.isnan(values)]
    assert gap(values, covariance, errors).value == pytest.approx(0.2)
    assert ratio(values, covariance, errors).value == pytest.approx(0.7 / 0.9)
    assert between_variance(values, covariance).value == pytest.approx(there.var(ddof=1))
    assert standard_deviation(values, covariance, errors).value == pytest.approx(there.std())
    assert equity_scaled_sum(0.8, values, covariance, errors).value == pytest.approx(0.8 / 1.25)
    by_std = equity_scaled_std(values, covariance, errors).value
    assert by_std == pytest.approx(there.mean() / (1 + there.std()))
    assert worst(values, "low") == 0
    assert worst(values, "high") == 2


def test_errors_have_the_covariance_asked_for_and_no_mean() -> None:
    covariance = covariance_of(4, correlated=0.5)
    errors = drawn(covariance, 40_000)
    assert errors.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-15)
    assert np.cov(errors.T) == pytest.approx(covariance, abs=6e-5)


def test_the_gap_by_chance_is_that_of_tippetts_table() -> None:
    for k, tabled in ((2, 1.128), (3, 1.693), (6, 2.534), (10, 3.078)):
        assert expected_independent_gap(np.ones(k)) == pytest.approx(tabled, abs=6e-4)
    error = np.array([0.02, 0.05, 0.05, 0.2])
    errors = drawn(np.diag(error**2), 40_000)
    assert expected_gap(errors) == pytest.approx(expected_independent_gap(error), rel=0.01)


def test_two_correlated_groups_differ_by_chance_as_a_folded_normal_does() -> None:
    covariance = covariance_of(2, correlated=0.6)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = gap(np.array([0.5, 0.5]), covariance, drawn(covariance, 40_000))
    assert found.chance == pytest.approx(error * np.sqrt(2 / np.pi), rel=0.01)


def equal_groups(repetitions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return gaps of six groups of 60 positives, sensitivity 0.8 in all: observed and corrected."""
    rng = np.random.default_rng(seed)
    rates = rng.binomial(60, 0.8, (repetitions, 6)) / 60
    found = []
    for values in rates:
        covariance = np.diag(values * (1 - values) / 59)
        errors = sampling_errors(covariance, rng, 200)
        one = gap(values, covariance, errors)
        found.append((one.value, one.chance, one.corrected))
    observed, chance, corrected = np.array(found).T
    return np.stack([observed, chance]), corrected


def test_with_no_true_difference_the_gap_is_as_expected_by_chance_and_the_corrected_one_small() -> (
    None
):
    (observed, chance), corrected = equal_groups(600, 1)
    assert chance.mean() == pytest.approx(observed.mean(), rel=0.04)
    assert observed.mean() > 0.12
    assert corrected.mean() < 0.3 * observed.mean()
    assert np.median(corrected) < 0.02


def test_a_large_true_gap_between_two_groups_is_left_as_it_is() -> None:
    covariance = 0.0004 * np.eye(2)
    found = gap(np.array([0.5, 0.9]), covariance, drawn(covariance))
    assert found.corrected == pytest.approx(0.4, abs=1e-3)


def test_the_variance_between_groups_is_right_on_average_before_it_is_clipped() -> None:
    rng = np.random.default_rng(3)
    covariance = covariance_of(6, correlated=0.5)
    root = np.linalg.cholesky(covariance)
    truth = np.array([0.7, 0.72, 0.75, 0.8, 0.81, 0.9])
    found = [
        between_variance(truth + root @ rng.standard_normal(6), covariance) for _ in range(9000)
    ]
    unclipped = np.array([one.value - one.chance for one in found])
    assert unclipped.mean() == pytest.approx(truth.var(ddof=1), rel=0.03)
    assert all(one.corrected == max(one.value - one.chance, 0.0) for one in found[:50])


def test_with_independent_groups_what_noise_adds_to_the_variance_is_its_mean() -> None:
    covariance = np.diag([0.01, 0.04, 0.07])
    assert between_variance(np.zeros(3), covariance).chance == pytest.approx(0.04)


def test_limits_of_the_gap_hold_it_at_least_as_often_as_said() -> None:
    rng = np.random.default_rng(5)
    covariance = 0.0016 * np.eye(4)
    errors = drawn(covariance, 400)
    for truth in (np.full(4, 0.8), np.array([0.7, 0.8, 0.8, 0.85])):
        held = []
        for _ in range(100):
            values = truth + 0.04 * rng.standard_normal(4)
            low, high = gap_limits(values, covariance, errors, level=0.9)
            held.append(low <= np.ptp(truth) <= high)
        assert np.mean(held) >= 0.87


@given(GROUPS, st.integers(0, 50))
def test_order_of_groups_does_not_matter(values: np.ndarray, seed: int) -> None:
    k = len(values)
    covariance = covariance_of(k, seed=seed)
    errors = drawn(covariance, 200)
    order = np.random.default_rng(seed).permutation(k)
    again = values[order], covariance[np.ix_(order, order)], errors[:, order]
    for statistic in (gap, ratio, standard_deviation, equity_scaled_std):
        one, other = statistic(values, covariance, errors), statistic(*again)
        assert other.value == pytest.approx(one.value)
        assert other.chance == pytest.approx(one.chance)
        assert other.corrected == pytest.approx(one.corrected, abs=1e-9)


@given(GROUPS, st.integers(0, 50))
def test_a_corrected_number_is_never_more_extreme_than_what_was_observed(values, seed) -> None:
    covariance = covariance_of(len(values), seed=seed)
    errors = drawn(covariance, 200)
    found = gap(values, covariance, errors)
    assert 0.0 <= found.corrected <= found.value + 1e-12
    variance = between_variance(values, covariance)
    assert 0.0 <= variance.corrected <= variance.value
    scaled = equity_scaled_sum(0.5, values, covariance, errors)
    assert scaled.value - 1e-12 <= scaled.corrected <= 0.5
    low, high = gap_limits(values, covariance, errors, level=0.95)
    assert 0.0 <= low <= found.value <= high


@given(GROUPS, st.floats(0.1, 10.0))
def test_on_another_scale_the_gap_scales(values: np.ndarray, factor: float) -> None:
    covariance = covariance_of(len(values))
    errors = drawn(covariance, 200)
    one = gap(values, covariance, errors)
    other = gap(values * factor, covariance * factor**2, errors * factor)
    assert other.corrected == pytest.approx(one.corrected * factor, abs=1e-9)
    assert other.chance == pytest.approx(one.chance * factor)


def test_without_noise_nothing_is_corrected() -> None:
    values, covariance = np.array([0.6, 0.7, 0.9]), np.zeros((3, 3))
    errors = drawn(covariance)
    assert gap(values, covariance, errors).corrected == pytest.approx(0.3)
    assert gap(values, covariance, errors).chance == 0.0
    assert ratio(values, covariance, errors).corrected == pytest.approx(0.6 / 0.9)


@pytest.mark.parametrize(
    "values", [[], [0.5], [np.nan, np.nan], [0.5, np.nan]], ids=["none", "one", "null", "one known"]
)
def test_of_fewer_than_two_groups_there_is_no_spread(values: list[float]) -> None:
    k = len(values)
    covariance, errors = 0.01 * np.eye(k), np.zeros((4, k))
    found = [spread.gap, spread.ratio, spread.standard_deviation, spread.equity_scaled_std]
    spreads = [one(np.array(values), covariance, errors) for one in found]
    spreads.append(between_variance(np.array(values), covariance))
    spreads.append(equity_scaled_sum(0.5, np.array(values), covariance, errors))
    assert all(np.isnan([s.value, s.chance, s.corrected]).all() for s in spreads)
    assert np.isnan(gap_limits(np.array(values), covariance, errors, level=0.95)).all()


def test_a_group_without_a_variance_is_left_out_and_zero_rates_have_no_ratio() -> None:
    covariance = np.diag([0.01, np.nan, 0.01])
    errors = drawn(covariance)
    assert np.isnan(errors[:, 1]).all()
    assert gap(np.array([0.5, 0.9, 0.6]), covariance, errors).value == pytest.approx(0.1)
    assert np.isfinite(expected_gap(errors))
    assert np.isnan(expected_gap(errors[:, :2]))
    flat = np.zeros((2, 2))
    assert np.isnan(ratio(np.zeros(2), flat, np.zeros((4, 2))).value)
    assert worst(np.array([0.4, 0.4]), "low") == 0


def test_the_corrected_deviation_has_the_divisor_of_the_observed_one() -> None:
    values, covariance = np.array([0.5, 0.9, 0.7]), np.zeros((3, 3))
    found = standard_deviation(values, covariance, drawn(covariance))
    assert found.corrected == pytest.approx(values.std())


def test_limits_of_the_gap_know_that_correlated_groups_differ_less_by_chance() -> None:
    values = np.array([0.5, 0.6])
    widths = []
    for correlated in (0.0, 0.9):
        covariance = 0.001 * ((1 - correlated) * np.eye(2) + correlated)
        low, high = gap_limits(values, covariance, drawn(covariance, 8_000), level=0.95)
        widths.append(high - low)
        error = np.sqrt(0.002 * (1 - correlated))
        assert high == pytest.approx(0.1 + 1.96 * error, rel=0.02)
    assert widths[1] < widths[0]


def test_groups_that_repeat_each_other_never_differ_by_chance() -> None:
    covariance = np.full((2, 2), 0.01)
    found = gap(np.array([0.5, 0.5]), covariance, drawn(covariance))
    assert found.chance < 1e-4
    assert np.isnan(sampling_errors(np.full((2, 2), np.nan), np.random.default_rng(0), 4)).all()


def test_the_last_bit_of_a_covariance_does_not_choose_other_draws() -> None:
    covariance = np.diag([0.01, 0.01, 0.02])
    nudged = covariance + np.diag([1e-17, -1e-17, 0.0])
    assert drawn(nudged) == pytest.approx(drawn(covariance), abs=1e-12)
