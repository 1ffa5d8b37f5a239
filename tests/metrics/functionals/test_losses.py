import numpy as np
import pytest
from sklearn import metrics as reference

from equipoise.metrics.functionals import losses
from tests.metrics.functionals.made import counted, drawn


def test_brier_and_log_loss_are_those_of_scikit_learn():
    score, label = drawn(300)
    counts = counted(score, label)
    brier, log_loss = losses.brier(*counts)[0][0], losses.log_loss(*counts)[0][0]
    assert brier == pytest.approx(reference.brier_score_loss(label, score), abs=1e-12)
    assert log_loss == pytest.approx(reference.log_loss(label, score), abs=1e-12)


def test_a_certain_error_costs_what_it_costs_in_scikit_learn():
    score, label = np.array([0.0, 1.0, 0.3]), np.array([1, 1, 0])
    found = losses.log_loss(*counted(score, label))[0][0]
    assert found == pytest.approx(reference.log_loss(label, score), abs=1e-9)


def test_means_of_scores_are_those_of_the_images():
    score, label = drawn(300)
    counts = counted(score, label)
    for function, expected in [
        (losses.mean_score, score.mean()),
        (losses.mean_score_of_positives, score[label == 1].mean()),
        (losses.mean_score_of_negatives, score[label == 0].mean()),
        (losses.expected_observed_ratio, score.sum() / label.sum()),
    ]:
        assert function(*counts)[0][0] == pytest.approx(expected, abs=1e-12)


def test_the_mean_of_one_class_does_not_move_with_the_other():
    negative, positive, score = counted(*drawn(300))
    assert (losses.mean_score_of_positives(negative, positive, score)[1][:, 0] == 0).all()
    assert (losses.mean_score_of_negatives(negative, positive, score)[1][:, 1] == 0).all()
    assert np.isnan(losses.mean_score_of_positives(negative, 0 * positive, score)[0][0])
    assert np.isnan(losses.expected_observed_ratio(negative, 0 * positive, score)[0][0])
