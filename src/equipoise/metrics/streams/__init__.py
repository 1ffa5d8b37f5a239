"""Audits of tables larger than memory: Parquet read in batches, and counts that add."""

from equipoise.metrics.streams.binning import Binning, binning, bins_of
from equipoise.metrics.streams.counting import (
    Counted,
    counted,
    counted_by_workers,
    merged,
    nothing,
)
from equipoise.metrics.streams.edges import BINS, SAMPLE, edges, edges_of
from equipoise.metrics.streams.grids import Grid, called_from
from equipoise.metrics.streams.people import Rows, adjacent, by_patient, parted, rows, whole
from equipoise.metrics.streams.ranking import aurocs
from equipoise.metrics.streams.sources import Shard, findings_in, shards

__all__ = [
    "BINS",
    "SAMPLE",
    "Binning",
    "Counted",
    "Grid",
    "Rows",
    "Shard",
    "adjacent",
    "aurocs",
    "binning",
    "bins_of",
    "by_patient",
    "called_from",
    "counted",
    "counted_by_workers",
    "edges",
    "edges_of",
    "findings_in",
    "merged",
    "nothing",
    "parted",
    "rows",
    "shards",
    "whole",
]
