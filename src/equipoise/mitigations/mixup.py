"""Feature mixup: the probe is trained on points between two embeddings, with both labels."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.rows import Training, checked, parsed

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

DECLARED = Declared(shape="before", group_in_training=False)


class Parameters(BaseModel):
    """How far points are mixed, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(default=0.2, gt=0, le=10, description="shares are Beta(alpha, alpha)")
    repeats: int = Field(default=2, ge=1, le=20, description="mixed points per row")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe on mixtures ``s · x + (1 - s) · x'`` of two rows drawn at random.

    Objective: mean over mixtures of ``s · loss(y) + (1 - s) · loss(y')`` + ``penalty / 2 ·
    |w|²``. Groups are needed neither for training nor at test time. The draw depends on what rows
    hold, not on their order.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others, and had to be selected with groups on
    validation (SubpopBench); without attributes this one does not target a group.

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``alpha``: published 0.1 to 0.4 (0.2 by default); ``repeats``: mixtures are drawn once,
        so more of them stand for more epochs.
    rng
        Draws partners and shares.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Zhang, Cisse, Dauphin and Lopez-Paz, *mixup: beyond empirical risk minimization*, ICLR 2018.
    Yang, Zhang, Katabi and Ghassemi, *Change is hard*, ICML 2023 (SubpopBench).

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.full(4, "F"))
    >>> fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0)).converged
    True
    """
    chosen = parsed(Parameters, parameters, "mixup")
    checked(training, penalty)
    rows = canonical(training)
    first = np.tile(np.arange(len(rows.y)), chosen.repeats)
    second = np.concatenate([rng.permutation(len(rows.y)) for _ in range(chosen.repeats)])
    share = rng.beta(chosen.alpha, chosen.alpha, size=len(first))
    probe = fit_mixed(rows, first, second, share, penalty=penalty, start=start)
    return described(Fitted("mixup", probe), rows)


def fit_mixed(
    rows: Training,
    first: Codes,
    second: Codes,
    share: Reals,
    *,
    penalty: float,
    start: probes.LogisticProbe | None,
) -> probes.LogisticProbe:
    """Return a probe on ``share · x[first] + (1 - share) · x[second]``.

    A mixture of two labels is the point twice, once with each label, weighed by its share: the
    log loss is linear in the label, so this is exact.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.full(2, "F"))
    >>> both, half = np.array([0, 1]), np.array([0.9, 0.9])
    >>> fit_mixed(rows, both, both[::-1], half, penalty=1.0, start=None).converged
    True
    """
    x = rows.x[first] * share[:, None] + rows.x[second] * (1.0 - share)[:, None]
    torn = rows.y[first] != rows.y[second]
    weights = np.concatenate([np.where(torn, share, 1.0), (1.0 - share)[torn]])
    return probes.fit_logistic(
        np.concatenate([x, x[torn]]),
        np.concatenate([rows.y[first], rows.y[second][torn]]),
        weights=weights,
        penalty=penalty,
        start=start,
    )
