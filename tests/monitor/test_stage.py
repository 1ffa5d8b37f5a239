"""A model in use, from its log to a verdict: who is caught, what turns green, what never does."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import monitor, surveillance, tables
from equipoise.errors import InvalidInput
from equipoise.monitor import judging, reaching
from equipoise.policies import Verdict
from equipoise.scope import Scope
from tests.monitor import made


@pytest.mark.slow
def test_a_drop_in_one_group_raises_an_alarm_that_names_it(look, bundle):
    rows, labels = made.cases(bundle, drift=0.6, a_month=120)
    out, result = look(rows, labels)
    assert result["exit_code"] == 1
    said = made.said(out)
    alarmed = [q for q in said["questions"] if q["alarm"]]
    assert {q["group"] for q in alarmed} == {"sex=F"}
    assert min(q["alarm"] for q in alarmed) > "2026-05"
    assert "sex=F" in said["verdict"]["reason"]


def test_where_nothing_drifts_there_is_no_alarm(look, bundle):
    out, result = look(*made.cases(bundle, sensitivity=0.9, seed=3))
    assert result["alarms"] == 0
    assert result["verdict"] in {"pass", "inconclusive"}
    assert made.said(out)["verdict"]["exit_code"] == result["exit_code"]


def test_without_a_label_nothing_is_assessable_and_no_alarm_is_raised(look, bundle):
    rows, _ = made.cases(bundle, months=4)
    out, result = look(rows)
    assert (result["verdict"], result["exit_code"], result["alarms"]) == ("not assessable", 3, 0)
    said = made.said(out)
    assert said["delays"] == []
    assert all(q["e_value"] == 1.0 for q in said["questions"])


@pytest.mark.slow
def test_a_pass_needs_labelled_evidence_that_every_part_of_the_policy_holds(look, bundle):
    rows, labels = made.cases(
        bundle, months=6, a_month=140, sensitivity=0.87, specificity=0.78, seed=5
    )
    _, whole = look(rows, labels)
    _, few = look(rows, [row for row in labels if row[0] < "c01"])
    # With all labels the floors and the contrast are shown to hold; what may forbid green then
    # are warnings alone.
    parts = made.said(look(rows, labels)[0], "verdict.json")["criteria"]
    held = [p for p in parts if p["kind"] in {"contrast", "floor"} and "auroc" not in p["name"]]
    assert {p["outcome"] for p in held} == {"pass"}
    assert whole["verdict"] in {"pass", "inconclusive"}
    assert few["verdict"] in {"not assessable", "inconclusive"}


def test_an_estimate_without_labels_turns_nothing_green(look, bundle, monkeypatch):
    rows, labels = made.cases(bundle, months=4)
    few = labels[:20]
    before = made.said(look(rows, few)[0], "verdict.json")
    monkeypatch.setattr(
        surveillance, "expected_rates", lambda *_: {"sensitivity": 1.0, "specificity": 1.0}
    )
    out, result = look(rows, few)
    assert {row["sensitivity"] for row in made.said(out)["guessed"]} == {1.0}
    assert made.said(out, "verdict.json") == before
    assert result["verdict"] != "pass"


def test_the_judge_refuses_whatever_does_not_rest_on_labels(bundle):
    empty = np.empty(0)
    none = np.empty(0, dtype="datetime64[D]")
    from equipoise.monitor.questions import asked
    from equipoise.monitor.streams import Bets
    from equipoise.monitor.watching import Watch, Watched

    bets = Bets(empty, none, empty, empty, none, none)
    one = Watched(asked(bundle).questions[0], "labels", bets, empty, empty, None, bets, 99.0, 0)
    guess = dataclasses.replace(one, basis="no labels")
    watch = Watch(none, (guess,), (), 3.0)
    with pytest.raises(InvalidInput, match="a verdict rests on labelled cases alone"):
        judging.judged(watch, bundle.policy, vain={}, hindrances=[], minimum=30)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_a_hindrance_neither_passes_nor_fails(bundle, verdict):
    from equipoise.monitor.watching import Watch

    watch = Watch(np.empty(0, dtype="datetime64[D]"), (), (), 3.0)
    with pytest.raises(InvalidInput, match="hindrance 'x' says"):
        judging.judged(
            watch,
            bundle.policy,
            vain={},
            hindrances=[judging.Hindrance("x", "y", verdict)],
            minimum=30,
        )


def test_a_policy_that_asks_nothing_that_is_watched_is_not_assessable(bundle):
    from equipoise.monitor.watching import Watch

    watch = Watch(np.empty(0, dtype="datetime64[D]"), (), (), 3.0)
    found = judging.judged(watch, bundle.policy, vain={}, hindrances=[], minimum=30)
    assert found.verdict is Verdict.NOT_ASSESSABLE


def test_nothing_is_told_of_ages_that_no_case_has_reached(look, bundle):
    """A log of a month cannot say what share has a label after half a year."""
    out, _ = look(*made.cases(bundle, months=1))
    rows = made.said(out)["delays"]
    assert rows
    for row in rows:
        assert row["share"][0] is not None
        assert row["share"][-1] is None
        assert [s is None for s in row["share"]] == [s is None for s in row["low"]]


def test_guesses_are_marked_on_every_row_and_in_words_on_the_page(look, bundle):
    out, _ = look(*made.cases(bundle, months=3))
    rows = made.said(out)["guessed"]
    assert rows
    assert {row["basis"] for row in rows} == {"no labels"}
    assert {row["caution"] for row in rows} == {reaching.CAUTION}
    assert "VALID ONLY UNDER COVARIATE SHIFT" in (out / "monitor.html").read_text(encoding="utf-8")


def test_the_tables_keep_their_contracts_and_every_period_has_its_row(look, bundle):
    out, _ = look(*made.cases(bundle, months=5))
    table = tables.read(out / "monitoring.parquet", tables.MONITORING)
    drift = tables.read(out / "drift.parquet", tables.DRIFT)
    said = made.said(out)
    assert table["period"].unique().sort().to_list() == said["periods"]
    assert set(drift["period"]) <= set(said["periods"])
    by_question = table.filter(pl.col("kind") != "chart").group_by(
        "kind", "criterion", "metric", "direction", "sex", "operating_point"
    )
    assert set(by_question.len()["len"]) == {len(said["periods"])}
    assert (table.sort("period")["n_first"] >= 0).all()


@pytest.mark.slow
@settings(max_examples=5)
@given(st.randoms())
def test_neither_the_order_of_the_labels_file_nor_of_groups_changes_anything(random):
    # Drawn once for all examples: only the order differs.
    first = _shuffled(None)
    assert _shuffled(random) == first


def _shuffled(random, _kept={}):  # noqa: B006  one bundle for all examples
    import tempfile
    from pathlib import Path

    from tests.bundles import made as tiny

    if "place" not in _kept:
        _kept["place"] = tiny.bundle(Path(tempfile.mkdtemp()) / "tiny")
        _kept["bundle"] = made.opened(_kept["place"])
        _kept["drawn"] = made.cases(_kept["bundle"], months=2, a_month=40)
    rows, labels = _kept["drawn"]
    mixed = list(labels)
    if random is not None:
        random.shuffle(mixed)
    folder = Path(tempfile.mkdtemp())
    out, _ = made.look(folder, _kept["place"], _kept["bundle"], rows, mixed)
    return (out / "monitoring.json").read_bytes()


def test_the_same_look_gives_the_same_bytes(look, bundle):
    drawn = made.cases(bundle, months=3)
    one, two = look(*drawn)[0], look(*drawn)[0]
    for name in ("monitoring.json", "verdict.json", "adjudicate.csv", "monitor.html"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_an_earlier_day_of_the_look_sees_what_was_known_then(look, bundle):
    rows, labels = made.cases(bundle, months=3)
    out, _ = look(rows, labels, as_of="2026-04-02")
    said = made.said(out)
    late = [row for row in labels if row[1] >= "2026-04-03"]
    assert said["n_labelled"] == len(labels) - len(late)
    assert said["notes"]["labels that came after the day of the look"] == len(late)


def test_each_patient_counts_once_and_the_rest_is_counted_and_said(look, bundle):
    rows, labels = made.cases(bundle, months=3)
    for row in rows:
        row["patient_key"] = row["patient_key"][:-1]  # ten cases become one patient
    said = made.said(look(rows, labels)[0])
    assert said["notes"]["labelled cases of a patient who had counted already"] > 20
    everybody = next(
        q for q in said["questions"] if q["group"] == "everybody" and q["metric"] == "sensitivity"
    )
    assert everybody["n_first_total"] <= said["n_patients"]


def test_labels_that_go_to_those_called_positive_are_noticed_and_forbid_green(look, bundle):
    rows, labels = made.cases(bundle, months=6)
    threshold = bundle.operating_points["threshold"][0]
    called = {row["case_id"]: row[f"score:{made.FINDING}"] >= threshold for row in rows}
    kept = [row for k, row in enumerate(labels) if called[row[0]] or k % 4 == 0]
    out, result = look(rows, kept)
    assert any(row["depends"] for row in made.said(out)["reached"])
    assert result["verdict"] != "pass"
    names = [c["name"] for c in made.said(out, "verdict.json")["criteria"]]
    assert "who gets a label" in names


def test_a_device_that_was_never_seen_is_a_warning_and_no_verdict(look, bundle):
    rows, labels = made.cases(bundle, months=3)
    for row in rows:
        row["manufacturer"] = "Dogwood" if row["case_id"] >= "c02" else "Alder Imaging"
    out, result = look(rows, labels)
    changed = made.said(out)["drift"]["changed"]
    assert any(row["what"] == "manufacturer" for row in changed)
    assert result["verdict"] != "fail"


def test_the_list_to_adjudicate_is_a_weighted_sample_of_those_without_a_label(look, bundle):
    rows, labels = made.cases(bundle, months=4)
    known = labels[::3]
    out, _ = look(rows, known, budget=8)
    listed = pl.read_csv(out / "adjudicate.csv")
    assert not set(listed["case_id"]) & {row[0] for row in known}
    per_group = listed.group_by("group").agg(pl.len(), pl.col("weight").sum())
    assert (per_group["len"] <= 8).all()
    open_cases = len(rows) - len(known)
    assert per_group["weight"].sum() == pytest.approx(open_cases)
    assert (listed["weight"] * listed["n_drawn"] - listed["n_stratum"]).abs().max() < 1e-9


@pytest.mark.slow
def test_an_expired_override_is_said_and_forbids_green(look, bundle, monkeypatch, tmp_path):
    from tests.bundles import made as tiny

    place = tiny.bundle(tmp_path / "overridden", override=tiny.OVERRIDE, verdict="inconclusive")
    opened = made.opened(place)
    rows, labels = made.cases(opened, months=2)
    out, _ = made.look(tmp_path, place, opened, rows, labels)
    said = made.said(out)
    assert said["override"]["name"] == "A. Lee"
    assert "A. Lee" in (out / "monitor.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_cohort_scored_with_the_bundle_is_watched_like_a_log(place, bundle, tmp_path):
    from tests.bundles import made as tiny

    cohort, _, vectors = tiny.drawn(patients=150, seed=9, images_per_patient=1.2)
    inputs = _written(cohort, vectors, tmp_path, bundle.encoder.digest)
    out = tmp_path / "out"
    out.mkdir()
    result = monitor.run(monitor.Options(bundle=str(place)), inputs, out, Scope())
    said = made.said(out)
    assert result["cases"] == cohort.height
    assert said["source"] == "cohort"
    assert said["delays_known"] is False
    assert said["notes"]["labelled cases of a patient who had counted already"] > 0


def test_embeddings_of_another_encoder_are_refused(place, tmp_path):
    from tests.bundles import made as tiny

    cohort, _, vectors = tiny.drawn(patients=150, seed=9, images_per_patient=1.2)
    inputs = _written(cohort, vectors, tmp_path, "0" * 64)
    with pytest.raises(InvalidInput, match="made by an encoder with the digest 000000000000"):
        monitor.run(monitor.Options(bundle=str(place)), inputs, tmp_path, Scope())


def _written(cohort, vectors, folder, digest):
    tables.write(cohort, folder / "cohort" / "cohort.parquet", tables.COHORT)
    made_vectors = pl.DataFrame(
        {"image_id": cohort["image_id"], "vector": pl.Series(vectors.astype(np.float32))}
    )
    place = folder / "embed" / "embeddings.parquet"
    tables.write(made_vectors, place, tables.EMBEDDINGS, more={"digest": digest})
    return {"cohort": folder / "cohort", "embeddings": folder / "embed"}


def test_the_page_is_whole_loads_nothing_and_escapes_what_comes_from_data(look, bundle):
    from tests.report.pages import seen

    hostile = """<script>alert("x")</script>' onload="y" {{ 7*7 }}"""
    rows, labels = made.cases(bundle, months=3)
    for row in rows[:30]:
        row |= {"outcome": "refused", "refusal": hostile}
        del row[f"score:{made.FINDING}"]
    for row in rows:
        row["manufacturer"] = hostile
    out, _ = look(rows, labels, title=hostile)
    text = (out / "monitor.html").read_text(encoding="utf-8")
    page = seen(text)
    assert page.unclosed == []
    assert page.all("script") == page.all("link") == page.all("img") == []
    assert "<script" not in text
    assert any(hostile in e.text for e in page.all("h1"))
    assert any(hostile in e.text for e in page.all("li"))
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))


