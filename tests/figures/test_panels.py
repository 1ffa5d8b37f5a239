"""Small charts: whole, escaped, told without colour, gaps kept."""

import itertools
import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import figures

LEVELS = st.one_of(st.none(), st.floats(-50, 50))
HOSTILE = """<script>alert("x")</script>' & ]]>"""


def drawn(lines, ticks=("a", "b", "c"), **more):
    told = {"title": "T", "about": "A", **more}
    return figures.panel(lines, list(ticks), **told)


@given(st.lists(st.lists(LEVELS, min_size=3, max_size=3), min_size=1, max_size=8))
def test_any_values_make_a_picture_that_parses(values):
    lines = [figures.Line(str(k), line) for k, line in enumerate(values)]
    made = drawn(lines, rule=figures.Rule(math.log10(20), "alarm"), powers=True)
    root = ET.fromstring(made)  # noqa: S314  our own output
    assert "nan" not in made.lower()
    assert root.get("role") == "img"


def test_what_comes_from_data_is_text():
    made = drawn(
        [figures.Line(HOSTILE, [0.1, 0.2, 0.3]), figures.Line("b", [0.1, 0.2, 0.3])],
        ticks=(HOSTILE, "b", "c"),
        title=HOSTILE,
        about=HOSTILE,
    )
    assert "<script" not in made
    ET.fromstring(made)  # noqa: S314  our own output


def test_a_gap_stays_a_gap():
    assert drawn([figures.Line("a", [0.1, None, 0.3])]).count("<polyline") == 2
    assert drawn([figures.Line("a", [None, None, None])]).count("<polyline") == 0


def test_lines_differ_by_more_than_colour():
    lines = [figures.Line(str(k), [0.1, 0.2, 0.3]) for k in range(3)]
    made = drawn(lines)
    dashes = {part.split('"')[0] for part in made.split('stroke-dasharray="')[1:]}
    assert len(dashes) == 2
    assert all(f">{k}</text>" in made for k in range(3))


def test_the_same_table_gives_the_same_bytes():
    line = figures.Line("a", [0.1, 0.2, 0.3], [0.0, 0.1, 0.2], [0.2, 0.3, 0.4])
    assert drawn([line]) == drawn([line])
    assert "<polygon" in drawn([line])


@pytest.mark.parametrize("n", [1, 2, 60])
def test_labels_below_never_overlap(n):
    ticks = [f"2026-{k:02d}" for k in range(n)]
    made = drawn([figures.Line("a", [0.5] * n)], ticks=ticks)
    places = [
        float(part.get("x", "0"))
        for part in ET.fromstring(made).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314
        if (part.text or "").startswith("2026")
    ]
    assert all(b - a > 50 for a, b in itertools.pairwise(places))
