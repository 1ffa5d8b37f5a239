"""What all parts agree on before anybody looks, and the order of all that they count."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from equipoise.errors import InvalidConfiguration
from equipoise.evidence import digest
from equipoise.metrics.arms import Arms, Contrast, arms
from equipoise.metrics.counts import BINS
from equipoise.metrics.definitions import Metric
from equipoise.metrics.estimates import Plan
from equipoise.metrics.groups import Cells, cells, levels_of
from equipoise.metrics.known import metric
from equipoise.metrics.samples import Population, population

VERSION = 1
"""Of what parts send each other."""


class Rules(BaseModel):
    """How fine a part counts, and how small a subgroup it may tell of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bins: int = Field(
        default=BINS,
        ge=2,
        le=BINS,
        description="Bins of the score histograms. Fewer tell less of single images, and "
        "widen the bound on the AUROC.",
    )
    minimum_cell: int = Field(
        default=10,
        ge=1,
        description="Patients of a label that a part must have in a subgroup to tell of it; 1 "
        "withholds nothing.",
    )
    contributors: int = Field(
        default=3, ge=1, description="Parts that must stand behind each subgroup that is estimated."
    )


@dataclass(frozen=True)
class Agreed:
    """What is counted, agreed by all parts before looking.

    Parameters
    ----------
    table
        The table *subgroups*.
    plan
        What is estimated.
    findings
        Of which findings.
    points
        Rows of `finding`, `operating_point`, `threshold` and perhaps `fold`, as for `population`.
    rules
        How fine, and how small.
    """

    table: pl.DataFrame
    plan: Plan
    findings: tuple[str, ...]
    points: pl.DataFrame | None = None
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        """Refuse metrics that no part could count.

        Raises
        ------
        InvalidConfiguration
            If a metric is neither AUROC, nor a rate, nor the mean of a loss.
        """
        for name in self.plan.metrics:
            of = metric(name)
            if of.kind not in {"rate", "mean", "ranking"} or of.across is not None:
                raise InvalidConfiguration(
                    f"parts: '{name}' cannot be counted in parts; expected AUROC, a rate at an "
                    "operating point, or the mean of a loss"
                )

    @cached_property
    def compared(self) -> Arms:
        """The arms and contrasts, over no cells."""
        return compared_in(self, cells(self._nobody, self.table))

    @cached_property
    def whole(self) -> Arms:
        """The arms and contrasts, over every declared combination of levels."""
        levels = levels_of(self.table)
        schema = dict.fromkeys(levels, pl.String())
        every = pl.DataFrame(list(product(*levels.values())), schema=schema, orient="row")
        return compared_in(self, cells(every, self.table))

    @cached_property
    def named_points(self) -> tuple[tuple[int, str], ...]:
        """Position of the finding and name of each operating point, in the order of arrays."""
        if self.points is None:
            return ()
        return tuple(
            (position, str(name))
            for position, finding in enumerate(self.findings)
            for name in self.points.filter(pl.col("finding") == finding)["operating_point"].unique(
                maintain_order=True
            )
        )

    @cached_property
    def questions(self) -> tuple[tuple[int, Metric, int | None], ...]:
        """Finding, metric and operating point (a position) of each question."""
        asked = [metric(name) for name in self.plan.metrics]
        return tuple(
            (finding, one, point)
            for finding in range(len(self.findings))
            for one in asked
            for point in (self._points_of(finding) if one.thresholded else [None])
        )

    @cached_property
    def head(self) -> Mapping[str, object]:
        """What must be the same in all parts, as JSON can say it."""
        return {
            "version": VERSION,
            "subgroups": digest(self.table.to_dict(as_series=False)),
            "levels": levels_of(self.table),
            "references": dict(self.plan.references),
            "findings": list(self.findings),
            "metrics": list(self.plan.metrics),
            "minimum": self.plan.minimum.model_dump(),
            "candidate": self.plan.candidate,
            "operating_points": _digest_of(self.points),
            "rules": self.rules.model_dump(),
        }

    @property
    def _nobody(self) -> pl.DataFrame:
        return pl.DataFrame(schema=dict.fromkeys(levels_of(self.table), pl.String()))

    def _points_of(self, finding: int) -> list[int]:
        return [at for at, (mine, _) in enumerate(self.named_points) if mine == finding]


