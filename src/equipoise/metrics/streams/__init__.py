"""Audits of tables larger than memory: Parquet read in batches, and counts that add."""

from equipoise.metrics.streams.binning import Binning, binning, bins_of
from equipoise.metrics.streams.clustering import clustered, count
from equipoise.metrics.streams.clusters import Clusters, Layout, layout, together
from equipoise.metrics.streams.counting import (
    Counted,
    counted,
    counted_by_workers,
    merged,
    nothing,
)
from equipoise.metrics.streams.edges import BINS, SAMPLE, edges, edges_of
from equipoise.metrics.streams.estimating import Streamed, estimate
from equipoise.metrics.streams.grids import Grid, called_from
from equipoise.metrics.streams.people import (
    Rows,
    adjacent,
    by_patient,
    disjoint,
    parted,
    rows,
    whole,
)
from equipoise.metrics.streams.ranking import aurocs
from equipoise.metrics.streams.sources import Shard, findings_in, schema_of, shards

__all__ = [
    "BINS",
    "SAMPLE",
    "Binning",
    "Clusters",
    "Counted",
    "Grid",
    "Layout",
    "Rows",
    "Shard",
    "Streamed",
    "adjacent",
    "aurocs",
    "binning",
    "bins_of",
    "by_patient",
    "called_from",
    "clustered",
    "count",
    "counted",
    "counted_by_workers",
    "disjoint",
    "edges",
    "edges_of",
    "estimate",
    "findings_in",
    "layout",
    "merged",
    "nothing",
    "parted",
    "rows",
    "schema_of",
    "shards",
    "together",
    "whole",
]
