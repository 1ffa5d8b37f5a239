"""Labels that came, held against the cases they are of; each that cannot be used is named."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from equipoise import tables
from equipoise.errors import InvalidTable
from equipoise.monitor.cases import SCORED, Cases, times

_LABEL = "label:"
_CAME = "labelled_at:"
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Cases with what is known of them on the day of the look.

    Parameters
    ----------
    frame
        The cases, with `labelled_at`, ``label:<finding>`` and ``labelled_at:<finding>``, since
        labels of a case may come one after another; null where none is known yet.
    as_of
        The end of the day of the look.
    delays_known
        Whether it is known when labels came.
    later
        Labels that came after the day of the look: not used.
    of_refused
        Labels of cases that were not scored: counted, not used.
    """

    frame: pl.DataFrame
    as_of: dt.datetime
    delays_known: bool
    later: int
    of_refused: int


def read(paths: Sequence[Path], findings: Sequence[str]) -> pl.DataFrame | None:
    """Return the labels in files, or None without a file.

    A case may be in two files if both say the same; the first stands. What a later file adds, as
    another finding's label, came with that file: nothing is dated back.

    Raises
    ------
    InvalidTable
        If a file breaks the contract *labels*, or two files say different things of a case.
    """
    if not paths:
        return None
    whole = pl.concat([_file(path, findings) for path in paths], how="diagonal")
    columns = [name for name in whole.columns if name.startswith(_LABEL)]
    unlike = whole.group_by("case_id").agg(pl.col(columns).drop_nulls().n_unique())
    unlike = unlike.filter(pl.any_horizontal(pl.col(columns) > 1)).sort("case_id")
    if unlike.height:
        raise InvalidTable(
            f"labels: {unlike.height} cases have two labels that differ, as case_id="
            f"{unlike['case_id'][0]!r}; expected one",
            hint="keep the label that holds, in one file",
        )
    first = whole.sort("labelled_at", maintain_order=True).group_by("case_id", maintain_order=True)
    here = {came_at(name): pl.col(name).is_not_null() for name in columns}
    return first.agg(
        pl.col("labelled_at").first(),
        pl.col(columns).drop_nulls().first(),
        **{name: pl.col("labelled_at").filter(there).first() for name, there in here.items()},
    )


def came_at(label: str) -> str:
    """Return the column of the times at which a column of labels became known.

    Examples
    --------
    >>> came_at("label:nodule")
    'labelled_at:nodule'
    """
    return _CAME + label.removeprefix(_LABEL)


def joined(cases: Cases, given: pl.DataFrame | None, as_of: dt.date | None) -> Labelled:
    """Return the cases with their labels, as far as these had come on the day of the look.

    Parameters
    ----------
    cases
        The cases.
    given
        The labels that came since; the cases' own by default.
    as_of
        The day of the look; that of the last case or label by default.

    Raises
    ------
    InvalidTable
        If a label is of a case that is not known or came before it, or a case is later than the
        day of the look.
    """
    labels = given if given is not None else cases.labels
    if labels is None:
        labels = pl.DataFrame(schema={"case_id": pl.String, "labelled_at": cases.frame["at"].dtype})
    _check_known(labels, cases)
    end = _end(cases.frame, labels, as_of)
    _check_future(cases.frame, end, as_of)
    known = _known(labels.filter(pl.col("labelled_at") <= end), end)
    frame = cases.frame.join(known, on="case_id", how="left", maintain_order="left")
    unscored = (frame["labelled_at"].is_not_null() & (frame["outcome"] != SCORED)).sum()
    return Labelled(
        frame=frame,
        as_of=end,
        delays_known=given is not None,
        later=labels.height - known.height,
        of_refused=int(unscored),
    )


def settled(labelled: Labelled, days: int) -> pl.DataFrame:
    """Return the cases with labels as if each had come when its case was some days old, or later.

    Where a label comes sooner for one answer than for another, cases in the order of their labels
    are no fair sample at any time: those that are looked up at once run ahead of the rest. In the
    order of their ages all have had the same time.

    Parameters
    ----------
    labelled
        The cases. If it is not known when labels came, they are returned as they are.
    days
        Age of a case at which it counts; with 0 the order is that of the labels.
    """
    frame = labelled.frame
    if not labelled.delays_known or not days:
        return frame
    grown = pl.col("at") + pl.duration(days=days)
    names = [name for name in frame.columns if name.startswith("labelled_at")]
    dated = frame.with_columns(
        pl.when(pl.col(name).is_not_null()).then(pl.max_horizontal(name, grown)).alias(name)
        for name in names
    )
    return _until(dated, labelled.as_of)


