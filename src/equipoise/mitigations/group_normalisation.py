"""Per-group normalisation: each group's embeddings are brought to one mean and one spread."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.steps import Step, featured

DECLARED = Declared(shape="features", group_in_training=True, group_at_test=True)

_LEAST = 2


class Parameters(BaseModel):
    """How far a group is moved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(
        default=1.0, ge=0, le=1, description="1: wholly to the pooled spread, 0: not at all"
    )


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe on ``(x - mean of the group) / spread of the group``.

    Objective: plain training on normalised embeddings. Groups are needed for training **and at
    test time**; an unknown or unseen group is normalised as all training rows together are. The
    paper learns mean and spread within the network and mixes them with the identity by a
    momentum; here they are those of the training rows, and `share` is the mixture.

    It takes out what differs between groups, whatever the reason: a difference of scanners, but
    also one of prevalence, so that a group with more disease loses some of its signal.

    Replication: none that is independent is known to us.

    Parameters
    ----------
    training
        The rows; two groups or more, each of at least two rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``share``: published as a momentum of 0.3 on the identity, so about 0.7.
    rng
        Not drawn from.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Luo et al., *Harvard Glaucoma Fairness: a retinal nerve disease dataset for fairness learning
    and fair identity normalization*, IEEE Transactions on Medical Imaging 43, 2024 (FIN).

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [5.0], [7.0]])
    >>> rows = Training(x, np.array([False, True] * 2), np.array(["F", "F", "M", "M"]))
    >>> fitted = fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> featured(fitted.features, x, rows.groups).round(2).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    del rng
    share = parsed(Parameters, parameters, "group_normalisation").share
    checked(training, penalty)
    names, codes = grouped(training, "group_normalisation")
    n = len(codes)
    pooled = probes.standard(training.x, np.full(n, 1.0 / n))
    each = []
    for place, name in enumerate(names):
        inside = (codes == place).astype(np.float64)
        if inside.sum() < _LEAST:
            raise InvalidTable(
                f"group_normalisation: group '{name}' has 1 training row; expected two or more"
            )
        each.append(probes.standard(training.x, inside / inside.sum()))
    step = Step("by_group", _mixed(each, pooled, share), names)
    moved = featured(step, training.x, training.groups)
    probe = probes.fit_logistic(moved, training.y, penalty=penalty, start=start)
    return described(Fitted("group_normalisation", probe, features=step), training)


def _mixed(
    each: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
    pooled: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    share: float,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return shift and scale by group, the pooled last; scales are mixed in their logarithms."""
    mean, scale = pooled
    shift = np.stack([*(share * one[0] + (1.0 - share) * mean for one in each), mean])
    spread = np.stack([*(one[1] ** share * scale ** (1.0 - share) for one in each), scale])
    return {"shift": shift, "scale": spread}
