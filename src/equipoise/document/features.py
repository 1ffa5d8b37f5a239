"""Numbers and words turned into columns in which a bent relation shows too."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Reals = npt.NDArray[np.float64]

_KNOTS = tuple(tenth / 10 for tenth in range(1, 10))
_RARE = 5
_MOST_LEVELS = 50
_GROUPS = 4


def bent(values: pl.Series) -> Reals:
    """Return rank and hinges of a number ``(n, k)``, so that a relation need not be monotone.

    Ranks are in [0, 1], ties share theirs, and a hinge at each tenth lets the slope change
    there. What is missing has the middle rank and a column of its own. A constant gives no
    columns.

    Examples
    --------
    >>> bent(pl.Series([1.0, 1.0, 1.0])).shape[1]
    0
    >>> bent(pl.Series([1.0, 2.0, None]))[:, -1].tolist()
    [0.0, 0.0, 1.0]
    """
    missing = values.is_null().to_numpy().astype(np.float64)
    n = len(missing) - missing.sum()
    rank = values.rank("average").cast(pl.Float64).to_numpy()
    rank = np.where(missing > 0, 0.5, (rank - 0.5) / max(n, 1.0))
    columns = [rank, *(np.maximum(0.0, rank - knot) for knot in _KNOTS), missing]
    return _varying(np.column_stack(columns))


def one_hot(values: pl.Series) -> Reals:
    """Return a column per level ``(n, k)``; null is a level, rare ones are one together.

    Examples
    --------
    >>> one_hot(pl.Series(["a"] * 5 + ["b"] * 5 + [None])).sum(axis=0).tolist()
    [5.0, 5.0, 1.0]
    """
    text = values.cast(pl.String).fill_null("")
    counts = text.value_counts().sort("count", values.name or "", descending=[True, False])
    common = counts.filter(pl.col("count") >= _RARE).head(_MOST_LEVELS)[:, 0].sort()
    columns = [(text == level).to_numpy().astype(np.float64) for level in common if level]
    missing = (text == "").to_numpy().astype(np.float64)
    rest = 1.0 - missing - np.sum([np.zeros(len(missing)), *columns], axis=0)
    return _varying(np.column_stack([*columns, missing, rest]))


def identifiers(ids: Sequence[str]) -> Reals:
    """Return the numbers within identifiers ``(n, k)``, bent, and the words around them.

    Of more than four numbers the last four count: those before name the institution.

    Examples
    --------
    >>> identifiers(["a_7", "a_9", "b_8"]).shape[0]
    3
    """
    numbers = [re.findall(r"\d+", text)[-_GROUPS:] for text in ids]
    most = max((len(found) for found in numbers), default=0)
    columns = [
        bent(pl.Series([_whole(found, place) for found in numbers], dtype=pl.Float64))
        for place in range(most)
    ]
    words = pl.Series("words", [re.sub(r"\d+", "0", text) for text in ids])
    return np.column_stack([*columns, one_hot(words)])


def joined(parts: Sequence[Reals], n: int) -> Reals:
    """Return columns side by side ``(n, k)``, also if there are none.

    Examples
    --------
    >>> joined([], 3).shape
    (3, 0)
    """
    return np.column_stack([np.zeros((n, 0)), *parts])


def _whole(found: Sequence[str], place: int) -> float | None:
    """Return the number at a place; as a float, since those in UIDs are longer than integers."""
    return float(found[place][:300]) if place < len(found) else None


def _varying(columns: Reals) -> Reals:
    """Leave out columns that are constant, and those that repeat an earlier one."""
    keep = np.ptp(columns, axis=0) > 0 if len(columns) else np.zeros(columns.shape[1], bool)
    return columns[:, keep]
