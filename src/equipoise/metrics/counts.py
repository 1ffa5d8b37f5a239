"""The table *counts*: whole numbers per declared subgroup, which add over patients' parts."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.metrics.groups import Cells, levels_of
from equipoise.metrics.samples import Population, Sample
from equipoise.metrics.tallies import NEGATIVE, POSITIVE, Tally, images, patients, tally
from equipoise.tables import COUNTS, check

BINS = 256
_CELLS = ("tp", "fp", "tn", "fn")

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def count(
    people: Population,
    table: pl.DataFrame,
    *,
    candidate: str,
    tallies: Sequence[Tally] | None = None,
) -> pl.DataFrame:
    """Return the table *counts*: a row per subgroup, finding and operating point.

    Parameters
    ----------
    people
        The predictions as arrays.
    table
        The table *subgroups*. One that is absent stays, with zeros.
    candidate
        Whose scores they are.
    tallies
        What each patient has in each cell, a tally per finding, if it is known already.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "F"], "label:x": [True, False], "score:x": [0.9, 0.1]})
    >>> made = count(population(rows, table, patient=None), table, candidate="probe")
    >>> made.select("sex", "n_images", "n_positive").rows()
    [(None, 2, 1), ('F', 2, 1), ('M', 0, 0)]
    """
    inside = groups_inside(table, people.cells)
    known = [tally(sample) for sample in people.samples] if tallies is None else tallies
    frames = [
        _table((sample, tallied), inside, table, candidate=candidate, point=point)
        for sample, tallied in zip(people.samples, known, strict=True)
        for point in (*sample.called,) or (None,)
    ]
    return check(pl.concat(frames), COUNTS)


def groups_inside(table: pl.DataFrame, atomic: Cells) -> Flags:
    """Return which cells each subgroup is the union of, shape ``(subgroups, cells)``.

    Examples
    --------
    >>> from equipoise.metrics.groups import cells, subgroups
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> groups_inside(table, cells(pl.DataFrame({"sex": ["M", "F"]}), table)).astype(int).tolist()
    [[1, 1], [1, 0], [0, 1]]
    """
    rows = table.select(list(levels_of(table))).iter_rows(named=True)
    inside = [atomic.inside(row) for row in rows]
    return np.array(inside, dtype=bool).reshape(table.height, atomic.n)


def merge(parts: Sequence[pl.DataFrame], *, disjoint_patients: Literal[True]) -> pl.DataFrame:
    """Return the counts of all parts together, cell by cell.

    Parameters
    ----------
    parts
        Tables *counts* over the same declared subgroups.
    disjoint_patients
        Must be declared: a patient in two parts would be counted twice.

    Raises
    ------
    InvalidTable
        If it is not declared, or a part has other columns.

    Examples
    --------
    >>> merge([], disjoint_patients=False)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: counts: parts not declared to share no patient cannot be merged
    """
    if not bool(disjoint_patients):
        raise InvalidTable("counts: parts not declared to share no patient cannot be merged")
    if not parts:
        raise InvalidTable("counts: no parts to merge; expected one or more")
    columns = parts[0].columns
    for part in parts:
        check(part, COUNTS)
        if part.columns != columns:
            raise InvalidTable(f"counts: parts differ in columns; {part.columns} is not {columns}")
    key = [c for c in columns if c not in COUNTS.columns] + ["finding", "candidate"]
    key += ["operating_point"]
    numbers = [c for c, kind in COUNTS.columns.items() if kind.kind == "integer"]
    histograms = [c for c, kind in COUNTS.columns.items() if kind.kind == "counts"]
    together = pl.concat(parts).group_by(key, maintain_order=True)
    merged = together.agg(
        *[pl.col(c).sum().cast(pl.Int64) if c not in _CELLS else _sum(c) for c in numbers],
        *[pl.col(c).list.to_array(BINS) for c in histograms],
        pl.col("exploratory").any(),
    )
    return merged.with_columns(
        pl.Series(c, [np.sum(h.to_numpy(), axis=0, dtype=np.int64).tolist() for h in merged[c]])
        for c in histograms
    ).select(columns)


def _sum(column: str) -> pl.Expr:
    nothing = pl.col(column).is_null().all()
    return pl.when(nothing).then(None).otherwise(pl.col(column).sum()).cast(pl.Int64).alias(column)


def _table(
    counted: tuple[Sample, Tally],
    inside: Flags,
    table: pl.DataFrame,
    *,
    candidate: str,
    point: str | None,
) -> pl.DataFrame:
    sample, tallied = counted
    everyone = (*NEGATIVE, *POSITIVE)
    histograms = _histograms(sample, inside)
    return table.drop("exploratory").with_columns(
        pl.lit(sample.finding).alias("finding"),
        pl.lit(candidate).alias("candidate"),
        pl.lit(point, dtype=pl.String).alias("operating_point"),
        pl.Series("n_images", images(tallied, None, everyone, inside)),
        pl.Series("n_patients", patients(tallied, None, everyone, inside)),
        pl.Series("n_positive", images(tallied, None, POSITIVE, inside)),
        pl.Series("n_negative", images(tallied, None, NEGATIVE, inside)),
        pl.Series("patients_positive", patients(tallied, None, POSITIVE, inside)),
        pl.Series("patients_negative", patients(tallied, None, NEGATIVE, inside)),
        *[
            pl.lit(None, dtype=pl.Int64).alias(name)
            if point is None
            else pl.Series(name, images(tallied, point, (name,), inside))
            for name in _CELLS
        ],
        *lists_of(histograms),
        table["exploratory"],
    )


def lists_of(histograms: Sequence[Integers]) -> list[pl.Series]:
    """Return the two columns of histograms of the table *counts*, without a loop over numbers.

    Parameters
    ----------
    histograms
        Of negatives and of positives, each of shape ``(subgroups, bins)``.

    Examples
    --------
    >>> [one.to_list() for one in lists_of(np.array([[[1, 2]], [[3, 4]]]))]
    [[[3, 4]], [[1, 2]]]
    """
    names = ("histogram_negative", "histogram_positive")
    made = [
        pl.Series(name, np.ascontiguousarray(of), dtype=pl.Array(pl.Int64, of.shape[1]))
        for name, of in zip(names, histograms, strict=True)
    ]
    return [one.arr.to_list() for one in reversed(made)]


def _histograms(sample: Sample, inside: Flags) -> tuple[Integers, Integers]:
    """Return the histograms of negatives and of positives, each ``(subgroups, BINS)``."""
    part = np.minimum((sample.score.astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    cells = inside.shape[1]
    code = (sample.label * cells + sample.cell) * BINS + part
    by_cell = np.bincount(code, minlength=2 * cells * BINS).reshape(2, cells, BINS)
    # Sums of whole numbers are exact in doubles, and go through the fast product of matrices.
    negative, positive = (
        (inside.astype(np.float64) @ side.astype(np.float64)).astype(np.int64) for side in by_cell
    )
    return negative, positive
