"""A square or oblong with two axes, and what is drawn in it: curves, bands, marks, words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from equipoise.figures import svg
from equipoise.figures.rows import signless

Reals = npt.NDArray[np.float64]

WIDTH = 420.0
NARROW = 204.0
LINE = 16.0


@dataclass(frozen=True, slots=True)
class Look:
    """How a group is drawn: colour, dashes and mark all differ, so that none is needed.

    Parameters
    ----------
    colour
        Of the Okabe-Ito palette.
    dashes
        Lengths drawn and left out; None for a whole line.
    shape
        Of its marks.
    """

    colour: str
    dashes: str | None
    shape: str


LOOKS = (
    Look(svg.BLUE, None, "circle"),
    Look(svg.VERMILION, "8 3", "square"),
    Look(svg.GREEN, "3 2.5", "triangle"),
    Look(svg.PURPLE, "10 3 2 3", "diamond"),
    Look(svg.ORANGE, "5 2 1.5 2", "wedge"),
    Look(svg.SKY, "1.5 2.5", "cross"),
)
"""Of the groups of a panel, in their order. Okabe & Ito 2008, Color Universal Design."""

EVERYBODY = Look(svg.MUTED, "1 2", "ring")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values stand: `across` and `up` are the ends of the two axes.

    Examples
    --------
    >>> frame = Frame(10.0, 20.0, 100.0, 50.0, across=(0.0, 1.0), up=(0.0, 2.0))
    >>> frame.x(0.5), frame.y(2.0)
    (60.0, 20.0)
    """

    left: float
    top: float
    width: float
    height: float
    across: tuple[float, float] = (0.0, 1.0)
    up: tuple[float, float] = (0.0, 1.0)

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Return where a value stands from left to right."""
        low, high = self.across
        return self.left + (value - low) / (high - low) * self.width

    def y(self, value: float) -> float:
        """Return where a value stands from the top down."""
        low, high = self.up
        return self.bottom - (value - low) / (high - low) * self.height

    def holds(self, value: float, *, edge: float = 1e-9) -> bool:
        """Return whether a value is on the axis that goes up."""
        return self.up[0] - edge <= value <= self.up[1] + edge


def axes(frame: Frame, *, across: str, up: str, about: int = 5) -> list[Markup]:
    """Return the grid, its numbers, and the names of both axes.

    Parameters
    ----------
    frame
        Where.
    across, up
        The names of the axes; the one that goes up is written above it.
    about
        How many numbers on each.
    """
    parts = []
    ends: svg.Attributes = {"stroke": svg.RULE, "stroke_width": 0.8}
    small: svg.Attributes = {"font_size": 12.0, "fill": svg.MUTED}
    for mark in _within(frame.across, about):
        x = frame.x(mark)
        parts.append(svg.tag("line", x1=x, x2=x, y1=frame.top, y2=frame.bottom, **ends))
        text: svg.Attributes = {"x": x, "y": frame.bottom + 15, "text_anchor": "middle"}
        parts.append(svg.tag("text", signless(mark), **text, **small))
    for mark in _within(frame.up, about):
        y = frame.y(mark)
        parts.append(svg.tag("line", x1=frame.left, x2=frame.right, y1=y, y2=y, **ends))
        text = {"x": frame.left - 6, "y": y + 4, "text_anchor": "end"}
        parts.append(svg.tag("text", signless(mark), **text, **small))
    parts.append(svg.tag("text", up, x=frame.left - 30, y=frame.top - 8, **small))
    text = {"x": frame.right, "y": frame.bottom + 31, "text_anchor": "end"}
    return [*parts, svg.tag("text", across, **text, **small)]


def _within(ends: tuple[float, float], about: int) -> list[float]:
    room = 1e-9 * (ends[1] - ends[0])
    marks = svg.ticks(*ends, about=about)
    return [mark for mark in marks if ends[0] - room <= mark <= ends[1] + room]


def curve(
    frame: Frame, across: Reals, up: Reals, look: Look, *, name: str, width: float = 2.2
) -> Markup:
    """Return a line through points; `name` is what is said of it where it is pointed at.

    Points that are not numbers are left out, the line going on from one to the next.
    """
    return svg.tag(
        "polyline",
        svg.tag("title", name),
        points=_points(frame, across, up),
        fill="none",
        stroke=look.colour,
        stroke_width=width,
        stroke_dasharray=look.dashes,
        stroke_linejoin="round",
    )


def band(frame: Frame, across: Reals, low: Reals, high: Reals, look: Look) -> Markup:
    """Return the room between two lines, in the group's colour."""
    there, back = _points(frame, across, low), _points(frame, across[::-1], high[::-1])
    return svg.tag("polygon", points=f"{there} {back}", fill=look.colour, opacity=0.14)


