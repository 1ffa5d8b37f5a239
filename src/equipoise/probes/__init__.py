"""Probes: L2-penalised logistic regression and ridge on standardised embeddings, without torch.

The problem is convex, so a probe is a fact about its data and its penalty: another solver, row
order or starting point gives the same one. Each carries how closely it was solved.
"""

from equipoise.probes.batch import fit_batch
from equipoise.probes.files import load, save
from equipoise.probes.fits import Columns, Fits
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
from equipoise.probes.parts import Part, local
from equipoise.probes.ridge import Gathered, fit_ridge, gather
from equipoise.probes.solver import Solution, minimise
from equipoise.probes.sums import Access

__all__ = [
    "Access",
    "Columns",
    "Embeddings",
    "Fits",
    "Gathered",
    "LogisticProbe",
    "Part",
    "Solution",
    "check_embeddings",
    "check_labels",
    "cross_fitted_scores",
    "fit_batch",
    "fit_logistic",
    "fit_ridge",
    "gather",
    "gram",
    "load",
    "local",
    "minimise",
    "probability",
    "save",
    "spread",
    "standard",
    "standardised",
]
