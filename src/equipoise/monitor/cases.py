"""What the model was asked: cases from a log, from tables by period, or from a cohort."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from equipoise import bundles, tables
from equipoise.errors import InvalidConfiguration, InvalidInput, InvalidTable, nearest
from equipoise.monitor.options import Options
from equipoise.scope import Scope

TIME = pl.Datetime("us", "UTC")
SCORED, REFUSED = "scored", "refused"


@dataclass(frozen=True, slots=True)
class Cases:
    """What is watched.

    Parameters
    ----------
    frame
        A row per case, as in the table *requests*, sorted by time and case; with `period`.
    labels
        The table *labels* that came with the cases, or None.
    source
        *log*, *tables* or *cohort*.
    notes
        What was left out or odd → how many.
    """

    frame: pl.DataFrame
    labels: pl.DataFrame | None
    source: str
    notes: Mapping[str, int]


def gathered(
    options: Options, inputs: Mapping[str, Path], bundle: bundles.Bundle, scope: Scope
) -> Cases:
    """Return the cases that the options name, each seen to be of this bundle and in order.

    Raises
    ------
    InvalidConfiguration
        If nothing, or more than one source, is named.
    InvalidInput
        If the log or the embeddings are of another bundle, or hold no case.
    InvalidTable
        If a table breaks its contract, an attribute has an undeclared level, the clock was set
        back, or tables are out of order.
    """
    named = [
        name
        for name, given in (
            ("log", options.log),
            ("tables", options.tables),
            ("cohort", "cohort" in inputs),
        )
        if given
    ]
    if len(named) != 1:
        raise InvalidConfiguration(
            f"monitor: {' and '.join(named) or 'nothing'} to be watched; expected one of a log, "
            "tables by period, or a cohort with embeddings",
            hint="as in log: logs/, or run it after ingest and embed",
        )
    if options.log:
        cases = _of_log(scope.resolve(options.log), bundle, accept=options.accept_clock)
    elif options.tables:
        cases = _of_tables([scope.resolve(path) for path in options.tables], bundle)
    else:
        cases = _of_cohort(inputs, bundle)
    if not cases.frame.height:
        raise InvalidInput(f"monitor: the {named[0]} holds no case; there is nothing to watch")
    for name, levels in bundle.audit.attributes.items():
        _check_levels(cases.frame, name, levels, cases.source)
    return replace(cases, frame=_in_order(cases.frame, options.period))


def periods(frame: pl.DataFrame, *, every: str) -> list[str]:
    """Return all periods from the first case to the last, empty ones too, in order.

    Examples
    --------
    >>> when = [dt.datetime(2026, 1, 5, tzinfo=dt.UTC), dt.datetime(2026, 3, 1, tzinfo=dt.UTC)]
    >>> periods(pl.DataFrame({"at": when}), every="month")
    ['2026-01', '2026-02', '2026-03']
    """
    first, last = frame["at"].min(), frame["at"].max()
    if not isinstance(first, dt.datetime) or not isinstance(last, dt.datetime):
        return []
    days = pl.date_range(first.date(), last.date(), "1d", eager=True)
    return days.dt.strftime(_form(every)).unique(maintain_order=True).to_list()


def period_of(column: str, *, every: str) -> pl.Expr:
    """Return the period of a time.

    Examples
    --------
    >>> when = pl.DataFrame({"at": [dt.datetime(2026, 1, 5, tzinfo=dt.UTC)]})
    >>> when.select(period_of("at", every="week")).item()
    '2026-W02'
    """
    return pl.col(column).dt.strftime(_form(every))


def _form(every: str) -> str:
    return {"month": "%Y-%m", "week": "%G-W%V"}[every]


def _in_order(frame: pl.DataFrame, every: str) -> pl.DataFrame:
    timed = frame.with_columns(pl.col("at").cast(TIME))
    return timed.with_columns(period=period_of("at", every=every)).sort("at", "case_id")


def _of_log(folder: Path, bundle: bundles.Bundle, *, accept: bool) -> Cases:
    found = tables.read_requests(folder, bundle=bundle.digest)
    if found.disordered and not accept:
        raise InvalidTable(
            f"requests ({folder.name}): {found.disordered} rows are stamped earlier than one that "
            "was written before: the clock was set back",
            hint="find out when; with accept_clock: true the rows are sorted by their stamps",
        )
    notes = {
        "torn lines in the log": found.torn,
        "requests for a case that was answered before": found.repeated,
        "requests stamped before an earlier one": found.disordered,
    }
    return Cases(found.frame, None, "log", {name: n for name, n in notes.items() if n})


def _of_tables(paths: Sequence[Path], bundle: bundles.Bundle) -> Cases:
    frames: list[pl.DataFrame] = []
    latest: dt.datetime | None = None
    for path in paths:
        frame = _table(path, bundle)
        first, last = frame["at"].min(), frame["at"].max()
        if isinstance(first, dt.datetime) and isinstance(last, dt.datetime):
            if latest is not None and first <= latest:
                raise InvalidTable(
                    f"{path.name}: begins on {first:%Y-%m-%d}, but the table before it ends on "
                    f"{latest:%Y-%m-%d}; expected one table per period, in the order of time",
                    hint="name each period once, the earliest first",
                )
            latest = last
        frames.append(frame)
    whole = pl.concat(frames, how="diagonal_relaxed")
    where = f"tables ({', '.join(path.name for path in paths[:3])}{' …' * (len(paths) > 3)})"
    return Cases(tables.check(whole, tables.REQUESTS, where=where), None, "tables", {})


def _table(path: Path, bundle: bundles.Bundle) -> pl.DataFrame:
    frame = tables.read_foreign(path, path.name)
    for name in ("case_id", "patient_key", "at"):
        if name not in frame.columns:
            raise InvalidTable(
                f"{path.name}: no column '{name}'; got {frame.columns}",
                hint=nearest(name, frame.columns),
            )
    given = frame.with_columns(pl.col("case_id", "patient_key").cast(pl.String))
    given = given.with_columns(at=times(given["at"], path.name))
    if "outcome" not in given.columns:
        given = given.with_columns(outcome=pl.lit(SCORED))
    if "bundle" not in given.columns:
        given = given.with_columns(bundle=pl.lit(bundle.digest))
    stray = given.filter(pl.col("bundle") != bundle.digest)
    if stray.height:
        raise InvalidInput(
            f"{path.name}: {stray.height} cases are of bundle {str(stray['bundle'][0])[:16]}; "
            f"expected {bundle.digest[:16]}",
            hint="watch each bundle by itself: another model has another record",
        )
    scores = [name for name in given.columns if name.startswith("score:")]
    return given.with_columns(pl.col(scores).cast(pl.Float64))


def times(column: pl.Series, where: str) -> pl.Series:
    """Return a column of times in UTC; a date is its midnight.

    Raises
    ------
    InvalidTable
        If a value is no time, or says no offset from UTC.

    Examples
    --------
    >>> times(pl.Series("at", ["2026-01-02", "2026-01-02T03:04:05+01:00"]), "x").dt.hour().to_list()
    [0, 2]
    """
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is None:
            raise InvalidTable(f"{where}: column '{column.name}' has no time zone; expected UTC")
        return column.dt.convert_time_zone("UTC").cast(TIME)
    made = [_time(value) for value in column.cast(pl.String).to_list()]
    for place, (value, found) in enumerate(zip(column.to_list(), made, strict=True)):
        if found is None:
            raise InvalidTable(
                f"{where}: column '{column.name}' holds {value!r} in row {place}; expected a date "
                "or an ISO 8601 time with its offset from UTC"
            )
    return pl.Series(column.name, made, dtype=TIME)


def _time(said: str | None) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(str(said).strip())
    except ValueError:
        return None
    if found.tzinfo is None:
        midnight = len(str(said).strip()) == len("2026-01-02")
        return found.replace(tzinfo=dt.UTC) if midnight else None
    return found.astimezone(dt.UTC)


def _of_cohort(inputs: Mapping[str, Path], bundle: bundles.Bundle) -> Cases:
    """Score a cohort's embeddings with the bundle; the day of acquisition is the time."""
    if "embeddings" not in inputs:
        raise InvalidConfiguration(
            "monitor: a cohort without embeddings", hint="run embed before, with the same encoder"
        )
    cohort = tables.read(inputs["cohort"] / "cohort.parquet", tables.COHORT)
    if "acquired_on" not in cohort.columns:
        raise InvalidTable("cohort: no column 'acquired_on'; a monitor needs the time of each case")
    undated = cohort["acquired_on"].null_count()
    dated = cohort.filter(pl.col("acquired_on").is_not_null())
    place = inputs["embeddings"] / "embeddings.parquet"
    vectors = tables.read(place, tables.EMBEDDINGS)
    made_by = tables.metadata(place).get("digest")
    if made_by != bundle.encoder.digest:
        raise InvalidInput(
            f"embeddings: made by an encoder with the digest {str(made_by)[:12]}; the bundle's has "
            f"{bundle.encoder.digest[:12]}",
            hint="embed with the encoder of the bundle",
        )
    joined = dated.join(vectors, on="image_id", how="inner", maintain_order="left")
    notes = {
        "images without a date": undated,
        "images without an embedding": dated.height - joined.height,
    }
    frame = _scored(joined, bundle)
    labels = _labels_of(joined, bundle)
    return Cases(frame, labels, "cohort", {name: n for name, n in notes.items() if n})


