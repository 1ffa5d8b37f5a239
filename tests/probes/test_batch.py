import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.probes import (
    Access,
    Columns,
    Part,
    fit_batch,
    fit_logistic,
    fit_ridge,
    gather,
    local,
)
from tests.probes.made import batch, logistic_gradient, rows, standardised


def one(penalty=0.1, names=()):
    zero = np.zeros(1, int)
    return Columns(zero, zero, np.array([penalty]), names)


def simple(x, y, weights=None):
    n = len(x)
    weights = np.ones((n, 1)) if weights is None else weights[:, None]
    return Part(x, y[:, None], weights, np.zeros(n, int))


def by_newton(x, y, weights, penalty):
    """Fit the same objective in scikit-learn, to a very small gradient."""
    model = LogisticRegression(
        C=1 / (penalty * weights.sum()), tol=1e-12, max_iter=1000, solver="newton-cholesky"
    )
    model.fit(standardised(x, weights), y, sample_weight=weights)
    return model


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_every_fit_agrees_with_scikit_learn(dtype, tolerance):
    part, columns = batch(dtype=dtype)
    fits = fit_batch(part, columns, tolerance=tolerance)
    assert fits.converged.all()
    assert fits.failures == []
    for at in range(len(columns)):
        weights = part.weights[:, columns.pattern[at]]
        y = part.labels[:, columns.label[at]]
        model = by_newton(part.x, y, weights, columns.penalty[at])
        close = 1e-4 if dtype == np.float32 else 1e-6
        np.testing.assert_allclose(fits.weights[at, 0], model.coef_[0], atol=close, rtol=close)
        assert fits.intercept[at, 0] == pytest.approx(model.intercept_[0], abs=close)
        logit = model.decision_function(standardised(part.x, weights))
        loss = np.average(np.logaddexp(0, logit) - y * logit, weights=weights)
        best = loss + columns.penalty[at] / 2 * (model.coef_**2).sum()
        assert fits.value[at] == pytest.approx(best, abs=1e-7 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize(("dtype", "noise"), [(np.float64, 1e-12), (np.float32, 2e-7)])
def test_the_gradient_norm_that_is_reported_is_the_true_one(dtype, noise):
    part, columns = batch(dtype=dtype)
    for tolerance in (1e-2, 1e-6):
        fits = fit_batch(part, columns, tolerance=tolerance)
        for at in range(len(columns)):
            gradient, value = logistic_gradient(fits, part, at)
            assert fits.gradient_norm[at] == pytest.approx(np.abs(gradient).max(), abs=noise)
            assert fits.value[at] == pytest.approx(value, abs=noise)
    assert (fits.gradient_norm > 0).all()


def test_fits_together_equal_fits_alone():
    part, columns = batch()
    together = fit_batch(part, columns, tolerance=1e-9)
    for at in (0, 5, 11, 23):
        column = Columns(columns.label[[at]], columns.pattern[[at]], columns.penalty[[at]])
        alone = fit_batch(part, column, tolerance=1e-9)
        np.testing.assert_allclose(together.weights[at], alone.weights[0], atol=1e-6)
        assert together.passes[at] == alone.passes[0]


def test_a_fit_is_that_of_the_single_solver():
    part, columns = batch()
    fits = fit_batch(part, columns, tolerance=1e-8)
    for at in (3, 14):
        single = fit_logistic(
            part.x,
            part.labels[:, columns.label[at]],
            weights=part.weights[:, columns.pattern[at]],
            penalty=columns.penalty[at],
        )
        probe = fits.probe(at)
        np.testing.assert_allclose(probe.weights, single.weights, atol=1e-6)
        np.testing.assert_allclose(probe.mean, single.mean, rtol=1e-12)
        np.testing.assert_allclose(probe.scale, single.scale, rtol=1e-12)
        np.testing.assert_allclose(probe.scores(part.x), single.scores(part.x), atol=1e-7)
        logit = fits.outputs(part.x)[:, at, 0]
        np.testing.assert_allclose(1 / (1 + np.exp(-logit)), probe.scores(part.x), atol=1e-12)
        assert probe.converged


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_parts_are_fitted_as_their_whole(dtype):
    part, columns = batch(dtype=dtype)
    cuts = [slice(0, 7), slice(7, 7), slice(7, 180), slice(180, None)]
    parts = [
        Part(part.x[cut], part.labels[cut], part.weights[cut], part.groups[cut]) for cut in cuts
    ]
    whole, split = (fit_batch(data, columns, tolerance=1e-6) for data in (part, parts))
    assert whole.converged.all()
    assert split.converged.all()
    close = 1e-6 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(split.outputs(part.x), whole.outputs(part.x), atol=close)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed):
    part, columns = batch(n=80, d=3)
    order = np.random.default_rng(seed).permutation(80)
    turned = Part(part.x[order], part.labels[order], part.weights[order], part.groups[order])
    a, b = (fit_batch(data, columns, tolerance=1e-9) for data in (part, turned))
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=60, max_size=60))
def test_groups_change_no_fit(groups):
    part, columns = batch(n=60, d=3)
    other = dataclasses.replace(part, groups=np.array(groups))
    a, b = (fit_batch(data, columns, tolerance=1e-9) for data in (part, other))
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-6)


