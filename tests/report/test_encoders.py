"""What a report says of the encoder: who it learnt from, its documented bias, its terms."""

import dataclasses
import html

import pytest

from equipoise import report
from equipoise.encoders import catalogue
from equipoise.report import Material
from equipoise.report.encoders import encoder
from tests.report.pages import seen
from tests.report.synthetic import estimates, material

HOSTILE = """<script>alert("x")</script>' onload="y" &amp; {{ 7*7 }} {n}"""


def given(card, **more) -> Material:
    said = {"encoder": "one", "digest": "ab" * 32, "card": card, **more}
    return dataclasses.replace(Material(estimates()), embeddings=said)


def shown(card, **more) -> str:
    return html.unescape(part(report.html(given(card, **more))))


def part(page) -> str:
    """Return the part of a page that tells of documents."""
    return page.split('id="documents"')[1].split('id="methods"')[0]


def test_populations_bias_and_terms_are_read_off_the_card() -> None:
    said = shown(catalogue.card("chexzero").summary(), use="research")
    assert "MIMIC-CXR" in said
    assert ">US<" in said
    assert "377,110" in said
    assert "Beth Israel Deaconess" in said
    assert "under-diagnosed marginalised groups" in said
    assert "arXiv 2402.14815" in said
    assert "Terms: not known." in said
    assert "Sex, age and ethnicity" in said


def test_terms_come_with_their_clauses() -> None:
    said = shown(catalogue.card("virchow2").summary())
    assert "Commercial use ruled out: yes (model card, terms of access" in said
    assert "A form stands before its weights: yes" in said
    assert "Whose images it learnt from (from general knowledge, not verified)" in said


def test_what_is_not_known_is_said_and_never_left_out() -> None:
    said = shown({"name": "own", "licence": "of ours", "training_data": "not available"})
    for words in (
        "Whose images the encoder learnt from: not known.",
        "Documented bias: not known to its card",
        "Terms: not known.",
        "What it was trained on",
        "Whether a bias of it was measured and published",
    ):
        assert words in said
    first = report.html(given({"name": "own", "licence": "of ours"})).split('id="people"')[0]
    assert "Whose images the encoder learnt from is not known" in first
    known = report.html(given(catalogue.card("chexzero").summary())).split('id="people"')[0]
    assert "Whose images the encoder learnt from is not known" not in known


def test_an_encoder_that_learnt_from_nobody_has_no_unknown_people() -> None:
    card = {"name": "bank", "licence": "Apache-2.0", "training_data": "none: fixed filters"}
    said = shown(card)
    assert "learnt from nobody" in said
    assert "Whose images the encoder learnt from: not known." not in said
    assert "Commercial use ruled out: no" in said, "an open licence speaks for itself"


def test_a_card_of_ones_own_is_completed_and_that_is_said() -> None:
    card = {"name": "virchow2", "dimension": 2560, "licence": "its own"}
    found = encoder(given(card))
    assert found["completed"] == ["populations", "terms"]
    assert found["not_verified"] == ["populations"]
    said = shown(card)
    assert "Memorial Sloan Kettering" in said
    assert "not from that of the embeddings: populations, terms." in said


def test_what_stands_in_rows_is_not_told_twice() -> None:
    found = encoder(given(catalogue.card("uni").summary()))
    assert set(found["facts"]["card"]).isdisjoint({"populations", "terms", "verified"})
    assert found["facts"]["card"]["licence"] == "CC-BY-NC-ND-4.0"


@pytest.mark.parametrize(
    "card",
    [
        None,
        "text",
        {"terms": {"non_commercial": True}},
        {"terms": 3, "populations": "many", "documented_bias": [1]},
        {"name": 3, "source_id": ["a"], "verified": "all", "licence": 4},
    ],
)
def test_a_card_that_is_no_card_still_makes_a_page(card) -> None:
    said = shown(card)
    assert "Terms: not known." in said
    assert seen(report.html(given(card))).unclosed == []


def test_no_text_of_a_card_is_markup() -> None:
    page = report.html(material(text=HOSTILE))
    assert "<script" not in page
    assert seen(page).unclosed == []
    cells = [
        e.tag for e in seen(page).elements if HOSTILE in e.text and e.tag in ("td", "th", "li")
    ]
    assert len(cells) > 8
    documents = seen(f"<div>{part(page)}")
    assert sum(HOSTILE in e.text for e in documents.all("td")) >= 3, "country, people, source"
    assert sum(HOSTILE in e.text for e in documents.all("li")) >= 3, "bias, clause, conditions"


def test_without_embeddings_there_is_no_encoder() -> None:
    assert encoder(Material(estimates())) is None
