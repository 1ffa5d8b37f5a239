"""The audit engine: counts and estimates of subgroups, with patients as the independent unit."""

from equipoise.metrics.counts import count, merge
from equipoise.metrics.definitions import METRICS, Metric, Minimum
from equipoise.metrics.estimates import Estimated, Plan, estimate
from equipoise.metrics.groups import UNKNOWN, levels_of, named, restricted, subgroups
from equipoise.metrics.known import metric, names
from equipoise.metrics.paired import Answers, paired
from equipoise.metrics.placements import clustered_auroc, placements
from equipoise.metrics.samples import Population, Sample, population

__all__ = [
    "METRICS",
    "UNKNOWN",
    "Answers",
    "Estimated",
    "Metric",
    "Minimum",
    "Plan",
    "Population",
    "Sample",
    "clustered_auroc",
    "count",
    "estimate",
    "levels_of",
    "merge",
    "metric",
    "named",
    "names",
    "paired",
    "placements",
    "population",
    "restricted",
    "subgroups",
]
