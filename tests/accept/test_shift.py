"""Distances beside chance: none where nothing shifted, seen where something did."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise import bundles
from equipoise.accept import shift
from tests.accept import made
from tests.bundles import made as tiny

MIX = {"sex": {"F": 500, "M": 500}, "manufacturer": {"Alder": 600, "Birch": 400}}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    found = bundles.opened(tiny.bundle(tmp_path_factory.mktemp("shift") / "b"))
    return replace(found, reference=replace(found.reference, mix=MIX, n_patients=1000))


def local(n, share, *, per_patient=1, seed=0):
    rng = np.random.default_rng(seed)
    frame = made.cohort(n, per_patient=per_patient, seed=seed)
    people = np.arange(n) // per_patient
    alder = (rng.random(people.max() + 1) < share)[people]
    return frame.with_columns(manufacturer=pl.Series(np.where(alder, "Alder", "Birch")))


def row(rows, column):
    return next(r for r in rows if r["column"] == column)


def test_a_mix_that_did_not_shift_is_no_further_off_than_chance(opened):
    found = row(shift.mixes(opened, local(400, 0.6), draws=400, seed=0), "manufacturer")
    assert found["p"] > 0.05
    assert found["total_variation"] < 3 * found["by_chance"]
    assert found["kind"] == "acquisition"


def test_a_mix_that_shifted_is_seen_and_a_new_level_is_named(opened):
    frame = local(400, 0.3)
    frame = frame.with_columns(
        manufacturer=pl.when(pl.col("image_id") < "i000020")
        .then(pl.lit("Cedar"))
        .otherwise("manufacturer")
    )
    found = row(shift.mixes(opened, frame, draws=400, seed=0), "manufacturer")
    assert found["p"] < 0.01
    assert found["new_levels"] == {"Cedar": 20}
    assert row(shift.mixes(opened, frame, draws=100, seed=0), "sex")["kind"] == "attribute"


@pytest.mark.slow
@pytest.mark.parametrize("per_patient", [1, 5])
def test_chance_alone_is_called_shift_about_as_often_as_the_level_says(opened, per_patient):
    seen = [
        row(
            shift.mixes(
                opened, local(300, 0.6, per_patient=per_patient, seed=s), draws=200, seed=s
            ),
            "manufacturer",
        )["p"]
        for s in range(200)
    ]
    # The reference itself is exact here, so that a well-kept level is at most the nominal one.
    assert np.mean(np.array(seen) < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_the_p_value_is_close_to_that_of_a_chi_square_test(opened):
    here, there = np.array([120.0, 80.0]), np.array([500.0, 500.0])
    found = shift.against_chance(
        here,
        there,
        distance=shift.total_variation,
        patients=(np.ones(200, dtype=np.int64), 1000),
        draws=4000,
        rng=np.random.default_rng(0),
    )
    theirs = stats.chi2_contingency([here, there], correction=False).pvalue
    assert found["p"] == pytest.approx(theirs, abs=0.01)


@given(st.integers(0, 500), st.integers(1, 20))
def test_distances_are_symmetric_and_between_zero_and_one(seed, bins):
    rng = np.random.default_rng(seed)
    first, second = rng.dirichlet(np.ones(bins)), rng.dirichlet(np.ones(bins))
    for distance in (shift.total_variation, shift.wasserstein):
        found = distance(first, second)
        assert found == pytest.approx(distance(second, first))
        assert 0.0 <= found <= 1.0
        assert distance(first, first) == 0.0


def test_wasserstein_is_scipys():
    rng = np.random.default_rng(0)
    first, second = rng.dirichlet(np.ones(16)), rng.dirichlet(np.ones(16))
    middle = (np.arange(16) + 0.5) / 16
    theirs = stats.wasserstein_distance(middle, middle, first, second)
    assert shift.wasserstein(first, second) == pytest.approx(theirs)


def test_images_far_off_are_counted_by_group(opened):
    cohort, _, vectors = tiny.drawn()
    moved = vectors + np.where((cohort["sex"] == "F").to_numpy(), 50.0, 0.0)[:, None]
    found = shift.far_off(opened, cohort, moved.astype(np.float32))
    by = {r["group"]: r["share"] for r in found["by_group"]}
    assert by["sex=F"] == 1.0
    assert by["sex=M"] < 0.2
    beyond = {r["quantile"]: r for r in found["beyond"]}
    assert beyond["0.95"]["low"] <= beyond["0.95"]["share"] <= beyond["0.95"]["high"]
    assert set(beyond) == {"0.95", "0.99", "1", "limit"}


def test_what_the_input_gate_would_refuse_is_counted_with_its_reason(opened):
    frame = pl.DataFrame({"modality": ["DX", "CT", "CT", "CR"], "view": [None] * 4})
    frame = frame.with_columns(sex=pl.lit("F"))
    found = shift.refused(opened, frame)
    assert found["n_images"] == 2
    assert found["reasons"] == {"modality 'CT'; the model takes DX, CR": 2}
    assert found["not_read"] == ["view"]


def test_without_a_reference_shift_is_not_judged_and_says_so(opened):
    bare = replace(opened, reference=None)
    assert shift.mixes(bare, local(20, 0.5), draws=100, seed=0) == []
    assert (
        "describes no reference" in shift.far_off(bare, local(20, 0.5), np.zeros((20, 2)))["reason"]
    )


def test_scores_that_moved_in_one_group_are_seen_in_that_group(opened):
    known = made.known(opened, {"F": ((5, 3), (3, 5)), "M": ((5, 3), (3, 5))})
    reference = replace(
        known.reference,
        counts=known.reference.counts.with_columns(n_patients=pl.lit(2000, dtype=pl.Int64)),
    )
    known = replace(known, reference=reference)
    frame = made.cohort(600, positives=0.5)
    rng = np.random.default_rng(0)
    positive = frame[f"label:{made.FINDING}"].to_numpy()
    score = made.scores(rng, positive, ((5, 3), (3, 5)))
    score = np.where((frame["sex"] == "F").to_numpy(), score**0.5, score).astype(np.float32)
    rows = shift.scores_moved(known, frame, {made.FINDING: score}, draws=200, seed=0)
    by = {r["group"]: r for r in rows}
    assert by["sex=F"]["p"] < 0.01
    assert by["sex=F"]["mean"] > by["sex=F"]["mean_of_reference"] + 0.1
    assert by["sex=M"]["p"] > 0.01
    assert "sex=unknown" not in by


def test_refusals_are_told_by_group(opened):
    frame = local(200, 0.6).with_columns(modality=pl.lit("DX"))
    frame = frame.with_columns(
        modality=pl.when(pl.col("sex") == "F").then(pl.lit("CT")).otherwise(pl.col("modality"))
    )
    found = {row["group"]: row for row in shift.refused(opened, frame)["by_group"]}
    assert found["sex=F"]["n_images"] == found["sex=F"]["of"] > 0
    assert found["sex=M"]["n_images"] == 0
