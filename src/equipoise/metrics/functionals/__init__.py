"""Metrics of the distribution of scores: each a value and the influence of one image per level.

A functional takes counts of negatives and positives, both of shape ``(arms, levels)``, and the
scores of the levels, shape ``(levels,)``, ascending; it gives the values, shape ``(arms,)``, NaN
where undefined, and the derivatives in the counts, shape ``(arms, 2, levels)``: what one image more
of that class and level moves the value by, all others shrinking in proportion. So counts times
influence sum to zero, and the sum over images of its square is the variance if images were
independent. Levels may be the distinct scores or the means of bins. Parameters are keywords, so
that a metric is a ``functools.partial``.
"""

FUNCTIONALS = {
    "auprc_interpolated": f"{__name__}.precision:auprc_interpolated",
    "auprg": f"{__name__}.precision:auprg",
    "auroc": f"{__name__}.ranking:auroc",
    "average_precision": f"{__name__}.precision:average_precision",
    "brier": f"{__name__}.losses:brier",
    "calibration_intercept": f"{__name__}.recalibration:calibration_intercept",
    "calibration_slope": f"{__name__}.recalibration:calibration_slope",
    "ece": f"{__name__}.reliability:ece",
    "ece_data_range": f"{__name__}.reliability:ece_data_range",
    "ece_equal_width": f"{__name__}.reliability:ece_equal_width",
    "expected_observed_ratio": f"{__name__}.losses:expected_observed_ratio",
    "log_loss": f"{__name__}.losses:log_loss",
    "mean_score": f"{__name__}.losses:mean_score",
    "mean_score_of_negatives": f"{__name__}.losses:mean_score_of_negatives",
    "mean_score_of_positives": f"{__name__}.losses:mean_score_of_positives",
    "partial_auroc": f"{__name__}.ranking:partial_auroc",
    "partial_auroc_standardized": f"{__name__}.ranking:partial_auroc_standardized",
    "rms_calibration_error": f"{__name__}.reliability:rms_calibration_error",
    "squared_calibration_error": f"{__name__}.reliability:squared_calibration_error",
}
"""Name → the function; what must be declared stands in `DECLARED`."""

DECLARED = {
    "ece": ("edges",),
    "partial_auroc": ("highest",),
    "partial_auroc_standardized": ("highest",),
    "rms_calibration_error": ("edges",),
    "squared_calibration_error": ("edges",),
}
"""Name → the keywords without a default."""

__all__ = ["DECLARED", "FUNCTIONALS"]
