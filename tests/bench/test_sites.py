import dataclasses

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from equipoise import adapt
from equipoise.bench import Sites, across_sites
from equipoise.bench import sites as module
from equipoise.bench.arms import arms, difference, limits
from equipoise.errors import InvalidTable, UnknownName
from equipoise.metrics import Answers, Minimum, clustered_auroc
from tests.adapt.drawn import common, people, score
from tests.bench.made import cohort

PLAIN = adapt.Options(candidates=(), penalties=(1.0,), group_by=("sex",))
ASKED = Sites(train=("a",), test=("b",), adapt=PLAIN, seeds=(0, 1))


@pytest.fixture(scope="module")
def found():
    return across_sites(*cohort(patients=1600, sites=("a", "b"), drop=0.8), ASKED)


def only(found, group, against):
    same = pl.col("against").is_null() if against is None else pl.col("against") == against
    return found.filter(same, metric="auroc", group=group).row(0, named=True)


def test_a_gap_that_widens_elsewhere_is_seen_there_and_in_the_shift(found):
    gap = only(found, "F", "rest")
    assert gap["value_out"] < gap["value_in"] - 0.1
    assert gap["shift"] == pytest.approx(gap["value_out"] - gap["value_in"])
    assert gap["shift_low"] < gap["shift"] < gap["shift_high"] < 0
    men = only(found, "M", None)
    assert men["shift_low"] < 0 < men["shift_high"]


def test_test_patients_are_those_of_the_shares_and_of_the_other_site(found):
    row = only(found, "everybody", None)
    assert row["n_patients_in"] == pytest.approx(0.3 * 800, abs=2)
    assert row["n_patients_out"] == 800


def test_limits_agree_with_those_of_an_audit_of_the_same_scores():

    rng = np.random.default_rng(0)
    rows = people(rng)
    said = score(rng, rows, {"F": 0.8, "M": 0.8}, common(rng, rows))
    everyone = np.ones(len(said), dtype=bool)
    (one,) = arms(
        "auroc",
        Answers(said[None], said[None] > 0),
        label=rows.truth("x"),
        patient=rows.patients,
        groups=[everyone],
        minimum=Minimum(),
    )
    value, error = clustered_auroc(said, rows.truth("x"), rows.patients)
    low, high = limits(one, 0.95)
    assert one.value == pytest.approx(value)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.03)


def test_runs_that_differ_widen_the_interval_and_runs_that_agree_do_not():
    label = np.arange(200) % 2 == 1
    noise = np.random.default_rng(0).normal(size=200)
    said = Answers(np.stack([label + noise] * 2), np.stack([label + noise > 0.5] * 2))
    group = [np.arange(200) < 100, np.arange(200) >= 100]
    both = arms("auroc", said, label=label, patient=np.arange(200), groups=group, minimum=Minimum())
    one = dataclasses.replace(both[0], runs=both[0].runs[:1])
    assert limits(both[0], 0.95) == pytest.approx(limits(one, 0.95))
    apart = dataclasses.replace(both[0], runs=both[0].runs + np.array([-0.02, 0.02]))
    assert limits(apart, 0.95)[0] < limits(one, 0.95)[0] - 0.01
    low, high = difference(apart, both[1], 0.95)
    narrow = difference(both[0], both[1], 0.95)
    assert low < narrow[0] < narrow[1] < high


def test_test_is_the_same_in_every_run_and_training_is_drawn_anew():
    frame, _ = cohort(patients=400, sites=("a", "b"))
    here = module._checked(frame, ASKED)
    one, other = (module._splits(here, ASKED, seed) for seed in (0, 1))
    tests = [set(s.filter(split="test")["image_id"]) for s in (one, other)]
    assert tests[0] == tests[1]
    assert not one.equals(other)
    at_b = set(frame.filter(site="b")["image_id"])
    assert at_b < tests[0]
    people = one.join(frame, on="image_id").group_by("patient_id").agg(pl.col("split").n_unique())
    assert people["split"].max() == 1


def test_an_unknown_site_is_named_with_the_nearest():
    asked = ASKED.model_copy(update={"test": ("north",)})
    frame, vectors = cohort(patients=60, sites=("a", "nort"))
    with pytest.raises(UnknownName, match="cohort: no site 'north'; sites: a, nort") as error:
        across_sites(frame, vectors, asked)
    assert error.value.hint == "did you mean 'nort'?"


def test_a_patient_on_both_sides_is_an_error():
    frame, vectors = cohort(patients=60, sites=("a", "b"))
    frame = frame.with_columns(patient_id=pl.col("patient_id").str.replace("b/0001", "a/0000"))
    with pytest.raises(InvalidTable, match="1 patients are at sites to train at and to test at"):
        across_sites(frame, vectors, ASKED)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": ("a",), "test": ("a", "b")}, "site 'a' is to train and to test at"),
        ({"train": ("a",), "test": ()}, "at least 1 item"),
        ({"train": ("a",), "test": ("b",), "shares": {"train": 1.0}}, "each above 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        Sites(**given)
