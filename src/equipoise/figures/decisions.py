"""Decision curves by group: the net benefit of calling by the score, all, or none."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from markupsafe import Markup

from equipoise.figures import frames, svg
from equipoise.figures.frames import Frame, Look
from equipoise.figures.groups import Arrangement, Group, arranged
from equipoise.figures.numbers import plain
from equipoise.figures.rocs import highest, left_out
from equipoise.metrics import curves
from equipoise.metrics.curves import Benefit
from equipoise.words import Texts, say

MODEL = frames.LOOKS[0]
ALL = frames.LOOKS[1]
NONE = Look(svg.INK, "2 3", "ring")


@dataclass(frozen=True, slots=True)
class Decided:
    """The groups that are drawn, each with its curve.

    Parameters
    ----------
    found
        Which groups.
    groups
        A group and its curve, everybody first; thresholds up to `upto`.
    upto
        The end of the axis of thresholds.
    low, high
        The ends of the axis of net benefit; what lies below is cut off.
    """

    found: Arrangement
    groups: tuple[tuple[Group, Benefit], ...]
    upto: float
    low: float
    high: float


def decided(
    counts: pl.DataFrame, estimates: pl.DataFrame | None, texts: Texts, *, upto: float = 1.0
) -> Decided:
    """Return what a picture of decision curves draws.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate.
    estimates
        The table *estimates*, which says who is assessable; or None.
    texts
        The words.
    upto
        The highest threshold probability that is drawn, in (0, 1].

    Examples
    --------
    >>> from equipoise import metrics, words
    >>> table = metrics.subgroups({"sex": ["F"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> made = decided(metrics.count(people, table, candidate="a"), None, words.load())
    >>> made.high, float(made.groups[0][1].model[128])
    (0.6, 0.5)
    """
    found = arranged(counts, estimates, texts)
    made = []
    for group in found.drawn:
        whole = curves.net_benefit(group.negative, group.positive)
        held = whole.threshold <= upto
        parts = (whole.threshold[held], whole.model[held], whole.everyone[held])
        made.append((group, Benefit(*parts)))
    ends = [float(np.max(line.model)) for _, line in made if len(line.model)]
    high = highest(ends)
    return Decided(found, tuple(made), upto, -0.2 * high, high)


def decision(
    counts: pl.DataFrame,
    *,
    texts: Texts,
    estimates: pl.DataFrame | None = None,
    upto: float = 1.0,
    identity: str = "decision",
) -> str:
    """Return a picture of the net benefit over threshold probabilities, a panel per group.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate.
    texts
        The words of the picture.
    estimates
        The table *estimates*: which groups are not assessable.
    upto
        The highest threshold probability that is drawn, in (0, 1].
    identity
        What the ids in the picture start with; differs between the pictures of a page.

    Returns
    -------
    An SVG, all panels on the same axes. A group has a panel of its own because the line of calling
    everyone positive is the group's own: it moves with prevalence. A group that is not assessable
    is not drawn; it stands below, with why.

    Raises
    ------
    InvalidTable
        If the counts are of several findings or candidates.

    Examples
    --------
    >>> from equipoise import metrics, words
    >>> table = metrics.subgroups({"sex": ["F"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> made = decision(metrics.count(people, table, candidate="probe"), texts=words.load())
    >>> made.count("<polyline")
    4
    """
    made = decided(counts, estimates, texts, upto=upto)
    parts, top = _legend(made, texts)
    wide = len(made.groups) == 1
    height = 300.0 if wide else 236.0
    for place, pair in enumerate(made.groups):
        column = 0 if wide else place % 2
        corner = (column * (frames.WIDTH - frames.NARROW), top + (place // 2) * height)
        parts += _panel(pair, made, corner, f"{identity}-{place}", texts)
    rows = -(-len(made.groups) // 2)
    said, end = frames.notes(decision_notes(made, texts), top + rows * height)
    title = say(texts, "curve.decision_title", finding=made.found.finding)
    about = _about(made, texts)
    opening = svg.canvas(identity, frames.WIDTH, end + 8, title=title, about=about)
    return svg.close([*opening, *parts, *said])


def _legend(made: Decided, texts: Texts) -> tuple[list[Markup], float]:
    parts: list[Markup] = []
    if not made.groups:
        return parts, 0.0
    rows = ((MODEL, "curve.by_score"), (ALL, "curve.call_all"), (NONE, "curve.call_none"))
    for place, (look, said) in enumerate(rows):
        y = 14.0 + 19 * place
        parts += frames.sample(2, y - 4, look, marked=False)
        parts.append(frames.words(say(texts, said), 46, y, frames.WIDTH - 50))
    return parts, 68.0


def _panel(
    pair: tuple[Group, Benefit],
    made: Decided,
    corner: tuple[float, float],
    identity: str,
    texts: Texts,
) -> list[Markup]:
    (group, line), (left, top) = pair, corner
    wide = len(made.groups) == 1
    width = frames.WIDTH if wide else frames.NARROW
    frame = Frame(
        left + 42, top + 52, width - 56, 190.0 if wide else 126.0,
        across=(0.0, made.upto), up=(made.low, made.high),
    )  # fmt: skip
    bold = svg.tag("title", group.name), svg.lines_of(group.name, width, most=1)[0]
    n = say(texts, "curve.n_images", n=f"{group.n_images:,}")
    across, up = say(texts, "curve.threshold"), say(texts, "curve.net_benefit")
    inside = [
        frames.curve(frame, line.threshold, line.everyone, ALL, name=say(texts, "curve.call_all")),
        frames.curve(frame, line.threshold, line.model, MODEL, name=group.name),
    ]
    return [
        svg.tag("text", *bold, x=left, y=top + 12, font_weight=600),
        frames.words(n, left, top + 27, width, size=12, muted=True),
        *frames.axes(frame, across=across, up=up, about=5 if wide else 3),
        _zero(frame),
        *frames.clipped(frame, identity, inside),
    ]


def _zero(frame: Frame) -> Markup:
    ends = {"x1": frame.left, "x2": frame.right, "y1": frame.y(0), "y2": frame.y(0)}
    return svg.tag(
        "line", stroke=NONE.colour, stroke_width=1.8, stroke_dasharray=NONE.dashes, **ends
    )


def decision_notes(made: Decided, texts: Texts) -> list[str]:
    """Return what is said below the picture, a sentence each."""
    if not made.groups:
        return [say(texts, "curve.none_drawn"), *left_out(made.found, texts)]
    return [say(texts, "curve.decision_note"), *left_out(made.found, texts)]


def _about(made: Decided, texts: Texts) -> str:
    one = []
    for group, line in made.groups:
        best = np.maximum(line.everyone, 0.0)
        better = line.threshold[line.model > best + 1e-12]
        one.append(
            say(
                texts,
                "curve.decision_one" if len(better) else "curve.decision_never",
                group=group.name,
                low=plain(float(better.min()), places=2) if len(better) else "",
                high=plain(float(better.max()), places=2) if len(better) else "",
                n=f"{group.n_images:,}",
            )
        )
    left = made.found.left
    absent = say(texts, "curve.left", n=len(left)) if left else ""
    return " ".join([*one, absent]).strip() or say(texts, "curve.none_drawn")
