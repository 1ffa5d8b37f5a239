"""Reweighting: every label, group or cell of both counts alike, however few its images."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted
from equipoise.mitigations.rows import By, Training, cells, grouped, parsed, trainable
from equipoise.mitigations.weighed import Weighed, solved

DECLARED = Declared(shape="before", group_in_training=True, without_groups={"by": "label"})


class Parameters(BaseModel):
    """What is balanced, and how strongly small cells are lifted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: By = Field(default="label_group", description="cells of label and group, groups, or labels")
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
    """Fit a probe in which each cell has its share of the loss.

    Objective: Σ over cells of ``v · mean log loss of the cell`` + ``penalty / 2 · |w|²`` with v
    in proportion to n^(1 - power). Groups are needed for training (by label: not even there),
    not at test time. Images of unknown group keep the weight they have in plain training. A cell
    that does not occur has no weight; where labels are balanced, prevalence is balanced too, so
    scores are no longer probabilities at the cohort's prevalence.

    Replication: on images with a strong spurious attribute it reaches what costlier methods do
    (Idrissi 2022). On medical images resampling, which it is in expectation, was not reliably
    better than plain training (MEDFAIR); of weights themselves none is known to us.

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``by``: ``label_group``, ``group`` or ``label``; ``power``, 0 to 1; published: 1
        (ReWeight) and 0.5 (SqrtReWeight).
    rng
        Not drawn from.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Japkowicz, *The class imbalance problem*, IC-AI 2000. Idrissi, Arjovsky, Pezeshki and
    Lopez-Paz, *Simple data balancing achieves competitive worst-group accuracy*, CLeaR 2022.
    Zong, Yang and Hospedales, *MEDFAIR*, ICLR 2023.

    Examples
    --------
    >>> y = np.array([True, False, False, False])
    >>> rows = Training(np.eye(4), y, np.array(["F", "F", "F", "M"]))
    >>> fitted = fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> fitted.groups, fitted.group_weights.round(2).tolist()
    (('negative|F', 'negative|M', 'positive|F'), [0.33, 0.33, 0.33])
    """
    found = weights(training, parameters=parameters, rng=rng)
    return solved("reweighting", training, found, penalty=penalty, start=start)


def weights(
    training: Training, *, parameters: Mapping[str, object], rng: np.random.Generator
) -> Weighed:
    """Return the weights of the rows: each cell has its share, spread over its rows.

    Parameters
    ----------
    training, parameters, rng
        As for `fit`.

    Examples
    --------
    >>> y = np.array([True, False, False])
    >>> rows = Training(np.eye(3), y, np.array(["F", "F", "F"]))
    >>> weights(rows, parameters={}, rng=np.random.default_rng(0)).weights.tolist()
    [1.5, 0.75, 0.75]
    """
    del rng
    chosen = parsed(Parameters, parameters, "reweighting")
    trainable(training)
    if chosen.by == "group":
        grouped(training, "reweighting by group")
    names, codes = cells(training, chosen.by)
    return Weighed(balanced(codes, len(names), power=chosen.power), names, codes)


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
