import numpy as np
import pytest
from scipy import optimize

from equipoise.mitigations import Training, cells, group_dro, plain, reweighting
from tests.mitigations.made import training

RNG = np.random.default_rng(0)


def reference(rows, penalty, by):
    """Minimise the worst loss as a constrained problem: least t with every group's loss below."""
    names, codes = cells(rows, by)
    x = (rows.x - rows.x.mean(axis=0)) / rows.x.std(axis=0)
    truth = rows.y.astype(float)

    def losses(point):
        logit = x @ point[:-2] + point[-2]
        loss = np.logaddexp(0, logit) - truth * logit
        return np.array([loss[codes == i].mean() for i in range(len(names))])

    found = optimize.minimize(
        lambda point: point[-1] + penalty / 2 * point[:-2] @ point[:-2],
        np.append(np.zeros(x.shape[1] + 1), 1.0),
        constraints={"type": "ineq", "fun": lambda point: point[-1] - losses(point)},
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 500},
    )
    assert found.success
    return found.fun


@pytest.mark.parametrize("by", ["label_group", "group"])
def test_the_minimum_agrees_with_a_constrained_solver(by):
    rows = training()
    parameters = {"groups": by, "tolerance": 1e-4}
    found = group_dro.fit(rows, penalty=0.1, parameters=parameters, rng=RNG)
    reached = found.group_losses.max() + 0.05 * found.probe.weights @ found.probe.weights
    expected = reference(rows, 0.1, by)
    assert expected - 1e-6 <= reached <= expected + 1e-4
    assert found.gap <= 1e-4


def test_no_other_candidate_has_a_smaller_worst_loss_at_little_penalty():
    rows = training(n=1000)
    worst = {
        module.__name__: module.fit(rows, penalty=1e-4, parameters={}, rng=RNG).group_losses.max()
        for module in (plain, reweighting, group_dro)
    }
    assert min(worst, key=worst.__getitem__) == group_dro.__name__
    assert worst[group_dro.__name__] < worst[plain.__name__] - 0.3


def test_the_best_group_pays_for_the_worst():
    rows = training(n=1000)
    one = plain.fit(rows, penalty=0.01, parameters={}, rng=RNG)
    other = group_dro.fit(rows, penalty=0.01, parameters={}, rng=RNG)
    assert other.group_losses.max() < one.group_losses.max()
    assert other.group_losses.min() > one.group_losses.min()


def test_one_group_of_both_labels_is_plain_training():
    rows = training()
    alone = Training(rows.x, rows.y, np.full(len(rows.y), "A"))
    one = group_dro.fit(alone, penalty=0.1, parameters={"groups": "group"}, rng=RNG)
    other = plain.fit(alone, penalty=0.1, parameters={}, rng=RNG)
    np.testing.assert_allclose(one.probe.weights, other.probe.weights, atol=1e-5)


def test_the_adjustment_lifts_the_small_group():
    rows = training()
    weight = {}
    for adjustment in (0.0, 3.0):
        parameters = {"groups": "group", "adjustment": adjustment}
        found = group_dro.fit(rows, penalty=0.1, parameters=parameters, rng=RNG)
        weight[adjustment] = dict(zip(found.groups, found.group_weights, strict=True))["B"]
    assert weight[3.0] > weight[0.0]


def test_a_handful_of_unknown_group_do_not_rule_the_fit():
    rows = training(unknown=3)
    rows.y[:3] = ~rows.y[:3]
    named = Training(rows.x, rows.y, np.where(rows.groups == "unknown", "C", rows.groups))
    one = group_dro.fit(rows, penalty=0.1, parameters={}, rng=RNG)
    other = group_dro.fit(named, penalty=0.1, parameters={}, rng=RNG)
    assert one.group_losses.max() < other.group_losses.max()


def test_those_of_unknown_group_are_trained_on_all_the_same():
    rows = training(unknown=100)
    known = rows.groups != "unknown"
    without = Training(rows.x[known], rows.y[known], rows.groups[known])
    turned = Training(rows.x, np.where(known, rows.y, ~rows.y), rows.groups)
    alone, one, other = (
        group_dro.fit(which, penalty=0.1, parameters={}, rng=RNG).probe.scores(rows.x)
        for which in (without, rows, turned)
    )
    assert abs(one - other).max() > 0.05
    assert abs(one - alone).max() > 0.01
