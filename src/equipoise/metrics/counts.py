"""The table *counts*: whole numbers per declared subgroup, which add over patients' parts."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.metrics.groups import Cells, levels_of
from equipoise.metrics.samples import Population, Sample
from equipoise.tables import COUNTS, check

BINS = 256
_CELLS = ("tp", "fp", "tn", "fn")

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def count(people: Population, table: pl.DataFrame, *, candidate: str) -> pl.DataFrame:
    """Return the table *counts*: a row per subgroup, finding and operating point.

    Parameters
    ----------
    people
        The predictions as arrays.
    table
        The table *subgroups*. One that is absent stays, with zeros.
    candidate
        Whose scores they are.

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
    frames = [
        _table(sample, inside, table, candidate=candidate, point=point)
        for sample in people.samples
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


def images(sample: Sample, flag: Flags, inside: Flags) -> Integers:
    """Return how many flagged images each arm has, shape ``(arms,)``.

    Examples
    --------
    >>> code = np.array([0, 1, 1])
    >>> sample = Sample("x", code / 2, code > 0, code, code, {}, 0)
    >>> images(sample, sample.label, np.array([[True, True], [True, False]])).tolist()
    [2, 0]
    """
    by_cell = np.bincount(sample.cell[flag], minlength=inside.shape[1])
    return np.asarray(inside.astype(np.int64) @ by_cell, dtype=np.int64)


def patients(sample: Sample, flag: Flags, inside: Flags) -> Integers:
    """Return how many patients have a flagged image in each arm, shape ``(arms,)``.

    Examples
    --------
    >>> code = np.array([0, 0, 1])
    >>> sample = Sample("x", code / 2, code > 0, np.array([7, 7, 7]), code, {}, 0)
    >>> both = np.ones(3, dtype=bool)
    >>> patients(sample, both, np.array([[True, True], [True, False]])).tolist()
    [1, 1]
    """
    who, cell = sample.patient[flag], sample.cell[flag]
    if not len(who):
        return np.zeros(len(inside), dtype=np.int64)
    first = np.r_[True, (who[1:] != who[:-1]) | (cell[1:] != cell[:-1])]
    who, cell = who[first], cell[first]  # (patient, cell) pairs, each once
    starts = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    size = np.diff(np.r_[starts, len(who)])
    alone = np.repeat(size == 1, size)
    by_cell = np.bincount(cell[alone], minlength=inside.shape[1])
    total = inside.astype(np.int64) @ by_cell
    if not alone.all():
        member = inside.T[cell[~alone]]  # (pair, arm)
        several = size[size > 1]
        begin = np.r_[0, np.cumsum(several)[:-1]]
        total = total + np.logical_or.reduceat(member, begin, axis=0).sum(axis=0)
    return np.asarray(total, dtype=np.int64)


def confusion(sample: Sample, point: str, inside: Flags) -> dict[str, Integers]:
    """Return the cells of the confusion matrix of each arm, each of shape ``(arms,)``.

    Examples
    --------
    >>> code, flag = np.array([0, 1]), np.array([False, True])
    >>> sample = Sample("x", code / 2, flag, code, code, {"p": flag}, 0)
    >>> {k: v.tolist() for k, v in confusion(sample, "p", np.array([[True, True]])).items()}
    {'tp': [1], 'fp': [0], 'tn': [1], 'fn': [0]}
    """
    return {cell: images(sample, flags(sample, point, (cell,)), inside) for cell in _CELLS}


def flags(sample: Sample, point: str, wanted: Sequence[str]) -> Flags:
    """Return which images are in any of the wanted cells, shape ``(n,)``.

    Examples
    --------
    >>> code, flag = np.array([0, 1]), np.array([False, True])
    >>> sample = Sample("x", code / 2, flag, code, code, {"p": flag}, 0)
    >>> flags(sample, "p", ("tp", "fn")).tolist()
    [False, True]
    """
    label, called = sample.label, sample.called[point]
    found = np.zeros(len(label), dtype=bool)
    for cell in wanted:
        positive = label if cell in {"tp", "fn"} else ~label
        found |= positive & (called if cell in {"tp", "fp"} else ~called)
    return found


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
    sample: Sample, inside: Flags, table: pl.DataFrame, *, candidate: str, point: str | None
) -> pl.DataFrame:
    everyone = np.ones(len(sample.label), dtype=bool)
    absent: Mapping[str, Integers | None] = dict.fromkeys(_CELLS)
    cells = absent if point is None else confusion(sample, point, inside)
    histograms = _histograms(sample, inside)
    return table.drop("exploratory").with_columns(
        pl.lit(sample.finding).alias("finding"),
        pl.lit(candidate).alias("candidate"),
        pl.lit(point, dtype=pl.String).alias("operating_point"),
        pl.Series("n_images", images(sample, everyone, inside)),
        pl.Series("n_patients", patients(sample, everyone, inside)),
        pl.Series("n_positive", images(sample, sample.label, inside)),
        pl.Series("n_negative", images(sample, ~sample.label, inside)),
        pl.Series("patients_positive", patients(sample, sample.label, inside)),
        pl.Series("patients_negative", patients(sample, ~sample.label, inside)),
        *[
            pl.lit(None, dtype=pl.Int64).alias(name) if cell is None else pl.Series(name, cell)
            for name, cell in cells.items()
        ],
        pl.Series("histogram_positive", histograms[1].tolist(), dtype=pl.List(pl.Int64)),
        pl.Series("histogram_negative", histograms[0].tolist(), dtype=pl.List(pl.Int64)),
        table["exploratory"],
    )


def _histograms(sample: Sample, inside: Flags) -> tuple[Integers, Integers]:
    """Return the histograms of negatives and of positives, each ``(subgroups, BINS)``."""
    part = np.minimum((sample.score.astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    made = []
    for flag in (~sample.label, sample.label):
        code = sample.cell[flag] * BINS + part[flag]
        by_cell = np.bincount(code, minlength=inside.shape[1] * BINS).reshape(-1, BINS)
        made.append(np.asarray(inside.astype(np.int64) @ by_cell, dtype=np.int64))
    return made[0], made[1]
