"""Calibrated equalised odds: one error rate agrees, since some groups' scores are withheld."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.crossed import FOLDS, crossed
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.steps import Step

Reals = npt.NDArray[np.float64]
Cost = Literal["fnr", "fpr", "weighted"]

DECLARED = Declared(shape="after", group_in_training=True, group_at_test=True)

_NEGLIGIBLE = 1e-12


class Parameters(BaseModel):
    """Which error rate is made to agree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost: Cost = Field(
        default="fnr",
        description="generalised: 1 - mean score of positives, mean score of negatives, or both "
        "weighed by prevalence",
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
    """Fit a plain probe and withhold, for a share of a favoured group, what it says.

    Objective: mean log loss; then, on scores out of fold, the share of each group for which the
    score is replaced by the group's base rate so that its cost rises to that of the group with
    the highest. Groups are needed for training **and at test time**; of an unknown or unseen
    group nothing is withheld. Scores that are calibrated by group stay so.

    It reaches equality by telling less about some patients of the better served group, drawn by a
    hash of the score: it levels down, by construction, and helps nobody. Where even the base rate
    costs a group less than the target, all its scores are withheld and the costs still differ.

    Replication: on chest radiographs methods that reach equal rates across groups did so by
    worsening performance for all groups (CXR_Fairness).

    Parameters
    ----------
    training
        The rows; two groups or more, each with both labels.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``cost``: published ``fnr``, ``fpr`` and ``weighted``; ``folds``: published 3 to 10.
    rng
        Shuffles the patients over folds, and salts the draw.
    start
        Not used: a probe that differs by a rounding would draw otherwise.

    References
    ----------
    Pleiss, Raghavan, Wu, Kleinberg and Weinberger, *On fairness and calibration*, NeurIPS 2017.
    Zhang et al., *Improving the fairness of chest X-ray classifiers*, CHIL 2022.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 1))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).after.kind
    'withheld'
    """
    del start
    chosen = parsed(Parameters, parameters, "calibrated_equalised_odds")
    checked(training, penalty)
    names, codes = grouped(training, "calibrated_equalised_odds", labels="both")
    probe = probes.fit_logistic(training.x, training.y, penalty=penalty)
    score = crossed(training, chosen.folds, penalty=penalty, rng=rng)
    parts = [codes == place for place in range(len(names))]
    rate = np.array([float(training.y[inside].mean()) for inside in parts])
    cost = np.array([costs(score[one], training.y[one], chosen.cost) for one in parts])
    trivial = np.array(
        [
            costs(np.full(int(one.sum()), base), training.y[one], chosen.cost)
            for one, base in zip(parts, rate, strict=True)
        ]
    )
    step = Step(
        "withheld",
        {
            "share": np.append(withheld_shares(cost, trivial), 0.0),
            "rate": np.append(rate, float(training.y.mean())),
            "salt": np.array([float(rng.integers(2**31))]),
        },
        names,
    )
    return described(Fitted("calibrated_equalised_odds", probe, after=step), training)


def costs(score: Reals, label: npt.NDArray[np.bool_], cost: Cost) -> float:
    """Return the generalised error rate of scores ``(n,)`` with both labels, in [0, 1].

    Examples
    --------
    >>> score, label = np.array([0.25, 0.75]), np.array([False, True])
    >>> costs(score, label, "fnr"), costs(score, label, "weighted")
    (0.25, 0.25)
    """
    missed = 1.0 - float(score[label].mean())
    alarmed = float(score[~label].mean())
    if cost == "fnr":
        return missed
    if cost == "fpr":
        return alarmed
    prevalence = float(label.mean())
    return prevalence * missed + (1.0 - prevalence) * alarmed


def withheld_shares(cost: Reals, trivial: Reals) -> Reals:
    """Return for each group the share to withhold, for its cost to be the highest of all.

    Parameters
    ----------
    cost, trivial
        Of each group ``(g,)``: of its scores, and of its base rate in their place.

    Examples
    --------
    >>> withheld_shares(np.array([0.3, 0.2]), np.array([0.5, 0.6])).round(2).tolist()
    [0.0, 0.25]
    """
    need = cost.max() - cost
    room = trivial - cost
    share = np.where(room > _NEGLIGIBLE, need / np.maximum(room, _NEGLIGIBLE), np.sign(need))
    return np.asarray(np.clip(share, 0.0, 1.0), dtype=np.float64)
