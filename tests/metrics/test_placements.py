import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from equipoise.metrics import clustered_auroc


def delong_by_pairs(score: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Return AUROC and standard error from every pair, as DeLong et al. write it."""
    x, y = score[label], score[~label]
    wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    value = wins.mean()
    over, under = wins.mean(axis=1), wins.mean(axis=0)
    variance = over.var(ddof=1) / len(x) + under.var(ddof=1) / len(y)
    return float(value), float(np.sqrt(variance))


@pytest.mark.parametrize("decimals", [1, 8])
def test_auroc_is_that_of_scikit_learn_with_and_without_ties(decimals: int) -> None:
    rng = np.random.default_rng(1)
    label = rng.random(300) < 0.3
    score = np.round(rng.random(300) * 0.7 + 0.3 * label, decimals)
    value, _ = clustered_auroc(score, label, np.arange(300))
    assert value == pytest.approx(roc_auc_score(label, score), abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 8])
def test_without_clusters_the_error_is_delongs_by_pairs(decimals: int) -> None:
    rng = np.random.default_rng(2)
    label = rng.random(120) < 0.3
    score = np.round(rng.random(120) * 0.7 + 0.3 * label, decimals)
    found = clustered_auroc(score, label, np.arange(120))
    assert found == pytest.approx(delong_by_pairs(score, label), abs=1e-12)


def test_the_clustered_error_is_that_of_a_bootstrap_of_patients() -> None:
    rng = np.random.default_rng(3)
    patients, images = 200, 3
    label = np.repeat(rng.random(patients) < 0.4, images)
    shared = np.repeat(rng.standard_normal(patients), images)
    score = shared + rng.standard_normal(patients * images) + label
    who = np.repeat(np.arange(patients), images)
    _, error = clustered_auroc(score, label, who)
    values = []
    for _ in range(500):
        drawn = rng.integers(0, patients, patients)
        rows = (drawn[:, None] * images + np.arange(images)).ravel()
        values.append(roc_auc_score(label[rows], score[rows]))
    assert error == pytest.approx(np.std(values, ddof=1), rel=0.1)


def test_three_images_alike_per_patient_make_the_naive_error_too_small_by_root_three() -> None:
    rng = np.random.default_rng(4)
    label = np.repeat(rng.random(400) < 0.4, 3)
    score = np.repeat(rng.standard_normal(400), 3) + label + rng.normal(0, 1e-3, 1200)
    _, naive = clustered_auroc(score, label, np.arange(1200))
    _, clustered = clustered_auroc(score, label, np.repeat(np.arange(400), 3))
    assert naive / clustered == pytest.approx(1 / np.sqrt(3), rel=0.02)


SCORES = st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(0, 5)), min_size=2)


@given(SCORES)
def test_a_monotone_change_of_the_scores_changes_nothing(
    rows: list[tuple[int, bool, int]],
) -> None:
    score, label, who = (np.array(part) for part in zip(*rows, strict=True))
    before = clustered_auroc(score / 10, label, who)
    after = clustered_auroc(np.exp(score.astype(float)), label, who)
    assert before == pytest.approx(after, nan_ok=True)


@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[tuple[int, bool, int]], random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    found = []
    for some in (rows, shuffled):
        score, label, who = (np.array(part) for part in zip(*some, strict=True))
        found.append(clustered_auroc(score / 10, label, who))
    assert found[0] == pytest.approx(found[1], nan_ok=True)


def test_one_class_gives_no_number() -> None:
    value, error = clustered_auroc(np.array([0.1, 0.2]), np.array([True, True]), np.arange(2))
    assert np.isnan(value)
    assert np.isnan(error)


def test_one_patient_gives_a_value_and_no_error() -> None:
    score, label = np.array([0.1, 0.2, 0.3]), np.array([False, True, True])
    value, error = clustered_auroc(score, label, np.zeros(3, dtype=int))
    assert value == 1.0
    assert np.isnan(error)


def test_ties_everywhere_are_a_half() -> None:
    label = np.array([True, False] * 10)
    assert clustered_auroc(np.full(20, 0.3), label, np.arange(20)) == (0.5, 0.0)
