"""One audit of tables larger than memory: Parquet read once, in batches."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from equipoise import metrics
from equipoise.audit.options import Options
from equipoise.audit.points import Points, checked
from equipoise.errors import InvalidConfiguration, InvalidTable, MissingExtra, nearest
from equipoise.metrics.arms import arms
from equipoise.metrics.groups import Cells

if TYPE_CHECKING:
    from equipoise.metrics.streams import Clusters, Layout, Shard

_log = logging.getLogger(__name__)

_UNSCORED = "predictions: finding '%s': %d images with a label have no score and are in no number"

Paths = str | Path | Sequence[str | Path]
Progress = Callable[[int, int], None]
"""Told how many rows of how many were read."""


def streamed(
    paths: Paths,
    *,
    by: Mapping[str, Sequence[str]],
    patient: str | None = "patient_id",
    operating_points: Points | None = None,
    options: Options | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> metrics.Estimated:
    """Return counts and estimates of Parquet files that are never in memory as a whole.

    Cells and rates are exact. AUROC is of scores in about a thousand bins, and beside each stands
    `error_bound`: how far at most it lies from that of the scores themselves. Variances are
    clustered by patient. Levels must be declared: a stream is read once.

    Parameters
    ----------
    paths
        A Parquet file, a folder, a pattern, or several: wide, ``label:<finding>`` and
        ``score:<finding>`` or `label` and `score`.
    by
        Attribute → its levels.
    patient
        The column that says whose image it is. Fastest where the rows of a patient lie together;
        else rows are first parted by patient in a temporary folder.
    operating_points
        Name → threshold for all findings, or a table; no rules, which need another split.
    options
        The rest: references, intersections, metrics (AUROC and rates), minimum numbers, seed.
    workers
        How many processes read, where files are sorted by patient.
    progress
        Told how far it is.

    Raises
    ------
    InvalidTable
        If the predictions are not what they must be, with file and row.
    InvalidConfiguration
        If levels are not declared, or a metric cannot be streamed.
    MissingExtra
        Without pyarrow.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "predictions.parquet"
    >>> n = 160
    >>> pl.DataFrame({"patient_id": [f"{i:03}" for i in range(n)], "sex": ["F", "M"] * (n // 2),
    ...     "label:x": [True, True, False, False] * (n // 4),
    ...     "score:x": [i * 7 % 11 / 11 for i in range(n)]}).write_parquet(path)
    >>> made = streamed(path, by={"sex": ["F", "M"]}, options=Options(metrics=["auroc"]))
    >>> made.estimates["sex", "metric", "n_images"].rows()[:2]
    [(None, 'auroc', 160), ('F', 'auroc', 80)]
    """
    try:
        from equipoise.metrics import streams
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "audit: streaming needs pyarrow", hint="pip install 'equipoise[stream]'"
        ) from error
    chosen = options or Options()
    if chosen.standardise:
        raise InvalidConfiguration("audit: a stream cannot be standardised to a case mix")
    levels = _declared(by)
    shards = streams.shards(paths)
    # The model was fitted or chosen on the other splits.
    divided = "split" in streams.schema_of(shards[0]).names
    other = divided and chosen.split not in {None, "test"}
    table = metrics.subgroups(
        levels, order=chosen.intersections, exploratory=other, sets=chosen.sets
    )
    findings = _findings(streams.findings_in(streams.schema_of(shards[0])), chosen.findings)
    points = _table(operating_points, findings)
    rng = np.random.default_rng(chosen.seed)
    edges = streams.edges(shards, findings, points, rng=rng)
    declared = {name: tuple(some) for name, some in levels.items()}
    grid = streams.Grid(declared, edges, _split(shards[0], chosen.split))
    cells = Cells(np.arange(grid.cells), grid.levels_of_cells())
    compared = arms(table, cells, chosen.references, against=chosen.against)
    layout = streams.layout(grid, _thresholds(points), compared.inside)
    made = _counted(shards, layout, patient, workers, progress)
    for finding, n in zip(findings, made.unscored.tolist(), strict=True):
        if n:
            _log.warning(_UNSCORED, finding, n)
    plan = metrics.Plan(
        references=chosen.references,
        metrics=_streamable(chosen.metrics),
        minimum=chosen.minimum,
        candidate=chosen.candidate or "predictions",
        seed=chosen.seed,
        against=chosen.against,
        describe=chosen.describe,
        shrink=chosen.shrink,
    )
    found = streams.Streamed(made, table, compared, plan, patient is not None)
    return streams.estimate(found)


def _declared(by: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    for name, levels in by.items():
        if not levels:
            raise InvalidConfiguration(
                f"audit: '{name}' has no declared levels, and a stream is read once",
                hint=f"as {name}=F,M,unknown",
            )
    return {name: list(levels) for name, levels in by.items()}


def _findings(there: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    for finding in wanted or []:
        if finding not in there:
            raise InvalidTable(
                f"predictions: no finding '{finding}'; known findings: {', '.join(there)}",
                hint=nearest(finding, there),
            )
    return list(there if wanted is None else wanted)


def _table(given: Points | None, findings: Sequence[str]) -> pl.DataFrame | None:
    if given is None or isinstance(given, pl.DataFrame):
        return None if given is None else checked(given)
    rules = [said for said in given.values() if isinstance(said, str)]
    if rules:
        raise InvalidConfiguration(
            f"audit: the rule '{rules[0]}' chooses a threshold on other rows than a stream has",
            hint="choose it with `equipoise audit` on the validation split, and give the threshold",
        )
    rows = [
        {"finding": finding, "operating_point": name, "threshold": float(threshold)}
        for finding in findings
        for name, threshold in given.items()
    ]
    return checked(pl.DataFrame(rows)) if rows else None


def _thresholds(points: pl.DataFrame | None) -> dict[tuple[str, str | None], float]:
    if points is None:
        return {}
    rows = points.select("finding", "operating_point", "threshold").iter_rows()
    return {(str(finding), str(point)): float(threshold) for finding, point, threshold in rows}


def _streamable(names: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics that can be streamed; of the defaults, the mean of a loss cannot."""
    if list(names) == list(metrics.METRICS):
        return tuple(name for name in names if metrics.metric(name).kind != "mean")
    return tuple(names)


def _split(shard: "Shard", asked: str | None) -> str | None:
    from equipoise.metrics import streams

    if "split" not in streams.schema_of(shard).names or asked == "all":
        return None
    return asked or "test"


def _counted(
    shards: Sequence["Shard"],
    layout: "Layout",
    patient: str | None,
    workers: int,
    progress: Progress | None,
) -> "Clusters":
    from equipoise.metrics import streams

    total = sum(shard.rows for shard in shards)
    done = 0

    def told(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(min(done, total), total)

    groups = [list(shards)] if workers <= 1 else streams.disjoint(shards, patient)
    if len(groups) <= 1:
        return streams.count(shards, layout, patient, progress=told)
    context = get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(groups)), mp_context=context) as pool:
        waiting = {
            pool.submit(streams.count, group, layout, patient): sum(s.rows for s in group)
            for group in groups
        }
        parts = []
        for one in as_completed(waiting):
            parts.append(one.result())
            told(waiting[one])
    return streams.together(parts, disjoint_patients=True)
