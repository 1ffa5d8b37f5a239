from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from equipoise.metrics import composites

NAMED = {name: partial(composites.rate, name=name) for name in composites.RATES}
NAMED |= {
    name: partial(function, threshold_probability=0.2) if "benefit" in name else function
    for name, function in composites.COMPOSITES.items()
}
COUNT = st.integers(1, 400)


def labels(cells):
    """Return truth and call of each image."""
    truth = np.repeat([1, 0, 0, 1], cells)
    return truth, np.repeat([1, 1, 0, 0], cells)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("sensitivity", reference.recall_score),
        ("ppv", reference.precision_score),
        ("accuracy", reference.accuracy_score),
        ("balanced_accuracy", reference.balanced_accuracy_score),
        ("f1", reference.f1_score),
        ("specificity", partial(reference.recall_score, pos_label=0)),
        ("npv", partial(reference.precision_score, pos_label=0)),
        ("positive_likelihood_ratio", lambda y, c: reference.class_likelihood_ratios(y, c)[0]),
        ("negative_likelihood_ratio", lambda y, c: reference.class_likelihood_ratios(y, c)[1]),
        ("selection_rate", lambda _, c: c.mean()),
        ("prevalence", lambda y, _: y.mean()),
    ],
)
def test_a_metric_is_that_of_scikit_learn(name, function):
    for cells in ([31, 7, 102, 12], [3, 9, 1, 2], [1, 1, 1, 200]):
        value, _ = NAMED[name](np.array(cells, dtype=float)[:, None])
        assert value[0] == pytest.approx(function(*labels(cells)), abs=1e-12)


def test_complements_add_to_one_and_j_is_twice_the_balanced_accuracy_less_one():
    cells = np.array([[31.0, 3], [7, 9], [102, 1], [12, 2]])
    for one, other in [
        ("sensitivity", "false_negative_rate"),
        ("specificity", "false_positive_rate"),
        ("ppv", "false_discovery_rate"),
        ("npv", "false_omission_rate"),
    ]:
        assert (NAMED[one](cells)[0] + NAMED[other](cells)[0]).tolist() == pytest.approx([1, 1])
    assert NAMED["youden"](cells)[0] == pytest.approx(2 * NAMED["balanced_accuracy"](cells)[0] - 1)


def test_underdiagnosis_is_to_miss_disease_whatever_the_label():
    disease = np.array([[30.0], [10], [50], [20]])  # tp, fp, tn, fn of a disease
    healthy = disease[[2, 3, 0, 1]]  # the same calls, read as of the label No Finding
    for kind in ("underdiagnosis_rate", "overdiagnosis_rate"):
        assert NAMED[kind](disease)[0] == NAMED[f"{kind}_of_no_finding"](healthy)[0]
    assert NAMED["underdiagnosis_rate"](disease)[0] == pytest.approx(20 / 50)


def test_net_benefit_of_calling_all_positive_is_that_of_treating_all():
    called = np.array([[10.0], [90], [0], [0]])
    spread = np.array([[4.0], [30], [60], [6]])
    both = NAMED["net_benefit"](called)[0], NAMED["net_benefit_of_treating_all"](spread)[0]
    assert both[0] == pytest.approx(both[1])
    assert both[0] == pytest.approx(0.1 - 0.9 * 0.25)


@pytest.mark.parametrize("name", sorted(NAMED))
@settings(max_examples=25)
@given(cells=st.tuples(COUNT, COUNT, COUNT, COUNT))
def test_the_gradient_is_the_finite_difference_and_sums_to_zero(name, cells):
    counts = np.array(cells, dtype=float)[:, None]
    _, gradient = NAMED[name](counts)
    step = 1e-4
    for cell in range(4):
        moved = np.zeros((4, 1))
        moved[cell] = step
        slope = (NAMED[name](counts + moved)[0] - NAMED[name](counts - moved)[0]) / (2 * step)
        assert gradient[cell] == pytest.approx(slope, rel=1e-5, abs=1e-7)
    assert (counts * gradient).sum() == pytest.approx(0, abs=1e-9 * np.abs(gradient).max() * 400)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_sum_of_squared_gradients_is_the_variance_of_a_resampled_table(name):
    cells = np.array([300, 150, 700, 120])
    value, gradient = NAMED[name](cells[:, None].astype(float))
    drawn = np.random.default_rng(0).multinomial(cells.sum(), cells / cells.sum(), 20_000)
    spread = np.std(NAMED[name](drawn.T.astype(float))[0])
    assert np.sqrt((cells[:, None] * gradient**2).sum()) == pytest.approx(spread, rel=0.04)
    assert np.isfinite(value).all()


@pytest.mark.parametrize("name", sorted(NAMED))
def test_arms_do_not_touch_each_other_and_nothing_at_all_is_undefined(name):
    cells = np.array([[31.0, 0, 3], [7, 0, 9], [102, 0, 1], [12, 0, 2]])
    value, gradient = NAMED[name](cells)
    assert np.isnan(value).tolist() == [False, True, False]
    assert gradient.shape == (4, 3)
    assert (gradient[:, 1] == 0).all()
    alone, its = NAMED[name](cells[:, 2:])
    assert value[2] == alone[0]
    assert gradient[:, 2] == pytest.approx(its[:, 0])


def test_one_class_makes_what_needs_both_undefined_not_zero_or_one():
    healthy = np.array([[0.0], [3], [7], [0]])
    missing = {name for name, f in NAMED.items() if np.isnan(f(healthy)[0][0])}
    assert missing >= {"sensitivity", "f1", "youden", "balanced_accuracy", "underdiagnosis_rate"}
    assert missing.isdisjoint({"specificity", "accuracy", "prevalence", "net_benefit"})
    perfect = np.array([[5.0], [0], [5], [0]])
    assert np.isnan(NAMED["positive_likelihood_ratio"](perfect)[0][0])
