"""Domain-independent heads: a head per group, of which the log odds are averaged."""

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, checked, grouped, parsed

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(BaseModel):
    """It has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a head on each group alone and average their log odds.

    Objective, for each group: its mean log loss + ``penalty / 2 · |w|²``. Groups are needed for
    training, not at test time: what is averaged does not know whose image it is. On frozen
    embeddings the mean of linear heads is one linear probe, and that is what is kept. Rows of
    unknown group are used by no head.

    A small group's head is fitted on few rows and has the same say as the others.

    Replication: not reliably better than plain training on ten medical sets (MEDFAIR).

    Parameters
    ----------
    training
        The rows; two groups or more, each with both labels.
    penalty
        Above 0, the same for each head; published ranges for linear probes are 1e-6 to 1.
    parameters
        None are known.
    rng
        Not drawn from.
    start
        A probe to start each head from: it saves time and changes nothing.

    References
    ----------
    Wang et al., *Towards fairness in visual recognition: effective strategies for bias
    mitigation*, CVPR 2020. Zong, Yang and Hospedales, *MEDFAIR*, ICLR 2023.

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.array(["F", "F", "M", "M"]))
    >>> fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0)).converged
    True
    """
    del rng
    parsed(Parameters, parameters, "domain_independent")
    checked(training, penalty)
    names, codes = grouped(training, "domain_independent", labels="both")
    heads = [
        probes.fit_logistic(training.x[inside], training.y[inside], penalty=penalty, start=start)
        for inside in (codes == place for place in range(len(names)))
    ]
    known = (codes >= 0).astype(np.float64)
    mean, scale = probes.standard(training.x, known / known.sum())
    point = np.mean([head.point(mean, scale) for head in heads], axis=0)
    probe = probes.LogisticProbe(
        weights=point[:-1],
        intercept=float(point[-1]),
        mean=mean,
        scale=scale,
        penalty=penalty,
        iterations=sum(head.iterations for head in heads),
        gradient_norm=max(head.gradient_norm for head in heads),
        converged=all(head.converged for head in heads),
    )
    size = np.bincount(codes[codes >= 0])
    weights = np.where(codes >= 0, 1.0 / size[np.maximum(codes, 0)], 0.0)
    return described(Fitted("domain_independent", probe), training, weights=weights)
