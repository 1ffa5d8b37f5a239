"""How often a positive of one cell outranks a negative of another: exact, for all pairs of cells.

The AUROC of any union of cells is a sum of these wins over a number of pairs, and so is the AUROC
of positives of one group against negatives of another. One sort serves all subgroups.
"""

import numpy as np
import numpy.typing as npt

from equipoise.metrics.ranks import Ranks
from equipoise.metrics.samples import Sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_BLOCK = 32
_TABLE = 4_000_000
"""Numbers in a table of blocks by cells (8 bytes each)."""


def wins(sample: Sample, ranked: Ranks, cells: int) -> Reals:
    """Return the pairs in which the positive has the higher score, ties counted half.

    Blocks of the sorted images are compared with all blocks below them by their counts per cell,
    images of a block with each other one by one.

    Parameters
    ----------
    sample, ranked
        The images, and their order.
    cells
        How many cells there are.

    Returns
    -------
    Shape ``(cells, cells)``: cell of the positive, cell of the negative. Exact up to 2**52.

    References
    ----------
    Mann & Whitney 1947, Annals of Mathematical Statistics 18:50.

    Examples
    --------
    >>> from equipoise.metrics.ranks import ranks
    >>> code, label = np.arange(4), np.array([False, True, False, True])
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.3, 0.2]), label, code, code // 2, {}, 0)
    >>> wins(sample, ranks(sample), 2).tolist()
    [[1.0, 0.5], [1.0, 0.0]]
    """
    label, cell = sample.label[ranked.order], sample.cell[ranked.order]
    size = _BLOCK
    while len(label) // size * cells > _TABLE:
        size *= 2
    found = _between(label, cell, cells, size) + _within(label, cell, cells, size)
    return found + _tied(label, cell, ranked.level, cells) / 2.0


def auroc_of(won: Reals, positives: Flags, negatives: Flags, pairs: Reals) -> Reals:
    """Return the AUROC of positives of some cells against negatives of some, shape ``(arms,)``.

    Parameters
    ----------
    won
        From `wins`.
    positives, negatives
        Which cells each arm takes them from, shape ``(arms, cells)``.
    pairs
        Number of positives times that of negatives, shape ``(arms,)``; NaN where it is zero.

    Examples
    --------
    >>> both = np.ones((1, 2), dtype=bool)
    >>> auroc_of(np.array([[1.0, 0.5], [1.0, 0.0]]), both, both, np.array([4.0])).tolist()
    [0.625]
    """
    total = ((positives.astype(np.float64) @ won) * negatives).sum(axis=1)
    share = np.divide(total, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0.0)
    return np.asarray(share, dtype=np.float64)


def _between(label: Flags, cell: Integers, cells: int, size: int) -> Reals:
    """Return the wins over negatives of lower blocks."""
    blocks = -(-len(label) // size)
    code = (np.arange(len(label)) // size + label * blocks) * cells + cell
    down, up = np.bincount(code, minlength=2 * blocks * cells).reshape(2, blocks, cells)
    below = np.cumsum(down, axis=0, dtype=np.float64)
    below -= down
    return np.asarray(up.astype(np.float64).T @ below, dtype=np.float64)


def _within(label: Flags, cell: Integers, cells: int, size: int) -> Reals:
    """Return the wins over negatives that stand lower in the same block."""
    few = label if 2 * label.sum() <= len(label) else ~label
    nobody = cells  # stands for an image that is not of the other class
    padded = np.full(-(-len(label) // size) * size, nobody, dtype=np.int64)
    padded[: len(label)] = np.where(few, nobody, cell)
    rows = padded.reshape(-1, size).astype(np.uint16 if cells < 2**16 else np.int64)
    mine, lanes = np.flatnonzero(few), np.arange(size)
    found = np.zeros((cells, cells + 1), dtype=np.int64)
    step = max(1, _TABLE // size)
    for start in range(0, len(mine), step):
        some = mine[start : start + step]
        others, place = rows[some // size], (some % size)[:, None]
        lower = lanes < place if few is label else lanes > place
        code = cell[some][:, None] * (cells + 1) + np.where(lower, others, nobody)
        found += np.bincount(code.ravel(), minlength=found.size).reshape(found.shape)
    counted = found[:, :cells].astype(np.float64)
    return counted if few is label else counted.T


def _tied(label: Flags, cell: Integers, level: Integers, cells: int) -> Reals:
    """Return the pairs of equal score."""
    from scipy.sparse import coo_array

    same = np.zeros(len(level), dtype=bool)
    same[1:] = level[1:] == level[:-1]
    same[:-1] |= same[1:]
    if not same.any():
        return np.zeros((cells, cells))
    label, cell, level = label[same], cell[same], level[same]
    shape = int(level[-1]) + 1, cells
    up, down = (
        coo_array((np.ones(int(mine.sum())), (level[mine], cell[mine])), shape=shape).tocsr()
        for mine in (label, ~label)
    )
    return np.asarray((up.T @ down).todense(), dtype=np.float64)
