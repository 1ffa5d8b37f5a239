"""Which subgroups a part may tell of: small ones are withheld, and what they could be told from.

All that a part sends, its counts, histograms, sums and second moments, depends on a patient's
subgroups only through membership in the subgroups that are sent. Cells that no sent subgroup
tells apart make a *block*: move a patient from one cell of a block to another, and the very same
message is sent. So a small subgroup is hidden if each block that holds some of it holds at least
the minimum of patients of that label: then as few as none and as many as the minimum may be in
it, whatever is subtracted or intersected, in every bin of every histogram.

The classic rule, to withhold just enough cells that no sum of the sent tables gives a withheld
one, is not enough here: second moments of two subgroups are sums over the patients of both, and a
bin of one patient tells in which of all sent subgroups that patient is; either gives the
intersection of two subgroups although its own table is not sent.

A zero is sent: it tells that nobody is there.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.metrics.counts import patients
from equipoise.metrics.samples import Sample

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def withheld(sample: Sample, inside: Flags, minimum: int) -> Flags:
    """Return which arms a part must not tell of, shape ``(arms,)``.

    Parameters
    ----------
    sample
        The images of one finding.
    inside
        Which cells each arm is the union of, shape ``(arms, cells)``.
    minimum
        Patients of a label: an arm with fewer, and not none, is small.

    Returns
    -------
    The small arms and, beside them, the arms without which each small one is hidden; of those
    the fewest patients, found greedily.

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
    >>> withheld(sample, inside, 10).tolist()
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
    sent = ~np.logical_or.reduce([one.small(inside) for one in classes])
    everyone = patients(sample, np.ones(len(sample.label), dtype=bool), inside)
    small = [inside[one.small(inside)] for one in classes]
    while sent.any():
        blocks = blocks_of(inside[sent])
        found = [one.exposed(blocks, few) for one, few in zip(classes, small, strict=True)]
        exposed = next((block for block in found if block is not None), None)
        if exposed is None:
            # A union of blocks tells no more than the blocks do.
            return ~_unions(blocks, inside)
        if len(blocks) == 1:
            break
        sent &= ~_parting(blocks, exposed, inside & sent[:, None], everyone)
    # Nothing hides so few: only of nobody is told.
    return np.asarray(inside.any(axis=1))


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
        return patients(self.sample, self.sample.label == self.label, inside)


def _unions(blocks: Flags, inside: Flags) -> Flags:
    """Return which arms hold of each block all cells or none, shape ``(arms,)``."""
    shared = inside.astype(np.int64) @ blocks.T.astype(np.int64)  # (arm, block)
    return np.asarray(((shared == 0) | (shared == blocks.sum(axis=1))).all(axis=1))


def _parting(blocks: Flags, exposed: int, sent: Flags, everyone: Integers) -> Flags:
    """Return the sent arms that tell a block from the one it costs least to join it to.

    Parameters
    ----------
    blocks, exposed
        The blocks, and which of them is too small.
    sent
        Which cells each arm holds, none if it is not sent.
    everyone
        Patients of each arm: what is lost with it.
    """
    of_block = sent[:, blocks.argmax(axis=1)]  # (arm, block), by the first cell of each
    parts = of_block != of_block[:, [exposed]]
    cost = (parts * everyone[:, None]).sum(axis=0)
    cost[exposed] = np.iinfo(np.int64).max
    return np.asarray(parts[:, int(np.argmin(cost))])


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
