"""The curves of the page and the shrunken values beside the raw ones."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from equipoise import metrics, report, tables, words
from equipoise.report import Material, Options
from equipoise.report.subjects import subjects
from tests.report.pages import Element, Seen, seen
from tests.report.synthetic import material

HOSTILE = """<script>alert("x")</script>' onload="y" &amp; {{ 7*7 }} {n} ]]>"""
SITES = ("a", "b", "c", "d", "e")
KINDS = ("ROC", "Reliability", "Decision curve")


def audited(sites: Sequence[str] = SITES) -> Material:
    """Return an audit of sex and site, in one of whose sites women are few."""
    rng, n = np.random.default_rng(1), 2_400
    sex, site = rng.choice(["F", "M"], n), rng.choice(list(sites), n)
    few = (sex == "F") & (site == sites[-1]) & (rng.random(n) < 0.85)
    label = rng.random(n) < 0.4
    logit = rng.normal(size=n) + np.where(label, 1.0, -1.5)
    rows = pl.DataFrame(
        {
            "patient_id": [f"p{k}" for k in range(n)],
            "sex": sex,
            "site": site,
            "label:nodule": label,
            "score:nodule": 1 / (1 + np.exp(-logit)),
        }
    ).filter(pl.Series(~few))
    table = metrics.subgroups({"sex": ["F", "M"], "site": list(sites)})
    points = pl.DataFrame({"finding": ["nodule"], "operating_point": ["p"], "threshold": [0.5]})
    people = metrics.population(rows, table, patient="patient_id", points=points)
    plan = metrics.Plan(
        {}, ("sensitivity", "auroc"), metrics.Minimum(), candidate="plain", draws=200
    )
    made = metrics.estimate(people, table, plan)
    return Material(made.estimates, counts=made.counts)


@pytest.fixture(scope="module")
def given() -> Material:
    return audited()


@pytest.fixture(scope="module")
def page(given: Material) -> Seen:
    return seen(report.html(given))


def section(page: Seen, name: str) -> Element:
    (found,) = [e for e in page.all("section") if e.attributes.get("id") == name]
    return found


def drawings(page: Seen) -> list[str]:
    """Return the descriptions of the curves."""
    return [e.text for e in page.all("desc") if e.attributes["id"].startswith("c0-")]


def test_each_curve_stands_with_how_it_is_read_and_a_description(page: Seen) -> None:
    told = section(page, "curves").text
    assert [told.index(f"{kind} · nodule") for kind in KINDS] == sorted(
        told.index(f"{kind} · nodule") for kind in KINDS
    )
    captions = [e.text for e in page.all("figcaption")]
    for opening in ("Each line is a group:", "A group whose line", "At the threshold probability"):
        # Once below the groups of one attribute, once below the intersections.
        assert sum(caption.startswith(opening) for caption in captions) == 2
    described = drawings(page)
    assert len(described) == 2 * len(KINDS)
    assert "F: AUROC 0." in described[0]
    assert page.unclosed == []


def test_groups_of_one_attribute_and_intersections_are_drawn_apart(page: Seen) -> None:
    alone, combined = drawings(page)[:2]
    assert "Everybody:" in alone
    assert "Everybody:" in combined
    assert " · " not in alone
    assert "F · a: " in combined
    assert "M: " not in combined


def test_who_is_too_few_for_a_curve_is_named_below_it_with_what_is_lacking(page: Seen) -> None:
    told = section(page, "curves").text
    assert "F · e: needs" in told
    assert "Not assessable and not drawn: 1." in told


def test_the_curves_are_of_the_candidate_that_the_report_is_about(given: Material) -> None:
    others = [
        table.with_columns(candidate=pl.lit("other")) for table in (given.estimates, given.counts)
    ]
    both = dataclasses.replace(
        given,
        estimates=pl.concat([given.estimates, others[0]]),
        counts=pl.concat([given.counts, others[1]]),
        selection={"candidate": "other"},
    )
    assert len(drawings(seen(report.html(both)))) == 2 * len(KINDS)
    nothing = dataclasses.replace(both, counts=given.counts)
    told = section(seen(report.html(nothing)), "curves").text
    assert "Curves by group: not available" in told


