"""Which subgroups a part may tell of: small ones are withheld, and what they could be told from.

All that a part sends, its counts, histograms, sums and second moments, depends on a patient's
subgroups only through membership in the subgroups that are sent. Cells that no sent subgroup
tells apart make a *block*: move a patient from one cell of a block to another, and the very same
message is sent. So a small subgroup is hidden if each block that holds some of it holds at least
the minimum of patients of that label, or is in no subgroup that is sent: then as few as none and
as many as the minimum may be in it, whatever is subtracted or intersected, in every bin of every
histogram. This is so for each finding by itself.

The classic rule, to withhold just enough cells that no sum of the sent tables gives a withheld
one, is not enough here: second moments of two subgroups are sums over the patients of both, and a
bin of one patient tells in which of all sent subgroups that patient is; either gives the
intersection of two subgroups although its own table is not sent.

A zero is sent: it tells that nobody is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from equipoise.metrics.samples import Sample
from equipoise.metrics.tallies import NEGATIVE, POSITIVE, patients, tally

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def withheld(sample: Sample, inside: Flags, minimum: int, *, groups: int, joins: Flags) -> Flags:
    """Return which arms a part must not tell of, shape ``(arms,)``.

    Parameters
    ----------
    sample
        The images of one finding.
    inside
        Which cells each arm is the union of, shape ``(arms, cells)``.
    minimum
        Patients of a label: an arm with fewer, and not none, is small.
    groups
        How many arms are subgroups; what these are compared with, behind them, counts half when
        it is weighed what to withhold, and everybody counts twice.
    joins
        Shape ``(joins, arms)``, from `level_joins`: what tells two levels apart. A small level is
        best withheld with another one as a whole.

    Returns
    -------
    The small arms and, beside them, arms without which each small one is hidden, found greedily
    so that few patients are lost.

    References
    ----------
    Complementary suppression: Hundepool et al. 2012, Statistical Disclosure Control, chapter 4.
    Blocks of at least the minimum: the idea of k-anonymity, Sweeney 2002, IJUFKS 10:557.

    Examples
    --------
    >>> cell = np.repeat([0, 1, 2], [3, 40, 50])  # F, M, unknown: 3 of F are too few
    >>> code = np.arange(93)
    >>> sample = Sample("x", code / 93, code >= 0, code, cell, {}, 0)
    >>> inside = np.array([[True, True, True], *np.eye(3, dtype=bool)])
    >>> joins = np.zeros((0, 4), dtype=bool)
    >>> withheld(sample, inside, 10, groups=4, joins=joins).tolist()
    [False, True, True, False]
    """
    occupied = np.bincount(sample.cell, minlength=inside.shape[1]) > 0
    if not occupied.any():
        # Of nobody there is nothing to hide.
        return np.zeros(len(inside), dtype=bool)
    # A cell without an image hides nobody and tells nothing; the others are numbered anew.
    sample = replace(sample, cell=(np.cumsum(occupied) - 1)[sample.cell])
    inside = inside[:, occupied]
    classes = tuple(_Class(sample, label, minimum) for label in (False, True))
    small = [inside[one.small(inside)] for one in classes]
    loss = patients(tally(sample), None, (*NEGATIVE, *POSITIVE), inside) * 2
    loss[groups:] //= 2
    loss[inside.all(axis=1)] *= 2
    task = _Task(inside, loss, classes, small)
    found = [_hidden(task, one) for one in (np.zeros((0, len(inside)), dtype=bool), joins)]
    return min(found, key=lambda hidden: int(loss[hidden].sum()))


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be hidden: the small arms of each label."""

    inside: Flags
    loss: Integers
    classes: tuple["_Class", ...]
    small: list[Flags]

    def exposed(self, blocks: Flags) -> int | None:
        """Return a block that holds some of a small arm and too few patients, or None."""
        both = zip(self.classes, self.small, strict=True)
        found = [one.exposed(blocks, few) for one, few in both]
        return next((block for block in found if block is not None), None)


