"""Streams of cases cut into blocks, one bet each; who is in a block never depends on outcomes."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_SHARE = 3
"""A block takes one in so many of those who wait, the first of them, and one at least."""


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
        Cases of each arm in each block, ``(blocks,)``; one of them is 1.
    """

    first: Reals
    second: Reals
    last: Integers
    n_first: Integers
    n_second: Integers


def blocks(values: Reals, in_first: Flags) -> Blocks:
    """Return the blocks of two arms, in the order in which their cases came.

    A case that finds others of the other arm waiting makes a block with the first third of them
    (at least one); else it waits. So arms of any sizes are nearly all used, and compared at about
    the same time: a rate that moves for both does not look like a gap. Cases that wait are kept
    for later blocks.

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
    ([1.0], [1.0], [2])
    """
    found = list(_members(in_first))
    one, two, n_one, n_two, last = [], [], [], [], []
    for case, others in found:
        alone, together = float(values[case]), float(values[others].mean())
        first = bool(in_first[case])
        one.append(alone if first else together)
        two.append(together if first else alone)
        n_one.append(1 if first else len(others))
        n_two.append(len(others) if first else 1)
        last.append(case)
    return Blocks(
        first=np.array(one, dtype=np.float64),
        second=np.array(two, dtype=np.float64),
        last=np.array(last, dtype=np.int64),
        n_first=np.array(n_one, dtype=np.int64),
        n_second=np.array(n_two, dtype=np.int64),
    )


def ranked(scores: Reals, labels: Flags) -> tuple[Reals, Integers]:
    """Return how well positives outrank negatives, block by block; the mean is the AUROC.

    Each block has one case of one class and some of the other, as `blocks` makes them; its value
    is the share of its pairs in which the positive has the higher score, ties half. No case is in
    two blocks.

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
    values, last = [], []
    for case, others in _members(labels):
        sign = 1.0 if labels[case] else -1.0
        ahead = np.sign(sign * (scores[case] - scores[others]))
        values.append(float((ahead + 1.0).mean() / 2.0))
        last.append(case)
    return np.array(values, dtype=np.float64), np.array(last, dtype=np.int64)


def _members(in_first: Flags) -> Iterator[tuple[int, list[int]]]:
    """Yield each block: the case that closes it, and those of the other arm, the first who came."""
    waiting: dict[bool, deque[int]] = {True: deque(), False: deque()}
    for case, first in enumerate(in_first.tolist()):
        others = waiting[not first]
        if others:
            yield case, [others.popleft() for _ in range(-(-len(others) // _SHARE))]
        else:
            waiting[first].append(case)
