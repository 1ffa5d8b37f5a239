import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from equipoise.metrics.functionals.recalibration import (
    CLIP,
    calibration_intercept,
    calibration_slope,
    overlapping,
)
from tests.metrics.functionals.made import counted, drawn


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decimals", [1, 9])
def test_the_slope_is_the_coefficient_of_scikit_learns_regression(seed, decimals):
    score, label = drawn(200, seed=seed, decimals=decimals)
    fit = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky")
    fit.fit(logit(score)[:, None], label)
    found = calibration_slope(*counted(score, label))[0][0]
    assert found == pytest.approx(fit.coef_[0, 0], rel=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_the_intercept_makes_the_mean_right(seed):
    score, label = drawn(200, seed=seed)
    expected = brentq(lambda a: expit(a + logit(score)).sum() - label.sum(), -20, 20, xtol=1e-13)
    assert calibration_intercept(*counted(score, label))[0][0] == pytest.approx(expected, abs=1e-9)


def test_what_was_moved_on_the_logit_scale_is_found_again():
    score = np.linspace(0.02, 0.98, 97)
    true = expit(0.7 * logit(score) - 0.4)
    negative, positive = 1e6 * (1 - true)[None], 1e6 * true[None]
    assert calibration_slope(negative, positive, score)[0][0] == pytest.approx(0.7, abs=1e-9)
    true = expit(logit(score) - 0.4)
    negative, positive = (1 - true)[None], true[None]
    assert calibration_intercept(negative, positive, score)[0][0] == pytest.approx(-0.4, abs=1e-9)
    assert calibration_slope(negative, positive, score)[0][0] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("negative", "positive"),
    [
        ([5, 4, 0, 0], [0, 0, 3, 9]),  # apart
        ([0, 0, 3, 9], [5, 4, 0, 0]),  # apart, the wrong way round
        ([5, 4, 0, 0], [0, 2, 3, 9]),  # they meet in one level
        ([0, 4, 0, 0], [0, 2, 3, 0]),  # two levels, one of them pure
        ([0, 4, 0, 0], [0, 2, 0, 0]),  # one level
        ([1, 4, 0, 0], [0, 0, 0, 0]),  # one class
    ],
)
def test_where_classes_do_not_overlap_there_is_no_slope(negative, positive):
    score = np.array([0.1, 0.3, 0.6, 0.9])
    counts = np.array([negative, [3, 2, 2, 1]], float), np.array([positive, [1, 2, 2, 4]], float)
    value, influence = calibration_slope(*counts, score)
    assert np.isnan(value).tolist() == [True, False]
    assert (influence[0] == 0).all()
    assert overlapping(*counts, score).tolist() == [False, True]


def test_a_barely_overlapping_arm_still_has_its_slope():
    score = np.linspace(0.01, 0.99, 99)
    negative = (score < 0.5).astype(float)
    positive = 1 - negative
    positive[0], negative[98] = 1e-3, 1e-3
    value, _ = calibration_slope(negative[None], positive[None], score)
    x = logit(score)
    fit = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky", max_iter=1000)
    fit.fit(
        np.tile(x, 2)[:, None],
        np.repeat([0, 1], 99),
        sample_weight=np.concatenate([negative, positive]),
    )
    assert value[0] == pytest.approx(fit.coef_[0, 0], rel=1e-6)


def test_saturated_scores_are_clipped_and_stay_finite():
    negative, positive = np.array([[50.0, 3, 1]]), np.array([[2.0, 3, 40]])
    score = np.array([0.0, 0.5, 1.0])
    for function in (calibration_intercept, calibration_slope):
        value, influence = function(negative, positive, score)
        clipped, _ = function(negative, positive, np.array([CLIP, 0.5, 1 - CLIP]))
        assert value[0] == pytest.approx(clipped[0], abs=1e-12)
        assert np.isfinite(influence).all()


def test_one_class_has_no_intercept():
    score = np.array([0.2, 0.7])
    counts = np.array([[3.0, 2], [0, 0]]), np.array([[0.0, 0], [3, 2]])
    assert np.isnan(calibration_intercept(*counts, score)[0]).all()
