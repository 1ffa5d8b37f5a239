"""A metric of every arm in every replicate: weighted histograms at the exact distinct scores."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.bootstrap.hashing import Keys, weights
from equipoise.metrics.bootstrap.statistics import Statistic

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Composite = Callable[[Reals], tuple[Reals, Reals]]

_BLOCK = 1 << 22
"""Weights (patients times replicates) that are held at once, a byte each."""

_TILE = 1 << 14
"""Levels times replicates that are summed at once, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The images of one finding, and whose they are.

    Parameters
    ----------
    score
        Shape ``(n,)``, finite; equal scores are ties, in the precision in which they are stored.
    label
        Shape ``(n,)``.
    cell
        Shape ``(n,)``, the atomic cell.
    patient
        Shape ``(n,)``, a position in `keys`.
    keys
        Shape ``(patients,)``, of `keyed`: what a patient's weights hang on.
    """

    score: npt.NDArray[np.floating]
    label: Flags
    cell: Integers
    patient: Integers
    keys: Keys


@dataclass(frozen=True, slots=True)
class _Arm:
    """One arm's images in order of score: their patients, labels, and where each level starts."""

    patient: Integers
    label: Reals
    level: Reals
    starts: Integers | None


def replicates(
    rows: Rows, inside: Flags, statistic: Statistic, *, n: int = 1000, seed: int
) -> Reals:
    """Return a metric in each replicate and arm, shape ``(n, arms)``.

    NaN is where a replicate leaves it undefined, as without positives; nothing stands in for it.

    Parameters
    ----------
    rows
        The images.
    inside
        Shape ``(arms, cells)``: which cells each arm is the union of.
    statistic
        Negatives and positives ``(replicates, levels)`` and score ``(levels,)`` → value.
    n
        How many replicates.
    seed
        The same for every finding and model that are compared: then they are paired.

    Examples
    --------
    >>> from equipoise.metrics.bootstrap import auroc, keyed
    >>> code = np.arange(40)
    >>> rows = Rows(code * 7 % 40 / 40, code > 19, code * 0, code, keyed(code))
    >>> made = replicates(rows, np.array([[True]]), auroc, n=500, seed=1)
    >>> made.shape, bool(abs(made.mean() - evaluated(rows, np.array([[True]]), auroc)) < 0.02)
    ((500, 1), True)
    """
    arms = [_arm(rows, arm) for arm in inside]
    blocks = [_of_arms(arms, statistic, block) for block in _blocks(rows, n, seed)]
    return np.concatenate(blocks) if blocks else np.empty((0, len(inside)))


def evaluated(
    rows: Rows, inside: Flags, statistic: Statistic, weight: npt.NDArray[np.uint8] | None = None
) -> Reals:
    """Return a metric of each arm under given weights, shape ``(replicates, arms)``.

    Parameters
    ----------
    rows
        The images.
    inside
        Shape ``(arms, cells)``.
    statistic
        The metric.
    weight
        Shape ``(replicates, patients)``; everybody once, by default.

    Examples
    --------
    >>> from equipoise.metrics.bootstrap import auroc, keyed
    >>> code = np.arange(4)
    >>> rows = Rows(np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code * 0, code, keyed(code))
    >>> evaluated(rows, np.array([[True]]), auroc).tolist()
    [[0.75]]
    """
    once = np.ones((1, len(rows.keys)), dtype=np.uint8) if weight is None else weight
    return _of_arms([_arm(rows, arm) for arm in inside], statistic, once)


