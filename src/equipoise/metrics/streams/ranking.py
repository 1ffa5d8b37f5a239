"""AUROC of unions of cells from the first pass, with how far it can be from that of the scores."""

import numpy as np
import numpy.typing as npt

from equipoise.metrics.parts.grid import auroc, bound
from equipoise.metrics.streams.counting import Counted

Reals = npt.NDArray[np.float64]


def aurocs(made: Counted, inside: npt.NDArray[np.bool_]) -> tuple[Reals, Reals]:
    """Return the AUROC of each finding and arm, and its bound, each ``(findings, arms)``.

    Parameters
    ----------
    made
        From `counted`.
    inside
        Of which cells each arm is the union, shape ``(arms, cells)``.

    Returns
    -------
    The AUROC with scores in one bin taken as tied, NaN where a class is absent; and half the share
    of pairs that share a bin: the AUROC of the scores themselves is no farther away.

    References
    ----------
    Mann & Whitney 1947, Annals of Mathematical Statistics 18:50, ties counted half.

    Examples
    --------
    >>> from equipoise.metrics.streams.counting import counted
    >>> from equipoise.metrics.streams.grids import Grid
    >>> grid = Grid({}, {"x": np.array([0.0, 0.5])})
    >>> made = counted([], grid)
    >>> made.histogram[0, 0] = [[2, 1], [1, 1]]
    >>> value, bound = aurocs(made, np.array([[True]]))
    >>> value.tolist(), bound.tolist()
    ([[0.5833333333333334]], [[0.25]])
    """
    arms = np.asarray(inside, dtype=np.int64)
    both = np.einsum("ac,fclb->lfab", arms, made.histogram, optimize=True)
    flat = both.reshape(2, -1, made.grid.bins)
    shape = both.shape[1:3]
    return auroc(*flat).reshape(shape), bound(*flat).reshape(shape)
