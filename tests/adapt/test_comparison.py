import dataclasses

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from equipoise import adapt
from equipoise.adapt.records import all_trials, summary
from equipoise.adapt.selection import selection
from equipoise.adapt.standing import RULES
from equipoise.errors import InvalidConfiguration, InvalidTable, UnknownName
from equipoise.metrics import clustered_auroc
from equipoise.mitigations import MITIGATIONS, plain
from tests.adapt.made import cohort, images

SPLIT = adapt.Options(evaluation="split", penalties=(0.01, 1.0), minimum=5)
CROSS = SPLIT.model_copy(update={"evaluation": "cross-fit"})


def with_candidates(*candidates, **options):
    made = tuple(adapt.Candidate(**candidate) for candidate in candidates)
    return adapt.Options(**{"evaluation": "split", "candidates": made, **options})


def broken(training, *, penalty, parameters, rng, start):
    raise np.linalg.LinAlgError("not positive definite")


def no_number(training, **given):
    fitted = plain.fit(training, **given)
    fitted.probe.weights[:] = np.nan
    return fitted


def nothing(training, **given):
    return None


FAILING = {"name": "failing", "mitigation": f"{__name__}:broken"}


def test_every_candidate_is_kept_and_scores_every_image():
    adapted = adapt.predictions(images(), SPLIT)
    assert sorted(adapted.predictions) == [
        f"predictions/{name}-0.parquet" for name in ("group_dro", "plain", "reweighting")
    ]
    for frame in adapted.predictions.values():
        assert frame["score:edema"].null_count() == 0
        assert frame["score:edema"].is_between(0, 1).all()
        assert frame["score:edema"].dtype == pl.Float32
        assert set(frame["split"]) == {"train", "validation", "test"}


@pytest.mark.parametrize("options", [SPLIT, CROSS], ids=["split", "cross-fit"])
def test_the_same_input_gives_the_same_result(options):
    one, other = (adapt.predictions(images(folds=3), options) for _ in range(2))
    assert one.selection == other.selection
    assert one.operating_points.equals(other.operating_points)
    for name, frame in one.predictions.items():
        assert frame.equals(other.predictions[name])


@pytest.mark.parametrize("options", [SPLIT, CROSS], ids=["split", "cross-fit"])
def test_a_label_in_the_part_that_is_scored_changes_no_score_and_no_threshold(options):
    """The test split, or a fold as seen by its own round."""
    made = images(folds=3)
    held = made.split == "test" if options is SPLIT else made.fold == 2
    turned = made.labels["edema"].to_list()
    turned = [(not v) if h and v is not None else v for v, h in zip(turned, held, strict=True)]
    other = adapt.Rows(
        **{name: getattr(made, name) for name in made.__slots__}
        | {"labels": {"edema": pl.Series(turned)}}
    )
    before, after = adapt.predictions(made, options), adapt.predictions(other, options)
    fold = pl.col("fold").is_null() | (pl.col("fold") == 2)
    one, two = (a.operating_points.filter(fold) for a in (before, after))
    assert one.equals(two)
    for name, frame in before.predictions.items():
        scores = frame["score:edema"].filter(pl.Series(held))
        assert scores.equals(after.predictions[name]["score:edema"].filter(pl.Series(held)))


def test_cross_fitted_scores_tell_the_label_of_patients_that_were_not_seen():
    made = images()
    adapted = adapt.predictions(made, CROSS)
    frame = adapted.predictions["predictions/plain-0.parquet"]
    assert "split" not in frame.columns
    assert frame["fold"].to_list() == made.fold.tolist()
    known = made.labels["edema"].is_not_null().to_numpy()
    score = frame["score:edema"].to_numpy()[known]
    auroc, _ = clustered_auroc(score, made.truth("edema")[known], made.patients[known])
    assert 0.75 < auroc < 0.95
    assert adapted.selection["cross_fitted"] is True
    assert "the procedure, not one model" in adapted.selection["evidence_about"]


def test_labels_without_signal_give_chance_when_cross_fitted():
    frame, x = cohort(n=600)
    noise = np.random.default_rng(5).normal(size=x.shape).astype(np.float32)
    made = images(frame, noise)
    adapted = adapt.predictions(made, CROSS)
    known = made.labels["edema"].is_not_null().to_numpy()
    for table in adapted.predictions.values():
        score = table["score:edema"].to_numpy()[known]
        auroc, error = clustered_auroc(score, made.truth("edema")[known], made.patients[known])
        assert abs(auroc - 0.5) < 3.5 * error


