import numpy as np
import pytest
from scipy import optimize

from equipoise.mitigations import Training, adversaries, irm, matching
from equipoise.mitigations.adapters import Layer, _network
from equipoise.mitigations.matching import normed
from equipoise.mitigations.steps import featured

RNG = np.random.default_rng(0)
N = 40
CODES = np.arange(N) % 3
TRUTH = RNG.random(N) < 0.5
VALUES = RNG.normal(size=(N, 2)) + CODES[:, None] * 0.3
UNKNOWN = np.where(np.arange(N) < 5, -1, CODES)


def kernels():
    return matching.kernel_gaps(
        matching.between_groups(UNKNOWN),
        2,
        bandwidths=(0.5, 2.0),
        n_features=40,
        rng=np.random.default_rng(1),
    )


DISCREPANCIES = {
    "means": lambda: matching.mean_gaps(matching.between_groups(UNKNOWN)),
    "means within labels": lambda: matching.mean_gaps(matching.within_labels(UNKNOWN, TRUTH)),
    "kernels": kernels,
    "covariances": lambda: matching.covariance_gaps(UNKNOWN),
    "standardised": lambda: matching.standardised(kernels()),
    "adversary": lambda: adversaries.adversary(UNKNOWN, [np.full(N, True)]),
    "adversaries by label": lambda: adversaries.adversary(UNKNOWN, [TRUTH, ~TRUTH]),
    "scale": lambda: irm.scale_gradients(UNKNOWN, TRUTH),
}


@pytest.mark.parametrize("name", DISCREPANCIES)
def test_a_gradient_is_that_of_its_value(name):
    far = DISCREPANCIES[name]()
    values = VALUES[:, :1] if name == "scale" else VALUES
    shape = values.shape
    found = far(values)[1].ravel()
    numeric = optimize.approx_fprime(values.ravel(), lambda v: far(v.reshape(shape))[0], 1e-6)
    np.testing.assert_allclose(found, numeric, atol=3e-6)


@pytest.mark.parametrize("name", DISCREPANCIES)
def test_rows_of_unknown_group_take_no_part(name):
    if name == "standardised":
        pytest.skip("unknown rows take part in the common scale")
    values = VALUES[:, :1] if name == "scale" else VALUES
    moved = values.copy()
    moved[UNKNOWN < 0] += 5.0
    far = DISCREPANCIES[name]()
    assert far(values)[0] == pytest.approx(DISCREPANCIES[name]()(moved)[0], abs=1e-9)
    assert not far(values)[1][UNKNOWN < 0].any()


def test_the_gradient_of_the_adapter_is_that_of_its_objective():
    rows = Training(VALUES, TRUTH, CODES.astype(str))
    network = _network(rows, Layer(hidden=2, decay=0.3), (0.1, 0.7), kernels())
    flat = RNG.normal(size=2 * 2 + 5)
    numeric = optimize.approx_fprime(flat, lambda v: network.value(v)[0], 1e-6)
    np.testing.assert_allclose(network.value(flat)[1], numeric, atol=3e-6)


def test_an_adapter_scores_as_it_was_fitted():
    rows = Training(VALUES, TRUTH, CODES.astype(str))
    network = _network(rows, Layer(hidden=2), (0.1, 0.0), None)
    flat = RNG.normal(size=2 * 2 + 5)
    found = network.finished(flat, 1, 0.0)
    score = found.probe.scores(featured(found.features, rows.x, None))
    loss = -np.log(np.where(TRUTH, score, 1 - score)).mean()
    matrix, _, weights, _ = network.parts(flat)
    size = ((matrix / normed(network.rows @ matrix)[1]) ** 2).sum()
    expected = loss + 0.05 * weights @ weights + 0.5 * Layer().decay * size
    assert network.value(flat)[0] == pytest.approx(expected, abs=1e-9)


def test_kernel_gaps_approach_the_kernel_itself():
    x = VALUES[:, :1]
    pairs = matching.between_groups(np.arange(N) % 2)
    far = matching.kernel_gaps(
        pairs, 1, bandwidths=(0.7,), n_features=40_000, rng=np.random.default_rng(0)
    )
    kernel = np.exp(-0.7 * (x - x.T) ** 2)
    assert far(x)[0] == pytest.approx(float(pairs[0] @ kernel @ pairs[0]), abs=0.01)


def test_the_adversary_finds_what_a_plain_solver_finds():
    sklearn = pytest.importorskip("sklearn.linear_model")
    groups = np.arange(N) % 2
    values = RNG.normal(size=(N, 1)) + groups[:, None]
    gain = adversaries.adversary(groups, [np.full(N, True)])(values)[0]
    basis = np.hstack([values, values**2 - 1])
    model = sklearn.LogisticRegression(C=1e3, max_iter=1000, tol=1e-10).fit(basis, groups)
    chance = model.predict_proba(basis)[np.arange(N), groups]
    assert gain == pytest.approx(np.log(2) + np.log(chance).mean(), abs=0.01)


@pytest.mark.parametrize("stretch", [1.6, 100.0], ids=["near", "far"])
@pytest.mark.parametrize("parts", [[np.full(N, True)], [TRUTH, ~TRUTH]], ids=["all", "by label"])
def test_an_adversary_ends_in_one_place_wherever_it_begins(parts, stretch):
    gain = adversaries.adversary(UNKNOWN, parts)
    for power in range(5):
        gain(VALUES * 1.1**power)
    moved = VALUES * stretch
    again, anew = gain(moved), adversaries.adversary(UNKNOWN, parts)(moved)
    assert again[0] == pytest.approx(anew[0], abs=1e-12)
    np.testing.assert_allclose(again[1], anew[1], atol=1e-9)


def test_the_curvature_of_an_adversary_of_three_groups_is_that_of_its_loss():
    game = adversaries._Game.of(CODES, np.full(N, True))
    basis = np.vstack([np.ones(N), VALUES.T, VALUES.T**2 - 1])
    phi = np.random.default_rng(2).normal(size=(3, 5))

    def slope(flat):
        return game._seen(basis, flat.reshape(3, 5), "log").gradient.ravel()

    numeric = optimize.approx_fprime(phi.ravel(), slope, 1e-6)
    inverse = game._inverse(basis, game._seen(basis, phi, "log").share)
    np.testing.assert_allclose(inverse @ numeric, np.eye(15), atol=1e-4)


def test_cosine_and_sine_of_one_tangent_are_exact_to_rounding():
    at = np.concatenate([np.pi * np.arange(-9, 10) / 2, np.linspace(-300, 300, 1001)])
    for found, exact in zip(matching._turned(at), (np.cos(at), np.sin(at)), strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-15)
