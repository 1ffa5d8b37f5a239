"""Streams of cases cut into blocks, one bet each; where a block ends never depends on outcomes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Means of two arms in the same blocks.

    Parameters
    ----------
    first, second
        Mean of each arm in each block, ``(blocks,)``.
    last
        Index of the case that closed each block, ``(blocks,)``.
    n_first, n_second
        Cases of each arm in each block, ``(blocks,)``.
    """

    first: Reals
    second: Reals
    last: Integers
    n_first: Integers
    n_second: Integers


def blocks(values: Reals, in_first: Flags) -> Blocks:
    """Return the blocks of two arms, in the order in which their cases came.

    A block is closed as soon as both arms have a case in it, and takes all that waited. So the
    arms are compared at the same time: a rate that moves for both does not look like a gap. Cases
    after the last block wait for the next.

    Parameters
    ----------
    values
        In [0, 1], ``(n,)``, in order of arrival.
    in_first
        Whether a case is of the first arm; else it is of the second.

    Examples
    --------
    >>> made = blocks(np.array([1.0, 0.0, 1.0, 1.0]), np.array([True, True, False, True]))
    >>> made.first.tolist(), made.second.tolist(), made.last.tolist()
    ([0.5], [1.0], [2])
    """
    n = len(values)
    changes = np.flatnonzero(in_first[1:] != in_first[:-1]) + 1 if n else np.empty(0, np.int64)
    ends: list[int] = []
    start = 0
    for change in changes.tolist():
        if change > start:  # a change within the cases that wait closes their block
            ends.append(change)
            start = change + 1
    edges = np.array([0, *[end + 1 for end in ends]], dtype=np.int64)
    one, two = np.where(in_first, values, 0.0), np.where(in_first, 0.0, values)
    sums = [
        _sums(part, edges)
        for part in (one, two, in_first.astype(np.float64), (~in_first).astype(np.float64))
    ]
    return Blocks(
        first=sums[0] / sums[2],
        second=sums[1] / sums[3],
        last=edges[1:] - 1,
        n_first=sums[2].astype(np.int64),
        n_second=sums[3].astype(np.int64),
    )


def ranked(scores: Reals, labels: Flags) -> tuple[Reals, Integers]:
    """Return how well positives outrank negatives, block by block; the mean is the AUROC.

    Each block has one case of one class and all that waited of the other; its value is the share
    of its pairs in which the positive has the higher score, ties half. No case is in two blocks.

    Parameters
    ----------
    scores, labels
        Of one group's cases in order of arrival, ``(n,)``.

    Returns
    -------
    Values in [0, 1] and the index of the case that closed each block, both ``(blocks,)``.

    Examples
    --------
    >>> values, last = ranked(np.array([0.9, 0.2, 0.9, 0.95]), np.array([True, False, False, True]))
    >>> values.tolist(), last.tolist()
    ([1.0, 1.0], [1, 3])
    """
    made = blocks(np.zeros(len(scores)), labels)
    starts = [0, *(made.last[:-1] + 1).tolist()]
    values = [
        _share(scores[start : end + 1], labels[start : end + 1])
        for start, end in zip(starts, made.last.tolist(), strict=False)
    ]
    return np.array(values, dtype=np.float64), made.last


def _share(scores: Reals, labels: Flags) -> float:
    difference = scores[labels][:, None] - scores[~labels][None, :]  # (positive, negative)
    return float((np.sign(difference) + 1.0).mean() / 2.0)


def _sums(values: Reals, edges: Integers) -> Reals:
    if len(edges) == 1:
        return np.empty(0)
    return np.asarray(np.add.reduceat(values[: edges[-1]], edges[:-1]), dtype=np.float64)
