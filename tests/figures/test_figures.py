"""Pictures: whole, escaped, the same each time, and nobody dropped from them."""

import itertools
import xml.etree.ElementTree as ET

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import figures, words
from equipoise.figures import rows, svg

TEXTS = words.load()
NAME = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("x")</script>\' & ]]> \x07'

SCHEMA = {
    "finding": pl.String,
    "candidate": pl.String,
    "operating_point": pl.String,
    "sex": pl.String,
    "age_band": pl.String,
    "metric": pl.String,
    "contrast": pl.String,
    "against": pl.String,
    "adjustment": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "level": pl.Float64,
    "interval": pl.String,
    "events": pl.Int64,
    "trials": pl.Int64,
    "n_images": pl.Int64,
    "n_patients": pl.Int64,
    "n_positive": pl.Int64,
    "n_negative": pl.Int64,
    "method": pl.String,
    "status": pl.String,
    "reason": pl.String,
    "exploratory": pl.Boolean,
}


def row(value: float | None, **more: object) -> dict[str, object]:
    spread = 0.05 if more.get("interval") == "simultaneous" else 0.02
    base: dict[str, object] = dict.fromkeys(SCHEMA)
    base |= {
        "finding": "nodule",
        "candidate": "plain",
        "metric": "auroc",
        "adjustment": "crude",
        "value": value,
        "low": None if value is None else value - spread,
        "high": None if value is None else value + spread,
        "level": 0.95,
        "interval": "pointwise",
        "n_images": 40,
        "n_patients": 1234,
        "n_positive": 10,
        "n_negative": 30,
        "method": "m",
        "status": "assessed" if value is not None else "not assessable",
        "reason": None,
        "exploratory": False,
    }
    return {**base, **more}


def table(*found: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(found), schema=SCHEMA)


def drawn(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314  our own picture


def texts_of(picture: str) -> list[str]:
    return ["".join(e.itertext()) for e in drawn(picture).iter(NAME + "text")]


def test_a_forest_has_a_row_for_every_group_also_for_those_without_a_value() -> None:
    found = [row(0.8), row(0.7, sex="F"), row(None, sex="M", reason="sex=M has 4 positives")]
    picture = figures.forest(table(*found), metric="auroc", texts=TEXTS)
    said = texts_of(picture)
    assert {"EverybodyEverybody", "FF", "MM"} <= set(said)
    assert any("not assessable: has 4 positives" in text for text in said)
    assert len(list(drawn(picture).iter(NAME + "circle"))) == 2


def test_forty_groups_with_long_names_stand_one_below_the_other() -> None:
    names = [f"a level with a rather long name, number {k} of very many" for k in range(40)]
    picture = figures.forest(
        table(*[row(0.5 + k / 100, sex=name) for k, name in enumerate(names)]),
        metric="auroc",
        texts=TEXTS,
    )
    found = [e for e in drawn(picture).iter(NAME + "text") if e.find(NAME + "title") is not None]
    titles = [e.findtext(NAME + "title") for e in found]
    assert [title for title in titles if title in names] == names
    heights = [float(e.find(NAME + "tspan").get("y", "nan")) for e in found]  # type: ignore[union-attr]
    assert heights == sorted(heights)
    assert min(b - a for a, b in itertools.pairwise(heights[1:])) > rows.ROW
    height = float(drawn(picture).get("viewBox", "").split()[3])
    assert height > heights[-1]


def test_both_intervals_are_drawn_the_thin_one_wider_than_the_thick() -> None:
    found = [row(0.8), row(0.8, interval="simultaneous")]
    lines = drawn(figures.forest(table(*found), metric="auroc", texts=TEXTS)).iter(NAME + "line")
    widths = {
        e.get("stroke-width"): float(e.get("x2", "0")) - float(e.get("x1", "0"))
        for e in lines
        if e.get("y1") == e.get("y2")
    }
    assert 0 < widths["5"] < widths["1.2"]


def test_the_floor_stands_where_its_value_is() -> None:
    without = figures.forest(table(row(0.8)), metric="auroc", texts=TEXTS)
    with_floor = figures.forest(table(row(0.8)), metric="auroc", texts=TEXTS, floor=0.6)
    assert without.count(svg.VERMILION) == 0
    assert with_floor.count(svg.VERMILION) == 1
    assert "0.6" in texts_of(with_floor)


def test_contrasts_show_the_tolerance_the_outcome_and_what_is_compared() -> None:
    found = [
        row(-0.2, sex="F", contrast="reference", against="sex=M", interval="simultaneous"),
        row(None, age_band="80+", contrast="rest", against="rest", reason="age_band=80+ has 2"),
        row(0.01, sex="F", age_band="80+", contrast="rest", against="rest"),
    ]
    outcomes = {figures.subgroup_key({"sex": "F"}): "fail"}
    picture = figures.contrasts(
        table(*found), metric="auroc", texts=TEXTS, tolerance=0.1, outcomes=outcomes
    )
    said = texts_of(picture)
    assert "F − MF − M" in said
    assert "80+ − rest80+ − rest" in said
    assert "✕ Fail" in said
    assert said.count("not judged") == 2
    assert "−0.200 [−0.250, −0.150]" in said
    assert drawn(picture).findtext(NAME + "desc", "").startswith("3 differences, tolerance ±0.1.")
    assert picture.count('fill="url(#contrasts-dots)"') == 1


def test_without_a_policy_there_is_no_band_and_no_outcome() -> None:
    found = row(0.1, sex="F", contrast="rest", against="rest")
    picture = figures.contrasts(table(found), metric="auroc", texts=TEXTS)
    assert "contrasts-dots)" not in picture
    assert "outcome" not in texts_of(picture)


def test_nothing_from_data_is_markup_in_a_picture() -> None:
    found = table(
        row(0.8, sex=HOSTILE),
        row(None, sex="M", reason=HOSTILE),
        row(0.1, sex=HOSTILE, contrast="reference", against=HOSTILE),
    )
    levels = pl.DataFrame({"level": [HOSTILE], "n_patients": [1], "n_images": [1]})
    pictures = [
        figures.forest(found, metric="auroc", texts=TEXTS),
        figures.contrasts(found, metric="auroc", texts=TEXTS),
        figures.bars(levels, attribute=HOSTILE, texts=TEXTS),
    ]
    for picture in pictures:
        assert list(drawn(picture).iter(NAME + "script")) == []
        assert "<script" not in picture
        assert any("<script>" in text for text in drawn(picture).itertext())


def test_shares_are_of_all_patients_where_a_patient_has_several_levels() -> None:
    levels = pl.DataFrame({"level": ["AP", "PA"], "n_patients": [3, 4], "n_images": [3, 6]})
    assert "75.0\N{NO-BREAK SPACE}%" in texts_of(
        figures.bars(levels, attribute="view", texts=TEXTS, total=4)
    )


def test_an_unknown_level_is_hatched_and_an_unknown_number_is_a_dash() -> None:
    levels = pl.DataFrame({"level": ["F", "unknown"], "n_patients": [3, 1], "n_images": [None, 2]})
    picture = figures.bars(levels, attribute="sex", texts=TEXTS)
    assert picture.count('fill="url(#bars-hatch)"') == 1
    assert "–" in texts_of(picture)


def test_the_order_of_rows_does_not_move_what_stands_in_a_row() -> None:
    found = [row(0.8), row(0.7, sex="F"), row(0.75, sex="F", interval="simultaneous")]
    forward, backward = figures.spans(table(*found)), figures.spans(table(*reversed(found)))
    assert [span.subgroup for span in forward] == [span.subgroup for span in backward]
    assert [dict(span.limits) for span in forward] == [dict(span.limits) for span in backward]


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-9])
def test_one_group_alone_can_be_drawn_wherever_its_value_stands(value: float) -> None:
    assert drawn(figures.forest(table(row(value)), metric="auroc", texts=TEXTS)) is not None


