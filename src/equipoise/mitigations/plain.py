"""Plain training: every image counts alike."""

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted
from equipoise.mitigations.rows import Training, parsed, trainable
from equipoise.mitigations.weighed import Weighed, solved, weighed

DECLARED = Declared(shape="during", group_in_training=False)


class Parameters(BaseModel):
    """Plain training has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe that knows of no groups: what every mitigation is compared with.

    Objective: mean log loss + ``penalty / 2 · |w|²``. Groups are needed neither for training nor
    at test time; if given, their losses are reported.

    Replication: over 11 algorithms, 10 data sets and 3 rules of selection no mitigation was
    reliably better than it (MEDFAIR), nor was any of five on chest radiographs out of distribution.

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        None are known.
    rng
        Not drawn from.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Vapnik, *Principles of risk minimization for learning theory*, NeurIPS 1991. Zong, Yang and
    Hospedales, *MEDFAIR*, ICLR 2023. Yang et al., *The limits of fair medical imaging AI in
    real-world generalization*, Nature Medicine 30, 2024.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0)).converged
    True
    """
    found = weights(training, parameters=parameters, rng=rng)
    return solved("plain", training, found, penalty=penalty, start=start)


def weights(
    training: Training, *, parameters: Mapping[str, object], rng: np.random.Generator
) -> Weighed:
    """Return the weights of the rows: all alike.

    Parameters
    ----------
    training, parameters, rng
        As for `fit`.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> weights(rows, parameters={}, rng=np.random.default_rng(0)).weights.tolist()
    [1.0, 1.0]
    """
    del rng
    parsed(Parameters, parameters, "plain")
    trainable(training)
    return weighed(training, np.ones(len(training.y)))
