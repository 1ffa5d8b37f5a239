"""Reweighting: every cell of label and group counts alike, however few its images."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.rows import Fitted, Training, cells, mean_losses, parsed


class Parameters(BaseModel):
    """How strongly small cells are lifted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    power: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="a cell of n images weighs n^(1 - power): 1 all alike, 0 plain",
    )


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe in which each cell of label and group has its share of the loss.

    Objective: Σ over cells of ``v · mean log loss of the cell`` + ``penalty / 2 · |w|²`` with v
    in proportion to n^(1 - power). Groups are needed for training, not at test time. Images of
    unknown group keep the weight they have in plain training. A cell that does not occur has no
    weight; prevalence is balanced too, so scores are no longer probabilities at the cohort's
    prevalence.

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``power``, 0 to 1; published: 1 (ReWeight) and 0.5 (SqrtReWeight).
    rng
        Not drawn from.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Idrissi, Arjovsky, Pezeshki, Lopez-Paz, *Simple data balancing achieves competitive
    worst-group accuracy*, CLeaR 2022.

    Examples
    --------
    >>> y = np.array([True, False, False, False])
    >>> rows = Training(np.eye(4), y, np.array(["F", "F", "F", "M"]))
    >>> fitted = fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> fitted.groups, fitted.group_weights.round(2).tolist()
    (('negative|F', 'negative|M', 'positive|F'), [0.33, 0.33, 0.33])
    """
    del rng
    power = parsed(Parameters, parameters, "reweighting").power
    names, codes = cells(training, "label_group")
    weights = balanced(codes, len(names), power=power)
    probe = probes.fit_logistic(
        training.x, training.y, weights=weights, penalty=penalty, start=start
    )
    known = codes >= 0
    total = np.bincount(codes[known], weights=weights[known], minlength=len(names))
    return Fitted(
        mitigation="reweighting",
        probe=probe,
        groups=names,
        group_weights=total / max(float(total.sum()), 1.0),
        group_losses=mean_losses(training, probe, codes, len(names)),
    )


def balanced(
    codes: npt.NDArray[np.int64], n_cells: int, *, power: float = 1.0
) -> npt.NDArray[np.float64]:
    """Return a weight per row, mean 1 over the rows of known cell and 1 for the others.

    Parameters
    ----------
    codes
        The cell of each row ``(n,)``, -1 for none.
    n_cells
        Cells, each of which occurs.
    power
        1: all cells weigh alike; 0: all rows do.

    Examples
    --------
    >>> balanced(np.array([0, 0, 0, 1, -1]), 2).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0, 1.0]
    """
    known = codes >= 0
    n = np.bincount(codes[known], minlength=n_cells).astype(np.float64)
    share = n ** (1.0 - power)
    per_row = n.sum() * share / share.sum() / n if n_cells else n
    weights = np.ones(len(codes))
    weights[known] = per_row[codes[known]]
    return weights
