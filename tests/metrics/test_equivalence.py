import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from equipoise import policies
from equipoise.errors import InvalidConfiguration
from equipoise.metrics.equivalence import Equivalence, equivalence
from equipoise.metrics.intervals import quantile
from tests.policies.made import fine, policy, rows, table

NUMBER = st.floats(-0.4, 0.4).map(lambda x: round(x, 3))
HALF = st.floats(0.001, 0.3).map(lambda x: round(x, 3))
GATE = {
    "disparity": "fail",
    "equivalent": "pass",
    "disparity within the margin": "pass",
    "inconclusive": "inconclusive",
}


def judged(value, simultaneous, pointwise):
    """Return the part of the policy's judgement that is of this difference, tolerance 0.1."""
    difference = rows(
        "auroc",
        value,
        inner=pointwise,
        outer=simultaneous,
        subgroup={"sex": "F"},
        contrast="rest",
    )
    found = policies.judge(table(fine(), difference), policy())
    criterion = next(o for o in found.outcomes if o.kind == "contrast")
    return next(p for p in criterion.parts if p.facts["value"] == value)


@given(NUMBER, HALF, HALF, HALF, HALF)
def test_the_gate_judges_as_the_answer_says(value, down, up, further_down, further_up) -> None:
    pointwise = (value - down, value + up)
    simultaneous = (pointwise[0] - further_down, pointwise[1] + further_up)
    found = equivalence(value, simultaneous, pointwise, margin=0.1)
    part = judged(value, simultaneous, pointwise)
    assert part.outcome.value == GATE[found.answer]
    if found.answer == "inconclusive":
        more = found.more(100)  # the table's rows have 100 positives
        said = "hardly decide" if more is None else f"about {more} more positives"
        assert said in part.reason


@pytest.mark.parametrize(
    ("value", "half", "answer"),
    [
        (0.25, 0.1, "disparity"),
        (-0.25, 0.1, "disparity"),
        (0.0, 0.05, "equivalent"),
        (0.04, 0.03, "disparity within the margin"),
        (-0.04, 0.03, "disparity within the margin"),
        (0.08, 0.05, "inconclusive"),  # apart, and perhaps beyond the margin
        (0.0, 0.2, "inconclusive"),
        (0.2, 0.1, "inconclusive"),  # the simultaneous interval begins on the margin
        (0.03, 0.03, "equivalent"),  # the simultaneous interval begins on 0
    ],
)
def test_there_are_four_answers(value: float, half: float, answer: str) -> None:
    pointwise = (value - 0.8 * half, value + 0.8 * half)
    found = equivalence(value, (value - half, value + half), pointwise, margin=0.1)
    assert found.answer == answer


@given(NUMBER, HALF, st.integers(20, 500))
def test_with_as_many_more_it_would_have_been_decided_and_with_fewer_not(value, half, n) -> None:
    def at(size: float) -> Equivalence:
        outer, inner = (k * half * math.sqrt(n / size) for k in (1.4, 1.0))
        limits = (value - outer, value + outer), (value - inner, value + inner)
        return equivalence(value, *limits, margin=0.1)

    found = at(n)
    assume(found.answer == "inconclusive" and found.factor < 100)
    more = found.more(n)
    assert at(n + more + 1).answer != "inconclusive"
    assert more == 1 or at(n + more - 2).answer == "inconclusive"


@given(NUMBER, HALF, st.floats(0.01, 0.3))
def test_the_sign_of_a_difference_does_not_matter(value, half, margin) -> None:
    def about(centre):
        outer, inner = (centre - 1.3 * half, centre + 1.3 * half), (centre - half, centre + half)
        return equivalence(centre, outer, inner, margin=margin)

    assert about(value) == about(-value)


@given(NUMBER, HALF)
def test_an_equivalent_pair_stays_so_at_a_larger_margin(value, half) -> None:
    limits = (value - 1.3 * half, value + 1.3 * half), (value - half, value + half)
    answers = [equivalence(value, *limits, margin=m).answer for m in (0.05, 0.1, 0.2, 0.8)]
    within = [a in {"equivalent", "disparity within the margin"} for a in answers]
    assert within == sorted(within)


def test_at_the_margin_equivalence_is_claimed_in_five_of_a_hundred() -> None:
    """The size of the two one-sided tests, by simulation of the estimate."""
    rng, error, margin = np.random.default_rng(0), 0.02, 0.1
    z90, z95 = quantile(0.90) * error, quantile(0.95) * error
    claimed = [
        equivalence(v, (v - z95, v + z95), (v - z90, v + z90), margin=margin).answer
        in {"equivalent", "disparity within the margin"}
        for v in margin + error * rng.standard_normal(6_000)
    ]
    assert np.mean(claimed) == pytest.approx(0.05, abs=0.008)


def test_what_is_null_has_no_answer() -> None:
    nothing = (math.nan, math.nan)
    for case in ((math.nan, nothing, nothing), (0.1, nothing, (0.0, 0.2))):
        found = equivalence(*case, margin=0.1)
        assert found.answer is None
        assert found.more(10) is None


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(InvalidConfiguration, match="expected a number above 0"):
        equivalence(0.0, (0.0, 0.0), (0.0, 0.0), margin=margin)


def test_on_the_margin_no_number_of_patients_would_decide() -> None:
    found = equivalence(0.1, (0.0, 0.2), (0.02, 0.18), margin=0.1)
    assert found.factor == math.inf
    assert found.more(100) is None
