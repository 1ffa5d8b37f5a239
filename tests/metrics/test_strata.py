import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from equipoise.metrics import clustered_auroc
from equipoise.metrics.strata import Discrimination, mean_within, within


def draw(seed, n=120, strata=3):
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.4
    score = rng.normal(size=n) + label
    return score, label, rng.integers(0, n // 2, n), rng.integers(0, strata, n)


@given(st.integers(0, 200))
def test_one_stratum_is_the_clustered_auroc(seed):
    score, label, patient, _ = draw(seed)
    found = within(score, label, patient, np.zeros(len(score), np.int64))
    assert (found.auroc, found.standard_error) == pytest.approx(
        clustered_auroc(score, label, patient)
    )


def test_within_strata_it_is_the_weighted_mean_of_their_aurocs():
    score, label, patient, stratum = draw(1)
    total, weights = 0.0, 0.0
    for code in range(3):
        inside = stratum == code
        m, n = label[inside].sum(), (~label[inside]).sum()
        total += m * n / (m + n) * roc_auc_score(label[inside], score[inside])
        weights += m * n / (m + n)
    assert within(score, label, patient, stratum).auroc == pytest.approx(total / weights)


@given(st.integers(0, 50), st.floats(0.1, 10))
def test_a_shift_of_a_stratum_changes_nothing(seed, shift):
    score, label, patient, stratum = draw(seed)
    one, two = (within(s, label, patient, stratum) for s in (score, score + shift * stratum))
    assert one.auroc == pytest.approx(two.auroc)


def test_the_standard_error_holds_over_draws():
    found = [within(*draw(seed)) for seed in range(300)]
    spread = np.std([one.auroc for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.15)


def test_strata_without_both_labels_are_left_out():
    label = np.array([True, True, True, False])
    found = within(np.arange(4.0), label, np.arange(4), np.array([0, 0, 1, 1]))
    assert (found.n_images, found.strata, found.auroc) == (2, 1, 0.0)


def test_no_stratum_with_both_labels_gives_no_number():
    found = within(np.arange(2.0), np.array([True, True]), np.arange(2), np.zeros(2, int))
    assert np.isnan(found.auroc)
    assert found.p_above(0.5) == 1.0


def test_ties_are_half_and_never_significant():
    label = np.arange(40) % 2 == 0
    found = within(np.zeros(40), label, np.arange(40), np.zeros(40, int))
    assert (found.auroc, found.standard_error, found.p_above(0.5)) == (0.5, 0.0, 0.5)


def test_a_perfect_score_of_few_images_is_not_endlessly_sure():
    few, many = (Discrimination(1.0, 0.0, 2 * n, n, n, 1).p_above(0.6) for n in (3, 100))
    assert 0.05 < few < 0.2
    assert many < 1e-10


def test_where_all_positives_are_of_one_patient_nothing_is_shown():
    label = np.arange(60) < 30
    patient = np.where(label, 0, np.arange(60))
    found = within(label.astype(float), label, patient, np.zeros(60, np.int64))
    assert (found.auroc, found.p_above(0.6)) == (1.0, 1.0)


@given(st.integers(0, 100))
def test_the_mean_of_one_is_that_one(seed):
    score, label, patient, stratum = draw(seed)
    one = within(score, label, patient, stratum)
    assert mean_within([score], [label], patient, [stratum]) == pytest.approx(
        (one.auroc, one.standard_error)
    )


def test_a_level_and_its_opposite_are_one_statement_not_two():
    score, label, patient, stratum = draw(3)
    one = within(score, label, patient, stratum)
    both = mean_within([score, -score], [label, ~label], patient, [stratum, stratum])
    assert both == pytest.approx((one.auroc, one.standard_error))


def test_an_image_of_a_negative_stratum_is_in_no_number():
    score, label, patient, stratum = draw(4)
    out = np.where(stratum == 2, -1, stratum)
    inside = stratum < 2
    kept = within(score[inside], label[inside], patient[inside], stratum[inside])
    assert within(score, label, patient, out) == kept


def test_the_mean_without_a_comparison_is_no_number():
    none = np.full(3, -1)
    assert np.isnan(mean_within([np.zeros(3)], [np.ones(3, bool)], np.arange(3), [none])).all()
