"""Reliability by group: what was observed beside what was predicted, in bins all groups share."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from markupsafe import Markup

from equipoise.figures import frames, svg
from equipoise.figures.frames import Frame, Look
from equipoise.figures.groups import Arrangement, Group, Panel, arranged
from equipoise.figures.numbers import percent, plain
from equipoise.figures.rocs import highest, left_out
from equipoise.metrics import curves
from equipoise.metrics.curves import Integers, Reliability
from equipoise.words import Texts, say

MOST = 3
"""Groups in a panel: with limits at every point, more hide each other."""


@dataclass(frozen=True, slots=True)
class Binned:
    """The groups that are drawn, each in the same bins.

    Parameters
    ----------
    found
        Which groups, in which panels.
    edges
        Of the bins, as positions on the levels of the score.
    lines
        What was observed of each group, by its name and levels in `key`.
    top
        The end of both axes.
    """

    found: Arrangement
    edges: Integers
    lines: dict[str, Reliability]
    top: float


def binned(
    counts: pl.DataFrame, estimates: pl.DataFrame | None, texts: Texts, *, bins: int = 10
) -> Binned:
    """Return what a picture of reliability draws.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate.
    estimates
        The table *estimates*, which says who is assessable; or None.
    texts
        The words.
    bins
        At most so many, of about as many images each among all that are drawn together.

    Examples
    --------
    >>> from equipoise import metrics, words
    >>> table = metrics.subgroups({"sex": ["F"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> made = binned(metrics.count(people, table, candidate="a"), None, words.load(), bins=2)
    >>> made.edges.tolist()
    [0, 26, 256]
    """
    found = arranged(counts, estimates, texts, most=MOST)
    everyone = found.everybody
    whole = found.drawn if everyone is None else (everyone,)
    levels = np.zeros(len(counts["histogram_positive"][0]) if counts.height else 1, dtype=np.int64)
    for group in whole:
        levels = levels + group.negative + group.positive
    edges = curves.equal_mass(levels, bins)
    lines = {
        key(group): curves.reliability(
            group.negative, group.positive, edges, patients=group.n_patients
        )
        for group in found.drawn
    }
    ends = [part for line in lines.values() for part in (line.score, line.high)]
    top = highest(np.concatenate(ends).tolist() if ends else [])
    return Binned(found, edges, lines, top)


def key(group: Group) -> str:
    """Return what a group is found by; two attributes may share the name of a level.

    Examples
    --------
    >>> none = np.zeros(1, dtype=np.int64)
    >>> key(Group({"sex": "F"}, "F", none, none, 0, 0, 0))
    "[('sex', 'F')]"
    """
    return repr(sorted(group.subgroup.items()))


def reliability(
    counts: pl.DataFrame,
    *,
    texts: Texts,
    estimates: pl.DataFrame | None = None,
    bins: int = 10,
    identity: str = "reliability",
) -> str:
    """Return a picture of the share of positives beside the mean score, by group.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate.
    texts
        The words of the picture.
    estimates
        The table *estimates*: which groups are not assessable.
    bins
        At most so many, the same for all groups, of about as many images of everybody each.
    identity
        What the ids in the picture start with; differs between the pictures of a page.

    Returns
    -------
    An SVG, with pointwise 95 % limits and the number of images in each bin; a bin that is empty
    in a group has no point there. Up to three groups share a panel; more are split, everybody in
    each panel. A group that is not assessable is not drawn; it stands below, with why.

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
    >>> made = reliability(metrics.count(people, table, candidate="probe"), texts=words.load())
    >>> made.count("<polyline")
    2
    """
    made = binned(counts, estimates, texts, bins=bins)
    parts: list[Markup] = []
    end = 0.0
    for panel in made.found.panels:
        drawn, end = _panel(panel, made, end, texts)
        parts += drawn
    said, end = frames.notes(reliability_notes(made, texts), end)
    title = say(texts, "curve.reliability_title", finding=made.found.finding)
    about = _about(made, texts)
    opening = svg.canvas(identity, frames.WIDTH, end + 8, title=title, about=about)
    return svg.close([*opening, *parts, *said])


def _panel(panel: Panel, made: Binned, top: float, texts: Texts) -> tuple[list[Markup], float]:
    head = 20.0 if panel.title else 0.0
    side = frames.WIDTH - 100.0
    ends = (0.0, made.top)
    frame = Frame(38, top + head + 26, side, side, across=ends, up=ends)
    parts = [svg.tag("text", panel.title, x=0, y=top + 14, font_weight=600)] if head else []
    across, up = say(texts, "curve.mean_score"), say(texts, "curve.observed")
    parts += frames.axes(frame, across=across, up=up)
    parts.append(frames.straight(frame, (0, 0), (made.top, made.top)))
    looks = list(zip(panel.groups, frames.LOOKS, strict=False))
    if made.found.everybody is not None:
        looks = [(made.found.everybody, frames.EVERYBODY), *looks]
    for group, look in looks:
        parts += _drawn(group, look, made.lines[key(group)], frame, texts)
    table, end = _sizes(looks, made, frame.bottom + 50, texts)
    return [*parts, *table], end + 6


def _drawn(group: Group, look: Look, line: Reliability, frame: Frame, texts: Texts) -> list[Markup]:
    alone = look is frames.EVERYBODY
    width = 1.4 if alone else 1.8
    parts = [frames.curve(frame, line.score, line.rate, look, name=group.name, width=width)]
    points = zip(
        line.score.tolist(), line.rate.tolist(), line.low.tolist(), line.high.tolist(),
        line.images.tolist(), strict=True,
    )  # fmt: skip
    for score, rate, low, high, images in points:
        if not images:
            continue
        said = say(
            texts,
            "curve.bin",
            group=group.name,
            score=plain(score),
            rate=percent(rate),
            low=percent(low),
            high=percent(high),
            n=f"{images:,}",
        )
        if not alone:
            parts.append(frames.whisker(frame, score, low, high, look))
        parts.append(
            frames.mark(frame.x(score), frame.y(rate), look, name=said, size=3.4 if alone else 4.4)
        )
    return parts


def _sizes(
    looks: list[tuple[Group, Look]], made: Binned, y: float, texts: Texts
) -> tuple[list[Markup], float]:
    """Return the legend: for each group its look, and how many images are in each bin."""
    n, levels = len(made.edges) - 1, int(made.edges[-1])
    step = (frames.WIDTH - 8) / max(n, 1)
    ends = [8 + step * (place + 1) - 4 for place in range(n)]
    about: svg.Attributes = {"text_anchor": "end", "font_size": 11.5}
    parts = [frames.words(say(texts, "curve.sizes"), 2, y, frames.WIDTH, size=12, muted=True)]
    y += 16
    for x, edge in zip(ends, made.edges[:-1].tolist(), strict=True):
        parts.append(
            svg.tag("text", plain(edge / levels, places=2), x=x, y=y, fill=svg.MUTED, **about)
        )
    for group, look in looks:
        y += 22
        parts += frames.sample(2, y - 4, look)
        parts.append(frames.words(group.name, 46, y, frames.WIDTH - 50))
        y += 16
        for x, images in zip(ends, made.lines[key(group)].images.tolist(), strict=True):
            parts.append(svg.tag("text", brief(images), x=x, y=y, **about))
    return parts, y + 8


def brief(images: int) -> str:
    """Return a number of images in at most five letters, and a dash for none.

    Examples
    --------
    >>> brief(0), brief(9999), brief(12_345)
    ('–', '9999', '12k')
    """
    if not images:
        return "–"
    if images < 10_000:
        return str(images)
    return f"{images / 1000:.0f}k" if images < 10_000_000 else f"{images / 1e6:.0f}M"


def reliability_notes(made: Binned, texts: Texts) -> list[str]:
    """Return what is said below the picture, a sentence each."""
    found = made.found
    if not found.drawn:
        return [say(texts, "curve.none_drawn"), *left_out(found, texts)]
    empty = any((line.images == 0).any() for line in made.lines.values())
    said = [say(texts, "curve.reliability_note"), say(texts, "curve.limits_note")]
    said += [say(texts, "curve.empty_note")] if empty else []
    return said + left_out(found, texts)


def _about(made: Binned, texts: Texts) -> str:
    one = [
        say(
            texts,
            "curve.reliability_one",
            group=group.name,
            score=plain(_mean(made.lines[key(group)].score, made.lines[key(group)].images)),
            rate=plain(_mean(made.lines[key(group)].rate, made.lines[key(group)].images)),
            n=f"{group.n_images:,}",
        )
        for group in made.found.drawn
    ]
    left = made.found.left
    absent = say(texts, "curve.left", n=len(left)) if left else ""
    return " ".join([*one, absent]).strip() or say(texts, "curve.none_drawn")


def _mean(values: curves.Reals, images: Integers) -> float:
    held = images > 0
    return float(np.average(values[held], weights=images[held]))
