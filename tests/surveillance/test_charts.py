"""Charts, drift tests, delays and estimates without labels, each against something independent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import surveillance

VALUES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=60)
DESIGN = surveillance.Design(0.9, 0.8, 3.0, 500)


@given(VALUES)
def test_the_chart_agrees_with_its_recursion(values):
    up, down = np.log(0.2 / 0.1), np.log(0.8 / 0.9)
    total, slow = 0.0, []
    for value in values:
        total = max(0.0, total + value * down + (1 - value) * up)
        slow.append(total)
    np.testing.assert_allclose(surveillance.cusum(np.array(values), DESIGN), slow, atol=1e-9)


@given(VALUES)
def test_one_more_miss_never_lowers_the_chart(values):
    worse = np.r_[np.array(values), 0.0]
    better = np.r_[np.array(values), 1.0]
    assert surveillance.cusum(worse, DESIGN)[-1] >= surveillance.cusum(better, DESIGN)[-1]


def test_without_cases_a_chart_is_empty():
    assert surveillance.cusum(np.empty(0), DESIGN).tolist() == []


@pytest.mark.slow
def test_the_limit_keeps_the_run_length_it_was_simulated_for():
    made = surveillance.designed(0.85, 0.15, run_length=400, rng=np.random.default_rng(1))
    rng, lengths = np.random.default_rng(2), []
    for _ in range(200):
        path = surveillance.cusum((rng.random(6000) < 0.85).astype(float), made)
        hit = np.flatnonzero(path >= made.limit)
        lengths.append(hit[0] + 1 if len(hit) else 6000)
    assert 250 <= np.mean(lengths) <= 700


def test_a_rate_of_one_gives_a_chart_that_does_not_warn_at_the_first_miss_alone():
    made = surveillance.designed(1.0, 0.1, run_length=300, rng=np.random.default_rng(0))
    assert np.isfinite([made.limit, made.worse]).all()
    assert made.expected == 0.98


def test_shifted_agrees_with_scipys_two_sample_test():
    from scipy.stats import kstest

    rng = np.random.default_rng(3)
    before, now = rng.normal(size=400), rng.normal(0.2, size=300)
    gap, p = surveillance.moved(before, now)
    reference = kstest(before, now, method="asymp")
    assert gap == pytest.approx(reference.statistic)
    assert p == pytest.approx(reference.pvalue, rel=0.15)


def test_remixed_agrees_with_scipys_chi_square():
    from scipy.stats import chi2_contingency

    table = np.array([[120.0, 60.0, 20.0], [90.0, 70.0, 40.0]])
    expected = chi2_contingency(table, correction=False).pvalue
    assert surveillance.remixed(*table)[1] == pytest.approx(expected)


@given(st.lists(st.integers(0, 40), min_size=3, max_size=3))
def test_a_mix_that_is_the_same_has_not_moved(counts):
    table = np.array(counts, dtype=float)
    gap, p = surveillance.remixed(table * 3, table)
    assert gap == pytest.approx(0.0, abs=1e-12)
    assert p == pytest.approx(1.0) or not table.sum()


def test_nobody_has_drifted_where_nobody_came():
    assert surveillance.shifted(np.array([3.0]), np.array([0.0])) == (0.0, 1.0)
    assert surveillance.remixed(np.array([3.0]), np.array([0.0])) == (0.0, 1.0)


def test_a_device_that_was_never_seen_is_noticed():
    assert surveillance.remixed(np.array([200.0, 0.0]), np.array([60.0, 40.0]))[1] < 1e-6


@pytest.mark.slow
def test_drift_is_told_falsely_at_most_as_often_as_was_spent():
    rng, alarms = np.random.default_rng(5), 0
    for _ in range(300):
        before = rng.random(500)
        p = [surveillance.moved(before, rng.random(60))[1] for _ in range(24)]
        alarms += any(v < surveillance.spent(0.05, k + 1, 1) for k, v in enumerate(p))
    assert alarms / 300 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=40))
def test_the_share_that_came_agrees_with_the_product_over_days(rows):
    waited = np.array([float(day) for day, _ in rows])
    came = np.array([flag for _, flag in rows])
    at_days, left = np.arange(1.0, 21.0), 1.0
    slow = []
    for day in at_days:
        at_risk = (waited >= day).sum()
        left *= 1.0 - (came & (waited == day)).sum() / at_risk if at_risk else 1.0
        slow.append(1.0 - left)
    made = surveillance.arrival(
        waited, came, np.arange(len(rows)), days=at_days, rng=np.random.default_rng(0), replicates=2
    )
    np.testing.assert_allclose(made.share, slow, atol=1e-9)
    assert (made.low <= made.share).all()
    assert (made.high >= made.share).all()


def test_with_no_case_no_label_is_late():
    made = surveillance.arrival(
        np.empty(0),
        np.empty(0, dtype=bool),
        np.empty(0, dtype=np.int64),
        days=np.array([30.0]),
        rng=np.random.default_rng(0),
    )
    assert (made.n, made.share.tolist(), made.median_days) == (0, [0.0], None)


def test_cases_of_one_patient_widen_the_interval_of_the_share():
    labelled = np.repeat([True, False], 40)
    _, low, high = surveillance.labelled_share(labelled, np.arange(80))
    _, low_clustered, high_clustered = surveillance.labelled_share(labelled, np.arange(80) // 8)
    assert high_clustered - low_clustered > 1.5 * (high - low)


def test_without_labels_the_estimate_is_right_under_covariate_shift_and_wrong_under_noise():
    rng = np.random.default_rng(7)

    def drawn(n, centre, noise):
        x = rng.normal(centre, 1.0, n)
        label = rng.random(n) < 1 / (1 + np.exp(-(2 * x - 1)))
        score = 1 / (1 + np.exp(-(2 * (x + noise * rng.normal(size=n)) - 1)))
        return score, label

    def histogram(score):
        return np.bincount(np.minimum((score * 256).astype(int), 255), minlength=256) * 1.0

    score, label = drawn(40_000, 0.0, 0.3)
    chance = surveillance.calibrated(histogram(score[label]), histogram(score[~label]))
    for centre, noise, off in ((0.5, 0.3, 0.02), (0.0, 1.5, None)):
        now, truth = drawn(40_000, centre, noise)
        told = surveillance.expected_rates(now, now >= 0.5, chance)["sensitivity"]
        real = (now >= 0.5)[truth].mean()
        assert abs(told - real) <= off if off else told > real + 0.1


def test_calibration_never_falls_and_agrees_with_scikit_learn():
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(8)
    positive, negative = (rng.integers(1, 9, 20) * 1.0 for _ in range(2))
    made = surveillance.calibrated(positive, negative)
    total = positive + negative
    theirs = IsotonicRegression().fit(np.arange(20), positive / total, sample_weight=total)
    theirs = theirs.predict(np.arange(20))
    np.testing.assert_allclose(made, theirs, atol=1e-9)
