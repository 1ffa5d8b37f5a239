import dataclasses

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from equipoise.adapt import Options
from equipoise.adapt.options import Candidate
from equipoise.adapt.quantities import quantity, reached, validation
from equipoise.adapt.selection import selection
from equipoise.adapt.standing import RULES, Standing
from tests.adapt.drawn import common, outcome, people, score

EQUAL = {"F": 0.8, "M": 0.8}


def options(**given):
    named = tuple(Candidate(name=n, mitigation="reweighting") for n in ("other", "third"))
    return Options(candidates=named, **{"margin": 0.3, **given})


def chosen(rng, rows, by_name, *, apart=0.0, **given):
    shared = common(rng, rows) + apart * (rows.groups == "F")
    made = [
        outcome(rows, name, score(rng, rows, aurocs, shared)) for name, aurocs in by_name.items()
    ]
    return selection(rows, made, options(**given))


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_plain_training_stays_in_at_least_8_of_10_draws_without_a_difference(rule):
    draws, rng = 150, np.random.default_rng(5)
    kept = 0
    for _ in range(draws):
        found = chosen(rng, people(rng), {"plain": EQUAL, "other": EQUAL}, floor=0.5)
        kept += found.choices[rule].candidate == "plain"
    # One standard error is passed by chance in 16 of 100; 84 are expected to stay.
    assert kept >= binom.ppf(0.01, draws, 0.8)


@pytest.mark.slow
def test_of_many_candidates_that_harm_a_group_by_the_margin_hardly_ever_one_passes():
    draws, rng, passed = 200, np.random.default_rng(31), 0
    by = {"plain": {"F": 0.85, "M": 0.85}}
    by |= {f"c{i}": {"F": 0.80, "M": 0.90} for i in range(8)}
    for _ in range(draws):
        rows = people(rng)
        shared = common(rng, rows)
        made = [outcome(rows, name, score(rng, rows, a, shared)) for name, a in by.items()]
        found = selection(rows, made, Options(candidates=(), margin=0.05))
        passed += any(guard.status == "acceptable" for guard in found.guards.values())
    assert passed <= binom.ppf(0.99, draws, 0.05)


@pytest.mark.slow
def test_more_standard_errors_keep_plain_training_more_often_among_many():
    draws, kept = 60, []
    for times in (1.0, 2.5):
        rng, n = np.random.default_rng(32), 0
        for _ in range(draws):
            rows = people(rng)
            shared = common(rng, rows)
            names = ["plain", *(f"c{i}" for i in range(8))]
            made = [outcome(rows, name, score(rng, rows, EQUAL, shared)) for name in names]
            free = {f"c{i}": "as a trial" for i in range(8)}
            asked = Options(
                candidates=tuple(Candidate(name=name, mitigation="reweighting") for name in free),
                despite_guard=free,
                standard_errors=times,
            )
            n += selection(rows, made, asked).choices["overall"].candidate == "plain"
        kept.append(n / draws)
    assert kept[0] < 0.7
    assert kept[1] > 0.85


def test_a_candidate_that_is_clearly_better_is_chosen_by_every_rule_it_serves():
    rng = np.random.default_rng(1)
    by = {"plain": {"F": 0.7, "M": 0.9}, "other": {"F": 0.9, "M": 0.92}}
    found = chosen(rng, people(rng, patients=1000), by)
    for rule in ("overall", "worst_group", "pareto_minimax", "distance_to_optimum"):
        choice = found.choices[rule]
        assert (choice.candidate, choice.highest) == ("other", "other")
        assert choice.gain > choice.error > 0
        assert "better than plain training by" in choice.reason
    assert found.choices["smallest_contrast"].candidate == "other"
    assert found.choices["smallest_contrast"].value < 0.1


def test_a_gain_below_one_standard_error_leaves_plain_training_and_says_so():
    standing = Standing(value=0.82, gain=0.010, error=0.012)
    assert not standing.beats(1.0)
    assert standing.beats(0.5)
    assert dataclasses.replace(standing, error=0.009).beats(1.0)
    assert not Standing(value=0.8, gain=1e-12, error=0.0).beats(1.0)
    rng = np.random.default_rng(1)
    rows = people(rng)
    plain = score(rng, rows, EQUAL, common(rng, rows))
    other = outcome(rows, "other", plain + 0.3 * rng.normal(size=len(plain)) * rows.truth("x"))
    found = selection(rows, [outcome(rows, "plain", plain), other], options())
    standing, choice = found.field.standings["other"]["overall"], found.choices["overall"]
    assert 0 < standing.gain < standing.error
    assert (choice.candidate, choice.highest) == ("plain", "other")
    assert f"other, is better by {standing.gain:.4f}, standard error" in choice.reason


