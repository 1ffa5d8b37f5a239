"""Probes: L2-penalised logistic regression on standardised embeddings, in numpy and scipy.

The problem is convex, so a probe is a fact about its data and its penalty: another solver, row
order or starting point gives the same one. Each carries how closely it was solved.
"""

from equipoise.probes.files import load, save
from equipoise.probes.logistic import (
    Embeddings,
    LogisticProbe,
    check_embeddings,
    check_labels,
    cross_fitted_scores,
    fit_logistic,
    gram,
    probability,
    spread,
    standard,
    standardised,
)
from equipoise.probes.solver import Solution, minimise

__all__ = [
    "Embeddings",
    "LogisticProbe",
    "Solution",
    "check_embeddings",
    "check_labels",
    "cross_fitted_scores",
    "fit_logistic",
    "gram",
    "load",
    "minimise",
    "probability",
    "save",
    "spread",
    "standard",
    "standardised",
]
