import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.probes import cross_fitted_scores, fit_logistic


def made(n=200, d=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * np.arange(1, d + 1) + 3.0
    y = rng.random(n) < 1 / (1 + np.exp(-(x[:, 0] - 3.0 + 0.3 * x[:, 1] - 0.9)))
    return x, y


def reference(x, y, penalty, weights=None):
    """Fit the same objective in scikit-learn: its C is one over the penalty and the weight."""
    weights = np.ones(len(y)) if weights is None else weights
    mean = np.average(x, axis=0, weights=weights)
    scale = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    model = LogisticRegression(C=1 / (penalty * weights.sum()), tol=1e-10, max_iter=10_000)
    model.fit((x - mean) / scale, y, sample_weight=weights)
    return model, mean, scale


@pytest.mark.parametrize("penalty", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_agree_with_scikit_learn(penalty, weighted):
    x, y = made()
    weights = np.random.default_rng(1).uniform(0.1, 3.0, len(y)) if weighted else None
    model, mean, scale = reference(x, y, penalty, weights)
    probe = fit_logistic(x, y, weights=weights, penalty=penalty)
    assert probe.converged
    np.testing.assert_allclose(probe.weights, model.coef_[0], atol=1e-4)
    assert probe.intercept == pytest.approx(model.intercept_[0], abs=1e-4)
    expected = model.predict_proba((x - mean) / scale)[:, 1]
    np.testing.assert_allclose(probe.scores(x), expected, atol=1e-5)


@pytest.mark.parametrize("penalty", [1e-5, 0.01])
def test_more_dimensions_than_rows_are_solved_too(penalty):
    x, y = made(n=60, d=150)
    model, _, _ = reference(x, y, penalty)
    probe = fit_logistic(x, y, penalty=penalty)
    assert probe.converged
    assert probe.gradient_norm < penalty * 1e-4
    np.testing.assert_allclose(probe.weights, model.coef_[0], atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed):
    x, y = made(n=40, d=3)
    order = np.random.default_rng(seed).permutation(len(y))
    one, other = fit_logistic(x, y, penalty=0.1), fit_logistic(x[order], y[order], penalty=0.1)
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=40, max_size=40))
def test_a_weight_of_two_is_the_row_twice(times):
    x, y = made(n=40, d=3)
    times = np.array(times)
    times[[int(y.argmax()), int(y.argmin())]] = 1  # both labels stay
    twice = np.repeat(np.arange(40), times)
    one = fit_logistic(x, y, weights=times.astype(float), penalty=0.1)
    other = fit_logistic(x[twice], y[twice], penalty=0.1)
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-5)
    np.testing.assert_allclose(one.scores(x), other.scores(x), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100.0), st.floats(-50.0, 50.0))
def test_scores_do_not_depend_on_the_unit_of_an_embedding(scale, shift):
    x, y = made(n=40, d=3)
    one = fit_logistic(x, y, penalty=0.1)
    other = fit_logistic(x * scale + shift, y, penalty=0.1)
    np.testing.assert_allclose(one.scores(x), other.scores(x * scale + shift), atol=1e-5)


def test_the_same_input_gives_the_same_bits():
    x, y = made()
    one, other = fit_logistic(x, y, penalty=0.01), fit_logistic(x, y, penalty=0.01)
    assert one.weights.tobytes() == other.weights.tobytes()


def test_a_start_saves_passes_and_changes_nothing():
    x, y = made()
    cold = fit_logistic(x, y, penalty=0.01)
    warm = fit_logistic(x, y, penalty=0.01, start=fit_logistic(x[::2], y[::2], penalty=0.1))
    again = fit_logistic(x, y, penalty=0.01, start=cold)
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-6)
    assert again.iterations < cold.iterations


def test_constant_embeddings_give_the_prevalence():
    y = np.array([True, False, False, False])
    probe = fit_logistic(np.full((4, 3), 7.0, np.float32), y, penalty=0.1)
    np.testing.assert_allclose(probe.scores(np.full((2, 3), 7.0, np.float32)), 0.25, atol=1e-6)


def test_float_noise_in_a_constant_column_is_not_blown_up():
    x, y = made(n=100, d=2)
    noise = 1000.0 + np.random.default_rng(0).choice([0.0, 6.1e-5], size=(100, 1))
    with_noise = np.hstack([x, noise]).astype(np.float32)
    one, other = fit_logistic(with_noise, y, penalty=1e-4), fit_logistic(x, y, penalty=1e-4)
    np.testing.assert_allclose(one.scores(with_noise), other.scores(x), atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "word"), [(True, "positive"), (False, "negative")], ids=["positive", "negative"]
)
def test_one_class_is_refused_by_name(kind, word):
    with pytest.raises(InvalidTable, match=f"labels: all 5 are {word}; expected both kinds"):
        fit_logistic(np.eye(5), np.full(5, kind), penalty=1.0)


def test_a_class_that_has_no_weight_is_absent():
    with pytest.raises(InvalidTable, match="all 1 are positive"):
        fit_logistic(np.eye(2), np.array([True, False]), weights=np.array([1.0, 0]), penalty=1.0)


def test_no_rows_are_refused():
    with pytest.raises(InvalidTable, match="none to train on"):
        fit_logistic(np.empty((0, 2)), np.empty(0, bool), penalty=1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_embedding_that_is_no_number_is_refused(bad):
    x, y = made(n=20)
    x[7, 2] = bad
    with pytest.raises(InvalidTable, match="1 of 20 rows hold NaN or infinity, the first row 7"):
        fit_logistic(x, y, penalty=1.0)


@pytest.mark.parametrize("weights", [np.array([1.0, -1.0]), np.array([np.nan, 1.0]), np.ones(3)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(InvalidTable, match="weights: expected 2 finite numbers, 0 or more"):
        fit_logistic(np.eye(2), np.array([True, False]), weights=weights, penalty=1.0)


def test_a_penalty_of_zero_is_refused():
    with pytest.raises(InvalidConfiguration, match="penalty 0; expected a number above 0"):
        fit_logistic(np.eye(2), np.array([True, False]), penalty=0)


def test_vectors_of_another_length_are_refused():
    x, y = made()
    with pytest.raises(InvalidTable, match="vectors of length 2; expected 6"):
        fit_logistic(x, y, penalty=1.0).scores(x[:, :2])


def test_a_cross_fitted_score_does_not_know_its_own_label():
    x, y = made(n=60, d=3)
    folds = np.arange(60) % 3
    before = cross_fitted_scores(x, y, folds, penalty=0.1)
    turned = np.where(folds == 1, ~y, y)
    after = cross_fitted_scores(x, turned, folds, penalty=0.1)
    np.testing.assert_array_equal(before[folds == 1], after[folds == 1])
    assert (before[folds != 1] != after[folds != 1]).any()


def test_a_fold_that_leaves_one_class_is_named():
    y = np.array([True, True, False, False])
    with pytest.raises(InvalidTable, match=r"all 2 are negative.*\(outside fold 0\)"):
        cross_fitted_scores(np.eye(4), y, np.array([0, 0, 1, 1]), penalty=1.0)


def test_a_single_fold_is_refused():
    with pytest.raises(InvalidTable, match="all 2 rows are in fold 0; expected two folds"):
        cross_fitted_scores(np.eye(2), np.array([True, False]), np.zeros(2, int), penalty=1.0)