def test_the_paired_error_is_far_below_that_of_unpaired_candidates():
    rng = np.random.default_rng(3)
    rows = people(rng, patients=600)
    plain = score(rng, rows, EQUAL, common(rng, rows))
    near = plain + 0.05 * rng.normal(size=len(plain))
    found = selection(
        rows, [outcome(rows, "plain", plain), outcome(rows, "other", near)], options()
    )
    own = reached(
        validation(rows, list(outcome(rows, "plain", plain).held.values()), 10),
        "x",
        outcome(rows, "plain", plain).held,
    ).overall
    assert found.field.standings["other"]["overall"].error < own.error / 5


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_the_paired_error_is_how_much_a_gain_varies_from_draw_to_draw(rule):
    rng = np.random.default_rng(6)
    by = {"plain": {"F": 0.70, "M": 0.85}, "other": {"F": 0.76, "M": 0.83}}
    gains, errors = [], []
    for _ in range(150):
        # Groups lie apart: where scores tell nothing, an absolute value varies less than its slope.
        found = chosen(rng, people(rng, patients=400), by, apart=0.6, floor=0.5)
        standing = found.field.standings["other"][rule]
        gains.append(standing.gain)
        errors.append(standing.error)
    assert np.mean(errors) == pytest.approx(np.std(gains), rel=0.25)


def test_quantities_are_what_scikit_learn_finds():
    rng = np.random.default_rng(7)
    rows = people(rng, groups=("a", "b", "c"))
    made = outcome(rows, "plain", score(rng, rows, {"a": 0.7, "b": 0.8, "c": 0.9}, 0.0))
    on = validation(rows, list(made.held.values()), 10)
    found = reached(on, "x", made.held)
    truth = rows.truth("x")
    by = {
        g: roc_auc_score(truth[rows.groups == g], made.scores[rows.groups == g])
        for g in ("a", "b", "c")
    }
    assert found.overall.value == pytest.approx(roc_auc_score(truth, made.scores))
    assert {g: n.value for g, n in found.groups.items()} == pytest.approx(by)
    told = [
        abs(2 * roc_auc_score(rows.groups[truth == y] == g, made.scores[truth == y]) - 1)
        for y in (True, False)
        for g in by
    ]
    values = {
        rule: quantity(rule, found, found.groups | {"a": found.groups["c"]}) for rule in RULES
    }
    assert values["least_encoding"].value == pytest.approx(-np.mean(told))
    assert values["worst_group"].value == pytest.approx(by["a"])
    assert values["distance_to_optimum"].value == pytest.approx(by["a"] - by["c"])
    apart = [abs(by[g] - (sum(by.values()) - by[g]) / 2) for g in by]
    assert values["smallest_contrast"].value == pytest.approx(-max(apart))


@pytest.mark.parametrize("rule", RULES)
def test_influence_values_are_the_derivative_by_a_patients_weight(rule):
    """A patient counted once more moves a number by the influence value, to first order."""
    rng = np.random.default_rng(8)
    rows = people(rng, patients=400, images=1)
    made = outcome(rows, "plain", score(rng, rows, {"F": 0.7, "M": 0.85}, common(rng, rows)))
    everyone = np.arange(400)
    on = validation(rows, list(made.held.values()), 5)
    best = reached(
        on, "x", outcome(rows, "best", rows.truth("x") + 0.3 * rng.normal(size=400)).held
    )

    def value(patients):
        held = {None: type(made.held[None])(patients, made.scores[patients])}
        found = reached(on, "x", held)
        fixed = {g: type(n)(n.value, np.zeros(400)) for g, n in best.groups.items()}
        return quantity(rule, found, fixed)

    whole = value(everyone)
    moved = [value(np.delete(everyone, p)).value - whole.value for p in range(60)]
    assert np.corrcoef(moved, -whole.totals[:60])[0, 1] > 0.99
    assert np.std(moved) == pytest.approx(np.std(whole.totals[:60]), rel=0.1)


