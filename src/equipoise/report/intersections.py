"""Small intersections: a group's own value, and what is likely of it given its attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl
from markupsafe import Markup

from equipoise import figures
from equipoise.figures import Span, attributes_of, spans, subgroup_key
from equipoise.report.subjects import Subject
from equipoise.words import Texts

_NOTHING = 1e-9
"""Values that differ by less are one value carried to the logit scale and back."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One metric of one intersection, twice.

    Parameters
    ----------
    own
        Its own value; None within it where it is not assessable.
    shrunken
        The same drawn to the main effects of its attributes (see `equipoise.metrics.shrinkage`).
    """

    own: Span
    shrunken: Span

    def as_json(self) -> dict[str, object]:
        """Return both as ``report.json`` holds them."""
        return {
            "subgroup": dict(self.own.subgroup),
            "metric": self.own.metric,
            "own": _numbers(self.own),
            "shrunken": _numbers(self.shrunken),
            "status": self.shrunken.status,
            "reason": self.shrunken.reason,
        }


def drawn(subject: Subject) -> list[Drawn]:
    """Return the intersections that have a shrunken value, in the order of the audit.

    Parameters
    ----------
    subject
        The finding, candidate and operating point.
    """
    own = {(span.metric, subgroup_key(span.subgroup)): span for span in subject.own}
    found = []
    for span in spans(subject.shrunken):
        crude = own.get((span.metric, subgroup_key(span.subgroup)))
        if crude is not None:
            found.append(Drawn(crude, span))
    order = {name: place for place, name in enumerate(subject.metrics)}
    return sorted(found, key=lambda one: order[one.own.metric])


def view(subject: Subject, metric: str, identity: str, texts: Texts) -> dict[str, object]:
    """Return picture and table of one metric's intersections.

    The picture is empty where nothing was drawn in, as of too few groups: it would say twice what
    the other one says.

    Parameters
    ----------
    subject
        The finding, candidate and operating point.
    metric
        The metric.
    identity
        What the ids in the picture start with.
    texts
        The words.
    """
    mine = replace(
        subject,
        estimates=subject.estimates.filter(pl.col("metric") == metric),
        shrunken=subject.shrunken.filter(pl.col("metric") == metric),
    )
    rows = drawn(mine)
    if not _moved(rows):
        return {"rows": rows, "picture": Markup()}
    both = pl.concat([mine.estimates, mine.shrunken], how="diagonal_relaxed")
    width = pl.sum_horizontal(pl.col(name).is_not_null() for name in attributes_of(both))
    picture = figures.forest(both.filter(width != 1), metric=metric, texts=texts, identity=identity)
    return {"rows": rows, "picture": Markup(picture)}  # noqa: S704  figures escape what they draw


def _moved(rows: Sequence[Drawn]) -> bool:
    """Return whether any group was drawn in; 0 and 1 move by half an event even where none was."""
    return any(
        one.own.value is None or abs(one.own.value - one.shrunken.value) > _NOTHING
        for one in rows
        if one.shrunken.value is not None and one.own.value not in {0.0, 1.0}
    )


def _numbers(span: Span) -> Mapping[str, float | None]:
    low, high = span.within("pointwise", 0.95) or (None, None)
    return {"value": span.value, "low": low, "high": high}
