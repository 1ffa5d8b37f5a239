from importlib import resources

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import audit, policies
from equipoise.errors import InvalidTable
from equipoise.policies import Verdict
from tests.policies.made import difference, fine, policy, rows, table


def verdict(*parts: list[dict[str, object]], **changes: object) -> str:
    return policies.judge(table(*parts), policy(**changes)).verdict.value


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [
        (0.0, 0.03, "pass"),
        (0.07, 0.03, "pass"),  # the 90 % interval ends on the tolerance: it lies within
        (-0.07, 0.03, "pass"),
        (0.08, 0.03, "inconclusive"),
        (0.0, 0.2, "inconclusive"),  # nothing shown, nothing excluded
        (0.15, 0.03, "inconclusive"),  # pointwise beyond, simultaneous not
        (0.17, 0.03, "fail"),
        (-0.17, 0.03, "fail"),  # either sign
        (0.16, 0.03, "inconclusive"),  # the simultaneous interval begins on the tolerance
    ],
)
def test_a_difference_is_judged_by_its_two_intervals(
    value: float, half: float, expected: str
) -> None:
    assert verdict(fine(), difference(value, half)) == expected


@pytest.mark.parametrize(
    ("value", "inner", "outer", "expected"),
    [
        (0.80, (0.75, 0.85), (0.72, 0.88), "pass"),
        (0.72, (0.69, 0.75), (0.66, 0.78), "inconclusive"),
        (0.68, (0.66, 0.69), (0.64, 0.71), "inconclusive"),
        (0.60, (0.55, 0.65), (0.52, 0.68), "fail"),
    ],
)
def test_a_floor_is_judged_by_its_bounds(
    value: float, inner: tuple[float, float], outer: tuple[float, float], expected: str
) -> None:
    low = rows("auroc", value, inner=inner, outer=outer, subgroup={"sex": "F"})
    others = [row for row in fine() if row["sex"] != "F"]
    assert verdict(low, others, difference(0.0)) == expected


def test_everybody_together_is_held_to_the_floor_unless_the_policy_says_otherwise() -> None:
    bad = rows("auroc", 0.5, inner=(0.47, 0.53), outer=(0.45, 0.55))
    others = [row for row in fine() if row["sex"] is not None]
    assert verdict(bad, others, difference(0.0)) == "fail"
    floor = {"name": "useful", "metric": "auroc", "minimum": 0.7, "attributes": ["sex"]}
    assert verdict(bad, others, difference(0.0), floors=[{**floor, "overall": False}]) == "pass"


def test_the_worst_verdict_decides() -> None:
    other = {"sex": "M"}
    too_small = difference(
        None, reason="sex=M has 12 positives; 18 more are needed", subgroup=other
    )
    assert verdict(fine(), too_small, difference(0.0)) == "not assessable"
    assert verdict(fine(), too_small, difference(0.0, 0.2)) == "not assessable"
    assert verdict(fine(), too_small, difference(0.2)) == "fail"
    assert verdict(fine(), difference(0.0, 0.2, subgroup=other), difference(0.2)) == "fail"
    assert verdict(fine(), difference(0.0, 0.2, subgroup=other), difference(0.0)) == "inconclusive"
    assert [v.value for v in sorted(Verdict, key=lambda v: -v.severity)] == [
        "fail",
        "not assessable",
        "inconclusive",
        "pass",
    ]
    assert [v.exit_code for v in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)] == [0, 1, 3]


def test_a_group_too_small_blocks_a_pass_and_the_reason_says_how_many_are_lacking() -> None:
    reason = "sex=F has 12 positives; 18 more are needed"
    found = policies.judge(table(fine(), difference(None, reason=reason)), policy())
    assert found.verdict is Verdict.NOT_ASSESSABLE
    assert reason in found.reason


def test_a_group_that_is_not_required_may_be_too_small() -> None:
    small = difference(None, reason="too few", subgroup={"sex": "X"})
    assert verdict(fine(), difference(0.0), small) == "not assessable"
    assert verdict(fine(), difference(0.0), small, required=[{"sex": "F"}]) == "pass"


def test_if_nothing_required_is_left_nothing_passes() -> None:
    small = difference(None, reason="too few", subgroup={"sex": "X"})
    assert verdict(fine(), small, required=[{"sex": "F"}]) == "not assessable"


def test_a_required_group_that_was_not_audited_blocks_a_pass() -> None:
    found = policies.judge(table(fine(), difference(0.0)), policy(required=[{"sex": "intersex"}]))
    assert found.verdict is Verdict.NOT_ASSESSABLE
    assert "the required group sex=intersex was not audited" in found.reason


