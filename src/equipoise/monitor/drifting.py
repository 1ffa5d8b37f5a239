"""Whether what comes in has changed: scores, embeddings and the acquisition mix, per period.

One case of each patient in a period. All tests of all periods share one level (see
`equipoise.surveillance.spent`). A change is a warning: it says that something is different, not
that the model is worse, and the other way round.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles, metrics, surveillance, tables
from equipoise.metrics import UNKNOWN
from equipoise.monitor.cases import SCORED
from equipoise.monitor.options import Options

Reals = npt.NDArray[np.float64]
Test = Callable[[Reals, Reals], tuple[float, float]]

_FEWEST = 10
"""Below this many cases a period's group is not compared."""
_UNSAID = "not said"

FIRST = "first periods"


def drift(
    frame: pl.DataFrame, bundle: bundles.Bundle, periods: Sequence[str], options: Options
) -> pl.DataFrame:
    """Return the table *drift*.

    Scores of a group are compared with those of the same group in the bundle's reference, and
    everybody's distances, components and acquisition mix with the reference's; from the end of the
    first periods on all of it, groups too, also with what it was in these.

    Parameters
    ----------
    frame
        The cases.
    bundle
        Gives the reference.
    periods
        All periods in order.
    options
        Level and baseline.
    """
    scored = frame.filter(pl.col("outcome") == SCORED)
    once = scored.unique(["period", "patient_key"], keep="first", maintain_order=True)
    parts = once.partition_by("period", as_dict=True)
    baseline = once.filter(pl.col("period").is_in(list(periods[: options.baseline])))
    by_period: list[list[dict[str, object]]] = []
    for place, period in enumerate(periods):
        now = parts.get((period,), once.clear())
        tests = list(_against_reference(now, bundle))
        tests += list(_against_start(now, baseline, bundle, later=place >= options.baseline))
        by_period.append([{"period": period, **row} for row in tests])
    rows = [
        _decided(row, surveillance.spent(options.level, k + 1, len(tests)))
        for k, tests in enumerate(by_period)
        for row in tests
    ]
    kinds = {"text": pl.String, "integer": pl.Int64, "real": pl.Float64}
    schema = {name: kinds[column.kind] for name, column in tables.DRIFT.columns.items()}
    names = dict.fromkeys(bundle.audit.attributes, pl.String)
    return tables.check(pl.DataFrame(rows, schema={**schema, **names}), tables.DRIFT)


def groups(bundle: bundles.Bundle) -> Iterator[dict[str, str]]:
    """Yield everybody, then each declared level that is known."""
    yield {}
    for name, levels in bundle.audit.attributes.items():
        yield from ({name: level} for level in levels if level != UNKNOWN)


def inside(frame: pl.DataFrame, group: Mapping[str, str]) -> pl.DataFrame:
    """Return the rows of a group.

    Examples
    --------
    >>> inside(pl.DataFrame({"sex": ["F", "M"]}), {"sex": "F"}).height
    1
    """
    return frame.filter([pl.lit(value=True), *[pl.col(n) == v for n, v in group.items()]])


def histogram(
    bundle: bundles.Bundle, finding: str, group: Mapping[str, str]
) -> tuple[Reals, Reals] | None:
    """Return the reference's histograms of a group's scores by label: positive, negative."""
    table = None if bundle.reference is None else bundle.reference.counts
    if table is None:
        return None
    mine = table.filter(pl.col("finding") == finding)
    for name in bundle.audit.attributes:
        if name in mine.columns:
            level = pl.lit(group.get(name), dtype=pl.String)
            mine = mine.filter(pl.col(name).eq_missing(level))
    if not mine.height:
        return None
    row = mine.row(0, named=True)
    return tuple(
        np.asarray(row[f"histogram_{name}"], dtype=np.float64) for name in ("positive", "negative")
    )  # type: ignore[return-value]


