from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.functionals.ranking import (
    auroc,
    partial_auroc,
    partial_auroc_standardized,
)
from tests.metrics.functionals.made import counted, drawn


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_auroc_is_that_of_scikit_learn(decimals):
    score, label = drawn(300, decimals=decimals)
    assert auroc(*counted(score, label))[0][0] == pytest.approx(
        roc_auc_score(label, score), abs=1e-12
    )


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize("highest", [0.03, 0.1, 0.5, 0.999])
def test_the_standardized_partial_auroc_from_zero_is_that_of_scikit_learn(decimals, highest):
    score, label = drawn(300, decimals=decimals)
    found = partial_auroc_standardized(*counted(score, label), highest=highest)[0][0]
    assert found == pytest.approx(roc_auc_score(label, score, max_fpr=highest), abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_a_range_in_the_middle_is_the_area_under_scikit_learns_curve(decimals):
    score, label = drawn(300, decimals=decimals)
    rate, found, _ = roc_curve(label, score, drop_intermediate=False)
    x = np.unique(np.concatenate([rate, [0.103, 0.487]]))
    x = x[(x >= 0.103) & (x <= 0.487)]
    steps = 0.0
    for low, high in pairwise(x):
        middle = np.interp((low + high) / 2, rate, found)
        steps += (high - low) * middle
    area = partial_auroc(*counted(score, label), lowest=0.103, highest=0.487)[0][0]
    assert area == pytest.approx(steps, abs=1e-12)


def test_the_whole_range_is_the_auroc_and_its_influence():
    counts = counted(*drawn(300))
    whole, influence = partial_auroc(*counts, highest=1.0)
    value, expected = auroc(*counts)
    assert whole == pytest.approx(value, abs=1e-12)
    assert influence == pytest.approx(expected, abs=1e-12)


def test_parts_of_the_range_add_to_the_whole():
    counts = counted(*drawn(300))
    parts = [
        partial_auroc(*counts, lowest=low, highest=high)[0][0]
        for low, high in [(0.0, 0.11), (0.11, 0.52), (0.52, 1.0)]
    ]
    assert sum(parts) == pytest.approx(auroc(*counts)[0][0], abs=1e-12)


@pytest.mark.parametrize(
    "function", [auroc, partial(partial_auroc_standardized, highest=0.2)], ids=["whole", "part"]
)
def test_a_monotone_transform_of_scores_changes_nothing(function):
    negative, positive, score = counted(*drawn(300))
    value, influence = function(negative, positive, score)
    again, same = function(negative, positive, np.exp(score))
    assert again.tolist() == value.tolist()
    assert same.tolist() == influence.tolist()


def test_reading_scores_backwards_gives_one_less_the_auroc():
    negative, positive, score = counted(*drawn(300))
    turned = auroc(negative[:, ::-1], positive[:, ::-1], score)[0]
    assert turned == pytest.approx(1 - auroc(negative, positive, score)[0], abs=1e-12)


@pytest.mark.parametrize("bounds", [(0.2, 0.2), (-0.1, 0.5), (0.0, 1.2)])
def test_an_empty_or_impossible_range_is_refused(bounds):
    with pytest.raises(InvalidConfiguration, match="false positive rates from"):
        partial_auroc(*counted(*drawn(50)), lowest=bounds[0], highest=bounds[1])
