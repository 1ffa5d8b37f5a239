"""The page as a reader, a parser and an attacker see it."""

import dataclasses
import json
import re
from pathlib import Path

import polars as pl
import pytest

from equipoise import evidence, report, tables, words
from equipoise.errors import InvalidTable, UnknownName
from equipoise.report import Material, Options, deployment
from equipoise.scope import Scope
from tests.report.pages import Seen, seen
from tests.report.synthetic import estimates, material

HOSTILE = """<script>alert("x")</script>' onload="y" &amp; {{ 7*7 }} {n} ]]>"""


@pytest.fixture(scope="module")
def plain() -> str:
    return report.html(material(), Options(title="Nodules", intended_use="second reading"))


@pytest.fixture(scope="module")
def hostile() -> str:
    levels = (HOSTILE, "M", "other")
    given = dataclasses.replace(material(levels, text=HOSTILE))
    return report.html(given, Options(title=HOSTILE, audience=HOSTILE, intended_use=HOSTILE))


@pytest.fixture(scope="module")
def bare() -> Seen:
    return seen(report.html(Material(estimates())))


def test_the_page_is_well_formed_and_says_its_language(plain: str) -> None:
    page = seen(plain)
    assert page.unclosed == []
    assert page.all("html")[0].attributes["lang"] == "en"
    assert [element.text for element in page.all("h1")] == ["Nodules"]
    assert page.all("title")[0].text == "Nodules"


def test_a_string_from_data_is_never_markup_anywhere(hostile: str) -> None:
    page = seen(hostile)
    assert page.unclosed == []
    assert page.all("script") == []
    assert "<script" not in hostile
    assert not [e for e in page.elements if any(name.startswith("on") for name in e.attributes)]
    texts = [e.text for e in page.elements if HOSTILE in e.text]
    places = {e.tag for e in page.elements if HOSTILE in e.text}
    assert places >= {"h1", "th", "td", "li", "dd", "desc", "title", "p"}
    assert len(texts) > 20
    assert "49" not in "".join(e.text for e in page.all("h1"))


def test_a_hostile_level_stands_in_the_picture_as_text_and_whole_in_its_title(
    hostile: str,
) -> None:
    titles = [element.text for element in seen(hostile).all("title")]
    assert any(HOSTILE in title for title in titles)


def test_the_page_loads_nothing_from_anywhere(plain: str, hostile: str) -> None:
    for page in (plain, hostile):
        found = seen(page)
        policy = found.all("meta")[1].attributes["content"]
        assert policy.startswith("default-src 'none';")
        for element in found.elements:
            for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert element.attributes.get(name, "#").startswith("#"), element
        assert found.all("link") == found.all("img") == found.all("iframe") == []
        assert "@import" not in page
        loads = re.findall(r"url\(([^)]*)\)", page)
        assert all(load.startswith("#") for load in loads)
        assert set(re.findall(r"https?://[^\s\"'<]*", page)) == {"http://www.w3.org/2000/svg"}


def test_each_link_and_each_id_in_the_page_is_sound(plain: str) -> None:
    page = seen(plain)
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    wanted = [e.attributes["href"][1:] for e in page.all("a")]
    for e in page.elements:
        wanted += e.attributes.get("aria-labelledby", "").split()
    wanted += re.findall(r"url\(#([^)]*)\)", plain)
    assert set(wanted) <= set(ids)


def test_every_picture_has_a_name_and_every_table_scoped_headings(plain: str) -> None:
    page = seen(plain)
    pictures = page.all("svg")
    assert pictures
    assert all(e.attributes["role"] == "img" and e.attributes["aria-labelledby"] for e in pictures)
    assert len(page.all("desc")) == len(pictures)
    assert all(e.attributes.get("scope") in {"col", "row", "rowgroup"} for e in page.all("th"))


def test_a_group_that_could_not_be_assessed_stands_by_name_with_what_it_lacks(plain: str) -> None:
    missing = _section(plain, "missing")
    assert "sex other" in missing
    assert "more are needed" in missing
    first = _section(plain, "verdict")
    assert "sex other" in first
    assert "not assessable" in first
    performance = _section(plain, "performance")
    assert performance.count("not assessable: ") >= 6


