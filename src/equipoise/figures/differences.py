"""Differences between groups beside the tolerance they are held against."""

from collections.abc import Mapping, Sequence

import polars as pl
from markupsafe import Markup

from equipoise.figures import rows, svg
from equipoise.figures.numbers import signed_bracketed
from equipoise.figures.reasons import bare_reason, short_reason
from equipoise.figures.spans import Span, spans
from equipoise.words import Texts, named, say

_LEFT, _RIGHT = rows.LABELS + 10, 566.0
_VALUE, _OUTCOME = 738.0, 752.0
SYMBOLS = {"pass": "✓", "fail": "✕", "inconclusive": "?", "not assessable": "∅"}
"""Beside the word, for those who skim; never instead of it."""

Key = tuple[tuple[str, str], ...]


def contrasts(
    estimates: pl.DataFrame,
    *,
    metric: str,
    texts: Texts,
    identity: str = "contrasts",
    tolerance: float | None = None,
    outcomes: Mapping[Key, str] | None = None,
) -> str:
    """Return a picture of the differences of one metric, with the tolerance as a band.

    Parameters
    ----------
    estimates
        The table *estimates*, of one finding, candidate and operating point.
    metric
        The metric to draw.
    texts
        The words of the picture.
    identity
        What the ids in the picture start with; differs between the pictures of a page.
    tolerance
        The difference that a policy bears with, in either direction; None: no band.
    outcomes
        The outcome of the criterion by subgroup, as `subgroup_key` names it.

    Returns
    -------
    An SVG. The thick line is the pointwise 90 % interval, the thin one the simultaneous 95 %.

    Examples
    --------
    >>> from equipoise.words import load
    >>> empty = pl.DataFrame(schema={"metric": pl.String, "contrast": pl.String})
    >>> contrasts(empty, metric="auroc", texts=load("en")).count("</svg>")
    1
    """
    chosen = (pl.col("metric") == metric) & pl.col("contrast").is_in(["reference", "rest"])
    found = spans(estimates.filter(chosen))
    placed, heads = rows.placed(found, texts)
    bottom = (placed[-1][0] if placed else rows.TOP) + rows.ROW / 2 + 2
    axis = rows.axis_over(_values(found, tolerance), left=_LEFT, right=_RIGHT)
    title = say(texts, "figure.contrasts_title", metric=named(texts, "metric", metric))
    about = _about(found, tolerance, outcomes or {}, texts)
    parts = svg.canvas(identity, rows.WIDTH, bottom + 26, title=title, about=about)
    parts += [
        svg.tag("defs", svg.hatch(f"{identity}-hatch", svg.RULE), _dots(f"{identity}-dots")),
        *_band(axis, tolerance, bottom, identity),
        *rows.grid(axis, rows.TOP, bottom),
        _zero(axis, bottom),
        *_columns(texts, outcomes),
        *heads,
    ]
    for y, span in placed:
        parts += _row(span, y, axis, texts, identity)
        if outcomes:
            parts += _outcome(outcomes.get(subgroup_key(span.subgroup)), y, texts)
    return svg.close(parts)


def subgroup_key(subgroup: Mapping[str, str]) -> Key:
    """Return a subgroup as something that can be looked up, whatever the order of attributes.

    Examples
    --------
    >>> subgroup_key({"sex": "F", "age_band": "60+"})
    (('age_band', '60+'), ('sex', 'F'))
    """
    return tuple(sorted(subgroup.items()))


def _row(span: Span, y: float, axis: rows.Axis, texts: Texts, identity: str) -> list[Markup]:
    parts = [rows.label(contrast_name(span, texts), y, indent=12)]
    wide = span.within("simultaneous", 0.95)
    if span.value is None:
        reason = short_reason(bare_reason(span, texts), texts)
        words = say(texts, "figure.not_assessable", reason=reason)
        return [*parts, *rows.missing(axis, y, words, identity, right=_VALUE)]
    narrow = span.within("pointwise", 0.90) or span.within("pointwise", 0.95)
    return [
        *parts,
        *rows.limits(axis, y, narrow, wide),
        rows.marker(axis, y, span.value),
        rows.cell(signed_bracketed(span.value, wide or narrow), _VALUE, y),
    ]


