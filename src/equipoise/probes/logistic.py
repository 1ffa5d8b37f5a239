"""The logistic probe: fitted, applied, and cross-fitted over folds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.probes.solver import minimise

Reals = npt.NDArray[np.float64]
Embeddings = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_BLOCK = 8192
_NEGLIGIBLE = 1e-6
_FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class LogisticProbe:
    """A fitted probe: ``score = sigmoid(weights · (x - mean) / scale + intercept)``.

    Parameters
    ----------
    weights
        ``(d,)``, for standardised embeddings.
    intercept
        Of the log odds.
    mean, scale
        ``(d,)``, of the training rows; the scale of a constant column is 1.
    penalty
        Under which it was fitted.
    iterations
        Passes over the data that fitting took.
    gradient_norm
        Largest absolute entry of the gradient of the objective where fitting ended.
    converged
        Whether that is at most 1e-6.
    """

    weights: Reals
    intercept: float
    mean: Reals
    scale: Reals
    penalty: float
    iterations: int
    gradient_norm: float
    converged: bool

    def scores(self, x: Embeddings) -> Reals:
        """Return the probability of each row of `x` ``(n, d)``, in [0, 1].

        Raises
        ------
        InvalidTable
            If the rows have another length than those of training, or hold NaN.
        """
        check_embeddings(x)
        if x.shape[1] != len(self.weights):
            raise InvalidTable(
                f"embeddings: vectors of length {x.shape[1]}; expected {len(self.weights)}"
            )
        raw = self.weights / self.scale  # (d,)
        offset = self.intercept - self.mean @ raw
        blocks = [
            x[start : start + _BLOCK].astype(np.float64) @ raw for start in range(0, len(x), _BLOCK)
        ]
        return probability(np.concatenate([*blocks, np.empty(0)]) + offset)

    def point(self, mean: Reals, scale: Reals) -> Reals:
        """Return weights and intercept ``(d + 1,)`` as seen from another standardisation."""
        raw = self.weights / self.scale
        return np.append(raw * scale, self.intercept + (mean - self.mean) @ raw)


def fit_logistic(
    x: Embeddings,
    y: npt.NDArray[np.bool_],
    *,
    weights: Reals | None = None,
    penalty: float,
    start: LogisticProbe | None = None,
) -> LogisticProbe:
    """Fit a logistic probe on standardised embeddings.

    It minimises the weighted mean log loss + ``penalty / 2 · |w|²`` over the weights w of the
    embeddings, standardised by their weighted mean and standard deviation; the intercept is not
    penalised. Doubling a row's weight is having the row twice.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``; d up to about 2,000, as a ``(d, d)`` matrix is factored.
    y
        Labels ``(n,)``, both of them.
    weights
        Of the rows ``(n,)``, 0 or more; all alike by default. Only their ratios count.
    penalty
        Above 0. In scikit-learn's terms ``C = 1 / (n · penalty)``.
    start
        A probe to start from: it saves time and changes nothing.

    Raises
    ------
    InvalidTable
        If an embedding is NaN or infinite, or only one label occurs.
    InvalidConfiguration
        If the penalty is not above 0.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> probe = fit_logistic(x, np.array([False, False, True, True]), penalty=0.1)
    >>> probe.converged, bool(probe.scores(x)[0] < 0.5 < probe.scores(x)[3])
    (True, True)
    """
    if not (np.isfinite(penalty) and penalty > 0):
        raise InvalidConfiguration(f"probe: penalty {penalty}; expected a number above 0")
    check_embeddings(x)
    share = _shares(len(x), weights)
    check_labels(y, share)
    mean, scale = standard(x, share)
    rows, truth = standardised(x, mean, scale), y.astype(np.float64)
    ridge = np.append(np.full(x.shape[1], penalty), 0.0)

    def objective(point: Reals) -> tuple[float, Reals]:
        logit = rows @ point
        loss = float(share @ (np.logaddexp(0.0, logit) - truth * logit))
        gradient = (share * (probability(logit) - truth)) @ rows + ridge * point
        return loss + 0.5 * float(ridge @ point**2), gradient

    def curvature(point: Reals) -> npt.NDArray[np.float64]:
        return gram(rows, share * spread(rows @ point)) + np.diag(ridge + _FLOOR)

    begin = (
        _prevalence_point(truth, share, x.shape[1]) if start is None else start.point(mean, scale)
    )
    found = minimise(objective, curvature, begin)
    return LogisticProbe(
        weights=found.point[:-1],
        intercept=float(found.point[-1]),
        mean=mean,
        scale=scale,
        penalty=penalty,
        iterations=found.iterations,
        gradient_norm=found.gradient_norm,
        converged=found.converged,
    )


def cross_fitted_scores(
    x: Embeddings,
    y: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.int64],
    *,
    penalty: float,
) -> Reals:
    """Return for each row the score of a probe that has not seen its fold.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``.
    y
        Labels ``(n,)``.
    folds
        Fold of each row ``(n,)``; a patient's rows should share one.
    penalty
        Above 0.

    Raises
    ------
    InvalidTable
        If a row's embedding is NaN, there is one fold only, or the rows outside some fold hold
        one label only.

    Examples
    --------
    >>> x = np.arange(8.0)[:, None]
    >>> y = np.arange(8) > 3
    >>> cross_fitted_scores(x, y, np.arange(8) % 2, penalty=0.1).shape
    (8,)
    """
    scores = np.full(len(x), np.nan)
    for fold in np.unique(folds):
        inside = folds == fold
        if inside.all():
            raise InvalidTable(f"probe: all {len(x)} rows are in fold {fold}; expected two folds")
        try:
            probe = fit_logistic(x[~inside], y[~inside], penalty=penalty)
        except InvalidTable as error:
            raise InvalidTable(f"{error} (outside fold {fold})", hint=error.hint) from error
        scores[inside] = probe.scores(x[inside])
    return scores


def check_embeddings(x: Embeddings) -> None:
    """Refuse embeddings that are no matrix or hold NaN or infinity.

    Examples
    --------
    >>> check_embeddings(np.array([[1.0], [np.nan]]))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: embeddings: 1 of 2 rows hold NaN or infinity, the first row 1
    """
    if x.ndim != 2:
        raise InvalidTable(f"embeddings: shape {x.shape}; expected (n, d)")
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        raise InvalidTable(
            f"embeddings: {bad.sum()} of {len(x)} rows hold NaN or infinity, "
            f"the first row {bad.argmax()}"
        )


def check_labels(y: npt.NDArray[np.bool_], share: Reals) -> None:
    """Refuse labels of one kind only among the rows that have weight.

    Examples
    --------
    >>> check_labels(np.array([True, True]), np.array([0.5, 0.5]))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: labels: all 2 are positive; expected both kinds to train on
    """
    counted = y[share > 0]
    if counted.all() or not counted.any():
        if not len(counted):
            raise InvalidTable("labels: none to train on; expected both kinds")
        kind = "positive" if counted.all() else "negative"
        raise InvalidTable(
            f"labels: all {len(counted)} are {kind}; expected both kinds to train on",
            hint="choose a finding that occurs and is absent, or give more images",
        )


def standard(x: Embeddings, share: Reals) -> tuple[Reals, Reals]:
    """Return weighted mean and scale ``(d,)`` of the columns; a constant column has scale 1.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``.
    share
        Weights of the rows ``(n,)`` that add up to 1.

    Examples
    --------
    >>> mean, scale = standard(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([0.5, 0.5]))
    >>> mean.tolist(), scale.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    mean, square = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for start in range(0, len(x), _BLOCK):
        stop = start + _BLOCK
        mean += share[start:stop] @ x[start:stop].astype(np.float64)
    for start in range(0, len(x), _BLOCK):
        stop = start + _BLOCK
        square += share[start:stop] @ (x[start:stop] - mean) ** 2
    scale = np.sqrt(square)
    # float32 noise in a constant column must not be blown up to unit variance
    scale[scale <= _NEGLIGIBLE * np.abs(mean)] = 1.0
    scale[scale == 0.0] = 1.0
    return mean, scale


