"""What is asked: every contrast and floor of the bundle's policy, each direction by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from equipoise import bundles, metrics
from equipoise.metrics import UNKNOWN
from equipoise.policies import Criterion, Floor

RATES = ("sensitivity", "specificity", "ppv", "npv")
KNOWN = (*RATES, "auroc", "brier")

Direction = Literal["below", "above"]


@dataclass(frozen=True, slots=True)
class Question:
    """One hypothesis of one criterion, to be refuted by labelled cases.

    Parameters
    ----------
    kind
        *contrast* or *floor*.
    name
        Of the criterion or floor.
    metric, finding
        What is measured.
    point, threshold
        Operating point, for a rate.
    subgroup
        Attribute → level; empty = everybody.
    contrast, against
        *reference* or *rest*, and in words; None for a floor.
    other
        Attribute → level of the reference; empty for the rest and for a floor.
    bound
        Tolerance or floor.
    direction
        Whether the group is suspected to be *below* the other, or *above* it.
    """

    kind: Literal["contrast", "floor"]
    name: str
    metric: str
    finding: str
    point: str | None
    threshold: float | None
    subgroup: Mapping[str, str]
    contrast: Literal["reference", "rest"] | None
    against: str | None
    other: Mapping[str, str]
    bound: float
    direction: Direction

    @property
    def group(self) -> str:
        """The subgroup in words."""
        return metrics.named(dict(self.subgroup))

    @property
    def about(self) -> tuple[object, ...]:
        """What both directions of one contrast share."""
        return (self.kind, self.name, self.metric, self.finding, self.point, self.group)

    def first(self, frame: pl.DataFrame) -> pl.Series:
        """Return which rows are of the group."""
        return _inside(frame, self.subgroup)

    def second(self, frame: pl.DataFrame) -> pl.Series:
        """Return which rows are of what it is compared with."""
        if self.contrast == "reference":
            return _inside(frame, self.other)
        known = pl.Series([True]).new_from_index(0, frame.height)
        for name in self.subgroup:
            known &= frame[name] != UNKNOWN
        return known & ~self.first(frame)


@dataclass(frozen=True, slots=True)
class Asked:
    """All questions of a policy.

    Parameters
    ----------
    questions
        Those that labelled cases can answer.
    vain
        Criterion → why it, or a part of it, cannot be asked of this bundle.
    """

    questions: tuple[Question, ...]
    vain: Mapping[str, str]


def asked(bundle: bundles.Bundle) -> Asked:
    """Return what a bundle's policy asks of its cases.

    A contrast is asked both ways: that the group is worse by more than is tolerated, and that it
    is better. Of two levels compared with each other's rest the second is the first turned round,
    and is asked once.
    """
    found: list[Question] = []
    vain: dict[str, str] = {}
    parts: list[Criterion | Floor] = [*bundle.policy.criteria, *bundle.policy.floors]
    for part in parts:
        why = _vain(part, bundle)
        if why is None:
            found += _of(part, bundle)
            why = _partly(part, bundle)
        if why is not None:
            vain[part.name] = why
    return Asked(tuple(found), vain)


def _vain(part: Criterion | Floor, bundle: bundles.Bundle) -> str | None:
    if part.metric not in KNOWN:
        return f"{part.metric} is not watched; watched are {', '.join(KNOWN)}"
    absent = sorted({n for names in part.sets() for n in names} - set(bundle.audit.attributes))
    if absent:
        return f"the bundle is not audited by {absent[0]}"
    findings = [name for name in _findings(part, bundle) if _points(part, name, bundle)]
    if not findings:
        return f"the bundle has no operating point for {part.metric}"
    return None


def _partly(part: Criterion | Floor, bundle: bundles.Bundle) -> str | None:
    """Return what a criterion names beside what is asked, and the bundle does not have."""
    named = bundle.findings if part.findings == "all" else part.findings
    lacking = [name for name in named if name not in bundle.findings]
    lacking += [name for name in _findings(part, bundle) if not _points(part, name, bundle)]
    if lacking:
        return f"the bundle has nothing to measure {part.metric} of {', '.join(lacking)} by"
    if part.metric not in RATES or part.operating_points == "all":
        return None
    there = {p for name in _findings(part, bundle) for p, _ in _points(part, name, bundle)}
    absent = [name for name in part.operating_points if name not in there]
    return f"the bundle has no operating point {', '.join(absent)}" if absent else None


def _of(part: Criterion | Floor, bundle: bundles.Bundle) -> Iterator[Question]:
    for finding in _findings(part, bundle):
        for point, threshold in _points(part, finding, bundle):
            for subgroup in _groups(part, bundle):
                if isinstance(part, Floor):
                    yield Question(
                        "floor", part.name, part.metric, finding, point, threshold, subgroup,
                        None, None, {}, part.minimum, "below",
                    )  # fmt: skip
                else:
                    yield from _contrast(part, finding, (point, threshold), subgroup, bundle)


def _contrast(
    part: Criterion,
    finding: str,
    at: tuple[str | None, float | None],
    subgroup: Mapping[str, str],
    bundle: bundles.Bundle,
) -> Iterator[Question]:
    names = list(subgroup)
    reference = bundle.audit.references.get(names[0]) if len(names) == 1 else None
    if reference is not None and subgroup[names[0]] == reference:
        return
    other = {} if reference is None else {names[0]: reference}
    kind: Literal["reference", "rest"] = "rest" if reference is None else "reference"
    text = "rest" if reference is None else metrics.named(dict(other))
    levels = [level for level in bundle.audit.attributes[names[0]] if level != UNKNOWN]
    mirrored = reference is None and len(names) == 1 and len(levels) == 2
    ways: tuple[Direction, ...] = ("below",) if mirrored else ("below", "above")
    for way in ways:
        yield Question(
            "contrast", part.name, part.metric, finding, *at, subgroup, kind, text, other,
            part.tolerance, way,
        )  # fmt: skip


def _groups(part: Criterion | Floor, bundle: bundles.Bundle) -> Iterator[Mapping[str, str]]:
    if isinstance(part, Floor) and part.overall:
        yield {}
    for names in part.sets():
        ordered = [name for name in bundle.audit.attributes if name in names]
        table = metrics.subgroups(
            {name: bundle.audit.attributes[name] for name in ordered}, order=len(ordered)
        )
        for row in table.drop("exploratory").iter_rows(named=True):
            if None not in row.values() and UNKNOWN not in row.values():
                yield {name: str(level) for name, level in row.items()}


def _findings(part: Criterion | Floor, bundle: bundles.Bundle) -> Sequence[str]:
    if part.findings == "all":
        return bundle.findings
    return [name for name in part.findings if name in bundle.findings]


def _points(
    part: Criterion | Floor, finding: str, bundle: bundles.Bundle
) -> list[tuple[str | None, float | None]]:
    if part.metric not in RATES:
        return [(None, None)]
    rows = bundle.operating_points.filter(pl.col("finding") == finding)
    return [
        (str(name), float(threshold))
        for name, threshold in rows.select("operating_point", "threshold").iter_rows()
        if part.operating_points == "all" or name in part.operating_points
    ]


def _inside(frame: pl.DataFrame, subgroup: Mapping[str, str]) -> pl.Series:
    inside = pl.Series([True]).new_from_index(0, frame.height)
    for name, level in subgroup.items():
        inside &= frame[name] == level
    return inside