def test_the_first_screen_names_the_verdict_its_reason_the_group_and_the_numbers(
    plain: str,
) -> None:
    first = _section(plain, "verdict")
    assert "Fail" in first
    assert re.search(r"Sensitivity of sex F is 0\.\d{3} lower than that of M", first)
    assert "simultaneous 95\N{NO-BREAK SPACE}% interval −0." in first
    assert "recorded labels" in first
    assert "evidence about the procedure" in first


def test_an_outcome_is_told_by_word_and_symbol_not_by_colour_alone(plain: str) -> None:
    marks = [e for e in seen(plain).all("span") if "status" in e.attributes.get("class", "")]
    said = {(e.text[0], e.text[1:]) for e in marks}
    assert said == {("✕", "Fail"), ("✓", "Pass"), ("∅", "Not assessable")}


def test_without_a_verdict_nothing_says_pass_or_fail(bare: Seen) -> None:
    words = {e.text for e in bare.all("span") if "status" in e.attributes.get("class", "")}
    assert words == set()
    assert any("No policy was held" in e.text for e in bare.all("p"))


def test_what_was_not_given_is_said_to_be_not_available(bare: Seen) -> None:
    empty = [e.text for e in bare.all("p") if e.attributes.get("class") == "empty"]
    assert sum("not available" in text for text in empty) >= 9
    assert any(
        "verdict, facts about the data, datasheet, splits, candidates, encoder, attrition" in e.text
        for e in bare.all("li")
    )


def test_estimates_without_rows_still_make_a_page() -> None:
    page = seen(report.html(Material(estimates().clear())))
    assert page.unclosed == []
    assert any("No estimates are there" in e.text for e in page.all("p"))


def test_without_an_operating_point_there_are_no_missed_cases_and_it_says_so() -> None:
    table = estimates().filter(pl.col("operating_point").is_null())
    page = report.html(Material(table))
    assert "no missed cases or false alarms to count" in _section(page, "errors")
    assert "only metrics without a threshold" in _section(page, "verdict")


def test_a_lesion_in_place_of_a_patient_is_named_and_patients_are_not(plain: str) -> None:
    given = dataclasses.replace(material(), audit={"patient_is": "lesion"}, facts=None)
    page = report.html(given)
    first = _section(page, "verdict")
    assert "In place of a patient stands a lesion" in first
    assert "lesion units" in first
    assert "lesion units" in _section(page, "errors")
    assert "1,000 patients" not in page
    assert "1,000 patients" in plain


def test_independent_images_and_exploratory_groups_are_unknowns() -> None:
    table = estimates().with_columns(
        exploratory=pl.lit(value=True), method=pl.lit("images taken as independent")
    )
    first = _section(report.html(Material(table)), "verdict")
    assert "found in the data, not declared before looking" in first
    assert "Images were taken as independent" in first


def test_a_language_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(UnknownName, match="'tlh'; known languages: en"):
        report.html(Material(estimates()), Options(language="tlh"))


