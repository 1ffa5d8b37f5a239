"""The JSON Schema of a study file, for editors that complete and check while one types."""

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from equipoise.study.stages import STAGES, stage


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of a study file.

    A key under ``stages`` that names a stage takes that stage's options; any other name says
    which stage it is with ``stage:``.

    Examples
    --------
    >>> sorted(json_schema()["properties"])
    ['description', 'name', 'stages', 'version']
    """
    models: dict[str, type[BaseModel]] = {kind: stage(kind).options for kind in STAGES}
    references, definitions = models_json_schema(
        [(model, "validation") for model in models.values()],
        ref_template="#/$defs/{model}",
    )
    defs = dict(definitions.get("$defs", {}))
    named: dict[str, object] = {}
    for kind, model in models.items():
        target = references[(model, "validation")]["$ref"].rsplit("/", 1)[-1]
        defs[kind] = _with_own(defs[target], kind)
        named[kind] = {"anyOf": [{"$ref": f"#/$defs/{kind}"}, {"type": "null"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Equipoise study",
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "name", "stages"],
        "properties": {
            "version": {"const": 1},
            "name": {"type": "string", "minLength": 1},
            "description": {"type": "string"},
            "stages": {
                "type": "object",
                "minProperties": 1,
                "properties": named,
                "additionalProperties": {
                    "required": ["stage"],
                    "anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in models],
                },
            },
        },
        "$defs": defs,
    }


def _with_own(options: dict[str, object], kind: str) -> dict[str, object]:
    """Return a stage's options with the two keys that belong to the node."""
    found, needs = options.get("properties"), stage(kind)
    properties = dict(found) if isinstance(found, dict) else {}
    nouns = {noun: {"type": "string"} for noun in (*needs.needs, *needs.wants)}
    properties["stage"] = {"const": kind}
    properties["inputs"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": nouns,
        "description": "Which earlier stage gives a noun, where it is not the latest that does.",
    }
    return {**options, "properties": properties}
