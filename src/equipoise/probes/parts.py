"""What a batch of probes asks of its data: sums over rows, which add over parts and over sites.

Nothing else sees a row. A part is what lies together: an array, a file mapped into memory, a
hospital. Each function goes from a part to sums; the sums of two parts are those of both together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.probes.logistic import Embeddings, check_embeddings
from equipoise.probes.sums import (
    Access,
    Grams,
    Integers,
    Moments,
    Points,
    Reals,
    Sample,
    Slopes,
    Sums,
)

Floats = npt.NDArray[np.floating]

_Kind = TypeVar("_Kind", bound=Sums)

_BLOCK = 1024
_GATHERED = 4096
_SAMPLED = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that lie together.

    Parameters
    ----------
    x
        Embeddings ``(n, d)``, also float16; a memory-mapped file is read block by block, never
        copied. Sums of float32 are multiplied in float32 by blocks and added in float64.
    labels
        ``(n, labels)``: whole numbers from 0, or Boolean. Where one is not assessed any number
        may stand, and the row's weight must be 0.
    weights
        ``(n, patterns)``, 0 or more; only the ratios within a pattern count. A weight of 0 is
        an absent row: not assessed, of the fold that is left out, not drawn by a seed.
    groups
        Code of each row's group ``(n,)``, from 0. Rows that share their weights should share a
        group: it makes fits fast, and changes no logistic fit. For ridge they must.

    Raises
    ------
    InvalidTable
        If lengths differ, a weight is negative, NaN or infinite, or a label or code is below 0.
    """

    x: Embeddings
    labels: npt.NDArray[np.integer] | npt.NDArray[np.bool_]
    weights: npt.NDArray[np.floating]
    groups: npt.NDArray[np.integer]

    def __post_init__(self) -> None:
        if self.x.ndim != 2:
            raise InvalidTable(f"embeddings: shape {self.x.shape}; expected (n, d)")
        n = len(self.x)
        for name, ndim in (("labels", 2), ("weights", 2), ("groups", 1)):
            shape = getattr(self, name).shape
            if len(shape) != ndim or shape[0] != n:
                more = ", ≥ 1" * (ndim - 1)
                raise InvalidTable(f"{name}: shape {shape}; expected ({n}{more})")
        for start in range(0, n, _GATHERED):
            found = self.weights[start : start + _GATHERED]
            bad = ~(np.isfinite(found) & (found >= 0)).all(axis=0)
            if bad.any():
                raise InvalidTable(
                    f"weights: pattern {bad.argmax()} holds a number that is negative, NaN or "
                    "infinite; expected finite ones, 0 or more"
                )
        for name in ("labels", "groups"):
            codes = getattr(self, name)
            if codes.dtype.kind not in "bui" or (codes.size and codes.min() < 0):
                raise InvalidTable(f"{name}: expected whole numbers from 0; got {codes.dtype}")


def local(parts: Sequence[Part], *, classes: int = 2) -> Access:
    """Return access to parts that are here.

    Parameters
    ----------
    parts
        One or more, with as many columns each.
    classes
        How many a label has.

    Raises
    ------
    InvalidTable
        If there is no part, or parts differ in their numbers of columns.

    Examples
    --------
    >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[False], [True], [True]])
    >>> part = Part(x, y, np.ones((3, 1)), np.zeros(3, int))
    >>> local([part, part]).moments(np.zeros(1)).linear.tolist()
    [[6.0]]
    """
    if not parts:
        raise InvalidTable("embeddings: no part; expected one or more")
    for name in ("x", "labels", "weights"):
        widths = {getattr(one, name).shape[1] for one in parts}
        if len(widths) > 1:
            raise InvalidTable(f"parts: {name} have {sorted(widths)} columns; expected all alike")
    n_groups = 1 + max(int(one.groups.max(initial=0)) for one in parts)
    weighed = partial(moments, classes=classes, n_groups=n_groups)
    return Access(
        n_groups=n_groups,
        sample=lambda: reduce(_add, map(sample, parts)),
        moments=lambda centre: reduce(_add, (weighed(one, centre) for one in parts)),
        grams=lambda centre, stride: reduce(_add, (grams(one, centre, stride) for one in parts)),
        slopes=lambda points: reduce(_add, (slopes(one, points) for one in parts)),
    )


def _add(one: _Kind, other: _Kind) -> _Kind:
    return one + other


