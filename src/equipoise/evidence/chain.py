"""The chain over a whole run: every digest recomputed, every hand-off compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from equipoise.errors import EquipoiseError, InvalidInput
from equipoise.evidence.statements import EVIDENCE_FILE, SPENT_FILE, digest, read_statement
from equipoise.tables import file_digest

State = Literal["altered", "missing", "added", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a run that is not as its evidence says.

    Parameters
    ----------
    state
        *altered*, *missing* or *added* file; *broken*: evidence that cannot be read, or a
        hand-off whose two ends disagree.
    name
        The file, relative to the run.
    detail
        What was found and what was expected.
    """

    state: State
    name: str
    detail: str


def verify(run: Path) -> list[Finding]:
    """Return all that is altered, missing, added or broken in a run; empty if nothing is.

    The run's own statement names the evidence of each stage, and each evidence names the files
    of its stage and the digests of what it was given. Nothing is signed: this finds accidents,
    not forgery.

    Parameters
    ----------
    run
        The folder of a run, or of one stage.

    Raises
    ------
    InvalidInput
        If the folder holds no evidence at all.

    Examples
    --------
    >>> verify(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere: no evidence.json in it; expected a run or a bundle
    """
    if not (run / EVIDENCE_FILE).is_file():
        raise InvalidInput(f"{run}: no {EVIDENCE_FILE} in it; expected a run or a bundle")
    return list(_verify(run, run))


def _verify(run: Path, folder: Path) -> Iterator[Finding]:
    try:
        said = read_statement(folder)
        named = _digests(said["subject"])
    except (EquipoiseError, KeyError, TypeError) as error:
        yield Finding("broken", _relative(run, folder / EVIDENCE_FILE), str(error))
        return
    for name, expected in named.items():
        path = folder / name
        if _leaves(name):
            # Neither read nor told of: its digest would say what lies there.
            said_in = _relative(run, folder / EVIDENCE_FILE)
            yield Finding("broken", said_in, f"names '{name}', which is not within its folder")
        elif not path.is_file():
            yield Finding("missing", _relative(run, path), f"expected sha256 {expected}")
        elif (found := file_digest(path)) != expected:
            yield Finding("altered", _relative(run, path), f"sha256 {found}; expected {expected}")
    nested = {
        folder / name for name in named if name.endswith("/" + EVIDENCE_FILE) and not _leaves(name)
    }
    yield from _added(run, folder, named, {path.parent for path in nested})
    for path in sorted(nested):
        if path.is_file():
            yield from _verify(run, path.parent)
    yield from _handoffs(run, [path.parent for path in sorted(nested)])


def _added(
    run: Path, folder: Path, named: Mapping[str, str], stages: set[Path]
) -> Iterator[Finding]:
    for path in sorted(folder.rglob("*")):
        inside = any(stage in path.parents for stage in stages)
        name = path.relative_to(folder).as_posix()
        own = name in {EVIDENCE_FILE, SPENT_FILE} or name.split("/")[0] == ".cache"
        if path.is_file() and not inside and not own and name not in named:
            yield Finding("added", _relative(run, path), "no evidence names it")


def _handoffs(run: Path, stages: list[Path]) -> Iterator[Finding]:
    """Compare what each stage says it was given with what the giver says it made."""
    made = {stage.name: digest(_said(stage, "subject")) for stage in stages}
    for stage in stages:
        for name, given in _said(stage, "inputs").items():
            if name in made and made[name] != given:
                yield Finding(
                    "broken",
                    _relative(run, stage / EVIDENCE_FILE),
                    f"was given '{name}' with digest {given}; that stage made {made[name]}",
                )


def _said(stage: Path, part: Literal["subject", "inputs"]) -> dict[str, str]:
    try:
        said = read_statement(stage)
        predicate = said["predicate"]
        if part == "inputs" and isinstance(predicate, dict):
            return _digests(predicate["inputs"])
        return _digests(said["subject"])
    except (EquipoiseError, KeyError, TypeError):
        return {}  # reported as broken where the stage itself is verified


def _digests(descriptors: object) -> dict[str, str]:
    if not isinstance(descriptors, list):
        raise TypeError("subject is not a list")
    return {str(entry["name"]): str(entry["digest"]["sha256"]) for entry in descriptors}


def _leaves(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts


def _relative(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix()
