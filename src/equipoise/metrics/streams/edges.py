"""Edges between bins, from a sample of the scores: equally many rows to a bin, thresholds forced.

Bins of equal width fail where scores are narrow or saturated; those of equal content do not.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.streams.encoding import Place, precision, scores_of
from equipoise.metrics.streams.sources import BATCH, Shard, pair, read, schema_of, singles

Reals = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]

BINS = 1024
SAMPLE = 100_000
_FEW, _MANY = 4, 64
"""The sample is of a quarter of the row groups, but of so many at least and at most."""

_DENSITY = 2
"""Of a row group the head is read, so many times as long as the sample of it, if it is one of
several: to read all of it again would cost as much as to count it."""


def edges(
    shards: Sequence[Shard],
    findings: Sequence[str],
    points: pl.DataFrame | None = None,
    *,
    rng: np.random.Generator,
    bins: int = BINS,
    sample: int = SAMPLE,
) -> dict[str, Reals]:
    """Return the edges of the bins of each finding.

    Parameters
    ----------
    shards
        From `shards`.
    findings
        Which.
    points
        Rows of `finding`, `operating_point` and `threshold`: each threshold becomes an edge, in
        the precision of the scores, so that what is called positive fills whole bins.
    rng
        Which rows are in the sample.
    bins
        How many, at most.
    sample
        About how many rows are looked at, spread over the whole; all of a shorter table.

    Returns
    -------
    Finding → edges, ascending and distinct, the first 0, in the precision of its scores. If the
    sample has no more distinct scores than there are bins, each has its own.

    Raises
    ------
    InvalidConfiguration
        If there are more thresholds than bins, or they differ by fold.
    InvalidTable
        If a column is absent, or a score is NaN or outside [0, 1].

    References
    ----------
    arXiv 2510.04979 (2025), ROC and PR curves from histograms over quantiles, with bounds.

    Examples
    --------
    >>> edges([], [], rng=np.random.default_rng(0))
    {}
    """
    if not shards or not findings:
        return {}
    schema = schema_of(shards[0])
    forced = _thresholds(points)
    columns = {finding: pair(schema, finding)[1] for finding in findings}
    seen = _sampled(shards, list(columns.values()), sample, rng)
    return {
        finding: edges_of(
            seen[name].astype(precision(schema.field(name).type, name), copy=False),
            forced.get(finding, ()),
            bins=bins,
        )
        for finding, name in columns.items()
    }


def edges_of(score: Reals, thresholds: Iterable[float] = (), *, bins: int = BINS) -> Reals:
    """Return edges with about equally many of these scores between them.

    Parameters
    ----------
    score
        Shape ``(n,)``, of any order, in [0, 1].
    thresholds
        Become edges, in the precision of the scores.
    bins
        How many, at most.

    Raises
    ------
    InvalidConfiguration
        If there are more thresholds than bins.

    Examples
    --------
    >>> edges_of(np.array([0.1, 0.2, 0.2, 0.4]), [0.3], bins=8).tolist()
    [0.0, 0.1, 0.2, 0.3, 0.4]
    >>> edges_of(np.arange(100) / 100, bins=4).tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    forced = np.unique(np.array([0.0, *thresholds]).astype(score.dtype))
    if len(forced) > bins:
        raise InvalidConfiguration(
            f"edges: {len(forced) - 1} thresholds for {bins} bins; expected fewer"
        )
    values, counts = np.unique(score, return_counts=True)
    every = np.union1d(forced, values)
    if len(every) <= bins:
        return every
    return np.union1d(forced, _quantiles(values, counts, bins - len(forced)))


def _quantiles(values: Reals, counts: Integers, room: int) -> Reals:
    """Return at most `room` of the values; one that many rows have stands alone in its bin."""
    heavy = counts > 2 * counts.sum() / max(room, 1)
    alone = np.flatnonzero(heavy)
    after = np.minimum(alone + 1, len(values) - 1)
    chosen = np.union1d(alone, after)
    left = max(room - len(chosen), 0)
    upto = np.cumsum(np.where(heavy, 0, counts))
    wanted = np.arange(1, left + 1) * (upto[-1] / (left + 1))
    between = np.searchsorted(upto, wanted, "right")
    chosen = np.union1d(chosen, np.minimum(between, len(values) - 1))
    return np.asarray(values[chosen[:room]])


def _thresholds(points: pl.DataFrame | None) -> Mapping[str, list[float]]:
    if points is None:
        return {}
    if "fold" in points.columns and points["fold"].null_count() < points.height:
        raise InvalidConfiguration(
            "operating points: thresholds that differ by fold are not for a stream; "
            "expected one per finding and operating point"
        )
    return {
        str(finding): rows["threshold"].cast(pl.Float64).to_list()
        for (finding,), rows in points.group_by("finding", maintain_order=True)
    }


def _sampled(
    shards: Sequence[Shard], columns: Sequence[str], sample: int, rng: np.random.Generator
) -> dict[str, Reals]:
    """Return scores of rows that are spread over all shards, without nulls."""
    chosen = _chosen(shards, sample, rng)
    found: dict[str, list[Reals]] = {name: [] for name in columns}
    for shard, rows in chosen:
        if not len(rows):
            continue
        for first, batch in read(shard, columns, rows=min(BATCH, int(rows[-1]) + 1)):
            start = first - shard.first
            low, high = np.searchsorted(rows, [start, start + batch.num_rows])
            mine = rows[low:high] - start
            at, picked = Place(shard.path.name, first, mine), batch.take(pa.array(mine))
            for name in columns:
                column = picked.column(name)
                valid = column.is_valid().to_numpy(zero_copy_only=False)
                found[name].append(scores_of(column, name, at)[valid])
            if high == len(rows):
                break
    return {name: np.concatenate(some) if some else np.zeros(0) for name, some in found.items()}


def _chosen(
    shards: Sequence[Shard], sample: int, rng: np.random.Generator
) -> list[tuple[Shard, Integers]]:
    """Return row groups, each with the sorted rows of it that are in the sample."""
    total = sum(shard.rows for shard in shards)
    if total <= sample:
        return [(shard, np.arange(shard.rows)) for shard in shards]
    groups = [one for shard in shards for one in singles(shard) if one.rows]
    # One out of each stretch of row groups: files are often sorted by site or date.
    some = min(max(len(groups) // 4, _FEW), _MANY, len(groups))
    cuts = np.linspace(0, len(groups), some + 1).astype(np.int64)
    taken = [groups[int(rng.integers(a, b))] for a, b in itertools.pairwise(cuts)]
    share = sample / sum(one.rows for one in taken)
    made = []
    for one in taken:
        n = round(one.rows * share)
        stretch = one.rows if some < _FEW else min(one.rows, _DENSITY * n)
        made.append((one, np.unique(rng.integers(0, stretch, n))))
    return made
