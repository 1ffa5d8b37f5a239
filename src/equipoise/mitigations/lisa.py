"""LISA: rows are mixed with rows of the same label and another group, or the other way round."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.mixup import fit_mixed
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.resampling import drawn_counts
from equipoise.mitigations.rows import Training, checked, grouped, parsed

Codes = npt.NDArray[np.int64]

DECLARED = Declared(shape="before", group_in_training=True)


class Parameters(BaseModel):
    """With whom rows are mixed, and how far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    within_label: float = Field(
        default=0.5, ge=0, le=1, description="chance to mix same label, different group"
    )
    alpha: float = Field(default=2.0, gt=0, le=10, description="shares are Beta(alpha, alpha)")
    repeats: int = Field(default=2, ge=1, le=20, description="mixed points per row")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe on mixtures across groups within a label, and across labels within a group.

    Objective: that of mixup over pairs that keep the label and change the group (with chance p),
    or keep the group and change the label; the first of a pair is drawn alike from every cell.
    Groups are needed for training, not at test time. A row without such a partner, or of unknown
    group, stays as it is. The draw depends on what rows hold, not on their order.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others, and had to be selected with groups on
    validation (SubpopBench). None on medical images is known to us.

    Parameters
    ----------
    training
        The rows; two groups or more.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``within_label``: published 0.5 (0.1 to 1); ``alpha``: published 2; ``repeats``.
    rng
        Draws rows, partners and shares.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Yao et al., *Improving out-of-distribution robustness via selective augmentation*, ICML 2022.
    Yang, Zhang, Katabi and Ghassemi, *Change is hard*, ICML 2023 (SubpopBench).

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.array(["F", "F", "M", "M"]))
    >>> fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0)).converged
    True
    """
    chosen = parsed(Parameters, parameters, "lisa")
    checked(training, penalty)
    rows = canonical(training)
    codes = grouped(rows, "lisa")[1]
    counts = drawn_counts(rows, "label_group", draws=chosen.repeats, rng=rng).astype(np.int64)
    first = np.repeat(np.arange(len(rows.y)), counts)
    within = rng.random(len(first)) < chosen.within_label
    second = partners(rows.y, codes, first, within=within, chance=rng.random(len(first)))
    share = rng.beta(chosen.alpha, chosen.alpha, size=len(first))
    probe = fit_mixed(rows, first, second, share, penalty=penalty, start=start)
    return described(Fitted("lisa", probe), rows)


def partners(
    y: npt.NDArray[np.bool_],
    codes: Codes,
    first: Codes,
    *,
    within: npt.NDArray[np.bool_],
    chance: npt.NDArray[np.float64],
) -> Codes:
    """Return for each row a partner; itself if there is none.

    Parameters
    ----------
    y, codes
        Label and group of all rows, -1 = unknown.
    first
        The rows to pair.
    within
        Same label and different group; else same group and different label.
    chance
        In [0, 1): which of those that fit.

    Examples
    --------
    >>> y, codes = np.array([True, True, False]), np.array([0, 1, 0])
    >>> partners(y, codes, np.array([0, 0]), within=np.array([True, False]),
    ...          chance=np.zeros(2)).tolist()
    [1, 2]
    """
    second = first.copy()
    for group in np.unique(codes[codes >= 0]):
        for label in (False, True):
            mine = (codes[first] == group) & (y[first] == label)
            for kept in (False, True):
                pool = np.flatnonzero(
                    (y == label) & (codes != group) & (codes >= 0)
                    if kept
                    else (y != label) & (codes == group)
                )
                asked = mine & (within == kept)
                if len(pool):
                    second[asked] = pool[(chance[asked] * len(pool)).astype(np.int64)]
    return second
