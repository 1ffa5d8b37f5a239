"""CDANN: an adapter on which, within a label, an adversary cannot read the group."""

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from equipoise import probes
from equipoise.mitigations.adapters import Strength, held_together
from equipoise.mitigations.adversaries import adversary
from equipoise.mitigations.fitted import Declared, Fitted
from equipoise.mitigations.rows import Training, parsed

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(Strength):
    """How strong the adversary is, and the adapter."""

    strength: float = Field(default=1.0, ge=0, description="of the adversary's gain (λ)")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit an adapter that hides the group within each label, and a probe on it.

    Objective: mean log loss + penalties + ``λ ·`` the mean over labels of what an adversary of
    that label's rows gains on chance (nats), reading the group off the hidden layer, groups
    counting alike. Groups are needed for training, not at test time. The adversaries are logistic
    models on the units and their squares, solved to their optimum at every step: one for each
    label, where DomainBed has a single one that is told the label. Rows of unknown group are
    trained on; the adversaries do not see them.

    A difference of prevalence is left alone, unlike in DANN.

    Replication: on chest radiographs such models were best where they were trained, and that did
    not hold out of distribution (Yang 2024).

    Parameters
    ----------
    training
        The rows; two groups or more.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``strength``: λ, published 0.01 to 100 (1); ``hidden`` (units), ``decay`` and
        ``passes`` of the adapter.
    rng
        Draws where the adapter begins.
    start
        Not used.

    References
    ----------
    Li et al., *Deep domain generalization via conditional invariant adversarial networks*, ECCV
    2018. Yang et al., *The limits of fair medical imaging AI in real-world generalization*,
    Nature Medicine 30, 2024.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 2))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).needs_group_at_test
    False
    """
    del start
    return held_together(
        "cdann",
        training,
        parsed(Parameters, parameters, "cdann"),
        penalty=penalty,
        rng=rng,
        apart=lambda rows, codes: adversary(codes, [rows.y, ~rows.y]),
    )
