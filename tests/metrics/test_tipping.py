"""How much label error would overturn a contrast, against flipping labels one by one."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import audit, metrics
from equipoise.errors import InvalidConfiguration
from equipoise.metrics.tipping import errors, smallest, tipping
from tests.metrics.made import POINT, SMALL, people


def audited(seed: int = 0, patients: int = 400) -> metrics.Estimated:
    rng = np.random.default_rng(seed)
    rows = people(rng, patients=patients)
    worse = (pl.col("group") == "A") & pl.col("label:x")
    rows = rows.with_columns(
        pl.when(worse).then(pl.col("score:x") * 0.7).otherwise("score:x").alias("score:x")
    )
    table = metrics.subgroups({"group": ["A", "B"]})
    found = metrics.population(rows, table, patient="patient_id", points=POINT)
    names = ("auroc", "sensitivity", "specificity", "ppv", "npv")
    plan = metrics.Plan({"group": "B"}, names, SMALL, "m", draws=1_000)
    return metrics.estimate(found, table, plan)


@pytest.mark.parametrize("metric", ["sensitivity", "specificity", "ppv"])
def test_putting_so_many_labels_right_gives_the_value_that_was_asked_for(metric: str) -> None:
    cells = {"tp": 140, "fn": 60, "fp": 50, "tn": 350}
    rates = {
        "sensitivity": lambda c: c["tp"] / (c["tp"] + c["fn"]),
        "specificity": lambda c: c["tn"] / (c["tn"] + c["fp"]),
        "ppv": lambda c: c["tp"] / (c["tp"] + c["fp"]),
    }
    opposite = {"tp": "fp", "fn": "tn", "fp": "tp", "tn": "fn"}
    where = {
        ("sensitivity", "positives, among the missed"): "fn",
        ("sensitivity", "positives, among the called"): "tp",
        ("specificity", "negatives, among the called"): "fp",
        ("specificity", "negatives, among the not called"): "tn",
        ("sensitivity", "negatives, hidden positives among the missed"): "tn",
        ("sensitivity", "negatives, hidden positives among the called"): "fp",
        ("specificity", "positives, hidden negatives among the called"): "tp",
        ("specificity", "positives, hidden negatives among the not called"): "fn",
        ("ppv", "positives, among the called"): "tp",
        ("ppv", "negatives, among the called"): "fp",
    }
    own = rates[metric](cells)
    tried = 0
    for one in errors(metric, own, cells):
        if one.model != "worst case":
            continue
        kind = where[metric, one.among]
        for n in (1, 7, 20):
            flipped = dict(cells)
            flipped[kind] -= n
            flipped[opposite[kind]] += n
            wanted = rates[metric](flipped)
            assert one.value(n / one.labels) == pytest.approx(wanted, abs=1e-12)
            assert smallest(one, wanted) == pytest.approx(n / one.labels, abs=1e-9)
            tried += 1
    assert tried >= 6


def test_independent_errors_are_undone_by_the_mixture_they_made() -> None:
    rng = np.random.default_rng(1)
    n, share = 400_000, 0.2
    called_of = {True: 0.85, False: 0.1}
    truth = np.r_[np.ones(n, bool), np.zeros(n, bool)]
    called = rng.random(2 * n) < np.where(truth, called_of[True], called_of[False])
    # A share of the labelled positives is in truth negative: they are drawn from the negatives.
    labelled = truth.copy()
    wrong = int(n * share / (1 - share))
    labelled[n : n + wrong] = True
    cells = {
        "tp": int((labelled & called).sum()),
        "fn": int((labelled & ~called).sum()),
        "fp": int((~labelled & called).sum()),
        "tn": int((~labelled & ~called).sum()),
    }
    own = cells["tp"] / (cells["tp"] + cells["fn"])
    one = next(iter(errors("sensitivity", own, cells)))
    assert one.model == "independent"
    assert one.value(share) == pytest.approx(0.85, abs=0.005)


def test_an_auroc_is_undone_as_under_class_conditional_noise() -> None:
    rng = np.random.default_rng(2)
    n, share = 6_000, 0.25
    up, down = rng.normal(1.2, 1, n), rng.normal(0, 1, n)
    clean = metrics.placements(up, np.sort(down)).mean()
    noisy = np.where(rng.random(n) < share, rng.normal(0, 1, n), up)
    seen = metrics.placements(noisy, np.sort(down)).mean()
    one = next(iter(errors("auroc", seen, {"n_positive": n, "n_negative": n})))
    assert one.value(share) == pytest.approx(clean, abs=0.015)


@given(st.floats(0.5, 0.99), st.floats(0.01, 0.5), st.floats(0.0, 0.2), st.floats(0.0, 0.2))
def test_a_larger_gap_takes_no_fewer_labels(own: float, f: float, one: float, more: float) -> None:
    cells = {"tp": round(200 * own), "fn": 200 - round(200 * own), "fp": round(300 * f)}
    cells["tn"] = 300 - cells["fp"]
    value = cells["tp"] / 200
    for kind in errors("sensitivity", value, cells):
        near, far = smallest(kind, value + one), smallest(kind, value + one + more)
        assert far is None or near is None or near <= far + 1e-9
        assert smallest(kind, value) == 0.0


def test_the_table_names_the_fewest_labels_for_each_contrast_and_target() -> None:
    made = audited()
    found = tipping(made.estimates, made.counts, margin=0.05)
    gap = found.filter(metric="sensitivity", target="vanishes", model="worst case").row(
        0, named=True
    )
    assert gap["value"] < -0.1
    assert 0 < gap["share"] < 0.5
    assert "group=A against group=B" in gap["reads"]
    assert "the gap would vanish" in gap["reads"]
    missed = made.counts.filter(group="A", operating_point="p")
    tp, fn = missed["tp"][0], missed["fn"][0]
    wanted = tp / (tp + fn) - gap["value"]
    assert tp / (tp + fn - gap["share"] * (tp + fn)) == pytest.approx(wanted, abs=1e-6)
    verdict = found.filter(metric="sensitivity", target="verdict", model="worst case")
    assert verdict["share"][0] < gap["share"]
    assert set(found["metric"]) == {"auroc", "sensitivity", "specificity", "ppv"}


def test_so_many_labels_undo_the_gap_and_one_fewer_does_not() -> None:
    checked = 0
    for seed in range(6):
        made = audited(seed)
        found = tipping(made.estimates, made.counts).filter(
            metric="sensitivity", among="positives, among the missed"
        )
        for row in found.iter_rows(named=True):
            cells = made.counts.filter(group=row["group"], operating_point="p").row(0, named=True)
            tp, positives = cells["tp"], cells["tp"] + cells["fn"]
            wanted = tp / positives - row["value"]
            assert tp / (positives - row["labels"]) >= wanted - 1e-9
            assert tp / (positives - row["labels"] + 1) < wanted
            checked += 1
    assert checked


def test_independent_errors_that_the_counts_contradict_do_not_move_ppv() -> None:
    # Of labelled positives without the finding nine in ten are not called: but 9 are missed.
    cells = {"tp": 91, "fn": 9, "fp": 10, "tn": 90}
    one = next(x for x in errors("ppv", 91 / 101, cells) if x.among == "positives")
    assert one.value(0.1) == pytest.approx(90 / 101)
    assert one.value(0.4) == one.value(0.1)


def test_what_is_not_assessable_has_no_tipping_point_and_a_margin_must_be_one() -> None:
    made = audited(patients=12)
    few = made.estimates.with_columns(status=pl.lit("not assessable"))
    assert not tipping(few, made.counts).height
    with pytest.raises(InvalidConfiguration, match=r"margin 1.5; expected it in \(0, 1\)"):
        tipping(made.estimates, made.counts, margin=1.5)
    assert audit.tipping is tipping
