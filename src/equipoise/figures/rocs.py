"""ROC curves by group, with the operating points and each group's AUROC."""

import math

import polars as pl
from markupsafe import Markup

from equipoise.figures import frames, svg
from equipoise.figures.frames import Frame, Look
from equipoise.figures.groups import Arrangement, Group, Panel, arranged
from equipoise.figures.numbers import percent
from equipoise.metrics import curves
from equipoise.words import Texts, named, say


def roc(
    counts: pl.DataFrame,
    *,
    texts: Texts,
    estimates: pl.DataFrame | None = None,
    level: float | None = None,
    identity: str = "roc",
) -> str:
    """Return a picture of the ROC curve of each group.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate; all operating points.
    texts
        The words of the picture.
    estimates
        The table *estimates*: AUROC with its interval, and which groups are not assessable.
    level
        Of a pointwise band of sensitivity around each curve, as 0.95; None: no band.
    identity
        What the ids in the picture start with; differs between the pictures of a page.

    Returns
    -------
    An SVG. Up to six groups share a panel; more are split, everybody in each panel. A group that
    is not assessable is not drawn; it stands below, with why.

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
    >>> made = roc(metrics.count(people, table, candidate="probe"), texts=words.load())
    >>> made.count("<polyline")
    2
    """
    found = arranged(counts, estimates, texts)
    wide = len(found.panels) == 1
    parts: list[Markup] = []
    bottom, tallest = 0.0, 0.0
    for place, panel in enumerate(found.panels):
        if place % 2 == 0:
            bottom, tallest = bottom + tallest, 0.0
        left = 0.0 if wide or place % 2 == 0 else frames.WIDTH - frames.NARROW
        drawn, height = _panel(panel, found, (left, bottom), texts, level)
        parts, tallest = [*parts, *drawn], max(tallest, height)
    said, end = frames.notes(roc_notes(found, texts, level), bottom + tallest)
    title = say(texts, "curve.roc_title", finding=found.finding)
    opening = svg.canvas(identity, frames.WIDTH, end + 8, title=title, about=_about(found, texts))
    return svg.close([*opening, *parts, *said])


def _panel(
    panel: Panel,
    found: Arrangement,
    corner: tuple[float, float],
    texts: Texts,
    level: float | None,
) -> tuple[list[Markup], float]:
    """Return one panel and how high it is, its legend with it."""
    left, top = corner
    wide = len(found.panels) == 1
    width = frames.WIDTH if wide else frames.NARROW
    side = width - 52.0
    head = 0.0 if wide else 20.0
    frame = Frame(left + 38, top + head + 26, side, side)
    parts = [] if wide else [_title(panel.title, left, top + 14, width)]
    across, up = say(texts, "curve.false_positive_rate"), say(texts, "curve.sensitivity")
    parts += frames.axes(frame, across=across, up=up, about=5 if wide else 3)
    parts.append(frames.straight(frame, (0, 0), (1, 1)))
    looks = list(zip(panel.groups, frames.LOOKS, strict=False))
    if found.everybody is not None:
        looks = [(found.everybody, frames.EVERYBODY), *looks]
    for group, look in looks:
        parts += _drawn(group, look, frame, level)
    for group, look in looks:
        parts += _marks(group, look, frame, texts)
    y = frame.bottom + 44
    for group, look in looks:
        parts += _named(group, look, (left, y), width, texts)
        y += 20.0 if wide else 35.0
    return parts, y - top + (0.0 if wide else 6.0)


def _title(text: str, x: float, y: float, width: float) -> Markup:
    shown = svg.lines_of(text, width, size=13, most=1)[0]
    whole = svg.tag("title", text)
    return svg.tag("text", whole, shown, x=x, y=y, font_weight=600)


def _drawn(group: Group, look: Look, frame: Frame, level: float | None) -> list[Markup]:
    points = curves.roc(group.negative, group.positive)
    parts = []
    if level is not None and look is not frames.EVERYBODY:
        low, high = curves.sensitivity_limits(points, group.patients_positive, level)
        parts.append(frames.band(frame, points.false_positive_rate, low, high, look))
    line = frames.curve(
        frame, points.false_positive_rate, points.sensitivity, look, name=group.name
    )
    return [*parts, line]


def _marks(group: Group, look: Look, frame: Frame, texts: Texts) -> list[Markup]:
    return [
        frames.mark(
            frame.x(mark.false_positive_rate),
            frame.y(mark.sensitivity),
            look,
            name=say(
                texts,
                "curve.mark",
                group=group.name,
                point=mark.name,
                sensitivity=percent(mark.sensitivity),
                specificity=percent(1.0 - mark.false_positive_rate),
            ),
        )
        for mark in group.marks
    ]


def _named(
    group: Group, look: Look, corner: tuple[float, float], width: float, texts: Texts
) -> list[Markup]:
    x, y = corner
    parts = frames.sample(x + 2, y, look)
    value = group.auroc or say(texts, "curve.n_images", n=f"{group.n_images:,}")
    if width < frames.WIDTH:
        name = frames.words(group.name, x + 46, y + 4, width - 46)
        return [*parts, name, frames.words(value, x + 46, y + 19, width - 46, size=12, muted=True)]
    name = frames.words(group.name, x + 46, y + 4, width - 46 - 148)
    end: svg.Attributes = {"x": x + width - 2, "y": y + 4, "text_anchor": "end", "font_size": 12.5}
    return [*parts, name, svg.tag("text", value, **end)]


def roc_notes(found: Arrangement, texts: Texts, level: float | None) -> list[str]:
    """Return what is said below the picture, a sentence each."""
    drawn = found.drawn
    said = [say(texts, "curve.roc_note")] if drawn else [say(texts, "curve.none_drawn")]
    if any(group.auroc for group in drawn):
        said.append(say(texts, "curve.auroc_note"))
    if found.points and drawn:
        said.append(say(texts, "curve.marks_note", points=", ".join(found.points)))
    if level is not None and drawn:
        said.append(say(texts, "curve.band_note", level=f"{100 * level:g}"))
    return said + left_out(found, texts)


def left_out(found: Arrangement, texts: Texts) -> list[str]:
    """Return who is not drawn, and why, a sentence each.

    Parameters
    ----------
    found
        What is drawn.
    texts
        The words.
    """
    said = [say(texts, "state.exploratory")] if found.exploratory else []
    if found.left:
        said.append(say(texts, "curve.left", n=len(found.left)))
    return said + [
        say(texts, "curve.left_one", group=name, reason=reason) for name, reason in found.left
    ]


def _about(found: Arrangement, texts: Texts) -> str:
    one = [
        say(
            texts,
            "curve.roc_one",
            group=group.name,
            metric=named(texts, "metric", "auroc"),
            value=group.auroc or say(texts, "state.not_available"),
            n=f"{group.n_images:,}",
        )
        for group in found.drawn
    ]
    absent = say(texts, "curve.left", n=len(found.left)) if found.left else ""
    return " ".join([*one, absent]).strip() or say(texts, "curve.none_drawn")


def highest(values: list[float]) -> float:
    """Return a round number that is at least as high as all that are numbers, in (0, 1].

    Examples
    --------
    >>> highest([0.12, 0.31, float("nan")]), highest([])
    (0.4, 1.0)
    """
    held = [value for value in values if not math.isnan(value)]
    if not held:
        return 1.0
    return min(1.0, next(s for s in (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0) if max(held) <= s))