def test_a_dominated_candidate_is_not_on_the_front():
    rng = np.random.default_rng(9)
    by = {
        "plain": {"F": 0.7, "M": 0.9},
        "other": {"F": 0.6, "M": 0.8},
        "third": {"F": 0.8, "M": 0.8},
    }
    found = chosen(rng, people(rng, patients=1000), by)
    assert [found.field.dominated(name) for name in by] == [False, True, False]
    assert found.choices["pareto_minimax"].candidate == "third"


def test_a_useless_candidate_encodes_nothing_and_is_kept_out_by_the_floor():
    rng = np.random.default_rng(10)
    rows = people(rng, patients=1000)
    uneven = score(rng, rows, EQUAL, common(rng, rows)) + (rows.groups == "F")
    made = [outcome(rows, "plain", uneven), outcome(rows, "other", rng.normal(size=len(uneven)))]
    told = {"other": "to see what the floor does"}
    kept = selection(rows, made, options(margin=0.05, despite_guard=told))
    for rule in ("least_encoding", "smallest_contrast"):
        assert kept.choices[rule].candidate == "plain"
        assert "1 of 2 candidates reach it" in kept.choices[rule].reason
    free = selection(rows, made, options(floor=0.3, despite_guard=told))
    assert free.choices["least_encoding"].candidate == "other"


def test_where_no_group_can_be_held_against_the_floor_plain_training_stays():
    rng = np.random.default_rng(14)
    rows = people(rng, patients=200, images=1, prevalence=0.06)
    uneven = score(rng, rows, EQUAL, common(rng, rows)) + (rows.groups == "F")
    made = [outcome(rows, "plain", uneven), outcome(rows, "other", rng.normal(size=len(uneven)))]
    found = selection(rows, made, options(despite_guard={"other": "to see what the floor does"}))
    choice = found.choices["least_encoding"]
    assert choice.candidate == "plain"
    assert "no group is large enough on validation to hold against a floor" in choice.reason


def test_a_better_candidate_that_harms_a_group_gives_way_to_the_next():
    rng = np.random.default_rng(11)
    by = {
        "plain": {"F": 0.8, "M": 0.7},
        "other": {"F": 0.72, "M": 0.95},
        "third": {"F": 0.82, "M": 0.8},
    }
    found = chosen(rng, people(rng, patients=2000), by, margin=0.04)
    choice = found.choices["overall"]
    assert (choice.candidate, choice.highest) == ("third", "other")
    assert "; other is better, but cannot rule out levelling down: x: in group 'F'" in choice.reason
    told = {"other": "declared in the protocol"}
    free = chosen(np.random.default_rng(11), people(rng), by, margin=0.04, despite_guard=told)
    assert free.choices["overall"].candidate == "other"


def test_a_candidate_that_failed_in_one_seed_is_out_and_seeds_are_averaged():
    rng = np.random.default_rng(12)
    rows = people(rng, patients=1000)
    shared = common(rng, rows)
    made = []
    for seed, auroc in ((0, 0.7), (1, 0.95)):
        made.append(outcome(rows, "plain", score(rng, rows, EQUAL, shared), seed=seed))
        better = score(rng, rows, {"F": auroc, "M": auroc}, shared)
        made.append(outcome(rows, "other", better, seed=seed))
        third = score(rng, rows, {"F": 0.95, "M": 0.95}, shared)
        made.append(outcome(rows, "third", third, seed=seed, reason="diverged" if seed else None))
    found = selection(rows, made, options())
    assert found.guards["third"].status == "failed"
    assert "third" not in found.field.standings
    standing = found.field.standings["other"]["overall"]
    assert standing.value == pytest.approx((0.7 + 0.95) / 2, abs=0.02)
    assert found.choices["overall"].seed == 0


def test_rules_without_groups_have_no_number_but_overall_has():
    rng = np.random.default_rng(13)
    rows = people(rng, groups=("everybody",))
    found = chosen(rng, rows, {"plain": {"everybody": 0.8}, "other": {"everybody": 0.8}})
    assert found.choices["overall"] is not None
    assert found.choices["least_encoding"] is None
    assert found.choices["smallest_contrast"] is None
