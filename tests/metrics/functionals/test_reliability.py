import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.functionals import reliability as of
from tests.metrics.functionals.made import counted, drawn


def by_hand(score, label, edges):
    """Return each bin's images, mean score and share of positives, image by image."""
    found = []
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = (score <= high) & ((score > low) | ((i == 0) & (score == low)))
        if inside.any():
            found.append((inside.sum(), score[inside].mean(), label[inside].mean()))
    return np.array(found).T


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize("bins", [1, 7, 15])
def test_errors_are_those_counted_image_by_image(decimals, bins):
    score, label = drawn(300, decimals=decimals)
    edges = np.linspace(0, 1, bins + 1)
    n, expected, observed = by_hand(score, label, edges)
    plain = np.average(np.abs(expected - observed), weights=n)
    assert of.ece_equal_width(*counted(score, label), bins=bins)[0][0] == pytest.approx(plain)
    one = n > 1
    chance = observed * (1 - observed) / np.where(one, n - 1, 1)
    squared = (n * np.where(one, (expected - observed) ** 2 - chance, 0)).sum() / n.sum()
    found = of.squared_calibration_error(*counted(score, label), edges=edges)[0][0]
    assert found == pytest.approx(squared, abs=1e-12)
    root = of.rms_calibration_error(*counted(score, label), edges=edges)[0][0]
    assert root == pytest.approx(np.sqrt(max(squared, 0)), abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 2, 9])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_on_the_groups_own_range_it_is_what_pandas_cut_gives(decimals, shift):
    pandas = pytest.importorskip("pandas")
    score, label = drawn(300, decimals=decimals)
    score = shift + (1 - shift) * score
    place = pandas.cut(score, 10, labels=False)
    value = sum(
        abs(score[place == bin_].sum() - label[place == bin_].sum()) for bin_ in range(10)
    ) / len(score)
    assert of.ece_data_range(*counted(score, label))[0][0] == pytest.approx(value, abs=1e-12)


def test_the_correction_takes_off_what_small_groups_gain_by_chance():
    rng = np.random.default_rng(0)
    edges, level = of.equal_width_edges(10), np.linspace(0.05, 0.95, 10)
    positive = rng.binomial(6, level, (4000, 10)).astype(float)  # calibrated, six images a bin
    negative = 6 - positive
    plain, _ = of.ece(negative, positive, level, edges=edges)
    squared, _ = of.squared_calibration_error(negative, positive, level, edges=edges)
    assert plain.mean() > 0.1
    assert squared.mean() == pytest.approx(0, abs=3 * squared.std() / np.sqrt(4000))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=12),
    st.integers(1, 6),
)
def test_the_curve_keeps_every_image_and_gives_the_error_back(kinds, bins):
    negative, positive = (np.array([side], dtype=float) for side in zip(*kinds, strict=True))
    score = np.linspace(0, 1, len(kinds))
    edges = of.equal_width_edges(bins)
    curve = of.reliability(negative, positive, score, edges=edges)
    assert curve.images.sum() == (negative + positive).sum()
    assert curve.positives.sum() == positive.sum()
    assert (np.isnan(curve.observed) == (curve.images == 0)).all()
    value = of.ece(negative, positive, score, edges=edges)[0][0]
    if curve.images.sum():
        again = np.nansum(curve.images * np.abs(curve.expected - curve.observed))
        assert value == pytest.approx(again / curve.images.sum(), abs=1e-12)
    else:
        assert np.isnan(value)


def test_edges_of_equal_mass_split_everybody_about_evenly_and_once_where_all_are_tied():
    score, label = drawn(3000, decimals=9)
    negative, positive, level = counted(score, label)
    edges = of.equal_mass_edges((negative + positive)[0], level, 10)
    assert np.ptp(of.reliability(negative, positive, level, edges=edges).images) <= 1
    assert of.equal_mass_edges(np.array([9.0]), np.array([0.5]), 10).tolist() == [0.0, 0.5, 1.0]
    assert of.equal_mass_edges(np.array([4.0, 5]), np.array([0.0, 1.0]), 10).tolist() == [0, 1]


def test_an_image_alone_in_its_bin_adds_nothing_to_the_corrected_error():
    counts = np.array([[30.0, 0]]), np.array([[10.0, 0]])
    edges = of.equal_width_edges(2)
    score = np.array([0.2, 0.9])
    alone = of.squared_calibration_error(*counts, score, edges=edges)[0][0]
    counts[0][0, 1] = 1
    with_one = of.squared_calibration_error(*counts, score, edges=edges)[0][0]
    assert with_one == pytest.approx(alone * 40 / 41)


@pytest.mark.parametrize(
    ("edges", "said"), [([0.0, 0.0, 1.0], "ascending"), ([0.0, 0.5], "not all within")]
)
def test_edges_that_cannot_be_are_refused(edges, said):
    with pytest.raises(InvalidConfiguration, match=said):
        of.ece(*counted(*drawn(50)), edges=np.array(edges))
