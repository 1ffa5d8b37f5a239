"""Adversary on the score: within a label, the score does not tell the group."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.adversaries import adversary
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.matching import standardised
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.scored import scored

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(BaseModel):
    """Within which rows, and how strongly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    criterion: Literal["parity", "equalised_odds"] = Field(
        default="equalised_odds", description="of all rows, or of each label"
    )
    strength: float = Field(default=1.0, ge=0, description="of the adversary's gain (α)")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a linear probe whose log odds hide the group from an adversary.

    Objective: mean log loss + ``penalty / 2 · |w|²`` + ``α ·`` what an adversary gains on chance
    (nats) that reads the group off the log odds and their square, of mean 0 and spread 1, within
    each label or of all rows, groups counting alike. Groups are needed for training, not at test
    time. The paper's adversary learns by turns with the probe; this one is solved to its optimum
    at every step. Rows of unknown group are trained on; the adversary does not see them.

    Replication: on chest radiographs methods that reach equal rates across groups did so by
    worsening performance for all groups (CXR_Fairness).

    Parameters
    ----------
    training
        The rows; two groups or more.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``criterion``: published both; ``strength``: α, published 0.01 to 100 (1).
    rng
        Not drawn from.
    start
        Not used.

    References
    ----------
    Zhang, Lemoine and Mitchell, *Mitigating unwanted biases with adversarial learning*, AIES 2018.
    Zhang et al., *Improving the fairness of chest X-ray classifiers*, CHIL 2022.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 2))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).needs_group_at_test
    False
    """
    del start
    chosen = parsed(Parameters, parameters, "score_adversary")
    checked(training, penalty)
    rows = canonical(training)
    codes = grouped(rows, "score_adversary")[1]
    del rng
    everyone = np.full(len(codes), True)
    parts = [everyone] if chosen.criterion == "parity" else [rows.y, ~rows.y]
    apart = standardised(adversary(codes, parts))
    probe = scored(rows, penalty=penalty, strengths=(chosen.strength,), discrepancy=apart)
    return described(Fitted("score_adversary", probe), rows)