def sample(part: Part) -> Sample:
    """Return the plain sum of at most some 4,096 rows, evenly spaced.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]])
    >>> sample(Part(x, np.eye(2, 1, dtype=int), np.ones((2, 1)), np.zeros(2, int))).linear
    array([4.])
    """
    rows = part.x[:: max(1, len(part.x) // _SAMPLED)].astype(np.float64)
    if not np.isfinite(rows).all():
        _refuse(part.x)
    return Sample(len(rows), rows.sum(axis=0))


def moments(part: Part, centre: Reals, *, classes: int, n_groups: int) -> Moments:
    """Return weighted sums about `centre`, in float64, and look at every row.

    Raises
    ------
    InvalidTable
        If a row holds NaN or infinity, or a weighted row's label is not below `classes`.

    Examples
    --------
    >>> part = Part(np.eye(2), np.eye(2, 1, dtype=int), np.ones((2, 1)), np.zeros(2, int))
    >>> moments(part, np.zeros(2), classes=2, n_groups=1).classes.tolist()
    [[[1.0, 1.0]]]
    """
    n_patterns, d = part.weights.shape[1], part.x.shape[1]
    linear, square = np.zeros((n_patterns, d)), np.zeros((n_patterns, d))
    kinds = np.zeros((2, n_patterns, part.labels.shape[1], classes))
    mass = np.zeros((n_groups, n_patterns))
    for start in range(0, len(part.x), _BLOCK):
        stop = start + _BLOCK
        weights = part.weights[start:stop].astype(np.float64)
        rows = part.x[start:stop] - centre
        with np.errstate(over="ignore", invalid="ignore"):
            added = weights.T @ rows
        if not np.isfinite(added).all():
            _refuse(part.x)
        linear += added
        square += weights.T @ np.square(rows, out=rows)
        mass += _members(part.groups[start:stop], n_groups, np.float64) @ weights
        labels = part.labels[start:stop]
        _check_codes(labels, weights, classes)
        for code in range(classes):
            there = (labels == code).astype(np.float64)
            kinds[0, :, :, code] += weights.T @ there
            kinds[1, :, :, code] += (weights > 0).T.astype(np.float64) @ there
    sizes = np.bincount(part.groups, minlength=n_groups).astype(np.int64)
    return Moments(mass.sum(axis=0), linear, square, kinds[0], kinds[1], mass, sizes)


def _check_codes(labels: npt.NDArray[np.generic], weights: Reals, classes: int) -> None:
    high = labels.max(initial=0, where=(weights > 0).any(axis=1, keepdims=True))
    if high >= classes:
        raise InvalidTable(f"labels: found class {high}; expected 0 to {classes - 1}")


def _refuse(x: Embeddings) -> None:
    """Name the first row that holds NaN or infinity, looking block by block."""
    for start in range(0, len(x), _GATHERED):
        if not np.isfinite(x[start : start + _GATHERED]).all():
            check_embeddings(x)
    raise InvalidTable("embeddings: sums overflow; expected numbers of moderate size")


def grams(part: Part, centre: Reals, stride: Integers) -> Grams:
    """Return the Gram matrix of each group.

    Parameters
    ----------
    part
        The rows.
    centre
        ``(d,)``, subtracted before anything is multiplied.
    stride
        ``(groups,)``: of a group every so many rows are taken; 1 is all.

    Raises
    ------
    InvalidTable
        If a row that is taken holds NaN or infinity.

    Examples
    --------
    >>> part = Part(np.array([[3.0], [5.0]]), np.ones((2, 1), int), np.ones((2, 1)), np.arange(2))
    >>> grams(part, np.array([4.0]), np.array([1, 1])).second[1].tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    n_groups, d, work = len(stride), part.x.shape[1], _work(part.x)
    sizes = np.zeros(n_groups, np.int64)
    second = np.zeros((n_groups, d + 1, d + 1))
    cross = np.zeros((n_groups, part.labels.shape[1], d + 1))
    squares = np.zeros((n_groups, part.labels.shape[1]))
    shift = centre.astype(work)
    for group in range(n_groups):
        inside = np.flatnonzero(part.groups == group)[:: int(stride[group])]
        sizes[group] = len(inside)
        for start in range(0, len(inside), _GATHERED):
            taken = inside[start : start + _GATHERED]
            rows = np.ones((len(taken), d + 1), work)
            np.subtract(part.x[taken], shift, out=rows[:, :d])
            labels = part.labels[taken].astype(np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                second[group] += rows.T @ rows
                cross[group] += labels.T.astype(work) @ rows
            squares[group] += np.square(labels).sum(axis=0)
        if not np.isfinite(second[group, -1]).all():
            _refuse(part.x)
    return Grams(sizes, second, cross, squares)


def slopes(part: Part, points: Points) -> Slopes:
    """Return this part's share of losses and gradients: two matrix products for all fits.

    Examples
    --------
    >>> part = Part(np.eye(2), np.eye(2, 1, dtype=int), np.ones((2, 1)), np.zeros(2, int))
    >>> zero = np.zeros(1, int)
    >>> at = Points(np.zeros(2), np.zeros((1, 1, 2)), np.zeros((1, 1)), zero, zero,
    ...             np.array([2.0]), 1)
    >>> found = slopes(part, at)
    >>> found.loss.round(3).tolist(), found.linear.tolist()
    ([0.693], [[[-0.25, 0.25]]])
    """
    k, c, d = points.slopes.shape
    work = _work(part.x)
    matrix = np.ascontiguousarray(points.slopes.reshape(k * c, d).T, dtype=work)
    offset, centre = points.offsets.ravel().astype(work), points.centre.astype(work)
    loss, level, linear = np.zeros(k), np.zeros(k * c), np.zeros((d, k * c))
    curvature = np.zeros((points.n_groups, k * c * c))
    losses = _logistic if c == 1 else partial(_softmax, classes=c)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(part.x), _BLOCK):
            stop = start + _BLOCK
            rows = np.subtract(part.x[start:stop], centre, dtype=work)
            logit = rows @ matrix
            logit += offset
            weights = (part.weights[start:stop] / points.total).astype(work)
            codes = part.labels[start:stop].take(points.label, axis=1)
            lost, residual, bend = losses(logit, codes, weights.take(points.pattern, axis=1))
            loss += lost.sum(axis=0, dtype=np.float64)
            level += residual.sum(axis=0, dtype=np.float64)
            linear += rows.T @ residual
            curvature += _members(part.groups[start:stop], points.n_groups, work) @ bend
    return Slopes(
        loss,
        linear.T.reshape(k, c, d),
        level.reshape(k, c),
        curvature.reshape(points.n_groups, k, c, c),
    )


def _logistic(
    logit: Floats, codes: npt.NDArray[np.generic], weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return losses, residuals and curvatures ``(rows, k)``.

    By the margin, which is the log odds of what is true: no difference of near equals is taken.
    """
    signed = np.where(codes, weights, -weights)
    margin = np.where(codes, logit, -logit)
    decay = np.exp(-np.abs(logit))
    smaller = decay / (1.0 + decay)  # the less likely class's probability
    lost = weights * (np.log1p(decay) - np.minimum(margin, 0.0))
    residual = signed * np.where(margin >= 0, -smaller, smaller - 1.0)
    return lost, residual, weights * (smaller * (1.0 - smaller))


def _softmax(
    logit: Floats, codes: npt.NDArray[np.generic], weights: Floats, *, classes: int
) -> tuple[Floats, Floats, Floats]:
    """Return losses ``(rows, k)``, residuals ``(rows, k · c)`` and curvatures, c² for each fit."""
    shape = logit.shape
    three = logit.reshape(len(logit), -1, classes)  # (rows, k, classes)
    three = three - three.max(axis=2, keepdims=True)
    # A code out of range is of a row without weight.
    true = np.minimum(codes, classes - 1).astype(np.intp)[:, :, None]
    odds = np.exp(three)
    total = odds.sum(axis=2)
    lost = weights * (np.log(total) - np.take_along_axis(three, true, axis=2)[:, :, 0])
    p = odds / total[:, :, None]
    share = weights[:, :, None] * p
    bend = -share[:, :, :, None] * p[:, :, None, :]  # (rows, k, classes, classes)
    np.einsum("rkcc->rkc", bend)[...] += share
    known = np.take_along_axis(p, true, axis=2) - 1.0
    np.put_along_axis(p, true, known, axis=2)
    return lost, (weights[:, :, None] * p).reshape(shape), bend.reshape(len(logit), -1)


def _members(
    groups: npt.NDArray[np.integer], n_groups: int, work: type[np.floating]
) -> npt.NDArray[np.floating]:
    found: Floats = (groups == np.arange(n_groups)[:, None]).astype(work)
    return found


def _work(x: Embeddings) -> type[np.floating]:
    return np.float64 if x.dtype == np.float64 else np.float32
