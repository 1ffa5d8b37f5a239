"""Labels, scores and groups as arrays, each seen to be what it must be."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.literature.published import Reals

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def labelled(label: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Flags, Reals]:
    """Return labels and scores, both of shape ``(n,)``.

    Raises
    ------
    InvalidTable
        If a label is not 0 or 1, a score is not finite, or the lengths differ.

    Examples
    --------
    >>> labelled([0, 1], [0.25, 0.5])[1].tolist()
    [0.25, 0.5]
    """
    truth, scores = flags(label, "label"), stored(score).astype(np.float64)
    if len(truth) != len(scores):
        raise InvalidTable(f"score: {len(scores)} rows; expected those of the label, {len(truth)}")
    return truth, scores


def flags(given: npt.ArrayLike, what: str) -> Flags:
    """Return a row of 0 and 1, or of Booleans, shape ``(n,)``.

    Raises
    ------
    InvalidTable
        If there is anything else in it.

    Examples
    --------
    >>> flags([0, 1], "label").tolist()
    [False, True]
    """
    values = np.asarray(given)
    if values.ndim != 1 or not np.isin(values, (0, 1)).all():
        odd = values[~np.isin(values, (0, 1))]
        found = f"value {odd.flat[0]}" if odd.size else f"shape {values.shape}"
        raise InvalidTable(f"{what}: {found}; expected one row of 0 and 1")
    return values.astype(bool)


def stored(given: npt.ArrayLike) -> npt.NDArray[np.floating]:
    """Return scores in the precision in which they were stored: 0.7 of Float32 reaches 0.7.

    Raises
    ------
    InvalidTable
        If they are no row of finite numbers.

    Examples
    --------
    >>> stored([0, 0.5]).tolist()
    [0.0, 0.5]
    """
    values = np.asarray(given)
    if values.dtype.kind not in "fiub":
        raise InvalidTable(f"score: {values.dtype}; expected one row of finite numbers")
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        odd = values[~np.isfinite(values)]
        found = f"value {odd.flat[0]}" if odd.size else f"shape {values.shape}"
        raise InvalidTable(f"score: {found}; expected one row of finite numbers")
    return values


def coded(group: Sequence[str], *rows: int) -> tuple[list[str], Integers]:
    """Return the names of groups, sorted, and which of them each row is of, shape ``(n,)``.

    Parameters
    ----------
    group
        The group of each row.
    rows
        How many rows the other columns have.

    Raises
    ------
    InvalidTable
        If the lengths differ, or a group is null.

    Examples
    --------
    >>> names, code = coded(["F", "M", "F"], 3)
    >>> names, code.tolist()
    (['F', 'M'], [0, 1, 0])
    """
    if any(n != len(group) for n in rows):
        raise InvalidTable(f"group: {len(group)} rows; expected those of the others, {max(rows)}")
    each: list[object] = list(group)
    if any(name is None or (isinstance(name, float) and np.isnan(name)) for name in each):
        raise InvalidTable("group: a null; expected a group in each row, 'unknown' being one")
    names, code = np.unique(np.array(each, dtype=str), return_inverse=True)
    return names.tolist(), code.astype(np.int64)


def reaching(scores: Reals, levels: Reals) -> Reals:
    """Return how many scores reach each level, as real numbers.

    Examples
    --------
    >>> reaching(np.array([0.25, 0.5, 0.5]), np.array([0.25, 0.5, 1.0])).tolist()
    [3.0, 2.0, 0.0]
    """
    below = np.searchsorted(np.sort(scores), levels, side="left")
    return (len(scores) - below).astype(np.float64)
