"""What the report is about: a finding, the candidate that reads it, its operating point."""

from dataclasses import dataclass

import polars as pl

from equipoise.figures import Span, spans
from equipoise.report.material import Material


@dataclass(frozen=True, slots=True)
class Subject:
    """One finding as one candidate reads it at one operating point.

    Parameters
    ----------
    finding, candidate
        Their names.
    operating_point
        None: no operating point, so only threshold-free metrics.
    estimates
        The rows of the table *estimates* that are about it, as they were counted.
    shrunken
        Those of its intersections, drawn to what their attributes foretell; may have no rows.
    """

    finding: str
    candidate: str
    operating_point: str | None
    estimates: pl.DataFrame
    shrunken: pl.DataFrame

    @property
    def own(self) -> list[Span]:
        """Each subgroup's own values."""
        return spans(self.estimates.filter(pl.col("contrast").is_null()))

    @property
    def metrics(self) -> list[str]:
        """The metrics there are, in the order in which they are read."""
        there = self.estimates["metric"].unique().to_list()
        known = [name for name in _METRICS if name in there]
        return known + sorted(set(there) - set(known))

    @property
    def identity(self) -> tuple[str, str, str | None]:
        """What names it."""
        return self.finding, self.candidate, self.operating_point


_SHRUNKEN = "shrunken"
_METRICS = ("sensitivity", "specificity", "auroc", "ppv", "npv", "brier")


def subjects(material: Material) -> list[Subject]:
    """Return what the report is about, finding by finding.

    Of several candidates only the one that the verdict judged or the selection chose is shown in
    full; the others stand in the table of candidates.
    """
    # What is drawn to another case mix is of other people, and in no picture of these.
    table = material.estimates.filter(pl.col("adjustment").is_in(["crude", _SHRUNKEN]))
    found = []
    for finding in table["finding"].unique(maintain_order=True).sort().to_list():
        rows = table.filter(pl.col("finding") == finding)
        for candidate in _candidates(rows, material):
            found += _at_points(rows.filter(pl.col("candidate") == candidate), finding, candidate)
    return found


def chosen(material: Material) -> str | None:
    """Return the candidate that the selection chose, if it says so."""
    name = (material.selection or {}).get("candidate")
    return name if isinstance(name, str) else None


def _candidates(rows: pl.DataFrame, material: Material) -> list[str]:
    there = [str(name) for name in rows["candidate"].unique().sort()]
    audited = (material.audit or {}).get("candidate")
    # The audit may have been told to look at another candidate than the selected one.
    for name in (audited, chosen(material)):
        if isinstance(name, str) and name in there:
            return [name]
    return there


def _at_points(rows: pl.DataFrame, finding: str, candidate: str) -> list[Subject]:
    points = rows["operating_point"].drop_nulls().unique().sort().to_list()
    free = pl.col("operating_point").is_null()
    if not points:
        return [_subject(finding, candidate, None, rows.filter(free))]
    # What needs no operating point stands once, with the first.
    return [
        _subject(
            finding,
            candidate,
            point,
            rows.filter((pl.col("operating_point") == point) | (free if place == 0 else False)),
        )
        for place, point in enumerate(points)
    ]


def _subject(finding: str, candidate: str, point: str | None, rows: pl.DataFrame) -> Subject:
    parts = (rows.filter(adjustment=name) for name in ("crude", _SHRUNKEN))
    return Subject(finding, candidate, point, *parts)
