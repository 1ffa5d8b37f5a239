"""The log of requests, written: a line is whole on its way to the disk before anybody is answered.

Each append is one write, all or nothing: where the disk is full, what was begun is cut off again,
and the caller hears of it.
"""

import contextlib
import datetime as dt
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from equipoise.errors import InvalidInput, StorageFailure
from equipoise.tables.files import make_folder
from equipoise.tables.requests import FILES, belongs, header, line_of, readable

_BLOCK = 1 << 16
_LOCK = ".requests.lock"
Lines = Sequence[tuple[dt.datetime, Mapping[str, object]]]


class RequestLog:
    """Appends answered requests to a folder, a file a day (UTC).

    Opening a folder whose last writer was killed mends it first: a last line without its end is
    moved to a file beside it (``requests-<day>-<n>.torn``), so that nothing is lost.

    Parameters
    ----------
    folder
        Made if need be, readable by its owner only.
    bundle
        Digest of the bundle that answers.
    salt
        Id of the site key; not the key.

    Raises
    ------
    InvalidInput
        If the folder holds the log of another bundle or site key, or another process writes there.
    StorageFailure
        If it cannot be written.
    """

    def __init__(self, folder: Path, *, bundle: str, salt: str) -> None:
        self._folder, self._bundle, self._salt = _private(folder), bundle, salt
        self._day: dt.date | None = None
        self._file = -1
        self._size = 0
        self._guard = _locked(self._folder)
        try:
            self.torn = sum(_mended(path) for path in sorted(folder.glob(FILES)))
            for path in sorted(folder.glob(FILES)):
                self._check(path)
        except BaseException:
            self.close()
            raise

    def append(self, lines: Lines) -> None:
        """Write rows, each with its time (UTC), in the order given.

        Raises
        ------
        StorageFailure
            If the disk is full or the file cannot be written. Rows of the same day are then all
            absent; none is torn.
        """
        for day, some in itertools.groupby(lines, key=lambda one: one[0].astimezone(dt.UTC).date()):
            content = b"".join(line_of(_stamped(row, at)) for at, row in some)
            with self._failures(day):
                if day != self._day or self._file < 0:
                    self._turn(day)
                self._write(content)

    def close(self) -> None:
        """Bring all to the disk and let the folder go."""
        with contextlib.suppress(OSError):
            self._leave()
        if self._guard >= 0:
            os.close(self._guard)
            self._guard = -1

    def _check(self, path: Path) -> None:
        with path.open("rb") as file:
            salt = belongs(file.readline(), path, bundle=self._bundle)
        if salt != self._salt:
            raise InvalidInput(
                f"{path}: was written under site key {salt}; the key given is {self._salt}",
                hint="with another key each patient would be two: give the first key, or begin a "
                "new log folder",
            )

    def _turn(self, day: dt.date) -> None:
        """Begin or go on with the file of a day."""
        self._leave()
        path = self._folder / f"requests-{day:%Y%m%d}.jsonl"
        self.torn += _mended(path) if path.exists() else 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size
        if not self._size:
            try:
                self._write(line_of(header(self._bundle, self._salt)))
            except OSError:
                self._leave()
                raise
            os.fsync(self._file)
            _sync_folder(self._folder)
        self._day = day

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            self._cut_off()
            raise
        self._size += len(content)

    def _cut_off(self) -> None:
        try:
            os.ftruncate(self._file, self._size)
        except OSError:  # then the next append opens the file anew, and mends it first
            with contextlib.suppress(OSError):
                self._leave()

    def _leave(self) -> None:
        if self._file < 0:
            return
        file, self._file, self._day = self._file, -1, None
        try:
            os.fsync(file)
        finally:
            os.close(file)

    @contextlib.contextmanager
    def _failures(self, day: dt.date) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageFailure(
                f"log of {day}: cannot be written ({error.strerror or error}); "
                "the request is not answered",
                hint="free some space: nothing is answered that is not logged",
            ) from error


def _stamped(row: Mapping[str, object], at: dt.datetime) -> dict[str, object]:
    return {"at": at.astimezone(dt.UTC).isoformat(timespec="microseconds"), **row}


def _private(folder: Path) -> Path:
    """Make a folder that its owner alone can read; one that is there already stays as it is."""
    make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except OSError:  # it is there, or cannot be made: then this says why
        make_folder(folder)
    return folder


def _locked(folder: Path) -> int:
    """Hold the folder against a second writer, for as long as this process lives."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where a second writer is not found out
        return -1
    try:
        guard = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageFailure(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(guard)
        raise InvalidInput(
            f"{folder}: another process writes this log",
            hint="stop it first, or give another log folder",
        ) from error
    return guard


def _mended(path: Path) -> int:
    """Move what is left of a last line to a file beside; return whether there was any.

    A line that lacks nothing but its end gets it.
    """
    try:
        with path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            start = _last_break(file.fileno(), end)
            if start == end:
                if not end:
                    path.unlink()
                return 0
            rest = os.pread(file.fileno(), end - start, start)
            if start and readable(rest):
                file.write(b"\n")
                return 0
            _keep(path, rest)
            file.truncate(start)
            os.fsync(file.fileno())
        if not start:
            path.unlink()
    except OSError as error:
        raise StorageFailure(f"{path}: cannot be mended ({error.strerror or error})") from error
    return 1


def _last_break(file: int, end: int) -> int:
    """Return where the last whole line ends."""
    place = end
    while place > 0:
        begin = max(0, place - _BLOCK)
        found = os.pread(file, place - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        place = begin
    return 0


def _keep(path: Path, rest: bytes) -> None:
    numbers = itertools.count(1)  # an earlier one may have been taken away since
    places = (path.with_name(f"{path.stem}-{number}.torn") for number in numbers)
    aside = next(place for place in places if not place.exists())
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, rest)
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file on the disk too; not every system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
