"""LAFTR: an adapter and an adversary whose gain bounds a difference of rates."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from equipoise import probes
from equipoise.mitigations.adapters import Layer, adapted_by_turns
from equipoise.mitigations.adversaries import adversary
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.rows import Training, checked, grouped, parsed

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(Layer):
    """Within which rows the group is hidden, how strongly, and the adapter."""

    criterion: Literal["parity", "equalised_odds", "equal_opportunity"] = Field(
        default="equalised_odds", description="of all rows, of each label, or of positives"
    )
    strength: float = Field(default=1.0, ge=0, description="of the adversary's gain (γ)")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit an adapter that hides the group by a group-normalised absolute loss, and a probe on it.

    Objective: mean log loss + penalties + ``γ ·`` what an adversary gains on chance in absolute
    loss, groups counting alike: for two groups this bounds the difference of the criterion's rates
    of any decision on the hidden layer that the adversary could make. Groups are needed for
    training, not at test time. The paper has two groups and an optional decoder, which it leaves
    out; here there may be more groups, and no decoder. The adversary is a logistic model on the
    units and their squares; adapter and adversary move by turns, of which `passes` is the number.
    Rows of unknown group are trained on; it does not see them.

    Replication: not reliably better than plain training on ten medical sets (MEDFAIR).

    Parameters
    ----------
    training
        The rows; two groups or more.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``criterion``: published all three; ``strength``: γ, published 0.1 to 4 (1);
        ``hidden`` (units), ``decay`` and ``passes`` of the adapter.
    rng
        Draws where the adapter begins.
    start
        Not used.

    References
    ----------
    Madras, Creager, Pitassi and Zemel, *Learning adversarially fair and transferable
    representations*, ICML 2018. Zong, Yang and Hospedales, *MEDFAIR*, ICLR 2023.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 2))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).needs_group_at_test
    False
    """
    del start
    chosen = parsed(Parameters, parameters, "laftr")
    checked(training, penalty)
    rows = canonical(training)
    codes = grouped(rows, "laftr")[1]
    parts = {
        "parity": [np.full(len(codes), True)],
        "equalised_odds": [rows.y, ~rows.y],
        "equal_opportunity": [rows.y],
    }
    apart = adversary(codes, parts[chosen.criterion], loss="absolute")
    found = adapted_by_turns(
        rows,
        chosen,
        penalty=penalty,
        strength=chosen.strength,
        discrepancy=apart,
        rng=rng,
    )
    return described(Fitted("laftr", found.probe, features=found.features), rows)
