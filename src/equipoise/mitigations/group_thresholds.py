"""Group thresholds: each group has a threshold of its own, brought to a common place."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.metrics.points import threshold
from equipoise.mitigations.crossed import FOLDS, crossed
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.steps import Step, log_odds

DECLARED = Declared(shape="after", group_in_training=True, group_at_test=True)


class Parameters(BaseModel):
    """By which rule each group's threshold is chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Literal["specificity", "sensitivity", "max_f1", "youden"] = Field(
        default="specificity", description="as for operating points"
    )
    at: float = Field(default=0.8, gt=0, lt=1, description="what the rule asks, if it asks")
    folds: int = FOLDS


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a plain probe, and shift each group's log odds so that one threshold serves all.

    Objective: mean log loss; then, on scores out of fold, the threshold of each group by the
    rule, and that of all rows. A group's log odds are shifted by the difference, so that at the
    pooled threshold it is called as at its own. Groups are needed for training **and at test
    time**; an unknown or unseen group is not shifted. The rank within a group does not change;
    shifted scores are not probabilities.

    To call groups by different thresholds is a decision about people, which the study records.
    A group of few negatives (or positives) has a threshold of much error.

    Replication: none on medical images is known to us; group thresholds are what most reports of
    equal rates come down to.

    Parameters
    ----------
    training
        The rows; two groups or more, each with both labels.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``rule`` and ``at``: published 0.8 of specificity (a false positive rate of 0.2) or of
        sensitivity, and the largest F1; ``folds``: published 3 to 10.
    rng
        Shuffles the patients over folds.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Corbett-Davies, Pierson, Feller, Goel and Huq, *Algorithmic decision making and the cost of
    fairness*, KDD 2017.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 1))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).after.kind
    'log_odds'
    """
    chosen = parsed(Parameters, parameters, "group_thresholds")
    checked(training, penalty)
    names, codes = grouped(training, "group_thresholds", labels="both")
    probe = probes.fit_logistic(training.x, training.y, penalty=penalty, start=start)
    score = crossed(training, chosen.folds, penalty=penalty, rng=rng)
    at = np.array(
        [
            threshold(score[inside], training.y[inside], rule=chosen.rule, at=chosen.at)
            for inside in [
                *(codes == place for place in range(len(names))),
                np.ones(len(codes), dtype=bool),
            ]
        ]
    )
    where = log_odds(at)
    step = Step("log_odds", {"slope": np.ones(len(at)), "intercept": where[-1] - where}, names)
    return described(Fitted("group_thresholds", probe, after=step), training)
