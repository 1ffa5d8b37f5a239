"""Ridge probes, exactly, from Gram matrices: once gathered, any weights of groups and any penalty.

The rows are seen once. A fit is then one Cholesky factorisation, and as Gram matrices add over
sites, so is a fit over sites that share no row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.probes.fits import Columns, Fits, standardisation
from equipoise.probes.parts import Part, local
from equipoise.probes.sums import Access, Grams, Reals

_AT_ONCE = 8
_JITTER = 1e-13
_CONVERGED = 1e-6


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that ridge needs of the rows.

    Parameters
    ----------
    centre
        ``(d,)``, about which the Gram matrices are.
    grams
        Of each group, of all its rows.
    """

    centre: Reals
    grams: Grams


def gather(data: Part | Sequence[Part] | Access) -> Gathered:
    """Return the Gram matrices of groups, in one pass.

    Rows of float32 are multiplied in float32, about a common centre, and added in float64: what
    is lost is as small as the rounding of the rows themselves.

    Parameters
    ----------
    data
        Rows in one or several parts, or access to parts that are elsewhere. Their weights are
        not used: ridge weighs whole groups, so rows whose label is not assessed are a group too.

    Raises
    ------
    InvalidTable
        If there are no rows, or one holds NaN or infinity.

    Examples
    --------
    >>> part = Part(np.eye(2), np.eye(2, 1, dtype=int), np.ones((2, 1)), np.zeros(2, int))
    >>> gather(part).grams.second.shape
    (1, 3, 3)
    """
    if isinstance(data, Part):
        data = [data]
    access = data if isinstance(data, Access) else local(data)
    taken = access.sample()
    if not taken.rows:
        raise InvalidTable("labels: none to train on; expected both kinds")
    centre = taken.linear / taken.rows
    return Gathered(centre, access.grams(centre, np.ones(access.n_groups, np.int64)))


