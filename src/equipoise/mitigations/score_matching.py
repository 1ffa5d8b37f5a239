"""Conditional score matching: within a label, groups have one distribution of scores."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.matching import kernel_gaps, mean_gaps, within_labels
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.scored import scored

DECLARED = Declared(shape="during", group_in_training=True)


class Parameters(BaseModel):
    """What is matched, and how strongly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: Literal["mean", "mmd"] = Field(
        default="mean", description="of log odds: their means, or their distributions by kernels"
    )
    strength: float = Field(default=1.0, ge=0, description="of the matching (λ)")
    bandwidths: tuple[float, ...] = Field(
        default=(0.1, 1.0, 10.0), min_length=1, description="γ of the kernels, for mmd"
    )
    features: int = Field(default=96, ge=8, le=4096, description="random features, for mmd")


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a linear probe whose log odds within a label are alike in all groups (DistMatch).

    Objective: mean log loss + ``penalty / 2 · |w|²`` + ``λ ·`` mean over cells of the distance
    between the cell's log odds and those of all rows of its label: the squared difference of means,
    which is convex, or MMD². Groups are needed for training, not at test time. The paper matches
    log probabilities; log odds differ by the other label's. Rows of unknown group are trained on
    and take no part in the matching.

    Replication: on clinical records such penalties made most measures of performance worse within
    nearly every group (Pfohl 2021); on chest radiographs methods that reach equal rates did so by
    worsening performance for all groups (CXR_Fairness).

    Parameters
    ----------
    training
        The rows; two groups or more.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``distance``: published both; ``strength``: λ, published 0.1 to 100; ``bandwidths``:
        published 1e-3 to 1e3; ``features``.
    rng
        Draws random features, for ``mmd``.
    start
        Not used.

    References
    ----------
    Pfohl, Foryciarz and Shah, *An empirical characterization of fair machine learning for clinical
    risk prediction*, Journal of Biomedical Informatics 113, 2021. Zhang et al., *Improving the
    fairness of chest X-ray classifiers*, CHIL 2022.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 2))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).needs_group_at_test
    False
    """
    del start
    chosen = parsed(Parameters, parameters, "score_matching")
    checked(training, penalty)
    rows = canonical(training)
    codes = grouped(rows, "score_matching")[1]
    contrasts = within_labels(codes, rows.y)
    apart = mean_gaps(contrasts)
    if chosen.distance == "mmd":
        apart = kernel_gaps(
            contrasts, 1, bandwidths=chosen.bandwidths, n_features=chosen.features, rng=rng
        )
    probe = scored(rows, penalty=penalty, strengths=(chosen.strength,), discrepancy=apart)
    return described(Fitted("score_matching", probe), rows)
