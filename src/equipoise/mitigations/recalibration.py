"""Group recalibration: each group's scores are calibrated by its own intercept and slope."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations.crossed import FOLDS, crossed
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.steps import Step, log_odds

Reals = npt.NDArray[np.float64]

DECLARED = Declared(shape="after", group_in_training=True, group_at_test=True)

_LITTLE = 1e-6
_STEPS = 50


class Parameters(BaseModel):
    """What is fitted per group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["platt", "intercept"] = Field(
        default="platt", description="slope and intercept of the log odds, or the intercept alone"
    )
    folds: int = FOLDS


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a plain probe, and for each group ``slope · log odds + intercept``.

    Objective: mean log loss; then the log loss of each group's scores out of fold. Groups are
    needed for training **and at test time**; an unknown or unseen group is calibrated by all
    training rows together. The rank within a group does not change, so neither does its AUROC;
    that of everybody and the rates at a common threshold do.

    A group of few positives or negatives has a calibration of much error; nothing here draws it
    to the others.

    Replication: none on medical images is known to us; that groups calibrated each by itself
    cannot also have equal error rates where prevalence differs is a theorem.

    Parameters
    ----------
    training
        The rows; two groups or more, each with both labels.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``method``: published ``platt``; ``folds``: published 3 to 10.
    rng
        Shuffles the patients over folds.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Platt, *Probabilistic outputs for support vector machines*, 1999. Kleinberg, Mullainathan and
    Raghavan, *Inherent trade-offs in the fair determination of risk scores*, ITCS 2017.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 1))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).needs_group_at_test
    True
    """
    chosen = parsed(Parameters, parameters, "recalibration")
    checked(training, penalty)
    names, codes = grouped(training, "recalibration", labels="both")
    probe = probes.fit_logistic(training.x, training.y, penalty=penalty, start=start)
    logit = log_odds(crossed(training, chosen.folds, penalty=penalty, rng=rng))
    lines = [
        _line(logit[inside], training.y[inside], chosen.method, name)
        for name, inside in [
            *((name, codes == place) for place, name in enumerate(names)),
            ("all rows", np.ones(len(codes), dtype=bool)),
        ]
    ]
    slope, intercept = np.array(lines).T
    step = Step("log_odds", {"slope": slope, "intercept": intercept}, names)
    return described(Fitted("recalibration", probe, after=step), training)


def _line(
    logit: Reals, y: npt.NDArray[np.bool_], method: Literal["platt", "intercept"], name: str
) -> tuple[float, float]:
    """Return slope and intercept of the log odds."""
    if method == "intercept":
        return 1.0, _intercept(logit, float(y.mean()))
    line = probes.fit_logistic(logit[:, None], y, penalty=_LITTLE)
    slope = float(line.weights[0] / line.scale[0])
    if slope <= 0:
        raise InvalidTable(
            f"recalibration: the scores of '{name}' fall as its label rises (slope {slope:.3g} "
            f"over {len(y)} training rows, {int(y.sum())} positive); expected a slope above 0",
            hint="method: intercept leaves the order of scores alone",
        )
    return slope, float(line.intercept - line.mean[0] * slope)


def _intercept(logit: Reals, prevalence: float) -> float:
    """Return what is added to log odds for their mean probability to be the prevalence."""
    low, high = -60.0, 60.0
    for _ in range(_STEPS + 10):
        middle = 0.5 * (low + high)
        if probes.probability(logit + middle).mean() < prevalence:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
