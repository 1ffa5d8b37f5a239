"""A small chart of a few lines over time or days, readable on a phone and without colour."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from equipoise.figures import svg
from equipoise.figures.numbers import plain

_WIDTH, _TOP, _LEFT, _RIGHT = 360.0, 14.0, 46.0, 348.0
_TALL = 128.0
_LEGEND = 20.0

_LOOKS = (
    (svg.BLUE, None),
    (svg.VERMILION, "7 3"),
    (svg.GREEN, "2 3"),
    (svg.PURPLE, "9 3 2 3"),
    (svg.ORANGE, "4 2"),
    (svg.MUTED, "1 2"),
)
"""Colour and dashes of each line; both differ, so that neither is needed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel.

    Parameters
    ----------
    name
        What it is, for the legend.
    values
        One per tick; None leaves a gap.
    low, high
        Limits of each value, drawn as a band; empty for none.
    """

    name: str
    values: Sequence[float | None]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A level across a panel, as that of an alarm.

    Parameters
    ----------
    value
        Where it lies.
    name
        What it is.
    """

    value: float
    name: str


def panel(
    lines: Sequence[Line],
    ticks: Sequence[str],
    *,
    title: str,
    about: str,
    rule: Rule | None = None,
    powers: bool = False,
    identity: str = "panel",
) -> str:
    """Return a picture of lines, a value of each at every tick.

    Parameters
    ----------
    lines
        At least one; more than six repeat their looks.
    ticks
        What stands below; as many are written as fit.
    title, about
        What the picture shows, for those who do not see it.
    rule
        A level across.
    powers
        Whether values are logarithms to the base 10, the axis then in powers of ten; else values
        are shares in [0, 1].
    identity
        What the ids in the picture start with; differs between the pictures of a page.

    Examples
    --------
    >>> made = panel([Line("women", [0.0, 1.5])], ["2026-01", "2026-02"], title="T", about="A",
    ...              rule=Rule(1.3, "alarm"), powers=True)
    >>> made.count("<polyline"), "alarm" in made
    (1, True)
    """
    low, high = _range(lines, rule) if powers else (0.0, 1.0)
    legend = len(lines) > 1
    height = _TOP + _TALL + 26.0 + (_LEGEND * len(lines) if legend else 0.0)
    parts = svg.canvas(identity, _WIDTH, height, title=title, about=about)
    parts += _axis(low, high, powers=powers)
    parts += _below(ticks)
    for place, line in enumerate(lines):
        parts += _drawn(line, place, len(ticks), (low, high))
    if rule is not None:
        parts += _ruled(rule, (low, high))
    if legend:
        for place, line in enumerate(lines):
            parts += _named(line.name, place)
    return svg.close(parts)


def _range(lines: Sequence[Line], rule: Rule | None) -> tuple[float, float]:
    values = [v for line in lines for v in line.values if v is not None]
    values += [0.0] if rule is None else [0.0, rule.value]
    # Far below one an e-value says nothing more: the axis stops at a thousandth.
    low, high = max(min(values), -3.0), max(values)
    return min(math.floor(low), -1.0), math.ceil(high + 0.2)


def _axis(low: float, high: float, *, powers: bool) -> Iterator[Markup]:
    ticks = svg.ticks(low, high, about=4)
    for value in [t for t in ticks if low - 1e-9 <= t <= high + 1e-9]:
        y = _height(value, (low, high))
        yield svg.tag("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, stroke=svg.RULE, stroke_width=0.8)
        text = _power(value) if powers else plain(value, places=1)
        yield svg.tag("text", text, x=_LEFT - 6, y=y + 4, text_anchor="end", font_size=12)


def _power(value: float) -> str:
    if not float(value).is_integer():
        return ""
    if abs(value) > 3:
        return f"10^{value:.0f}".replace("-", "−")
    return f"{10.0**value:,.0f}" if value >= 0 else f"{10.0**value:g}"


def _below(ticks: Sequence[str]) -> Iterator[Markup]:
    n = len(ticks)
    widest = max((len(text) for text in ticks), default=1) * 7.0 + 24.0
    every = max(1, math.ceil(n * widest / (_RIGHT - _LEFT)))
    for place, text in enumerate(ticks):
        if place % every == 0:
            x = _across(place, n)
            anchor = "start" if place == 0 and n > 1 else "end" if place == n - 1 else "middle"
            yield svg.tag(
                "text", text, x=x, y=_TOP + _TALL + 17, text_anchor=anchor, font_size=12,
                fill=svg.MUTED,
            )  # fmt: skip


def _drawn(line: Line, place: int, n: int, span: tuple[float, float]) -> Iterator[Markup]:
    colour, dashes = _LOOKS[place % len(_LOOKS)]
    if line.low and line.high:
        up = [(_across(k, n), _height(v, span)) for k, v in enumerate(line.high)]
        down = [(_across(k, n), _height(v, span)) for k, v in enumerate(line.low)]
        yield svg.tag("polygon", points=_points([*up, *down[::-1]]), fill=colour, opacity=0.12)
    for run in _runs(line.values):
        where = [(_across(k, n), _height(v, span)) for k, v in run]
        yield svg.tag(
            "polyline", points=_points(where), fill="none", stroke=colour, stroke_width=2.2,
            stroke_dasharray=dashes, stroke_linejoin="round",
        )  # fmt: skip
        x, y = where[-1]
        yield svg.tag("circle", cx=x, cy=y, r=3.2, fill=colour)


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Return the stretches without a gap, each value with its place."""
    found: list[list[tuple[int, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((place, value))
    return [run for run in found if run]


def _ruled(rule: Rule, span: tuple[float, float]) -> list[Markup]:
    y = _height(rule.value, span)
    line = {"x1": _LEFT, "x2": _RIGHT, "y1": y, "y2": y}
    return [
        svg.tag("line", stroke=svg.VERMILION, stroke_width=1.6, stroke_dasharray="6 4", **line),
        svg.tag("text", rule.name, x=_LEFT + 5, y=y - 5, font_size=12, fill="#a34700"),
    ]


def _named(name: str, place: int) -> list[Markup]:
    colour, dashes = _LOOKS[place % len(_LOOKS)]
    y = _TOP + _TALL + 26.0 + _LEGEND * (place + 0.5)
    shown = svg.lines_of(name, _RIGHT - _LEFT - 50, size=12, most=1)[0]
    return [
        svg.tag(
            "line",
            x1=_LEFT,
            x2=_LEFT + 38,
            y1=y,
            y2=y,
            stroke=colour,
            stroke_width=2.2,
            stroke_dasharray=dashes,
        ),
        svg.tag("text", shown, x=_LEFT + 46, y=y + 4, font_size=12),
    ]


def _across(place: int, n: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (place / (n - 1) if n > 1 else 0.5)


def _height(value: float, span: tuple[float, float]) -> float:
    low, high = span
    share = (min(max(value, low), high) - low) / (high - low)
    return _TOP + _TALL * (1.0 - share)


def _points(where: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{round(x, 1):g},{round(y, 1):g}" for x, y in where)
