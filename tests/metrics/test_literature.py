"""Published numbers against the packages that publish them, and against the engine's own table."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from sklearn.metrics import roc_curve

from equipoise import audit
from equipoise.errors import InvalidConfiguration, InvalidTable, UnknownName
from equipoise.metrics import Minimum, literature, names
from equipoise.metrics.literature import DEFINITIONS
from equipoise.metrics.points import threshold
from tests.metrics.golden.making import CASES, EQUAL_F1, dice

GOLDEN = json.loads((Path(__file__).parent / "golden" / "literature.json").read_text("utf-8"))
EXACT = {"rel": 0.0, "abs": 1e-9}
METRICS = [
    "sensitivity",
    "specificity",
    "false_positive_rate",
    "selection_rate",
    "accuracy",
    "ppv",
    "auroc",
    "log_loss",
    "ece_data_range",
]
OF_FAIRMEDFM = {
    "auc-gap": "auroc_gap_fairmedfm",
    "worst-auc": "worst_auroc_fairmedfm",
    "bce-gap": "cross_entropy_gap_fairmedfm",
    "ece-gap": "calibration_gap_fairmedfm",
    "acc-gap": "accuracy_gap_fairmedfm",
    "eo": "equal_opportunity_fairmedfm",
    "eod": "equalised_odds_medfair",
}
AT_BEST_F1 = ("acc-gap", "eo", "eod")

RATE = st.floats(0.0, 1.0).map(lambda x: round(x, 3))
OPEN = st.floats(0.01, 0.99).map(lambda x: round(x, 3))
GROUPS = st.dictionaries(st.sampled_from("ABCDEF"), OPEN, min_size=2)
ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8), st.sampled_from("AB")), min_size=2, max_size=40
)


def engine(case: str, **points: float) -> pl.DataFrame:
    """Return what the real engine estimates of a golden case."""
    label, score, group = CASES[case]()
    rows = pl.DataFrame({"label": label, "score": score, "g": group})
    few = Minimum(positives=2, negatives=2, patients=2)
    return audit.estimates(
        rows,
        by={"g": sorted(set(group.tolist()))},
        patient=None,
        operating_points=points,
        options=audit.Options(metrics=METRICS, minimum=few),
    )


def given_of(name: str, groups: dict[str, float | None], overall: float | None = 0.75) -> list:
    """Return what a definition takes, all of it made of the same values."""
    return [overall if need.startswith("overall:") else groups for need in DEFINITIONS[name].needs]


@pytest.mark.parametrize("case", CASES)
def test_rates_and_auroc_of_groups_are_those_of_fairlearn(case):
    label, score, group = CASES[case]()
    golden = GOLDEN[case]["fairlearn"]
    found = literature.rates(label, literature.called_fairlearn(score, threshold=0.5), group)
    found["auroc"] = literature.scored(label, score, group, metric="auroc")
    assert {name: found[name] for name in golden["groups"]} == {
        name: pytest.approx(values, **EXACT) for name, values in golden["groups"].items()
    }


@pytest.mark.parametrize("case", CASES)
def test_groups_are_those_of_fairmedfm_which_calls_only_what_exceeds_the_threshold(case):
    label, score, group = CASES[case]()
    golden = GOLDEN[case]["fairmedfm"]
    best = literature.best_f1_threshold_fairmedfm(label, score)
    assert best == golden["threshold"]
    for at, suffix in ((0.5, ""), (best, "@best_f1")):
        found = literature.rates(label, literature.called_fairmedfm(score, threshold=at), group)
        for theirs, ours in (("tpr", "sensitivity"), ("tnr", "specificity"), ("acc", "accuracy")):
            assert found[ours] == pytest.approx(golden["groups"][theirs + suffix], **EXACT)
    for theirs, ours in (
        ("auc", "auroc"),
        ("ece", "ece_data_range"),
        ("bce", "cross_entropy_fairmedfm"),
    ):
        found = literature.scored(label, score, group, metric=ours)
        assert found == pytest.approx(golden["groups"][theirs], **EXACT)
        everybody = literature.scored(label, score, ["all"] * len(label), metric=ours)
        assert everybody["all"] == pytest.approx(golden["overall"][theirs], **EXACT)


@pytest.mark.parametrize("case", EQUAL_F1)
def test_of_equal_f1_the_threshold_is_that_of_fairmedfm(case):
    label, score = EQUAL_F1[case]
    found = literature.best_f1_threshold_fairmedfm(label, score)
    assert found == GOLDEN["equal_f1"][case]


def test_the_two_ways_to_call_differ_where_scores_lie_on_the_threshold():
    fairlearn, fairmedfm = GOLDEN["tied"]["fairlearn"], GOLDEN["tied"]["fairmedfm"]
    assert fairlearn["groups"]["sensitivity"]["P"] != fairmedfm["groups"]["tpr"]["P"]


def test_a_score_of_less_precision_that_was_stored_from_the_threshold_lies_on_it():
    score = np.array([0.7], dtype=np.float32)
    assert literature.called_fairlearn(score, threshold=0.7).tolist() == [True]
    assert literature.called_fairmedfm(score, threshold=0.7).tolist() == [False]


@pytest.mark.parametrize("case", CASES)
def test_fairlearns_numbers_are_had_from_arrays(case):
    label, score, group = CASES[case]()
    found = literature.rates(label, literature.called_fairlearn(score, threshold=0.5), group)
    golden = GOLDEN[case]["fairlearn"]["numbers"]
    assert len(golden) == 7
    for name, value in golden.items():
        one = literature.definition(name)
        made = one.function(*[found[need] for need in one.needs])
        assert made.value == pytest.approx(value, **EXACT), name
        assert made.reason is None


@pytest.mark.parametrize("case", CASES)
def test_fairmedfms_summary_is_had_from_arrays(case):
    label, score, group = CASES[case]()
    best = literature.best_f1_threshold_fairmedfm(label, score)
    found = literature.rates(label, literature.called_fairmedfm(score, threshold=best), group)
    found |= {
        name: literature.scored(label, score, group, metric=name)
        for name in ("auroc", "log_loss", "ece_data_range")
    }
    for called, name in OF_FAIRMEDFM.items():
        one = literature.definition(name)
        made = one.function(*[found[need] for need in one.needs])
        assert made.value == pytest.approx(GOLDEN[case]["fairmedfm"]["summary"][called], **EXACT)


def test_numbers_of_segmentation_are_those_of_fairmedfm():
    value, group = dice()
    golden = GOLDEN["dice"]
    means = {name: float(value[group == name].mean()) for name in "XYZ"}
    assert means == pytest.approx(golden["groups"], **EXACT)
    overall, summary = float(value.mean()), golden["summary"]
    assert literature.dice_gap_fairmedfm(means).value == pytest.approx(
        summary["delta_dice"], **EXACT
    )
    assert literature.skewness_fairmedfm(means).value == pytest.approx(
        summary["skewness_dice"], **EXACT
    )
    scaled = literature.equity_scaled_fairmedfm(overall, means).value
    assert scaled == pytest.approx(summary["es_dice"], **EXACT)
    of_groups = literature.equity_scaled_fairmedfm(float(np.mean(list(means.values()))), means)
    assert abs(of_groups.value - summary["es_dice"]) > 1e-4  # the mean is over images


def test_medfair_names_opportunity_against_the_label():
    """From the definitions: by label 0 and label 1, of two groups."""
    label, score, group = CASES["plain"]()
    two = group != "C"
    label, score, group = label[two], score[two], group[two]
    called = literature.called_fairmedfm(score, threshold=0.5)
    share = {
        (name, y): called[(group == name) & (label == y)].mean() for name in "AB" for y in (0, 1)
    }
    apart = [abs(share["A", y] - share["B", y]) for y in (0, 1)]
    found = literature.rates(label, called, group)
    positive, negative = found["sensitivity"], found["false_positive_rate"]
    assert literature.eq_opp_1_medfair(negative).value == pytest.approx(1 - apart[0], **EXACT)
    assert literature.eq_opp_0_medfair(positive).value == pytest.approx(1 - apart[1], **EXACT)
    assert literature.eq_opp_0_by_label(negative).value == pytest.approx(1 - apart[0], **EXACT)
    assert literature.eq_opp_1_by_label(positive).value == pytest.approx(1 - apart[1], **EXACT)
    odds = literature.equalised_odds_medfair(positive, negative).value
    assert odds == pytest.approx(1 - sum(apart) / 2, **EXACT)
    of = [called[group == name].mean() for name in "AB"]
    parity = literature.demographic_parity_medfair(found["selection_rate"]).value
    assert parity == pytest.approx(1 - abs(of[0] - of[1]), **EXACT)


def test_equity_scaled_values_and_disparities_are_those_of_the_formulas():
    values, overall = {"A": 0.7, "B": 0.8, "C": 0.95}, 0.82
    row = np.array([0.7, 0.8, 0.95])
    sd = float(np.sqrt(((row - row.mean()) ** 2).mean()))
    expected = {
        "equity_scaled_fairclip": 0.82 / (1 + 0.12 + 0.02 + 0.13),
        "equity_scaled_fairmedfm": 0.82 / (1 + sd),
        "disparity_std_fairvision": sd / 0.82,
        "disparity_range_fairvision": 0.25 / 0.82,
        "disparity_std_half_fairvision": sd / 0.32,
        "disparity_range_half_fairvision": 0.25 / 0.32,
    }
    for name, value in expected.items():
        found = DEFINITIONS[name].function(overall, values).value
        assert found == pytest.approx(value, **EXACT), name
    below = literature.disparity_range_half_fairvision(0.3, values).value
    assert below == pytest.approx(0.25 / 0.2, **EXACT)


def test_adjusted_accuracy_weighs_cells_equally_and_sagawas_by_training():
    label, score, group = CASES["tied"]()
    called = score >= 0.5
    right = called == (label == 1)
    cells = {
        f"{name}{y}": float(right[(group == name) & (label == y)].mean())
        for name in "PQRS"
        for y in (0, 1)
    }
    images = {f"{n}{y}": int(((group == n) & (label == y)).sum()) for n in "PQRS" for y in (0, 1)}
    found = literature.rates(label, called, group)
    made = literature.adjusted_accuracy(found["sensitivity"], found["specificity"]).value
    assert made == pytest.approx(np.mean(list(cells.values())), **EXACT)
    weighed = literature.adjusted_average_accuracy_sagawa(cells, images).value
    assert weighed == pytest.approx(right.mean(), **EXACT)
    assert abs(made - weighed) > 0.005


@pytest.mark.parametrize("case", CASES)
def test_the_engines_groups_are_those_of_both_packages(case):
    found = engine(case, half=0.5)
    for metric, values in GOLDEN[case]["fairlearn"]["groups"].items():
        assert literature.by_group(found, metric, "g") == pytest.approx(values, **EXACT), metric
    for metric, value in GOLDEN[case]["fairlearn"]["overall"].items():
        assert literature.of_everybody(found, metric) == pytest.approx(value, **EXACT), metric
    golden = GOLDEN[case]["fairmedfm"]
    for metric, theirs in (("log_loss", "bce"), ("ece_data_range", "ece"), ("auroc", "auc")):
        assert literature.by_group(found, metric, "g") == pytest.approx(
            golden["groups"][theirs], **EXACT
        )
        assert literature.of_everybody(found, metric) == pytest.approx(
            golden["overall"][theirs], **EXACT
        )


@pytest.mark.parametrize("case", CASES)
def test_published_numbers_are_had_from_the_engines_table(case):
    label, score, _ = CASES[case]()
    best = literature.best_f1_threshold_fairmedfm(label, score)
    found = engine(case, half=0.5, best=float(np.nextafter(best, 1.0)))
    half = literature.tabulated(found, "g", operating_point="half")
    made = dict(half["name", "value"].iter_rows())
    for name, value in GOLDEN[case]["fairlearn"]["numbers"].items():
        assert made[name] == pytest.approx(value, **EXACT), name
    at_best = literature.tabulated(found, "g", operating_point="best")
    best_made = dict(at_best["name", "value"].iter_rows())
    for called, name in OF_FAIRMEDFM.items():
        golden = GOLDEN[case]["fairmedfm"]["summary"][called]
        assert best_made[name] == pytest.approx(golden, **EXACT), name
        if called not in AT_BEST_F1:
            assert made[name] == pytest.approx(golden, **EXACT), name
    assert "dice_gap_fairmedfm" not in made
    assert half["reason"].null_count() == half.height


def test_medfairs_numbers_are_had_from_the_engines_table():
    found = literature.tabulated(engine("plain", half=0.5), "g")
    made = dict(found["name", "value"].iter_rows())
    groups = GOLDEN["plain"]["fairlearn"]["groups"]
    apart = {name: max(of.values()) - min(of.values()) for name, of in groups.items()}
    positive, negative = 1 - apart["sensitivity"], 1 - apart["false_positive_rate"]
    for name, value in {
        "eq_opp_0_medfair": positive,
        "eq_opp_1_medfair": negative,
        "eq_opp_0_by_label": negative,
        "eq_opp_1_by_label": positive,
        "equalised_odds_medfair": (positive + negative) / 2,
        "demographic_parity_medfair": 1 - apart["selection_rate"],
    }.items():
        assert made[name] == pytest.approx(value, **EXACT), name


def test_only_crude_values_of_one_attribute_are_compared():
    label, score, group = CASES["plain"]()
    rows = pl.DataFrame({"label": label, "score": score, "g": group, "h": ["x", "y"] * 120})
    few = Minimum(positives=2, negatives=2, patients=2)
    found = audit.estimates(
        rows,
        by={"g": ["A", "B", "C"], "h": ["x", "y"]},
        patient=None,
        options=audit.Options(metrics=["auroc"], minimum=few, intersections=2),
    )
    assert found.filter(pl.col("g").is_not_null() & pl.col("h").is_not_null()).height
    other = found.with_columns(adjustment=pl.lit("standardised to all"), value=pl.lit(0.125))
    both = pl.concat([found, other])
    golden = GOLDEN["plain"]["fairlearn"]
    assert literature.by_group(both, "auroc", "g") == pytest.approx(
        golden["groups"]["auroc"], **EXACT
    )
    assert literature.of_everybody(both, "auroc") == pytest.approx(
        golden["overall"]["auroc"], **EXACT
    )


def test_the_engines_descriptions_are_these_numbers():
    found = engine("tied", half=0.5)
    said = {
        (metric, contrast): value
        for metric, contrast, value in found.filter(pl.col("status") == "description")[
            "metric", "contrast", "value"
        ].iter_rows()
    }
    made = dict(literature.tabulated(found, "g")["name", "value"].iter_rows())
    for key, name in {
        ("selection_rate", "range"): "demographic_parity_difference_fairlearn",
        ("selection_rate", "ratio"): "demographic_parity_ratio_fairlearn",
        ("sensitivity", "equalised_odds_difference"): "equalised_odds_difference_fairlearn",
        ("sensitivity", "equalised_odds_mean"): "equalised_odds_mean_fairlearn",
        ("sensitivity", "equal_opportunity_difference"): "equal_opportunity_difference_fairlearn",
        ("auroc", "range"): "auroc_gap_fairmedfm",
        ("auroc", "worst"): "worst_auroc_fairmedfm",
        ("auroc", "equity_scaled_sum"): "equity_scaled_fairclip",
    }.items():
        assert made[name] == pytest.approx(said[key], **EXACT), name


def test_a_group_that_the_engine_does_not_assess_leaves_no_number():
    label, score, group = CASES["tied"]()
    rows = pl.DataFrame({"label": label, "score": score, "g": group})
    found = audit.estimates(
        rows,
        by={"g": ["P", "Q", "R", "S"]},
        patient=None,
        operating_points={"half": 0.5},
        options=audit.Options(metrics=["sensitivity"], minimum=Minimum(positives=20)),
    )
    asked = ["equal_opportunity_difference_fairlearn", "skewness_fairmedfm"]
    assert literature.tabulated(found, "g", names=asked)["value", "reason"].rows() == [
        (None, "sensitivity is undefined in Q, R, S"),
        (None, "the estimates have no metric dice"),
    ]


def test_what_cannot_be_read_from_estimates_is_said():
    found = engine("plain", half=0.5, other=0.6)
    with pytest.raises(InvalidTable, match="several of operating_point, half, other; expected one"):
        literature.by_group(found, "sensitivity", "g")
    with pytest.raises(InvalidTable, match="no operating_point 'haf'; got half, other"):
        literature.by_group(found, "sensitivity", "g", operating_point="haf")
    with pytest.raises(InvalidTable, match="no attribute 'sex'; got \\['g'\\]"):
        literature.by_group(found, "auroc", "sex")
    with pytest.raises(InvalidTable, match="no metric 'auorc'"):
        literature.of_everybody(found, "auorc")
    with pytest.raises(UnknownName, match="no published definition 'eod'"):
        literature.tabulated(found, "g", names=["eod"])


@settings(max_examples=60)
@given(ROWS, st.sampled_from([0.0, 0.1, 0.5, 0.8, 0.9, 1.0]))
def test_sensitivity_at_specificity_is_attained_and_medfairs_is_as_its_code_has_it(rows, at):
    label = np.array([row[0] for row in rows])
    score = np.array([row[1] / 8 for row in rows])
    assume(label.any() and not label.all())
    fall_out, tpr, _ = roc_curve(label, score, drop_intermediate=False)
    attained = literature.sensitivity_at_specificity(label, score, specificity=at)
    assert attained == pytest.approx(tpr[1 - fall_out >= at - 1e-9].max(), **EXACT)
    chosen = threshold(score, label, rule="specificity", at=at)
    assert attained == pytest.approx((score[label] >= chosen).mean(), **EXACT)
    reverse = literature.specificity_at_sensitivity(label, score, sensitivity=at)
    assert reverse == pytest.approx((1 - fall_out)[tpr >= at - 1e-9].max(), **EXACT)
    drawn = literature.sensitivity_at_specificity_medfair(label, score, specificity=at)
    corners = roc_curve(label, score)  # as MEDFAIR calls it: without the points in between
    assert drawn == pytest.approx(float(interp1d(1 - corners[0], corners[1])(at)), **EXACT)


def test_a_perfect_model_is_perfect_at_each_specificity_but_not_in_medfairs_code():
    label, score = [0] * 30 + [1] * 30, np.linspace(0.0, 1.0, 60)
    assert literature.sensitivity_at_specificity(label, score, specificity=0.8) == 1.0
    assert literature.specificity_at_sensitivity(label, score, sensitivity=0.8) == 1.0
    fall_out, tpr, _ = roc_curve(label, score)
    theirs = float(interp1d(1 - fall_out, tpr)(0.8))
    drawn = literature.sensitivity_at_specificity_medfair(label, score, specificity=0.8)
    assert drawn == pytest.approx(theirs, **EXACT)
    assert drawn < 1.0


def test_sensitivity_at_specificity_without_a_class_is_none_and_a_share_must_be_one():
    for function, word in (
        (literature.sensitivity_at_specificity, "specificity"),
        (literature.sensitivity_at_specificity_medfair, "specificity"),
        (literature.specificity_at_sensitivity, "sensitivity"),
    ):
        assert function([1, 1], [0.2, 0.4], **{word: 0.9}) is None
        assert function([0, 0], [0.2, 0.4], **{word: 0.9}) is None
        with pytest.raises(InvalidConfiguration, match=f"{word}: 90"):
            function([0, 1], [0.2, 0.4], **{word: 90})


@settings(max_examples=40)
@given(GROUPS, st.permutations("ABCDEF"), st.sampled_from(sorted(DEFINITIONS)))
def test_neither_the_order_nor_the_names_of_groups_matter(groups, order, name):
    function = DEFINITIONS[name].function
    made = function(*given_of(name, groups))
    moved = {order["ABCDEF".index(k)]: groups[k] for k in sorted(groups, reverse=True)}
    assert function(*given_of(name, moved)).value == pytest.approx(made.value, rel=1e-12)


@settings(max_examples=40)
@given(GROUPS, OPEN, st.sampled_from(sorted(DEFINITIONS)))
def test_a_number_lies_where_its_definition_says(groups, overall, name):
    assume(overall != 0.5)
    one = DEFINITIONS[name]
    value = one.function(*given_of(name, groups, overall)).value
    assert value >= -1e-12 if one.low is None else value >= one.low - 1e-12
    assert one.high is None or value <= one.high + 1e-12


@settings(max_examples=40)
@given(OPEN, st.sampled_from(sorted(DEFINITIONS)))
def test_equal_groups_have_the_best_value_there_is(value, name):
    assume(value != 0.5)
    one = DEFINITIONS[name]
    made = one.function(*given_of(name, dict.fromkeys("ABC", value), value)).value
    if name.startswith(("adjusted", "equity", "worst")):
        assert one.better == "high"
        assert made == pytest.approx(value)
    else:
        assert made == pytest.approx(one.low if one.better == "low" else one.high)


@settings(max_examples=40)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    moved = random.sample(rows, len(rows))
    found = []
    for some in (rows, moved):
        label = [int(row[0]) for row in some]
        score, group = [row[1] / 8 for row in some], [row[2] for row in some]
        made = literature.rates(label, np.array(score) >= 0.5, group)
        for metric in ("auroc", "ece_data_range", "ece_equal_width", "log_loss", "brier"):
            made[metric] = literature.scored(label, score, group, metric=metric)
        found.append({(m, g): v for m, of in made.items() for g, v in of.items()})
    assert {k for k, v in found[0].items() if v is None} == {
        k for k, v in found[1].items() if v is None
    }
    there = [{k: v for k, v in one.items() if v is not None} for one in found]
    assert there[0] == pytest.approx(there[1], rel=1e-9)


@settings(max_examples=40)
@given(ROWS)
def test_best_f1_is_not_beaten_by_any_threshold(rows):
    label = np.array([row[0] for row in rows])
    score = np.array([row[1] / 8 for row in rows])
    assume(label.any())

    def f1(at: float) -> float:
        called = score >= at
        return 2 * (called & label).sum() / (called.sum() + label.sum())

    best = literature.best_f1_threshold_fairmedfm(label, score)
    assert f1(best) == pytest.approx(max(f1(at) for at in np.unique(score)), abs=1e-7)


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_group_without_a_value_leaves_the_number_without_one(name, nothing):
    made = DEFINITIONS[name].function(*given_of(name, {"A": 0.6, "B": nothing, "C": 0.7}))
    assert made.value is None
    words = [need.replace("_", " ").split(" of ")[0] for need in DEFINITIONS[name].needs]
    what = {"auroc": "AUROC", "dice": "mean Dice", "log loss": "binary cross-entropy"}
    what |= {"ece data range": "calibration error"}
    first = "M" if name.startswith("equity") else what.get(words[-1], words[0])
    assert made.reason == f"{first} is undefined in B"


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_one_group_is_no_comparison(name):
    made = DEFINITIONS[name].function(*given_of(name, {"A": 0.6}))
    assert made.value is None
    assert made.reason.endswith("of 1 group; a comparison needs two")
    assert DEFINITIONS[name].function(*given_of(name, {})).value is None


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_a_value_that_cannot_be_is_an_error(name):
    with pytest.raises(InvalidTable, match=r"group 'B' has -0\.1; expected a number from 0 to"):
        DEFINITIONS[name].function(*given_of(name, {"A": 0.6, "B": -0.1}))


def test_a_group_without_positives_has_no_sensitivity_where_fairlearn_says_0():
    label, called, group = [1, 0, 0, 0, 1, 0], [1, 0, 1, 0, 1, 0], list("AABBCC")
    found = literature.rates(label, called, group)
    assert found["sensitivity"] == {"A": 1.0, "B": None, "C": 1.0}
    assert found["false_positive_rate"] == {"A": 0.0, "B": 0.5, "C": 0.0}
    made = literature.equal_opportunity_difference_fairlearn(found["sensitivity"])
    assert made == literature.Published(None, "sensitivity is undefined in B")
    scored = literature.scored(label, [0.9, 0.1, 0.6, 0.2, 0.8, 0.3], group, metric="auroc")
    assert scored == {"A": 1.0, "B": None, "C": 1.0}


def test_nothing_is_divided_by_nothing():
    zero, some = {"A": 0.0, "B": 0.0}, {"A": 0.5, "B": 0.25}
    made = literature.equalised_odds_ratio_fairlearn(some, zero)
    assert made.reason == "false positive rate is 0 in all groups: there is no ratio"
    assert literature.equalised_odds_ratio_fairlearn(zero, some).value is None
    assert literature.demographic_parity_ratio_fairlearn(zero).value is None
    assert literature.disparity_std_half_fairvision(0.5, some).reason == (
        "AUROC of everybody is 0.5: there is nothing to divide by"
    )
    assert literature.disparity_std_fairvision(0.0, some).value is None
    assert literature.disparity_std_fairvision(None, some).reason == (
        "AUROC of everybody is undefined"
    )
    assert literature.equity_scaled_fairclip(float("nan"), some).value is None
    perfect = literature.skewness_fairmedfm({"A": 1.0, "B": 0.5})
    assert perfect.reason == "mean Dice is 1 in a group: there is no ratio of errors"
    untrained = literature.adjusted_average_accuracy_sagawa(some, zero)
    assert untrained == literature.Published(None, "no training images")


def test_rates_of_unlike_groups_are_not_compared():
    with pytest.raises(InvalidTable, match=re.escape("groups ['A', 'C']; expected those of sens")):
        literature.equalised_odds_difference_fairlearn({"A": 0.5, "B": 0.5}, {"A": 0.1, "C": 0.1})


def test_a_confident_error_costs_100_in_fairmedfm():
    found = literature.scored([0, 1], [1.0, 1.0], "AA", metric="cross_entropy_fairmedfm")
    assert found == {"A": pytest.approx(50.0)}
    clipped = literature.scored([0, 1], [1.0, 1.0], "AA", metric="log_loss")
    assert clipped["A"] == pytest.approx(18.0, abs=0.1)


def test_bad_arrays_are_refused_with_what_was_found():
    with pytest.raises(InvalidTable, match="label: value 2; expected one row of 0 and 1"):
        literature.scored([0, 2], [0.1, 0.2], "AB", metric="auroc")
    with pytest.raises(InvalidTable, match="label: value a; expected one row of 0 and 1"):
        literature.scored(["a", "b"], [0.1, 0.2], "AB", metric="auroc")
    with pytest.raises(InvalidTable, match="label: value None; expected one row of 0 and 1"):
        literature.scored(pl.Series([True, None]), [0.1, 0.2], "AB", metric="auroc")
    with pytest.raises(InvalidTable, match="score: <U1; expected one row of finite numbers"):
        literature.scored([0, 1], ["a", "b"], "AB", metric="auroc")
    with pytest.raises(InvalidTable, match="score: value nan; expected one row of finite"):
        literature.scored([0, 1], [0.1, float("nan")], "AB", metric="auroc")
    with pytest.raises(InvalidTable, match="score: from -1 to 2; expected numbers from 0 to 1"):
        literature.scored([0, 1], [-1.0, 2.0], "AB", metric="auroc")
    with pytest.raises(InvalidTable, match="score: 1 rows; expected those of the label, 2"):
        literature.sensitivity_at_specificity([0, 1], [0.1], specificity=0.5)
    with pytest.raises(InvalidTable, match="group: 1 rows; expected those of the others, 2"):
        literature.rates([0, 1], [0, 1], ["A"])
    with pytest.raises(InvalidTable, match="group: a null"):
        literature.rates([0, 1], [0, 1], ["A", None])
    with pytest.raises(InvalidTable, match="group: a null"):
        literature.rates([0, 1], [0, 1], ["A", float("nan")])
    with pytest.raises(InvalidTable, match="no positive; F1 needs one"):
        literature.best_f1_threshold_fairmedfm([0, 0], [0.1, 0.2])
    with pytest.raises(UnknownName, match="no metric 'auorc' of scores"):
        literature.scored([0, 1], [0.1, 0.2], "AB", metric="auorc")


def test_each_definition_is_listed_once_and_told_from_others_of_its_name():
    found = literature.definitions()
    assert found["name"].to_list() == list(DEFINITIONS)
    assert not found.select(pl.struct("called", "source")).is_duplicated().any()
    assert all(getattr(literature, name) is d.function for name, d in DEFINITIONS.items())
    assert found.filter(pl.col("called") == "EqOpp0").height == 2
    with pytest.raises(TypeError):
        DEFINITIONS["mine"] = DEFINITIONS["skewness_fairmedfm"]


def test_what_definitions_need_are_metrics_of_the_engine_or_of_segmentation():
    known = {*names(), "dice", "accuracy of cells", "training images of cells"}
    needed = {need.removeprefix("overall:") for d in DEFINITIONS.values() for need in d.needs}
    assert needed <= known
    assert {"auroc", "sensitivity", "ece_data_range"} <= needed
