"""ROC, reliability and decision curves from histograms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics import curves

COUNTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=24)


def split(pairs: list[tuple[int, int]]) -> tuple[curves.Integers, curves.Integers]:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def images(
    negative: curves.Integers, positive: curves.Integers
) -> tuple[curves.Reals, curves.Reals]:
    """One score and label per image, the score the lower edge of its level."""
    levels = np.arange(len(negative)) / len(negative)
    score = np.r_[np.repeat(levels, negative), np.repeat(levels, positive)]
    return score, np.r_[np.zeros(negative.sum()), np.ones(positive.sum())]


def test_the_roc_curve_is_that_of_scikit_learn_on_the_same_levels() -> None:
    reference = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    negative, positive = rng.integers(0, 30, 16), rng.integers(0, 30, 16)
    score, label = images(negative, positive)
    false, true, _ = reference.roc_curve(label, score, drop_intermediate=False)
    found = curves.roc(negative, positive)
    kept = np.r_[True, (negative + positive)[::-1] > 0]
    np.testing.assert_allclose(found.false_positive_rate[kept], false, atol=1e-12)
    np.testing.assert_allclose(found.sensitivity[kept], true, atol=1e-12)


def test_the_reliability_curve_is_that_of_scikit_learn_where_bins_are_equally_wide() -> None:
    reference = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(2)
    negative, positive = rng.integers(1, 30, 20), rng.integers(1, 30, 20)
    score, label = images(negative, positive)
    rate, mean = reference.calibration_curve(label, score + 0.025, n_bins=5)
    edges = np.arange(0, 21, 4)
    found = curves.reliability(negative, positive, edges, patients=10**6)
    np.testing.assert_allclose(found.rate, rate, atol=1e-12)
    np.testing.assert_allclose(found.score, mean, atol=1e-12)


def test_limits_of_a_bin_are_the_published_ones_of_wilsons_interval() -> None:
    found = curves.reliability(
        np.array([182]), np.array([81]), np.array([0, 1]), patients=263
    )  # Newcombe 1998, Statistics in Medicine 17:857, table I
    assert (round(found.low[0], 4), round(found.high[0], 4)) == (0.2553, 0.3662)


def test_a_patient_with_three_images_counts_as_one_not_as_three() -> None:
    def bin_of(n: int) -> curves.Reliability:
        counts = np.array([30 * n, 5 * n]), np.array([10 * n, 20 * n])
        return curves.reliability(*counts, np.array([0, 1, 2]), patients=65)

    np.testing.assert_allclose(bin_of(3).low, bin_of(1).low)
    np.testing.assert_allclose(bin_of(3).high, bin_of(1).high)


@given(COUNTS)
def test_net_benefit_is_what_counting_each_image_gives(pairs: list[tuple[int, int]]) -> None:
    negative, positive = split(pairs)
    found = curves.net_benefit(negative, positive)
    score, label = images(negative, positive)
    for place, threshold in enumerate(found.threshold.tolist()):
        called = score >= threshold
        if not len(label):
            assert np.isnan(found.model[place])
            continue
        odds = threshold / (1 - threshold)
        by_hand = np.mean(called * label) - np.mean(called * (1 - label)) * odds
        everyone = np.mean(label) - np.mean(1 - label) * odds
        assert found.model[place] == pytest.approx(by_hand, abs=1e-9)
        assert found.everyone[place] == pytest.approx(everyone, abs=1e-9)


@given(COUNTS)
def test_a_roc_curve_rises_from_nothing_to_everything(pairs: list[tuple[int, int]]) -> None:
    negative, positive = split(pairs)
    found = curves.roc(negative, positive)
    if not negative.sum() or not positive.sum():
        assert np.isnan(found.sensitivity).all()
        assert np.isnan(found.false_positive_rate).all()
        return
    for rate in (found.false_positive_rate, found.sensitivity):
        assert (rate[0], rate[-1]) == (0.0, 1.0)
        assert (np.diff(rate) >= 0).all()


@given(COUNTS, st.integers(1, 12), st.integers(1, 50))
def test_bins_lose_no_image_and_limits_hold_what_was_observed(
    pairs: list[tuple[int, int]], bins: int, patients: int
) -> None:
    negative, positive = split(pairs)
    edges = curves.equal_mass(negative + positive, bins)
    assert (edges[0], edges[-1]) == (0, len(pairs))
    assert (np.diff(edges) > 0).all()
    assert len(edges) <= bins + 1
    found = curves.reliability(negative, positive, edges, patients=patients)
    held = found.images > 0
    assert found.images.sum() == (negative + positive).sum()
    assert found.rate[held] @ found.images[held] == pytest.approx(positive.sum())
    assert (found.low[held] <= found.rate[held]).all()
    assert (found.high[held] >= found.rate[held]).all()
    for part in (found.score, found.rate, found.low, found.high):
        assert np.isnan(part[~held]).all()


@given(COUNTS, st.integers(1, 60))
def test_a_band_holds_its_curve_and_is_narrower_with_more_patients(
    pairs: list[tuple[int, int]], patients: int
) -> None:
    found = curves.roc(*split(pairs))
    low, high = curves.sensitivity_limits(found, patients, 0.95)
    tighter = curves.sensitivity_limits(found, 2 * patients, 0.95)
    known = ~np.isnan(found.sensitivity)
    assert (low[known] <= found.sensitivity[known]).all()
    assert (high[known] >= found.sensitivity[known]).all()
    assert (tighter[1] - tighter[0])[known] == pytest.approx(
        np.minimum(tighter[1] - tighter[0], high - low)[known]
    )
    assert np.isnan(low[~known]).all()


def test_bins_of_equal_mass_hold_about_as_many_images_each() -> None:
    edges = curves.equal_mass(np.arange(1, 101), 10)
    mass = np.add.reduceat(np.arange(1, 101), edges[:-1])
    assert len(edges) == 11
    assert mass.max() - mass.min() <= 2 * 100


def test_no_images_no_positives_and_one_level_give_nan_never_zero() -> None:
    none, some = np.zeros(4, dtype=np.int64), np.array([0, 2, 0, 1])
    for pair in ((none, some), (some, none), (none, none)):
        assert np.isnan(curves.roc(*pair).sensitivity).all()
    assert np.isnan(curves.net_benefit(none, none).model).all()
    assert curves.equal_mass(none, 5).tolist() == [0, 4]
    assert np.isnan(curves.reliability(none, none, np.array([0, 4]), patients=0).rate).all()
    assert curves.net_benefit(some, none).model[0] == 0.0
    limits = curves.sensitivity_limits(curves.roc(some, none), 0, 0.95)
    assert all(np.isnan(limit).all() for limit in limits)
