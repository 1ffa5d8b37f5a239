"""What the terminal shows: progress, tables, verdicts, errors; readable without colour."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)
from rich.table import Table

from equipoise.cli.pace import Lines, Pace
from equipoise.errors import EquipoiseError

if TYPE_CHECKING:
    from equipoise.study import Outcome, Watch

_GIGA = 1 << 30


def talk() -> Console:
    """Return the console for talk: stderr."""
    return Console(stderr=True, highlight=False)


def complain(error: EquipoiseError) -> None:
    """Print an error and, on its own line, what can be done."""
    console = talk()
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    console.print(f"[bold red]error:[/] {escape(str(error))}{escape(where)}", soft_wrap=True)
    if error.hint:
        console.print(f"hint: {escape(error.hint)}", soft_wrap=True)


@contextlib.contextmanager
def watching() -> "Iterator[Watch]":
    """Show a bar while stages run, and a line for each that ended.

    Where stderr is no terminal, as in the log of a job, a line a minute takes the place of the bar.
    """
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        console=talk(),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bars:
        tasks: dict[str, TaskID] = {}
        paces: dict[str, Pace] = {}
        lines = Lines(lambda line: bars.console.print(line, soft_wrap=True), time.monotonic)

        def started(node: str) -> None:
            tasks[node] = bars.add_task(node, total=None, pace="")
            paces[node] = Pace(time.monotonic)

        def progress(node: str, what: str, done: int, total: int) -> None:
            if bars.disable:
                lines(node, what, done, total)
                return
            bars.update(
                tasks[node],
                description=f"{node}: {what}",
                completed=done,
                total=total or None,
                pace=paces[node](what, done, total),
            )

        def ended(outcome: "Outcome") -> None:
            for task in bars.task_ids:
                bars.remove_task(task)
            bars.console.print(_line(outcome))
            for sentence in _left(outcome):
                bars.console.print(f"    {escape(sentence)}", soft_wrap=True)

        from equipoise.study import Watch

        yield Watch(started, progress, ended)


def _line(outcome: "Outcome") -> str:
    if outcome.state == "kept":
        return f"  [dim]=[/] {outcome.node:<12} nothing to do: nothing that goes into it changed"
    spent = outcome.spent
    return (
        f"  [green]✓[/] {outcome.node:<12} {spent.wall_seconds:6.1f} s  "
        f"CPU {spent.cpu_seconds:6.1f} s  memory {spent.peak_bytes / _GIGA:4.2f} GB"
    )


def _left(outcome: "Outcome") -> Iterator[str]:
    """Say what left and what was odd, so that nobody has to open a table to learn of it."""
    rules, notes = outcome.result.get("left_by_rule"), outcome.result.get("notes")
    if isinstance(rules, Mapping) and rules:
        told = ", ".join(f"{n} {rule}" for rule, n in rules.items())
        yield f"left out (see attrition.parquet): {told}"
    if isinstance(notes, Mapping):
        yield from (f"note: {note} ({n} times)" for note, n in notes.items())
    licence = outcome.result.get("licence_notes")
    if isinstance(licence, Sequence):
        yield from (f"licence: {note}" for note in licence)


def settled(kind: str, outcome: "Outcome") -> None:
    """Say where the files of a stage lie."""
    talk().print(f"{kind}: {escape(str(outcome.folder))}", soft_wrap=True)


def say(sentence: str) -> None:
    """Print a sentence to stdout."""
    Console(highlight=False).print(escape(sentence), soft_wrap=True)


def table(frame: pl.DataFrame, title: str, *, right: Sequence[str] = ()) -> None:
    """Print a table to stdout; a null is a dash.

    Parameters
    ----------
    frame
        What to print, already as it shall be read.
    title
        Its heading.
    right
        The columns that hold numbers.
    """
    drawn = Table(title=escape(title), title_justify="left", title_style="bold")
    for name in frame.columns:
        drawn.add_column(escape(name), justify="right" if name in right else "left")
    for row in frame.iter_rows():
        drawn.add_row(*("–" if cell is None else escape(str(cell)) for cell in row))
    wide = None if sys.stdout.isatty() else 200
    Console(highlight=False, width=wide).print(drawn)