def test_a_weight_of_zero_is_an_absent_row_whatever_its_label():
    x, y, _ = rows(n=120)
    seen = np.arange(120) % 4 > 0
    labels = np.where(seen[:, None], y, 7).astype(int)  # no class of this number
    fits = fit_batch(simple(x, labels[:, 0], seen * 2.0), one(), tolerance=1e-9)
    rest = fit_batch(simple(x[seen], y[seen, 0]), one(), tolerance=1e-9)
    np.testing.assert_allclose(fits.weights, rest.weights, atol=1e-9)
    np.testing.assert_allclose(fits.mean, rest.mean, rtol=1e-12)


def test_only_ratios_of_weights_count():
    part, columns = batch(dtype=np.float32)
    scaled = dataclasses.replace(part, weights=part.weights * np.array([1e-30, 1.0, 1e30, 7.0]))
    a, b = fit_batch(part, columns), fit_batch(scaled, columns)
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


def test_a_start_saves_passes_and_changes_nothing():
    part, columns = batch()
    cold = fit_batch(part, columns, tolerance=1e-8)
    again = fit_batch(part, columns, tolerance=1e-8, start=cold)
    assert (again.passes == 1).all()
    np.testing.assert_allclose(again.weights, cold.weights, atol=1e-12)
    heavier = Columns(columns.label, columns.pattern, columns.penalty * 1.1)
    warm = fit_batch(part, heavier, tolerance=1e-8, start=cold)
    reference = fit_batch(part, heavier, tolerance=1e-8)
    assert warm.passes.mean() < reference.passes.mean()
    np.testing.assert_allclose(warm.weights, reference.weights, atol=1e-6)


