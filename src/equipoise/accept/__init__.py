"""Accept: a released model tested on local data before it is used on anybody there.

First what the test can show at all (power), then how far local images are from what the model was
made from (shift), then its scores, which audit and gate judge by the bundle's own plan and policy.
"""

from equipoise.accept.options import Options
from equipoise.accept.power import power
from equipoise.accept.stage import ready, run, sources

VERSION = 1
NEEDS = ("cohort", "embeddings")
WANTS = ("images", "bundle")
GIVES = ("acceptance", "predictions")

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Options",
    "power",
    "ready",
    "run",
    "sources",
]
