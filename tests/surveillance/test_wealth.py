"""The gambler: fair at the boundary, quick against a gap, and never helped by looking often."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import surveillance

GAINS = st.lists(st.floats(-1.0, 4.0, allow_nan=False), min_size=1, max_size=60)


def stream(rng, n, first, second, tolerance=0.02):
    lower = (rng.random(n) < first).astype(float)
    higher = (rng.random(n) < second).astype(float)
    return surveillance.gap_gains(lower, higher, tolerance)


def test_without_a_bet_there_is_no_wealth_and_so_no_alarm():
    assert surveillance.log_wealth([]).shape == (0,)


def test_the_first_bet_stakes_what_was_written_down_before():
    # By hand: the steady shares bet, the following gamblers have no past and bet nothing.
    expected = 0.08 * 1.05 + 0.27 * 1.15 + 0.19 * 1.25 + 0.46
    assert surveillance.log_wealth([0.5])[0] == pytest.approx(np.log(expected))


@given(GAINS)
def test_wealth_is_finite_and_never_gone(gains):
    assert np.isfinite(surveillance.log_wealth(gains)).all()


@given(GAINS, GAINS)
def test_a_bet_is_placed_before_its_outcome_is_known(past, future):
    # Predictable: whatever follows changes nothing that was.
    before = surveillance.log_wealth(past)
    after = surveillance.log_wealth([*past, *future])[: len(past)]
    np.testing.assert_allclose(before, after, rtol=1e-12)


@given(GAINS)
def test_a_fair_coin_leaves_the_expected_wealth_where_it_was(past):
    # Exact, not simulated: over the two outcomes of a next fair bet the mean wealth is the same.
    now = np.exp(surveillance.log_wealth(past)[-1])
    up, down = (np.exp(surveillance.log_wealth([*past, gain])[-1]) for gain in (0.7, -0.7))
    assert (up + down) / 2 == pytest.approx(now, rel=1e-9)


@given(GAINS, st.integers(0, 59), st.floats(0.0, 1.0))
def test_the_last_gain_being_larger_never_lowers_the_wealth(gains, place, more):
    raised = [*gains[:-1], gains[-1] + more]
    assert surveillance.log_wealth(raised)[-1] >= surveillance.log_wealth(gains)[-1] - 1e-12


def test_a_gain_below_the_stake_is_refused():
    with pytest.raises(ValueError, match="expected >= -1"):
        surveillance.log_wealth([-1.5])


@pytest.mark.slow
@pytest.mark.parametrize("base", [0.98, 0.9, 0.6])
def test_over_thousands_of_looks_at_the_boundary_alarms_stay_below_the_level(base):
    rng = np.random.default_rng(11)
    paths = [surveillance.log_wealth(stream(rng, 2000, base - 0.02, base)) for _ in range(300)]
    alarms = np.mean([path.max() >= np.log(20.0) for path in paths])
    assert alarms <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean([np.exp(path[200]) for path in paths]) <= 1.3


@pytest.mark.slow
def test_a_rate_that_falls_for_both_arms_is_no_gap():
    rng = np.random.default_rng(12)
    alarms = 0
    for _ in range(100):
        n = 2000
        rate = np.where(np.arange(n) < 1000, 0.9, 0.6)
        # The suspected arm comes late more often than early, the other the other way round.
        first = rng.random(n) < np.where(np.arange(n) < 1000, 0.2, 0.8)
        made = surveillance.blocks((rng.random(n) < rate).astype(float), first)
        gains = surveillance.gap_gains(made.first, made.second, 0.02)
        alarms += surveillance.log_wealth(gains).max() >= np.log(20.0)
    assert alarms <= 5 + 2 * np.sqrt(100 * 0.05 * 0.95)


@pytest.mark.slow
def test_it_needs_no_more_cases_than_a_single_adaptive_bettor():
    # The numbers of one bettor on the same draws, whose bet is its whole past's best.
    rng = np.random.default_rng(13)
    for gap in (0.10, 0.15, 0.25):
        ours, theirs = [], []
        for _ in range(150):
            gains = stream(rng, 1500, 0.9 - gap, 0.9)
            ours.append(first_at(surveillance.log_wealth(gains)))
            theirs.append(first_at(single(gains)))
        assert np.median(ours) <= 1.08 * np.median(theirs)


@pytest.mark.slow
def test_after_good_years_a_gap_is_noticed_far_sooner_than_by_steady_bets_alone():
    rng = np.random.default_rng(14)
    ours, steady = [], []
    for _ in range(60):
        gains = np.r_[stream(rng, 400, 0.9, 0.9), stream(rng, 1500, 0.75, 0.9)]
        ours.append(first_at(surveillance.log_wealth(gains)) - 400)
        steady.append(first_at(np.cumsum(np.log1p(0.3 * gains))) - 400)
    assert np.median(ours) < 0.85 * np.median(steady)


def first_at(path):
    return int(np.argmax(path >= np.log(20.0))) + 1 if path.max() >= np.log(20.0) else 10**6


def single(gains):
    total, squares, wealth, path = 0.0, 0.25, 0.0, []
    for gain in gains:
        wealth += np.log1p(min(max(total / squares, 0.0), 0.5) * gain)
        total, squares = total + gain, squares + gain * gain
        path.append(wealth)
    return np.array(path)


def test_gains_are_fair_exactly_at_the_boundary_of_their_hypothesis():
    # Expectations over both arms' outcomes, weighted by hand.
    outcomes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)

    def mean(function, p, q, *more):
        weight = np.array([(1 - p) * (1 - q), (1 - p) * q, p * (1 - q), p * q])
        return float(weight @ function(outcomes[:, 0], outcomes[:, 1], *more))

    assert mean(surveillance.gap_gains, 0.7, 0.8, 0.1) == pytest.approx(0.0)
    assert mean(surveillance.within_gains, 0.7, 0.8, 0.1) == pytest.approx(0.0)
    values = np.array([0.0, 1.0])
    assert np.array([0.4, 0.6]) @ surveillance.floor_gains(values, 0.6) == pytest.approx(0.0)
    assert np.array([0.4, 0.6]) @ surveillance.reached_gains(values, 0.6) == pytest.approx(0.0)
