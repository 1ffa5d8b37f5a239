"""What labels that come late, or of some cases only, may do to evidence and to green."""

import dataclasses
import datetime as dt

import numpy as np
import polars as pl

from equipoise.monitor import labelling
from equipoise.monitor.cases import Cases
from equipoise.monitor.questions import Question
from equipoise.monitor.questions import asked as asked_of
from equipoise.monitor.streams import stream
from tests.monitor import made

JANUARY, JUNE = "2026-01-20T00:00:00+00:00", "2026-06-20T00:00:00+00:00"


def two_findings(tmp_path):
    """Return labels of which that of the second finding came half a year after the first."""
    early, late = tmp_path / "early.csv", tmp_path / "late.csv"
    early.write_text(f"case_id,labelled_at,label:one,label:two\nc,{JANUARY},1,\n")
    late.write_text(f"case_id,labelled_at,label:one,label:two\nc,{JUNE},,1\n")
    given = labelling.read([early, late], ("one", "two"))
    row = {"case_id": "c", "patient_key": "p", "outcome": "scored", "score:one": 0.9}
    at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    frame = pl.DataFrame([{**row, "score:two": 0.9, "at": at, "period": "2026-01"}])
    return Cases(frame, None, "log", {}), given


def asked(finding):
    return Question(
        "floor", "f", "sensitivity", finding, "p", 0.5, {}, None, None, {}, 0.5, "below"
    )  # fmt: skip


def test_a_label_that_a_later_file_adds_is_not_dated_back(tmp_path):
    cases, given = two_findings(tmp_path)
    frame = labelling.joined(cases, given, None).frame
    days = {name: str(stream(frame, asked(name)).days[0])[:7] for name in ("one", "two")}
    assert days == {"one": "2026-01", "two": "2026-06"}


def test_a_look_does_not_see_the_label_of_a_second_finding_before_it_came(tmp_path):
    cases, given = two_findings(tmp_path)
    frame = labelling.joined(cases, given, dt.date(2026, 3, 1)).frame
    assert frame["label:one"].to_list() == [True]
    assert frame["label:two"].to_list() == [None]


def test_green_rests_on_cases_that_had_the_time_to_get_their_label(look, bundle):
    # Calls that were positive are looked up at once, the others only after 80 days.
    rows, labels = made.cases(
        bundle, months=4, a_month=200, sensitivity=0.5, specificity=0.9, seed=2
    )
    threshold = bundle.operating_points["threshold"][0]
    at = {row["case_id"]: dt.datetime.fromisoformat(row["at"]) for row in rows}
    called = {row["case_id"]: row[f"score:{made.FINDING}"] >= threshold for row in rows}
    late = [
        (case, (at[case] + dt.timedelta(days=1 if called[case] else 80)).isoformat(), label)
        for case, _, label in labels
    ]
    told = {"follow_up_days": 90, "window": 2, "as_of": "2026-05-03"}
    parts = made.said(look(rows, late, **told)[0], "verdict.json")["criteria"]
    floor = next(part for part in parts if part["name"] == "sensitivity for all")
    assert floor["outcome"] != "pass"
    assert all(part["value"] is None or part["value"] < 0.65 for part in floor["judgements"])


def test_refusals_that_fall_on_one_group_are_noticed_and_forbid_green(look, bundle):
    rows, labels = made.cases(bundle, months=6, seed=3)
    for k, row in enumerate(rows):
        if row["sex"] == "F" and k % 3 == 0:
            row.update(outcome="refused", refusal="distance")
            row[f"score:{made.FINDING}"] = None
    answered = {row["case_id"] for row in rows if row["outcome"] == "scored"}
    out, result = look(rows, [row for row in labels if row[0] in answered])
    said = {c["name"]: c for c in made.said(out, "verdict.json")["criteria"]}
    assert "sex=F" in said["who gets an answer"]["reason"]
    assert result["verdict"] != "pass"


def test_answers_that_are_missing_for_one_group_are_noticed_as_refusals_are(look, bundle):
    rows, labels = made.cases(bundle, months=6, seed=3)
    for k, row in enumerate(rows):
        if row["sex"] == "F" and k % 3 == 0:
            row[f"score:{made.FINDING}"] = None
    out, _ = look(rows, labels)
    assert "who gets an answer" in [c["name"] for c in made.said(out, "verdict.json")["criteria"]]


