"""Puts the commands together; the options of a stage are read only when that stage is named."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from equipoise import __version__
from equipoise.cli import accepting, auditing, serving, studies
from equipoise.study.titles import TITLES

_HELP = """Fairness of foundation models in medical imaging: from the first image to a verdict.

Start with [bold]equipoise demo[/bold], or with a table of predictions:
[bold]equipoise audit predictions.csv --by sex --by age_band --patient patient_id[/bold]
"""
_STUDY, _USE, _STAGES = "A study", "A released model", "One stage alone"
_OWN: dict[str, Callable[..., None]] = {"accept": accepting.accept, "audit": auditing.audit}
"""Stages whose command does more than run them."""


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
    app.command(rich_help_panel=_USE)(serving.serve)
    app.command(rich_help_panel=_STAGES)(accepting.wrap)
    named = next((word for word in words if not word.startswith("-")), None)
    for kind, title in TITLES.items():
        if kind in _OWN:
            app.command(kind, rich_help_panel=_STAGES)(_OWN[kind])
        else:
            app.command(kind, help=title, rich_help_panel=_STAGES)(_command(kind, kind == named))
    return app


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
