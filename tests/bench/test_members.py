import dataclasses
import sys

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from equipoise import adapt
from equipoise.bench import Members, members
from equipoise.errors import InvalidTable, UnknownName
from equipoise.metrics import paired
from tests.bench.made import images

THREE = ("reweighting", "group_dro", "jtt")


def asked(*names, seeds=(0, 1, 2, 3), **given):
    candidates = tuple(adapt.Candidate(name=name, mitigation=name) for name in names)
    options = {"penalties": (0.1,), "group_by": ("sex",), "evaluation": "split", **given}
    return Members(adapt=adapt.Options(candidates=candidates, **options), seeds=seeds)


@pytest.fixture(scope="module")
def found():
    return members(images(patients=900), asked(*THREE))


def one(table, **given):
    return table.filter(**given).row(0, named=True)


def test_every_member_has_a_row_for_each_metric_and_quantity(found):
    keys = found.select("candidate", "metric", "quantity", "group").rows()
    assert len(keys) == len(set(keys)) == 3 * 2 * 6
    assert (found["status"] == "assessed").all()
    assert (found["low"] <= found["difference"] + 1e-9).all()
    assert (found["difference"] <= found["high"] + 1e-9).all()


def test_worst_and_contrast_are_those_of_the_groups(found):
    for metric in ("auroc", "sensitivity"):
        own = found.filter(candidate="group_dro", metric=metric)
        groups = own.filter(quantity="group")
        for side in ("first", "second"):
            worst, gap = (
                one(own, quantity=quantity)[side]
                for quantity in ("worst group", "largest contrast")
            )
            assert worst == pytest.approx(groups[side].min())
            assert gap == pytest.approx(groups[side].max() - groups[side].min())


def test_differences_are_paired_and_wider_than_taken_alone(found):
    made, options = images(patients=900), asked("jtt")
    module = sys.modules[members.__module__]
    told = module._fitted(made, options, "split", lambda *_: None)
    tested = made.split == "test"
    both = [told["edema", name].answers("specificity_0.9", tested) for name in ("plain", "jtt")]
    level = 2 * ndtr(one(found, candidate="jtt")["critical"]) - 1
    alone = paired(
        *both,
        label=made.truth("edema")[tested],
        patient=made.patients[tested],
        groups={"everybody": tested[tested], "F": made.groups[tested] == "F"},
        level=level,
    )
    assert level > 0.98
    for group, quantity in (("everybody", "everybody"), ("F", "group")):
        for metric in ("auroc", "sensitivity"):
            expected = one(alone, group=group, metric=metric)
            own = found.filter(candidate="jtt", metric=metric, quantity=quantity)
            row = one(own.filter(pl.col("group").is_null() | (pl.col("group") == group)))
            for name in ("first", "second", "difference"):
                assert row[name] == pytest.approx(expected[name])
            assert row["low"] == pytest.approx(max(expected["low"], -1))
            assert row["high"] == pytest.approx(min(expected["high"], 1))


def test_more_members_make_wider_intervals():
    made = images(patients=900)
    few, many = members(made, asked("jtt")), members(made, asked(*THREE, "mixup", "leace"))
    assert many["critical"][0] > few["critical"][0] > 1.96


def test_the_same_input_gives_the_same_table_in_any_order_of_candidates(found):
    again = members(images(patients=900), asked(*reversed(THREE)))
    key = ["candidate", "metric", "quantity", "group"]
    for name in ("difference", "first", "second"):
        np.testing.assert_allclose(found.sort(key)[name], again.sort(key)[name], atol=1e-12)


def test_a_candidate_that_is_plain_training_itself_changes_nothing():
    same = adapt.Candidate(name="same", mitigation="reweighting", parameters={"power": 0.0})
    options = asked()
    options = options.model_copy(
        update={"adapt": options.adapt.model_copy(update={"candidates": (same,)})}
    )
    table = members(images(patients=900), options)
    assert table["difference"].abs().max() < 1e-6
    assert ((table["low"] <= 0) & (table["high"] >= 0)).all()


