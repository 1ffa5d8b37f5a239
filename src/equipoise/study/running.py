"""Runs the nodes of a study, each only if what went into it has changed.

A node is worked on in a hidden folder beside its place and takes its name once it is whole, so
that a kill at any moment leaves finished stages finished and nothing half-written.
"""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from equipoise import evidence
from equipoise.errors import AlteredEvidence, EquipoiseError, InvalidInput, Refused, StorageFailure
from equipoise.scope import Progress, Scope
from equipoise.study import openings
from equipoise.study.configuration import Node, Study
from equipoise.study.spending import Spent, measured
from equipoise.study.stages import Stage
from equipoise.tables import aside, file_digest, make_folder, write_bytes, write_json

_PARTIAL, _OLD, _LOCK, _CACHE = ".partial-", ".old-", ".lock", ".cache"
STUDY_FILE = "study.yaml"
_NO_ROOM = {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one node.

    Parameters
    ----------
    node
        Its name.
    state
        *ran*, or *kept*: what went into it is what went into it before.
    folder
        Where its files lie.
    spent
        What it spent now; nothing if it was kept.
    result
        What the stage says of its work; empty if it was kept.
    """

    node: str
    state: Literal["ran", "kept"]
    folder: Path
    spent: Spent
    result: Mapping[str, object] = field(default_factory=dict)


def _unheard(*said: object) -> None:
    del said


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how a study goes.

    Parameters
    ----------
    started
        Called with a node's name before it runs.
    progress
        Called with node, what, done, total while it runs.
    ended
        Called with the outcome.
    """

    started: Callable[[str], None] = _unheard
    progress: Callable[[str, str, int, int], None] = _unheard
    ended: Callable[[Outcome], None] = _unheard


def conduct(
    study: Study,
    run: Path,
    *,
    base: Path,
    workers: int = 1,
    source: bytes | None = None,
    watch: Watch | None = None,
) -> list[Outcome]:
    """Run what of a study is not yet done, and return what became of each node.

    A refusal, as of a release without a pass, stops what needs its files and nothing else: the
    report says why it was refused, so it is written before the refusal is raised.

    Parameters
    ----------
    study
        The study.
    run
        Folder of the run: a folder per node, and evidence over them all.
    base
        Where relative paths of the study start: the folder of its file.
    workers
        Processes that a stage may use, at least 1.
    source
        The bytes of the study file, kept beside the results.
    watch
        Who is told how it goes.

    Raises
    ------
    EquipoiseError
        As the stages do. What was finished before stays.
    Refused
        The first refusal of a stage, once all is done that does not need what it refused.
    StorageFailure
        If the folder cannot be written, or another run is at work in it.

    Examples
    --------
    See ``equipoise init`` and the README.
    """
    watch = watch or Watch()
    _check_sources(study, base)
    make_folder(run)
    with locked(run):
        _sweep(run)
        outcomes: list[Outcome] = []
        refusals: list[Refused] = []
        for node in study.nodes:
            done = {outcome.node for outcome in outcomes}
            if any(node.givers[noun] not in done for noun in node.stage.needs):
                continue
            scope = Scope(
                base=base,
                cache=run / _CACHE,
                workers=workers,
                progress=_told(watch, node.name),
            )
            given = {noun: run / giver for noun, giver in node.givers.items() if giver in done}
            try:
                outcomes.append(_node(node, given, run, scope, watch))
            except Refused as refusal:
                refusals.append(refusal)
        _seal(study, run, [outcome.node for outcome in outcomes], source)
    if refusals:
        raise refusals[0]
    return outcomes


def execute(
    stage: Stage,
    options: object,
    given: Mapping[str, Path],
    folder: Path,
    scope: Scope,
) -> Outcome:
    """Run one stage into `folder`, unless the same stands there already.

    Parameters
    ----------
    stage
        The stage.
    options
        Its options, checked: an instance of ``stage.options``.
    given
        Noun → folder of the stage that gave it.
    folder
        Where its files shall lie; an older version is replaced once the new one is whole.
    scope
        Its surroundings.

    Raises
    ------
    EquipoiseError
        As the stage does; the older version then still stands.

    Examples
    --------
    Every command of a stage, as ``equipoise embed``, is a call of this function.
    """
    if not isinstance(options, stage.options):
        raise InvalidInput(f"{stage.kind}: options are {type(options).__name__}")
    parameters = options.model_dump(mode="json")
    inputs = _input_digests(stage, options, given, scope)
    told = {"parameters": parameters, "inputs": inputs, "stage": stage.kind, "v": stage.version}
    if _stands(folder, evidence.digest(told)):
        return Outcome(folder.name, "kept", folder, Spent())
    partial = make_folder(folder.parent / f"{_PARTIAL}{folder.name}-{uuid.uuid4().hex[:8]}")
    try:
        with measured() as spent, _disk(folder), _one_blas_thread():
            result = stage.run(options, given, partial, scope)
        _leave_evidence(stage, partial, inputs=inputs, parameters=parameters, result=result)
        # Counted before it stands: a kill in between counts once too often, never once too little.
        openings.count(partial, folder, evidence.digest(told))
        write_json(partial / evidence.SPENT_FILE, spent.as_record())
        with _disk(folder):
            _replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Outcome(folder.name, "ran", folder, spent, result)


def _check_sources(study: Study, base: Path) -> None:
    """Look for every file from outside before the first stage runs, which may take hours."""
    for node in study.nodes:
        for name, path in node.stage.sources(node.options, Scope(base=base)).items():
            if not path.exists():
                raise InvalidInput(
                    f"{node.name}: {name}: no such file or folder: {path}",
                    hint=f"relative paths start from {base.resolve()}, where the study file is",
                )


def _node(node: Node, given: Mapping[str, Path], run: Path, scope: Scope, watch: Watch) -> Outcome:
    watch.started(node.name)
    try:
        outcome = execute(node.stage, node.options, given, run / node.name, scope)
    except EquipoiseError as error:
        error.add_note(f"in stage '{node.name}'")
        raise
    watch.ended(outcome)
    return outcome


def _leave_evidence(
    stage: Stage,
    folder: Path,
    *,
    inputs: Mapping[str, str],
    parameters: Mapping[str, object],
    result: Mapping[str, object],
) -> None:
    from equipoise import __version__

    said = evidence.statement(
        stage.kind,
        subject=evidence.subjects(folder),
        inputs=inputs,
        parameters=parameters,
        result=result,
        code={"equipoise": __version__, stage.kind: str(stage.version)},
    )
    evidence.write_statement(folder, said)


def _input_digests(
    stage: Stage, options: object, given: Mapping[str, Path], scope: Scope
) -> dict[str, str]:
    """Return one digest for each giver (over names and digests of its files) and each source."""
    digests = {}
    named: dict[str, Path] = {}
    for noun, folder in given.items():
        # Two givers may share a folder name where a stage is run by hand over several runs.
        name = folder.name if named.get(folder.name, folder) == folder else f"{noun}:{folder.name}"
        named[name] = folder
    for name, folder in named.items():
        digests[name] = _digest(folder, f"{stage.kind}: input '{name}'")
    if isinstance(options, stage.options):
        beside = openings.read_by(stage.kind, given)
        for name, path in {**stage.sources(options, scope), **beside}.items():
            digests[f"source:{name}"] = _digest(path, f"{stage.kind}: {name}")
    return digests


def _digest(path: Path, what: str) -> str:
    if path.is_dir():
        return evidence.folder_digest(path)
    if path.is_file():
        return file_digest(path)
    raise InvalidInput(f"{what}: no such file or folder: {path}")


def _stands(folder: Path, told: str) -> bool:
    """See whether the folder holds, whole and unaltered, what this stage would make now."""
    if not (folder / evidence.EVIDENCE_FILE).is_file():
        return False
    try:
        said = evidence.read_statement(folder)
    except (AlteredEvidence, InvalidInput):
        return False
    predicate = said["predicate"]
    if not isinstance(predicate, dict):
        return False
    kind = str(predicate["kind"])
    before = {
        "parameters": predicate["parameters"],
        "inputs": {entry["name"]: entry["digest"]["sha256"] for entry in predicate["inputs"]},
        "stage": kind,
        "v": int(predicate["code"][kind]),
    }
    if evidence.digest(before) != told:
        return False
    subject = said["subject"]
    named = {s["name"]: s["digest"]["sha256"] for s in subject} if isinstance(subject, list) else {}
    return named == evidence.subjects(folder)


def _replace(partial: Path, folder: Path) -> None:
    """Put the new version in place; a kill in between leaves no node, which then runs again."""
    old = folder.with_name(f"{_OLD}{folder.name}-{uuid.uuid4().hex[:8]}")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(run: Path) -> None:
    """Remove what a killed run left."""
    for path in run.iterdir():
        if path.name.startswith((_PARTIAL, _OLD)):
            shutil.rmtree(path, ignore_errors=True)


def _seal(study: Study, run: Path, nodes: Sequence[str], source: bytes | None) -> None:
    """Leave the run's own evidence, which names that of every stage."""
    from equipoise import __version__

    if source is not None:
        write_bytes(run / STUDY_FILE, source)
    files = [f"{node}/{evidence.EVIDENCE_FILE}" for node in nodes]
    own = (STUDY_FILE, evidence.OPENINGS_FILE)
    files += [name for name in own if (run / name).is_file()]
    said = evidence.statement(
        "study",
        subject={name: file_digest(run / name) for name in files},
        inputs={},
        parameters={"name": study.name, "description": study.description},
        result={"stages": list(nodes)},
        code={"equipoise": __version__},
    )
    evidence.write_statement(run, said)


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Let one run at a time work in a folder; a lock whose process is gone does not count.

    Raises
    ------
    StorageFailure
        If another run is at work there.

    Examples
    --------
    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp())):
    ...     pass
    """
    lock = run / _LOCK
    with contextlib.suppress(OSError, ValueError):
        holder = int(lock.read_text())
        if holder != os.getpid() and psutil.pid_exists(holder):
            raise StorageFailure(
                f"{run}: another run (process {holder}) is at work there",
                hint=f"wait for it, or remove {lock} if that process is none of ours",
            )
    with aside(lock) as partial:
        partial.write_text(str(os.getpid()))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _one_blas_thread() -> contextlib.AbstractContextManager[object]:
    """Keep BLAS to one thread: a sum must not depend on how many cores there are.

    It is also several times faster for the sizes of a probe where cores are shared: numpy and
    scipy each bring a pool of threads, and the two wait for each other.
    """
    import scipy.linalg  # noqa: F401  its library must be loaded to be limited
    from threadpoolctl import threadpool_limits

    limited: contextlib.AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limited


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise StorageFailure(
            f"{folder}: cannot be written ({error.strerror or error}); nothing was changed",
            hint="free some space or choose another folder, then run again: "
            "finished stages are kept",
        ) from error


def _told(watch: Watch, node: str) -> Progress:
    return lambda what, done, total: watch.progress(node, what, done, total)
