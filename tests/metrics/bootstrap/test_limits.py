import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise.metrics import bootstrap
from equipoise.metrics.bootstrap import Rows, acceleration, keyed

ONE = np.array([[True]])


def test_bca_is_that_of_scipy_for_the_mean_of_a_skewed_sample():
    sample = np.random.default_rng(0).exponential(size=40)
    # scipy 1.15 gave the generator another name.
    named = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"
    theirs = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=4_000,
        method="BCa",
        **{named: np.random.default_rng(1)},
    )
    values = theirs.bootstrap_distribution[:, None]
    influence = sample - (sample.sum() - sample) / 39
    found = bootstrap.bca(values, sample[None].mean(axis=1), acceleration(influence[:, None]))
    ends = theirs.confidence_interval
    assert float(found.low[0]) == pytest.approx(ends.low, abs=0.005)
    assert float(found.high[0]) == pytest.approx(ends.high, abs=0.005)


def test_the_percentiles_are_those_of_numpy_over_what_is_defined():
    values = np.random.default_rng(2).normal(size=(300, 2))
    values[:50, 1] = np.nan
    found = bootstrap.percentile(values, level=0.9)
    assert found.undefined.tolist() == [0, 50]
    for arm, known in enumerate((values[:, 0], values[50:, 1])):
        ends = np.quantile(known, [0.05, 0.95])
        assert (found.low[arm], found.high[arm]) == pytest.approx(tuple(ends))
        assert found.error[arm] == pytest.approx(known.std(ddof=1))


def test_the_t_interval_is_that_of_scipy():
    values = np.random.default_rng(3).normal(size=(500, 1))
    found = bootstrap.student_t(values, np.array([0.3]), 12.0)
    ends = stats.t.interval(0.95, 12.0, loc=0.3, scale=values.std(ddof=1))
    assert (found.low[0], found.high[0]) == pytest.approx(ends)


@given(st.floats(0.02, 0.98), st.floats(0.001, 0.3), st.floats(1, 200))
def test_the_limits_on_the_logit_scale_stay_inside_and_mirror(value, spread, degrees):
    values = value + spread * np.array([[-1.0], [0.0], [1.0]])
    found = bootstrap.logit_t(values, np.array([value]), degrees)
    turned = bootstrap.logit_t(1 - values, np.array([1 - value]), degrees)
    assert 0.0 <= found.low[0] < value < found.high[0] <= 1.0
    assert turned.low[0] == pytest.approx(1 - found.high[0], abs=1e-9)


@given(st.integers(0, 1_000), st.floats(0.5, 0.99))
def test_a_higher_level_is_never_narrower(seed, level):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.6, 0.1, size=(60, 3))
    at = np.full(3, 0.6)
    for method in (
        lambda v, c: bootstrap.percentile(v, level=c),
        lambda v, c: bootstrap.bca(v, at, np.full(3, 0.02), level=c),
        lambda v, c: bootstrap.logit_t(v, at, 20.0, level=c),
    ):
        inner, outer = method(values, level), method(values, level + 0.005)
        assert (outer.low <= inner.low).all()
        assert (outer.high >= inner.high).all()


def test_replicates_that_do_not_vary_have_no_interval_rather_than_one_of_no_width():
    values = np.full((50, 1), 0.9999)
    at = np.array([0.9999])
    for found in (
        bootstrap.percentile(values),
        bootstrap.bca(values, at, np.zeros(1)),
        bootstrap.logit_t(values, at, 20.0),
        bootstrap.student_t(values, at, 20.0),
    ):
        assert np.isnan(found.low).all()
        assert np.isnan(found.high).all()
        assert found.error.tolist() == [0.0]


def test_nothing_defined_has_no_limits_and_is_counted():
    values = np.full((7, 2), np.nan)
    values[0, 1] = 0.5
    for found in (
        bootstrap.percentile(values),
        bootstrap.bca(values, np.array([np.nan, 0.5]), np.zeros(2)),
        bootstrap.logit_t(values, np.array([np.nan, 0.5]), 20.0),
    ):
        assert np.isnan(found.low).all()
        assert found.undefined.tolist() == [7, 6]


def test_a_value_at_the_edge_has_no_logit_and_no_limits():
    found = bootstrap.logit_t(np.array([[0.9], [1.0]]), np.array([1.0]), 20.0)
    assert np.isnan(found.low[0])


def test_no_influence_has_no_acceleration():
    assert acceleration(np.zeros((5, 2))).tolist() == [0.0, 0.0]


def test_the_intervals_cover_about_as_often_as_they_say():
    rng, hits = np.random.default_rng(4), np.zeros(3)
    label = np.arange(80) < 40
    rows = [
        Rows(
            rng.normal(size=80) + label * 1.0, label, label * 0, np.arange(80), keyed(np.arange(80))
        )
        for _ in range(60)
    ]
    for seed, one in enumerate(rows):
        values = bootstrap.replicates(one, ONE, bootstrap.auroc, n=200, seed=seed)
        at = bootstrap.evaluated(one, ONE, bootstrap.auroc)[0]
        out = bootstrap.jackknife(one, ONE, bootstrap.auroc)
        for place, found in enumerate(
            (
                bootstrap.percentile(values),
                bootstrap.bca(values, at, acceleration(out.mean(axis=0) - out)),
                bootstrap.logit_t(values, at, 39.0),
            )
        ):
            hits[place] += found.low[0] <= 0.7602 <= found.high[0]
    assert (hits >= 52).all()
