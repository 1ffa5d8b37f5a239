"""What patients add to variances, counted in one pass over a stream: whole numbers, which add.

The square of a patient's sum of influence values is the sum of the squares of its images, which a
histogram holds, and twice the sum over its pairs of images, which a histogram of pairs holds. At an
operating point there are four kinds of image, and products of a patient's numbers of each say all.
So no estimate need be known while counting, and no patient is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.streams.grids import Grid, called_from

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Point = tuple[str, str | None]
"""A finding and an operating point; None of the labels alone."""

_PAIRS_HELD = 16_000_000
"""Numbers in the histograms of pairs of all findings (8 bytes each)."""

ACROSS = 16
"""Bins of a pair whose images lie in different cells."""

KINDS = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """What is counted, and on which bins.

    Parameters
    ----------
    grid
        Levels and edges.
    called
        Finding and operating point → the first bin that is called positive.
    inside
        Which cells each arm is the union of, shape ``(arms, cells)``.
    """

    grid: Grid
    called: Mapping[Point, int]
    inside: Flags

    def point_of(self, finding: str) -> str | None:
        """Return an operating point of a finding, or None if it has none."""
        return next((point for mine, point in self.called if mine == finding), None)

    @property
    def coarse(self) -> int:
        """Into how many bins a pair's scores fall: as many as memory allows, at most 128."""
        room = _PAIRS_HELD // max(1, 4 * len(self.grid.findings) * self.grid.cells)
        return int(np.clip(2 ** int(np.log2(max(room, 1)) // 2), 16, 128))

    def places(self, bins: int) -> Integers:
        """Return label and coarse bin of each label and bin, shape ``(2 × grid bins,)``."""
        fine = self.grid.bins
        coarse = np.arange(fine) if fine <= bins else np.arange(fine) * bins // fine
        return np.concatenate([coarse, coarse + bins])


def layout(grid: Grid, points: Mapping[Point, float], inside: Flags) -> Layout:
    """Return what is counted, once all thresholds are seen to be edges.

    Parameters
    ----------
    grid
        Levels and edges.
    points
        Finding and operating point → threshold.
    inside
        The arms, as unions of all cells of the grid.

    Raises
    ------
    InvalidConfiguration
        If a threshold is no edge.

    Examples
    --------
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> layout(grid, {("x", "half"): 0.5}, np.ones((1, 2), dtype=bool)).called
    {('x', 'half'): 1}
    """
    called = {key: called_from(grid.edges[key[0]], value) for key, value in points.items()}
    return Layout(grid, called, inside)


@dataclass(frozen=True, slots=True)
class Clusters:
    """What is counted of the rows of a stream whose batches hold patients whole.

    Parameters
    ----------
    layout
        What was counted, and how.
    histogram
        Images, shape ``(findings, cells, 2, bins)``.
    crowd
        Of the pairs in one cell, with n images of the patient there: their number, and the sums of
        n - 2 and of (n - 2)(n - 3), shape ``(findings, cells, 3)``.
    same
        Pairs of a patient's images in one cell, ``(findings, cells, 2 × coarse, 2 × coarse)``.
    across
        Finding → pairs in different cells, ``(cells × 2 × 16, cells × 2 × 16)``, where there are.
    second
        Finding and operating point → products of a patient's numbers of each kind in one cell,
        shape ``(cells, 4, 4)``.
    second_across
        The same of two cells, ``(cells × 4, cells × 4)``, where there are.
    lone
        Finding and operating point → patients of one cell, by cell and by which kinds they have,
        ``(cells, 16)``.
    several
        The same of patients in several cells, by arm, ``(arms, 16)``.
    unscored
        Images with a label and no score, by finding: they are in no other number.
    rows
        How many.
    """

    layout: Layout
    histogram: Integers
    crowd: Integers
    same: Integers
    across: dict[str, Integers]
    second: Mapping[Point, Integers]
    second_across: dict[Point, Integers]
    lone: Mapping[Point, Integers]
    several: Mapping[Point, Integers]
    unscored: Integers
    rows: int


def together(parts: Sequence[Clusters], *, disjoint_patients: bool) -> Clusters:
    """Return the counts of all parts.

    Parameters
    ----------
    parts
        Counts on the same layout.
    disjoint_patients
        Must be declared: a patient in two parts would be taken for two.

    Raises
    ------
    InvalidTable
        If it is not declared, there is no part, or they were counted on other grids.

    Examples
    --------
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> one = nothing(layout(grid, {}, np.ones((1, 2), dtype=bool)))
    >>> together([one, one], disjoint_patients=True).rows
    0
    """
    if not disjoint_patients:
        raise InvalidTable("stream: parts not declared to share no patient cannot be merged")
    if not parts:
        raise InvalidTable("stream: no parts to merge; expected one or more")
    total = nothing(parts[0].layout)
    for part in parts:
        mine, theirs = total.layout, part.layout
        if not mine.grid.same(theirs.grid) or mine.called != theirs.called:
            raise InvalidTable("stream: parts were counted on other edges, levels or thresholds")
        _join(total, part)
    return replace(total, rows=sum(part.rows for part in parts))


def _join(total: Clusters, part: Clusters) -> None:
    for name in ("histogram", "crowd", "same", "unscored"):
        getattr(total, name)[...] += getattr(part, name)
    for name in ("second", "lone", "several"):
        for key, counts in getattr(part, name).items():
            getattr(total, name)[key][...] += counts
    for finding, counts in part.across.items():
        total.across.setdefault(finding, np.zeros_like(counts))[...] += counts
    for key, counts in part.second_across.items():
        total.second_across.setdefault(key, np.zeros_like(counts))[...] += counts


def nothing(of: Layout) -> Clusters:
    """Return the counts of no rows.

    Examples
    --------
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> nothing(layout(grid, {}, np.ones((1, 2), dtype=bool))).rows
    0
    """
    grid, wide = of.grid, 2 * of.coarse
    findings, cells, arms = len(grid.findings), grid.cells, len(of.inside)
    keys = list(of.called)
    # At any operating point labels are counted too.
    keys += [(finding, None) for finding in grid.findings if of.point_of(finding) is None]

    def zeros(*shape: int) -> Integers:
        return np.zeros(shape, dtype=np.int64)

    return Clusters(
        of,
        zeros(*grid.shape),
        zeros(findings, cells, 3),
        zeros(findings, cells, wide, wide),
        {},
        {key: zeros(cells, KINDS, KINDS) for key in keys},
        {},
        {key: zeros(cells, 1 << KINDS) for key in keys},
        {key: zeros(arms, 1 << KINDS) for key in keys},
        zeros(findings),
        0,
    )
