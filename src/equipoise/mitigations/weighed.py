"""Mitigations that only weigh rows: what they say of the rows, and the fit that follows from it.

Such a member is one function from rows to weights; the penalty plays no part in it. So a sweep can
ask for the weights once and fit all penalties, and other findings, in one batch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise import probes
from equipoise.mitigations.fitted import Fitted, Reals, of_cells
from equipoise.mitigations.rows import By, Training, cells


@dataclass(frozen=True, slots=True)
class Weighed:
    """The weights of rows, and the cells they were made for.

    Parameters
    ----------
    weights
        Of each row ``(n,)``, 0 or more; only their ratios count.
    names
        The cells whose weight and loss are told.
    codes
        The cell of each row ``(n,)``, -1 for none.
    """

    weights: Reals
    names: tuple[str, ...]
    codes: npt.NDArray[np.int64]


def weighed(training: Training, weights: Reals, *, by: By = "label_group") -> Weighed:
    """Return weights of rows beside the cells of those rows.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> weighed(rows, np.ones(2), by="group").names
    ('F', 'M')
    """
    return Weighed(weights, *cells(training, by))


def solved(
    mitigation: str,
    training: Training,
    found: Weighed,
    *,
    penalty: float,
    start: probes.LogisticProbe | None,
) -> Fitted:
    """Return the probe fitted on weighed rows, by itself.

    Parameters
    ----------
    mitigation
        Which weighed them.
    training
        The rows.
    found
        Their weights.
    penalty
        Above 0.
    start
        A probe to start from: it saves time and changes nothing.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> found = weighed(rows, np.array([1.0, 3.0]))
    >>> solved("own", rows, found, penalty=1.0, start=None).group_weights.tolist()
    [0.75, 0.25]
    """
    probe = probes.fit_logistic(
        training.x, training.y, weights=found.weights, penalty=penalty, start=start
    )
    return told(Fitted(mitigation, probe), training, found)


def told(fitted: Fitted, training: Training, found: Weighed) -> Fitted:
    """Return what was fitted on weighed rows with the weight and the loss of each cell.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> probe = probes.fit_logistic(rows.x, rows.y, penalty=1.0)
    >>> told(Fitted("own", probe), rows, weighed(rows, np.ones(2))).groups
    ('negative|M', 'positive|F')
    """
    return of_cells(fitted, training, found.names, found.codes, found.weights)
