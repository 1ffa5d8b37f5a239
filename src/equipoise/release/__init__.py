"""Release: a model that passed, or that a named person lets go for a time, becomes a bundle."""

from equipoise.release.cards import model_card
from equipoise.release.options import Options
from equipoise.release.stage import permitted, run
from equipoise.release.wrapping import Wrapping, wrapped

VERSION = 2
NEEDS = ("estimates", "verdict", "predictions", "embeddings", "cohort", "splits")
WANTS = ("images", "facts", "encoder")
GIVES = ("bundle",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Options",
    "Wrapping",
    "model_card",
    "permitted",
    "run",
    "wrapped",
]
