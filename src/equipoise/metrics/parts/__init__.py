"""The audit engine in parts: count where the patients are, add up, and estimate from the sums.

Two rounds. First each part counts; the counts are merged. Then each part, given the merged counts,
sums the squares and products of its patients' influence values; these add too. From both come the
tables of `metrics.estimate`::

    part   = first(people, agreed, name="site-1")                # at each site
    merged = merge([part, ...], agreed, disjoint_patients=True)  # at the server
    second = moments_of(people, part, merged, agreed)            # at each site
    total  = sum_moments([second, ...], merged)                  # at the server
    made   = estimates_from(merged, total, agreed)

`packed` and `unpacked` take each of them over a wire; what is unpacked is checked.
"""

from equipoise.metrics.parts.agreements import VERSION, Agreed, Rules, population_of
from equipoise.metrics.parts.answers import estimates_from
from equipoise.metrics.parts.counting import first
from equipoise.metrics.parts.grid import on_grid
from equipoise.metrics.parts.influence import moments_of
from equipoise.metrics.parts.merging import merge, sum_moments
from equipoise.metrics.parts.messages import Counts, Merged, Part, Second
from equipoise.metrics.parts.notes import bounds, contributions
from equipoise.metrics.parts.overlap import Keyed, Shared, check_disjoint, keyed, overlap
from equipoise.metrics.parts.packing import packed, unpacked, unpacked_merged, unpacked_second
from equipoise.metrics.parts.pooling import pooled
from equipoise.metrics.parts.suppression import withheld

__all__ = [
    "VERSION",
    "Agreed",
    "Counts",
    "Keyed",
    "Merged",
    "Part",
    "Rules",
    "Second",
    "Shared",
    "bounds",
    "check_disjoint",
    "contributions",
    "estimates_from",
    "first",
    "keyed",
    "merge",
    "moments_of",
    "on_grid",
    "overlap",
    "packed",
    "pooled",
    "population_of",
    "sum_moments",
    "unpacked",
    "unpacked_merged",
    "unpacked_second",
    "withheld",
]
