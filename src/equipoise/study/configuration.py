"""From a YAML file to the nodes of a study, each with its options and its givers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from equipoise.errors import InvalidConfiguration, nearest
from equipoise.study.stages import STAGES, Stage, stage

_TOP = ("version", "name", "description", "stages")
_OWN = ("stage", "inputs")


@dataclass(frozen=True, slots=True)
class Node:
    """One stage of a study.

    Parameters
    ----------
    name
        What the study calls it; the folder of its files.
    stage
        What it does.
    options
        Its options, checked.
    givers
        Noun → the name of the node that gives it.
    """

    name: str
    stage: Stage
    options: BaseModel
    givers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Study:
    """A study, checked: every node knows where each of its inputs comes from.

    Parameters
    ----------
    name
        What it is called.
    description
        What it is for, in free text.
    nodes
        In an order in which they can run.
    """

    name: str
    description: str
    nodes: tuple[Node, ...]


def load(path: Path) -> Study:
    """Return the study in a YAML file.

    Raises
    ------
    InvalidConfiguration
        If the file is absent, is no YAML, has an unknown key (the nearest known one is named),
        or a stage lacks what it needs.

    Examples
    --------
    >>> load(Path("nowhere.yaml"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: nowhere.yaml: no such study file
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidConfiguration(
            f"{path}: no such study file", hint="'equipoise init' writes one to start from"
        ) from error
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidConfiguration(
            f"{path}: not readable as YAML{line}: {error.problem}"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfiguration(f"{path}: not readable as YAML ({error})") from error
    return parse(content, where=path.name)


def parse(content: object, *, where: str = "study") -> Study:
    """Return the study that a mapping describes.

    Parameters
    ----------
    content
        What the YAML says.
    where
        Whose configuration it is, for messages.

    Raises
    ------
    InvalidConfiguration
        As `load`.

    Examples
    --------
    >>> parse({"version": 1, "nam": "x", "stages": {}})
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: study: unknown key 'nam'; known keys: version, name, \
description, stages
    """
    top = _mapping(content, where)
    _known_keys(top, _TOP, where)
    if top.get("version") != 1:
        raise InvalidConfiguration(f"{where}: version is {top.get('version')!r}; expected 1")
    name = top.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidConfiguration(f"{where}: name is {name!r}; expected a short text")
    stages = _mapping(top.get("stages"), f"{where}: stages")
    if not stages:
        raise InvalidConfiguration(f"{where}: stages is empty; expected at least one stage")
    nodes = tuple(_nodes(stages, where))
    return Study(name=name, description=str(top.get("description") or ""), nodes=nodes)


def _nodes(stages: Mapping[str, object], where: str) -> Iterator[Node]:
    before: dict[str, Stage] = {}
    for name, said in stages.items():
        place = f"{where}: stages.{name}"
        _check_name(name, place)
        options = _mapping(said or {}, place)
        kind = str(options.get("stage", name))
        if kind not in STAGES:
            raise InvalidConfiguration(
                f"{place}: no stage '{kind}'; known stages: {', '.join(STAGES)}",
                hint=nearest(kind, STAGES),
            )
        found = stage(kind)
        inputs = _mapping(options.get("inputs") or {}, f"{place}.inputs")
        yield Node(
            name=name,
            stage=found,
            options=validated(
                found.options, {k: v for k, v in options.items() if k not in _OWN}, place
            ),
            givers=_givers(found, inputs, before, place),
        )
        before[name] = found


def _check_name(name: str, place: str) -> None:
    """Refuse names that cannot be a folder on some system."""
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise InvalidConfiguration(
            f"{place}: '{name}' cannot name a folder; expected letters, digits, - and _"
        )


def _givers(
    found: Stage, inputs: Mapping[str, object], before: Mapping[str, Stage], place: str
) -> dict[str, str]:
    nouns = (*found.needs, *found.wants)
    _known_keys(inputs, nouns, f"{place}.inputs")
    givers: dict[str, str] = {}
    for noun in nouns:
        offers = [name for name, other in before.items() if noun in other.gives]
        if noun in inputs:
            asked = str(inputs[noun])
            if asked not in offers:
                raise InvalidConfiguration(
                    f"{place}.inputs: '{asked}' gives no {noun} before this stage; "
                    f"those that do: {', '.join(offers) or 'none'}",
                    hint=nearest(asked, offers),
                )
            givers[noun] = asked
        elif offers:
            givers[noun] = offers[-1]
        elif noun in found.needs:
            raise InvalidConfiguration(
                f"{place}: needs {noun}, which no stage before it gives",
                hint=f"put a stage before it that gives {noun}: {', '.join(_makers(noun))}",
            )
    return givers


def _makers(noun: str) -> list[str]:
    return [kind for kind in STAGES if noun in stage(kind).gives]


def validated(model: type[BaseModel], said: Mapping[str, object], place: str) -> BaseModel:
    """Return the options of a stage, or say which key is wrong and what was expected.

    Parameters
    ----------
    model
        The pydantic model of the options.
    said
        What the user says.
    place
        Whose options they are, for the message.

    Raises
    ------
    InvalidConfiguration
        For the first thing that is wrong.

    Examples
    --------
    >>> class Options(BaseModel, extra="forbid"):
    ...     size: int = 3
    >>> validated(Options, {"sise": 3}, "stages.embed")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: stages.embed: unknown key 'sise'; known keys: size
    """
    try:
        return model.model_validate(dict(said))
    except ValidationError as error:
        wrong = error.errors(include_url=False)
    # A key that is misspelt is both unknown and missing; the first tells more.
    first = next((e for e in wrong if e["type"] == "extra_forbidden"), wrong[0])
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = _known_below(model, path[:-1])
        raise InvalidConfiguration(
            f"{'.'.join([place, *path[:-1]])}: unknown key '{path[-1]}'; "
            f"known keys: {', '.join(known)}",
            hint=nearest(path[-1], known),
        )
    found = "" if first["type"] == "missing" else f"; got {first['input']!r}"
    if first["type"] == "value_error":
        # Our own words; of a rule over several keys, all keys at once would say nothing.
        first["msg"] = str(first["ctx"]["error"])
        found = "" if isinstance(first["input"], Mapping) else found
    if first["type"] in {"tuple_type", "list_type"}:
        first["msg"] = "expected a list, as [a, b]"
    raise InvalidConfiguration(f"{'.'.join([place, *path])}: {_lower(first['msg'])}{found}")


def _known_below(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the keys known at `path` below a model, as its JSON Schema has them."""
    schema = model.model_json_schema()
    at: object = schema
    for part in path:
        options = _variants(at, schema)
        at = next((found for o in options if (found := _step(o, part)) is not None), at)
    keys: dict[str, None] = {}
    for option in _variants(at, schema):
        properties = option.get("properties")
        keys |= dict.fromkeys(properties if isinstance(properties, dict) else ())
    return list(keys)


def _step(schema: Mapping[str, object], part: str) -> object | None:
    properties = schema.get("properties")
    if isinstance(properties, dict) and part in properties:
        found: object = properties[part]
        return found
    if part.isdigit() and "items" in schema:
        return schema["items"]
    further = schema.get("additionalProperties")
    return further if isinstance(further, dict) else None


def _variants(schema: object, root: Mapping[str, object]) -> list[dict[str, object]]:
    """Return a schema with its references followed and its alternatives laid side by side."""
    if not isinstance(schema, dict):
        return []
    if isinstance(reference := schema.get("$ref"), str):
        definitions = root.get("$defs")
        name = reference.rsplit("/", 1)[-1]
        return _variants(definitions[name] if isinstance(definitions, dict) else None, root)
    several = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return [v for one in several for v in _variants(one, root)] if several else [schema]


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _mapping(content: object, place: str) -> dict[str, object]:
    if not isinstance(content, dict):
        found = "empty" if content is None else type(content).__name__
        raise InvalidConfiguration(f"{place}: is {found}; expected keys with values")
    return {str(key): value for key, value in content.items()}


def _known_keys(said: Mapping[str, object], known: Sequence[str], place: str) -> None:
    for key in said:
        if key not in known:
            raise InvalidConfiguration(
                f"{place}: unknown key '{key}'; known keys: {', '.join(known) or 'none'}",
                hint=nearest(key, known),
            )