def test_labels_that_are_known_better_are_what_is_tested_by():
    made = images(patients=900)
    clean = made.labels["edema"]
    wrong = pl.Series(made.truth("edema") ^ (np.arange(len(clean)) % 4 == 0))
    noisy = dataclasses.replace(made, labels={"edema": wrong})
    by_noise = members(noisy, asked("jtt", seeds=(0, 1)))
    by_truth = members(noisy, asked("jtt", seeds=(0, 1)), truth={"edema": clean})
    plain = [one(t, metric="auroc", quantity="everybody")["first"] for t in (by_noise, by_truth)]
    assert plain[1] > plain[0] + 0.1


def broken(training, **_):
    raise InvalidTable(f"broken: {len(training.y)} rows were too many")


def test_a_member_that_fails_is_reported_and_the_others_stand():
    candidates = (
        adapt.Candidate(name="broken", mitigation="tests.bench.test_members:broken"),
        adapt.Candidate(name="jtt", mitigation="jtt"),
    )
    options = asked(seeds=(0, 1))
    options = options.model_copy(
        update={"adapt": options.adapt.model_copy(update={"candidates": candidates})}
    )
    table = members(images(patients=900), options)
    failed = table.filter(candidate="broken")
    assert set(failed["status"]) == {"failed"}
    assert "rows were too many" in failed["reason"][0]
    assert failed["failed"].to_list() == [2, 2]
    assert set(table.filter(candidate="jtt")["status"]) == {"assessed"}


def test_where_plain_training_fails_nothing_can_be_compared():
    made = images(patients=300)
    label = pl.Series([False] * len(made.image_ids))
    with pytest.raises(InvalidTable, match="finding 'edema': plain training failed; seed 0"):
        members(dataclasses.replace(made, labels={"edema": label}), asked("jtt"))


def test_a_group_that_is_too_small_is_named():
    made = images(patients=900)
    few = np.flatnonzero((made.split == "test") & made.truth("edema") & (made.groups == "F"))
    label = made.labels["edema"].to_list()
    for place in few[10:]:
        label[place] = False
    thin = dataclasses.replace(made, labels={"edema": pl.Series(label)})
    table = members(thin, asked("jtt", seeds=(0, 1)))
    row = one(table, metric="auroc", quantity="worst group")
    assert row["status"] == "not assessable"
    assert "F: 10 positives (images); needs 30" in row["reason"]
    assert one(table, metric="auroc", quantity="everybody")["status"] == "assessed"


def test_in_a_cross_fit_everybody_is_tested_by_a_probe_that_has_not_seen_him():
    made = images(patients=300)
    table = members(made, asked("jtt", seeds=(0, 1), evaluation="cross-fit"))
    assert one(table, quantity="everybody", metric="auroc")["n_images"] == len(made.image_ids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": "F"}, "the groups are F; expected two or more"),
        ({"groups": "unknown"}, "the groups are all unknown; expected two or more"),
        ({"split": "train"}, "no image is in the test split"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    made = images(patients=300)
    (name, value), n = next(iter(change.items())), len(made.image_ids)
    with pytest.raises(InvalidTable, match=message):
        members(dataclasses.replace(made, **{name: np.array([value] * n)}), asked("jtt"))


def test_labels_to_test_by_must_fit():
    made = images(patients=300)
    with pytest.raises(InvalidTable, match="truth: no labels of finding 'edema'"):
        members(made, asked("jtt"), truth={})
    with pytest.raises(InvalidTable, match="has 1 labels of type Boolean; expected 600"):
        members(made, asked("jtt"), truth={"edema": pl.Series([True])})


def test_a_name_that_does_not_exist_is_refused_before_anything_is_fitted():
    told = []
    with pytest.raises(UnknownName, match="no mitigation 'jt'"):
        members(images(patients=300), asked("jt"), progress=lambda *said: told.append(said))
    assert not told
