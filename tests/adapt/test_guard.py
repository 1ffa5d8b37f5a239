import numpy as np
import pytest
from scipy.stats import binom, norm

from equipoise.adapt.guard import guarded
from equipoise.adapt.outcomes import Held
from equipoise.adapt.quantities import validation
from equipoise.metrics import Answers, Minimum
from equipoise.metrics.changes import changes
from tests.adapt.drawn import common, outcome, people, score

MARGIN = 0.05


def judged(rng, rows, plain, other, *, margin=MARGIN, minimum=10):
    one, two = outcome(rows, "plain", plain), outcome(rows, "other", other)
    on = validation(rows, list(one.held.values()), minimum)
    return guarded([one], [two], on, margin=margin, rng=rng)


def accepted(draws, harmed, *, groups=("F", "M"), seed=0, patients=300):
    """Return in how many draws a candidate passes whose AUROCs are those of `harmed`."""
    rng = np.random.default_rng(seed)
    passed = 0
    for _ in range(draws):
        rows = people(rng, groups=groups, patients=patients)
        shared = common(rng, rows)
        plain = score(rng, rows, dict.fromkeys(groups, 0.85), shared)
        other = score(rng, rows, dict.fromkeys(groups, 0.85) | harmed, shared)
        passed += judged(rng, rows, plain, other).passes
    return passed


@pytest.mark.slow
@pytest.mark.parametrize("groups", [("F", "M"), ("a", "b", "c", "d")])
def test_a_group_that_is_worse_by_the_margin_passes_in_at_most_5_in_100(groups):
    draws = 300
    passed = accepted(draws, {groups[0]: 0.85 - MARGIN}, groups=groups)
    assert passed <= binom.ppf(0.99, draws, 0.05)


@pytest.mark.slow
def test_where_all_groups_are_worse_by_the_margin_it_hardly_ever_passes():
    draws = 300
    assert accepted(draws, {"F": 0.80, "M": 0.80}) <= binom.ppf(0.99, draws, 0.05 / 4)


@pytest.mark.slow
def test_a_harmless_candidate_passes_where_the_data_suffice():
    assert accepted(60, {}, patients=3000) >= 57


def fewest(rows, group):
    inside = rows.groups == group
    return min(len(set(rows.patients[inside & (rows.truth("x") == y)])) for y in (True, False))


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("patients", [100, 200, 400])
def test_harm_to_few_patients_all_or_nothing_passes_in_at_most_5_in_100(patients, noise):
    """A share of F's positives falls to the bottom: a loss of the margin, and often of nobody.

    With noise everybody's score moves a little, so that the difference has an error, a small one.
    """
    draws, rng, passed = 300, np.random.default_rng(7), 0
    for _ in range(draws):
        rows = people(rng, patients=patients, images=1)
        plain = score(rng, rows, {"F": 0.85, "M": 0.85}, common(rng, rows))
        other = plain + noise * rng.normal(size=len(plain))
        hit = (rows.groups == "F") & rows.truth("x") & (rng.random(len(plain)) < MARGIN / 0.85)
        other[hit] = plain.min() - 1.0
        passed += judged(rng, rows, plain, other).passes
    assert passed <= binom.ppf(0.99, draws, 0.05)


def test_plain_training_beside_itself_passes_where_patients_suffice_to_show_it():
    rng = np.random.default_rng(0)
    few = people(rng, patients=60)
    same = score(rng, few, {"F": 0.8, "M": 0.8}, common(rng, few))
    assert not judged(rng, few, same, same).passes
    rows = people(rng, patients=1000)
    same = score(rng, rows, {"F": 0.8, "M": 0.8}, common(rng, rows))
    found = judged(rng, rows, same, same)
    assert found.status == "acceptable"
    assert [row["difference"] for row in found.differences] == [0.0, 0.0]
    assert "in all of 2 comparisons by group" in found.reason


def test_a_candidate_that_harms_is_named_with_the_group_and_the_limit():
    rng = np.random.default_rng(0)
    rows = people(rng)
    shared = common(rng, rows)
    plain = score(rng, rows, {"F": 0.9, "M": 0.9}, shared)
    other = score(rng, rows, {"F": 0.6, "M": 0.95}, shared)
    found = judged(rng, rows, plain, other)
    assert found.status == "cannot rule out levelling down"
    assert "x: in group 'F' AUROC differs by -0.2" in found.reason
    assert "expected above -0.05" in found.reason


