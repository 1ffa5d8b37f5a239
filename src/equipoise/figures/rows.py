"""What the pictures of estimates share: a row per subgroup, an axis, limits as thick and thin."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from equipoise.figures import svg
from equipoise.figures.spans import Limits, Span
from equipoise.words import Texts, named, say

WIDTH = 880.0
LABELS = 236.0
ROW = 28.0
BESIDE = 16.0
HEAD = 30.0
TOP = 34.0
_LINE = 14.0


@dataclass(frozen=True, slots=True)
class Axis:
    """Where values stand: from `low` at x `left` to `high` at x `right`; `marks` are labelled.

    Examples
    --------
    >>> Axis(0.0, 1.0, 100.0, 200.0).x(0.5)
    150.0
    """

    low: float
    high: float
    left: float
    right: float
    marks: tuple[float, ...] = ()

    def x(self, value: float) -> float:
        """Return where a value stands; one outside stands at the edge."""
        inside = min(max(value, self.low), self.high)
        return self.left + (inside - self.low) / (self.high - self.low) * (self.right - self.left)


def axis_over(values: Iterable[float], *, left: float, right: float) -> Axis:
    """Return an axis that holds all `values`, from one round number to another.

    Examples
    --------
    >>> axis_over([0.61, 0.88], left=0, right=1).high
    0.9
    """
    held = list(values) or [0.0, 1.0]
    marks = svg.ticks(min(held), max(held))
    return Axis(marks[0], marks[-1], left, right, tuple(marks))


def grid(axis: Axis, top: float, bottom: float) -> list[Markup]:
    """Return the axis's numbers and thin lines from `top` to `bottom`."""
    parts = []
    for mark in axis.marks:
        x = axis.x(mark)
        line = svg.tag("line", x1=x, x2=x, y1=top, y2=bottom, stroke=svg.RULE, stroke_width=0.8)
        about = {"text_anchor": "middle", "fill": svg.MUTED}
        label = svg.tag("text", signless(mark), x=x, y=bottom + 16, font_size=12, **about)
        parts += [line, label]
    return parts


def signless(value: float) -> str:
    """Return a number of an axis, a real minus sign before it where it is negative.

    Examples
    --------
    >>> signless(-0.5)
    '−0.5'
    """
    return f"{value:g}".replace("-", "−")


def family_name(family: Sequence[str], texts: Texts) -> str:
    """Return the name of what a subgroup is made of, as ``sex × age band``.

    Examples
    --------
    >>> from equipoise import words
    >>> family_name(["sex", "age_band"], words.load())
    'sex × age band'
    """
    if not family:
        return say(texts, "group.everybody")
    return " × ".join(named(texts, "attribute", name).replace("_", " ") for name in family)


def row_name(span: Span, texts: Texts) -> str:
    """Return the name of a subgroup within its family.

    Examples
    --------
    >>> from equipoise import words
    >>> span = Span({"sex": "F"}, "auroc", None, None, 0.8, 9, 9, 4, 5, "assessed", "")
    >>> row_name(span, words.load())
    'F'
    """
    return span.name or say(texts, "group.everybody")


def wraps(text: str, *, indent: float = 0) -> bool:
    """Return whether a row's name takes two lines."""
    return len(svg.lines_of(text, LABELS - indent - 8)) > 1


def label(text: str, y: float, *, indent: float = 0, bold: bool = False) -> Markup:
    """Return a row's name, in at most two lines, whole in its title."""
    lines = svg.lines_of(text, LABELS - indent - 8)
    first = y + 4.5 - (len(lines) - 1) * _LINE / 2
    parts = [
        svg.tag("tspan", line, x=indent, y=first + place * _LINE)
        for place, line in enumerate(lines)
    ]
    weight = 600 if bold else None
    return svg.tag("text", svg.tag("title", text), *parts, font_weight=weight)


