"""The stages by name; one is imported when it is used, never before."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from equipoise.errors import UnknownName, nearest
from equipoise.scope import Scope
from equipoise.study.titles import TITLES

STAGES = tuple(TITLES)


@dataclass(frozen=True, slots=True)
class Stage:
    """What a study needs to know of a stage.

    Parameters
    ----------
    kind
        Its name.
    version
        Raised when the same inputs give other results.
    options
        The model of its options.
    needs, wants
        The nouns it must have, and those it uses if they are there.
    gives
        The nouns it makes.
    run
        Does the work: ``run(options, inputs, out, scope)``.
    sources
        Names the files and folders from outside the run that it reads.
    share
        Does the part of a rank other than the first, where the work can be shared:
        ``share(options, inputs, scope)``.
    """

    kind: str
    version: int
    options: type[BaseModel]
    needs: tuple[str, ...]
    wants: tuple[str, ...]
    gives: tuple[str, ...]
    run: Callable[[BaseModel, Mapping[str, Path], Path, Scope], dict[str, object]]
    sources: Callable[[BaseModel, Scope], dict[str, Path]]
    share: Callable[[BaseModel, Mapping[str, Path], Scope], None] | None = None


def stage(kind: str) -> Stage:
    """Return a stage by name.

    Raises
    ------
    UnknownName
        If there is no such stage.

    Examples
    --------
    >>> stage("gate").gives
    ('verdict',)
    >>> stage("gat")
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no stage 'gat'; known stages: phantoms, ingest, document, \
curate, pretrain, embed, adapt, audit, gate, release, accept, monitor, report
    """
    if kind not in STAGES:
        known = ", ".join(STAGES)
        raise UnknownName(f"no stage '{kind}'; known stages: {known}", hint=nearest(kind, STAGES))
    module = importlib.import_module(f"equipoise.{kind}")
    return Stage(
        kind=kind,
        version=module.VERSION,
        options=module.Options,
        needs=tuple(module.NEEDS),
        wants=tuple(getattr(module, "WANTS", ())),
        gives=tuple(module.GIVES),
        run=module.run,
        sources=getattr(module, "sources", _no_sources),
        share=getattr(module, "share", None),
    )


def _no_sources(options: BaseModel, scope: Scope) -> dict[str, Path]:
    del options, scope
    return {}