def test_a_table_without_rows_gives_a_picture_that_says_so() -> None:
    picture = figures.forest(table(), metric="auroc", texts=TEXTS)
    assert "No group has a value" in drawn(picture).findtext(NAME + "desc", "")


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=60),
            st.one_of(st.none(), st.floats(0, 1)),
        ),
        max_size=8,
        unique_by=lambda pair: pair[0],
    )
)
def test_any_levels_and_values_give_a_whole_picture_twice_alike(
    levels: list[tuple[str, float | None]],
) -> None:
    found = table(*[row(value, sex=level) for level, value in levels])
    one = figures.forest(found, metric="auroc", texts=TEXTS)
    assert one == figures.forest(found, metric="auroc", texts=TEXTS)
    circles = len(list(drawn(one).iter(NAME + "circle")))
    assert circles == sum(value is not None for _, value in levels)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_span_what_they_are_asked_for(low: float, width: float) -> None:
    marks = svg.ticks(low, low + width)
    assert marks[0] <= low + 1e-6 * abs(low) + 1e-9
    assert marks[-1] >= low + width - 1e-6 * abs(low) - 1e-9
    assert len(marks) <= 9


@given(st.floats(-1, 1))
def test_a_difference_reads_back_as_what_it_was(value: float) -> None:
    text = figures.signed(value)
    assert float(text.replace("−", "-")) == pytest.approx(value, abs=5e-4)
    assert text.startswith(("+", "−", "0.000"))


def test_the_longest_lack_stands_whole_in_its_row() -> None:
    reason = (
        "sex=F has 27 patients with positives (3 more are needed) and 28 patients with negatives "
        "(2 more are needed)"
    )
    picture = figures.forest(
        table(row(0.8), row(None, sex="F", reason=reason)), metric="auroc", texts=TEXTS
    )
    wanted = "not assessable: needs 3 more patients with positives, 2 with negatives"
    assert f"{wanted}{wanted}" in texts_of(picture)
    assert "…" not in picture
