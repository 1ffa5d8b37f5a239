"""CRT: a representation learned on all rows, and a probe fitted anew on balanced ones."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from equipoise import probes
from equipoise.mitigations.adapters import Layer, adapted
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.resampling import drawn_counts
from equipoise.mitigations.reweighting import balanced
from equipoise.mitigations.rows import Training, cells, checked, parsed
from equipoise.mitigations.steps import featured

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(Layer):
    """How the second fit is balanced, and the adapter."""

    balance: Literal["sampling", "weights", "none"] = Field(
        default="sampling", description="of cells of label and group, in the second fit"
    )


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit an adapter with a probe, drop the probe, and fit another on balanced rows.

    Objective: first mean log loss + penalties of adapter and probe; then, on what the adapter
    gives, mean log loss of rows balanced by label and group + ``penalty / 2 · |w|²``. Groups are
    needed for training, not at test time. On frozen embeddings without an adapter the second fit
    alone would be resampling or reweighting: here the adapter is the representation that is kept.
    Rows of unknown group weigh as in plain training.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others (SubpopBench). None on medical images is
    known to us.

    Parameters
    ----------
    training
        The rows.
    penalty
        Of both probes, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``balance``: published all three (CRT, ReWeightCRT, VanillaCRT); ``hidden`` (units),
        ``decay`` and ``passes`` of the adapter.
    rng
        Draws where the adapter begins, and the rows of the second fit.
    start
        Not used.

    References
    ----------
    Kang et al., *Decoupling representation and classifier for long-tailed recognition*, ICLR
    2020. Yang, Zhang, Katabi and Ghassemi, *Change is hard*, ICML 2023 (SubpopBench).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 2))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).features.kind
    'tanh'
    """
    del start
    chosen = parsed(Parameters, parameters, "crt")
    checked(training, penalty)
    rows = canonical(training)
    first = adapted(rows, chosen, penalty=penalty, strength=0.0, discrepancy=None, rng=rng)
    weights = _weights(rows, chosen.balance, rng)
    hidden = featured(first.features, rows.x, None)
    probe = probes.fit_logistic(hidden, rows.y, weights=weights, penalty=penalty)
    return described(Fitted("crt", probe, features=first.features), rows, weights=weights)


def _weights(
    rows: Training, balance: Literal["sampling", "weights", "none"], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    if balance == "sampling":
        return drawn_counts(rows, "label_group", draws=1.0, rng=rng)
    names, codes = cells(rows, "label_group")
    return balanced(codes, len(names), power=1.0 if balance == "weights" else 0.0)
