"""CVaR-DRO: the mean loss of the worst share of all rows is what is minimised."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, checked, parsed

Reals = npt.NDArray[np.float64]

DECLARED = Declared(shape="during", group_in_training=False)

_WARMEST = 0.3
_COOLING = 0.25
_COLDEST = 1e-5
_FLOOR = 1e-10


class Parameters(BaseModel):
    """Which share counts, and how closely the minimum is sought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worst: float = Field(default=0.1, gt=0, le=1, description="share of the rows that counts")
    tolerance: float = Field(
        default=0.002, gt=0, description="how far above its minimum the objective may end (nats)"
    )


@dataclass(frozen=True, slots=True)
class _Problem:
    """Standardised rows; a point is ``(d + 2,)``: weights, intercept, the loss at the quantile."""

    rows: Reals
    truth: Reals
    worst: float
    ridge: Reals

    def losses(self, point: Reals) -> tuple[Reals, Reals]:
        logit = self.rows @ point[:-1]
        return np.logaddexp(0.0, logit) - self.truth * logit, logit

    def smooth(self, point: Reals, heat: float) -> tuple[float, Reals]:
        """Return ``η + mean softplus(loss - η) / share`` and its gradient."""
        loss, logit = self.losses(point)
        excess = (loss - point[-1]) / heat
        n = len(loss) * self.worst
        inside = probes.probability(excess) / n
        value = point[-1] + heat * float(np.logaddexp(0.0, excess).sum()) / n
        slope = (inside * (probes.probability(logit) - self.truth)) @ self.rows
        gradient = np.append(slope, 1.0 - inside.sum()) + self.ridge * point
        return value + 0.5 * float(self.ridge @ point**2), gradient

    def curvature(self, point: Reals, heat: float) -> Reals:
        loss, logit = self.losses(point)
        q = probes.probability((loss - point[-1]) / heat)
        n = len(loss) * self.worst
        miss = (probes.probability(logit) - self.truth)[:, None]
        bend = np.diag(self.ridge + _FLOOR)
        bend[:-1, :-1] += probes.gram(self.rows, q * probes.spread(logit) / n)
        moved = np.hstack([miss * self.rows, np.full((len(loss), 1), -1.0)])
        return np.asarray(bend + probes.gram(moved, q * (1.0 - q) / (heat * n)))

    def exact(self, point: Reals) -> float:
        """Return the objective itself: the mean of the worst losses, and the penalty."""
        loss = np.sort(self.losses(point)[0])[::-1]
        n = len(loss) * self.worst
        whole = int(np.floor(n))
        rest = (n - whole) * (loss[whole] if whole < len(loss) else 0.0)
        total = float(loss[:whole].sum() + rest) / n
        return total + 0.5 * float(self.ridge @ point**2)


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe whose worst rows have the least mean loss.

    Objective: mean log loss of the worst share α of the rows + ``penalty / 2 · |w|²``, in its
    dual form ``min over η of η + mean (loss - η)₊ / α``. Groups are needed neither for training
    nor at test time. The positive part is softened at a temperature that falls until the
    objective is within `tolerance` of its minimum, which the softening bounds.

    The worst rows are also the mislabelled ones, and with a small α the fit follows them.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others, and had to be selected with groups on
    validation (SubpopBench). On clinical records no
    such objective was consistently better than plain training (Pfohl 2022).

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``worst``: α, published 0.01 to 1 (0.1; 1 is plain training); ``tolerance`` in nats.
    rng
        Not drawn from.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Duchi and Namkoong, *Learning models with uniform performance via distributionally robust
    optimization*, Annals of Statistics 49, 2021. Levy, Carmon, Duchi and Sidford, *Large-scale
    methods for distributionally robust optimization*, NeurIPS 2020. Rockafellar and Uryasev,
    *Optimization of conditional value-at-risk*, Journal of Risk 2, 2000 (the dual form). Yang,
    Zhang, Katabi and Ghassemi, *Change is hard*, ICML 2023 (SubpopBench). Pfohl et al., *A
    comparison of approaches to improve worst-case predictive model performance over patient
    subpopulations*, Scientific Reports 12, 2022.

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.full(4, "F"))
    >>> fitted = fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))
    >>> fitted.converged, fitted.gap <= 0.002
    (True, True)
    """
    del rng
    chosen = parsed(Parameters, parameters, "cvar_dro")
    checked(training, penalty)
    mean, scale = probes.standard(training.x, np.full(len(training.y), 1.0 / len(training.y)))
    rows = probes.standardised(training.x, mean, scale)
    problem = _Problem(
        rows=rows,
        truth=training.y.astype(np.float64),
        worst=chosen.worst,
        ridge=np.append(np.full(rows.shape[1] - 1, penalty), [0.0, 0.0]),
    )
    weights = np.zeros(rows.shape[1]) if start is None else start.point(mean, scale)
    found, gap, passes = _cooled(problem, np.append(weights, np.log(2.0)), chosen.tolerance)
    probe = probes.LogisticProbe(
        weights=found.point[:-2],
        intercept=float(found.point[-2]),
        mean=mean,
        scale=scale,
        penalty=penalty,
        iterations=passes,
        gradient_norm=found.gradient_norm,
        converged=gap <= chosen.tolerance,
    )
    return described(Fitted("cvar_dro", probe, gap=gap), training)


def _cooled(
    problem: _Problem, begin: Reals, tolerance: float
) -> tuple[probes.Solution, float, int]:
    heat, passes = _WARMEST, 0
    while True:
        found = probes.minimise(
            partial(problem.smooth, heat=heat), partial(problem.curvature, heat=heat), begin
        )
        passes += found.iterations
        # softplus exceeds the positive part by at most heat · log 2
        least = found.value - heat * np.log(2.0) / problem.worst
        gap = max(0.0, problem.exact(found.point) - least)
        if gap <= tolerance or heat < _COLDEST:
            return found, float(gap), passes
        begin, heat = found.point, heat * _COOLING