def test_a_small_group_of_unknown_does_not_block_but_a_bad_one_fails() -> None:
    few = rows("auroc", None, reason="too few", subgroup={"sex": "unknown"})
    bad = rows("auroc", 0.5, inner=(0.4, 0.6), outer=(0.35, 0.65), subgroup={"sex": "unknown"})
    assert verdict(fine(), few, difference(0.0)) == "pass"
    assert verdict(fine(), bad, difference(0.0)) == "fail"


def test_exploratory_estimates_never_pass_but_may_fail() -> None:
    found = policies.judge(
        table(fine(exploratory=True), difference(0.0, exploratory=True)), policy()
    )
    assert found.verdict is Verdict.NOT_ASSESSABLE
    assert "not declared before: exploratory" in found.reason
    assert verdict(fine(exploratory=True), difference(0.2, exploratory=True)) == "fail"
    assert verdict(fine(), difference(0.0, exploratory=True)) == "not assessable"
    assert verdict(fine(exploratory=True), difference(0.0)) == "not assessable"


def test_too_large_a_share_of_unknown_blocks_a_pass() -> None:
    many = rows(
        "auroc",
        0.85,
        inner=(0.8, 0.9),
        outer=(0.78, 0.92),
        subgroup={"sex": "unknown"},
        n_patients=30,
    )
    assert verdict(fine(), difference(0.0), many, maximum_unknown_share=0.15) == "pass"
    found = policies.judge(table(fine(), difference(0.0), many), policy(maximum_unknown_share=0.1))
    assert found.verdict is Verdict.NOT_ASSESSABLE
    assert "sex is unknown for 15.0% of patients" in found.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "specificity"}, "there is no estimate of specificity; there are: auroc"),
        ({"findings": ["edema", "mass"]}, "no estimate of auroc for the finding 'mass'"),
        ({"attributes": ["sex", "age_band"]}, "no difference of auroc by age_band for 'edema'"),
        ({"intersections": [["age_band", "sex"]]}, "no difference of auroc by age_band × sex"),
    ],
)
def test_a_criterion_that_matches_nothing_is_not_assessable_and_never_passed_in_silence(
    change: dict[str, object], message: str
) -> None:
    criterion = {"name": "equal", "metric": "auroc", "attributes": ["sex"], "tolerance": 0.1}
    floors = [
        {"name": m, "metric": m, "minimum": 0.7, "attributes": ["sex", "age_band"]}
        for m in ("auroc", "sensitivity", "specificity")
    ]
    found = policies.judge(
        table(fine(), difference(0.0)), policy(criteria=[{**criterion, **change}], floors=floors)
    )
    assert found.outcomes[0].verdict is Verdict.NOT_ASSESSABLE
    assert message in found.outcomes[0].reason


def test_an_operating_point_that_is_asked_for_in_vain_is_not_assessable() -> None:
    criterion = {
        "name": "equal",
        "metric": "sensitivity",
        "attributes": ["sex"],
        "tolerance": 0.1,
        "operating_points": ["screening"],
    }
    floors = [
        {"name": m, "metric": m, "minimum": 0.7, "attributes": ["sex"]}
        for m in ("sensitivity", "specificity")
    ]
    there = [{**row, "metric": "sensitivity", "operating_point": "p"} for row in difference(0.0)]
    found = policies.judge(table(fine(), there), policy(criteria=[criterion], floors=floors))
    assert "at the operating point 'screening'" in found.outcomes[0].reason
    assert found.verdict is Verdict.NOT_ASSESSABLE


def test_an_estimate_without_its_simultaneous_interval_is_not_assessable() -> None:
    only = [row for row in difference(0.0) if row["interval"] == "pointwise"]
    assert verdict(fine(), only) == "not assessable"


def test_two_rows_for_one_estimate_are_an_error_not_a_choice() -> None:
    with pytest.raises(InvalidTable, match="2 rows give the simultaneous 95% interval of one"):
        policies.judge(table(fine(), difference(0.2), difference(0.0)), policy())


def test_ranges_are_never_judged() -> None:
    spread = rows("auroc", 0.9, contrast="range", outer=(0.8, 0.99), inner=(0.8, 0.99))
    assert verdict(fine(), difference(0.0), spread) == "pass"


def test_what_is_inconclusive_says_roughly_how_many_more_would_decide() -> None:
    found = policies.judge(table(fine(), difference(0.0, 0.2)), policy())
    # A half-width of 0.2 must come down to 0.1: four times the 100 positives.
    assert "about 300 more positives" in found.reason