def test_without_counts_the_curves_are_said_to_be_not_available(given: Material) -> None:
    page = seen(report.html(dataclasses.replace(given, counts=None)))
    assert "Curves by group: not available" in section(page, "curves").text
    assert drawings(page) == []


def test_counts_are_read_from_beside_the_estimates(given: Material, tmp_path: Path) -> None:
    tables.write(given.estimates, tmp_path / "estimates.parquet", tables.ESTIMATES)
    assert report.gathered({"estimates": tmp_path}).counts is None
    tables.write(given.counts, tmp_path / "counts.parquet", tables.COUNTS)
    found = report.gathered({"estimates": tmp_path}).counts
    assert found is not None
    assert found.equals(given.counts)


def test_the_shrunken_value_stands_beside_the_raw_one_in_picture_table_and_data(
    given: Material, page: Seen
) -> None:
    raw, drawn = (
        given.estimates.filter(
            pl.col("contrast").is_null(),
            adjustment=name,
            metric="sensitivity",
            sex="F",
            site="d",
            interval="pointwise",
            level=0.95,
        ).row(0, named=True)
        for name in ("crude", "shrunken")
    )
    assert abs(raw["value"] - drawn["value"]) > 0.001
    performance = section(page, "performance").text
    (row,) = [
        e.text
        for e in page.all("tr")
        if f"{raw['value']:.3f}" in e.text and f"{drawn['value']:.3f}" in e.text
    ]
    assert f"{drawn['low']:.3f} to {drawn['high']:.3f}" in row
    assert drawn["reason"] in row
    assert f"{drawn['value']:.3f} [{drawn['low']:.3f}, {drawn['high']:.3f}]" in performance
    assert any("as hollow diamonds: 10" in e.text for e in page.all("desc"))
    said = report.content(given, Options(), words.load())["findings"]
    assert isinstance(said, list)
    (found,) = [
        one
        for one in said[0]["shrunken"]
        if (one["metric"], one["subgroup"]) == ("sensitivity", {"sex": "F", "site": "d"})
    ]
    assert found["own"] == {name: raw[name] for name in ("value", "low", "high")}
    assert found["shrunken"] == {name: drawn[name] for name in ("value", "low", "high")}


def test_a_group_without_a_value_has_what_its_attributes_foretell_and_says_so(
    page: Seen,
) -> None:
    rows = [e.text for e in page.all("tr") if "foretold by its attributes alone" in e.text]
    # One of each metric: of women at the last site there are too few.
    assert len(rows) == 2
    assert "F · e" in rows[0]


def test_shrunken_values_are_neither_in_the_forest_nor_in_the_rows_that_are_judged(
    given: Material, page: Seen
) -> None:
    (subject,) = subjects(given)
    assert set(subject.estimates["adjustment"]) == {"crude"}
    assert set(subject.shrunken["adjustment"]) == {"shrunken"}
    forests = [
        e.text for e in page.all("desc") if e.attributes["id"] in {"p0-0-about", "p0-1-about"}
    ]
    assert len(forests) == 2
    assert not any("hollow" in text for text in forests)


def test_where_nothing_could_be_drawn_in_it_says_why_and_draws_nothing() -> None:
    page = seen(report.html(audited(SITES[:2])))
    told = section(page, "performance").text
    assert "Of 4 groups, those with a value are too few to learn" in told
    assert not any("hollow" in e.text for e in page.all("desc"))
    assert "100% of its own value is left" not in told


def test_without_intersections_nothing_is_said_of_them() -> None:
    page = seen(report.html(material()))
    assert "Small intersections" not in section(page, "performance").text
    assert "Where attributes meet" not in section(page, "curves").text


def test_a_hostile_level_is_text_in_every_curve_and_table() -> None:
    text = report.html(audited((HOSTILE, *SITES[:4])))
    page = seen(text)
    assert page.unclosed == []
    assert "<script" not in text
    assert not [e for e in page.elements if any(name.startswith("on") for name in e.attributes)]
    assert sum(HOSTILE in told for told in drawings(page)) == 2 * len(KINDS)
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
