"""Predictions that a user brings: read, reshaped once, and held against what they must be."""

from equipoise.metrics.reading.attributes import Declared, declared_levels, with_attributes
from equipoise.metrics.reading.classes import classes_of
from equipoise.metrics.reading.columns import narrowed
from equipoise.metrics.reading.joining import with_metadata
from equipoise.metrics.reading.shapes import read_predictions, wide
from equipoise.metrics.reading.sources import Source, from_arrays, table_of
from equipoise.metrics.reading.splits import of_split

__all__ = [
    "Declared",
    "Source",
    "classes_of",
    "declared_levels",
    "from_arrays",
    "narrowed",
    "of_split",
    "read_predictions",
    "table_of",
    "wide",
    "with_attributes",
    "with_metadata",
]
