"""Members against other ways of computing the same thing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations import (
    Training,
    calibrated_equalised_odds,
    cvar_dro,
    dfr,
    domain_independent,
    equalised_odds,
    group_normalisation,
    leace,
    mixup,
    plain,
    proxy,
    recalibration,
    score_matching,
    scores,
)
from equipoise.mitigations.lisa import partners
from equipoise.mitigations.orders import canonical, fingerprints, folds
from equipoise.mitigations.steps import Step, drawn, featured, finished
from tests.mitigations.made import training


def rng():
    return np.random.default_rng(0)


def given_to(member, rows, penalty=0.1, **parameters):
    return member.fit(rows, penalty=penalty, parameters=parameters, rng=rng())


def test_cvar_agrees_with_a_constrained_solver():
    rows, worst = training(n=120), 0.5
    found = given_to(cvar_dro, rows, worst=worst, tolerance=1e-4)
    x = (rows.x - rows.x.mean(axis=0)) / rows.x.std(axis=0)
    n, d = x.shape
    sign = np.where(rows.y, 1.0, -1.0)

    def objective(point):  # weights, intercept, quantile, excess of each row
        w = point[:d]
        return point[d + 1] + point[d + 2 :].mean() / worst + 0.05 * w @ w

    def slack(point):
        loss = np.logaddexp(0, -sign * (x @ point[:d] + point[d]))
        return point[d + 2 :] - (loss - point[d + 1])

    best = optimize.minimize(
        objective,
        np.concatenate([np.zeros(d + 1), [0.6], np.full(n, 0.2)]),
        constraints={"type": "ineq", "fun": slack},
        bounds=[(None, None)] * (d + 2) + [(0, None)] * n,
        method="SLSQP",
        options={"maxiter": 300},
    )
    w = found.probe.weights
    score = scores(found, rows.x).astype(float)
    loss = np.sort(-np.log(np.where(rows.y, score, 1 - score)))[-n // 2 :]
    assert loss.mean() + 0.05 * w @ w == pytest.approx(best.fun, abs=3e-4)


def test_cvar_of_all_rows_is_plain_training():
    rows = training()
    one, other = given_to(cvar_dro, rows, worst=1.0, tolerance=1e-5), given_to(plain, rows)
    np.testing.assert_allclose(scores(one, rows.x), scores(other, rows.x), atol=2e-3)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_dfr_on_balanced_cells_ends_where_no_weight_wants_to_move(norm):
    drawn_rows = training(n=600)
    codes = np.unique(drawn_rows.groups, return_inverse=True)[1] * 2 + drawn_rows.y
    few = np.bincount(codes).min()
    keep = np.concatenate([np.flatnonzero(codes == cell)[:few] for cell in range(4)])
    rows = Training(drawn_rows.x[keep], drawn_rows.y[keep], drawn_rows.groups[keep])
    found = given_to(dfr, rows, penalty=0.05, norm=norm, subsets=3)
    x = (rows.x - rows.x.mean(axis=0)) / rows.x.std(axis=0)
    w = found.probe.weights
    slope = x.T @ (found.probe.scores(rows.x) - rows.y) / len(keep)
    if norm == "l2":
        np.testing.assert_allclose(slope, -0.05 * w, atol=1e-5)
    else:
        there = w != 0
        assert 0 < there.sum() < 4
        np.testing.assert_allclose(slope[there], -0.05 * np.sign(w[there]), atol=1e-5)
        assert (np.abs(slope[~there]) <= 0.05 + 1e-5).all()
    assert found.converged


def test_the_mean_of_heads_is_the_mean_of_their_log_odds():
    rows = training()
    found = given_to(domain_independent, rows)
    heads = [
        probes.fit_logistic(rows.x[inside], rows.y[inside], penalty=0.1).scores(rows.x)
        for inside in (rows.groups == "A", rows.groups == "B")
    ]
    logit = np.mean([np.log(one / (1 - one)) for one in heads], axis=0)
    np.testing.assert_allclose(scores(found, rows.x), probes.probability(logit), atol=1e-6)


def test_erasure_leaves_no_covariance_and_moves_less_than_projecting_the_means_out():
    rows = training(n=500)
    x = rows.x @ np.array([[1, 0.9, 0, 0], [0, 0.3, 0, 0.2], [0, 0, 2, 1], [0.5, 0, 0, 1]])
    x[rows.groups == "B"] += np.array([1.0, 0.5, 0.0, 0.0])
    codes = (rows.groups == "B").astype(np.int64)
    moved = featured(leace.erasure(x, codes, 2), x, None)
    gap = moved[codes == 1].mean(axis=0) - moved[codes == 0].mean(axis=0)
    np.testing.assert_allclose(gap, 0.0, atol=1e-10)
    raw = x[codes == 1].mean(axis=0) - x[codes == 0].mean(axis=0)
    along = np.outer(raw, raw) / (raw @ raw)
    projected = x - (x - x.mean(axis=0)) @ along
    assert ((moved - x) ** 2).mean() < ((projected - x) ** 2).mean()


def test_erasure_leaves_directions_without_variance_alone():
    x = np.hstack([training().x, np.full((300, 1), 7.0)])
    codes = (training().groups == "B").astype(np.int64)
    moved = featured(leace.erasure(x, codes, 2), x, None)
    np.testing.assert_allclose(moved[:, -1], 7.0)


def test_normalised_groups_have_one_mean_and_spread_and_unknown_the_pooled():
    rows = training()
    found = given_to(group_normalisation, rows)
    for name in ("A", "B"):
        inside = rows.groups == name
        moved = featured(found.features, rows.x[inside], rows.groups[inside])
        np.testing.assert_allclose(moved.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(moved.std(axis=0), 1, atol=1e-9)
    moved = featured(found.features, rows.x, np.full(300, "unknown"))
    np.testing.assert_allclose(moved.std(axis=0), 1, atol=1e-9)


def test_a_share_of_nothing_is_plain_training():
    rows = training()
    one = given_to(group_normalisation, rows, share=0)
    np.testing.assert_allclose(
        scores(one, rows.x, rows.groups), scores(given_to(plain, rows), rows.x), atol=1e-6
    )


def test_mixtures_are_soft_labels():
    rows = training(n=60)
    first, second = np.arange(60), np.arange(60)[::-1]
    share = rng().beta(0.5, 0.5, size=60)
    found = mixup.fit_mixed(rows, first, second, share, penalty=0.1, start=None)
    x = rows.x * share[:, None] + rows.x[::-1] * (1 - share)[:, None]
    soft = rows.y * share + rows.y[::-1] * (1 - share)
    standard = (x - found.mean) / found.scale

    def objective(point):
        logit = standard @ point[:-1] + point[-1]
        return (np.logaddexp(0, logit) - soft * logit).mean() + 0.05 * point[:-1] @ point[:-1]

    best = optimize.minimize(objective, np.zeros(5), options={"gtol": 1e-9})
    np.testing.assert_allclose(found.weights, best.x[:-1], atol=1e-4)


def test_a_partner_keeps_one_of_label_and_group_and_changes_the_other():
    y = rng().random(200) < 0.5
    codes = rng().integers(-1, 3, size=200)
    first = np.arange(200)
    within = rng().random(200) < 0.5
    second = partners(y, codes, first, within=within, chance=rng().random(200))
    known = codes >= 0
    kept = known & within
    assert (y[second] == y)[kept].all()
    assert (codes[second] != codes)[kept].all()
    assert (y[second] != y)[known & ~within].all()
    assert (codes[second] == codes)[known & ~within].all()
    assert (second == first)[~known].all()


def test_k_means_is_as_tight_as_that_of_scikit_learn():
    cluster = pytest.importorskip("sklearn.cluster")
    x = rng().normal(size=(200, 3)) + rng().integers(0, 3, size=200)[:, None] * 3.0
    codes = proxy.k_means(x, 3, starts=5, rng=rng())
    spread = sum(((x[codes == k] - x[codes == k].mean(axis=0)) ** 2).sum() for k in range(3))
    theirs = cluster.KMeans(3, n_init=10, random_state=0).fit(x).inertia_
    assert spread == pytest.approx(theirs, rel=1e-6)
    assert (np.diff(np.bincount(codes)) <= 0).all()


def test_fewer_rows_than_clusters_are_refused():
    with pytest.raises(InvalidTable, match="2 rows of label False for 4 clusters"):
        given_to(proxy, Training(np.eye(8), np.arange(8) > 1, np.full(8, "A")))


def test_matched_means_agree_with_another_solver():
    rows = training()
    found = given_to(score_matching, rows, strength=2.0)
    x = (rows.x - rows.x.mean(axis=0)) / rows.x.std(axis=0)
    truth = rows.y.astype(float)

    def objective(point):
        logit = x @ point[:-1] + point[-1]
        gaps = [
            logit[(rows.y == label) & (rows.groups == name)].mean() - logit[rows.y == label].mean()
            for label in (False, True)
            for name in ("A", "B")
        ]
        loss = (np.logaddexp(0, logit) - truth * logit).mean()
        return loss + 0.05 * point[:-1] @ point[:-1] + 2.0 * np.mean(np.square(gaps))

    best = optimize.minimize(objective, np.zeros(5), options={"gtol": 1e-9})
    np.testing.assert_allclose(found.probe.weights, best.x[:-1], atol=1e-4)
    assert found.converged


def test_recalibration_by_intercept_meets_the_prevalence_of_each_group():
    logit = rng().normal(size=400)
    y = rng().random(400) < 0.3
    slope, intercept = recalibration._line(logit, y, "intercept", "A")
    assert slope == 1.0
    assert probes.probability(logit + intercept).mean() == pytest.approx(y.mean(), abs=1e-9)


def test_scores_that_fall_as_the_label_rises_are_not_turned_over():
    y = np.arange(100) % 2 == 0
    with pytest.raises(InvalidTable, match=r"the scores of 'A' fall .*slope above 0"):
        recalibration._line(np.where(y, -1.0, 1.0) + rng().normal(size=100), y, "platt", "A")


def _rates(step, score, name, y):
    called = finished(step, score, np.full(len(score), name)) >= 0.5
    return called[~y].mean(), called[y].mean()


def test_the_derived_predictor_reaches_the_common_point_in_every_group():
    draws = rng()
    n = 40_000
    y = draws.random(n) < 0.4
    hulls, scored = [], {}
    for name, far in (("A", 2.0), ("B", 1.0)):
        scored[name] = probes.probability(draws.normal(size=n) + far * y - 0.5)
        hulls.append(equalised_odds.hull(scored[name].astype(np.float32), y))
    point = equalised_odds.common_point(hulls, 0.5)
    step = equalised_odds.derived([*hulls, hulls[0]], ("A", "B"), point, 7)
    for name in ("A", "B"):
        assert _rates(step, scored[name], name, y) == pytest.approx(point, abs=0.01)


def test_the_common_point_is_the_best_of_a_grid_below_all_hulls():
    draws = rng()
    y = draws.random(400) < 0.4
    hulls = [
        equalised_odds.hull(draws.normal(size=400) * spread + y, y) for spread in (0.5, 1.0, 2.0)
    ]
    x = np.linspace(0, 1, 20_001)
    below = np.min([np.interp(x, one.x, one.y) for one in hulls], axis=0)
    for prevalence in (0.2, 0.5):
        found = equalised_odds.common_point(hulls, prevalence)
        reached = prevalence * found[1] + (1 - prevalence) * (1 - found[0])
        best = (prevalence * below + (1 - prevalence) * (1 - x)).max()
        assert reached == pytest.approx(best, abs=1e-4)


def test_a_hull_is_that_of_a_generic_algorithm():
    metrics = pytest.importorskip("sklearn.metrics")
    y = rng().random(60) < 0.5
    score = rng().normal(size=60) + y
    x, height, _ = metrics.roc_curve(y, score, drop_intermediate=False)
    found = equalised_odds.hull(score, y)
    on = np.interp(x, found.x[found.x > 0], found.y[found.x > 0], left=1.0)
    assert (height <= on + 1e-9).all()
    slopes = np.diff(found.y) / np.maximum(np.diff(found.x), 1e-12)
    assert (np.diff(slopes) < 0).all()


def test_withholding_raises_a_groups_cost_to_the_target():
    draws = rng()
    y = draws.random(50_000) < 0.4
    score = probes.probability(draws.normal(size=50_000) + 2.0 * y - 1.0)
    cost = calibrated_equalised_odds.costs(score, y, "fnr")
    base = np.full(len(y), float(y.mean()))
    trivial = calibrated_equalised_odds.costs(base, y, "fnr")
    share = calibrated_equalised_odds.withheld_shares(
        np.array([cost, cost + 0.1]), np.array([trivial, trivial])
    )
    arrays = {"share": np.append(share[:1], 0.0), "rate": base[:2], "salt": np.array([3.0])}
    found = finished(Step("withheld", arrays, ("A",)), score, np.full(len(y), "A"))
    assert calibrated_equalised_odds.costs(found, y, "fnr") == pytest.approx(cost + 0.1, abs=0.01)


def test_draws_are_even_and_differ_by_salt():
    score = probes.probability(rng().normal(size=20_000))
    one, other = drawn(score, 1), drawn(score, 2)
    assert np.histogram(one, 20, (0, 1))[0] / 1000 == pytest.approx(np.ones(20), abs=0.12)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one, score)[0, 1]) < 0.03
    assert one.max() < 1.0


@given(st.integers(0, 1000), st.integers(2, 6))
def test_folds_keep_patients_together_whatever_the_order_of_rows(seed, n_folds):
    draws = np.random.default_rng(seed)
    n = 30
    rows = Training(
        draws.normal(size=(n, 2)), draws.random(n) < 0.5, np.full(n, "A"), draws.integers(0, 12, n)
    )
    order = draws.permutation(n)
    turned = Training(rows.x[order], rows.y[order], rows.groups[order], rows.patients[order])
    one = folds(rows, n_folds, rng())
    assert one[order].tolist() == folds(turned, n_folds, rng()).tolist()
    for patient in set(rows.patients.tolist()):
        assert len(set(one[rows.patients == patient].tolist())) == 1


def test_fewer_patients_than_folds_are_refused():
    rows = Training(np.eye(4), np.arange(4) > 1, np.full(4, "A"), np.array([0, 0, 1, 1]))
    with pytest.raises(InvalidTable, match="2 patients for 3 folds"):
        folds(rows, 3, rng())


def test_rows_in_canonical_order_are_those_given():
    rows = training()
    found = canonical(rows)
    assert sorted(map(tuple, found.x.tolist())) == sorted(map(tuple, rows.x.tolist()))
    assert len(np.unique(fingerprints(rows))) == len(rows.y)
    assert (fingerprints(rows) != fingerprints(Training(rows.x, ~rows.y, rows.groups))).all()