def test_operating_points_keep_on_validation_what_they_promise():
    made = images()
    points = (
        {"name": "ruled out", "rule": "sensitivity", "at": 0.8},
        {"name": "ruled in", "rule": "specificity", "at": 0.7},
        {"name": "both", "rule": "youden"},
    )
    options = adapt.Options(evaluation="split", operating_points=points)
    adapted = adapt.predictions(made, options)
    held = made.assessed("edema", made.split == "validation")
    truth = made.truth("edema")[held]
    for row in adapted.operating_points.iter_rows(named=True):
        frame = adapted.predictions[f"predictions/{row['candidate']}-0.parquet"]
        called = frame["score:edema"].to_numpy()[held] >= row["threshold"]
        if row["operating_point"] == "ruled out":
            assert called[truth].mean() >= 0.8
        if row["operating_point"] == "ruled in":
            assert (~called)[~truth].mean() >= 0.7
        assert row["chosen_on"] == "validation"
    assert adapted.operating_points.height == 9


def test_cross_fitting_has_a_threshold_per_fold():
    points = adapt.predictions(images(), CROSS).operating_points
    plain_rows = points.filter(pl.col("candidate") == "plain")
    assert plain_rows["fold"].to_list() == [0, 1, 2, 3, 4]
    assert plain_rows["threshold"].n_unique() > 1
    assert plain_rows["chosen_on"][0] == "validation outside fold 0"


def test_every_rule_says_what_it_would_choose_and_the_studys_own_is_followed():
    frame, x = cohort(n=3000, small=0.08)
    made = images(frame, x)
    for rule in RULES:
        options = SPLIT.model_copy(update={"selection": rule, "margin": 0.3})
        said = adapt.predictions(made, options).selection
        assert said["rule"] == rule
        assert set(said["choices"]) == set(RULES)
        assert said["candidate"] == said["choices"][rule]["candidate"]
        assert said["reason"] == said["choices"][rule]["reason"]


def test_the_worst_group_is_lifted_where_that_was_shown_to_harm_nobody_by_the_margin():
    frame, x = cohort(n=3000, small=0.08)
    options = SPLIT.model_copy(update={"selection": "worst_group", "margin": 0.3})
    adapted = adapt.predictions(images(frame, x), options)
    said = adapted.selection
    assert said["choices"]["overall"]["candidate"] == "plain"
    assert said["choices"]["worst_group"]["candidate"] != "plain"
    assert said["guard"] == "acceptable"
    records = {row["candidate"]: row for row in summary(adapted.outcomes, adapted.selected)}
    assert records["plain"]["worst_group"] == "F"
    assert records[said["candidate"]]["worst_group_auroc"] > records["plain"]["worst_group_auroc"]
    assert "better than plain training by" in said["reason"]
    assert "no group worse by the margin of 0.3" in said["reason"]


def test_without_a_margin_plain_training_stays_unless_a_reason_is_written():
    frame, x = cohort(n=3000, small=0.08)
    made = images(frame, x)
    options = SPLIT.model_copy(update={"selection": "worst_group"})
    said = adapt.predictions(made, options).selection
    assert said["candidate"] == "plain"
    assert "is better, but cannot rule out levelling down: no margin was declared" in said["reason"]
    better = said["choices"]["worst_group"]["highest"]
    why = "the board weighed it on 3 May"
    told = options.model_copy(update={"despite_guard": {better: why}})
    said = adapt.predictions(made, told).selection
    assert said["candidate"] == better
    assert said["guard"] == "cannot rule out levelling down"
    assert said["written_reason"] == why
    assert f"chosen for this written reason: {why}" in said["reason"]


def test_without_a_group_that_is_large_enough_the_worst_group_rule_says_so():
    options = SPLIT.model_copy(update={"selection": "worst_group", "selection_minimum": 500})
    said = adapt.predictions(images(), options).selection
    assert said["choices"]["worst_group"] is None
    assert said["candidate"] == "plain"
    assert "no group is large enough on validation for rule 'worst_group'" in said["reason"]


@pytest.mark.parametrize(
    ("function", "reason"), [("broken", "not positive definite"), ("no_number", "NaN")]
)
def test_a_candidate_that_fails_is_reported_and_the_others_go_on(function, reason):
    failing = {"name": "failing", "mitigation": f"{__name__}:{function}"}
    adapted = adapt.predictions(images(), with_candidates(failing))
    assert list(adapted.predictions) == ["predictions/plain-0.parquet"]
    record = next(
        row for row in summary(adapted.outcomes, adapted.selected) if row["candidate"] == "failing"
    )
    assert record["status"] == "failed"
    assert reason in record["reason"]
    assert record["chosen_by"] == []
    assert adapted.selection["candidate"] == "plain"


def test_plain_training_is_always_among_the_candidates():
    dro = {"name": "dro", "mitigation": "group_dro"}
    adapted = adapt.predictions(images(), with_candidates(dro))
    assert {one.candidate for one in adapted.outcomes} == {"plain", "dro"}