def test_the_stage_writes_the_same_bytes_twice_and_the_same_content_as_data(
    tmp_path: Path,
) -> None:
    inputs = _folders(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        result = report.run(Options(), inputs, tmp_path / name, Scope())
    assert result["verdict"] == "fail"
    for file in ("report.html", "report.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    said = json.loads((tmp_path / "one" / "report.json").read_text(encoding="utf-8"))
    assert said["verdict"]["verdict"] == "fail"
    assert said["missing"]["not_assessable"][0]["subgroup"] == {"sex": "other"}
    assert [link["stage"] for link in said["chain"]] == ["audit", ""]
    assert str(tmp_path) not in (tmp_path / "one" / "report.html").read_text(encoding="utf-8")


def test_a_stage_without_evidence_is_named_with_the_digest_of_its_files(tmp_path: Path) -> None:
    inputs = _folders(tmp_path)
    link = report.gathered(inputs).chain[-1]
    assert (link.stage, link.folder) == ("", "gate")
    assert link.digest == evidence.folder_digest(inputs["verdict"])


def test_estimates_that_are_absent_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="estimates: no file"):
        report.gathered({"estimates": tmp_path})


def _folders(root: Path) -> dict[str, Path]:
    given = material()
    audit, judged = root / "audit", root / "gate"
    for folder in (audit, judged):
        folder.mkdir()
    tables.write(given.estimates, audit / "estimates.parquet", tables.ESTIMATES)
    tables.write_json(judged / "verdict.json", given.verdict)
    said = evidence.statement(
        "audit",
        subject=evidence.subjects(audit),
        inputs={"adapt": "ab" * 32},
        parameters={},
        result={},
        code={"equipoise": "0"},
    )
    evidence.write_statement(audit, said)
    return {"estimates": audit, "verdict": judged}


def _section(page: str, name: str) -> str:
    """Return the text of one section."""
    found = [e for e in seen(page).all("section") if e.attributes.get("id") == name]
    return re.sub(r"(?<=\S)[ \n]+", " ", found[0].text)


def test_the_first_screen_says_what_to_do_next_and_counts_who_is_missed(plain: str) -> None:
    first = _section(plain, "verdict")
    assert "Next: find the cause before any use on that group" in first
    assert re.search(r"Missed, of 1,000 with the finding: sex F \d+, sex M \d+\.", first)


def test_a_warning_of_a_shortcut_stands_beside_the_verdict_and_first_in_its_table() -> None:
    given = material()
    facts = dict(given.facts or {})
    loud = {**facts["shortcuts"][0], "source": "image_id"}
    quiet = {**loud, "source": "view", "verdict": "no signal"}
    facts["shortcuts"] = [quiet, loud]
    page = report.html(dataclasses.replace(given, facts=facts))
    first, people = _section(page, "verdict"), _section(page, "people")
    assert "Shortcut warning. The label is told by image id 0.90" in first
    assert people.index("image id") < people.index("no signal")


def test_patients_in_several_splits_are_said_beside_the_verdict() -> None:
    given = material()
    leaked = {"given": {"sentence": "leaked", "patients_in_several": 3}}
    page = report.html(dataclasses.replace(given, facts={**(given.facts or {}), "leakage": leaked}))
    assert "In several splits: 3 patients" in _section(page, "verdict")
    assert "Leakage" not in _section(report.html(given), "verdict")


def test_an_override_stands_on_the_first_screen_with_name_reason_and_end(plain: str) -> None:
    first = next(e for e in seen(plain).all("section") if e.attributes.get("id") == "verdict")
    assert "Released without a pass." in first.text
    assert "plain text answers for its use until 2030-01-31: a pilot" in first.text


def test_an_alarm_in_use_stands_on_the_first_screen_and_its_group_below(plain: str) -> None:
    sections = {e.attributes.get("id"): e.text for e in seen(plain).all("section")}
    assert "ALARM. Labelled cases show that the policy no longer holds." in sections["verdict"]
    assert "2030-01-15" in sections["monitoring"]
    assert "1 of 2 tests called out" in sections["monitoring"]
    assert "2 months: 100 cases of 90 patients, 80 of them" in sections["monitoring"]


def test_a_truth_of_the_power_is_written_as_the_rest_of_the_page_writes_groups() -> None:
    chance = {"case": "beyond", "group": "age_band=65+", "against": "the rest of age_band=65+"}
    for sources, claimed in (("claims of the maker", True), ("reference counts", False)):
        power = {"chances": [chance], "needs": [chance], "expected_from": {"x": sources}}
        told = deployment.acceptance(Material(estimates(), acceptance={}, power=power))
        assert told is not None
        assert told["claimed"] is claimed
        assert [(row["group"], row["against"]) for row in told["chances"]] == [
            ("age band 65+", "the rest")
        ]
        assert told["needs"][0]["group"] == "age band 65+"


def test_power_stands_before_shift_and_says_what_is_lacking(plain: str) -> None:
    (told,) = [e.text for e in seen(plain).all("section") if e.attributes.get("id") == "acceptance"]
    assert told.index("Power, stated before results") < told.index("Are local images like those")
    assert "41 / 1,234" in told
    assert "no: plain text" in told
    assert "would refuse 3 of 12 images" in told


def test_what_pre_training_changed_stands_with_intervals_whichever_way(plain: str) -> None:
    sections = seen(plain).all("section")
    (told,) = [e.text for e in sections if e.attributes.get("id") == "pretraining"]
    assert "1 of 1 intervals below lie on one side of zero" in told
    assert "+0.020 to +0.180" in told


def test_what_never_came_before_or_after_the_audit_has_no_section(bare: Seen) -> None:
    there = {e.attributes.get("id") for e in bare.all("section")}
    assert not there & {"acceptance", "monitoring", "pretraining"}


def test_each_rule_names_the_candidate_it_would_have_chosen_and_its_values() -> None:
    candidates = [
        {
            "finding": "nodule",
            "candidate": name,
            "seed": 0,
            "status": status,
            "reason": reason,
            "overall_auroc": overall,
            "worst_group_auroc": worst,
            "worst_group": "F",
        }
        for name, status, reason, overall, worst in (
            ("plain", "fitted", None, 0.8512, 0.7354),
            ("reweighting", "fitted", None, 0.8488, 0.7357),
            ("group_dro", "failed", "did not converge", None, None),
        )
    ]
    selection = {
        "candidate": "plain",
        "rule": "overall",
        "choices": {
            "overall": {"candidate": "plain", "seed": 0, "auroc": 0.8512},
            "worst_group": {"candidate": "reweighting", "seed": 0, "auroc": 0.7357},
            "worst_site": None,
        },
    }
    given = dataclasses.replace(
        material(), candidates={"candidates": candidates}, selection=selection
    )
    said = _section(report.html(given), "candidates")
    assert re.search(r"worst group\s*reweighting\s*0\s*0\.8488\s*0\.7357\s*F\s*no", said)
    assert re.search(r"overall\s*plain\s*0\s*0\.8512\s*0\.7354\s*F\s*yes", said)
    assert re.search(r"worst site\s*–", said)
    assert "did not converge" in said


def test_the_guard_its_limits_and_a_written_reason_stand_beside_the_choice() -> None:
    row = {"finding": "nodule", "group": "F", "difference": -0.0312, "low": -0.0871, "reason": None}
    guards = [
        {"candidate": "plain", "guard": {"status": "reference", "reason": "r", "differences": []}},
        {
            "candidate": "group_dro",
            "guard": {
                "status": "cannot rule out levelling down",
                "reason": "below",
                "differences": [row],
            },
        },
    ]
    selection = {
        "candidate": "group_dro",
        "rule": "worst_group",
        "reason": "better",
        "guard": "cannot rule out levelling down",
        "written_reason": "the board weighed <it>",
        "by_fold": [{"seed": 0, "fold": 3, "candidate": "plain", "reason": "none is better"}],
        "choices": {
            "overall": {
                "candidate": "plain",
                "seed": 0,
                "highest": "group_dro",
                "gain": 0.0123,
                "error": 0.0234,
                "reason": "plain training: within chance",
            }
        },
    }
    given = dataclasses.replace(
        material(), candidates={"candidates": [], "judged": guards}, selection=selection
    )
    page = report.html(given)
    said = _section(page, "candidates")
    assert re.search(
        r"group_dro\s*cannot rule out levelling down\s*nodule\s*F\s*-0\.0312\s*-0\.0871",
        said.replace("−", "-"),
    )
    assert "the board weighed <it>" in said
    assert "<it>" not in page
    assert re.search(r"group_dro\s*0\.0123\s*0\.0234\s*plain training: within chance", said)
    assert re.search(r"0\s*3\s*plain\s*none is better", said)


def test_of_several_seeds_the_thresholds_that_were_audited_are_those_of_the_candidate() -> None:
    points = material().operating_points
    assert points is not None
    both = [
        points.with_columns(candidate=pl.lit(f"plain-{seed}"), threshold=pl.lit(0.3 + seed / 10))
        for seed in (0, 1)
    ]
    selection = {"candidate": "plain", "seed": 1, "rule": "overall", "standard_errors": 2.0}
    given = dataclasses.replace(material(), operating_points=pl.concat(both), selection=selection)
    said = _section(report.html(given), "candidates")
    own, others = said.split("Operating points of the other candidates")
    assert "0.4000" in own
    assert "0.3000" not in own
    assert "0.3000" in others
    assert "Operating points: not available" not in said
    assert re.search(r"Standard errors asked for\s*2", said)


def test_of_a_cross_fit_it_is_said_that_no_test_split_was_opened() -> None:
    selection = {"candidate": "procedure", "cross_fitted": True}
    said = _section(report.html(dataclasses.replace(material(), selection=selection)), "candidates")
    assert "No test split was opened" in said


def test_how_often_the_test_split_was_opened_is_said_or_said_to_be_unknown(tmp_path: Path) -> None:
    inputs = _folders(tmp_path)
    said = _section(report.html(report.gathered(inputs)), "candidates")
    assert "How often a test split was opened: not available" in said
    for asked in ("a", "b", "b"):
        evidence.note_opening(inputs["estimates"].parent, {"stage": "audit", "asked": asked})
    found = report.gathered(inputs)
    assert found.openings == {"times": 3, "questions": 2}
    said = _section(report.html(found), "candidates")
    assert "Times the test split was opened: 3; different questions: 2" in said


def test_a_group_and_its_rest_stand_once_on_the_first_screen_and_both_below() -> None:
    one = {
        "kind": "contrast",
        "outcome": "pass",
        "metric": "specificity",
        "contrast": "rest",
        "against": "rest",
        "interval": "simultaneous",
        "tolerance": 0.1,
    }
    lower = {**one, "subgroup": {"sex": "F"}, "value": -0.02, "low": -0.12, "high": 0.07}
    higher = {**one, "subgroup": {"sex": "M"}, "value": 0.02, "low": -0.07, "high": 0.12}
    verdict = {"verdict": "pass", "criteria": [lower, higher]}
    page = report.html(dataclasses.replace(material(), verdict=verdict))
    first, criteria = _section(page, "verdict"), _section(page, "criteria")
    assert "sex F − rest" in first
    assert "sex M − rest" not in first
    assert "sex M − rest" in criteria


def test_an_open_criterion_says_how_many_more_would_decide() -> None:
    text = "near; if it stayed so, about 75 more positives in sex=F would decide"
    open_one = {
        "kind": "contrast",
        "outcome": "inconclusive",
        "metric": "sensitivity",
        "subgroup": {"sex": "F"},
        "contrast": "rest",
        "against": "rest",
        "value": -0.12,
        "low": -0.3,
        "high": 0.02,
        "interval": "simultaneous",
        "level": 0.95,
        "pointwise_90": [-0.2, -0.05],
        "tolerance": 0.1,
        "reason": text,
    }
    hopeless = {**open_one, "value": 0.1, "reason": "so; more images would hardly decide"}
    floor = {**open_one, "kind": "floor", "value": 0.7, "tolerance": None, "floor": 0.72}
    verdict = {"verdict": "inconclusive", "criteria": [open_one, hopeless, floor]}
    first = _section(report.html(dataclasses.replace(material(), verdict=verdict)), "verdict")
    assert "Sensitivity of sex F is 0.120 lower than that of the rest" in first
    assert "about 75 more positives there" in first
    assert "more images would hardly decide" in first or "All 3 judgements" in first


def test_groups_that_are_known_stand_before_those_with_an_unknown_level() -> None:
    missing = report.content(material(), Options(), words.load())["missing"]
    assert isinstance(missing, dict)
    unknown = ["unknown" in row["subgroup"].values() for row in missing["not_assessable"]]
    assert unknown == sorted(unknown)
    assert len(set(unknown)) == 2


def test_the_chain_shows_the_digest_by_which_a_later_stage_names_its_input(tmp_path: Path) -> None:
    inputs = _folders(tmp_path)
    link = report.gathered(inputs).chain[0]
    assert link.output == evidence.folder_digest(inputs["estimates"])
    assert link.output[:12] in _section(report.html(report.gathered(inputs)), "chain")
