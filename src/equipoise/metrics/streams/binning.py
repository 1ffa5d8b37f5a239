"""Bins of scores: exactly those of a binary search, found by a table at a tenth of its cost.

A table over equal steps of some rising function of the score tells how many edges lie in earlier
steps; one comparison with the next edge settles the rest. Rising is all that exactness needs.
Where a step holds several edges, its rows are searched for after all.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable

Reals = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]

BLOCK = 1 << 14
"""Rows at a time: what is made of them on the way stays in the cache."""

_SIZES = (1 << 12, 1 << 14, 1 << 16)
_WORDS = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}


@dataclass(frozen=True, slots=True)
class Steps:
    """A rising function from scores to whole steps.

    Parameters
    ----------
    kind
        Even over the scores, or finer towards both ends, where saturated scores lie.
    origin, factor
        Of the even kind: ``(score - origin) * factor``, rounded down.
    shift, start
        Of the other: how many low bits are dropped, and the first step.
    """

    kind: Literal["even", "ends"]
    origin: np.floating
    factor: np.floating
    shift: int = 0
    start: int = 0

    def of(self, score: Reals) -> Integers:
        """Return the step of each score, shape ``(n,)``; below the first edge it may be < 0."""
        if self.kind == "even":
            steps = (score - self.origin) * self.factor
            return np.asarray(steps.astype(np.int64))
        # The bits of a float that is not negative rise with it; adding 0 makes -0 such a one.
        word = _WORDS[score.dtype]
        one = score.dtype.type(1)
        rising = (score + score.dtype.type(0)).view(word) - np.subtract(one, score).view(word)
        return np.asarray(((rising >> self.shift) - self.start).astype(np.int64))


@dataclass(frozen=True, slots=True)
class Binning:
    """Edges, with the table by which scores are put between them.

    Parameters
    ----------
    edges
        Shape ``(bins,)``, ascending and distinct, the first 0, in the precision of the scores. Bin
        `i` holds ``edges[i] <= score < edges[i + 1]``, the last what is left.
    steps
        From a score to its place in the table.
    below
        How many inner edges lie in earlier steps, by step.
    inner
        All edges but the first, and infinity.
    crowded
        Which steps hold several edges.
    """

    edges: Reals
    steps: Steps
    below: Integers
    inner: Reals
    crowded: npt.NDArray[np.bool_]


def binning(edges: Reals) -> Binning:
    """Return the edges with a table that finds bins fast.

    Parameters
    ----------
    edges
        Shape ``(bins,)``, float32 or float64, ascending and distinct, the first 0.

    Raises
    ------
    InvalidTable
        If the edges are not as they must be.

    Examples
    --------
    >>> binning(np.array([0.0, 0.25, 0.5])).inner.tolist()
    [0.25, 0.5, inf]
    """
    if edges.dtype not in _WORDS:
        raise InvalidTable(f"edges: they are {edges.dtype}; expected float32 or float64")
    if not len(edges) or edges[0] != 0 or not (np.diff(edges) > 0).all():
        raise InvalidTable(f"edges: {edges[:4].tolist()} …; expected 0 and then rising numbers")
    inner = np.append(edges[1:], edges.dtype.type(np.inf))
    best: tuple[int, Steps, Integers] | None = None
    for size in _SIZES:
        for steps in _candidates(inner[:-1], size):
            # No score is above 1; an edge that calls nobody may be, by a hair.
            place = np.maximum(steps.of(np.minimum(inner[:-1], inner.dtype.type(1))), 0)
            shared = len(place) - len(np.unique(place))
            if best is None or shared < best[0]:
                best = shared, steps, place
    if best is None:
        nothing = Steps("even", edges.dtype.type(0), edges.dtype.type(1))
        best = 0, nothing, np.zeros(0, dtype=np.int64)
    _, steps, place = best
    count = np.bincount(place, minlength=1)
    below = np.r_[0, np.cumsum(count)]
    return Binning(edges, steps, below.astype(np.int64), inner, np.r_[count > 1, False])


def bins_of(score: Reals, grid: Binning, out: Integers | None = None) -> Integers:
    """Return the bin of each score, ``searchsorted(edges, score, "right") - 1``, shape ``(n,)``.

    Parameters
    ----------
    score
        Shape ``(n,)``, in [0, 1], without NaN, in the precision of the edges.
    grid
        From `binning`.
    out
        Where to put them, shape ``(n,)``; new memory costs as much as the work.

    Raises
    ------
    InvalidTable
        If the scores are in another precision.

    Examples
    --------
    >>> bins_of(np.array([0.0, 0.25, 0.4, 1.0]), binning(np.array([0.0, 0.25, 0.5]))).tolist()
    [0, 1, 1, 2]
    """
    if score.dtype != grid.edges.dtype:
        raise InvalidTable(f"scores are {score.dtype}, their edges {grid.edges.dtype}")
    found = np.empty(len(score), dtype=np.int64) if out is None else out
    several = bool(grid.crowded.any())
    nearest = np.empty(BLOCK, dtype=score.dtype)
    for start in range(0, len(score), BLOCK):
        some, bins = score[start : start + BLOCK], found[start : start + BLOCK]
        place, edge = grid.steps.of(some), nearest[: len(some)]
        np.take(grid.below, place, out=bins, mode="clip")
        np.take(grid.inner, bins, out=edge, mode="clip")
        np.add(bins, some >= edge, out=bins)
        if several:
            rows = np.flatnonzero(np.take(grid.crowded, place, mode="clip"))
            if len(rows):
                bins[rows] = np.searchsorted(grid.edges, some[rows], "right") - 1
    return found


def _candidates(inner: Reals, size: int) -> list[Steps]:
    if not len(inner):
        return []
    kind = inner.dtype.type
    low, high = inner[0], min(inner[-1], kind(1))
    found = []
    # Kept small enough for the steps of all of [0, 1] to be whole numbers of 64 bits.
    factor = min(size / max(float(high) - float(low), 1e-9), 2.0**40)
    found.append(Steps("even", low, kind(factor)))
    rising = Steps("ends", low, kind(1)).of(np.array([low, high]))
    span = int(rising[1]) - int(rising[0])
    shift = max(span // size, 1).bit_length()
    found.append(Steps("ends", low, kind(1), shift, int(rising[0]) >> shift))
    return found