def test_several_seeds_have_files_and_thresholds_of_their_own():
    options = CROSS.model_copy(update={"seeds": (0, 1), "candidates": ()})
    adapted = adapt.predictions(images(), options)
    one, other = (adapted.predictions[f"predictions/plain-{seed}.parquet"] for seed in (0, 1))
    assert not one.equals(other)
    names = {f"{name}-{seed}" for name in ("plain", "procedure") for seed in (0, 1)}
    assert set(adapted.operating_points["candidate"]) == names


def test_every_penalty_is_on_record_and_one_is_kept_per_round():
    adapted = adapt.predictions(images(), CROSS)
    records = [row for row in all_trials(adapted.outcomes) if row["candidate"] == "plain"]
    assert len(records) == 2 * 5
    assert sum(row["kept"] for row in records) == 5
    assert all(row["converged"] for row in records)
    for fold in range(5):
        of_fold = [row for row in records if row["fold"] == fold]
        kept = next(row for row in of_fold if row["kept"])
        assert kept["overall_auroc"] == max(row["overall_auroc"] for row in of_fold)


def test_a_null_label_is_neither_fitted_on_nor_validated_on():
    frame, x = cohort()
    made = images(frame, x)
    null = frame["label:edema"].is_null().to_numpy()
    moved = x.copy()
    moved[null] += 100.0
    one, other = (adapt.predictions(m, SPLIT) for m in (made, images(frame, moved)))
    assert one.operating_points.equals(other.operating_points)


def test_over_several_findings_the_mean_decides():
    frame, x = cohort()
    second = frame.with_columns(pl.col("label:edema").shuffle(seed=1).alias("label:noise"))
    adapted = adapt.predictions(images(second, x), SPLIT)
    table = adapted.predictions["predictions/plain-0.parquet"]
    assert [c for c in table.columns if c.startswith("score:")] == ["score:edema", "score:noise"]
    for name, standings in adapted.selected.field.standings.items():
        found = [one.overall for one in adapted.outcomes if one.candidate == name]
        assert standings["overall"].value == pytest.approx(sum(found) / 2)


def test_a_finding_of_one_kind_is_an_error_that_names_it():
    frame, x = cohort()
    frame = frame.with_columns(pl.lit(value=False).alias("label:edema"))
    with pytest.raises(
        InvalidTable,
        match="no candidate could be fitted; plain: finding 'edema': validation has 0 positives",
    ):
        adapt.predictions(images(frame, x), SPLIT)


def test_a_function_that_gives_no_probe_is_refused():
    with pytest.raises(InvalidConfiguration, match="gives NoneType; expected Fitted"):
        adapt.predictions(
            images(), with_candidates({"name": "nothing", "mitigation": f"{__name__}:nothing"})
        )


def test_an_unknown_mitigation_and_parameter_are_no_failures_but_errors():
    with pytest.raises(UnknownName, match="no mitigation 'group_drop'") as found:
        adapt.predictions(images(), with_candidates({"name": "a", "mitigation": "group_drop"}))
    assert found.value.hint == "did you mean 'group_dro'?"
    with pytest.raises(InvalidConfiguration, match="unknown parameter 'powr'"):
        adapt.predictions(
            images(),
            with_candidates({"name": "a", "mitigation": "reweighting", "parameters": {"powr": 1}}),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": [FAILING, FAILING]}, "candidate 'failing' occurs twice"),
        ({"penalties": [0.0]}, "penalty 0; expected numbers above 0"),
        ({"candidates": [{"name": "a/b", "mitigation": "plain"}]}, "should match pattern"),
        ({"penalty": [1.0]}, "Extra inputs are not permitted"),
        (
            {"despite_guard": {"group_drop": "why"}},
            "no candidate 'group_drop'; candidates: plain, reweighting, group_dro; did you mean "
            "'group_dro'",
        ),
        ({"despite_guard": {"group_dro": "  "}}, "candidate 'group_dro' has no reason"),
        (
            {"candidates": [{"name": "procedure", "mitigation": "reweighting"}]},
            "candidate 'procedure': expected another name",
        ),
        (
            {"candidates": [{"name": "a.by_group", "mitigation": "reweighting"}]},
            "candidate 'a.by_group': expected another name",
        ),
        ({"margin": 0.0}, "greater than 0"),
        ({"selection": "wrst_group"}, "Input should be"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        adapt.Options(**options)


def test_a_mitigation_cannot_take_the_name_of_plain_training():
    with pytest.raises(ValidationError, match="candidate 'plain' occurs twice"):
        adapt.Options(candidates=({"name": "plain", "mitigation": "reweighting"},))


def test_a_group_of_one_class_in_training_fails_the_mitigations_and_names_itself():
    frame, x = cohort(n=600)
    few = (pl.col("sex") == "F") & (pl.col("label:edema") == pl.lit(value=True))
    frame = frame.with_columns(
        pl.when(few).then(pl.lit(value=False)).otherwise(pl.col("label:edema")).alias("label:edema")
    )
    adapted = adapt.predictions(images(frame, x), SPLIT)
    by = {one.candidate: one.reason for one in adapted.outcomes}
    assert by["plain"] is None
    assert "finding 'edema': group 'F' has 0 positives among" in by["reweighting"]
    assert adapted.selection["candidate"] == "plain"


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ({"mitigation": "group_drop"}, "no mitigation 'group_drop'"),
        ({"mitigation": "jtt", "parameters": {"upwieght": 3}}, "unknown parameter 'upwieght'"),
        ({"mitigation": "jtt", "parameters": {"upweight": 0}}, "upweight: Input should be"),
    ],
)
def test_what_does_not_exist_is_found_before_anything_is_fitted(monkeypatch, candidate, message):
    fitted, fit = [], plain.fit

    def counted(training, **more):
        fitted.append(training)
        return fit(training, **more)

    monkeypatch.setattr(plain, "fit", counted)
    with pytest.raises((UnknownName, InvalidConfiguration), match=message):
        adapt.predictions(images(), with_candidates({"name": "a", **candidate}))
    assert fitted == []


