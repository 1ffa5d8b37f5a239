"""Bench: experiments that cross stages: how far a result holds with fewer labels, at other sites.

They say what a way of training would do under other circumstances; no verdict rests on them. Each
of them opens a test split, and that is counted.
"""

from equipoise.bench.labels import label_curve
from equipoise.bench.options import Labels, Sites
from equipoise.bench.sites import across_sites

__all__ = ["Labels", "Sites", "across_sites", "label_curve"]
