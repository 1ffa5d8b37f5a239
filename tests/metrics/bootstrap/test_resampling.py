import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from equipoise.metrics import bootstrap, clustered_auroc
from equipoise.metrics.bootstrap import Rows, keyed, replicates, weights

STATISTICS = {
    "auroc": (bootstrap.auroc, roc_auc_score),
    "average precision": (bootstrap.average_precision, average_precision_score),
    "brier": (bootstrap.brier, brier_score_loss),
}


def made(
    seed: int,
    *,
    patients: int = 120,
    images: int = 3,
    agreement: float = 0.5,
    decimals: int | None = None,
    prevalence: float = 0.4,
) -> Rows:
    """Return rows in two cells, in no order, whose label and cell are the patient's own."""
    rng = np.random.default_rng(seed)
    who = rng.permutation(np.repeat(np.arange(patients), images))
    label = (rng.random(patients) < prevalence)[who]
    latent = np.sqrt(agreement) * rng.standard_normal(patients)[who] + 1.2 * label
    latent += np.sqrt(1 - agreement) * rng.standard_normal(len(who))
    score = 1 / (1 + np.exp(-latent))
    score = score if decimals is None else np.round(score, decimals)
    keys = keyed([f"p{i}" for i in range(patients)])
    return Rows(score, label, rng.integers(0, 2, patients)[who], who, keys)


ARMS = np.array([[True, True], [True, False], [False, True]])


@pytest.mark.parametrize("decimals", [None, 1], ids=["distinct", "ties"])
@pytest.mark.parametrize("name", STATISTICS)
def test_a_replay_with_sample_weights_gives_each_replicate(name, decimals):
    rows = made(0, decimals=decimals)
    ours, theirs = STATISTICS[name]
    found = replicates(rows, ARMS, ours, n=40, seed=11)
    drawn = weights(rows.keys, range(40), seed=11)[:, rows.patient]
    for place, arm in enumerate(ARMS):
        mine = arm[rows.cell]
        again = [
            theirs(rows.label[mine], rows.score[mine], sample_weight=weight[mine])
            for weight in drawn.astype(float)
        ]
        np.testing.assert_allclose(found[:, place], again, atol=1e-9)


def test_a_replay_by_repeating_the_images_of_a_patient_gives_each_replicate():
    rows = made(1, patients=40, decimals=1)
    found = replicates(rows, ARMS[:1], bootstrap.auroc, n=20, seed=0)[:, 0]
    drawn = weights(rows.keys, range(20), seed=0)[:, rows.patient]
    again = [roc_auc_score(np.repeat(rows.label, w), np.repeat(rows.score, w)) for w in drawn]
    np.testing.assert_allclose(found, again, atol=1e-9)


def rates(cells):
    with np.errstate(invalid="ignore"):
        return np.where(cells[0] + cells[3] > 0, cells[0] / (cells[0] + cells[3]), np.nan), cells


def predictive(cells):
    with np.errstate(invalid="ignore"):
        return np.where(cells[0] + cells[1] > 0, cells[0] / (cells[0] + cells[1]), np.nan), cells


@pytest.mark.parametrize(("composite", "of"), [(rates, "label"), (predictive, "called")])
def test_a_replay_of_a_rate_gives_each_replicate(composite, of):
    rows = made(2)
    called = rows.score >= 0.7
    found = bootstrap.cell_replicates(rows, ARMS, called, composite, n=30, seed=2)
    drawn = weights(rows.keys, range(30), seed=2)[:, rows.patient].astype(float)
    trial = rows.label if of == "label" else called
    for place, arm in enumerate(ARMS):
        mine = arm[rows.cell] & trial
        hit = (rows.label & called)[mine]
        again = [np.average(hit, weights=weight[mine]) for weight in drawn]
        np.testing.assert_allclose(found[:, place], again, atol=1e-12)


def test_the_standard_error_is_the_clustered_one_of_influence_values():
    ratios = []
    for seed in range(4):
        rows = made(seed, patients=400, images=2)
        for arm in ARMS:
            mine = arm[rows.cell]
            _, error = clustered_auroc(rows.score[mine], rows.label[mine], rows.patient[mine])
            found = replicates(rows, arm[None], bootstrap.auroc, n=600, seed=seed)
            ratios.append(float(found.std(ddof=1)) / error)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.03)
    assert min(ratios) > 0.9
    assert max(ratios) < 1.1