@pytest.mark.parametrize("name", MITIGATIONS)
def test_every_member_has_its_parameters_where_they_are_checked_first(name):
    with pytest.raises(InvalidConfiguration, match=f"mitigation {name}: unknown parameter 'no'"):
        adapt.predictions(
            images(), with_candidates({"name": "a", "mitigation": name, "parameters": {"no": 1}})
        )


def test_an_attribute_with_one_level_is_an_error_that_names_it():
    frame, x = cohort()
    frame = frame.with_columns(sex=pl.lit("F"))
    options = SPLIT.model_copy(update={"group_by": ("sex",)})
    with pytest.raises(InvalidTable, match="cohort: group_by sex: one group only, 'F'; expected"):
        adapt.predictions(images(frame, x), options)
    unknown = frame.with_columns(sex=pl.lit("unknown"))
    with pytest.raises(InvalidTable, match="group_by sex: no group that is known"):
        adapt.predictions(images(unknown, x), options)


def test_plain_training_that_fails_stops_the_selection_and_says_why():
    frame, x = cohort()
    adapted = adapt.predictions(images(frame, x), SPLIT)
    broken_one = [
        dataclasses.replace(one, reason="why", kept={}, held={})
        if one.candidate == "plain"
        else one
        for one in adapted.outcomes
    ]
    with pytest.raises(InvalidTable, match="plain training failed, so nothing can be held"):
        selection(images(frame, x), broken_one, SPLIT)


def test_in_a_cross_fit_every_fold_chooses_without_itself():
    frame, x = cohort(n=3000, small=0.1)
    made = images(frame, x, folds=3)
    update = {"selection": "worst_group", "margin": 0.3}
    adapted = adapt.predictions(made, CROSS.model_copy(update=update))
    said = adapted.selection
    assert (said["candidate"], said["file"]) == ("procedure", "predictions/procedure-0.parquet")
    assert [row["fold"] for row in said["by_fold"]] == [0, 1, 2]
    assert {row["candidate"] for row in said["by_fold"]} & {"reweighting", "group_dro"}
    assert said["guard"] == "acceptable"
    plain_only = adapt.predictions(made, CROSS).selection
    assert (plain_only["guard"], plain_only["written_reason"]) == ("reference", None)
    found = adapted.predictions["predictions/procedure-0.parquet"]
    for row in said["by_fold"]:
        of_fold = pl.col("fold") == row["fold"]
        own = adapted.predictions[f"predictions/{row['candidate']}-0.parquet"]
        assert found.filter(of_fold).equals(own.filter(of_fold))
        mine, theirs = (
            adapted.operating_points.filter(of_fold, candidate=name)["threshold"].to_list()
            for name in ("procedure", row["candidate"])
        )
        assert mine == theirs
    # Labels of a fold turned round: what chose there, and its scores, stay as they are.
    held = made.fold == 1
    turned = pl.Series(
        [
            (not v) if h and v is not None else v
            for v, h in zip(made.labels["edema"].to_list(), held, strict=True)
        ]
    )
    fields = {name: getattr(made, name) for name in made.__slots__}
    other = adapt.predictions(
        adapt.Rows(**fields | {"labels": {"edema": turned}}), CROSS.model_copy(update=update)
    )
    assert other.selection["by_fold"][1] == said["by_fold"][1]
    after = other.predictions["predictions/procedure-0.parquet"]
    assert after.filter(pl.Series(held)).equals(found.filter(pl.Series(held)))