def _until(frame: pl.DataFrame, end: dt.datetime) -> pl.DataFrame:
    """Return cases or labels without what came after the end, each label by its own time."""
    columns = [n for n in frame.columns if n.startswith(_LABEL) and came_at(n) in frame.columns]
    return frame.with_columns(
        pl.when(pl.col(came_at(name)) <= end).then(pl.col(column)).alias(column)
        for name in columns
        for column in (name, came_at(name))
    )


def _known(labels: pl.DataFrame, end: dt.datetime) -> pl.DataFrame:
    """Return the labels that had come by the end, each with its own time."""
    columns = [name for name in labels.columns if name.startswith(_LABEL)]
    dated = labels.with_columns(
        pl.col("labelled_at").alias(came_at(name))
        for name in columns
        if came_at(name) not in labels.columns
    )
    return _until(dated, end)


def _file(path: Path, findings: Sequence[str]) -> pl.DataFrame:
    where = f"labels ({path.name})"
    frame = tables.read_texts(path, where)
    for name in ("case_id", "labelled_at"):
        if name not in frame.columns:
            raise InvalidTable(f"{where}: no column '{name}'; got {frame.columns}")
    columns = [name for name in frame.columns if name.startswith(_LABEL)]
    wanted = [f"{_LABEL}{name}" for name in findings]
    if not set(columns) & set(wanted):
        raise InvalidTable(
            f"{where}: no label of what the bundle answers; got {frame.columns}, expected "
            f"{', '.join(wanted)}"
        )
    made = frame.with_columns(
        pl.col("case_id").cast(pl.String),
        times(frame["labelled_at"], where),
        *[_truth(frame[name], where) for name in columns],
    )
    tables.check(made, tables.LABELS, where=where)
    return made.select("case_id", "labelled_at", *[name for name in columns if name in wanted])


def _truth(column: pl.Series, where: str) -> pl.Series:
    if column.dtype == pl.Boolean or column.dtype == pl.Null:
        return column.cast(pl.Boolean)
    said = column.cast(pl.String).str.to_lowercase().str.strip_chars()
    known = said.is_in([*_YES, *_NO]) | said.is_null()
    if not known.all():
        stray = column.filter(~known)
        raise InvalidTable(
            f"{where}: column '{column.name}' holds {str(stray[0])!r}; expected 1, 0 or empty"
        )
    return said.is_in(list(_YES)).set(said.is_null(), None).alias(column.name)


def _check_known(labels: pl.DataFrame, cases: Cases) -> None:
    stray = labels.join(cases.frame, on="case_id", how="anti").sort("case_id")
    if stray.height:
        raise InvalidTable(
            f"labels: {stray.height} labels are of cases that are not in the {cases.source}, as "
            f"case_id={stray['case_id'][0]!r}",
            hint="case_id is what the service answered, not the hospital's own id; or the logs of "
            "their time are lacking",
        )
    timed = labels.join(cases.frame.select("case_id", "at"), on="case_id", how="inner")
    early = timed.filter(pl.col("labelled_at") < pl.col("at")).sort("case_id")
    if early.height:
        row = early.row(0, named=True)
        raise InvalidTable(
            f"labels: {early.height} labels came before their case, as case_id={row['case_id']!r}: "
            f"label {row['labelled_at']:%Y-%m-%d %H:%M}, case {row['at']:%Y-%m-%d %H:%M}",
            hint="a date without a time is midnight UTC: give the time, or the day after; or "
            "else a clock is wrong, or the label was known before the model was asked",
        )


def _end(frame: pl.DataFrame, labels: pl.DataFrame, as_of: dt.date | None) -> dt.datetime:
    if as_of is None:
        came = [labels[name].max() for name in labels.columns if name.startswith("labelled_at")]
        latest = [frame["at"].max(), *came]
        as_of = max(value.date() for value in latest if isinstance(value, dt.datetime))
    return dt.datetime.combine(as_of, dt.time.max, tzinfo=dt.UTC)


def _check_future(frame: pl.DataFrame, end: dt.datetime, as_of: dt.date | None) -> None:
    later = frame.filter(pl.col("at") > end)
    if later.height:
        raise InvalidTable(
            f"{later.height} cases are later than the day of the look, {as_of}: the first is of "
            f"{later['at'][0]:%Y-%m-%d %H:%M}",
            hint="the service's clock was ahead, or as_of is an earlier day than meant",
        )
