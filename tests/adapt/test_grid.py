"""Hyper-parameters of a mitigation, chosen on validation as its penalty is."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from equipoise import adapt
from equipoise.adapt.outcomes import over_findings, trial_tables
from equipoise.adapt.records import all_trials, summary
from equipoise.adapt.rounds import rounds
from equipoise.errors import InvalidConfiguration
from tests.adapt.made import images

GRID = {"upweight": (2, 40), "first_penalty": (0.1, 1.0)}
ASKED = adapt.Options(
    evaluation="split",
    penalties=(0.1, 1.0),
    candidates=(adapt.Candidate(name="jtt", mitigation="jtt", grid=GRID),),
)


@pytest.fixture(scope="module")
def made():
    return images()


@pytest.fixture(scope="module")
def adapted(made):
    return adapt.predictions(made, ASKED)


def jtt(adapted):
    return next(one for one in adapted.outcomes if one.candidate == "jtt")


def test_every_combination_is_tried_under_every_penalty(adapted):
    tried = jtt(adapted).tried[None]
    told = {(one.penalty, *one.parameters.values()) for one in tried}
    assert len(tried) == len(told) == 2 * 2 * 2
    assert {tuple(one.parameters) for one in tried} == {("upweight", "first_penalty")}


def test_each_trial_is_the_fit_of_its_own_parameters(made, adapted):
    for trial in jtt(adapted).tried[None]:
        fixed = adapt.Candidate(name="jtt", mitigation="jtt", parameters=dict(trial.parameters))
        alone = adapt.predictions(made, ASKED.model_copy(update={"candidates": (fixed,)}))
        one = next(t for t in jtt(alone).tried[None] if t.penalty == trial.penalty)
        assert one.overall == trial.overall
        np.testing.assert_array_equal(one.fitted.probe.weights, trial.fitted.probe.weights)


def test_the_best_on_validation_is_kept_and_written_down(adapted):
    one = jtt(adapted)
    best = max(trial.overall for trial in one.tried[None])
    assert one.kept[None].overall == best
    records = [row for row in all_trials([one]) if row["kept"]]
    assert [row["parameters"] for row in records] == [dict(one.kept[None].parameters)]
    told = next(
        row for row in summary(adapted.outcomes, adapted.selected) if row["candidate"] == "jtt"
    )
    assert told["parameters"] == [dict(one.kept[None].parameters)]


@pytest.mark.parametrize("evaluation", ["split", "cross-fit"])
def test_the_predictions_of_every_trial_are_kept_of_images_it_was_not_fitted_on(made, evaluation):
    asked = ASKED.model_copy(update={"evaluation": evaluation})
    adapted = adapt.predictions(made, asked)
    whole = adapted.predictions["predictions/jtt-0.parquet"]
    records = [row for row in all_trials([jtt(adapted)]) if row["fold"] in {None, 0}]
    assert len({row["file"] for row in records}) == len(records) == 8
    for row in records:
        told = adapted.trials[row["file"]]
        if evaluation == "split":
            assert set(told["split"]) == {"validation", "test"}
        else:
            assert told.height == len(made.image_ids)
        here = whole.join(told, on="image_id", suffix="_trial")
        if evaluation == "cross-fit":
            here = here.filter(fold=0)
        same = (here["score:edema"] == here["score:edema_trial"]).all()
        assert same == row["kept"]
        fixed = adapt.Candidate(name="jtt", mitigation="jtt", parameters=row["parameters"])
        changed = {"candidates": (fixed,), "penalties": (row["penalty"],)}
        alone = adapt.predictions(made, asked.model_copy(update=changed))
        own = alone.predictions["predictions/jtt-0.parquet"].join(told, on="image_id", suffix="_t")
        np.testing.assert_allclose(own["score:edema"], own["score:edema_t"], atol=2e-6)


def test_a_finding_that_fails_has_no_trials_and_the_others_have(made):
    rare = pl.Series([False] * len(made.image_ids))
    both = dataclasses.replace(made, labels={**made.labels, "rare": rare})
    jtt_alone = ASKED.candidates[0]
    parts = rounds(both, "split", seed=0, inner=0.2)
    found = over_findings(both, ["edema", "rare"], jtt_alone, parts, ASKED, seed=0)
    tables = trial_tables(found, both, "split")
    assert len(tables) == 8
    for table in tables.values():
        assert table["score:rare"].null_count() == table.height
        assert table["score:edema"].null_count() == 0


def test_a_value_that_cannot_be_is_found_before_anything_is_fitted(made):
    bad = adapt.Candidate(name="jtt", mitigation="jtt", grid={"upweight": (2, -1)})
    told = []
    with pytest.raises(InvalidConfiguration, match="mitigation jtt: upweight"):
        adapt.predictions(
            made,
            ASKED.model_copy(update={"candidates": (bad,)}),
            progress=lambda *said: told.append(said),
        )
    assert not told


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"grid": {"upweight": ()}}, "grid: 'upweight' has no value"),
        ({"grid": {"upweight": (2,)}, "parameters": {"upweight": 3}}, "in parameters and in grid"),
    ],
)
def test_a_grid_that_says_nothing_or_too_much_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        adapt.Candidate(name="jtt", mitigation="jtt", **given)


@pytest.mark.parametrize("mitigation", ["reweighting", "resampling"])
def test_labels_are_balanced_even_where_a_group_has_one_label(made, mitigation):
    label = made.labels["edema"].to_list()
    only = [False if g == "F" else y for g, y in zip(made.groups, label, strict=True)]
    rows = dataclasses.replace(made, labels={"edema": pl.Series(only)})
    by = [
        adapt.Candidate(name=f"by_{by}", mitigation=mitigation, parameters={"by": by})
        for by in ("label", "group")
    ]
    found = adapt.predictions(rows, ASKED.model_copy(update={"candidates": tuple(by)}))
    failed = {one.candidate: one.reason for one in found.outcomes}
    assert failed["by_label"] is None
    assert "group 'F' has 0 positives" in failed["by_group"]