def limits(axis: Axis, y: float, narrow: Limits | None, wide: Limits | None) -> list[Markup]:
    """Return the thin line of the wide limits, capped, and the thick one of the narrow."""
    parts: list[Markup] = []
    if wide is not None:
        low, high = axis.x(wide[0]), axis.x(wide[1])
        parts.append(_stroke(low, high, y, svg.INK, 1.2))
        parts += [
            svg.tag("line", x1=x, x2=x, y1=y - 4, y2=y + 4, stroke=svg.INK, stroke_width=1.2)
            for x in (low, high)
        ]
    if narrow is not None:
        parts.append(_stroke(axis.x(narrow[0]), axis.x(narrow[1]), y, svg.BLUE, 5))
    return parts


def _stroke(left: float, right: float, y: float, colour: str, width: float) -> Markup:
    return svg.tag("line", x1=left, x2=right, y1=y, y2=y, stroke=colour, stroke_width=width)


def marker(axis: Axis, y: float, value: float) -> Markup:
    """Return the point of a value."""
    return svg.tag(
        "circle", cx=axis.x(value), cy=y, r=4.6, fill="#fff", stroke=svg.INK, stroke_width=1.8
    )


def diamond(axis: Axis, y: float, value: float) -> Markup:
    """Return the hollow point of a value that was adjusted."""
    x = axis.x(value)
    corners = ((x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y))
    points = " ".join(f"{round(a, 2):g},{round(b, 2):g}" for a, b in corners)
    return svg.tag("polygon", points=points, fill="none", stroke=svg.MUTED, stroke_width=1.5)


def missing(axis: Axis, y: float, text: str, identity: str, *, right: float) -> list[Markup]:
    """Return the hatched row of a group that could not be judged, with the words up to `right`."""
    hatched = {"x": axis.left, "y": y - 10, "width": axis.right - axis.left, "height": 20.0}
    start = axis.left + 10
    line = svg.lines_of(text, right - start, size=11.5, most=1)[0]
    behind = {"x": start - 6, "y": y - 9, "width": len(line) * 6.7 + 12, "height": 18.0}
    about = {"x": start, "y": y + 4.5, "font_size": 12.0}
    return [
        svg.tag("rect", fill=f"url(#{identity}-hatch)", **hatched),
        svg.tag("rect", rx=3, fill="#fff", **behind),
        svg.tag("text", svg.tag("title", text), line, fill=svg.MUTED, **about),
    ]


def cell(text: str, x: float, y: float, *, size: float = 13, muted: bool = False) -> Markup:
    """Return a number at the right of a row, its end at `x`."""
    colour = svg.MUTED if muted else svg.INK
    return svg.tag("text", text, x=x, y=y + 4.5, text_anchor="end", font_size=size, fill=colour)


def placed(
    spans: Sequence[Span], texts: Texts, beside: Mapping[str, Sequence[Span]] | None = None
) -> tuple[list[tuple[float, Span]], list[Markup]]:
    """Return where each row stands, and the headings between families.

    Parameters
    ----------
    spans
        The rows, family by family.
    texts
        The words.
    beside
        What else is drawn below a row, by the row's subgroup as `subgroup_text` writes it.

    Returns
    -------
    The rows with their y, and the headings drawn. The last row's y is the largest.
    """
    rows: list[tuple[float, Span]] = []
    heads: list[Markup] = []
    y, family = TOP - 8, None
    for span in spans:
        if span.family != family and span.family:
            y += HEAD if rows else ROW / 2 + 4
            heads.append(label(family_name(span.family, texts), y, bold=True))
        family = span.family
        tall = wraps(f"{row_name(span, texts)} {span.against or ''}", indent=12)
        y += ROW + (_LINE / 2 if tall else 0)
        rows.append((y, span))
        y += _LINE / 2 if tall else 0
        y += BESIDE * len((beside or {}).get(subgroup_text(span), ()))
    return rows, heads


def subgroup_text(span: Span) -> str:
    """Return a subgroup as text that no other subgroup has.

    Examples
    --------
    >>> subgroup_text(Span({"sex": "F"}, "auroc", None, None, 0.8, 9, 9, 4, 5, "assessed", ""))
    '[["sex", "F"]]'
    """
    return json.dumps(sorted(span.subgroup.items()))
