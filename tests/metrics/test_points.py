import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from equipoise.metrics.points import seal, threshold

SCORES = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def arrays(rows):
    score = np.array([value for value, _ in rows], dtype=np.float32) / 20
    return score, np.array([label for _, label in rows])


@given(SCORES, st.floats(0.05, 0.95))
def test_the_specificity_asked_for_is_reached_by_the_lowest_threshold_that_can(rows, at):
    score, label = arrays(rows)
    found = threshold(score, label, rule="specificity", at=at)
    assert np.mean(score[~label] < found) >= at - 1e-9
    lower = score[score < found]
    assert not len(lower) or np.mean(score[~label] < lower.max()) < at


@given(SCORES, st.floats(0.05, 0.95))
def test_the_sensitivity_asked_for_is_reached_by_the_highest_threshold_that_can(rows, at):
    score, label = arrays(rows)
    found = threshold(score, label, rule="sensitivity", at=at)
    assert np.mean(score[label] >= found) >= at - 1e-9
    higher = score[score > found]
    assert not len(higher) or np.mean(score[label] >= higher.min()) < at


@given(SCORES)
def test_youden_agrees_with_scikit_learn(rows):
    score, label = arrays(rows)
    false, true, _ = roc_curve(label, score)
    found = threshold(score, label, rule="youden", at=0.5)
    reached = np.mean(score[label] >= found) + np.mean(score[~label] < found) - 1
    assert reached == pytest.approx((true - false).max())


def test_scores_that_are_all_alike_call_nobody_where_specificity_is_asked():
    score, label = np.full(4, 0.5, np.float32), np.array([True, True, False, False])
    assert threshold(score, label, rule="specificity", at=0.9) > 0.5
    assert threshold(score, label, rule="sensitivity", at=0.9) == 0.5


def test_a_threshold_above_the_largest_score_is_above_it_in_float32_too():
    score, label = np.ones(2, np.float32), np.array([True, False])
    assert not (score >= threshold(score, label, rule="specificity", at=0.9)).any()


@pytest.mark.parametrize("change", ["id", "score", "label"])
def test_the_seal_breaks_with_any_change(change):
    ids, score, label = ["a", "b"], np.array([0.1, 0.2], np.float32), np.array([True, False])
    before = seal(ids, score, label)
    if change == "id":
        ids = ["a", "c"]
    elif change == "score":
        score = score + np.float32(1e-7)
    else:
        label = ~label
    assert seal(ids, score, label) != before