def clipped(frame: Frame, identity: str, inside: Sequence[Markup]) -> list[Markup]:
    """Return what is drawn, cut off at the frame's edges."""
    box = {"x": frame.left, "y": frame.top, "width": frame.width, "height": frame.height}
    path = svg.tag("clipPath", svg.tag("rect", **box), id=identity)
    return [path, svg.tag("g", *inside, clip_path=f"url(#{identity})")]


def straight(frame: Frame, start: tuple[float, float], end: tuple[float, float]) -> Markup:
    """Return a thin line between two points, for what a curve is compared with."""
    return svg.tag(
        "line",
        x1=frame.x(start[0]),
        y1=frame.y(start[1]),
        x2=frame.x(end[0]),
        y2=frame.y(end[1]),
        stroke=svg.MUTED,
        stroke_width=1,
    )


def whisker(frame: Frame, at: float, low: float, high: float, look: Look) -> Markup:
    """Return the limits of a point, from below to above."""
    x = frame.x(at)
    ends = {"x1": x, "x2": x, "y1": frame.y(low), "y2": frame.y(high)}
    return svg.tag("line", stroke=look.colour, stroke_width=1.4, **ends)


def mark(x: float, y: float, look: Look, *, name: str = "", size: float = 5.0) -> Markup:
    """Return the mark of a group at a place in the picture; `name` is said of it."""
    said = [svg.tag("title", name)] if name else []
    about: svg.Attributes = {"fill": look.colour, "stroke": svg.INK, "stroke_width": 1.1}
    if look.shape in ("circle", "ring"):
        fill = "#fff" if look.shape == "ring" else look.colour
        return svg.tag("circle", *said, cx=x, cy=y, r=size * 0.9, **(about | {"fill": fill}))
    corners = " ".join(
        f"{round(x + a * size, 2):g},{round(y + b * size, 2):g}" for a, b in CORNERS[look.shape]
    )
    return svg.tag("polygon", *said, points=corners, **about)


CORNERS = {
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "triangle": ((0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
    "diamond": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "wedge": ((0, 1.1), (1.05, -0.8), (-1.05, -0.8)),
    "cross": (
        (-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4),
        (0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4), (-1.1, -0.4), (-0.4, -0.4),
    ),
}  # fmt: skip
"""The corners of each shape around its middle, in units of its size."""


def sample(x: float, y: float, look: Look, *, marked: bool = True) -> list[Markup]:
    """Return a short piece of a group's line with its mark, for a legend."""
    line = {"x1": x, "x2": x + 36, "y1": y, "y2": y}
    stroke: svg.Attributes = {
        "stroke": look.colour,
        "stroke_width": 2.2,
        "stroke_dasharray": look.dashes,
    }
    return [svg.tag("line", **line, **stroke), *([mark(x + 18, y, look)] if marked else [])]


def words(
    text: str, x: float, y: float, room: float, *, size: float = 12.5, muted: bool = False
) -> Markup:
    """Return a line of text, cut to its room, whole in its title."""
    shown = svg.lines_of(text, room, size=size, most=1)[0]
    said = [svg.tag("title", text)] if shown != text else []
    colour = svg.MUTED if muted else None
    return svg.tag("text", *said, shown, x=x, y=y, font_size=size, fill=colour)


def notes(sentences: Sequence[str], y: float) -> tuple[list[Markup], float]:
    """Return sentences below a picture, each from a new line, and where they end."""
    parts = []
    for sentence in sentences:
        for line in svg.lines_of(sentence, WIDTH - 8, size=12, most=6):
            y += LINE
            parts.append(svg.tag("text", line, x=2, y=y, font_size=12, fill=svg.MUTED))
        y += 3
    return parts, y


def _points(frame: Frame, across: Reals, up: Reals) -> str:
    known = ~(np.isnan(across) | np.isnan(up))
    found: list[str] = []
    for a, b in zip(across[known].tolist(), up[known].tolist(), strict=True):
        text = f"{round(frame.x(a), 2):g},{round(frame.y(b), 2):g}"
        if not found or found[-1] != text:
            found.append(text)
    return " ".join(found)
