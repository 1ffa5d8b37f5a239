"""DFR: the last layer is fitted anew on small balanced subsets, and the fits are averaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.rows import Training, cells, checked, parsed

Reals = npt.NDArray[np.float64]

DECLARED = Declared(shape="during", group_in_training=True)

_CONVERGED = 1e-5


class Parameters(BaseModel):
    """How many subsets, and under which penalty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subsets: int = Field(default=10, ge=1, le=100, description="balanced subsets to average over")
    norm: Literal["l1", "l2"] = Field(default="l1", description="of the weights, as penalty")


@dataclass(frozen=True, slots=True)
class _Sparse:
    """Where an L1 fit ended."""

    point: Reals
    norm: float
    passes: int


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit probes on subsets in which every cell of label and group is as large as the smallest.

    Objective, for each subset: mean log loss + ``penalty · |w|₁`` (or ``penalty / 2 · |w|²``);
    the probe is the mean of the fits. Groups are needed for training, not at test time. The
    paper retrains on data held out from the encoder's training: a frozen foundation model has
    seen none of these rows, so all of them serve. Rows of unknown group are not used. The draw
    depends on what rows hold, not on their order.

    A cell of few rows makes every subset small: the fit is noisy where it matters most.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others, and had to be selected with groups on
    validation (SubpopBench). None on medical images is known to us.

    Parameters
    ----------
    training
        The rows; both labels in at least one known group.
    penalty
        λ, above 0; published 0.1, searched from 0.01 to 3.
    parameters
        ``subsets``: published 10 to 20; ``norm``: published ``l1``.
    rng
        Draws the subsets.
    start
        Not used.

    References
    ----------
    Kirichenko, Izmailov and Wilson, *Last layer re-training is sufficient for robustness to
    spurious correlations*, ICLR 2023. Yang, Zhang, Katabi and Ghassemi, *Change is hard*, ICML
    2023 (SubpopBench).

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.array(["F", "F", "M", "M"]))
    >>> fit(rows, penalty=0.1, parameters={}, rng=np.random.default_rng(0)).converged
    True
    """
    del start
    chosen = parsed(Parameters, parameters, "dfr")
    checked(training, penalty)
    rows = canonical(training)
    names, codes = cells(rows, "label_group")
    if not names or len({name.split("|")[0] for name in names}) < 2:
        raise InvalidTable(
            "dfr: the rows of known group hold one label only or are none; expected both labels"
        )
    mean, scale = probes.standard(rows.x, np.full(len(codes), 1.0 / len(codes)))
    standard = probes.standardised(rows.x, mean, scale)
    chance = rng.random((chosen.subsets, len(codes)))
    found = [
        _fitted(standard[taken], rows.y[taken], penalty, chosen.norm)
        for taken in (_balanced(codes, len(names), one) for one in chance)
    ]
    point = np.mean([one.point for one in found], axis=0)
    norm = max(one.norm for one in found)
    probe = probes.LogisticProbe(
        weights=point[:-1],
        intercept=float(point[-1]),
        mean=mean,
        scale=scale,
        penalty=penalty,
        iterations=sum(one.passes for one in found),
        gradient_norm=norm,
        converged=norm <= _CONVERGED,
    )
    size = np.bincount(codes[codes >= 0])
    weights = np.where(codes >= 0, 1.0 / size[np.maximum(codes, 0)], 0.0)
    return described(Fitted("dfr", probe), rows, weights=weights)


def _balanced(codes: npt.NDArray[np.int64], n_cells: int, chance: Reals) -> npt.NDArray[np.int64]:
    """Return the rows of a subset: of each cell as many as the smallest has."""
    smallest = int(np.bincount(codes[codes >= 0], minlength=n_cells).min())
    order = np.argsort(chance, kind="stable")
    return np.sort(
        np.concatenate([order[codes[order] == cell][:smallest] for cell in range(n_cells)])
    )


def _fitted(
    rows: Reals, y: npt.NDArray[np.bool_], penalty: float, norm: Literal["l1", "l2"]
) -> _Sparse:
    """Minimise with the weights split into positive and negative parts, so that L1 is smooth."""
    from scipy import optimize

    truth, d = y.astype(np.float64), rows.shape[1] - 1
    sparse = penalty if norm == "l1" else 0.0
    ridge = penalty if norm == "l2" else 0.0

    def objective(parts: Reals) -> tuple[float, Reals]:
        point = np.append(parts[:d] - parts[d : 2 * d], parts[-1])
        logit = rows @ point
        slope = (probes.probability(logit) - truth) @ rows / len(truth)
        slope[:-1] += ridge * point[:-1]
        value = float(np.mean(np.logaddexp(0.0, logit) - truth * logit))
        value += sparse * float(parts[: 2 * d].sum()) + 0.5 * ridge * float(point[:-1] @ point[:-1])
        return value, np.concatenate([slope[:-1] + sparse, sparse - slope[:-1], slope[-1:]])

    found = optimize.minimize(
        objective,
        np.zeros(2 * d + 1),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * (2 * d) + [(None, None)],
        options={"maxiter": 2000, "maxfun": 4000, "gtol": _CONVERGED / 10, "ftol": 0.0},
    )
    free = np.where((found.x > 0) | (np.arange(2 * d + 1) == 2 * d), found.jac, 0.0)
    held = np.minimum(found.jac, 0.0) * (found.x <= 0)
    held[-1] = 0.0
    point = np.append(found.x[:d] - found.x[d : 2 * d], found.x[-1])
    return _Sparse(point, float(np.abs(free + held).max()), int(found.nfev))
