import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.metrics import average_precision_score

from equipoise.metrics.functionals.precision import (
    auprc_interpolated,
    auprg,
    average_precision,
)
from tests.metrics.functionals.made import counted, drawn


def points(score, label):
    """Return true and false positives at every threshold, from none called to all."""
    levels = np.unique(score)[::-1]
    found = [np.sum(label[score >= level]) for level in levels]
    wrong = [np.sum(1 - label[score >= level]) for level in levels]
    return np.array([0.0, *found]), np.array([0.0, *wrong])


def hyperbolic(score, label):
    """Return the area under Davis and Goadrich's curve by numerical integration."""
    found, wrong = points(score, label)
    area = 0.0
    for i in range(1, len(found)):
        if found[i] == found[i - 1]:
            continue
        slope = (wrong[i] - wrong[i - 1]) / (found[i] - found[i - 1])

        def precision(x, i=i, slope=slope):
            false = wrong[i - 1] + slope * (x - found[i - 1])
            return x / (x + false) if x + false else 1.0

        area += quad(precision, found[i - 1], found[i], epsabs=1e-11)[0]
    return area / label.sum()


def gained(score, label):
    """Return the area by Flach and Kull's gains, point by point with the crossing put in."""
    found, wrong = points(score, label)
    p, n = label.sum(), len(label) - label.sum()
    start = p * p / (p + n)
    i = np.flatnonzero(found >= start)[0]
    part = (start - found[i - 1]) / (found[i] - found[i - 1])
    found = np.concatenate([[start], found[i:]])
    wrong = np.concatenate([[wrong[i - 1] + part * (wrong[i] - wrong[i - 1])], wrong[i:]])
    recall_gain = 1 - p / n * (p - found) / found
    precision_gain = 1 - p / n * wrong / found
    return np.dot(np.diff(recall_gain), (precision_gain[1:] + precision_gain[:-1]) / 2)


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_average_precision_is_that_of_scikit_learn(decimals):
    score, label = drawn(300, decimals=decimals)
    assert average_precision(*counted(score, label))[0][0] == pytest.approx(
        average_precision_score(label, score), abs=1e-12
    )


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_the_interpolated_area_is_the_integral_of_the_hyperbolas(decimals):
    score, label = drawn(60, decimals=decimals, seed=4)
    found = auprc_interpolated(*counted(score, label))[0][0]
    assert found == pytest.approx(hyperbolic(score, label), abs=1e-9)


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize("prevalence", [0.05, 0.3, 0.8])
def test_the_area_in_gains_is_that_point_by_point(decimals, prevalence):
    score, label = drawn(300, decimals=decimals, prevalence=prevalence)
    found = auprg(*counted(score, label))[0][0]
    assert found == pytest.approx(gained(score, label), abs=1e-10)


AUTHORS_LABELS = "1110111111011101001000101"
"""The example in the authors' package, scores falling from 25 to 1."""


@pytest.mark.parametrize(("width", "expected"), [(1, 0.43246210357423226), (4, 0.4115103860474231)])
def test_the_area_in_gains_is_that_of_its_authors_with_and_without_ties(width, expected):
    """Expected: ``calc_auprg(create_prg_curve(...))`` of pyprg 0.1.1b7."""
    label = np.array([int(x) for x in AUTHORS_LABELS])
    score = np.arange(25, 0, -1) // width
    assert auprg(*counted(score, label))[0][0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("prevalence", [0.02, 0.5])
def test_in_gains_chance_is_nought_and_perfection_one_at_every_prevalence(prevalence):
    n = np.array([[1000 * (1 - prevalence)]])
    p = np.array([[1000 * prevalence]])
    assert auprg(n, p, np.array([0.5]))[0] == pytest.approx([0], abs=1e-12)
    none = np.zeros((1, 1))
    apart = np.hstack([n, none]), np.hstack([none, p])
    assert auprg(*apart, np.array([0.1, 0.9]))[0] == pytest.approx([1], abs=1e-12)
    assert average_precision(n, p, np.array([0.5]))[0] == pytest.approx([prevalence])
    assert auprc_interpolated(*apart, np.array([0.1, 0.9]))[0] == pytest.approx([1])


def test_no_positive_is_undefined_while_no_negative_is_perfect_but_for_gains():
    n, p, score = np.array([[3.0, 2]]), np.array([[1.0, 4]]), np.array([0.2, 0.7])
    for function in (average_precision, auprc_interpolated, auprg):
        assert np.isnan(function(n, 0 * p, score)[0][0])
    assert average_precision(0 * n, p, score)[0][0] == 1
    assert auprc_interpolated(0 * n, p, score)[0][0] == pytest.approx(1)
    assert np.isnan(auprg(0 * n, p, score)[0][0])
