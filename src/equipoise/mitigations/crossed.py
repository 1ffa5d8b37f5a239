"""Scores for a step after the probe to be fitted on: by probes that have not seen the patient."""

import numpy as np
import numpy.typing as npt
from pydantic import Field

from equipoise import probes
from equipoise.errors import InvalidTable
from equipoise.mitigations.orders import folds
from equipoise.mitigations.rows import Training

Reals = npt.NDArray[np.float64]

FOLDS = Field(default=5, ge=2, le=20, description="folds of patients for scores out of fold")
"""The parameter that all such members have."""


def crossed(training: Training, n_folds: int, *, penalty: float, rng: np.random.Generator) -> Reals:
    """Return the score of each training row by a plain probe fitted without its patient ``(n,)``.

    On the rows that a probe was fitted on its scores are too sure of themselves: a step fitted on
    those would be fitted on another probe's errors.

    Parameters
    ----------
    training
        The rows.
    n_folds
        Folds of patients.
    penalty
        Above 0.
    rng
        Shuffles the patients.

    Raises
    ------
    InvalidTable
        If there are fewer patients than folds, or the rows outside a fold hold one label.

    Examples
    --------
    >>> x = np.arange(8.0)[:, None]
    >>> rows = Training(x, np.arange(8) % 2 == 0, np.full(8, "F"))
    >>> crossed(rows, 2, penalty=1.0, rng=np.random.default_rng(0)).shape
    (8,)
    """
    place = folds(training, n_folds, rng)
    found = np.full(len(training.y), np.nan)
    for fold in range(n_folds):
        inside = place == fold
        try:
            probe = probes.fit_logistic(training.x[~inside], training.y[~inside], penalty=penalty)
        except InvalidTable as error:
            raise InvalidTable(f"{error} (outside fold {fold})", hint=error.hint) from error
        found[inside] = probe.scores(training.x[inside])
    return found
