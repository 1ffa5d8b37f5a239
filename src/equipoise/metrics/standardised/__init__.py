"""Estimates standardised to a declared case mix, beside the crude ones."""

from equipoise.metrics.standardised.estimating import Standardised, standardised
from equipoise.metrics.standardised.mixes import Mix, crossed, mix
from equipoise.metrics.standardised.weighted import (
    kish,
    weighted_auroc,
    weighted_composite,
    weighted_functional,
    weighted_ratio,
)

__all__ = [
    "Mix",
    "Standardised",
    "crossed",
    "kish",
    "mix",
    "standardised",
    "weighted_auroc",
    "weighted_composite",
    "weighted_functional",
    "weighted_ratio",
]
