"""A bundle as one zip: written the same every time, and never unpacked outside its folder."""

import errno
import shutil
import stat
import uuid
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from equipoise.errors import InvalidInput, StorageFailure
from equipoise.evidence import EVIDENCE_FILE
from equipoise.tables import aside, file_digest, make_folder

MOST_FILES = 10_000
MOST_BYTES = 8 << 30
"""Above either, an archive is not unpacked."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
_EPOCH = (1980, 1, 1, 0, 0, 0)


def packed(folder: Path, path: Path) -> None:
    """Write all files of a folder to a zip whose bytes depend on nothing but theirs.

    Parameters
    ----------
    folder
        The bundle.
    path
        The zip.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = make_folder(place / "a").joinpath("b.txt").write_text("c")
    >>> packed(place / "a", place / "a.zip")
    >>> zipfile.ZipFile(place / "a.zip").namelist()
    ['b.txt']
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    with aside(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for file in files:
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, file.read_bytes())


def unpacked(path: Path, cache: Path) -> Path:
    """Return the folder with the content of a zip, unpacked into a cache once.

    Parameters
    ----------
    path
        The zip.
    cache
        Where it is unpacked, in a folder that its digest names.

    Raises
    ------
    InvalidInput
        If it is no zip, or holds an absolute path, a path that leaves the folder, a link, too
        many files or too many bytes. Nothing is unpacked then.
    StorageFailure
        If the cache cannot be written.

    Examples
    --------
    >>> unpacked(Path("nowhere.zip"), Path())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: nowhere.zip: cannot be read (No such file or directory)
    """
    target = cache / "bundles" / file_digest(path)
    if (target / EVIDENCE_FILE).is_file():
        return target
    make_folder(target.parent)
    partial = target.with_name(f".{target.name[:16]}-{uuid.uuid4().hex[:8]}")
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path)
            archive.extractall(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFailure(f"{cache}: cannot be written ({error.strerror})") from error
        raise InvalidInput(f"{path}: cannot be unpacked ({error.strerror or error})") from error
    except _BROKEN as error:
        raise InvalidInput(f"{path}: not readable as a zip ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    members = archive.infolist()
    if len(members) > MOST_FILES:
        raise InvalidInput(f"{path}: {len(members)} files; expected at most {MOST_FILES}")
    size = sum(member.file_size for member in members)
    if size > MOST_BYTES:
        raise InvalidInput(f"{path}: {size} bytes unpacked; expected at most {MOST_BYTES}")
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if _escapes(name):
            raise InvalidInput(
                f"{path}: holds '{name}', which would be written outside its folder; nothing was "
                "unpacked",
                hint="do not use this bundle: ask who made it",
            )
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise InvalidInput(f"{path}: '{name}' is compressed in a way that is not taken")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise InvalidInput(f"{path}: holds '{name}', a link or device; nothing was unpacked")
        if name.lower() in seen:
            raise InvalidInput(f"{path}: holds '{name}' twice; nothing was unpacked")
        seen.add(name.lower())


def _escapes(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "\\" in name or ":" in name or name.startswith("/") or not parts or ".." in parts
