"""Which groups of a table of counts are drawn, in which panel, and which are not, with why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.figures.numbers import bracketed
from equipoise.figures.reasons import bare_reason, short_reason
from equipoise.figures.rows import family_name
from equipoise.figures.spans import Span, attributes_of, spans
from equipoise.words import Texts, say

Integers = npt.NDArray[np.int64]
Levels = tuple[tuple[str, str], ...]

MOST = 6
"""Groups in a panel, besides everybody: as many looks can be told apart."""

_JUDGES = ("auroc", "brier")
"""The metric that says whether a group is assessable: the first that was audited."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An operating point, from the cells of the confusion matrix.

    Parameters
    ----------
    name
        The operating point.
    false_positive_rate, sensitivity
        Where it lies; exactly, not on the levels of the histogram.
    """

    name: str
    false_positive_rate: float
    sensitivity: float


@dataclass(frozen=True, slots=True)
class Group:
    """A subgroup that can be drawn.

    Parameters
    ----------
    subgroup
        Attribute → level; empty = everybody.
    name
        Its levels, or the word for everybody; with the attributes where the levels alone would
        name several groups.
    negative, positive
        Images at each level of the score, ascending.
    n_images, n_patients, patients_positive
        Its size.
    marks
        Its operating points.
    auroc
        Its AUROC with its pointwise 95 % interval, as it is read; empty where it is not known.
    """

    subgroup: Mapping[str, str]
    name: str
    negative: Integers
    positive: Integers
    n_images: int
    n_patients: int
    patients_positive: int
    marks: tuple[Mark, ...] = ()
    auroc: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """Groups that are drawn together.

    Parameters
    ----------
    title
        What the groups are levels of; empty where there is one panel.
    groups
        At most `MOST`.
    """

    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is drawn of a table of counts.

    Parameters
    ----------
    finding, candidate
        What the counts are of.
    everybody
        Drawn in each panel; None where everybody is not assessable.
    panels
        One where all groups fit into it; else one or more per family. Empty if no group can be
        drawn.
    left
        The groups that are not drawn: name, and why.
    points
        The operating points.
    exploratory
        Whether any of the groups is.
    """

    finding: str
    candidate: str
    everybody: Group | None
    panels: tuple[Panel, ...]
    left: tuple[tuple[str, str], ...]
    points: tuple[str, ...]
    exploratory: bool

    @property
    def drawn(self) -> tuple[Group, ...]:
        """Everybody that is drawn, each once."""
        first = () if self.everybody is None else (self.everybody,)
        return (*first, *(group for panel in self.panels for group in panel.groups))


def arranged(
    counts: pl.DataFrame, estimates: pl.DataFrame | None, texts: Texts, *, most: int = MOST
) -> Arrangement:
    """Return what is drawn of the counts of one finding and candidate.

    Parameters
    ----------
    counts
        The table *counts*; all operating points.
    estimates
        The table *estimates*; a group that it calls not assessable is left out. None: a group is
        left out only if it lacks a class.
    texts
        The words.
    most
        Groups in a panel.

    Raises
    ------
    InvalidTable
        If the counts are of several findings or candidates, or of none.

    Examples
    --------
    >>> from equipoise import metrics, words
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> made = arranged(metrics.count(people, table, candidate="probe"), None, words.load())
    >>> [group.name for group in made.drawn], made.left
    (['Everybody', 'F'], (('M', '0 images with the finding, 0 without'),))
    """
    finding, candidate = _only(counts, "finding"), _only(counts, "candidate")
    judged = _judged(estimates, finding, candidate)
    grouped = _by_levels(counts)
    names = _names(list(grouped), texts)
    found: dict[Levels, Group] = {}
    left: dict[Levels, tuple[str, str]] = {}
    for levels, rows in grouped.items():
        span = judged.get(levels)
        reason = _reason(rows[0], span, texts)
        if reason is None:
            found[levels] = _group(dict(levels), rows, span, names[levels])
        else:
            left[levels] = (names[levels], reason)
    everybody = found.pop((), None)
    order = attributes_of(counts)
    kept = sorted(found.values(), key=lambda g: (len(g.subgroup), *map(order.index, g.subgroup)))
    return Arrangement(
        finding=finding,
        candidate=candidate,
        everybody=everybody,
        panels=_panels(kept, everybody, texts, most),
        left=tuple(left.values()),
        points=tuple(counts["operating_point"].drop_nulls().unique(maintain_order=True)),
        exploratory=bool(counts["exploratory"].any()),
    )


