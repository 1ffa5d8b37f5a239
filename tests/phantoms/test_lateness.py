"""Labels that come late: never before their image, as late as declared, nothing else changed."""

import datetime as dt

import polars as pl
import pytest

from equipoise import phantoms, tables
from equipoise.errors import InvalidConfiguration
from equipoise.phantoms.writing import run
from equipoise.scope import Scope

LATE = phantoms.LabelsLate(
    mean_days=20, groups=(phantoms.LateGroup(group={"sex": "F"}, mean_days=60, never_share=0.5),)
)
SMALL = phantoms.Options(patients=400, size=32)


def late(options=SMALL, how=LATE):
    table = phantoms.scenes(options)
    return table, phantoms.late_labels(table, options, how)


def test_labels_come_after_their_image_and_keep_the_contract():
    table, made = late()
    tables.check(made, tables.LABELS)
    both = made.join(table, left_on="case_id", right_on="image_id")
    waited = (both["labelled_at"].dt.date() - both["acquired_on"]).dt.total_days()
    assert (waited >= 0).all()
    assert (both["label:opacity"] == both["recorded"]).all()


def test_a_group_is_as_late_as_declared_and_as_often_never():
    table, made = late()
    share = {s: table.filter(sex=s, age_known=True).height for s in "FM"}
    both = made.join(table, left_on="case_id", right_on="image_id")
    for sex, never, mean in (("F", 0.5, 60), ("M", 0.0, 20)):
        mine = both.filter(sex=sex)
        assert mine.height / share[sex] == pytest.approx(1 - never, abs=0.12)
        waited = (mine["labelled_at"] - mine["acquired_on"].cast(pl.Datetime("us", "UTC"))).mean()
        assert isinstance(waited, dt.timedelta)
        assert waited.total_seconds() / 86400 == pytest.approx(mean, rel=0.3)


def test_the_draws_of_the_bench_do_not_move_with_when_labels_come():
    lately = SMALL.model_copy(update={"labels_late": LATE})
    assert phantoms.scenes(lately).equals(phantoms.scenes(SMALL))


def test_a_bench_without_late_labels_says_nothing_of_them(tmp_path):
    assert "labels_late" not in SMALL.model_dump(mode="json")
    small = phantoms.Options(patients=2, size=32, truth_patients=2)
    run(small, {}, tmp_path, Scope())
    assert not (tmp_path / "labels_late.csv").exists()
    assert "labels_late" not in (tmp_path / "truth.json").read_text()


def test_a_bench_with_late_labels_writes_them_beside_the_others(tmp_path):
    said = {"mean_days": 10}
    small = phantoms.Options(patients=3, size=32, truth_patients=2, labels_late=said)
    run(small, {}, tmp_path, Scope())
    head = (tmp_path / "labels_late.csv").read_text().splitlines()[0]
    assert head == "case_id,labelled_at,label:opacity"
    assert small.model_dump(mode="json")["labels_late"]["mean_days"] == 10


def test_a_group_that_is_unknown_is_an_error():
    with pytest.raises(InvalidConfiguration, match="labels_late: no attribute 'gender'"):
        phantoms.LateGroup(group={"gender": "F"})


def test_nobody_has_no_label():
    table, _ = late()
    assert phantoms.late_labels(table.clear(), SMALL, LATE).height == 0
