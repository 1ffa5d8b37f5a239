"""CORAL: groups are brought to one mean and covariance of adapted embeddings."""

from collections.abc import Mapping

import numpy as np

from equipoise import probes
from equipoise.mitigations.adapters import Strength, held_together
from equipoise.mitigations.fitted import Declared, Fitted
from equipoise.mitigations.matching import covariance_gaps
from equipoise.mitigations.rows import Training, parsed

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(Strength):
    """How strongly, and the adapter."""


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit an adapter on which groups have the same mean and covariance, and a probe on it.

    Objective: mean log loss + penalties + ``strength ·`` mean over pairs of groups of the squared
    differences of means and of covariances of the hidden layer, each averaged over its entries.
    Groups are needed for training, not at test time. Rows of unknown group are trained on and take
    no part in the matching.

    Where prevalence differs between groups, a matched embedding cannot tell the label well.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others (SubpopBench). None
    on medical images is known to us.

    Parameters
    ----------
    training
        The rows; two groups or more.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``strength``: published 0.1 to 10 (1); ``hidden`` (units), ``decay`` and
        ``passes`` of the adapter.
    rng
        Draws where the adapter begins.
    start
        Not used.

    References
    ----------
    Sun and Saenko, *Deep CORAL: correlation alignment for deep domain adaptation*, ECCV 2016.
    Yang, Zhang, Katabi and Ghassemi, *Change is hard*, ICML 2023 (SubpopBench).

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
        "coral",
        training,
        parsed(Parameters, parameters, "coral"),
        penalty=penalty,
        rng=rng,
        apart=lambda _, codes: covariance_gaps(codes),
    )