def population_of(frame: pl.DataFrame, agreed: Agreed, *, patient: str | None) -> Population:
    """Return the rows of one part as arrays; a finding that it has not assessed is all null.

    Parameters
    ----------
    frame
        As for `population`; it may lack both columns of a finding.
    agreed
        What is counted.
    patient
        The column that says whose image it is, or None.

    Raises
    ------
    InvalidTable
        As for `population`.

    Examples
    --------
    >>> from equipoise.metrics.definitions import Minimum
    >>> from equipoise.metrics.groups import subgroups
    >>> plan = Plan({}, ("auroc",), Minimum(), "probe")
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), plan, ("x",))
    >>> people = population_of(pl.DataFrame({"sex": ["F"]}), agreed, patient=None)
    >>> len(people.samples[0].score)
    0
    """
    absent = [
        finding
        for finding in agreed.findings
        if not {f"label:{finding}", f"score:{finding}"} & set(frame.columns)
    ]
    frame = frame.with_columns(
        *[pl.lit(None, dtype=pl.Boolean).alias(f"label:{finding}") for finding in absent],
        *[pl.lit(None, dtype=pl.Float32).alias(f"score:{finding}") for finding in absent],
    )
    return population(
        frame,
        agreed.table,
        patient=patient,
        points=agreed.points,
        findings=agreed.findings,
    )


def _digest_of(points: pl.DataFrame | None) -> str | None:
    """Return what the thresholds are bound by; their names alone would not tell two apart."""
    if points is None:
        return None
    names = ["finding", "operating_point", "threshold"]
    some = points.select(*names, *[name for name in ("fold",) if name in points.columns])
    rows = some.with_columns(pl.col("threshold").cast(pl.Float64)).rows()
    return digest(sorted(([*row[:2], row[2].hex(), *row[3:]] for row in rows), key=str))


def compared_in(agreed: Agreed, atomic: Cells) -> Arms:
    """Return the arms and contrasts over some cells, each contrast with an arm of its own.

    In memory several contrasts share the arm of their reference. A part that withholds a group
    must leave out of its reference what it leaves out of the group, else their difference would
    compare parts; so here the reference is an arm of each contrast.

    Parameters
    ----------
    agreed
        What is counted.
    atomic
        The cells.

    Examples
    --------
    >>> from equipoise.metrics.definitions import Minimum
    >>> from equipoise.metrics.groups import subgroups
    >>> table = subgroups({"age": ["0-39", "40-64", "65+"]})
    >>> plan = Plan({"age": "40-64"}, ("auroc",), Minimum(), "probe")
    >>> one = cells(pl.DataFrame({"age": ["65+"]}), table)
    >>> found = compared_in(Agreed(table, plan, ("x",)), one)
    >>> [(c.group, c.against) for c in found.contrasts], found.names[4:]
    ([(1, 4), (3, 5)], ('age=40-64', 'age=40-64'))
    """
    found = arms(agreed.table, atomic, agreed.plan.references, against=agreed.plan.against)
    names, rows = list(found.names), list(found.inside)
    contrasts: list[Contrast] = []
    for contrast in found.contrasts:
        if contrast.kind == "rest":
            contrasts.append(contrast)
            continue
        contrasts.append(replace(contrast, against=len(names)))
        names.append(found.names[contrast.against])
        rows.append(found.inside[contrast.against])
    inside = np.array(rows, dtype=bool).reshape(len(rows), atomic.n)
    return Arms(inside, tuple(names), tuple(contrasts), found.subgroups)
