"""Values of one metric by subgroup, with their limits: a forest."""

import itertools
from collections.abc import Mapping, Sequence

import polars as pl
from markupsafe import Markup

from equipoise.figures import rows, svg
from equipoise.figures.numbers import bracketed
from equipoise.figures.reasons import bare_reason, short_reason
from equipoise.figures.spans import Span, spans
from equipoise.words import Texts, named, say

_LEFT, _RIGHT = rows.LABELS + 10, 596.0
_VALUE, _PATIENTS, _IMAGES = 748.0, 816.0, 878.0


def forest(
    estimates: pl.DataFrame,
    *,
    metric: str,
    texts: Texts,
    identity: str = "forest",
    floor: float | None = None,
) -> str:
    """Return a picture of each subgroup's own value of one metric.

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
    floor
        The least a group's value may be, if a policy says so; drawn as a dotted line.

    Returns
    -------
    An SVG. The thick line is the pointwise 95 % interval, the thin one the simultaneous. A
    subgroup without a value keeps its row and says why. An adjusted value, as one shrunken towards
    the others, stands as a hollow diamond below the crude one.

    Examples
    --------
    >>> from equipoise.words import load
    >>> forest(pl.DataFrame(schema={"metric": pl.String, "contrast": pl.String}),
    ...        metric="auroc", texts=load("en")).startswith("<svg")
    True
    """
    found, beside = own_values(estimates, metric)
    placed, heads = rows.placed(found, texts, beside)
    below = len(beside.get(rows.subgroup_text(placed[-1][1]), ())) if placed else 0
    bottom = (placed[-1][0] if placed else rows.TOP) + rows.ROW / 2 + 2 + rows.BESIDE * below
    everything = [*found, *itertools.chain(*beside.values())]
    axis = rows.axis_over(_values(everything, floor), left=_LEFT, right=_RIGHT)
    title = say(texts, "figure.forest_title", metric=named(texts, "metric", metric))
    parts = svg.canvas(
        identity, rows.WIDTH, bottom + 26, title=title, about=_about(found, beside, texts)
    )
    parts += [
        svg.tag("defs", svg.hatch(f"{identity}-hatch", svg.RULE)),
        *rows.grid(axis, rows.TOP, bottom),
        *_columns(texts),
        *_lines(axis, found, floor, bottom),
        *heads,
    ]
    for y, span in placed:
        parts += _row(span, y, axis, texts, identity)
        for place, other in enumerate(beside.get(rows.subgroup_text(span), ()), start=1):
            parts += _beside(other, y + rows.BESIDE * place, axis, texts)
    return svg.close(parts)


def own_values(
    estimates: pl.DataFrame, metric: str
) -> tuple[list[Span], dict[str, tuple[Span, ...]]]:
    """Return each subgroup's own value of a metric, and its adjusted values beside it.

    Parameters
    ----------
    estimates
        The table *estimates*, of one finding, candidate and operating point.
    metric
        The metric.

    Returns
    -------
    The crude values, and the others by subgroup as `rows.subgroup_text` writes it.

    Examples
    --------
    >>> own_values(pl.DataFrame(schema={"metric": pl.String, "contrast": pl.String}), "auroc")
    ([], {})
    """
    found = spans(estimates.filter(pl.col("metric") == metric, pl.col("contrast").is_null()))
    crude = [span for span in found if span.adjustment == "crude"]
    beside: dict[str, tuple[Span, ...]] = {}
    for span in found:
        if span.adjustment != "crude":
            key = rows.subgroup_text(span)
            beside[key] = (*beside.get(key, ()), span)
    return crude, beside


def _beside(span: Span, y: float, axis: rows.Axis, texts: Texts) -> list[Markup]:
    """Return a value that was adjusted, in small below the crude one."""
    name = named(texts, "adjustment", span.adjustment)
    shown = svg.lines_of(name, rows.LABELS - 32, size=11.5, most=1)[0]
    about = {"x": 24.0, "y": y + 4.5, "font_size": 11.5}
    label = svg.tag("text", svg.tag("title", name), shown, fill=svg.MUTED, **about)
    narrow = span.within("pointwise", 0.95)
    said = rows.cell(bracketed(span.value, narrow), _VALUE, y, size=11.5, muted=True)
    if span.value is None:
        return [label, said]
    line: svg.Attributes = {"y1": y, "y2": y, "stroke": svg.MUTED, "stroke_width": 1.5}
    limits = (
        []
        if narrow is None
        else [svg.tag("line", x1=axis.x(narrow[0]), x2=axis.x(narrow[1]), **line)]
    )
    return [label, *limits, rows.diamond(axis, y, span.value), said]


def _row(span: Span, y: float, axis: rows.Axis, texts: Texts, identity: str) -> list[Markup]:
    indent = 12 if span.family else 0
    parts = [rows.label(rows.row_name(span, texts), y, indent=indent, bold=not span.family)]
    narrow = span.within("pointwise", 0.95)
    if span.value is None:
        reason = short_reason(bare_reason(span, texts), texts)
        words = say(texts, "figure.not_assessable", reason=reason)
        parts += rows.missing(axis, y, words, identity, right=_VALUE)
    else:
        parts += rows.limits(axis, y, narrow, span.within("simultaneous", 0.95))
        parts += [
            rows.marker(axis, y, span.value),
            rows.cell(bracketed(span.value, narrow), _VALUE, y),
        ]
    judged = span.n_positive + span.n_negative if span.trials is None else span.trials
    return [
        *parts,
        rows.cell(f"{span.n_patients:,}", _PATIENTS, y, muted=True),
        rows.cell(f"{judged:,}", _IMAGES, y, muted=True),
    ]


def _columns(texts: Texts) -> list[Markup]:
    heads = {"figure.value": _VALUE, "figure.patients": _PATIENTS, "figure.images": _IMAGES}
    return [rows.cell(say(texts, key), x, 12, size=12, muted=True) for key, x in heads.items()]


def _lines(
    axis: rows.Axis, found: Sequence[Span], floor: float | None, bottom: float
) -> list[Markup]:
    parts = []
    overall = next((s.value for s in found if not s.family), None)
    for value, dash, colour in ((overall, "5 4", svg.MUTED), (floor, "1.5 4", svg.VERMILION)):
        if value is not None:
            x = axis.x(value)
            width = 1.2 if dash == "5 4" else 2.4
            parts.append(
                svg.tag(
                    "line",
                    x1=x,
                    x2=x,
                    y1=rows.TOP,
                    y2=bottom,
                    stroke=colour,
                    stroke_width=width,
                    stroke_dasharray=dash,
                    stroke_linecap="round",
                )
            )
    return parts


def _values(found: Sequence[Span], floor: float | None) -> list[float]:
    limits = [bound for span in found for pair in span.limits.values() for bound in pair]
    values = [span.value for span in found if span.value is not None]
    return [*limits, *values, *([] if floor is None else [floor])]


def _about(found: Sequence[Span], beside: Mapping[str, Sequence[Span]], texts: Texts) -> str:
    known = [(s.value, rows.row_name(s, texts)) for s in found if s.value is not None]
    absent = len(found) - len(known)
    if not known:
        return say(texts, "figure.nothing", absent=absent)
    (low, lowest), (high, highest) = min(known), max(known)
    said = say(
        texts,
        "figure.forest_about",
        n=len(found),
        low=f"{low:.3f}",
        lowest=lowest,
        high=f"{high:.3f}",
        highest=highest,
        absent=absent,
    )
    adjusted = sum(span.value is not None for part in beside.values() for span in part)
    return f"{said} {say(texts, 'figure.forest_beside', n=adjusted)}" if adjusted else said
