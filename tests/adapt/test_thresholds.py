import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from equipoise import adapt
from equipoise.adapt.thresholds import conflict, moved
from tests.adapt.made import cohort, images

UNIT = st.floats(0, 1, width=32)
ASKED = adapt.Options(
    evaluation="split",
    penalties=(1.0,),
    candidates=(),
    operating_points=({"name": "in", "rule": "specificity", "at": 0.8},),
    group_thresholds="agreed with the clinic",
)


ABOVE = st.floats(0, 1, width=32, exclude_min=True)


@given(st.lists(UNIT, min_size=1), st.sets(ABOVE, min_size=2, max_size=2), UNIT, UNIT)
def test_who_is_called_is_who_was_above_the_own_threshold_whatever_the_rounding(
    said, common, one, other
):
    low, high = sorted(common)
    own = sorted((one, other))
    score = np.array(said, dtype=np.float32)
    found = moved(score, own, [low, high])
    for mine, theirs in zip(own, (low, high), strict=True):
        assert ((found.astype(float) >= theirs) == (score.astype(float) >= mine)).all()
    assert ((found >= 0) & (found <= 1)).all()
    order = np.argsort(score, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


def test_each_group_reaches_on_validation_what_the_rule_promises():
    frame, x = cohort(n=1600)
    x[frame["sex"].to_numpy() == "F"] += 0.8
    made = images(frame, x)
    adapted = adapt.predictions(made, ASKED)
    said = adapted.selection
    assert (said["candidate"], said["needs_group_at_test"]) == ("plain.by_group", True)
    assert said["group_thresholds"] == "agreed with the clinic"
    held = made.assessed("edema", made.split == "validation")
    truth = made.truth("edema")
    after = adapted.predictions[said["file"]]["score:edema"].to_numpy()
    before = adapted.predictions["predictions/plain-0.parquet"]["score:edema"].to_numpy()
    (threshold,) = adapted.operating_points.filter(candidate="plain.by_group")["threshold"]
    record = {row["group"]: row for row in adapted.group_thresholds}
    for group in ("F", "M"):
        inside = held & (made.groups == group) & ~truth
        assert (after[inside] < threshold).mean() >= 0.8
        own = made.groups == group
        assert ((after >= threshold) == (before >= record[group]["threshold"]))[own].all()
    assert record["F"]["threshold"] != record["M"]["threshold"]
    assert min((before[held & (made.groups == g) & ~truth] < threshold).mean() for g in "FM") < 0.8
    point = adapted.operating_points.filter(candidate="plain.by_group").row(0, named=True)
    plain = adapted.operating_points.filter(candidate="plain").row(0, named=True)
    assert point["rule"] == "specificity >= 0.8, in each group"
    assert point["digest"] != plain["digest"]


def test_without_being_asked_for_all_share_a_threshold():
    asked = ASKED.model_copy(update={"group_thresholds": None})
    adapted = adapt.predictions(images(), asked)
    assert adapted.group_thresholds == []
    assert adapted.operating_points.height == 1
    assert adapted.selection["candidate"] == "plain"


def test_a_group_with_too_few_on_validation_keeps_the_common_one_and_it_is_written_down():
    asked = ASKED.model_copy(update={"selection_minimum": 20})
    frame, x = cohort(n=800, small=0.1)
    adapted = adapt.predictions(images(frame, x), asked)
    record = {row["group"]: row for row in adapted.group_thresholds}
    assert record["F"]["chosen_on"] == "all groups: too few on validation"
    assert record["F"]["threshold"] == record["F"]["common"]
    assert record["M"]["chosen_on"] == "the group itself"


def test_points_that_lie_otherwise_in_a_group_cannot_be_served_by_one_score():
    options = adapt.Options(
        operating_points=(
            {"name": "in", "rule": "specificity", "at": 0.9},
            {"name": "out", "rule": "sensitivity", "at": 0.9},
        )
    )
    assert conflict([0.6, 0.4], [0.5, 0.3], options) is None
    assert "'out' and 'in' do not lie as" in conflict([0.3, 0.4], [0.5, 0.3], options)
    assert "'in' calls no image" in conflict([0.6, 0.4], [1.0000001, 0.3], options)
    assert "'out' calls every image" in conflict([0.6, 0.4], [0.5, 0.0], options)


def test_a_group_that_cannot_be_served_keeps_the_common_thresholds_on_record():
    both = (
        adapt.OperatingPoint(name="high", rule="specificity", at=0.9),
        adapt.OperatingPoint(name="even", rule="youden"),
    )
    asked = ASKED.model_copy(update={"operating_points": both})
    kept = 0
    for seed in range(8):
        made = images(*cohort(n=800, seed=seed))
        adapted = adapt.predictions(made, asked)
        files = ("predictions/plain-0.parquet", adapted.selection["file"])
        before, after = (adapted.predictions[file]["score:edema"].to_numpy() for file in files)
        for group in ("F", "M"):
            told = [row for row in adapted.group_thresholds if row["group"] == group]
            if "do not lie" in told[0]["chosen_on"]:
                kept += 1
                here = made.groups == group
                assert all(row["threshold"] == row["common"] for row in told)
                assert (after[here] == before[here]).all()
    assert 0 < kept < 16


def test_in_a_cross_fit_every_fold_has_its_own():
    asked = ASKED.model_copy(update={"evaluation": "cross-fit"})
    made = images(folds=3)
    adapted = adapt.predictions(made, asked)
    assert adapted.selection["file"] == "predictions/procedure.by_group-0.parquet"
    assert {row["fold"] for row in adapted.group_thresholds} == {0, 1, 2}
    points = adapted.operating_points.filter(candidate="procedure.by_group")
    assert points["fold"].to_list() == [0, 1, 2]
    after = adapted.predictions[adapted.selection["file"]]
    before = adapted.predictions["predictions/procedure-0.parquet"]
    for row in adapted.group_thresholds:
        here = (made.fold == row["fold"]) & (made.groups == row["group"])
        threshold = points.filter(pl.col("fold") == row["fold"])["threshold"][0]
        called = after["score:edema"].to_numpy()[here] >= threshold
        assert (called == (before["score:edema"].to_numpy()[here] >= row["threshold"])).all()