def test_the_judgement_lists_every_criterion_and_what_decided() -> None:
    said = policies.judge(table(fine(), difference(0.17)), policy()).as_json()
    assert said["verdict"] == "fail"
    assert len(said["policy"]["digest"]) == 64
    assert [c["kind"] for c in said["criteria"]] == ["contrast", "floor"]
    part = said["criteria"][0]["judgements"][0]
    assert (part["subgroup"], part["against"], part["deciding"]) == ({"sex": "F"}, "rest", True)
    assert (part["low"], part["high"]) == pytest.approx((0.11, 0.23))
    assert part["pointwise_90"] == pytest.approx([0.14, 0.20])
    assert "auroc of sex=F is 0.170 above that of the rest" in said["reason"]


def test_a_table_that_is_no_estimates_is_an_error() -> None:
    with pytest.raises(InvalidTable, match="estimates: no column 'candidate'"):
        policies.judge(pl.DataFrame({"finding": ["x"]}), policy())


@given(st.floats(-0.3, 0.3), st.floats(0.001, 0.3), st.floats(0.01, 0.5), st.floats(0.0, 0.3))
def test_a_larger_tolerance_never_makes_a_verdict_worse(
    value: float, half: float, tolerance: float, more: float
) -> None:
    found = []
    for bound in (tolerance, tolerance + more):
        criterion = {"name": "e", "metric": "auroc", "attributes": ["sex"], "tolerance": bound}
        judged = policies.judge(
            table(fine(), difference(value, half)), policy(criteria=[criterion])
        )
        found.append(judged.verdict.severity)
    assert found[1] <= found[0]


@pytest.mark.parametrize("equal", [True, False])
def test_a_useless_model_cannot_pass_however_alike_its_groups_are(equal: bool) -> None:
    rng = np.random.default_rng(1)
    n = 6_000
    label = rng.random(n) < 0.5
    score = np.full(n, 0.5) if equal else rng.random(n)
    frame = pl.DataFrame({"sex": rng.choice(["F", "M"], n), "label": label, "score": score})
    estimates = audit.estimates(frame, by={"sex": ["F", "M"]}, patient=None)
    found = policies.judge(estimates, policy())
    assert found.outcomes[0].verdict is Verdict.PASS
    assert found.verdict is Verdict.FAIL
    assert "auroc of" in found.reason


def test_a_large_fair_model_passes_and_one_that_misses_a_group_fails_there() -> None:
    rng = np.random.default_rng(2)
    n = 8_000
    sex = rng.choice(["F", "M"], n)
    label = rng.random(n) < 0.5
    found = []
    for blind in (0.0, 1.3):
        gain = np.where(sex == "F", 2.0 - blind, 2.0)
        latent = rng.standard_normal(n) + gain * label
        score = 1 / (1 + np.exp(1 - latent))
        frame = pl.DataFrame({"sex": sex, "label": label, "score": score})
        found.append(
            policies.judge(audit.estimates(frame, by={"sex": ["F", "M"]}, patient=None), policy())
        )
    assert found[0].verdict is Verdict.PASS
    assert found[1].verdict is Verdict.FAIL
    assert "auroc of sex=F" in found[1].reason


def test_a_required_group_that_no_criterion_judges_must_be_assessable_all_the_same() -> None:
    old = {"age_band": "65+"}
    few = rows("auroc", None, subgroup=old, reason="age_band=65+ has 3 positives")
    found = policies.judge(table(fine(), difference(0.0), few), policy(required=[old]))
    assert found.verdict is Verdict.NOT_ASSESSABLE
    assert "age_band=65+ has 3 positives" in found.reason
    enough = rows("auroc", 0.8, inner=(0.75, 0.85), outer=(0.7, 0.9), subgroup=old)
    assert verdict(fine(), difference(0.0), enough, required=[old]) == "pass"


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_that_calls_all_or_none_never_passes_the_policies_that_come_along(
    threshold: float,
) -> None:
    rng = np.random.default_rng(0)
    n = 3000
    label = rng.random(n) < 0.4
    score = 1 / (1 + np.exp(-rng.standard_normal(n) - 3 * label))  # ranks well
    people = {"sex": rng.choice(["F", "M"], n), "age_band": rng.choice(["0-49", "50+"], n)}
    frame = pl.DataFrame({**people, "label": label, "score": score})
    by = {"sex": ["F", "M"], "age_band": ["0-49", "50+"]}
    points = {"all or none": threshold}
    found = audit.estimates(frame, by=by, patient=None, operating_points=points)
    shipped = resources.files("equipoise.study").joinpath("demo", "policy.yaml").read_text("utf-8")
    for text in (policies.example(), shipped):
        assert policies.judge(found, policies.parse(text)).verdict is Verdict.FAIL