def standardised(x: Embeddings, mean: Reals, scale: Reals) -> Reals:
    """Return ``(n, d + 1)``: standardised columns and a last one of ones for the intercept.

    Examples
    --------
    >>> standardised(np.array([[4.0]]), np.array([2.0]), np.array([2.0])).tolist()
    [[1.0, 1.0]]
    """
    rows = np.ones((len(x), x.shape[1] + 1))
    np.subtract(x, mean, out=rows[:, :-1])
    rows[:, :-1] /= scale
    return rows


def probability(logit: Reals) -> Reals:
    """Return the sigmoid of log odds, without overflow.

    Examples
    --------
    >>> probability(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    found: Reals = np.exp(-np.logaddexp(0.0, -logit))
    return found


def spread(logit: Reals) -> Reals:
    """Return the variance ``p (1 - p)`` at log odds: the second derivative of the log loss.

    Examples
    --------
    >>> spread(np.array([0.0])).tolist()
    [0.25]
    """
    return probability(logit) * probability(-logit)


def gram(rows: Reals, weights: Reals) -> npt.NDArray[np.float64]:
    """Return ``rows' · diag(weights) · rows`` in blocks, so that no second copy is held.

    Examples
    --------
    >>> gram(np.array([[1.0, 2.0]]), np.array([4.0])).tolist()
    [[4.0, 8.0], [8.0, 16.0]]
    """
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        stop = start + _BLOCK
        block = rows[start:stop] * np.sqrt(weights[start:stop])[:, None]
        total += block.T @ block
    return total


def _shares(n: int, weights: Reals | None) -> Reals:
    if weights is None:
        return np.full(n, 1.0 / max(n, 1))
    if weights.shape != (n,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidTable(f"weights: expected {n} finite numbers, 0 or more")
    total = float(weights.sum())
    if total <= 0:
        raise InvalidTable("weights: all are 0; expected some above")
    return weights / total


def _prevalence_point(truth: Reals, share: Reals, d: int) -> Reals:
    """Start where nothing but the prevalence is known."""
    prevalence = float(share @ truth)
    return np.append(np.zeros(d), np.log(prevalence) - np.log1p(-prevalence))
