import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.probes import Columns, Part, fit_ridge, gather
from tests.probes.made import rows, standardised


def grouped(n=300, d=6, dtype=np.float64):
    x, y, rng = rows(n, d)
    return Part(x.astype(dtype), y, np.ones((n, 1)), rng.integers(0, 4, n)), rng


def columns_of(labels=3, patterns=2, penalties=(1e-3, 1.0)):
    label, pattern, penalty = (
        one.ravel() for one in np.meshgrid(range(labels), range(patterns), penalties)
    )
    return Columns(label.astype(int), pattern.astype(int), penalty)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [300, 20_000])
def test_it_is_the_closed_form_and_that_of_scikit_learn(dtype, n):
    part, rng = grouped(n, dtype=dtype)
    weights = rng.uniform(0.1, 3.0, (2, 4))
    columns = columns_of()
    fits = fit_ridge(gather(part), columns, weights)
    assert fits.converged.all()
    close = 1e-9 if dtype == np.float64 else 1e-5
    for at in range(len(columns)):
        share = weights[columns.pattern[at]][part.groups]
        share, penalty = share / share.sum(), columns.penalty[at]
        y, z = part.labels[:, columns.label[at]] * 1.0, standardised(part.x, share)
        hessian = (z * share[:, None]).T @ z + penalty * np.eye(6)
        expected = np.linalg.solve(hessian, z.T @ (share * (y - share @ y)))
        np.testing.assert_allclose(fits.weights[at, 0], expected, atol=close)
        assert fits.intercept[at, 0] == pytest.approx(share @ y, abs=close)
        model = Ridge(alpha=penalty, tol=1e-12).fit(z, y, sample_weight=share)
        np.testing.assert_allclose(fits.weights[at, 0], model.coef_, atol=close)
        predicted = fits.outputs(part.x)[:, at, 0]
        np.testing.assert_allclose(predicted, model.predict(z), atol=close)
        value = 0.5 * share @ (y - predicted) ** 2 + penalty / 2 * (expected**2).sum()
        assert fits.value[at] == pytest.approx(value, abs=close)
        residual = share * (predicted - y)
        gradient = z.T @ residual + penalty * fits.weights[at, 0]
        assert fits.gradient_norm[at] == pytest.approx(np.abs(gradient).max(), abs=close / 10)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 99), st.integers(0, 2**32 - 1))
def test_grams_of_parts_add_and_the_order_of_rows_does_not_matter(cut, seed):
    part, _ = grouped(n=100)
    order = np.random.default_rng(seed).permutation(100)
    parts = [
        Part(part.x[some], part.labels[some], part.weights[some], part.groups[some])
        for some in (order[:cut], order[cut:])
    ]
    whole, split = gather(part), gather(parts)
    np.testing.assert_array_equal(whole.grams.sizes, split.grams.sizes)
    weights, columns = np.arange(8.0).reshape(2, 4), columns_of()
    a, b = (fit_ridge(one, columns, weights) for one in (whole, split))
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-9)


def test_a_group_without_weight_is_absent():
    part, _ = grouped()
    inside = part.groups != 2
    rest = Part(part.x[inside], part.labels[inside], part.weights[inside], part.groups[inside])
    weights = np.array([[1.0, 2.0, 0.0, 3.0]])
    a, b = (fit_ridge(gather(one), columns_of(patterns=1), weights) for one in (part, rest))
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-10)
    np.testing.assert_allclose(a.scale, b.scale, rtol=1e-12)


@pytest.mark.parametrize("penalty", [1e-14, 1e-6, 1e9])
def test_extreme_penalties_and_collinear_columns_are_solved(penalty):
    part, _ = grouped()
    twice = dataclasses.replace(part, x=np.hstack([part.x, part.x, np.full((300, 1), 5.0)]))
    columns = columns_of(1, 1, (penalty,))
    fits = fit_ridge(gather(twice), columns, np.ones((1, 4)))
    assert fits.gradient_norm[0] < 1e-9
    assert fits.scale[0, -1] == 1.0
    once = fit_ridge(gather(part), columns_of(1, 1, (penalty / 2,)), np.ones((1, 4)))
    together = fits.weights[0, 0, :6] + fits.weights[0, 0, 6:12]
    np.testing.assert_allclose(together, once.weights[0, 0], atol=1e-6)


def test_numbers_of_more_than_two_kinds_are_predicted_as_numbers():
    part, _ = grouped()
    counts = part.labels.sum(axis=1, keepdims=True)
    fits = fit_ridge(
        gather(dataclasses.replace(part, labels=counts)), columns_of(1, 1), np.ones((1, 4))
    )
    model = Ridge(alpha=1e-3 * 300).fit(standardised(part.x, np.ones(300)), counts[:, 0])
    np.testing.assert_allclose(fits.weights[0, 0], model.coef_, atol=1e-9)


def test_a_label_that_does_not_vary_is_refused_naming_the_column():
    part, _ = grouped()
    part.labels[part.groups == 1, 2] = True
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0]])
    n = int((part.groups == 1).sum())
    columns = Columns(np.array([2, 2]), np.array([0, 1]), np.ones(2), ["all", "one group"])
    with pytest.raises(InvalidTable, match=f"column 'one group': labels: all {n} are 1; expected"):
        fit_ridge(gather(part), columns, weights)


def test_weights_that_are_all_zero_or_none_are_refused():
    part, _ = grouped()
    gathered, columns = gather(part), columns_of(1, 1)
    with pytest.raises(InvalidTable, match="column 0: weights: all are 0; expected some above"):
        fit_ridge(gathered, columns, np.zeros((1, 4)))
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(InvalidTable, match="group weights: expected finite numbers, 0 or more"):
            fit_ridge(gathered, columns, np.full((1, 4), bad))
    with pytest.raises(
        InvalidTable, match=r"group weights: shape \(1, 3\); expected \(patterns, 4"
    ):
        fit_ridge(gathered, columns, np.ones((1, 3)))
    with pytest.raises(InvalidConfiguration, match="column 0: label 9; expected 0 to 2"):
        fit_ridge(gathered, Columns(np.array([9]), np.array([0]), np.ones(1)), np.ones((1, 4)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_embedding_that_is_no_number_is_refused_by_row(bad):
    x, y, _ = rows(n=9000, d=3)
    x[4001, 1] = bad
    part = Part(x, y, np.ones((9000, 1)), np.arange(9000) % 2)
    with pytest.raises(
        InvalidTable, match="1 of 9000 rows hold NaN or infinity, the first row 4001"
    ):
        gather(part)
