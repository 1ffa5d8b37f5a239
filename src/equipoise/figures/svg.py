"""Elements of an SVG as text, escaped by construction, numbers written alike on every machine."""

import math
import re
from collections.abc import Sequence

from markupsafe import Markup, escape

Attributes = dict[str, str | float | None]
"""Of an element, as `tag` takes them."""

INK = "#1b2430"
MUTED = "#4d5966"
RULE = "#c9d1d9"
BLUE = "#0072b2"
VERMILION = "#d55e00"
GREEN = "#009e73"
ORANGE = "#e69f00"
SKY = "#56b4e9"
PURPLE = "#cc79a7"

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
_WIDTH_OF_A_LETTER = 0.56
_FORBIDDEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return one element. Text is escaped unless it is markup already; None leaves one out.

    An underscore in an attribute's name stands for a hyphen; one at its end is dropped.

    Examples
    --------
    >>> tag("text", "a < b", x=1.5, text_anchor="end")
    Markup('<text x="1.5" text-anchor="end">a &lt; b</text>')
    >>> tag("g", tag("rect", width=2, class_="a"))
    Markup('<g><rect width="2" class="a"/></g>')
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{name}{written}/>")  # noqa: S704  all of it is escaped above
    inner = "".join(escape(_printable(child)) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")  # noqa: S704  all of it is escaped above


def canvas(identity: str, width: float, height: float, *, title: str, about: str) -> list[Markup]:
    """Return the opening tag of a picture and its title and description, to be closed by `close`.

    Parameters
    ----------
    identity
        What the ids in the picture start with; differs between the pictures of a page.
    width, height
        In its own units (pixels at full size).
    title, about
        What the picture shows, for those who do not see it.

    Examples
    --------
    >>> close(canvas("a", 10, 10, title="T", about="D")).count('role="img"')
    1
    """
    head = tag(
        "svg",
        "",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-about",
        font_family=FONT,
        font_size=13,
        fill=INK,
    )
    opening = Markup(head.removesuffix("</svg>"))  # noqa: S704  built by `tag` above
    return [
        opening,
        tag("title", title, id=f"{identity}-title"),
        tag("desc", about, id=f"{identity}-about"),
    ]


def close(parts: Sequence[Markup]) -> str:
    """Return the whole picture.

    Examples
    --------
    >>> close([tag("g")])
    '<g/></svg>'
    """
    return str(Markup("").join([*parts, Markup("</svg>")]))


def hatch(identity: str, colour: str, *, gap: float = 6) -> Markup:
    """Return a pattern of slanted lines, so that a meaning is not in the colour alone.

    Examples
    --------
    >>> 'id="a"' in hatch("a", "#000")
    True
    """
    line = tag("line", x1=0, y1=0, x2=0, y2=gap, stroke=colour, stroke_width=1.6)
    return tag(
        "pattern",
        line,
        id=identity,
        width=gap,
        height=gap,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )


def lines_of(text: str, width: float, *, size: float = 13, most: int = 2) -> list[str]:
    """Return `text` in lines that fit `width`, at most `most`; what is cut ends in an ellipsis.

    Examples
    --------
    >>> lines_of("short", 100)
    ['short']
    >>> lines_of("a rather long label of a group", 100, most=2)
    ['a rather long', 'label of a…']
    """
    room = max(4, int(width / (size * _WIDTH_OF_A_LETTER)))
    lines, words = [""], _printable(text).split(" ")
    for word in words:
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) <= room or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
    cut = [line if len(line) <= room else line[: room - 1] + "…" for line in lines[:most]]
    if len(lines) > most and not cut[-1].endswith("…"):
        cut[-1] = cut[-1][: room - 1] + "…"
    return cut


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Return round numbers that span [low, high], some `about` of them.

    Examples
    --------
    >>> ticks(0.52, 0.97)
    [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    """
    span = max(high - low, 1e-6, 1e-6 * abs(low), 1e-6 * abs(high))
    power = math.floor(math.log10(span)) - 2
    steps = [m * 10.0**e for e in range(power, power + 4) for m in (1, 2, 5)]
    step = next(s for s in steps if span / s <= about + 0.5)
    first = int(low // step)
    last = max(int(-(-high // step)), first + 1)
    return [round(step * k, 10) for k in range(first, last + 1)]


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"


def _printable(text: str) -> str:
    """Leave out the characters that XML forbids."""
    return text if isinstance(text, Markup) else _FORBIDDEN.sub(" ", text)
