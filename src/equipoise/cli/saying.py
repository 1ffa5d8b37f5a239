"""What was said at the terminal, as the engine takes it: attributes, levels, patients, points."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    from pydantic import BaseModel

PATIENT = "patient_id"

Model = TypeVar("Model", bound="BaseModel")


def options_said(model: type[Model], told: Mapping[str, object], command: str) -> Model:
    """Return the options of a command, or a sentence with the first that cannot be.

    Raises
    ------
    InvalidConfiguration
        With its name, and what was expected.
    """
    try:
        return model.model_validate(told)
    except ValueError as error:
        first = str(error).splitlines()
        raise InvalidConfiguration(f"{command}: {first[1]}: {first[2].strip()}") from error


def levels_said(by: Sequence[str]) -> dict[str, list[str] | None]:
    """Return attribute → levels, or None where only the attribute was said."""
    levels: dict[str, list[str] | None] = {}
    for said in by:
        name, equals, rest = said.partition("=")
        levels[name] = rest.split(",") if equals else None
    return levels


def pair_said(said: str, flag: str) -> tuple[str, str]:
    """Return attribute and level of ``sex=M``."""
    name, equals, value = said.partition("=")
    if not equals or not value:
        raise InvalidConfiguration(f"{flag} {said}: expected attribute=level, as sex=M")
    return name, value


def patient_column(asked: str | None, columns: Sequence[str]) -> str | None:
    """Return the column that says whose image it is, or None, said aloud."""
    from equipoise.cli.showing import talk

    if asked is not None:
        return asked
    if PATIENT in columns:
        return PATIENT
    talk().print(
        "[bold]no patient ids:[/] images are taken as independent; where a patient has several, "
        "the intervals are too narrow. Name the column with --patient.",
        soft_wrap=True,
    )
    return None


def points_said(
    threshold: Sequence[str] | None, rule: Sequence[str] | None
) -> dict[str, float | str]:
    """Return name → threshold or rule, as they were said."""
    from equipoise.metrics.points import rule as rule_of

    points: dict[str, float | str] = {}
    for one in threshold or []:
        name, equals, value = one.rpartition("=")
        try:
            points[name if equals else f"stated {value}"] = float(value)
        except ValueError as error:
            raise InvalidConfiguration(f"--threshold {one}: '{value}' is no number") from error
    return {**points, **{rule_of(one).name: one for one in rule or []}}
