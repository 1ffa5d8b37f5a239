"""ROC, reliability and decision curves by group, as matplotlib figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from equipoise.figures.calibrations import MOST, Binned, binned, brief, key, reliability_notes
from equipoise.figures.decisions import ALL, MODEL, NONE, decided, decision_notes
from equipoise.figures.frames import EVERYBODY, Look
from equipoise.figures.groups import Arrangement, Group, Panel, arranged
from equipoise.figures.rocs import roc_notes
from equipoise.metrics import curves
from equipoise.plots import sheets
from equipoise.words import Texts, load, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def roc(
    counts: pl.DataFrame,
    *,
    estimates: pl.DataFrame | None = None,
    level: float | None = None,
    texts: Texts | None = None,
) -> "Figure":
    """Return the ROC curve of each group as a matplotlib figure; as `figures.roc` draws it.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate; all operating points.
    estimates
        The table *estimates*: AUROC with its interval, and which groups are not assessable.
    level
        Of a pointwise band of sensitivity around each curve, as 0.95; None: no band.
    texts
        The words of the picture; None for English.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    InvalidTable
        If the counts are of several findings or candidates.

    Examples
    --------
    >>> import pytest
    >>> _ = pytest.importorskip("matplotlib")
    >>> from equipoise import metrics
    >>> table = metrics.subgroups({"sex": ["F"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> len(roc(metrics.count(people, table, candidate="probe")).axes[0].lines)
    5
    """
    words = load() if texts is None else texts
    found = arranged(counts, estimates, words)
    most = max((len(panel.groups) for panel in found.panels), default=0) + 1
    made, axes, rooms = sheets.panels(
        len(found.panels),
        title=say(words, "curve.roc_title", finding=found.finding),
        notes=roc_notes(found, words, level),
        below=0.19 * most + 0.1,
    )
    for panel, on, room in zip(found.panels, axes, rooms, strict=True):
        _roc_panel(panel, found, on, words, level)
        pairs = sheets.looks(panel, found)
        _legend(room, [(_label(group), look) for group, look in pairs])
    return made


def _roc_panel(
    panel: Panel, found: Arrangement, on: "Axes", words: Texts, level: float | None
) -> None:
    on.plot([0, 1], [0, 1], color="#4d5966", linewidth=0.8)
    for group, look in sheets.looks(panel, found):
        points = curves.roc(group.negative, group.positive)
        if level is not None and look is not EVERYBODY:
            low, high = curves.sensitivity_limits(points, group.patients_positive, level)
            on.fill_between(
                points.false_positive_rate, low, high, color=look.colour, alpha=0.14, linewidth=0
            )
        about = {"label": _label(group), **sheets.line(look)}
        on.plot(points.false_positive_rate, points.sensitivity, **about)
        across = [mark.false_positive_rate for mark in group.marks]
        up = [mark.sensitivity for mark in group.marks]
        on.plot(across, up, linestyle="none", zorder=4, **sheets.marks(look))
    _named(
        on, panel.title, say(words, "curve.false_positive_rate"), say(words, "curve.sensitivity")
    )
    on.set_aspect("equal")


def _named(on: "Axes", title: str, across: str, up: str) -> None:
    on.set_title(sheets.short(title), fontsize=10, loc="left")
    on.set_xlabel(across, fontsize=9)
    on.set_ylabel(up, fontsize=9)
    on.grid(color="#c9d1d9", linewidth=0.6)
    on.set_axisbelow(True)


def _legend(room: "Axes", named: Sequence[tuple[str, Look]], *, title: str = "") -> None:
    """Put names below the axes, each with its line and its mark."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **sheets.line(look), **sheets.marks(look)) for _, look in named]
    labels = [name for name, _ in named]
    about = {"fontsize": 7.5, "frameon": False, "borderaxespad": 0.0, "handlelength": 2.8}
    made = room.legend(
        handles, labels, title=title or None, title_fontsize=7, loc="upper left", **about
    )
    made.set_alignment("left")
    made.set_in_layout(False)  # its room is kept already; else the axes shrink


def _label(group: Group) -> str:
    return f"{sheets.short(group.name)}  {group.auroc}".rstrip()


def reliability(
    counts: pl.DataFrame,
    *,
    estimates: pl.DataFrame | None = None,
    bins: int = 10,
    texts: Texts | None = None,
) -> "Figure":
    """Return reliability by group as a matplotlib figure; as `figures.reliability` draws it.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate.
    estimates
        The table *estimates*: which groups are not assessable.
    bins
        At most so many, the same for all groups, of about as many images of everybody each.
    texts
        The words of the picture; None for English.

    Returns
    -------
    Below each panel, how many images of each group are in each bin.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    InvalidTable
        If the counts are of several findings or candidates.

    Examples
    --------
    >>> import pytest
    >>> _ = pytest.importorskip("matplotlib")
    >>> from equipoise import metrics
    >>> table = metrics.subgroups({"sex": ["F"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> len(reliability(metrics.count(people, table, candidate="probe")).axes[0].lines)
    3
    """
    words = load() if texts is None else texts
    prepared = binned(counts, estimates, words, bins=bins)
    made, axes, rooms = sheets.panels(
        len(prepared.found.panels),
        title=say(words, "curve.reliability_title", finding=prepared.found.finding),
        notes=reliability_notes(prepared, words),
        width=4.2,
        height=4.2,
        below=0.36 * (MOST + 1) + 0.4,
    )
    starts = (prepared.edges[:-1] / prepared.edges[-1]).tolist()
    sizes = f"{say(words, 'curve.sizes')}:\n{', '.join(f'{at:.2f}' for at in starts)}"
    for panel, on, room in zip(prepared.found.panels, axes, rooms, strict=True):
        _reliability_panel(panel, prepared, on, words)
        pairs = sheets.looks(panel, prepared.found)
        _legend(room, [(_counted(group, prepared), look) for group, look in pairs], title=sizes)
    return made


def _reliability_panel(panel: Panel, prepared: Binned, on: "Axes", words: Texts) -> None:
    top = prepared.top
    on.plot([0, top], [0, top], color="#4d5966", linewidth=0.8)
    for group, look in sheets.looks(panel, prepared.found):
        found = prepared.lines[key(group)]
        about = {**sheets.line(look), **sheets.marks(look)}
        if look is EVERYBODY:
            on.plot(found.score, found.rate, label=sheets.short(group.name), **about)
            continue
        spread = [found.rate - found.low, found.high - found.rate]
        on.errorbar(
            found.score, found.rate, yerr=spread, label=sheets.short(group.name),
            elinewidth=1.0, **about,
        )  # fmt: skip
    _named(on, panel.title, say(words, "curve.mean_score"), say(words, "curve.observed"))
    on.set_xlim(-0.02 * top, 1.02 * top)
    on.set_ylim(-0.02 * top, 1.02 * top)
    on.set_aspect("equal")


def _counted(group: Group, prepared: Binned) -> str:
    """Return a group's name and, below it, how many of its images are in each bin."""
    n = [brief(images) for images in prepared.lines[key(group)].images.tolist()]
    return f"{sheets.short(group.name)}\n{', '.join(n)}"


def decision(
    counts: pl.DataFrame,
    *,
    estimates: pl.DataFrame | None = None,
    upto: float = 1.0,
    texts: Texts | None = None,
) -> "Figure":
    """Return decision curves by group as a matplotlib figure; as `figures.decision` draws them.

    Parameters
    ----------
    counts
        The table *counts*, of one finding and candidate.
    estimates
        The table *estimates*: which groups are not assessable.
    upto
        The highest threshold probability that is drawn, in (0, 1].
    texts
        The words of the picture; None for English.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    InvalidTable
        If the counts are of several findings or candidates.

    Examples
    --------
    >>> import pytest
    >>> _ = pytest.importorskip("matplotlib")
    >>> from equipoise import metrics
    >>> table = metrics.subgroups({"sex": ["F"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> len(decision(metrics.count(people, table, candidate="probe")).axes)
    2
    """
    words = load() if texts is None else texts
    prepared = decided(counts, estimates, words, upto=upto)
    made, axes, _ = sheets.panels(
        len(prepared.groups),
        title=say(words, "curve.decision_title", finding=prepared.found.finding),
        notes=decision_notes(prepared, words),
        height=2.6,
    )
    for place, ((group, line), on) in enumerate(zip(prepared.groups, axes, strict=True)):
        on.axhline(0.0, label=say(words, "curve.call_none"), **sheets.line(NONE))
        _curve(on, line.threshold, line.everyone, ALL, say(words, "curve.call_all"))
        _curve(on, line.threshold, line.model, MODEL, say(words, "curve.by_score"))
        on.set_xlim(0.0, prepared.upto)
        on.set_ylim(prepared.low, prepared.high)
        _named(
            on, _sized(group, words), say(words, "curve.threshold"), say(words, "curve.net_benefit")
        )
        if place == 0:
            on.legend(fontsize=8, frameon=False, loc="upper right")
    return made


def _curve(on: "Axes", across: curves.Reals, up: curves.Reals, look: Look, name: str) -> None:
    on.plot(across, up, label=name, **sheets.line(look))


def _sized(group: Group, words: Texts) -> str:
    n = say(words, "curve.n_images", n=f"{group.n_images:,}")
    return f"{group.name if len(group.name) < 24 else group.name[:23] + '…'}, {n}"
