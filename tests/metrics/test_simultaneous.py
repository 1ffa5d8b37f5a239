import numpy as np
import pytest
from scipy.special import ndtri

from equipoise.metrics.simultaneous import correlation, joint


def test_independent_members_need_the_quantile_of_sidak() -> None:
    found = joint([np.eye(10)], 0.95, np.random.default_rng(0), n=50_000).critical
    assert found == pytest.approx(ndtri((1 + 0.95 ** (1 / 10)) / 2), abs=0.02)


def test_members_that_repeat_each_other_cost_nothing() -> None:
    both = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert joint([both], 0.95, np.random.default_rng(0), n=50_000).critical < 1.99


def test_the_same_seed_gives_the_same_value_and_more_members_a_larger_one() -> None:
    values = [
        joint([np.eye(n)], 0.95, np.random.default_rng(7), n=4_000).critical for n in (3, 3, 30)
    ]
    assert values[0] == values[1] < values[2]


def test_a_member_without_variance_is_taken_as_independent() -> None:
    found = correlation(np.array([[0.0, 0.0], [0.0, 2.0]]))
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_the_range_of_six_equal_groups_is_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    found = joint([0.01 * np.eye(6)], 0.95, rng, n=20_000, sets=[(0, np.arange(6))])
    assert found.ranges[0] == pytest.approx(0.2534, abs=0.005)  # d2 of six, Tippett's table: 2.534
