"""A study: one YAML file, a graph of stages, each cached by what went into it.

The study composes the stages; no stage knows another. What a stage was given, told and made is
bound in its evidence, so that a second run can see that nothing needs doing, and anybody can
see that nothing was changed.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from equipoise.study.configuration import Node, Study, load, parse, validated
    from equipoise.study.running import Outcome, Watch, conduct, execute
    from equipoise.study.schema import json_schema
    from equipoise.study.spending import Spent, measured
    from equipoise.study.stages import STAGES, Stage, stage

_HOME = {
    "configuration": ("Node", "Study", "load", "parse", "validated"),
    "running": ("Outcome", "Watch", "conduct", "execute"),
    "schema": ("json_schema",),
    "spending": ("Spent", "measured"),
    "stages": ("STAGES", "Stage", "stage"),
}

__all__ = [
    "STAGES",
    "Node",
    "Outcome",
    "Spent",
    "Stage",
    "Study",
    "Watch",
    "conduct",
    "execute",
    "json_schema",
    "load",
    "measured",
    "parse",
    "stage",
    "validated",
]


def __getattr__(name: str) -> object:
    """Import what is asked for, so that the command line's help needs none of it."""
    for home, members in _HOME.items():
        if name in members:
            return getattr(importlib.import_module(f"equipoise.study.{home}"), name)
    raise AttributeError(f"module 'equipoise.study' has no attribute '{name}'")