def fit_ridge(gathered: Gathered, columns: Columns, group_weights: Reals) -> Fits:
    """Fit ridge probes: half the weighted mean squared error + ``penalty / 2 · |w|²``.

    Embeddings are standardised as for `fit_logistic`, the label's code is the number that is
    predicted, and the intercept is not penalised.

    Parameters
    ----------
    gathered
        The Gram matrices.
    columns
        The fits; a pattern is a row of `group_weights`.
    group_weights
        Of each row of a group ``(patterns, groups)``, 0 or more; only ratios count.

    Raises
    ------
    InvalidTable
        If weights are negative, NaN or infinite, those of a column are 0 for all groups that
        have rows, or its label is the same in all its rows.
    InvalidConfiguration
        If a column asks for a label or weights that are not there.

    References
    ----------
    Hoerl and Kennard 1970, Technometrics 12:55.

    Examples
    --------
    >>> x = np.array([[0.0], [2.0]])
    >>> part = Part(x, np.array([[False], [True]]), np.ones((2, 1)), np.zeros(2, int))
    >>> columns = Columns(np.zeros(1, int), np.zeros(1, int), np.array([1.0]))
    >>> fits = fit_ridge(gather(part), columns, np.ones((1, 1)))
    >>> fits.outputs(x)[:, 0, 0].round(6).tolist()
    [0.25, 0.75]
    """
    grams, k, d = gathered.grams, len(columns), len(gathered.centre)
    columns.check(grams.squares.shape[1], len(group_weights))
    _check(grams, columns, group_weights)
    weights = group_weights[columns.pattern]
    weights = weights / (weights @ grams.sizes)[:, None]  # (k, groups)
    second, found = grams.second.reshape(len(grams.sizes), -1), []
    for start in range(0, k, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        mixed = (weights[some] @ second).reshape(-1, d + 1, d + 1)
        for at, moments in enumerate(mixed, start):
            label = columns.label[at]
            cross, square = (
                weights[at] @ grams.cross[:, label],
                weights[at] @ grams.squares[:, label],
            )
            penalty = float(columns.penalty[at])
            found.append(_solved(moments, cross, float(square), penalty, gathered.centre))
    slopes, intercept, mean, scale, value, norm = (
        np.stack(one) for one in zip(*found, strict=True)
    )
    return Fits(
        columns=columns,
        weights=slopes[:, None, :],
        intercept=intercept[:, None],
        mean=mean,
        scale=scale,
        value=value,
        gradient_norm=norm,
        passes=np.ones(k, np.int64),
        tolerance=_CONVERGED,
    )


def _check(grams: Grams, columns: Columns, group_weights: Reals) -> None:
    n = len(grams.sizes)
    if group_weights.ndim != 2 or group_weights.shape[1] != n:
        raise InvalidTable(f"group weights: shape {group_weights.shape}; expected (patterns, {n})")
    if not (np.isfinite(group_weights) & (group_weights >= 0)).all():
        raise InvalidTable("group weights: expected finite numbers, 0 or more")
    for at in range(len(columns)):
        inside, label = group_weights[columns.pattern[at]] > 0, columns.label[at]
        rows = int(grams.sizes[inside].sum())
        if not rows:
            raise InvalidTable(
                f"column {columns.name(at)}: weights: all are 0; expected some above"
            )
        total, squares = grams.cross[inside, label, -1].sum(), grams.squares[inside, label].sum()
        if rows * squares == total**2:  # Cauchy and Schwarz: whole numbers that do not vary
            raise InvalidTable(
                f"column {columns.name(at)}: labels: all {rows} are {total / rows:g}; expected "
                "both kinds to train on"
            )


def _solved(
    moments: Reals, cross: Reals, square: float, penalty: float, centre: Reals
) -> tuple[Reals, float, Reals, Reals, float, float]:
    """Return weights, intercept, mean, scale, objective and gradient norm of one fit.

    The factor takes the place of one triangle; the other still says what was factored.
    """
    from scipy.linalg import blas, lapack

    shift, prevalence = moments[-1, :-1].copy(), float(cross[-1])
    mean, scale, _ = standardisation(shift, np.diag(moments)[:-1], centre)
    hessian = moments[:-1, :-1] - np.multiply.outer(shift, shift)
    diagonal = np.einsum("ii->i", hessian)
    # A constant column's own rounding is no variance.
    diagonal[:] = np.maximum(diagonal, 0.0)
    diagonal += penalty * scale**2
    true = diagonal.copy()
    right = cross[:-1] - prevalence * shift
    factor, lack = lapack.dpotrf(hessian.T, lower=1, clean=0, overwrite_a=1)
    if lack:  # a penalty below rounding
        factor = _loaded(moments, shift, true)
    rest = true - np.diag(factor)

    def left(vector: Reals) -> Reals:
        product: npt.NDArray[np.float64] = blas.dsymv(1.0, factor, vector, lower=0) + rest * vector
        return product

    slopes, _ = lapack.dpotrs(factor, right, lower=1)
    slopes = slopes + lapack.dpotrs(factor, right - left(slopes), lower=1)[0]
    pull = left(slopes)
    norm = float(np.abs((pull - right) / scale).max(initial=0.0))
    value = 0.5 * (square - prevalence**2 + float(slopes @ (pull - 2.0 * right)))
    return slopes * scale, prevalence, mean, scale, value, norm


def _loaded(moments: Reals, shift: Reals, true: Reals) -> Reals:
    """Return the factor of the matrix with its diagonal raised until it is positive definite."""
    from scipy.linalg import lapack

    load, lack = _JITTER, 1
    while lack:
        hessian = moments[:-1, :-1] - np.multiply.outer(shift, shift)
        np.einsum("ii->i", hessian)[:] = true * (1.0 + load)
        factor, lack = lapack.dpotrf(hessian.T, lower=1, clean=0, overwrite_a=1)
        load *= 10.0
    found: npt.NDArray[np.float64] = factor
    return found