def _scored(joined: pl.DataFrame, bundle: bundles.Bundle) -> pl.DataFrame:
    vectors = joined["vector"].to_numpy()
    scores = bundles.scores(bundle, vectors)
    made = {f"score:{name}": values.astype(np.float64) for name, values in scores.items()}
    if bundle.reference is not None:
        made["distance"] = bundles.distances(bundle, vectors)
        parts = bundles.components(bundle, vectors)
        made |= {f"component:{k}": parts[:, k] for k in range(parts.shape[1])}
    known = [name for name in joined.columns if name in tables.REQUESTS.columns]
    attributes = [name for name in bundle.audit.attributes if name in joined.columns]
    return joined.select(
        pl.col("image_id").alias("case_id"),
        pl.col("patient_id").alias("patient_key"),
        pl.col("acquired_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("at"),
        pl.lit(bundle.digest).alias("bundle"),
        pl.lit(SCORED).alias("outcome"),
        *known,
        *attributes,
    ).with_columns(**{name: pl.Series(values) for name, values in made.items()})


def _labels_of(joined: pl.DataFrame, bundle: bundles.Bundle) -> pl.DataFrame | None:
    """Return the cohort's own labels; when each came is not known, so it came with its case."""
    columns = [f"label:{name}" for name in bundle.findings if f"label:{name}" in joined.columns]
    if not columns:
        return None
    when = pl.col("acquired_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    made = joined.select(pl.col("image_id").alias("case_id"), when.alias("labelled_at"), *columns)
    return made.filter(pl.any_horizontal(pl.col(columns).is_not_null()))


def _check_levels(frame: pl.DataFrame, name: str, levels: Sequence[str], source: str) -> None:
    if name not in frame.columns:
        raise InvalidTable(
            f"{source}: no column '{name}'; the bundle is audited by {name} ({', '.join(levels)})",
            hint="a log has it where requests give it; a cohort has it by ingest",
        )
    stray = frame.filter(~pl.col(name).is_in(list(levels)) | pl.col(name).is_null())
    if stray.height:
        raise InvalidTable(
            f"{source}: {stray.height} cases with {name}={stray[name][0]!r}; the bundle declares "
            f"{', '.join(levels)}",
            hint=nearest(str(stray[name][0]), levels),
        )
