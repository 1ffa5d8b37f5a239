"""What a stream is counted on: declared levels, and the edges between the bins of each finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.streams.binning import Binning, binning

Reals = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Grid:
    """What all parts of a stream agree on before they count.

    Parameters
    ----------
    levels
        Attribute → its declared levels. The cells are all their combinations, the last attribute
        changing fastest.
    edges
        Finding → its edges, as `edges` returns them.
    split
        Only rows with this in the column `split` are counted; None counts all.
    """

    levels: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, Reals]
    split: str | None = None

    @cached_property
    def binnings(self) -> dict[str, Binning]:
        """Finding → its edges with the table that finds bins fast."""
        return {finding: binning(edges) for finding, edges in self.edges.items()}

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """The findings, in the order of all arrays."""
        return tuple(self.edges)

    @cached_property
    def cells(self) -> int:
        """How many combinations of levels are declared."""
        return int(np.prod([len(levels) for levels in self.levels.values()], dtype=np.int64))

    @cached_property
    def bins(self) -> int:
        """The most bins that a finding has; those of one with fewer stay empty at the end."""
        return max((len(edges) for edges in self.edges.values()), default=0)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Findings, cells, labels (negative first), bins."""
        return len(self.edges), self.cells, 2, self.bins

    def levels_of_cells(self) -> dict[str, npt.NDArray[np.str_]]:
        """Return attribute → the level of each cell, shape ``(cells,)``.

        Examples
        --------
        >>> grid = Grid({"sex": ("F", "M"), "site": ("a", "b")}, {})
        >>> grid.levels_of_cells()["site"].tolist()
        ['a', 'b', 'a', 'b']
        """
        every = list(product(*self.levels.values()))
        return {
            name: np.array([cell[place] for cell in every], dtype=np.str_)
            for place, name in enumerate(self.levels)
        }

    def same(self, other: "Grid") -> bool:
        """Return whether another grid is this one, edge by edge.

        Examples
        --------
        >>> Grid({}, {"x": np.zeros(1)}).same(Grid({}, {"x": np.zeros(1, np.float32)}))
        False
        """
        return (
            list(map(tuple, self.levels.items())) == list(map(tuple, other.levels.items()))
            and self.split == other.split
            and self.findings == other.findings
            and all(
                mine.dtype == theirs.dtype and np.array_equal(mine, theirs)
                for mine, theirs in zip(self.edges.values(), other.edges.values(), strict=True)
            )
        )


def called_from(edges: Reals, threshold: float) -> int:
    """Return the first bin of those that are called positive at a threshold.

    Parameters
    ----------
    edges
        Of a finding.
    threshold
        One of those that were given to `edges`: an edge, so that no bin holds both kinds.

    Raises
    ------
    InvalidConfiguration
        If it is no edge.

    Examples
    --------
    >>> called_from(np.array([0, 0.25, 0.7], dtype=np.float32), 0.7)
    2
    """
    stored = edges.dtype.type(threshold)
    place = int(np.searchsorted(edges, stored, "left"))
    if place == len(edges) or edges[place] != stored:
        raise InvalidConfiguration(
            f"operating points: a threshold of {threshold} is no edge of the bins; "
            "expected those the edges were made for"
        )
    return place