def test_refusals_alike_in_all_groups_are_no_warning(look, bundle):
    rows, labels = made.cases(bundle, months=6, seed=3)
    for k, row in enumerate(rows):
        if k % 10 == 0:
            row.update(outcome="refused", refusal="distance")
            row[f"score:{made.FINDING}"] = None
    answered = {row["case_id"] for row in rows if row["outcome"] == "scored"}
    out, _ = look(rows, [row for row in labels if row[0] in answered])
    names = [c["name"] for c in made.said(out, "verdict.json")["criteria"]]
    assert "who gets an answer" not in names


def test_a_finding_that_the_policy_names_and_cannot_be_watched_is_said(bundle):
    floor = bundle.policy.floors[1].model_copy(update={"findings": [made.FINDING, "other"]})
    policy = bundle.policy.model_copy(update={"floors": [floor]})
    found = asked_of(dataclasses.replace(bundle, policy=policy))
    assert any(q.name == floor.name for q in found.questions)
    assert "other" in found.vain[floor.name]


def test_an_operating_point_that_the_policy_names_and_is_absent_is_said(bundle):
    floor = bundle.policy.floors[1].model_copy(update={"operating_points": ["locked", "high"]})
    policy = bundle.policy.model_copy(update={"floors": [floor]})
    found = asked_of(dataclasses.replace(bundle, policy=policy))
    assert any(q.name == floor.name for q in found.questions)
    assert "high" in found.vain[floor.name]


def test_who_is_drawn_to_be_labelled_does_not_depend_on_the_answer(look, bundle):
    # Labels of drawn cases come back and are bet on as they are, so half-half would bias them.
    rows, _ = made.cases(bundle, months=6, a_month=150, sensitivity=0.3, specificity=0.95)
    threshold = bundle.operating_points["threshold"][0]
    share = np.mean([row[f"score:{made.FINDING}"] >= threshold for row in rows])
    listed = pl.read_csv(look(rows, budget=120)[0] / "adjudicate.csv")
    drawn = listed.filter(pl.col("group").is_in(["sex=F", "sex=M"]))
    assert drawn.group_by("group").agg(pl.col("weight").n_unique())["weight"].to_list() == [1, 1]
    assert abs(drawn["called"].mean() - share) < 3 * np.sqrt(share * (1 - share) / drawn.height)


def hurried(bundle, seed):
    """Return cases whose rates are well above their floors, positive calls looked up at once."""
    rows, labels = made.cases(bundle, a_month=120, seed=seed, sensitivity=0.85, specificity=0.8)
    threshold = bundle.operating_points["threshold"][0]
    of = {row["case_id"]: row for row in rows}
    rng = np.random.default_rng(seed)
    late = []
    for case, _, label in labels:
        called = of[case][f"score:{made.FINDING}"] >= threshold
        wait = dt.timedelta(days=1 if called else 50 + 10 * rng.random())
        at = dt.datetime.fromisoformat(of[case]["at"])
        late.append((case, (at + wait).isoformat(), label))
    return rows, late


def test_labels_that_come_sooner_for_positive_calls_raise_no_alarm_once_cases_settle(look, bundle):
    rows, labels = hurried(bundle, 1)
    at_once, _ = look(rows, labels, settle_days=0)
    said = {c["name"] for c in made.said(at_once, "verdict.json")["criteria"]}
    # The first labels are of positive calls alone: specificity among them is none at all.
    assert made.said(at_once)["verdict"]["exit_code"] == 1
    assert "how soon a label comes" in said
    settled, result = look(rows, labels, settle_days=60)
    assert result["alarms"] == 0
    assert result["exit_code"] != 1
    names = {c["name"] for c in made.said(settled, "verdict.json")["criteria"]}
    assert "how soon a label comes" not in names


def test_a_case_that_has_not_settled_by_the_day_of_the_look_is_not_bet_on(look, bundle):
    rows, labels = made.cases(bundle, months=3)
    options = {"as_of": "2026-04-05", "settle_days": 45}
    out, _ = look(rows, labels, **options)
    floor = next(
        q
        for q in made.said(out)["questions"]
        if (q["group"], q["metric"]) == ("everybody", "sensitivity")
    )
    old = {row["case_id"] for row in rows if row["at"][:10] <= "2026-02-19"}
    there = [row for row in labels if row[0] in old and row[1] < "2026-04-06" and row[2]]
    assert floor["n_first_total"] == len(there)
