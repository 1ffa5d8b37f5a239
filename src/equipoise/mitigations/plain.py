"""Plain training: every image counts alike."""

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from equipoise import probes
from equipoise.mitigations.rows import Fitted, Training, cells, mean_losses, parsed


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
    Vapnik, *Principles of risk minimization for learning theory*, NeurIPS 1991.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0)).converged
    True
    """
    del rng
    parsed(Parameters, parameters, "plain")
    probe = probes.fit_logistic(training.x, training.y, penalty=penalty, start=start)
    names, codes = cells(training, "label_group")
    n = np.bincount(codes[codes >= 0], minlength=len(names))
    return Fitted(
        mitigation="plain",
        probe=probe,
        groups=names,
        group_weights=n / max(int(n.sum()), 1),
        group_losses=mean_losses(training, probe, codes, len(names)),
    )
