import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics import intervals

Z = 1.959964


def one(value: float) -> np.ndarray:
    return np.array([value])


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_examples_of_newcombe_1998(
    events: int, trials: int, low: float, high: float
) -> None:
    found = intervals.wilson(one(events / trials), one(float(trials)), Z)
    assert [float(limit[0]) for limit in found] == pytest.approx([low, high], abs=6e-5)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_mover_of_wilson_gives_method_ten_of_newcombe_1998(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    arms = []
    for events, trials in (first, second):
        rate = one(events / trials)
        arms.append((rate, *intervals.wilson(rate, one(float(trials)), Z)))
    found = intervals.mover(arms[0], arms[1], one(0.0))
    assert [float(limit[0]) for limit in found] == pytest.approx([low, high], abs=6e-5)


def test_arms_that_move_together_have_a_narrower_difference() -> None:
    arm = (one(0.5), one(0.4), one(0.6))
    apart = intervals.mover(arm, arm, one(0.0))
    together = intervals.mover(arm, arm, one(0.9))
    assert together[1] - together[0] < apart[1] - apart[0]


@given(
    st.floats(0.01, 0.99),
    st.integers(2, 500),
    st.floats(0.05, 20.0),
    st.floats(1.0, 3.5),
)
def test_no_clustering_makes_a_rate_interval_narrower_than_independence(
    rate: float, trials: int, design: float, z: float
) -> None:
    n = one(float(trials))
    variance = one(design * rate * (1 - rate) / (trials - 1))
    clustered = intervals.rate_limits(one(rate), variance, n, n, z)
    plain = intervals.wilson(one(rate), n, z)
    assert clustered[0] <= plain[0] + 1e-12
    assert clustered[1] >= plain[1] - 1e-12


@given(st.floats(0.02, 0.98), st.floats(1.0, 3.0), st.floats(0.1, 1.0))
def test_a_larger_z_gives_a_wider_interval(rate: float, z: float, more: float) -> None:
    n, variance = one(90.0), one(rate * (1 - rate) / 40)
    inner = intervals.rate_limits(one(rate), variance, n, one(30.0), z)
    outer = intervals.rate_limits(one(rate), variance, n, one(30.0), z + more)
    assert outer[0] < inner[0] < inner[1] < outer[1]


def test_a_rate_of_all_or_nothing_counts_patients_not_images() -> None:
    found = intervals.rate_limits(one(1.0), one(0.0), one(90.0), one(30.0), Z)
    assert found[0] == pytest.approx(intervals.wilson(one(1.0), one(30.0), Z)[0])


def test_a_few_patients_who_carry_the_variance_widen_the_interval() -> None:
    even = intervals.freedom(one(1.0), one(1.0 / 40), one(40.0))
    uneven = intervals.freedom(one(1.0), one(0.5), one(40.0))
    assert even[0] == 39.0
    assert 2.0 <= uneven[0] < 5.0


def test_no_limits_leave_the_range_of_the_value() -> None:
    low, high = intervals.logit_limits(one(0.999), one(0.01), one(5.0))
    assert 0.0 <= low[0] <= 0.999 <= high[0] <= 1.0
