import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from equipoise.errors import InvalidConfiguration
from equipoise.mitigations import cells, plain, reweighting
from equipoise.mitigations.reweighting import balanced
from tests.mitigations.made import training

RNG = np.random.default_rng(0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0, 1))
def test_weights_have_mean_one_and_power_one_balances(codes, power):
    codes = np.unique(codes, return_inverse=True)[1]
    n = int(codes.max()) + 1
    assert balanced(codes, n, power=power).mean() == pytest.approx(1)
    total = np.bincount(codes, weights=balanced(codes, n))
    np.testing.assert_allclose(total, len(codes) / n)


def test_it_agrees_with_scikit_learn_on_balanced_weights():
    rows = training()
    codes = cells(rows, "label_group")[1]
    weights = balanced(codes, 4)
    mean = np.average(rows.x, axis=0, weights=weights)
    scale = np.sqrt(np.average((rows.x - mean) ** 2, axis=0, weights=weights))
    model = LogisticRegression(C=1 / (0.1 * weights.sum()), tol=1e-10, max_iter=10_000)
    model.fit((rows.x - mean) / scale, rows.y, sample_weight=weights)
    found = reweighting.fit(rows, penalty=0.1, parameters={}, rng=RNG)
    np.testing.assert_allclose(found.probe.weights, model.coef_[0], atol=1e-4)


def test_power_zero_is_plain_training():
    rows = training()
    one = reweighting.fit(rows, penalty=0.1, parameters={"power": 0}, rng=RNG)
    other = plain.fit(rows, penalty=0.1, parameters={}, rng=RNG)
    np.testing.assert_allclose(one.probe.weights, other.probe.weights, atol=1e-6)


def test_the_small_group_gains_and_the_large_one_pays():
    rows = training(n=2000)
    one = plain.fit(rows, penalty=0.01, parameters={}, rng=RNG)
    other = reweighting.fit(rows, penalty=0.01, parameters={}, rng=RNG)
    change = dict(zip(one.groups, other.group_losses - one.group_losses, strict=True))
    assert change["positive|B"] < -0.3
    assert change["negative|A"] > 0.05


def test_those_of_unknown_group_keep_the_weight_of_plain_training():
    assert balanced(np.array([0, 0, 0, 1, -1, -1]), 2)[-2:].tolist() == [1.0, 1.0]


def test_a_power_above_one_is_refused():
    with pytest.raises(
        InvalidConfiguration, match=r"reweighting: power: .* less than or equal to 1"
    ):
        reweighting.fit(training(), penalty=0.1, parameters={"power": 2}, rng=RNG)