def _against_reference(now: pl.DataFrame, bundle: bundles.Bundle) -> Iterator[dict[str, object]]:
    for group in groups(bundle):
        mine = inside(now, group)
        for finding in bundle.findings:
            both = histogram(bundle, finding, group)
            if both is not None and f"score:{finding}" in now.columns:
                before = both[0] + both[1]
                new = _binned(mine[f"score:{finding}"], len(before))
                yield _row(group, f"score:{finding}", before, new, surveillance.shifted)
    reference = bundle.reference
    if reference is None:
        return
    if "distance" in now.columns and reference.distances:
        edges = np.array(list(reference.distances.values()))
        share = np.diff(np.r_[0.0, list(reference.distances), 1.0])
        before = share * reference.n_held
        yield _row({}, "distance", before, _cut(now["distance"], edges), surveillance.shifted)
    for k, edges in enumerate(reference.components):
        if f"component:{k}" in now.columns:
            before = np.full(len(edges) + 1, reference.n_held / (len(edges) + 1))
            new = _cut(now[f"component:{k}"], edges)
            yield _row({}, f"component:{k}", before, new, surveillance.shifted)
    yield from _mix(now, reference.mix)


def _mix(now: pl.DataFrame, mix: Mapping[str, Mapping[str, int]]) -> Iterator[dict[str, object]]:
    for name, levels in mix.items():
        if name not in now.columns:
            continue
        counted = _counted(now[name])
        every = [*levels, *sorted(set(counted) - set(levels))]
        before = np.array([float(levels.get(level, 0)) for level in every])
        new = np.array([float(counted.get(level, 0)) for level in every])
        yield _row({}, name, before, new, surveillance.remixed)


def _against_start(
    now: pl.DataFrame, baseline: pl.DataFrame, bundle: bundles.Bundle, *, later: bool
) -> Iterator[dict[str, object]]:
    if not later:
        return
    names = [n for n in now.columns if n == "distance" or n.startswith(("component:", "score:"))]
    for group in groups(bundle):
        mine, first = inside(now, group), inside(baseline, group)
        for name in names:
            before, new = _reals(first[name]), _reals(mine[name])
            row = {"distance": 0.0, "p": 1.0}
            if min(len(before), len(new)) >= _FEWEST:
                row["distance"], row["p"] = surveillance.moved(before, new)
            yield _described(group, name, len(before), len(new), FIRST) | row
    told = [] if bundle.reference is None else [n for n in bundle.reference.mix if n in now.columns]
    mix = {name: dict(_counted(baseline[name])) for name in told}
    yield from (row | {"against": FIRST} for row in _mix(now, mix))


def _counted(column: pl.Series) -> dict[str, int]:
    seen = column.cast(pl.String).fill_null(_UNSAID)
    return dict(seen.value_counts(sort=True).iter_rows())


def fresh(table: pl.DataFrame) -> pl.DataFrame:
    """Return the changes that are new: not those from the reference that were there at first.

    Parameters
    ----------
    table
        The table *drift*.
    """
    key = ["group", "what", "against"]
    first = table.filter(pl.col("against") == FIRST)["period"].min()
    changed = table.filter(pl.col("status") == "changed")
    early = changed.filter(pl.lit(first is None) | (pl.col("period") < pl.lit(first)))
    return changed.join(early.select(key).unique(), on=key, how="anti", maintain_order="left")


def _row(
    group: Mapping[str, str],
    what: str,
    before: Reals,
    now: Reals,
    test: Test,
) -> dict[str, object]:
    n, m = round(float(before.sum())), int(now.sum())
    distance, p = test(before, now) if min(n, m) >= _FEWEST else (0.0, 1.0)
    return _described(group, what, n, m, "reference") | {"distance": distance, "p": p}


def _described(
    group: Mapping[str, str], what: str, n_before: int, n: int, against: str
) -> dict[str, object]:
    return {
        "group": metrics.named(dict(group)),
        "what": what,
        "against": against,
        "n": n,
        "n_before": n_before,
        **group,
    }


def _decided(row: Mapping[str, object], level: float) -> dict[str, object]:
    n, before, p = row["n"], row["n_before"], row["p"]
    few = min(int(str(n)), int(str(before))) < _FEWEST
    changed = isinstance(p, float) and p <= level
    return {
        **row,
        "level": level,
        "status": "too few" if few else "changed" if changed else "unchanged",
    }


def _binned(scores: pl.Series, bins: int) -> Reals:
    values = _reals(scores)
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    return np.bincount(place, minlength=bins).astype(np.float64)


def _cut(values: pl.Series, edges: Reals) -> Reals:
    place = np.searchsorted(edges, _reals(values), side="left")
    return np.bincount(place, minlength=len(edges) + 1).astype(np.float64)


def _reals(values: pl.Series) -> Reals:
    return values.drop_nulls().cast(pl.Float64).to_numpy()
