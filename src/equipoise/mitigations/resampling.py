"""Resampling: rows are drawn again, with replacement, until every cell is as large as any."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations.fitted import Declared, Fitted
from equipoise.mitigations.orders import canonical_order, ordered
from equipoise.mitigations.reweighting import balanced
from equipoise.mitigations.rows import By, Training, cells, grouped, parsed, trainable
from equipoise.mitigations.weighed import Weighed, solved, weighed

DECLARED = Declared(shape="before", group_in_training=True, without_groups={"by": "label"})


class Parameters(BaseModel):
    """What is balanced, and how many rows are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: By = Field(default="label_group", description="cells of label and group, groups, or labels")
    draws: float = Field(
        default=1.0, gt=0, le=100, description="rows drawn, as a multiple of those there are"
    )


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe on rows drawn with the chance 1 / n of their cell.

    Objective: mean log loss of the rows drawn + ``penalty / 2 · |w|²``; its expectation is that
    of reweighting, to which it adds the noise of the draw. Groups are needed for training (by
    label: not even there), not at test time. Rows of unknown group are drawn as often as in plain
    training. The draw depends on what rows hold, not on their order.

    Replication: as good as costlier methods under a strong spurious attribute (Idrissi 2022); not
    reliably better than plain training on ten medical sets (MEDFAIR); among the six compared on
    chest radiographs its gains did not hold out of distribution (Yang 2024).

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``by``: ``label_group``, ``group`` or ``label``; ``draws``: published 1 (an epoch's
        worth), and equal numbers per group in each batch.
    rng
        Draws the rows.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Japkowicz, *The class imbalance problem*, IC-AI 2000. Idrissi, Arjovsky, Pezeshki and
    Lopez-Paz, *Simple data balancing achieves competitive worst-group accuracy*, CLeaR 2022.
    Zong, Yang and Hospedales, *MEDFAIR*, ICLR 2023. Yang et al., Nature Medicine 30, 2024.

    Examples
    --------
    >>> y = np.array([True, False] * 4)
    >>> rows = Training(np.eye(8), y, np.array(["F"] * 6 + ["M"] * 2))
    >>> fitted = fit(rows, penalty=1.0, parameters={"draws": 50}, rng=np.random.default_rng(0))
    >>> bool(abs(fitted.group_weights - 0.25).max() < 0.05)
    True
    """
    found = weights(training, parameters=parameters, rng=rng)
    return solved("resampling", training, found, penalty=penalty, start=start)


def weights(
    training: Training, *, parameters: Mapping[str, object], rng: np.random.Generator
) -> Weighed:
    """Return the weights of the rows: how often each is drawn.

    Parameters
    ----------
    training, parameters, rng
        As for `fit`.

    Raises
    ------
    InvalidTable
        If the rows that are drawn hold one label.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> drawn = weights(rows, parameters={"draws": 5}, rng=np.random.default_rng(0))
    >>> float(drawn.weights.sum())
    10.0
    """
    chosen = parsed(Parameters, parameters, "resampling")
    trainable(training)
    if chosen.by == "group":
        grouped(training, "resampling by group")
    order, counts = canonical_order(training), np.empty(len(training.y))
    counts[order] = drawn_counts(ordered(training, order), chosen.by, draws=chosen.draws, rng=rng)
    taken = counts > 0
    if training.y[taken].all() or not training.y[taken].any():
        raise InvalidTable(
            f"resampling: the {int(counts.sum())} rows drawn hold one label only",
            hint="ask for more draws",
        )
    return weighed(training, counts, by=chosen.by)


def drawn_counts(
    rows: Training, by: By, *, draws: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return how often each row is drawn ``(n,)``, a draw being as likely in every cell.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> float(drawn_counts(rows, "label_group", draws=5, rng=np.random.default_rng(0)).sum())
    10.0
    """
    names, codes = cells(rows, by)
    chance = balanced(codes, len(names))
    n = max(1, round(draws * len(rows.y)))
    return rng.multinomial(n, chance / chance.sum()).astype(np.float64)