def test_what_json_says_is_json_without_nan(look, bundle):
    out, _ = look(*made.cases(bundle, months=2))
    text = (out / "monitoring.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=pytest.fail)


def test_a_site_that_differs_from_the_reference_from_the_start_has_not_drifted(look, bundle):
    rows, labels = made.cases(bundle, months=6, a_month=60)
    for row in rows:
        row["manufacturer"] = "Dogwood"  # never in the reference, and here all the time
    out, _ = look(rows, labels, baseline=2)
    drift = pl.read_parquet(out / "drift.parquet").filter(pl.col("what") == "manufacturer")
    against = dict(drift.group_by("against").agg((pl.col("status") == "changed").sum()).iter_rows())
    assert against["reference"] > 0
    assert against["first periods"] == 0
    names = [c["reason"] for c in made.said(out, "verdict.json")["criteria"]]
    assert not any("manufacturer" in reason for reason in names)


@pytest.mark.slow
def test_drift_is_told_falsely_at_most_as_often_as_the_level_says(bundle):
    from equipoise.monitor import drifting
    from equipoise.monitor.options import Options

    rng, alarms = np.random.default_rng(2), 0
    held = drifting.histogram(bundle, made.FINDING, {"sex": "F"})
    assert held is not None
    for seed in range(60):
        rows, _ = made.cases(bundle, months=8, a_month=60, seed=seed)
        frame = pl.DataFrame(rows).with_columns(
            pl.col("case_id").str.slice(1, 2).alias("period"),
            pl.Series("distance", rng.normal(30, 3, len(rows))),
        )
        table = drifting.drift(
            frame, bundle, sorted(set(frame["period"])), Options(bundle="-", baseline=3)
        )
        own = table.filter(pl.col("against") == "first periods")
        alarms += bool((own["status"] == "changed").any())
    assert alarms <= 60 * 0.05 + 2 * np.sqrt(60 * 0.05 * 0.95)