def test_a_group_that_is_too_small_to_be_assessed_blocks():
    rng = np.random.default_rng(0)
    rows = people(rng, groups=("F", *"M" * 14))
    same = score(rng, rows, {"F": 0.8, "M": 0.8}, common(rng, rows))
    found = judged(rng, rows, same, same, minimum=30)
    assert found.status == "cannot rule out levelling down"
    assert "x: group 'F' on validation:" in found.reason
    assert "needs 30" in found.reason


def test_a_group_that_is_not_on_validation_at_all_blocks():
    rng = np.random.default_rng(0)
    rows = people(rng, groups=("F", "M"))
    same = score(rng, rows, {"F": 0.8, "M": 0.8}, common(rng, rows)).astype(np.float32)
    men = np.flatnonzero(rows.groups == "M")
    one = outcome(rows, "plain", same)
    held = {None: Held(men, same[men])}
    one = type(one)(*[held if n == "held" else getattr(one, n) for n in one.__slots__])
    found = guarded([one], [one], validation(rows, [held[None]], 10), margin=MARGIN, rng=rng)
    assert "group 'F' on validation: 0 positives" in found.reason


def test_without_a_margin_nothing_is_shown_and_a_failure_is_a_failure():
    rng = np.random.default_rng(0)
    rows = people(rng)
    same = score(rng, rows, {"F": 0.8, "M": 0.8}, common(rng, rows))
    open_one = judged(rng, rows, same, same, margin=None)
    assert open_one.status == "cannot rule out levelling down"
    assert open_one.reason == "no margin was declared"
    # Where nobody differs: the share that nobody among so many patients would show.
    for row in open_one.differences:
        share = 1.0 - norm.sf(open_one.critical) ** (1.0 / fewest(rows, row["group"]))
        assert row["low"] == pytest.approx(-share)
    one = outcome(rows, "plain", same)
    broken = outcome(rows, "other", same, reason="diverged")
    on = validation(rows, list(one.held.values()), 10)
    found = guarded([one], [broken], on, margin=MARGIN, rng=rng)
    assert (found.status, found.reason) == ("failed", "x, seed 0: diverged")


def test_differences_are_those_of_the_engine_at_the_joint_half_width():
    rng = np.random.default_rng(3)
    rows = people(rng, patients=900)
    shared = common(rng, rows)
    both = [score(rng, rows, {"F": a, "M": 0.8}, shared) for a in (0.8, 0.85)]
    found = judged(rng, rows, *both)
    # Two groups that share nobody: the half-width is that of two independent numbers.
    assert found.critical == pytest.approx(1.9545, abs=0.03)
    label = rows.truth("x")
    expected = changes(
        "auroc",
        tuple(Answers(one.astype(np.float32)[None], label[None]) for one in both),
        label=label,
        patient=rows.patients,
        groups=[rows.groups == "F"],
        minimum=Minimum(positives=10, negatives=10, patients=2),
    )[0]
    error = np.sqrt((expected.influence**2).sum())
    row = found.differences[0]
    assert row["difference"] == pytest.approx(expected.difference)
    # Student's t is a little wider than the normal.
    assert found.critical * error < row["difference"] - row["low"] < 1.1 * found.critical * error


def test_rounds_and_seeds_are_averaged():
    rng = np.random.default_rng(4)
    rows = people(rng)
    shared = common(rng, rows)
    both = [score(rng, rows, {"F": a, "M": 0.8}, shared) for a in (0.8, 0.85)]
    parts = [np.flatnonzero(rows.patients // 2 % 2 == side) for side in (0, 1)]
    made = []
    for name, one in zip(("plain", "other"), both, strict=True):
        whole = outcome(rows, name, one)
        held = {fold: Held(p, one.astype(np.float32)[p]) for fold, p in enumerate(parts)}
        made.append(
            type(whole)(*[held if n == "held" else getattr(whole, n) for n in whole.__slots__])
        )
    on = validation(rows, list(made[0].held.values()), 10)
    found = guarded(made[:1], made[1:], on, margin=MARGIN, rng=rng)
    label, differences = rows.truth("x"), []
    for p in parts:
        inside = p[rows.groups[p] == "F"]
        pair = [Answers(s.astype(np.float32)[inside][None], label[inside][None]) for s in both]
        differences += changes(
            "auroc",
            tuple(pair),
            label=label[inside],
            patient=rows.patients[inside],
            groups=[np.ones(len(inside), dtype=bool)],
            minimum=Minimum(positives=2, negatives=2, patients=2),
        )
    assert found.differences[0]["difference"] == pytest.approx(
        np.mean([one.difference for one in differences])
    )