def _only(counts: pl.DataFrame, column: str) -> str:
    found = counts[column].unique(maintain_order=True).to_list()
    if len(found) != 1:
        raise InvalidTable(f"counts: a figure is of one {column}; got {found}")
    return str(found[0])


def _by_levels(counts: pl.DataFrame) -> dict[Levels, list[Mapping[str, object]]]:
    """Return the rows of each subgroup, one per operating point."""
    names = attributes_of(counts)
    found: dict[Levels, list[Mapping[str, object]]] = {}
    for row in counts.iter_rows(named=True):
        levels = tuple((name, str(row[name])) for name in names if row[name] is not None)
        found.setdefault(levels, []).append(row)
    return found


def _judged(estimates: pl.DataFrame | None, finding: str, candidate: str) -> dict[Levels, Span]:
    if estimates is None:
        return {}
    own = estimates.filter(
        pl.col("contrast").is_null(), finding=finding, candidate=candidate, adjustment="crude"
    )
    audited = own["metric"].unique().to_list()
    metric = next((name for name in _JUDGES if name in audited), None)
    chosen = spans(own.filter(pl.col("metric") == metric)) if metric else []
    return {tuple(span.subgroup.items()): span for span in chosen}


def _reason(row: Mapping[str, object], span: Span | None, texts: Texts) -> str | None:
    """Return why a group is not drawn, or None."""
    if span is not None and span.value is None:
        return short_reason(bare_reason(span, texts), texts)
    n_positive, n_negative = row["n_positive"], row["n_negative"]
    if not n_positive or not n_negative:
        return say(texts, "curve.one_class", positive=n_positive, negative=n_negative)
    return None


def _group(
    subgroup: Mapping[str, str],
    rows: Sequence[Mapping[str, object]],
    span: Span | None,
    name: str,
) -> Group:
    first = rows[0]
    known = span is not None and span.metric == "auroc"
    return Group(
        subgroup=subgroup,
        name=name,
        negative=np.array(first["histogram_negative"], dtype=np.int64),
        positive=np.array(first["histogram_positive"], dtype=np.int64),
        n_images=int(str(first["n_images"])),
        n_patients=int(str(first["n_patients"])),
        patients_positive=int(str(first["patients_positive"])),
        marks=tuple(mark for row in rows if (mark := _mark(row)) is not None),
        auroc=bracketed(span.value, span.within("pointwise", 0.95)) if known and span else "",
    )


def _mark(row: Mapping[str, object]) -> Mark | None:
    cells = [row[name] for name in ("tp", "fp", "tn", "fn")]
    if row["operating_point"] is None or not all(isinstance(cell, int) for cell in cells):
        return None
    tp, fp, tn, fn = (int(str(cell)) for cell in cells)
    if not tp + fn or not fp + tn:
        return None
    return Mark(str(row["operating_point"]), fp / (fp + tn), tp / (tp + fn))


def _names(groups: Sequence[Levels], texts: Texts) -> dict[Levels, str]:
    """Return a name for each group; two attributes may both have a level ``unknown``."""
    short = {
        levels: " · ".join(level for _, level in levels) or say(texts, "group.everybody")
        for levels in groups
    }
    shared = {name for name, n in Counter(short.values()).items() if n > 1}
    return {
        levels: f"{name} ({family_name([a for a, _ in levels], texts)})"
        if levels and name in shared
        else name
        for levels, name in short.items()
    }


def _panels(
    kept: Sequence[Group], everybody: Group | None, texts: Texts, most: int
) -> tuple[Panel, ...]:
    if len(kept) <= most:
        return (Panel("", tuple(kept)),) if kept or everybody else ()
    families: dict[tuple[str, ...], list[Group]] = {}
    for group in kept:
        families.setdefault(tuple(group.subgroup), []).append(group)
    made = []
    for family, members in families.items():
        title = family_name(family, texts)
        parts = [members[start : start + most] for start in range(0, len(members), most)]
        for place, part in enumerate(parts, start=1):
            many = {"title": title, "place": place, "n": len(parts)}
            named = say(texts, "curve.part_of", **many) if len(parts) > 1 else title
            made.append(Panel(named, tuple(part)))
    return tuple(made)