def test_three_images_that_are_nearly_one_make_an_error_that_ignores_patients_too_small():
    rows = made(3, patients=300, images=3, agreement=0.9999)
    alone = Rows(
        rows.score, rows.label, rows.cell, np.arange(900), keyed([str(i) for i in range(900)])
    )
    error = [
        float(replicates(one, ARMS[:1], bootstrap.auroc, n=800, seed=0).std())
        for one in (alone, rows)
    ]
    assert error[0] / error[1] == pytest.approx(1 / np.sqrt(3), rel=0.1)


@given(st.integers(0, 50), st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing(seed, turn):
    rows = made(seed, patients=12, decimals=1)
    order = np.random.default_rng(turn).permutation(len(rows.score))
    turned = Rows(
        rows.score[order], rows.label[order], rows.cell[order], rows.patient[order], rows.keys
    )
    for one in (bootstrap.auroc, bootstrap.average_precision):
        found = [replicates(r, ARMS, one, n=7, seed=seed) for r in (rows, turned)]
        np.testing.assert_allclose(found[0], found[1], atol=1e-12, equal_nan=True)


def test_blocks_of_any_size_give_the_same(monkeypatch):
    rows = made(4, patients=30, decimals=2)
    whole = replicates(rows, ARMS, bootstrap.auroc, n=23, seed=0)
    left_out = bootstrap.jackknife(rows, ARMS, bootstrap.auroc)
    monkeypatch.setattr("equipoise.metrics.bootstrap.resampling._BLOCK", 70)
    monkeypatch.setattr("equipoise.metrics.bootstrap.resampling._TILE", 100)
    np.testing.assert_array_equal(replicates(rows, ARMS, bootstrap.auroc, n=23, seed=0), whole)
    np.testing.assert_array_equal(bootstrap.jackknife(rows, ARMS, bootstrap.auroc), left_out)


def test_two_models_on_the_same_patients_are_drawn_together():
    rows = made(5)
    other = Rows(rows.score**3, rows.label, rows.cell, rows.patient, rows.keys)
    found = [replicates(r, ARMS, bootstrap.auroc, n=20, seed=0) for r in (rows, other)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


def test_the_jackknife_leaves_a_patient_out_and_not_an_image():
    rows = made(6, patients=25)
    found = bootstrap.jackknife(rows, ARMS[:1], bootstrap.auroc)[:, 0]
    for who in range(25):
        rest = rows.patient != who
        assert found[who] == pytest.approx(roc_auc_score(rows.label[rest], rows.score[rest]))


def test_a_replicate_without_positives_is_undefined_and_not_a_number():
    rows = made(7, patients=12, prevalence=0.1)
    assert 0 < len(np.unique(rows.patient[rows.label])) < 4
    drawn = weights(rows.keys, range(200), seed=0)
    none = (drawn[:, np.unique(rows.patient[rows.label])] == 0).all(axis=1)
    found = replicates(rows, ARMS[:1], bootstrap.auroc, n=200, seed=0)
    assert none.any()
    np.testing.assert_array_equal(np.isnan(found[:, 0]), none)
    assert bootstrap.percentile(found).undefined.tolist() == [int(none.sum())]


def test_an_arm_without_images_stays_and_is_undefined_throughout():
    rows = made(8)
    arms = np.array([[True, True, False], [False, False, True]])
    found = replicates(rows, arms, bootstrap.auroc, n=9, seed=0)
    assert np.isnan(found).all(axis=0).tolist() == [False, True]
    told = bootstrap.percentile(found)
    assert told.undefined.tolist() == [0, 9]
    assert np.isnan(told.low).tolist() == [False, True]


@pytest.mark.parametrize("present", [True, False])
def test_one_class_has_no_auroc(present):
    rows = made(9, patients=10)
    alone = Rows(rows.score, np.full(30, present), rows.cell, rows.patient, rows.keys)
    assert np.isnan(replicates(alone, ARMS, bootstrap.auroc, n=5, seed=0)).all()


def test_scores_that_are_all_equal_rank_nobody():
    rows = made(10)
    flat = Rows(np.full(360, 0.5), rows.label, rows.cell, rows.patient, rows.keys)
    assert (replicates(flat, ARMS, bootstrap.auroc, n=5, seed=0) == 0.5).all()


def test_no_rows_and_no_replicates_are_empty_and_nothing_fails():
    nothing = np.zeros(0)
    rows = Rows(nothing, nothing > 0, nothing.astype(int), nothing.astype(int), keyed([]))
    found = replicates(rows, np.zeros((2, 0), dtype=bool), bootstrap.auroc, n=3, seed=0)
    assert np.isnan(found).all()
    assert found.shape == (3, 2)
    assert replicates(made(0), ARMS, bootstrap.auroc, n=0, seed=0).shape == (0, 3)