@pytest.mark.parametrize("penalty", [1e-9, 1e-6, 1e3, 1e9])
def test_extreme_penalties_are_solved(penalty):
    x, y, _ = rows()
    fits = fit_batch(simple(x, y[:, 0]), one(penalty), tolerance=1e-10)
    assert fits.converged.all()
    assert fits.passes[0] < 60
    model = by_newton(x, y[:, 0], np.ones(len(x)), penalty)
    np.testing.assert_allclose(fits.weights[0, 0], model.coef_[0], atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_separable_labels_are_solved_to_the_stated_gradient(dtype):
    x, _, _ = rows()
    y = x[:, 0] > np.median(x[:, 0])
    fits = fit_batch(simple(x.astype(dtype), y), one(1e-6), tolerance=1e-7)
    assert fits.converged.all()
    gradient, _ = logistic_gradient(fits, simple(x.astype(dtype), y), 0)
    assert np.abs(gradient).max() < (5e-7 if dtype == np.float32 else 1.01e-7)
    scores = fits.probe(0).scores(x.astype(dtype))
    assert ((scores > 0.5) == y).all()


def test_more_dimensions_than_rows_are_solved():
    x, y, _ = rows(n=60, d=150)
    fits = fit_batch(simple(x, y[:, 0]), one(1e-4), tolerance=1e-9)
    assert fits.converged.all()
    model = by_newton(x, y[:, 0], np.ones(60), 1e-4)
    np.testing.assert_allclose(fits.weights[0, 0], model.coef_[0], atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_column_has_no_weight_and_scale_one(dtype):
    x, y, _ = rows()
    flat = np.hstack([x, np.full((len(x), 1), 1000.1), np.zeros((len(x), 1))]).astype(dtype)
    fits = fit_batch(simple(flat, y[:, 0]), one(1e-3), tolerance=1e-7)
    plain = fit_batch(simple(x.astype(dtype), y[:, 0]), one(1e-3), tolerance=1e-7)
    assert fits.scale[0, -2:].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(fits.weights[0, 0, -2:], 0.0, atol=1e-6)
    np.testing.assert_allclose(fits.weights[0, 0, :-2], plain.weights[0, 0], atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 3.0])
def test_a_column_that_is_constant_where_there_is_weight_is_constant(value):
    x, y, rng = rows(n=3000)
    inside = np.arange(3000) % 2 > 0
    site = np.where(inside, value, 7.3)[:, None]
    weights = inside * rng.uniform(0.1, 3.0, 3000)
    part = simple(np.hstack([x, site]).astype(np.float32), y[:, 0], weights)
    fits = fit_batch(part, one(1e-3))
    assert fits.scale[0, -1] == 1.0
    assert fits.converged.all()
    assert abs(fits.weights[0, 0, -1]) < 1e-3


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_more_rows_than_a_block_are_all_counted(dtype):
    part, columns = batch(n=9500, d=4, dtype=dtype, findings=1)
    fits = fit_batch(part, columns, tolerance=1e-7)
    assert fits.converged.all()
    for at in range(len(columns)):
        gradient, value = logistic_gradient(fits, part, at)
        assert np.abs(gradient).max() < 3e-7
        assert fits.value[at] == pytest.approx(value, abs=1e-7)
        weights = part.weights[:, columns.pattern[at]]
        mean = np.average(part.x.astype(np.float64), axis=0, weights=weights)
        scale = np.sqrt(np.average((part.x - mean) ** 2, axis=0, weights=weights))
        np.testing.assert_allclose(fits.mean[at], mean, rtol=1e-12)
        np.testing.assert_allclose(fits.scale[at], scale, rtol=1e-12)


def test_rows_far_from_zero_lose_nothing_in_float32():
    x, y, _ = rows()
    z = (x - x.mean(0)) / x.std(0)
    far = (np.round(z * 1024) / 1024 + 4096.0).astype(np.float32)  # exact in float32
    near = (far.astype(np.float64) - 4096.0).astype(np.float32)
    a, b = (fit_batch(simple(one_x, y[:, 0]), one(1e-3)) for one_x in (far, near))
    assert a.converged.all()
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


def test_memory_mapped_rows_are_fitted_as_they_are(tmp_path):
    part, columns = batch(dtype=np.float32)
    np.save(tmp_path / "x.npy", part.x)
    mapped = dataclasses.replace(part, x=np.load(tmp_path / "x.npy", mmap_mode="r"))
    a, b = fit_batch(part, columns), fit_batch(mapped, columns)
    assert a.weights.tobytes() == b.weights.tobytes()


def test_what_does_not_converge_is_said():
    part, _ = batch()
    zero = np.zeros(2, int)
    columns = Columns(zero, zero, np.array([1e-6, 1e6]), ["edema", "heavy"])
    fits = fit_batch(part, columns, passes=3, tolerance=1e-9)
    assert fits.converged.tolist() == [False, True]
    assert len(fits.failures) == 1
    assert "column 'edema': gradient norm " in fits.failures[0]
    assert "after 3 passes; expected at most 1.0e-09" in fits.failures[0]


def test_a_tolerance_below_rounding_ends_and_is_said():
    part, columns = batch(dtype=np.float32)
    fits = fit_batch(part, columns, tolerance=1e-15)
    assert not fits.converged.any()
    assert (fits.gradient_norm < 1e-6).all()
    assert (fits.passes < 300).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_multinomial_agrees_with_scikit_learn(dtype):
    x, y, rng = rows(n=400)
    codes = y[:, 0] + 2 * (y[:, 1] & ~y[:, 0])
    weights = rng.uniform(0.2, 2.0, (400, 2))
    part = Part(x.astype(dtype), codes[:, None], weights, np.arange(400) % 3)
    columns = Columns(np.zeros(4, int), np.array([0, 0, 1, 1]), np.array([1e-3, 1.0, 1e-3, 1.0]))
    fits = fit_batch(part, columns, classes=3, tolerance=1e-7)
    assert fits.converged.all()
    assert fits.weights.shape == (4, 3, 6)
    for at in range(4):
        share = weights[:, columns.pattern[at]]
        model = by_newton(x, codes, share, columns.penalty[at])
        np.testing.assert_allclose(fits.weights[at], model.coef_, atol=1e-4)
        logit = fits.outputs(part.x)[:, at]
        p = np.exp(logit - logit.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        expected = model.predict_proba(standardised(x, share))
        np.testing.assert_allclose(p, expected, atol=1e-5)
        residual = share[:, None] / share.sum() * (p - np.eye(3)[codes])
        gradient = residual.T @ standardised(part.x, share) + columns.penalty[at] * fits.weights[at]
        largest = max(np.abs(gradient).max(), np.abs(residual.sum(axis=0)).max())
        assert fits.gradient_norm[at] == pytest.approx(
            largest, abs=3e-7 if dtype == np.float32 else 1e-12
        )


def test_a_multinomial_of_labels_without_weight_is_that_of_the_rest():
    x, y, _ = rows(n=150)
    codes, seen = y[:, 0] + 1 * y[:, 1], np.arange(150) % 3 > 0
    all_codes = np.where(seen, codes, 9)
    a = fit_batch(simple(x, all_codes, seen * 1.0), one(), classes=3, tolerance=1e-8)
    b = fit_batch(simple(x[seen], codes[seen]), one(), classes=3, tolerance=1e-8)
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-7)


def test_a_multinomial_has_no_single_probe():
    x, y, _ = rows(n=60)
    fits = fit_batch(simple(x, y[:, 0] + 1 * y[:, 1]), one(), classes=3)
    with pytest.raises(InvalidConfiguration, match="column 0: 3 classes; expected two"):
        fits.probe(0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [7, 5003])
def test_an_embedding_that_is_no_number_is_refused_by_row(bad, at):
    x, y, _ = rows(n=9000, d=3)
    x[at, 2] = bad
    message = f"1 of 9000 rows hold NaN or infinity, the first row {at}"
    with pytest.raises(InvalidTable, match=message):
        fit_batch(simple(x, y[:, 0]), one())


def test_one_class_is_refused_naming_the_column():
    part, columns = batch()
    part.labels[part.weights[:, 2] > 0, 1] = True
    with pytest.raises(InvalidTable, match=r"column 12: labels: all 200 are positive; expected"):
        fit_batch(part, columns)
    named = dataclasses.replace(columns, names=[f"fit {at}" for at in range(24)])
    with pytest.raises(InvalidTable, match="column 'fit 12': labels: all 200 are positive"):
        fit_batch(part, named)


def test_a_class_that_does_not_occur_is_refused_by_number():
    x, y, _ = rows(n=60)
    with pytest.raises(InvalidTable, match="column 0: labels: none of 60 is of class 1; expected"):
        fit_batch(simple(x, 2 * y[:, 0]), one(), classes=3)


def test_a_class_beyond_the_last_is_refused():
    x, y, _ = rows(n=60)
    with pytest.raises(InvalidTable, match="labels: found class 2; expected 0 to 1"):
        fit_batch(simple(x, 2 * y[:, 0]), one())


def test_weights_that_are_all_zero_are_refused_naming_the_column():
    part, columns = batch()
    part.weights[:, 3] = 0.0
    with pytest.raises(InvalidTable, match="column 6: weights: all are 0; expected some above"):
        fit_batch(part, columns)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_weights_that_are_none_are_refused(bad):
    x, y, _ = rows(n=20)
    weights = np.ones((20, 3))
    weights[4, 1] = bad
    with pytest.raises(InvalidTable, match="weights: pattern 1 holds a number that is negative"):
        Part(x, y, weights, np.zeros(20, int))


def test_no_rows_and_no_parts_are_refused():
    with pytest.raises(InvalidTable, match="none to train on"):
        fit_batch(simple(np.empty((0, 2)), np.empty(0, bool)), one())
    with pytest.raises(InvalidTable, match="no part; expected one or more"):
        fit_batch([], one())


def test_parts_of_unequal_width_are_refused():
    x, y, _ = rows(n=20)
    parts = [simple(x, y[:, 0]), simple(x[:, :3], y[:, 0])]
    with pytest.raises(InvalidTable, match=r"parts: x have \[3, 6\] columns; expected all alike"):
        fit_batch(parts, one())


@pytest.mark.parametrize(
    ("label", "pattern", "penalty", "said"),
    [
        (0, 0, 0.0, "column 'a': penalty 0.0; expected a number above 0"),
        (0, 0, np.nan, "column 'a': penalty nan"),
        (5, 0, 1.0, "column 'a': label 5; expected 0 to 0"),
        (0, -1, 1.0, "column 'a': pattern -1; expected 0 to 0"),
    ],
)
def test_columns_that_cannot_be_are_refused_by_name(label, pattern, penalty, said):
    x, y, _ = rows(n=20)
    with pytest.raises(InvalidConfiguration, match=said):
        fit_batch(
            simple(x, y[:, 0]),
            Columns(np.array([label]), np.array([pattern]), np.array([penalty]), ["a"]),
        )


def test_columns_of_unequal_lengths_are_refused():
    with pytest.raises(InvalidConfiguration, match=r"lengths \[1, 2\]; expected one length"):
        Columns(np.zeros(2, int), np.zeros(1, int), np.ones(2))


def test_vectors_of_another_length_are_not_scored():
    x, y, _ = rows(n=40)
    fits = fit_batch(simple(x, y[:, 0]), one())
    with pytest.raises(InvalidTable, match="vectors of length 2; expected 6"):
        fits.outputs(x[:, :2])


def test_many_fits_are_taken_in_turns(monkeypatch):
    from equipoise.probes import batch as module

    part, columns = batch()
    whole = fit_batch(part, columns, tolerance=1e-9)
    monkeypatch.setattr(module, "_BYTES", 1000.0)
    turns = fit_batch(part, columns, tolerance=1e-9)
    np.testing.assert_allclose(turns.weights, whole.weights, atol=1e-7)
    assert (turns.passes == whole.passes).all()


def test_sites_that_only_answer_with_sums_are_fitted_as_the_whole():
    part, columns = batch()
    sites = [
        local([Part(part.x[at::3], part.labels[at::3], part.weights[at::3], part.groups[at::3])])
        for at in range(3)
    ]

    def asked(question):
        def answer(*words):
            first, *rest = (getattr(site, question)(*words) for site in sites)
            for one in rest:
                first = first + one
            return first

        return answer

    questions = ("sample", "moments", "grams", "slopes")
    together = Access(4, *(asked(question) for question in questions))
    a, b = (fit_batch(data, columns, tolerance=1e-9) for data in (part, together))
    np.testing.assert_allclose(a.weights, b.weights, atol=1e-6)
    weights = np.arange(16.0).reshape(4, 4)
    c, d = (fit_ridge(gather(data), columns, weights) for data in (part, together))
    np.testing.assert_allclose(c.weights, d.weights, atol=1e-9)
