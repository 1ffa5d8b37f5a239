"""All metrics by name, from tables: rates are cells, other metrics a function and how it reads.

A name may carry one number: ``partial_auroc@0.1`` is up to a false positive rate of 0.1,
``net_benefit@0.2`` at a threshold probability of 0.2.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from equipoise import registry
from equipoise.errors import InvalidConfiguration, UnknownName, nearest
from equipoise.metrics.composites import COMPOSITES, RATES
from equipoise.metrics.definitions import Composite, Functional, Metric, auroc, brier
from equipoise.metrics.functionals import FUNCTIONALS
from equipoise.metrics.functionals.reliability import equal_width_edges

_TRIALS = {
    frozenset({"tp", "fn"}): "positives",
    frozenset({"tn", "fp"}): "negatives",
    frozenset({"tp", "fp"}): "images called positive",
    frozenset({"tn", "fn"}): "images called negative",
}
_HIGH_IS_WORSE = {
    "false_positive_rate",
    "false_negative_rate",
    "false_discovery_rate",
    "false_omission_rate",
    "underdiagnosis_rate",
    "overdiagnosis_rate",
    "underdiagnosis_rate_of_no_finding",
    "overdiagnosis_rate_of_no_finding",
    "negative_likelihood_ratio",
    "log_loss",
    "ece",
    "ece_equal_width",
    "ece_data_range",
    "rms_calibration_error",
    "squared_calibration_error",
    "mean_score_of_negatives",
}
_NEITHER_IS_WORSE = {
    "selection_rate",
    "prevalence",
    "calibration_intercept",
    "calibration_slope",
    "expected_observed_ratio",
    "mean_score",
    "net_benefit_of_treating_all",
}
_BOUNDED = {
    "balanced_accuracy",
    "f1",
    "average_precision",
    "auprc_interpolated",
    "partial_auroc_standardized",
    "ece",
    "ece_equal_width",
    "ece_data_range",
    "mean_score",
    "mean_score_of_positives",
    "mean_score_of_negatives",
}
"""Of the composites and functionals: those that lie in [0, 1]."""

_NUMBERS = {
    "net_benefit": "threshold_probability",
    "standardized_net_benefit": "threshold_probability",
    "net_benefit_of_treating_all": "threshold_probability",
    "partial_auroc": "highest",
    "partial_auroc_standardized": "highest",
}
"""Name → the keyword that the number behind ``@`` is."""

_EDGES = ("ece", "rms_calibration_error", "squared_calibration_error")
"""On bins of equal width, the same for all groups."""


def names() -> list[str]:
    """Return the names of all metrics, sorted; some need a number behind ``@``.

    Examples
    --------
    >>> [name for name in names() if name.startswith("partial")]
    ['partial_auroc@', 'partial_auroc_standardized@']
    """
    plain = {*RATES, *COMPOSITES, *FUNCTIONALS, *_XAUC}
    return sorted(f"{name}@" if name in _NUMBERS else name for name in plain)


def metric(name: str) -> Metric:
    """Return the metric that a name, or ``"module:function"``, stands for.

    Raises
    ------
    UnknownName
        If the name stands for nothing.
    InvalidConfiguration
        If a number is lacking, or the function of the study describes no metric.

    Examples
    --------
    >>> metric("ppv").trials
    ('tp', 'fp')
    >>> metric("partial_auroc@0.1").name
    'partial_auroc@0.1'
    >>> metric("auorc")
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no metric 'auorc'
    """
    plain, at, number = name.partition("@")
    if ":" in name:
        found = registry.load(name, {}, kind="metric")()
        if not isinstance(found, Metric):
            raise InvalidConfiguration(
                f"metric '{name}' gives a {type(found).__name__}; expected equipoise.metrics.Metric"
            )
        return found
    if plain in _XAUC and not at:
        return _XAUC[plain]()
    if plain in RATES and not at:
        return _rate(plain)
    if plain in COMPOSITES:
        return _composite(name, plain, number if at else None)
    if plain in FUNCTIONALS:
        return _functional(name, plain, number if at else None)
    close = nearest(name, [*RATES, *COMPOSITES, *FUNCTIONALS, *_XAUC])
    raise UnknownName(f"no metric '{name}'", hint=close or f"known: {', '.join(names())}")


def xauc_of_positives() -> Metric:
    """Return the AUROC of a group's positives against the negatives of everybody.

    Within a group AUROC does not see that its positives rank below the negatives of others: they
    wait longer where all are in one list.

    References
    ----------
    Kallus & Zhou 2019, NeurIPS (xAUC); here against all, not against one other group.

    Examples
    --------
    >>> xauc_of_positives().across
    'positives'
    """
    return Metric("xauc_of_positives", "ranking", across="positives")


def xauc_of_negatives() -> Metric:
    """Return the AUROC of the positives of everybody against a group's negatives.

    References
    ----------
    As of `xauc_of_positives`.

    Examples
    --------
    >>> xauc_of_negatives().across
    'negatives'
    """
    return Metric("xauc_of_negatives", "ranking", across="negatives")


_XAUC: Mapping[str, Callable[[], Metric]] = {
    "auroc": auroc,
    "brier": brier,
    "xauc_of_positives": xauc_of_positives,
    "xauc_of_negatives": xauc_of_negatives,
}
"""Name → the function that describes it, of those that are in no table."""


def _worse(plain: str) -> str | None:
    if plain in _NEITHER_IS_WORSE:
        return None
    return "high" if plain in _HIGH_IS_WORSE else "low"


def _rate(name: str) -> Metric:
    events, trials, scarce = RATES[name]
    return Metric(
        name,
        "rate",
        _TRIALS.get(frozenset(trials), "images"),
        events,
        trials,
        "patients" if scarce == "images" else scarce,
        worse=_worse(name),  # type: ignore[arg-type]
    )


def _composite(name: str, plain: str, number: str | None) -> Metric:
    function: Composite = partial(COMPOSITES[plain], **_told(name, plain, number))
    bounded = plain in _BOUNDED
    return Metric(name, "composite", composite=function, worse=_worse(plain), bounded=bounded)  # type: ignore[arg-type]


def _functional(name: str, plain: str, number: str | None) -> Metric:
    told: dict[str, object] = dict(_told(name, plain, number))
    if plain in _EDGES:
        told["edges"] = equal_width_edges()
    function = registry.load(plain, FUNCTIONALS, kind="metric")
    made: Functional = partial(function, **told)  # type: ignore[assignment]
    bounded = plain in _BOUNDED
    return Metric(name, "functional", functional=made, worse=_worse(plain), bounded=bounded)  # type: ignore[arg-type]


def _told(name: str, plain: str, number: str | None) -> dict[str, float]:
    """Return the keyword that the number of a name is, once it is seen to be one."""
    keyword = _NUMBERS.get(plain)
    if keyword is None and number is not None:
        raise InvalidConfiguration(f"metric '{name}': '{plain}' takes no number")
    if keyword is None:
        return {}
    try:
        value = float(number or "")
    except ValueError:
        value = float("nan")
    if not 0.0 < value < 1.0 or np.isnan(value):
        words = keyword.replace("_", " ").replace("highest", "highest false positive rate")
        raise InvalidConfiguration(f"metric '{name}': expected a {words} in (0, 1), as {plain}@0.1")
    return {keyword: value}
