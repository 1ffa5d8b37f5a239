"""Policies read from YAML, with errors that name the key, what was found and what is known."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from equipoise.errors import InvalidConfiguration, nearest
from equipoise.policies.schema import Criterion, Floor, Policy

_MODELS: Mapping[str, type[BaseModel]] = {"criteria": Criterion, "floors": Floor}


def load(path: Path) -> Policy:
    """Return the policy in a YAML file.

    Raises
    ------
    InvalidConfiguration
        If there is no such file, it is not YAML, or it says what a policy cannot say.

    Examples
    --------
    >>> load(Path("nowhere.yaml"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: policy: no file nowhere.yaml
    """
    if not path.is_file():
        raise InvalidConfiguration(f"policy: no file {path}")
    try:
        return parse(path.read_text(encoding="utf-8"), where=path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"policy: {path} cannot be read ({error})") from error


def parse(text: str, *, where: str = "policy") -> Policy:
    """Return the policy in a YAML text.

    Raises
    ------
    InvalidConfiguration
        If it is not YAML, or says what a policy cannot say.

    Examples
    --------
    >>> parse("[1, 2]")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: policy: holds a list; expected keys and values
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidConfiguration(f"{where}: not readable as YAML ({error})") from error
    if not isinstance(content, Mapping):
        raise InvalidConfiguration(
            f"{where}: holds a {type(content).__name__}; expected keys and values"
        )
    return validated(content, where=where)


def validated(content: Mapping[str, object], *, where: str = "policy") -> Policy:
    """Return the policy that a mapping describes.

    Raises
    ------
    InvalidConfiguration
        With the key, what was found and what was expected; an unknown key names the nearest.

    Examples
    --------
    >>> validated({"version": 1, "nmae": "x"})
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: policy: unknown key 'nmae'; known keys: version, name, \
description, criteria, floors, required, maximum_unknown_share
    """
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise _first(error, where) from error


def example() -> str:
    """Return the commented example policy, as YAML.

    Examples
    --------
    >>> parse(example()).name
    'example'
    """
    return resources.files("equipoise.policies").joinpath("example.yaml").read_text("utf-8")


def _first(error: ValidationError, where: str) -> InvalidConfiguration:
    """Return the most telling of all errors: a misspelt key also makes another key missing."""
    found = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")[0]
    place = [str(part) for part in found["loc"]]
    if found["type"] == "extra_forbidden":
        model = _MODELS.get(place[0], Policy) if len(place) > 1 else Policy
        within = f" in {place[0]} {int(place[1]) + 1}" if len(place) > 2 else ""
        return InvalidConfiguration(
            f"{where}: unknown key '{place[-1]}'{within}; known keys: "
            f"{', '.join(model.model_fields)}",
            hint=nearest(place[-1], model.model_fields),
        )
    said = found["msg"].removeprefix("Value error, ")
    if found["type"] in {"value_error", "missing"}:
        key = "" if not place else f"{'.'.join(place)}: "
        return InvalidConfiguration(f"{where}: {key}{said}")
    return InvalidConfiguration(f"{where}: {'.'.join(place)}: {said}; found {found['input']!r}")
