"""Values of one metric by subgroup, with their limits, as a matplotlib figure."""

from typing import TYPE_CHECKING

import polars as pl

from equipoise.figures.forests import own_values
from equipoise.figures.numbers import bracketed
from equipoise.figures.reasons import bare_reason, short_reason
from equipoise.figures.rows import family_name, row_name, subgroup_text
from equipoise.figures.spans import Span
from equipoise.plots import sheets
from equipoise.words import Texts, load, named, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _MUTED, _BLUE = "#1b2430", "#4d5966", "#0072b2"


def forest(
    estimates: pl.DataFrame,
    *,
    metric: str,
    floor: float | None = None,
    texts: Texts | None = None,
) -> "Figure":
    """Return each subgroup's own value of one metric; as `figures.forest` draws it.

    Parameters
    ----------
    estimates
        The table *estimates*, of one finding, candidate and operating point.
    metric
        The metric to draw.
    floor
        The least a group's value may be, if a policy says so; drawn as a dotted line.
    texts
        The words of the picture; None for English.

    Returns
    -------
    The thick line is the pointwise 95 % interval, the thin one the simultaneous; a hollow diamond
    is an adjusted value. A subgroup without a value keeps its row and says why.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> import pytest
    >>> _ = pytest.importorskip("matplotlib")
    >>> empty = pl.DataFrame(schema={"metric": pl.String, "contrast": pl.String})
    >>> len(forest(empty, metric="auroc").axes)
    1
    """
    words = load() if texts is None else texts
    found, beside = own_values(estimates, metric)
    rows: list[tuple[Span, bool]] = []
    for span in found:
        rows += [(span, False)]
        rows += [(other, True) for other in beside.get(subgroup_text(span), ())]
    made = sheets.sheet(8.0, 1.2 + 0.26 * max(len(rows), 1))
    on = made.subplots()
    for place, (span, adjusted) in enumerate(rows):
        _row(on, span, place, words, adjusted=adjusted)
    _lines(on, found, floor)
    _labels(on, rows, words)
    title = say(words, "figure.forest_title", metric=named(words, "metric", metric))
    on.set_title(sheets.plain(title), fontsize=11, loc="left")
    return made


def _row(on: "Axes", span: Span, place: int, words: Texts, *, adjusted: bool) -> None:
    if span.value is None:
        reason = short_reason(bare_reason(span, words), words)
        said = sheets.short(say(words, "figure.not_assessable", reason=reason), 70)
        on.text(0.01, place, said, fontsize=8, color=_MUTED, va="center",
                transform=on.get_yaxis_transform())  # fmt: skip
        return
    narrow, wide = span.within("pointwise", 0.95), span.within("simultaneous", 0.95)
    if wide is not None and not adjusted:
        on.plot(wide, [place, place], color=_INK, linewidth=1.0, marker="|", markersize=6)
    if narrow is not None:
        about = (_MUTED, 1.2) if adjusted else (_BLUE, 3.6)
        on.plot(narrow, [place, place], color=about[0], linewidth=about[1], solid_capstyle="butt")
    fill = "none" if adjusted else "white"
    shape, ink = ("D", _MUTED) if adjusted else ("o", _INK)
    on.plot([span.value], [place], marker=shape, markerfacecolor=fill, markeredgecolor=ink,
            markersize=6, linestyle="none", zorder=4)  # fmt: skip


def _lines(on: "Axes", found: list[Span], floor: float | None) -> None:
    overall = next((span.value for span in found if not span.family), None)
    if overall is not None:
        on.axvline(overall, color=_MUTED, linewidth=0.9, linestyle=(0, (5, 4)), zorder=0)
    if floor is not None:
        on.axvline(floor, color="#d55e00", linewidth=1.8, linestyle=(0, (1, 2)), zorder=0)


def _labels(on: "Axes", rows: list[tuple[Span, bool]], words: Texts) -> None:
    """Write the names at the left, values with their limits at the right."""
    names, values = [], []
    for span, adjusted in rows:
        family = f" ({family_name(span.family, words)})" if span.family else ""
        own = named(words, "adjustment", span.adjustment)
        names.append(sheets.short(own if adjusted else row_name(span, words) + family, 44))
        values.append(bracketed(span.value, span.within("pointwise", 0.95)))
    places = list(range(len(rows)))
    on.set_ylim(len(rows) - 0.4, -0.6)
    on.set_yticks(places, names, fontsize=8)
    right = on.secondary_yaxis("right")
    right.set_yticks(places, values, fontsize=8)
    for side in (on, right):
        side.tick_params(axis="y", length=0)
    for edge in ("top", "right", "left"):
        on.spines[edge].set_visible(False)
    right.spines["right"].set_visible(False)
    on.grid(axis="x", color="#c9d1d9", linewidth=0.6)
    on.set_axisbelow(True)
