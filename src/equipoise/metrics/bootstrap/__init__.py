"""A Poisson bootstrap of patients: for metrics without a neat influence function, and small groups.

A patient's weight in a replicate is a hash of the two, so that nothing of the size rows times
replicates is stored, and every finding, model and site resamples the same patients.
"""

from equipoise.metrics.bootstrap.hashing import keyed, weights
from equipoise.metrics.bootstrap.limits import (
    Interval,
    acceleration,
    bca,
    logit_t,
    percentile,
    student_t,
)
from equipoise.metrics.bootstrap.resampling import (
    Rows,
    cell_replicates,
    evaluated,
    jackknife,
    replicates,
)
from equipoise.metrics.bootstrap.statistics import auroc, average_precision, brier, valued

__all__ = [
    "Interval",
    "Rows",
    "acceleration",
    "auroc",
    "average_precision",
    "bca",
    "brier",
    "cell_replicates",
    "evaluated",
    "jackknife",
    "keyed",
    "logit_t",
    "percentile",
    "replicates",
    "student_t",
    "valued",
    "weights",
]
