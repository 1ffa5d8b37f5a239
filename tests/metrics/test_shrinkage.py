import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import gammainc, logit, ndtr

from equipoise.metrics.shrinkage import (
    Shrunken,
    main_effects,
    on_logits,
    shrink,
    shrink_given,
    shrink_rates,
)

GROUPS = [{"sex": s, "age": a} for s in ("F", "M") for a in ("young", "middle", "old", "oldest")]
DESIGN = main_effects(GROUPS)
MORE = [{"sex": s, "age": a} for s in ("F", "M", "X") for a in ("young", "middle", "old", "oldest")]
SEEDS = st.integers(0, 10_000)


def made(seed: int, *, tau: float = 0.4, correlated: float = 0.1, design=DESIGN):
    """Return true values, estimates and their covariance, of the eight groups or others."""
    rng, n = np.random.default_rng(seed), len(design)
    error = rng.uniform(0.2, 0.8, n)
    covariance = np.outer(error, error) * ((1 - correlated) * np.eye(n) + correlated)
    truth = design @ rng.normal(0, 0.5, design.shape[1]) + tau * rng.standard_normal(n)
    noise = np.linalg.cholesky(covariance) @ rng.standard_normal(n)
    return truth, truth + noise, covariance


def parts(found: Shrunken) -> list[np.ndarray]:
    return [found.value, found.low, found.high, found.fit, found.weight]


def test_with_equal_errors_the_weight_is_morris_and_tangs_closed_form() -> None:
    """Under a flat prior 1 - weight is a truncated gamma variable's mean."""
    values, noise = np.array([0.1, -0.3, 0.2, 0.0, 0.9, -0.2, 0.4]), 0.09
    found = shrink(values, noise * np.eye(7), np.ones((7, 1)), level=0.95)
    shape, rate = 6 / 2 - 1, np.sum((values - values.mean()) ** 2) / noise / 2
    pulled = shape / rate * gammainc(shape + 1, rate) / gammainc(shape, rate)
    assert found.weight == pytest.approx(np.full(7, 1 - pulled), abs=2e-5)
    assert found.value == pytest.approx(
        values.mean() + (1 - pulled) * (values - values.mean()), abs=2e-5
    )
    for limits, share in ((found.low, 0.025), (found.high, 0.975)):
        for limit, value in zip(limits, values, strict=True):

            def below(b: float, limit=limit, value=value) -> float:
                centre = values.mean() + (1 - b) * (value - values.mean())
                error = np.sqrt(noise * (1 - b * 6 / 7))
                return b ** (shape - 1) * np.exp(-rate * b) * ndtr((limit - centre) / error)

            total = quad(lambda b: b ** (shape - 1) * np.exp(-rate * b), 0, 1)[0]
            assert quad(below, 0, 1)[0] / total == pytest.approx(share, abs=2e-5)


@given(SEEDS, st.floats(0.05, 3.0))
def test_at_a_known_tau_the_values_are_those_of_bayes_with_a_vague_prior(seed, tau) -> None:
    _, values, covariance = made(seed)
    prior = tau**2 * np.eye(len(GROUPS)) + 1e5 * DESIGN @ DESIGN.T
    expected = prior @ np.linalg.solve(prior + covariance, values)
    assert shrink_given(values, covariance, DESIGN, tau) == pytest.approx(expected, abs=2e-3)


@given(SEEDS)
def test_tau_zero_gives_the_fit_and_a_large_tau_the_raw_values(seed: int) -> None:
    _, values, covariance = made(seed)
    inverse = np.linalg.inv(covariance)
    independent = DESIGN[:, [0, 1, 3, 4, 5]]
    slope = np.linalg.solve(independent.T @ inverse @ independent, independent.T @ inverse @ values)
    assert shrink_given(values, covariance, DESIGN, 0.0) == pytest.approx(independent @ slope)
    assert shrink_given(values, covariance, DESIGN, 1e5) == pytest.approx(values, abs=1e-6)


