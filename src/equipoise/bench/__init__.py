"""Bench: experiments that cross stages: fewer labels, other sites, other ways of training.

They say what a way of training would do under other circumstances; no verdict rests on them. Each
of them opens a test split, and that is counted.
"""

from equipoise.bench.labels import label_curve
from equipoise.bench.members import members
from equipoise.bench.options import Labels, Members, Sites, Stages
from equipoise.bench.sites import across_sites
from equipoise.bench.stages import Staged, stages

__all__ = [
    "Labels",
    "Members",
    "Sites",
    "Staged",
    "Stages",
    "across_sites",
    "label_curve",
    "members",
    "stages",
]
