import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics import clustered_auroc
from equipoise.metrics.standardised import weighted

SCORES = st.lists(st.integers(0, 6), min_size=4, max_size=24)


def drawn(values: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(sum(values))
    score = np.array(values) / 6
    label = rng.random(len(values)) < 0.5
    label[:2] = [True, False]
    return score, label, rng.random(len(values)) + 0.1


@given(SCORES)
def test_weighted_auroc_counts_pairs_as_brute_force_does(values: list[int]) -> None:
    score, label, weight = drawn(values)
    total = won = 0.0
    for i in np.flatnonzero(label):
        for j in np.flatnonzero(~label):
            pair = weight[i] * weight[j]
            total += pair
            won += pair * (float(score[i] > score[j]) + 0.5 * float(score[i] == score[j]))
    assert weighted.weighted_auroc(score, label, weight)[0] == pytest.approx(won / total, abs=1e-12)


@given(SCORES)
def test_derivatives_of_the_weighted_auroc_are_those_of_finite_differences(
    values: list[int],
) -> None:
    score, label, weight = drawn(values)
    _, derivative = weighted.weighted_auroc(score, label, weight)
    assert derivative @ weight == pytest.approx(0.0, abs=1e-12)
    for image in range(min(4, len(weight))):
        step = np.zeros(len(weight))
        step[image] = 1e-6
        up, down = (weighted.weighted_auroc(score, label, weight + s)[0] for s in (step, -step))
        assert derivative[image] == pytest.approx((up - down) / 2e-6, abs=1e-6)


def test_equal_weights_give_the_clustered_auroc_of_the_engine() -> None:
    rng = np.random.default_rng(3)
    label = rng.random(80) < 0.4
    score = np.round(rng.random(80) + 0.3 * label, 1)
    value, derivative = weighted.weighted_auroc(score, label, np.full(80, 0.7))
    expected, error = clustered_auroc(score, label, np.arange(80))
    assert value == pytest.approx(expected, abs=1e-12)
    n = np.where(label, label.sum(), (~label).sum())
    own = 0.7 * derivative * np.sqrt(n / (n - 1))
    assert np.sqrt(np.sum(own**2)) == pytest.approx(error, abs=1e-12)


def test_scikit_learn_gives_the_same_weighted_numbers() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(4)
    label = rng.random(200) < 0.3
    score, weight = np.round(rng.random(200), 2), rng.random(200) + 0.05
    found = weighted.weighted_auroc(score, label, weight)[0]
    expected = sklearn.roc_auc_score(label, score, sample_weight=weight)
    assert found == pytest.approx(expected, abs=1e-12)
    called = score >= 0.5
    event, trial = (called & label).astype(float), called.astype(float)
    expected = sklearn.precision_score(label, called, sample_weight=weight)
    assert weighted.weighted_ratio(event, trial, weight)[0] == pytest.approx(expected, abs=1e-12)
    loss = (score - label) ** 2
    expected = sklearn.brier_score_loss(label, score, sample_weight=weight)
    found = weighted.weighted_ratio(loss, np.ones(200), weight)[0]
    assert found == pytest.approx(expected, abs=1e-12)


def test_without_weight_in_a_class_nothing_is_defined() -> None:
    score, label = np.array([0.1, 0.9]), np.array([True, True])
    value, derivative = weighted.weighted_auroc(score, label, np.ones(2))
    assert np.isnan(value)
    assert derivative.tolist() == [0.0, 0.0]
    assert np.isnan(weighted.weighted_ratio(np.zeros(2), np.zeros(2), np.ones(2))[0])
    assert weighted.kish(np.zeros(3)) == 0.0


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=30))
def test_the_effective_number_is_at_most_the_number(weights: list[float]) -> None:
    found = weighted.kish(np.array(weights))
    assert 1.0 - 1e-9 <= found <= len(weights) + 1e-9
