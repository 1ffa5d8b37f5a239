"""Files that are either whole or not there: written aside, then renamed."""

import contextlib
import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from equipoise.errors import InvalidInput, StorageFailure

_CHUNK = 1 << 20


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the name of `path` once all is written.

    Parameters
    ----------
    path
        Where the whole file shall stand. Its folder is made if need be.

    Raises
    ------
    StorageFailure
        If the disk is full or the place cannot be written. Nothing is left behind, and a file
        that stood at `path` before still stands.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with aside(target) as partial:
    ...     _ = partial.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
    except OSError as error:
        raise _failure(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Make a folder and those above it, and return it.

    Raises
    ------
    StorageFailure
        If it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> make_folder(Path(tempfile.mkdtemp()) / "a" / "b").name
    'b'
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _failure(path, error) from error
    return path


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> write_bytes(Path(tempfile.mkdtemp()) / "a", b"1")
    """
    with aside(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    r"""Write UTF-8 text with ``\n`` line ends on every system, whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> write_text(Path(tempfile.mkdtemp()) / "a.txt", "one")
    """
    write_bytes(path, content.encode())


def write_json(path: Path, content: object) -> None:
    """Write readable JSON with sorted keys; NaN is refused.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.json"
    >>> write_json(path, {"b": 1, "a": None})
    >>> list(read_json(path))
    ['a', 'b']
    """
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, object]:
    """Return the object in a JSON file.

    Raises
    ------
    InvalidInput
        If the file is absent or is not a JSON object.

    Examples
    --------
    >>> read_json(Path("nowhere.json"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere.json: no such file
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidInput(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path}: holds a {type(content).__name__}; expected an object")
    return content


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a"
    >>> write_bytes(path, b"")
    >>> file_digest(path)[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Have the content on the disk before the name changes, so that a power cut leaves no shell."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _failure(path: Path, error: OSError) -> StorageFailure:
    in_the_way = error.errno in {errno.EEXIST, errno.ENOTDIR}
    return StorageFailure(
        f"{path}: cannot be written ({error.strerror or error}); nothing was changed",
        hint="a file stands where a folder is needed: choose another folder"
        if in_the_way
        else "free some space or choose another folder, then run again: finished stages are kept",
    )
