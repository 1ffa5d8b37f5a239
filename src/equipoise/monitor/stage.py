"""The stage: cases and the labels that came, from disk; a verdict, tables and a page to disk."""

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from equipoise import bundles, tables
from equipoise.errors import InvalidConfiguration
from equipoise.monitor import told
from equipoise.monitor.adjudicating import adjudication
from equipoise.monitor.cases import Cases, gathered, periods
from equipoise.monitor.drifting import drift
from equipoise.monitor.hindering import hindrances
from equipoise.monitor.judging import judged
from equipoise.monitor.labelling import Labelled, joined, read, settled
from equipoise.monitor.options import Options
from equipoise.monitor.page import page
from equipoise.monitor.questions import asked
from equipoise.monitor.reaching import delays, guessed, reached
from equipoise.monitor.saying import Seen, content
from equipoise.monitor.watching import Watch, watch
from equipoise.scope import Scope

_LATE = "labels_late.csv"


def sources(options: Options, scope: Scope) -> dict[str, Path]:
    """Return the bundle, the log or tables, and the labels.

    Examples
    --------
    >>> named = sources(Options(bundle="b.zip", log="logs", labels=["late.csv"]), Scope())
    >>> {name: path.as_posix() for name, path in named.items()}
    {'bundle': 'b.zip', 'log': 'logs', 'labels 1': 'late.csv'}
    """
    found = {} if options.bundle is None else {"bundle": scope.resolve(options.bundle)}
    if options.log:
        found["log"] = scope.resolve(options.log)
    for name, paths in (("table", options.tables), ("labels", options.labels)):
        found |= {f"{name} {k}": scope.resolve(path) for k, path in enumerate(paths, start=1)}
    return found


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Watch a model in use and write what was seen.

    Parameters
    ----------
    options
        The bundle, what it was asked, and the labels that came.
    inputs
        Folders of *cohort* and *embeddings*, if these are watched; of *bundle* and *late_labels*,
        if stages gave them.
    out
        Gets ``verdict.json``, ``monitoring.parquet``, ``drift.parquet``, ``monitoring.json``,
        ``adjudicate.csv`` and ``monitor.html``.
    scope
        From where relative paths start; told how far it is.

    Raises
    ------
    InvalidInput
        If the log, the tables or the embeddings are of another bundle, or empty.
    InvalidTable
        If cases or labels contradict each other, the bundle or the clock.
    AlteredEvidence
        If the bundle is not as it was released.
    """
    scope.progress("cases", 0, 4)
    bundle = bundles.opened(_bundle(options, inputs, scope), scope)
    cases = gathered(options, inputs, bundle, scope)
    given = read(_labels(options, inputs, scope), bundle.findings)
    labelled = joined(cases, given, options.as_of)
    scope.progress("questions", 1, 4)
    seen = _seen(options, bundle, cases, labelled)
    scope.progress("page", 3, 4)
    _write(out, seen, options)
    scope.progress("page", 4, 4)
    return {
        "verdict": seen.judgement.verdict.value,
        "reason": seen.judgement.reason,
        "exit_code": seen.judgement.verdict.exit_code,
        "bundle": bundle.digest,
        "cases": labelled.frame.height,
        "labelled": int(labelled.frame["labelled_at"].is_not_null().sum()),
        "alarms": sum(one.alarm is not None for one in seen.watch.watched),
        "notes": dict(seen.notes),
    }


def _bundle(options: Options, inputs: Mapping[str, Path], scope: Scope) -> Path:
    if options.bundle is not None:
        return scope.resolve(options.bundle)
    if "bundle" not in inputs:
        raise InvalidConfiguration(
            "monitor: no bundle is named",
            hint="name its folder or zip: equipoise monitor BUNDLE …; in a study, bundle: "
            "model.zip, or a stage release before it",
        )
    folder = inputs["bundle"] / "bundle"
    return folder if folder.is_dir() else inputs["bundle"]


def _labels(options: Options, inputs: Mapping[str, Path], scope: Scope) -> list[Path]:
    """Return the files of labels; a bench of phantoms may have left one."""
    found = [scope.resolve(path) for path in options.labels]
    late = inputs["late_labels"] / _LATE if "late_labels" in inputs else None
    return [*found, late] if late is not None and late.is_file() else found


def _seen(options: Options, bundle: bundles.Bundle, cases: Cases, labelled: Labelled) -> Seen:
    span = _periods(labelled, options.period)
    recent = [name for name in span.names if name <= span.last_case][-options.window :]
    questions = asked(bundle)
    watched = watch(
        labelled.frame,
        questions.questions,
        bundle,
        options,
        recent,
        settled=settled(labelled, options.settled_days),
        ripe=_ripe(labelled, span.names, options),
    )
    rng = np.random.default_rng((options.seed, 2))
    with_cases = [name for name in span.names if name <= span.last_case]
    drifted = drift(labelled.frame, bundle, with_cases, options)
    reach = reached(labelled, bundle, options)
    judgement = judged(
        watched,
        bundle.policy,
        vain=questions.vain,
        hindrances=hindrances(bundle, labelled, watched, drifted, reach, recent, options),
        minimum=options.minimum,
    )
    return Seen(
        bundle=bundle,
        labelled=labelled,
        source=cases.source,
        periods=span.names,
        recent=recent,
        watch=watched,
        table=told.table(watched, span.names, span.ends, list(bundle.audit.attributes)),
        drift=drifted,
        delays=delays(labelled, bundle, rng),
        reached=reach,
        guessed=guessed(labelled, bundle, recent),
        adjudicate=adjudication(labelled, bundle, recent, budget=options.budget, rng=rng),
        judgement=judgement,
        notes=_notes(cases, labelled, watched),
    )


@dataclass(frozen=True, slots=True)
class _Span:
    names: list[str]
    ends: list[np.datetime64]
    last_case: str


def _periods(labelled: Labelled, every: str) -> _Span:
    """Return all periods from the first case to the day of the look, and the last day of each."""
    first = labelled.frame["at"][0]
    last = pl.DataFrame({"at": [first, labelled.as_of]}, schema={"at": labelled.frame["at"].dtype})
    names = periods(last, every=every)
    return _Span(names, [_end(name) for name in names], str(labelled.frame["period"][-1]))


def _ripe(labelled: Labelled, names: Sequence[str], options: Options) -> pl.DataFrame:
    """Return the cases of the latest periods that are old enough to have their label."""
    grown = labelled.as_of - dt.timedelta(
        days=options.follow_up_days if labelled.delays_known else 0
    )
    old = labelled.frame.filter(pl.col("at") <= grown)
    if not old.height:
        return old
    until = [name for name in names if name <= str(old["period"][-1])]
    return old.filter(pl.col("period").is_in(until[-options.window :]))


def _end(name: str) -> np.datetime64:
    if "W" in name:
        year, week = name.split("-W")
        return np.datetime64(dt.date.fromisocalendar(int(year), int(week), 7))
    year_of, month = map(int, name.split("-"))
    return np.datetime64(dt.date(year_of, month, calendar.monthrange(year_of, month)[1]))


def _notes(cases: Cases, labelled: Labelled, watched: Watch) -> dict[str, int]:
    notes = dict(cases.notes)
    more = {
        "labels that came after the day of the look": labelled.later,
        "labels of cases that were refused": labelled.of_refused,
        "labelled cases of a patient who had counted already": max(
            (one.repeats for one in watched.watched), default=0
        ),
    }
    return notes | {name: n for name, n in more.items() if n}


def _write(out: Path, seen: Seen, options: Options) -> None:
    tables.write(seen.table, out / "monitoring.parquet", tables.MONITORING)
    tables.write(seen.drift, out / "drift.parquet", tables.DRIFT)
    tables.write_text(out / "adjudicate.csv", seen.adjudicate.write_csv(line_terminator="\n"))
    tables.write_json(out / "verdict.json", seen.judgement.as_json())
    said = content(seen, options)
    tables.write_json(out / "monitoring.json", said)
    tables.write_text(out / "monitor.html", page(seen, said, options))