def _hidden(task: _Task, joins: Flags) -> Flags:
    """Return what must be withheld, found by joining blocks, and levels if there are joins."""
    inside = task.inside
    sent = ~np.logical_or.reduce([one.small(inside) for one in task.classes])
    while True:
        told, blocks = inside & sent[:, None], blocks_of(inside[sent])
        # Of a block in no arm that is sent nothing is told at all.
        silent = ~blocks[:, told.any(axis=0)].any(axis=1)
        exposed = task.exposed(blocks[~silent])
        if exposed is None:
            # A union of blocks tells no more than the blocks do.
            return ~_unions(blocks, inside) | inside[:, blocks[silent].any(axis=0)].any(axis=1)
        sent &= ~_parting(blocks[~silent], exposed, told, (task.loss, joins))


@dataclass(frozen=True, slots=True)
class _Class:
    """The patients of one label, of whom fewer than the minimum must not be told."""

    sample: Sample
    label: bool
    minimum: int

    def small(self, inside: Flags) -> Flags:
        n = self._count(inside)
        return (n > 0) & (n < self.minimum)

    def exposed(self, blocks: Flags, small: Flags) -> int | None:
        """Return a block that holds some of a small arm and too few patients, or None."""
        some = small & (self._count(np.eye(blocks.shape[1], dtype=bool)) > 0)
        bare = blocks[:, some.any(axis=0)].any(axis=1) & (self._count(blocks) < self.minimum)
        return int(np.argmax(bare)) if bare.any() else None

    def _count(self, inside: Flags) -> Integers:
        side = POSITIVE if self.label else NEGATIVE
        return patients(tally(self.sample), None, side, inside)


def _unions(blocks: Flags, inside: Flags) -> Flags:
    """Return which arms hold of each block all cells or none, shape ``(arms,)``."""
    shared = inside.astype(np.int64) @ blocks.T.astype(np.int64)  # (arm, block)
    return np.asarray(((shared == 0) | (shared == blocks.sum(axis=1))).all(axis=1))


def _parting(blocks: Flags, exposed: int, sent: Flags, by: tuple[Integers, Flags]) -> Flags:
    """Return the arms to withhold so that a block is joined to another, or told of by none.

    Parameters
    ----------
    blocks, exposed
        The blocks, and which of them is too small.
    sent
        Which cells each arm holds, none if it is not sent.
    by
        What is lost with each arm; and the arms that tell two levels apart, ``(joins, arms)``:
        of these one is chosen that joins the block, if any does.
    """
    loss, joins = by
    of_block = sent[:, blocks.argmax(axis=1)]  # (arm, block), by the first cell of each
    mine = of_block[:, [exposed]]
    parts = np.delete(of_block != mine, exposed, axis=1)
    # (join, other block, arm): what tells the block from another after the join all the same.
    stays = parts.T[None].astype(np.int64) * ~joins[:, None]
    enough: Flags = np.asarray((stays.sum(axis=2) == 0).any(axis=1))
    chosen = joins[enough].T if enough.any() else parts
    # What is not sent costs nothing more.
    price = np.where(np.asarray(sent.any(axis=1)), loss, 0)
    chosen = np.concatenate([chosen, mine], axis=1)
    return np.asarray(chosen[:, int(np.argmin((chosen * price[:, None]).sum(axis=0)))])


def blocks_of(inside: Flags) -> Flags:
    """Return the sets of cells that no arm tells apart, shape ``(blocks, cells)``.

    Examples
    --------
    >>> blocks_of(np.array([[True, True, True], [True, False, False]])).astype(int).tolist()
    [[1, 0, 0], [0, 1, 1]]
    """
    _, first, code = np.unique(inside, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.asarray(code.reshape(-1)[None, :] == order[:, None])


def level_joins(inside: Flags, sizes: Sequence[int]) -> Flags:
    """Return which arms tell two levels of an attribute apart, a row for each two levels.

    Parameters
    ----------
    inside
        Shape ``(arms, cells)``, over every declared combination of levels, the last attribute
        changing fastest.
    sizes
        How many levels each attribute has.

    Examples
    --------
    >>> level_joins(np.array([[True, True, True], [True, False, False]]), [3]).tolist()
    [[False, True], [False, True], [False, False]]
    """
    whole = inside.reshape(len(inside), *sizes)
    made = [
        (whole.take(one, axis) != whole.take(other, axis)).reshape(len(inside), -1).any(axis=1)
        for axis, size in enumerate(sizes, start=1)
        for one, other in combinations(range(size), 2)
    ]
    return np.array(made, dtype=bool).reshape(len(made), len(inside))
