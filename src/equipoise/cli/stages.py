"""A command per stage, whose flags are the fields of that stage's options."""

import inspect
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
import yaml
from pydantic.fields import FieldInfo

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    from equipoise.cli.ranks import Ranks
    from equipoise.scope import Scope
    from equipoise.study import Stage, Watch

_OWN = ("config", "out", "workers")

_ARGUMENTS = {"monitor": "bundle"}
"""Stage → the option that may stand first, without its flag."""


def command(kind: str) -> Callable[..., None]:
    """Return the command of a stage: an input folder per noun, a flag per option."""
    from equipoise.study import stage

    found = stage(kind)
    fields = found.options.model_fields

    def run(**said: Any) -> None:
        from equipoise.cli.ranks import ranks
        from equipoise.cli.showing import settled, watching
        from equipoise.study import execute, validated

        options = from_file(said["config"]) if said["config"] else {}
        if said.get("argument") is not None:
            options[_ARGUMENTS[kind]] = said["argument"]
        for name, field in fields.items():
            if said.get(name) is not None:
                options[name] = _value(said[name], field, name)
        if "today" in fields and options.get("today") is None:
            options["today"] = datetime.now(UTC).date()  # nothing below reads a clock
        checked = validated(found.options, options, kind)
        given = {noun: said[f"from_{noun}"] for noun in (*found.needs, *found.wants)}
        out: Path = said["out"]
        of = ranks(os.environ)
        _check_shared(found, of)
        with watching() as watch:
            scope = _surroundings(kind, said, of, watch)
            watch.started(kind)
            folders = {noun: path for noun, path in given.items() if path is not None}
            if of.rank and found.share is not None:
                found.share(checked, folders, scope)
                return
            outcome = execute(found, checked, folders, out, scope)
            watch.ended(outcome)
        settled(kind, outcome)
        _closed(out)

    parameters = [
        _input(noun, required=noun in found.needs) for noun in (*found.needs, *found.wants)
    ]
    parameters += [_flag(name, field) for name, field in fields.items()]
    parameters += _own()
    if kind in _ARGUMENTS:
        parameters.insert(0, _argument(_ARGUMENTS[kind], fields[_ARGUMENTS[kind]]))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _check_shared(found: "Stage", of: "Ranks") -> None:
    if of.world_size > 1 and found.share is None:
        raise InvalidConfiguration(
            f"{found.kind}: {of.world_size} ranks, and its work cannot be shared; expected one",
            hint="run it without torchrun, or unset RANK and WORLD_SIZE",
        )


def _surroundings(kind: str, said: dict[str, Any], of: "Ranks", watch: "Watch") -> "Scope":
    from equipoise.scope import Scope

    config: Path | None = said["config"]
    return Scope(
        base=config.parent if config else Path(),
        cache=said["out"].parent / ".cache",
        workers=said["workers"] or max(1, (os.cpu_count() or 1) // of.local_world_size),
        progress=lambda what, done, total: watch.progress(kind, what, done, total),
        rank=of.rank,
        world_size=of.world_size,
        local_rank=of.local_rank,
    )


def _closed(out: Path) -> None:
    """Say where bundle and page lie, and end with the code of the verdict if there is one."""
    from equipoise.cli.studies import told_choice, told_pages, told_release, told_verdict

    if (out / "candidates.json").is_file():
        told_choice(out / "selection.json")
    if (out / "bundle" / "bundle.json").is_file():
        told_release(out / "release.json")
    told_pages(out)
    if (out / "verdict.json").is_file():
        raise typer.Exit(told_verdict(out / "verdict.json"))


def _input(noun: str, *, required: bool) -> inspect.Parameter:
    option = typer.Option(f"--from-{noun}", help=f"Folder of the stage that gave the {noun}.")
    kind = Annotated[Path, option] if required else Annotated[Path | None, option]
    return _parameter(f"from_{noun}", kind, inspect.Parameter.empty if required else None)


def _argument(name: str, field: FieldInfo) -> inspect.Parameter:
    argument = typer.Argument(help=field.description, metavar=name.upper())
    return _parameter("argument", Annotated[str | None, argument], None)


def _flag(name: str, field: FieldInfo) -> inspect.Parameter:
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        help=f"{field.description or ''}{_default(field)}".replace("[", r"\["),
        metavar="TEXT" if _is_text(field) else "YAML",
        show_default=False,
    )
    return _parameter(name, Annotated[str | None, option], None)


def _default(field: FieldInfo) -> str:
    """Return the default in words, if it is short enough to be read in a help text."""
    if field.is_required():
        return " (required)"
    value = field.get_default(call_default_factory=True)
    plain = (str, int, float, bool)
    short = isinstance(value, list | tuple) and all(isinstance(one, plain) for one in value)
    if short:
        return f" (default: {', '.join(map(str, value))})" if value else ""
    if value is None or not isinstance(value, plain) or value == "":
        return ""
    return f" (default: {value})"


def _own() -> list[inspect.Parameter]:
    config = typer.Option(help="YAML file with the options; flags go before it.")
    out = typer.Option(help="Folder for the results.")
    workers = typer.Option(help="Processes at once; all cores by default.", min=1)
    return [
        _parameter("config", Annotated[Path | None, config], None),
        _parameter("out", Annotated[Path, out], inspect.Parameter.empty),
        _parameter("workers", Annotated[int | None, workers], None),
    ]


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _is_text(field: FieldInfo) -> bool:
    kinds = get_args(field.annotation) if get_origin(field.annotation) else (field.annotation,)
    if get_origin(field.annotation) is dict:
        return False
    if get_origin(field.annotation) in {Literal, list}:
        return get_origin(field.annotation) is Literal
    return all(kind in {str, Path, type(None)} for kind in kinds)


def _value(said: str, field: FieldInfo, name: str) -> object:
    if _is_text(field):
        return said
    try:
        value = yaml.safe_load(said)
    except yaml.YAMLError as error:
        raise InvalidConfiguration(f"--{name}: not readable as YAML ({error})") from error
    # One text where a list of texts is asked for, as --labels late.csv, is a list of one.
    return [value] if field.annotation == list[str] and isinstance(value, str) else value


def from_file(path: Path) -> dict[str, object]:
    """Return the keys and values in a YAML file.

    Raises
    ------
    InvalidConfiguration
        If it cannot be read, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfiguration(f"{path}: not readable as YAML ({error})") from error
    if not isinstance(content, dict):
        raise InvalidConfiguration(f"{path}: expected keys with values")
    return content
