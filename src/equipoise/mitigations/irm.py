"""IRM: the probe is asked to be the best scale of its own log odds in every group."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.matching import Discrepancy
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.scored import scored

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(BaseModel):
    """How strongly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(default=100.0, ge=0, description="of the penalty (λ)")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a linear probe for which no group would have its log odds scaled otherwise.

    Objective: mean log loss + ``penalty / 2 · |w|²`` + ``λ ·`` mean over groups of
    ``(d loss of the group / d s)²`` at s = 1, s a factor on the log odds. Groups are needed for
    training, not at test time. λ grows from 1 to its value in steps of ten, as the paper begins
    without the penalty. All rows are there at once, so the square is of the mean itself and needs
    no estimate from two halves; and the log loss is the mean over rows, so that with no penalty it
    is plain training, where the paper takes the mean over groups. Rows of unknown group count in
    the log loss alone.

    A probe that knows nothing satisfies the penalty, and with few groups so do others that lean
    on what is spurious.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others (SubpopBench). None on medical images is
    known to us.

    Parameters
    ----------
    training
        The rows; two groups or more.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``strength``: λ, published 0.1 to 1e5 (100).
    rng
        Not drawn from.
    start
        Not used.

    References
    ----------
    Arjovsky, Bottou, Gulrajani and Lopez-Paz, *Invariant risk minimization*, 2019. Yang, Zhang,
    Katabi and Ghassemi, *Change is hard*, ICML 2023 (SubpopBench).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 2))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).needs_group_at_test
    False
    """
    del start
    chosen = parsed(Parameters, parameters, "irm")
    checked(training, penalty)
    rows = canonical(training)
    codes = grouped(rows, "irm")[1]
    del rng
    apart = scale_gradients(codes, rows.y)
    ramp = [10.0**power for power in range(20) if 10.0**power < chosen.strength]
    probe = scored(rows, penalty=penalty, strengths=(*ramp, chosen.strength), discrepancy=apart)
    return described(Fitted("irm", probe), rows)


def scale_gradients(codes: npt.NDArray[np.int64], y: npt.NDArray[np.bool_]) -> Discrepancy:
    """Return the mean over groups of the squared gradient of their loss by a scale of log odds.

    Examples
    --------
    >>> gap = scale_gradients(np.array([0, 0]), np.array([True, False]))
    >>> gap(np.zeros((2, 1)))[0]
    0.0
    """
    truth = y.astype(np.float64)
    places = [np.flatnonzero(codes == place) for place in range(int(codes.max()) + 1)]

    def discrepancy(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        logit = values[:, 0]
        miss = probes.probability(logit) - truth
        total, slope = 0.0, np.zeros_like(logit)
        for one in places:
            pull = float((miss[one] * logit[one]).mean())
            total += pull**2
            bend = probes.spread(logit[one]) * logit[one] + miss[one]
            slope[one] = 2.0 * pull * bend / len(one)
        return total / len(places), slope[:, None] / len(places)

    return discrepancy
