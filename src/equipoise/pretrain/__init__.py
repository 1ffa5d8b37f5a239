"""Pretrain: a small encoder learns from the training split's images, without their labels.

Who is seen (the sampler), whose loss counts (the reducer) and whom an image is told apart from
(same-group negatives) are options, and stand on the encoder's card. Needs torch; the encoder that
comes of it does not.
"""

from equipoise.pretrain.options import Clusters, Options, ReducerChoice, SamplerChoice
from equipoise.pretrain.stage import run, sources

VERSION = 1
NEEDS = ("cohort", "images")
WANTS = ("splits", "weights")
GIVES = ("encoder",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Clusters",
    "Options",
    "ReducerChoice",
    "SamplerChoice",
    "run",
    "sources",
]
