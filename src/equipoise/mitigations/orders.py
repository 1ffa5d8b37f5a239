"""An order of rows that depends on what they hold and not on where they stand.

What draws rows or splits them draws in this order, so that a shuffled table gives the same probe.
"""

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.mitigations.rows import Training
from equipoise.mitigations.steps import mixed

_BLOCK = 8192
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def fingerprints(training: Training) -> npt.NDArray[np.uint64]:
    """Return a number per row made of its embedding and label, exact whatever the order.

    Rows that agree in both have the same; others differ, save by a chance of about n² / 2⁶⁵.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> turned = Training(np.eye(2)[::-1], np.array([False, True]), np.array(["M", "F"]))
    >>> fingerprints(rows).tolist() == fingerprints(turned)[::-1].tolist()
    True
    """
    d = training.x.shape[1]
    odd = mixed(np.arange(1, d + 1, dtype=np.uint64) * _FACTOR) | np.uint64(1)
    total = np.empty(len(training.y), dtype=np.uint64)
    for start in range(0, len(total), _BLOCK):
        block = np.ascontiguousarray(training.x[start : start + _BLOCK], dtype=np.float64)
        bits = (block + 0.0).view(np.uint64)  # -0.0 becomes 0.0
        total[start : start + _BLOCK] = (mixed(bits) * odd).sum(axis=1, dtype=np.uint64)
    return mixed(total + training.y.astype(np.uint64))


def canonical(training: Training) -> Training:
    """Return the rows in the order of their fingerprints; group and patient break ties.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> turned = Training(np.eye(2)[::-1], np.array([False, True]), np.array(["M", "F"]))
    >>> canonical(rows).groups.tolist() == canonical(turned).groups.tolist()
    True
    """
    return ordered(training, canonical_order(training))


def ordered(training: Training, order: npt.NDArray[np.int64]) -> Training:
    """Return the rows in a given order.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> ordered(rows, np.array([1, 0])).groups.tolist()
    ['M', 'F']
    """
    patients = None if training.patients is None else training.patients[order]
    return Training(training.x[order], training.y[order], training.groups[order], patients)


def canonical_order(training: Training) -> npt.NDArray[np.int64]:
    """Return which row stands where in `canonical` ``(n,)``.

    Examples
    --------
    >>> rows = Training(np.eye(2), np.array([True, False]), np.array(["F", "M"]))
    >>> canonical(rows).groups.tolist() == rows.groups[canonical_order(rows)].tolist()
    True
    """
    return np.asarray(np.lexsort((training.groups, fingerprints(training))), dtype=np.int64)


def folds(training: Training, n_folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the fold of each row; all rows of a patient share one.

    Parameters
    ----------
    training
        The rows; where it names no patients each row is one of its own.
    n_folds
        2 or more.
    rng
        Shuffles the patients, in an order that depends on their rows alone.

    Raises
    ------
    InvalidTable
        If there are fewer patients than folds.

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.full(4, "F"),
    ...                 np.array([7, 7, 8, 8]))
    >>> found = folds(rows, 2, np.random.default_rng(0))
    >>> bool(found[0] == found[1] != found[2])
    True
    """
    prints = fingerprints(training)
    if training.patients is None:
        codes, n = np.arange(len(prints)), len(prints)
    else:
        names, codes = np.unique(training.patients, return_inverse=True)
        n = len(names)
    if n < n_folds:
        raise InvalidTable(f"training rows: {n} patients for {n_folds} folds; expected as many")
    key = np.zeros(n, dtype=np.uint64)
    np.add.at(key, codes, prints)
    place = np.empty(n, dtype=np.int64)
    place[np.lexsort((np.arange(n), key))] = rng.permutation(n)
    return np.asarray(place[codes] % n_folds, dtype=np.int64)