def jackknife(rows: Rows, inside: Flags, statistic: Statistic) -> Reals:
    """Return a metric with each patient left out in turn, shape ``(patients, arms)``.

    Parameters
    ----------
    rows
        The images.
    inside
        Shape ``(arms, cells)``.
    statistic
        The metric.

    References
    ----------
    Efron 1982, *The jackknife, the bootstrap and other resampling plans*, ch. 2.

    Examples
    --------
    >>> from equipoise.metrics.bootstrap import auroc, keyed
    >>> code = np.arange(4)
    >>> rows = Rows(np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code * 0, code, keyed(code))
    >>> jackknife(rows, np.array([[True]]), auroc).ravel().tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    arms, n = [_arm(rows, arm) for arm in inside], len(rows.keys)
    step = max(1, _BLOCK // max(n, 1))
    blocks = []
    for start in range(0, n, step):
        out = np.arange(start, min(start + step, n))
        weight = np.ones((len(out), n), dtype=np.uint8)
        weight[np.arange(len(out)), out] = 0
        blocks.append(_of_arms(arms, statistic, weight))
    return np.concatenate(blocks) if blocks else np.empty((0, len(inside)))


def cell_replicates(
    rows: Rows, inside: Flags, called: Flags, composite: Composite, *, n: int = 1000, seed: int
) -> Reals:
    """Return a metric of the confusion matrix in each replicate and arm, shape ``(n, arms)``.

    Parameters
    ----------
    rows
        The images; their scores are not read.
    inside
        Shape ``(arms, cells)``.
    called
        Shape ``(images,)``: whether each is called positive.
    composite
        Counts of tp, fp, tn, fn ``(4, arms)`` → value ``(arms,)`` and gradient.
    n
        How many replicates.
    seed
        As for `replicates`.

    Examples
    --------
    >>> from equipoise.metrics.bootstrap import keyed
    >>> code = np.arange(50)
    >>> rows = Rows(code / 50, code > 24, code * 0, code, keyed(code))
    >>> sensitivity = lambda cells: (cells[0] / (cells[0] + cells[3]), cells)
    >>> made = cell_replicates(rows, np.array([[True]]), code > 29, sensitivity, n=200, seed=0)
    >>> made.shape, bool(abs(made.mean() - 0.8) < 0.02)
    ((200, 1), True)
    """
    arms, cells = inside.shape
    kind = np.where(rows.label, np.where(called, 0, 3), np.where(called, 1, 2))
    place = kind * cells + rows.cell
    found = np.empty((4, n, arms))
    row = 0
    for block in _blocks(rows, n, seed):
        for weight in block:
            counted = np.bincount(place, weight[rows.patient].astype(np.float64), 4 * cells)
            found[:, row] = counted.reshape(4, cells) @ inside.T.astype(np.float64)
            row += 1
    return composite(found.reshape(4, n * arms))[0].reshape(n, arms)


def _blocks(rows: Rows, n: int, seed: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the weights of some replicates at a time, so that memory does not grow with n."""
    step = max(1, _BLOCK // max(len(rows.keys), 1))
    for start in range(0, n, step):
        yield weights(rows.keys, range(start, min(start + step, n)), seed=seed)


def _arm(rows: Rows, arm: Flags) -> _Arm:
    mine = np.flatnonzero(arm[rows.cell])
    mine = mine[np.argsort(rows.score[mine], kind="stable")]
    score = rows.score[mine]
    fresh = np.ones(len(score), dtype=bool)
    fresh[1:] = score[1:] != score[:-1]
    starts = None if fresh.all() else np.flatnonzero(fresh)
    level = score[fresh].astype(np.float64)
    return _Arm(rows.patient[mine], rows.label[mine].astype(np.float64), level, starts)


def _of_arms(arms: list[_Arm], statistic: Statistic, weight: npt.NDArray[np.uint8]) -> Reals:
    found = np.full((len(weight), len(arms)), np.nan)
    for place, arm in enumerate(arms):
        if not len(arm.patient):
            continue
        step = max(1, _TILE // len(arm.patient))
        for start in range(0, len(weight), step):
            part = slice(start, start + step)
            found[part, place] = _value(arm, statistic, weight[part])
    return found


def _value(arm: _Arm, statistic: Statistic, weight: npt.NDArray[np.uint8]) -> Reals:
    drawn = weight.take(arm.patient, axis=1).astype(np.float64)  # (replicates, images)
    positive = drawn * arm.label
    drawn -= positive
    if arm.starts is not None:
        drawn = np.add.reduceat(drawn, arm.starts, axis=1)
        positive = np.add.reduceat(positive, arm.starts, axis=1)
    return statistic(drawn, positive, arm.level)
