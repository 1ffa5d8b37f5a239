"""What every functional keeps, whichever it is."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import registry
from equipoise.metrics.functionals import DECLARED, FUNCTIONALS
from tests.metrics.functionals.made import counted, drawn, jackknifed, slopes

GIVEN = {"highest": 0.37, "edges": np.linspace(0, 1, 6)}
NAMED = {
    name: partial(
        registry.load(name, FUNCTIONALS, kind="functional"),
        **{key: GIVEN[key] for key in DECLARED.get(name, ())},
    )
    for name in FUNCTIONALS
}
SMOOTHED = set()
"""Those whose influence is an estimate, not the derivative."""
EXACT = sorted(set(NAMED) - SMOOTHED)
KINDS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=3, max_size=8)


def table(kinds):
    negative, positive = np.array(kinds, dtype=float).T
    return negative[None], positive[None], np.linspace(0.06, 0.93, len(kinds))


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=15, deadline=None)
@given(kinds=KINDS)
def test_the_influence_is_the_finite_difference(name, kinds):
    counts = table(kinds)
    value, influence = NAMED[name](*counts)
    if np.isnan(value[0]):
        return
    expected = slopes(NAMED[name], *counts)
    assert influence[0] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", sorted(NAMED))
@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_counts_times_influence_sum_to_zero(name, decimals):
    counts = counted(*drawn(400, decimals=decimals))
    value, influence = NAMED[name](*counts)
    assert np.isfinite(value).all()
    assert np.isfinite(influence).all()
    total = (np.stack(counts[:2], axis=1) * influence).sum()
    assert total == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("decimals", [2, 9])
def test_the_sum_of_squared_influences_is_the_variance_by_leaving_one_out(name, decimals):
    counts = counted(*drawn(700, decimals=decimals))
    _, influence = NAMED[name](*counts)
    error = np.sqrt((np.stack(counts[:2], axis=1) * influence**2).sum())
    assert error == pytest.approx(jackknifed(NAMED[name], *counts), rel=0.03)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_arms_do_not_touch_each_other_and_levels_that_an_arm_lacks_change_nothing(name):
    first, second = drawn(300, seed=1), drawn(500, seed=2, apart=0.7)
    level = np.unique(np.concatenate([first[0], second[0], [0.0051, 0.9951]]))
    arms = []
    for score, label in (first, second):
        place = np.searchsorted(level, score)
        arms.append([np.bincount(place[label == y], minlength=len(level)) for y in (0, 1)])
    both = np.array(arms, dtype=float)
    value, influence = NAMED[name](both[:, 0], both[:, 1], level)
    for arm, (score, label) in enumerate((first, second)):
        alone, its = NAMED[name](*counted(score, label))
        assert value[arm] == pytest.approx(alone[0], abs=1e-11)
        here = np.isin(level, score)
        assert influence[arm][:, here] == pytest.approx(its[0], abs=1e-11)


@pytest.mark.parametrize("name", EXACT)
def test_doubling_every_count_changes_no_value_and_halves_the_influence(name):
    if name.endswith("calibration_error"):
        pytest.skip("its correction for chance shrinks with the number of images")
    negative, positive, score = counted(*drawn(300))
    value, influence = NAMED[name](negative, positive, score)
    again, halved = NAMED[name](2 * negative, 2 * positive, score)
    assert again == pytest.approx(value, abs=1e-10)
    assert halved == pytest.approx(influence / 2, abs=1e-10)


@pytest.mark.parametrize("name", sorted(NAMED))
@pytest.mark.parametrize("kind", ["nobody", "negatives", "positives", "one", "tied"])
def test_what_is_undefined_is_nan_without_influence_and_without_a_warning(name, kind):
    filled = {
        "nobody": ([0, 0, 0], [0, 0, 0]),
        "negatives": ([4, 2, 1], [0, 0, 0]),
        "positives": ([0, 0, 0], [4, 2, 1]),
        "one": ([0, 1, 0], [0, 0, 0]),
        "tied": ([0, 5, 0], [0, 5, 0]),
    }[kind]
    negative, positive = (np.array([side], dtype=float) for side in filled)
    value, influence = NAMED[name](negative, positive, np.array([0.0, 0.5, 1.0]))
    if kind == "nobody":
        assert np.isnan(value[0])
    assert np.isfinite(influence).all()
    if np.isnan(value[0]):
        assert (influence == 0).all()
