"""Logistic probes by the batch: findings × weights × penalties × folds × seeds in one descent.

Every fit has the objective of `fit_logistic`. All share each pass over the data, as two matrix
products; and the groups' Gram matrices, weighted by how much each group's probabilities still
bend, are nearly the Hessian of each, so that ten to twenty passes are enough.

Why `fit_logistic` is there too: it whitens by the exact Hessian, in float64, on rows of its own.
One fit of hospital size takes it half the time (1,000 × 192: 4.3 ms to 8.9), and members whose
steps need fits on other rows each, as out of fold or by group, ask for one at a time.
`cross_fitted_scores` owes each fold a fit in which its rows have no part, not even in the last
bits, so its fits have no pass to share. From two rows a dimension and four columns on a batch is
the faster one, 3 to 47 times from 5,000 × 768 on, and sweeps are fitted here; with fewer, or weak
penalties on few rows, its Gram matrices foretell little and the exact Hessian wins. The objective
is one, and tests hold both to the same minimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.probes.descent import Ends, descend
from equipoise.probes.fits import Columns, Fits, Flags, standardisation
from equipoise.probes.parts import Part, local
from equipoise.probes.preconditioner import Preconditioner
from equipoise.probes.sums import Access, Grams, Integers, Moments, Points, Reals

_ROWS_PER_COLUMN = 16
_BYTES = 5e8
_PINNED = 1e12


@dataclass(frozen=True, slots=True)
class _Ground:
    """What is known before the descent: of each fit its standardisation, of all their Grams."""

    access: Access
    columns: Columns
    centre: Reals
    moments: Moments
    mean: Reals
    scale: Reals
    constant: Flags
    grams: Grams

    def points(self, flat: Reals, which: Integers, c: int) -> Points:
        """Return flat points ``(j, c · (d + 1))`` as what is asked of the data."""
        three = flat.reshape(len(which), c, -1)
        return Points(
            centre=self.centre,
            slopes=three[:, :, :-1],
            offsets=three[:, :, -1],
            label=self.columns.label[which],
            pattern=self.columns.pattern[which],
            total=self.moments.total,
            n_groups=self.access.n_groups,
        )

    def among(self, which: Integers) -> "_Ground":
        """Return the ground of some of the fits."""
        columns, names = self.columns, self.columns.names
        chosen = Columns(
            columns.label[which],
            columns.pattern[which],
            columns.penalty[which],
            [names[at] for at in which] if names else [],
        )
        return replace(
            self,
            columns=chosen,
            mean=self.mean[which],
            scale=self.scale[which],
            constant=self.constant[which],
        )


def fit_batch(
    data: Part | Sequence[Part] | Access,
    columns: Columns,
    *,
    classes: int = 2,
    tolerance: float = 1e-6,
    passes: int = 300,
    start: Fits | None = None,
) -> Fits:
    """Fit logistic probes, or multinomial ones, all at once.

    Each minimises the weighted mean log loss + ``penalty / 2 · |w|²`` over the weights w of the
    embeddings, standardised by their weighted mean and standard deviation; intercepts are not
    penalised. With more than two classes each has weights of its own, all penalised. An embedding's
    column that is constant to rounding has weight 0.

    Parameters
    ----------
    data
        Rows in one or several parts, or access to parts that are elsewhere.
    columns
        The fits.
    classes
        Of the labels; two give a single function, the log odds of class 1.
    tolerance
        A fit ends when no entry of its gradient exceeds this. Rows of float32 leave noise in a
        gradient, 1e-8 to some 1e-7 where weights are large; rows of float64 leave none to speak of.
    passes
        Over the data, at most. What has not converged by then is said by `Fits.failures`.
    start
        Fits of the same columns to start from: it saves passes and changes nothing.

    Raises
    ------
    InvalidTable
        If an embedding is NaN or infinite, weights of a column are all 0, or a class does not
        occur among its weighted rows.
    InvalidConfiguration
        If a column asks for a label or weights that are not there.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> y = np.array([[False], [True], [False], [True]])
    >>> part = Part(x, y, np.ones((4, 1)), np.zeros(4, int))
    >>> same = np.zeros(2, int)
    >>> fits = fit_batch(part, Columns(same, same, np.array([0.1, 10.0])))
    >>> fits.converged.tolist(), fits.weights[:, 0, 0].round(2).tolist()
    ([True, True], [0.67, 0.02])
    """
    if isinstance(data, Part):
        data = [data]
    access = data if isinstance(data, Access) else local(data, classes=classes)
    ground = _surveyed(access, columns)
    c = 1 if classes == 2 else classes
    begin = _prevalence(ground, c) if start is None else _from(start, ground)
    at_once = max(1, int(_BYTES / (4.0 * c * begin.shape[2] ** 2)))
    ends = [
        _descended(ground.among(which), begin[which], tolerance=tolerance, passes=passes)
        for which in np.array_split(np.arange(len(columns)), -(-len(columns) // at_once))
    ]
    point = np.concatenate([one.points for one in ends]).reshape(begin.shape)
    slopes, offset = point[:, :, :-1], point[:, :, -1]
    shift = (ground.mean - ground.centre)[:, None, :]
    return Fits(
        columns=columns,
        weights=slopes * ground.scale[:, None, :],
        intercept=offset + (shift * slopes).sum(axis=2),
        mean=ground.mean,
        scale=ground.scale,
        value=np.concatenate([one.values for one in ends]),
        gradient_norm=np.concatenate([one.gradient_norms for one in ends]),
        passes=np.concatenate([one.passes for one in ends]),
        tolerance=tolerance,
    )


def _surveyed(access: Access, columns: Columns) -> _Ground:
    """Look at the data before the descent: a few rows, their moments, their Grams."""
    taken = access.sample()
    if not taken.rows:
        raise InvalidTable("labels: none to train on; expected both kinds")
    centre = taken.linear / taken.rows
    moments = access.moments(centre)
    columns.check(moments.classes.shape[1], len(moments.total))
    check_classes(moments, columns)
    weight = np.maximum(moments.total, np.finfo(float).tiny)[:, None]
    shift, around = moments.linear / weight, moments.square / weight
    mean, scale, constant = standardisation(shift, around, centre)
    most = _ROWS_PER_COLUMN * (len(centre) + 1)
    stride = np.maximum(1, -(-moments.sizes // most))
    return _Ground(
        access=access,
        columns=columns,
        centre=centre,
        moments=moments,
        mean=mean[columns.pattern],
        scale=scale[columns.pattern],
        constant=constant[columns.pattern],
        grams=access.grams(centre, stride),
    )


def check_classes(moments: Moments, columns: Columns) -> None:
    """Refuse a column whose weighted rows lack a class, or of which none has weight.

    Raises
    ------
    InvalidTable
        Naming the column.
    """
    for at in range(len(columns)):
        rows = moments.counted[columns.pattern[at], columns.label[at]]  # (classes,)
        n, name = int(rows.sum()), columns.name(at)
        if not n:
            raise InvalidTable(f"column {name}: weights: all are 0; expected some above")
        if rows.all():
            continue
        if len(rows) == 2:
            kind = "positive" if rows[1] else "negative"
            raise InvalidTable(
                f"column {name}: labels: all {n} are {kind}; expected both kinds to train on",
                hint="choose a finding that occurs and is absent, or give more images",
            )
        raise InvalidTable(
            f"column {name}: labels: none of {n} is of class {rows.argmin()}; expected "
            f"{len(rows)} classes"
        )


def _prevalence(ground: _Ground, c: int) -> Reals:
    """Start where nothing but the prevalence is known ``(k, c, d + 1)``."""
    columns = ground.columns
    share = ground.moments.classes[columns.pattern, columns.label]  # (k, classes)
    level = np.log(share / share.sum(axis=1, keepdims=True))
    begin = np.zeros((len(columns), c, len(ground.centre) + 1))
    begin[:, :, -1] = level if c > 1 else level[:, 1:] - level[:, :1]
    return begin


def _from(start: Fits, ground: _Ground) -> Reals:
    """Return fits ``(k, c, d + 1)`` as seen from this centre, in the units of the embeddings."""
    slopes = start.weights / start.scale[:, None, :]
    shift = (ground.centre - start.mean)[:, None, :]
    offset = start.intercept + (shift * slopes).sum(axis=2)
    return np.concatenate([slopes, offset[:, :, None]], axis=2)


def _descended(ground: _Ground, begin: Reals, *, tolerance: float, passes: int) -> Ends:
    """Descend from ``(k, c, d + 1)`` in the units of the embeddings, about the common centre."""
    k, c, m = begin.shape
    ridge = np.zeros((k, m))
    ridge[:, :-1] = ground.columns.penalty[:, None] * ground.scale**2
    # A constant column's weight is 0 at the minimum, and is kept there: among all rows of its
    # group it may vary, and mislead the preconditioner.
    free = np.ones((k, 1, m))
    free[:, 0, :-1] = ~ground.constant
    inverse = Preconditioner(ground.grams, ridge + _PINNED * (1.0 - free[:, 0]), c)

    def evaluate(flat: Reals, which: Integers) -> tuple[Reals, Reals]:
        found = ground.access.slopes(ground.points(flat, which, c))
        three, pull = flat.reshape(len(which), c, m), ridge[which][:, None, :]
        inverse.seen(which, found.curvature)
        gradient = np.concatenate([found.linear, found.level[:, :, None]], axis=2) + pull * three
        gradient *= free[which]
        value = found.loss + 0.5 * (pull * three**2).sum(axis=(1, 2))
        return value, gradient.reshape(len(which), c * m)

    def norm(gradient: Reals, which: Integers) -> Reals:
        three = gradient.reshape(len(which), c, m)
        shift, scale = ground.mean[which] - ground.centre, ground.scale[which]
        slopes = (three[:, :, :-1] - three[:, :, -1:] * shift[:, None, :]) / scale[:, None, :]
        slopes = slopes * free[which, :, :-1]
        both = np.maximum(np.abs(slopes).max(axis=2, initial=0.0), np.abs(three[:, :, -1]))
        largest: npt.NDArray[np.float64] = both.max(axis=1)
        return largest

    def bent(gradient: Reals, which: Integers) -> Reals:
        step = inverse.apply(gradient, which).reshape(len(which), c, m) * free[which]
        return step.reshape(gradient.shape)

    flat = (begin * free).reshape(k, c * m)
    return descend(evaluate, bent, norm, flat, tolerance=tolerance, passes=passes)
