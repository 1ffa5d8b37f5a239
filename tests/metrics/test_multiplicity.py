import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import false_discovery_control

from equipoise.metrics.intervals import logit_limits, mover, quantile, wilson
from equipoise.metrics.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    by_maximum,
    crossing,
    holm,
    inverted,
)

PROCEDURES = (holm, benjamini_hochberg, benjamini_yekutieli)
P = st.floats(0.0, 1.0)
FAMILY = st.lists(P, min_size=1, max_size=12).map(np.array)


def two_rates(events, trials):
    """Return the limits of differences of independent rates: Newcombe's method 10."""
    rate = events / trials

    def limits(z):
        arms = [(rate[i], *wilson(rate[i], trials[i], z)) for i in (0, 1)]
        return mover(arms[0], arms[1], np.zeros(len(rate[0])))

    return limits


RATES = two_rates(
    np.array([[56, 9, 10, 30, 50, 40.0], [48, 3, 0, 30, 30, 2.0]]),
    np.array([[70, 10, 10, 60, 50, 40.0], [80, 10, 20, 60, 50, 40.0]]),
)


def test_holm_adjusts_the_published_example() -> None:
    # Wright 1992, Biometrics 48:1005, table 1: Holm's column, as R's p.adjust has it.
    p = np.array([0.005, 0.009, 0.02, 0.04])
    assert holm(p) == pytest.approx([0.02, 0.027, 0.04, 0.04])


@given(FAMILY)
def test_holm_is_the_closed_test_of_bonferroni(p: np.ndarray) -> None:
    """By brute force: the largest Bonferroni p over all sets that a member is in."""
    p = p[:7]
    worst = np.zeros(len(p))
    for code in range(1, 2 ** len(p)):
        inside = np.array([code >> i & 1 for i in range(len(p))], dtype=bool)
        worst[inside] = np.maximum(worst[inside], min(1.0, inside.sum() * p[inside].min()))
    assert holm(p) == pytest.approx(worst)


@given(FAMILY)
def test_false_discovery_rates_are_those_of_scipy(p: np.ndarray) -> None:
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p, method="bh"))
    assert benjamini_yekutieli(p) == pytest.approx(false_discovery_control(p, method="by"))


@pytest.mark.parametrize("adjust", PROCEDURES)
@given(p=FAMILY, seed=st.integers(0, 99))
def test_order_does_not_matter_and_nothing_gets_smaller(adjust, p, seed) -> None:
    order = np.random.default_rng(seed).permutation(len(p))
    found = adjust(p)
    assert adjust(p[order]) == pytest.approx(found[order])
    assert (found >= p - 1e-12).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= -1e-12).all()


@pytest.mark.parametrize("adjust", PROCEDURES)
def test_a_null_stays_null_and_does_not_count_in_the_family(adjust) -> None:
    p = np.array([0.01, np.nan, 0.2, np.nan])
    found = adjust(p)
    assert np.isnan(found).tolist() == [False, True, False, True]
    assert found[[0, 2]] == pytest.approx(adjust(p[[0, 2]]))
    assert adjust(np.array([])).shape == (0,)
    assert np.isnan(adjust(np.full(2, np.nan))).all()
    assert adjust(np.array([0.3])) == pytest.approx([0.3])


def test_a_symmetric_interval_gives_the_p_value_of_its_t() -> None:
    t = np.array([-5.3, -1.959, 0.3, 0.02, 1.7, 3.33, 7.77, 20.0])
    found = inverted(lambda z: (t - z, t + z))
    assert found == pytest.approx(2.0 * ndtr(-np.abs(t)), rel=1e-6)


def test_an_inverted_interval_of_rates_is_where_its_limit_is_zero_by_root_finding() -> None:
    found = crossing(RATES)
    for i, z in enumerate(found):
        if z == 0.0:
            continue
        side = 0 if RATES(0.01)[0][i] > 0 else 1
        root = brentq(lambda z, side=side, i=i: RATES(z)[side][i], 1e-6, 38.0, xtol=1e-12)
        assert z == pytest.approx(root, abs=2e-4 if root < 8.0 else 1e-2)
    assert inverted(RATES)[3] == 1.0  # the two rates are equal


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(1, 40), st.integers(1, 40)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([0.80, 0.90, 0.95, 0.98, 0.99, 0.999]),
)
def test_p_is_below_alpha_where_and_only_where_the_interval_excludes_zero(cells, level) -> None:
    a, b, c, d = (np.array(column, dtype=float) for column in zip(*cells, strict=True))
    limits = two_rates(np.array([a, b]), np.array([a + c, b + d]))
    low, high = limits(quantile(level))
    assert ((inverted(limits) <= 1.0 - level) == ((low > 0.0) | (high < 0.0))).all()


def test_logit_limits_of_a_ranking_are_inverted_too() -> None:
    value, error = np.array([0.9, 0.85]), np.array([0.03, 0.04])
    one, zero = np.ones(1), np.zeros(1)

    def limits(z):
        low, high = logit_limits(value, error, z * np.ones(2))
        arms = [(value[[i]], low[[i]], high[[i]]) for i in (0, 1)]
        return mover(arms[0], arms[1], zero)

    z = crossing(limits)[0]
    assert limits(z)[0] == pytest.approx(0.0 * one, abs=1e-5)


@given(st.floats(0.0, 5.0), st.floats(0.0, 5.0))
def test_a_larger_difference_has_no_larger_p(first: float, second: float) -> None:
    t = np.sort(np.array([first, second]))
    p = inverted(lambda z: (t - z, t + z))
    assert p[1] <= p[0]


def test_intervals_that_are_null_have_no_p_value_and_none_is_none() -> None:
    nothing = np.array([np.nan, 0.5])
    found = inverted(lambda z: (nothing - z, nothing + z))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(2 * ndtr(-0.5))
    assert inverted(lambda z: (z * np.empty(0), np.empty(0))).shape == (0,)


def test_the_largest_of_a_family_by_chance_gives_the_p_value_of_sidak() -> None:
    maxima = np.sort(np.abs(np.random.default_rng(0).standard_normal((40_000, 5))).max(axis=1))
    found = by_maximum(np.array([2.5, -2.5, 0.0]), maxima)
    assert found[0] == pytest.approx(1 - (1 - 2 * ndtr(-2.5)) ** 5, abs=0.004)
    assert found[1] == found[0]
    assert found[2] == 1.0


def test_a_p_value_by_draws_is_never_zero_and_counts_ties() -> None:
    maxima = np.array([1.0, 2.0, 2.0, 3.0])
    found = by_maximum(np.array([9.0, 2.0, np.nan]), maxima)
    assert found[:2].tolist() == [1 / 5, 4 / 5]
    assert np.isnan(found[2])
    assert by_maximum(np.array([1.0]), np.array([])).tolist() == [1.0]