@given(SEEDS)
def test_tau_is_where_the_restricted_likelihood_is_largest(seed: int) -> None:
    _, values, covariance = made(seed)
    found = shrink(values, covariance, DESIGN, level=0.95).tau
    x = DESIGN[:, [0, 1, 3, 4, 5]]

    def restricted(tau: float) -> float:
        whole = covariance + tau**2 * np.eye(len(x))
        inverse = np.linalg.inv(whole)
        within = x.T @ inverse @ x
        project = inverse - inverse @ x @ np.linalg.solve(within, x.T @ inverse)
        logs = np.linalg.slogdet(whole)[1] + np.linalg.slogdet(within)[1]
        return -0.5 * float(logs + values @ project @ values)

    best = restricted(found)
    assert all(best >= restricted(t) - 1e-3 for t in np.linspace(0.0, 5.0, 51))


@given(SEEDS)
def test_names_and_order_of_groups_do_not_matter(seed: int) -> None:
    _, values, covariance = made(seed)
    order = np.random.default_rng(seed).permutation(len(values))
    renamed = [{"a": GROUPS[i]["age"][::-1], "z": f"x{GROUPS[i]['sex']}"} for i in order]
    again = shrink(
        values[order], covariance[np.ix_(order, order)], main_effects(renamed), level=0.95
    )
    found = shrink(values, covariance, DESIGN, level=0.95)
    for one, other in zip(parts(found), parts(again), strict=True):
        assert other == pytest.approx(one[order], abs=1e-9)


@given(SEEDS)
def test_a_value_lies_in_its_interval_and_its_weight_between_nothing_and_all(seed: int) -> None:
    _, values, covariance = made(seed, correlated=0.0)
    found = shrink(values, covariance, DESIGN, level=0.95)
    assert ((found.low < found.value) & (found.value < found.high)).all()
    assert ((found.weight >= 0.0) & (found.weight <= 1.0)).all()
    assert found.raw is values


def test_over_the_ensemble_intervals_hold_as_often_as_said_and_errors_are_smaller() -> None:
    for tau in (0.0, 0.4):
        held, raw, shrunken = [], [], []
        for seed in range(100):
            truth, values, covariance = made(seed, tau=tau)
            found = shrink(values, covariance, DESIGN, level=0.95)
            held.append((found.low <= truth) & (truth <= found.high))
            raw.append((values - truth) ** 2)
            shrunken.append((found.value - truth) ** 2)
        assert np.mean(held) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 800)
        assert np.mean(shrunken) < 0.93 * np.mean(raw)


def test_a_group_without_a_value_gets_the_fit_and_an_interval_of_its_own() -> None:
    design = main_effects(MORE)
    _, values, covariance = made(1, design=design)
    values[2] = np.nan
    found = shrink(values, covariance, design, level=0.95)
    assert found.value[2] == pytest.approx(found.fit[2])
    assert found.weight[2] == 0.0
    assert np.isnan(found.raw[2])
    without = np.delete(np.arange(12), 2)
    rest = covariance[np.ix_(without, without)]
    again = shrink(values[without], rest, design[without], level=0.95)
    assert found.value[without] == pytest.approx(again.value)
    # What shrunk a group that has a value would have at no value: wider than with one.
    noisy = covariance.copy()
    noisy[2, :] = noisy[:, 2] = 0.0
    noisy[2, 2] = 1e6
    values[2] = 0.0
    limit = shrink(values, noisy, design, level=0.95)
    assert found.value[2] == pytest.approx(limit.value[2], abs=1e-3)
    assert found.high[2] - found.low[2] == pytest.approx(limit.high[2] - limit.low[2], rel=1e-3)


def test_a_group_with_a_level_that_nobody_else_has_stays_null() -> None:
    _, values, covariance = made(2)
    groups = [*GROUPS, {"sex": "F", "age": "unheard of"}, {"sex": "M", "age": "unheard of"}]
    wide = np.pad(covariance, (0, 2), constant_values=0.0)
    absent = np.append(values, [np.nan, np.nan])
    found = shrink(absent, wide, main_effects(groups), level=0.95)
    assert all(np.isnan(part[8:]).all() for part in parts(found))
    assert found.value[:8] == pytest.approx(shrink(values, covariance, DESIGN, level=0.95).value)


