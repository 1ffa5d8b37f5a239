"""JTT: train once, then train again with more weight on what the first probe got wrong."""

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted
from equipoise.mitigations.rows import Training, parsed, trainable
from equipoise.mitigations.weighed import Weighed, solved, weighed

DECLARED = Declared(shape="during", group_in_training=False)


class Parameters(BaseModel):
    """How the first probe is held back, and how much its errors weigh."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_penalty: float = Field(
        default=1.0, gt=0, description="of the first probe; it stands for stopping early"
    )
    upweight: float = Field(default=10.0, ge=1, le=1000, description="weight of its errors")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe on rows of which those that a first probe misclassified weigh more.

    Objective: mean log loss with weight λ on the first probe's errors at 0.5 + ``penalty / 2 ·
    |w|²``. Groups are needed neither for training nor at test time (the paper tunes λ with groups
    on validation). The first probe, which the paper stops early, is here penalised strongly:
    for a convex loss the two are kin, and this one has a minimum.

    Errors are what the label says they are: where labels are wrong, it learns the wrong ones.

    Replication: in a benchmark of twenty such methods they helped under some shifts (spurious
    correlation, class imbalance) and not under others, and had to be selected with groups on
    validation (SubpopBench). On chest radiographs methods
    for the worst group did not outperform balanced data (CXR_Fairness).

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``upweight``: published 2 to 300 (10); ``first_penalty``: stands for a share 0.5 of the
        steps.
    rng
        Not drawn from.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Liu et al., *Just train twice: improving group robustness without training group information*,
    ICML 2021. Yang, Zhang, Katabi and Ghassemi, *Change is hard*, ICML 2023 (SubpopBench). Zhang et
    al., *Improving the fairness of chest X-ray classifiers*, CHIL 2022 (CXR_Fairness).

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.full(4, "F"))
    >>> fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0)).converged
    True
    """
    found = weights(training, parameters=parameters, rng=rng)
    return solved("jtt", training, found, penalty=penalty, start=start)


def weights(
    training: Training, *, parameters: Mapping[str, object], rng: np.random.Generator
) -> Weighed:
    """Return the weights of the rows: λ where the first probe was wrong, else 1.

    Parameters
    ----------
    training, parameters, rng
        As for `fit`.

    Examples
    --------
    >>> x, y = np.array([[0.0], [1.0], [2.0], [0.0]]), np.array([False, True, True, True])
    >>> rows = Training(x, y, np.full(4, "F"))
    >>> given = {"first_penalty": 0.1}
    >>> weights(rows, parameters=given, rng=np.random.default_rng(0)).weights.tolist()
    [10.0, 1.0, 1.0, 1.0]
    """
    del rng
    chosen = parsed(Parameters, parameters, "jtt")
    trainable(training)
    first = probes.fit_logistic(training.x, training.y, penalty=chosen.first_penalty)
    wrong = (first.scores(training.x) >= 0.5) != training.y
    return weighed(training, np.where(wrong, chosen.upweight, 1.0))
