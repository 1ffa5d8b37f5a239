"""Closed testing by averages: exact against all subsets, never worse than Bonferroni."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import surveillance

LOGS = st.lists(st.floats(-20, 20), min_size=1, max_size=6)


@given(LOGS)
def test_it_agrees_with_a_search_over_all_sets(logs):
    values = np.exp(logs)
    k = len(values)
    sets = [s for size in range(1, k + 1) for s in itertools.combinations(range(k), size)]
    slow = [min(values[list(s)].mean() for s in sets if i in s) for i in range(k)]
    np.testing.assert_allclose(np.exp(surveillance.closed(np.array(logs))), slow, rtol=1e-9)


@given(LOGS)
def test_it_is_between_bonferroni_and_the_bare_value(logs):
    bare = np.array(logs)
    adjusted = surveillance.closed(bare)
    assert (adjusted <= bare + 1e-12).all()
    assert (adjusted >= bare - np.log(len(bare)) - 1e-12).all()


@given(LOGS, st.randoms())
def test_the_order_of_the_groups_does_not_matter(logs, random):
    places = list(range(len(logs)))
    random.shuffle(places)
    mixed = surveillance.closed(np.array(logs)[places])
    np.testing.assert_allclose(mixed, surveillance.closed(np.array(logs))[places], atol=1e-9)


def test_paths_are_adjusted_time_by_time():
    logs = np.log(np.array([[60.0, 1.0], [1.0, 60.0], [0.1, 0.1]]))
    by_time = surveillance.closed(logs)
    for at in range(2):
        assert by_time[:, at] == pytest.approx(surveillance.closed(logs[:, at]))


def test_one_test_alone_is_not_adjusted_and_none_gives_none():
    assert surveillance.closed(np.array([2.0])).tolist() == [2.0]
    assert surveillance.closed(np.empty((0, 3))).shape == (0, 3)
