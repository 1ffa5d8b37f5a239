"""Puts the commands together; the options of a stage are read only when that stage is named."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from equipoise import __version__
from equipoise.cli import (
    accepting,
    auditing,
    benching,
    cataloguing,
    comparing,
    encoding,
    federating,
    powering,
    prompting,
    serving,
    slicing,
    studies,
)
from equipoise.study.titles import TITLES

_HELP = """Fairness of foundation models in medical imaging: from the first image to a verdict.

Start with [bold]equipoise demo[/bold], or with a table of predictions:
[bold]equipoise audit predictions.csv --by sex --by age_band --patient patient_id[/bold]
"""
_STUDY, _USE, _STAGES = "A study", "A released model", "One stage alone"
_SITES = "Several hospitals"
_OWN: dict[str, Callable[..., None]] = {"accept": accepting.accept, "audit": auditing.audit}
"""Stages whose command does more than run them."""
_IN_USE = ("accept", "monitor")
"""Stages that are listed where a reader with a bundle in hand looks."""


def application(words: Sequence[str]) -> typer.Typer:
    """Return the application for one command line.

    Parameters
    ----------
    words
        The words after ``equipoise``: the stage named there gets its options.
    """
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for command in (studies.run, studies.init, studies.verify, studies.schema, studies.demo):
        app.command(rich_help_panel=_STUDY)(command)
    named = next((word for word in words if not word.startswith("-")), None)
    app.command(rich_help_panel=_USE)(accepting.wrap)
    _add_stage(app, "accept", named, _USE)
    app.command(rich_help_panel=_USE)(serving.serve)
    _add_stage(app, "monitor", named, _USE)
    app.add_typer(
        federating.commands(),
        name="federate",
        help="One audit over several sites that share no rows.",
        rich_help_panel=_SITES,
    )
    app.add_typer(
        benching.commands(),
        name="bench",
        help="How far a result holds: fewer labels, other sites.",
        rich_help_panel=_STAGES,
    )
    for kind in TITLES:
        if kind not in _IN_USE:
            _add_stage(app, kind, named, _STAGES)
    app.command(rich_help_panel=_STAGES)(comparing.compare)
    app.command(rich_help_panel=_STAGES)(powering.power)
    app.command(rich_help_panel=_STAGES)(encoding.encoding)
    app.command(rich_help_panel=_STAGES)(slicing.slices)
    app.add_typer(
        cataloguing.commands(),
        name="encoders",
        help="Models that have a card: who they learnt from, what their licence allows.",
        rich_help_panel=_STAGES,
    )
    app.command(rich_help_panel=_STAGES)(prompting.zeroshot)
    return app


def _add_stage(app: typer.Typer, kind: str, named: str | None, panel: str) -> None:
    if kind in _OWN:
        app.command(kind, rich_help_panel=panel)(_OWN[kind])
    else:
        command = _command(kind, kind == named)
        app.command(kind, help=TITLES[kind], rich_help_panel=panel)(command)


def _command(kind: str, asked: bool) -> Callable[..., None]:
    if asked:
        from equipoise.cli import stages

        return stages.command(kind)

    def only_listed() -> None:
        raise typer.Exit(2)

    return only_listed


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"equipoise {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    del version
