"""Curves by group: where the numbers say, everyone named, the same each time."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import polars as pl
import pytest

from equipoise import figures, words
from equipoise.errors import InvalidTable
from equipoise.figures import calibrations, frames, groups
from tests.figures.tables import (
    CASES,
    HOSTILE,
    case,
    counted,
    counts_of,
    estimated,
    estimates_of,
    normal,
)

TEXTS = words.load()
NAME = "{http://www.w3.org/2000/svg}"
Draw = Callable[[pl.DataFrame, pl.DataFrame], str]
DRAW: dict[str, Draw] = {
    "roc": lambda c, e: figures.roc(c, estimates=e, texts=TEXTS, level=0.95),
    "reliability": lambda c, e: figures.reliability(c, estimates=e, texts=TEXTS),
    "decision": lambda c, e: figures.decision(c, estimates=e, texts=TEXTS),
    "forest": lambda _, e: figures.forest(e, metric="auroc", texts=TEXTS),
}


def drawn(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314  our own picture


def lines_of(picture: str) -> dict[str, list[tuple[float, float]]]:
    """The points of each curve, by what is said of it."""
    found = {}
    for line in drawn(picture).iter(NAME + "polyline"):
        pairs = [point.split(",") for point in line.get("points", "").split()]
        found[line.findtext(NAME + "title", "")] = [(float(x), float(y)) for x, y in pairs]
    return found


def told(picture: str, start: str) -> list[ET.Element]:
    """The elements of which something is said that starts so."""
    every = drawn(picture).iter()
    return [e for e in every if (e.findtext(NAME + "title") or "").startswith(start)]


def middle(mark: ET.Element) -> tuple[float, float]:
    if mark.tag == NAME + "circle":
        return float(mark.get("cx", "")), float(mark.get("cy", ""))
    corners = [tuple(map(float, p.split(","))) for p in mark.get("points", "").split()]
    return tuple((min(c[k] for c in corners) + max(c[k] for c in corners)) / 2 for k in (0, 1))  # type: ignore[return-value]


def said(picture: str) -> str:
    return " ".join("".join(e.itertext()) for e in drawn(picture).iter(NAME + "text"))


WILSON = ((0.16806, 0.35485), (0.59806, 0.85813))
"""The limits of 20 of 80 and of 30 of 40, as scipy.stats.binomtest gives them."""

ALONE = frames.Frame(38.0, 26.0, 368.0, 368.0)
"""Where the one panel of a ROC figure lies."""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("figure", DRAW)
def test_every_figure_bears_every_table_and_is_whole_escaped_and_alike_twice(
    figure: str, name: str
) -> None:
    counts, estimates = case(name)
    picture = DRAW[figure](counts, estimates)
    assert picture == DRAW[figure](counts, estimates)
    root = drawn(picture)
    assert root.findtext(NAME + "title")
    assert root.findtext(NAME + "desc")
    assert list(root.iter(NAME + "script")) == []
    assert "nan" not in re.sub(r"<(title|desc|text)[^>]*>.*?</\1>", "", picture)
    assert set(re.findall(r'(?:href|src|xmlns)="([^"]*)"', picture)) == {
        "http://www.w3.org/2000/svg"
    }
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", picture))


def test_the_points_of_a_roc_curve_lie_where_its_counts_say() -> None:
    counts = counts_of(counted({"sex": None}, {10: 30, 128: 10}, {10: 4, 128: 16}))
    line = lines_of(figures.roc(counts, texts=TEXTS))["Everybody"]
    assert line == [
        pytest.approx((ALONE.x(across), ALONE.y(up)), abs=0.01)
        for across, up in ((0.0, 0.0), (10 / 40, 16 / 20), (1.0, 1.0))
    ]


def test_the_operating_point_lies_where_the_confusion_matrix_says() -> None:
    counts = counts_of(counted({"sex": None}, {10: 40}, {128: 20}, cells=(15, 8, 32, 5)))
    found = told(figures.roc(counts, texts=TEXTS), "Everybody, spec90")
    assert [middle(mark) for mark in found] == [
        pytest.approx((ALONE.x(8 / 40), ALONE.y(15 / 20)), abs=0.01)
    ]
    assert "sensitivity 75.0" in (found[0].findtext(NAME + "title") or "")


def test_two_operating_points_are_two_marks_on_one_curve() -> None:
    shape = ({10: 40}, {128: 20})
    one = counted({"sex": None}, *shape, cells=(15, 8, 32, 5))
    two = counted({"sex": None}, *shape, cells=(19, 20, 20, 1), point="sens95")
    picture = figures.roc(counts_of(one, two), texts=TEXTS)
    assert len(lines_of(picture)) == 1
    assert len(told(picture, "Everybody, spec90") + told(picture, "Everybody, sens95")) == 2


def test_the_legend_gives_the_estimates_auroc_with_its_interval() -> None:
    picture = figures.roc(normal(["F"])[0], estimates=normal(["F"])[1], texts=TEXTS)
    assert said(picture).count("0.800 [0.750, 0.850]") == 2


def test_a_bin_lies_at_its_mean_score_and_rate_with_its_limits() -> None:
    counts = counts_of(
        counted({"sex": None}, {63: 60, 191: 10}, {63: 20, 191: 30}),
        counted({"sex": "F"}, {63: 60, 191: 10}, {63: 20, 191: 30}),
    )
    made = calibrations.binned(counts, None, TEXTS, bins=2)
    picture = figures.reliability(counts, texts=TEXTS, bins=2)
    frame = frames.Frame(38.0, 26.0, 320.0, 320.0, across=(0, made.top), up=(0, made.top))
    marks = [middle(mark) for mark in told(picture, "F: mean score")]
    assert marks == [
        pytest.approx((frame.x(63.5 / 256), frame.y(20 / 80)), abs=0.01),
        pytest.approx((frame.x(191.5 / 256), frame.y(30 / 40)), abs=0.01),
    ]
    whiskers = [
        (float(e.get("y1", "")), float(e.get("y2", "")))
        for e in drawn(picture).iter(NAME + "line")
        if e.get("stroke-width") == "1.4"
    ]
    assert whiskers == [
        pytest.approx((frame.y(low), frame.y(high)), abs=0.02) for low, high in WILSON
    ]


def test_an_empty_bin_has_no_point_and_a_dash_for_its_size() -> None:
    counts = counts_of(
        counted({"sex": None}, {63: 60, 191: 10}, {63: 20, 191: 30}),
        counted({"sex": "F"}, {63: 30}, {63: 20}),
    )
    picture = figures.reliability(counts, texts=TEXTS, bins=2)
    assert len(told(picture, "F: mean score")) == 1
    assert len(told(picture, "Everybody: mean score")) == 2
    assert "without images of a group has no point" in said(picture)
    texts = [e.text for e in drawn(picture).iter(NAME + "text")]
    assert texts.count("–") == 1
    assert texts.count("50") == 1


def test_net_benefit_lies_where_its_counts_say() -> None:
    counts = counts_of(counted({"sex": None}, {10: 30, 128: 10}, {10: 4, 128: 16}))
    picture = figures.decision(counts, texts=TEXTS)
    frame = frames.Frame(42.0, 120.0, 364.0, 190.0, across=(0.0, 1.0), up=(-0.08, 0.4))
    line = lines_of(picture)["Everybody"]
    assert line[0] == pytest.approx((frame.x(0), frame.y(20 / 60)), abs=0.01)
    half = next(point for point in line if point[0] == pytest.approx(frame.x(0.5), abs=0.01))
    assert half[1] == pytest.approx(frame.y(16 / 60 - 10 / 60), abs=0.01)
    everyone = lines_of(picture)["call everyone positive"]
    quarter = next(p for p in everyone if p[0] == pytest.approx(frame.x(0.25), abs=0.01))
    assert quarter[1] == pytest.approx(frame.y(20 / 60 - 40 / 60 / 3), abs=0.01)


def test_a_group_that_is_not_assessable_is_named_with_why_and_not_drawn() -> None:
    counts, _ = normal(["F", "M"])
    rows = [estimated({"sex": None}, 0.8), estimated({"sex": "F"}, 0.8)]
    estimates = estimates_of(*rows, estimated({"sex": "M"}, None))
    for figure in ("roc", "reliability", "decision"):
        picture = DRAW[figure](counts, estimates)
        assert "M: needs 26 more positives" in said(picture)
        assert "Not assessable and not drawn: 1." in drawn(picture).findtext(NAME + "desc", "")
        assert "F" in lines_of(picture)
        assert "M" not in lines_of(picture)


def test_without_estimates_a_group_of_one_class_is_named_and_not_drawn() -> None:
    counts = counts_of(counted({"sex": None}, {3: 9}, {9: 9}), counted({"sex": "F"}, {3: 9}, {}))
    picture = figures.roc(counts, texts=TEXTS)
    assert "F: 0 images with the finding, 9 without" in said(picture)
    assert list(lines_of(picture)) == ["Everybody"]


def test_sixty_groups_are_all_drawn_at_most_six_to_a_panel_beside_everybody() -> None:
    found = groups.arranged(*case("sixty groups"), TEXTS)
    assert [len(panel.groups) for panel in found.panels] == [6] * 10
    assert found.panels[0].title == "sex (1 of 10)"
    picture = figures.roc(*case("sixty groups")[:1], texts=TEXTS)
    names = [e.findtext(NAME + "title") for e in drawn(picture).iter(NAME + "polyline")]
    assert {f"level {k}" for k in range(60)} <= set(names)
    assert names.count("Everybody") == 10


def test_two_attributes_with_a_level_of_one_name_are_told_apart() -> None:
    shape = ({3: 9}, {9: 9})
    rows = [{"sex": None, "site": None}, {"sex": "unknown", "site": None}]
    rows += [{"sex": None, "site": "unknown"}, {"sex": "F", "site": None}]
    picture = figures.roc(counts_of(*[counted(row, *shape) for row in rows]), texts=TEXTS)
    assert set(lines_of(picture)) == {"Everybody", "unknown (sex)", "unknown (site)", "F"}


def test_in_a_panel_colour_dashes_and_mark_all_differ() -> None:
    for part in ("colour", "dashes", "shape"):
        assert len({getattr(look, part) for look in (*frames.LOOKS, frames.EVERYBODY)}) == 7
    assert len(frames.LOOKS) == groups.MOST


def test_counts_of_two_findings_are_not_drawn_as_one() -> None:
    counts, _ = normal(["F"])
    both = pl.concat([counts, counts.with_columns(finding=pl.lit("effusion"))])
    with pytest.raises(InvalidTable, match=r"of one finding; got \['nodule', 'effusion'\]"):
        figures.roc(both, texts=TEXTS)


def test_an_audit_gets_a_picture_per_figure_under_names_that_files_can_have() -> None:
    counts, estimates = normal([HOSTILE])
    both = [
        pl.concat([table, table.with_columns(finding=pl.lit("../a b/c"))])
        for table in (estimates, counts)
    ]
    made = figures.audit_figures(*both, texts=TEXTS)
    assert {"roc-nodule-probe", "reliability-nodule-probe", "decision-nodule-probe"} <= set(made)
    assert "forest-auroc-nodule-probe" in made
    assert len(made) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,120}", name) for name in made)
    assert all(drawn(picture) is not None for picture in made.values())


def test_findings_that_become_the_same_letters_keep_pictures_of_their_own() -> None:
    counts, estimates = normal(["F"])
    named = [
        pl.concat([table.with_columns(finding=pl.lit(f)) for f in ("a b", "a/b", "A_b", "a_b")])
        for table in (estimates, counts)
    ]
    made = figures.audit_figures(*named, texts=TEXTS)
    assert len({name.lower() for name in made}) == 16


def test_a_shrunken_value_stands_hollow_below_the_crude_one() -> None:
    crude, other = estimated({"sex": "F"}, 0.6), estimated({"sex": "F"}, 0.7, adjustment="shrunken")
    picture = figures.forest(estimates_of(crude, other), metric="auroc", texts=TEXTS)
    root = drawn(picture)
    point = next(root.iter(NAME + "circle"))
    beside = next(root.iter(NAME + "polygon"))
    assert beside.get("fill") == "none"
    assert middle(beside)[0] > float(point.get("cx", ""))
    assert middle(beside)[1] == float(point.get("cy", "")) + 16
    assert "shrunken towards the others" in said(picture)
    assert "0.700 [0.650, 0.750]" in said(picture)
    alone = figures.forest(estimates_of(crude), metric="auroc", texts=TEXTS)
    heights = [float(drawn(p).get("viewBox", "").split()[3]) for p in (picture, alone)]
    assert heights[0] == heights[1] + 16


@pytest.mark.parametrize("values", [(-2.5, 3.25), (-0.004, 0.011), (1e9, 3e9), (-1e300, 1e300)])
def test_the_axis_of_a_forest_holds_values_of_any_size(values: tuple[float, float]) -> None:
    rows = [
        estimated({"sex": name}, value, metric="calibration_slope", low=value, high=value)
        for name, value in zip("FM", values, strict=True)
    ]
    picture = figures.forest(estimates_of(*rows), metric="calibration_slope", texts=TEXTS)
    low, high = (float(e.get("cx", "")) for e in drawn(picture).iter(NAME + "circle"))
    assert 246 <= low < high <= 596


def test_a_hundred_groups_keep_a_row_each_in_a_forest() -> None:
    rows = [estimated({"site": f"site {k}"}, 0.5 + k / 300) for k in range(100)]
    picture = figures.forest(estimates_of(*rows), metric="auroc", texts=TEXTS)
    heights = [float(e.get("cy", "")) for e in drawn(picture).iter(NAME + "circle")]
    assert len(set(heights)) == 100
    assert float(drawn(picture).get("viewBox", "").split()[3]) > max(heights)
