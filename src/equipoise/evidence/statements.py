"""One statement: made, written in canonical JSON, read back."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from equipoise.errors import AlteredEvidence, InvalidInput
from equipoise.tables import file_digest, read_json, write_bytes

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:equipoise:evidence:v1"
EVIDENCE_FILE = "evidence.json"
SPENT_FILE = "spent.json"
"""Time, CPU, memory and energy: beside the evidence, never in it, so that a rerun agrees."""


def canonical(content: object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, UTF-8, no NaN; numbers as Python writes them.

    Examples
    --------
    >>> canonical({"b": 1.0, "a": "é"}).decode()
    '{"a":"é","b":1.0}'
    """
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest(content: object) -> str:
    """Return the SHA-256 of the canonical JSON of `content`, 64 hex digits.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(content)).hexdigest()


def subjects(folder: Path) -> dict[str, str]:
    """Return name → SHA-256 of every file of a stage, evidence and hidden files left out.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("")
    >>> list(subjects(folder))
    ['a.txt']
    """
    return {name: file_digest(folder / name) for name in _names(folder)}


def folder_digest(folder: Path) -> str:
    """Return one SHA-256 over the names and digests of all files in a folder.

    Raises
    ------
    InvalidInput
        If there is no such folder.

    Examples
    --------
    >>> folder_digest(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere: no such folder
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: no such folder")
    return digest(subjects(folder))


def statement(
    stage: str,
    *,
    subject: Mapping[str, str],
    inputs: Mapping[str, str],
    parameters: Mapping[str, object],
    result: Mapping[str, object],
    code: Mapping[str, str],
) -> dict[str, object]:
    """Return an in-toto statement about the files of a stage.

    Parameters
    ----------
    stage
        The stage's kind, as ``"audit"``.
    subject
        File name → SHA-256.
    inputs
        Input name → SHA-256.
    parameters
        The options, all of them, defaults too.
    result
        What the stage says of its work, in JSON.
    code
        Name → version of what did the work.

    Examples
    --------
    >>> made = statement("audit", subject={"b": "00", "a": "11"}, inputs={}, parameters={},
    ...                  result={}, code={"equipoise": "0"})
    >>> [s["name"] for s in made["subject"]]
    ['a', 'b']
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": _descriptors(subject),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "kind": stage,
            "inputs": _descriptors(inputs),
            "parameters": dict(parameters),
            "result": dict(result),
            "code": dict(code),
        },
    }


def write_statement(folder: Path, content: Mapping[str, object]) -> str:
    """Write a statement beside its subjects and return the SHA-256 of its bytes.

    Examples
    --------
    >>> import tempfile
    >>> len(write_statement(Path(tempfile.mkdtemp()), {"subject": []}))
    64
    """
    body = canonical(content)
    write_bytes(folder / EVIDENCE_FILE, body)
    return hashlib.sha256(body).hexdigest()


def read_statement(folder: Path) -> dict[str, object]:
    """Return the statement in a folder.

    Raises
    ------
    AlteredEvidence
        If it is not a statement of ours.

    Examples
    --------
    >>> read_statement(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere/evidence.json: no such file
    """
    path = folder / EVIDENCE_FILE
    content = read_json(path)
    if (content.get("_type"), content.get("predicateType")) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise AlteredEvidence(
            f"{path}: type {content.get('_type')!r}, predicate {content.get('predicateType')!r}; "
            f"expected {STATEMENT_TYPE!r} and {PREDICATE_TYPE!r}"
        )
    return content


def _descriptors(digests: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"name": name, "digest": {"sha256": digests[name]}} for name in sorted(digests)]


def _names(folder: Path) -> Iterable[str]:
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and name not in {EVIDENCE_FILE, SPENT_FILE}:
            yield name