def test_the_interval_of_a_group_without_a_value_holds_as_often_as_said() -> None:
    held, design = [], main_effects(MORE)
    for seed in range(150):
        truth, values, covariance = made(seed, tau=0.5, design=design)
        values[5] = np.nan
        found = shrink(values, covariance, design, level=0.9)
        held.append(found.low[5] <= truth[5] <= found.high[5])
    assert np.mean(held) >= 0.9 - 2 * np.sqrt(0.09 / 150)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_of_too_few_groups_nothing_is_learnt_and_nothing_shrunk(n: int) -> None:
    values, covariance = np.linspace(-1, 1, n), 0.04 * np.eye(n)
    found = shrink(values, covariance, np.ones((n, 1)), level=0.95)
    assert np.isnan(found.tau)
    assert found.value.tolist() == values.tolist()
    assert found.high - found.low == pytest.approx(np.full(n, 2 * 1.959964 * 0.2))
    assert found.weight.tolist() == [1.0] * n


def test_two_by_two_groups_are_too_few_and_nulls_among_them_stay_null() -> None:
    design = main_effects([{"a": a, "b": b} for a in "xy" for b in "xy"])
    found = shrink(np.array([0.0, 1.0, 2.0, np.nan]), np.eye(4), design, level=0.95)
    assert found.value[:3].tolist() == [0.0, 1.0, 2.0]
    assert np.isnan([found.value[3], found.low[3], found.weight[3]]).all()
    nothing = shrink(np.full(4, np.nan), np.eye(4), design, level=0.95)
    assert np.isnan(nothing.value).all()


def test_groups_all_alike_have_tau_zero() -> None:
    found = shrink(np.full(8, 0.3), 0.04 * np.eye(8), DESIGN, level=0.95)
    assert found.tau == 0.0
    assert found.value == pytest.approx(np.full(8, 0.3))


def test_rates_are_carried_to_logits_by_the_delta_method_and_edges_by_half_an_event() -> None:
    values = np.array([0.8, 0.6, 1.0, 0.0, np.nan])
    covariance = np.diag([0.01, 0.02, 0.0, 0.0, np.nan])
    covariance[0, 1] = covariance[1, 0] = 0.003
    found, scaled = on_logits(values, covariance, np.array([20.0, 20.0, 20.0, 20.0, 0.0]))
    assert found[:2] == pytest.approx(logit(values[:2]))
    assert scaled[0, 1] == pytest.approx(0.003 / (0.16 * 0.24))
    assert scaled[0, 0] == pytest.approx(0.01 / 0.16**2)
    assert found[2] == pytest.approx(np.log(20.5 / 0.5))
    assert found[3] == pytest.approx(-found[2])
    assert scaled[2, 2] == scaled[3, 3] == pytest.approx(1 / 20.5 + 1 / 0.5)
    assert np.isnan(found[4])
    assert np.isnan(scaled[4, 4])
    without = on_logits(values, covariance, None)
    assert np.isnan(without[0]).tolist() == [False, False, True, True, True]


def test_shrunken_rates_stay_rates_and_raw_ones_stand_beside_them() -> None:
    values = np.array([0.9, 0.8, 1.0, 0.75, 0.85, 0.7, 0.95, 0.8])
    covariance = np.diag(values * (1 - values) / 19)
    trials = np.full(8, 20.0)
    found = shrink_rates(values, covariance, DESIGN, trials=trials, level=0.95)
    assert found.raw is values
    assert ((found.low > 0.0) & (found.low < found.value) & (found.value < found.high)).all()
    assert (found.high < 1.0).all()
    assert np.ptp(found.value) < np.ptp(values)
    assert found.value[2] < 1.0