def contrast_name(span: Span, texts: Texts) -> str:
    """Return what is compared with what, within the subgroup's family.

    Examples
    --------
    >>> from equipoise import words
    >>> span = Span({"sex": "F"}, "auroc", "rest", "rest", 0.8, 9, 9, 4, 5, "assessed", "")
    >>> contrast_name(span, words.load())
    'F − rest'
    """
    group = rows.row_name(span, texts)
    if span.contrast == "rest" or span.against is None:
        against = say(texts, "figure.rest")
    elif len(span.family) == 1:
        against = span.against.removeprefix(f"{span.family[0]}=")
    else:
        against = span.against
    said = say(texts, "figure.against", group=group, against=against)
    adjusted = span.adjustment != "crude"
    return f"{said} ({named(texts, 'adjustment', span.adjustment)})" if adjusted else said


def _band(axis: rows.Axis, tolerance: float | None, bottom: float, identity: str) -> list[Markup]:
    if tolerance is None:
        return []
    low, high = axis.x(-tolerance), axis.x(tolerance)
    box = {"x": low, "y": rows.TOP, "width": high - low, "height": bottom - rows.TOP}
    edges = [
        svg.tag("line", x1=x, x2=x, y1=rows.TOP, y2=bottom, stroke=svg.GREEN, stroke_width=1.5)
        for x in (low, high)
    ]
    return [
        svg.tag("rect", fill="#e3f3ee", **box),
        svg.tag("rect", fill=f"url(#{identity}-dots)", **box),
        *edges,
    ]


def _dots(identity: str) -> Markup:
    dot = svg.tag("circle", cx=4, cy=4, r=0.9, fill=svg.GREEN)
    return svg.tag("pattern", dot, id=identity, width=9, height=9, patternUnits="userSpaceOnUse")


def _zero(axis: rows.Axis, bottom: float) -> Markup:
    x = axis.x(0)
    return svg.tag("line", x1=x, x2=x, y1=rows.TOP, y2=bottom, stroke=svg.INK, stroke_width=1.2)


def _columns(texts: Texts, outcomes: Mapping[Key, str] | None) -> list[Markup]:
    parts = [rows.cell(say(texts, "figure.difference"), _VALUE, 12, size=12, muted=True)]
    if outcomes:
        text = say(texts, "figure.outcome")
        parts.append(svg.tag("text", text, x=_OUTCOME, y=16.5, font_size=12, fill=svg.MUTED))
    return parts


def _outcome(outcome: str | None, y: float, texts: Texts) -> list[Markup]:
    if outcome is None:
        judged = say(texts, "state.not_judged")
        return [svg.tag("text", judged, x=_OUTCOME, y=y + 4.5, fill=svg.MUTED)]
    words = f"{SYMBOLS.get(outcome, '')} {named(texts, 'verdict', outcome)}"
    weight = 700 if outcome == "fail" else None
    return [svg.tag("text", words, x=_OUTCOME, y=y + 4.5, font_weight=weight)]


def _values(found: Sequence[Span], tolerance: float | None) -> list[float]:
    limits = [bound for span in found for pair in span.limits.values() for bound in pair]
    values = [span.value for span in found if span.value is not None]
    edge = 0.0 if tolerance is None else 1.25 * tolerance
    return [*limits, *values, -edge, edge, 0.0]


def _about(
    found: Sequence[Span],
    tolerance: float | None,
    outcomes: Mapping[Key, str],
    texts: Texts,
) -> str:
    held = say(texts, "state.none") if tolerance is None else f"±{tolerance:g}"
    failing = [s for s in found if outcomes.get(subgroup_key(s.subgroup)) == "fail"]
    names = ", ".join(contrast_name(span, texts) for span in failing)
    return say(
        texts,
        "figure.contrasts_about",
        n=len(found),
        tolerance=held,
        failing=names or say(texts, "state.none"),
        absent=sum(span.value is None for span in found),
    )
