"""Empty matplotlib figures with axes, and what group is drawn how; matplotlib is loaded here."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from equipoise.errors import MissingExtra
from equipoise.figures.frames import EVERYBODY, LOOKS, Look
from equipoise.figures.groups import Arrangement, Group, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {
    "circle": "o",
    "ring": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "wedge": "v",
    "cross": "P",
}
"""Shape → matplotlib's name of it."""


def sheet(width: float, height: float) -> "Figure":
    """Return an empty figure of a size in inches, on the Agg canvas.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "plots: matplotlib is not installed", hint="pip install 'equipoise[plot]'"
        ) from error
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def panels(
    n: int,
    *,
    title: str,
    notes: Sequence[str],
    width: float = 3.6,
    height: float = 3.6,
    below: float = 0.0,
) -> tuple["Figure", list["Axes"], list["Axes"]]:
    """Return a figure with n axes in up to three columns, room below each, and sentences.

    Parameters
    ----------
    n
        How many; may be none.
    title
        Of the figure.
    notes
        A sentence a line, below everything.
    width, height
        Of each of the axes, in inches; one alone is larger.
    below
        How high the room below each is, for a legend; none if zero.

    Returns
    -------
    The figure, the axes, and the rooms below them: axes without anything drawn.
    """
    columns = min(max(n, 1), 3)
    rows = math.ceil(n / columns) if n else 0
    scale = 1.4 if n == 1 else 1.0
    wide = max(scale * width * columns, 5.0)
    lines = [line for note in notes for line in textwrap.wrap(note, int(wide * 15)) or [""]]
    tall = scale * height + below
    made = sheet(wide, tall * rows + 0.16 * len(lines) + 0.6)
    made.suptitle(plain(title), x=0.02, ha="left", fontsize=11)
    said = plain("\n".join(lines))
    made.supxlabel(said, x=0.02, ha="left", fontsize=8, color="#4d5966")
    if not n:
        return made, [], []
    ratios = [scale * height, below] * rows if below else [1.0] * rows
    every = made.subplots(len(ratios), columns, squeeze=False, height_ratios=ratios)
    step = 2 if below else 1
    axes, rooms = list(every[::step].flat), list(every[1::2].flat) if below else []
    for empty in [*axes[n:], *rooms]:
        empty.set_axis_off()
    return made, axes[:n], rooms[:n]


def looks(panel: Panel, found: Arrangement) -> list[tuple[Group, Look]]:
    """Return the groups of a panel with how each is drawn, everybody first."""
    first = [] if found.everybody is None else [(found.everybody, EVERYBODY)]
    return [*first, *zip(panel.groups, LOOKS, strict=False)]


def line(look: Look) -> dict[str, Any]:
    """Return how a group's line is drawn, as matplotlib takes it."""
    dashes = None if look.dashes is None else [float(part) for part in look.dashes.split()]
    style: object = "solid" if dashes is None else (0, dashes)
    return {"color": look.colour, "linestyle": style, "linewidth": 1.6}


def marks(look: Look) -> dict[str, Any]:
    """Return how a group's marks are drawn, as matplotlib takes it."""
    return {
        "marker": MARKERS[look.shape],
        "markerfacecolor": "white" if look.shape == "ring" else look.colour,
        "markeredgecolor": "#1b2430",
        "markersize": 6.0,
    }


def plain(text: str) -> str:
    r"""Return text that matplotlib writes as it is: no formulas, and never left out of a legend.

    Examples
    --------
    >>> plain("$a$"), plain("_b") == "\u200b_b"
    ('\\$a\\$', True)
    """
    safe = "".join(c if c >= " " or c == "\n" else " " for c in text)
    safe = safe.encode("utf-8", "replace").decode("utf-8").replace("$", r"\$")
    return "\N{ZERO WIDTH SPACE}" + safe if safe.startswith("_") else safe


def short(text: str, most: int = 40) -> str:
    """Return text of at most so many letters, fit for matplotlib.

    Examples
    --------
    >>> short("abcdef", 4)
    'abc…'
    """
    return plain(text if len(text) <= most else text[: most - 1] + "…")
