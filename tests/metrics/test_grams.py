"""All ways to second moments give the same; wins are exact."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import metrics
from equipoise.metrics import grams
from equipoise.metrics.arms import Arms, arms
from equipoise.metrics.counting import Counted
from equipoise.metrics.estimates import answers
from equipoise.metrics.influences import Influence, influence
from equipoise.metrics.known import metric
from equipoise.metrics.moments import by_question, moments
from equipoise.metrics.numbers import Numbers, Question, questions
from equipoise.metrics.ranks import ranks
from equipoise.metrics.samples import Sample
from equipoise.metrics.simultaneous import joint as joint_of
from equipoise.metrics.wins import wins
from tests.metrics.made import POINT, SMALL

LEVELS = {"group": ["A", "B"], "site": ["x", "y", "z"]}


def made(
    seed: int, *, wandering: bool
) -> tuple[list[Question], list[Counted], list[Numbers], Arms, int]:
    rng = np.random.default_rng(seed)
    n, patients = 600, 250
    who = rng.integers(0, patients, n)
    label = rng.random(n) < 0.4
    site = rng.choice(LEVELS["site"], n) if wandering else rng.choice(LEVELS["site"], patients)[who]
    rows = pl.DataFrame(
        {
            "group": rng.choice(LEVELS["group"], patients)[who],
            "site": site,
            "patient_id": who,
            "label:x": label,
            "score:x": (rng.random(n) * 0.7 + 0.3 * label).astype(np.float32),
        }
    )
    table = metrics.subgroups(LEVELS)
    people = metrics.population(rows, table, patient="patient_id", points=POINT)
    compared = arms(table, people.cells, {})
    asked = questions(people.samples, [metric(n) for n in ("auroc", "ppv", "f1", "brier", "auprg")])
    counted, found = answers(asked, compared, SMALL)
    return asked, counted, found, compared, people.patients


@pytest.mark.parametrize("wandering", [False, True])
def test_cells_one_by_one_give_what_patients_one_by_one_give(wandering: bool) -> None:
    asked, counted, found, compared, patients = made(0, wandering=wandering)
    joint = moments(asked, counted, found, compared, patients=patients)
    for position, one in enumerate(zip(asked, counted, found, strict=True)):
        of: Influence = influence(*one, compared)
        sample, runs = one[1].sample, one[1].tally.runs
        ways = [grams.gram(of, one[1], {})]
        rest = grams._dense(of, sample, runs.of_several())
        ways.append(grams._by_cell(of, sample, runs.by_cell) + rest)
        for gram in ways:
            assert np.allclose(np.diag(gram.products), joint.variance[position], rtol=2e-5)
            assert np.allclose(gram.fourth, joint.fourth[position], rtol=2e-4)
            first = [c.group for c in compared.contrasts]
            second = [c.against for c in compared.contrasts]
            scale = joint.variance[position].max()
            off = gram.products[first, second] - joint.covariance[position]
            assert np.abs(off).max() < 2e-5 * scale


def test_a_family_that_is_taken_question_by_question_has_the_same_blocks() -> None:
    asked, counted, found, compared, patients = made(1, wandering=True)
    joint = moments(asked, counted, found, compared, patients=patients)
    apart = by_question(
        [grams.gram(influence(*one, compared), one[1], {})
         for one in zip(asked, counted, found, strict=True)],
        found, compared,
    )  # fmt: skip
    assert np.allclose(apart.variance, joint.variance, rtol=1e-9)
    whole = joint.joint_differences[0].covariance
    for block in apart.joint_differences:
        mine = whole[np.ix_(block.members, block.members)]
        assert np.allclose(block.covariance, mine, atol=1e-9 * np.abs(mine).max())
    critical = [
        joint_of(
            [b.covariance for b in one.joint_differences], 0.95, np.random.default_rng(0), n=20_000
        ).critical
        for one in (joint, apart)
    ]
    # Taken as independent the family needs no less, but for what draws do not know.
    assert critical[1] >= critical[0] - 0.03


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 120), st.integers(1, 7), st.sampled_from([1, 3, 40]))
def test_wins_are_those_of_comparing_all_pairs(seed: int, n: int, cells: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    kind = np.float32 if seed % 2 else np.float64
    score = (rng.integers(0, levels, n) / levels).astype(kind)
    label, cell = rng.random(n) < 0.3, rng.integers(0, cells, n)
    sample = Sample("x", score, label, np.arange(n), cell, {}, 0)
    expected = np.zeros((cells, cells))
    for i in np.flatnonzero(label):
        for j in np.flatnonzero(~label):
            won = float(score[i] > score[j]) + 0.5 * float(score[i] == score[j])
            expected[cell[i], cell[j]] += won
    assert np.array_equal(wins(sample, ranks(sample), cells), expected)


def test_bins_hold_whole_levels_and_are_fine_at_the_ends() -> None:
    rng = np.random.default_rng(3)
    n = 30_000
    label = rng.random(n) < 0.1
    score = (1 / (1 + np.exp(-(rng.standard_normal(n) + 3 * label - 2)))).round(4)
    sample = Sample("x", score, label, np.arange(n), np.zeros(n, dtype=np.int64), {}, 0)
    found = ranks(sample, most=512)
    assert not found.exact
    assert found.bins <= 512 * 2
    by_bin = (
        pl.DataFrame({"bin": found.bin, "score": score})
        .group_by("score")
        .agg(pl.col("bin").n_unique())
    )
    assert by_bin["bin"].max() == 1
    order = np.argsort(score, kind="stable")
    assert (np.diff(found.bin[order]) >= 0).all()


def test_a_binned_error_is_that_without_bins_to_a_thousandth() -> None:
    rng = np.random.default_rng(4)
    n = 40_000
    who = rng.integers(0, n // 2, n)
    label = rng.random(n) < 0.2
    score = 1 / (1 + np.exp(-(rng.standard_normal(n) + 2.5 * label - 1)))
    rows = pl.DataFrame({"g": ["a"] * n, "who": who, "label:x": label, "score:x": score})
    table = metrics.subgroups({"g": ["a"]})
    plan = metrics.Plan({}, ("auroc",), metrics.Minimum(), "m", draws=100)
    found = metrics.estimate(metrics.population(rows, table, patient="who"), table, plan)
    row = found.estimates.row(0, named=True)
    value, error = metrics.clustered_auroc(score, label, who)
    assert row["value"] == pytest.approx(value, abs=1e-12)
    assert row["standard_error"] == pytest.approx(error, rel=1e-3)
