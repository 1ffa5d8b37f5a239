"""Where the values of a column lie in a Parquet file, so that they can be read as they are.

A column of numbers that is neither compressed nor coded is a few pages, each a small header, the
levels of nesting, and then the bare numbers one after the other. Where that holds and no value is
null they are read straight into place, many times faster than through a decoder. Where it does
not hold, or is not understood, nothing is claimed and the file goes through the decoder.
"""

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path

Segment = tuple[int, int]
"""Offset and length (bytes) of a run of values in a file."""

_MAGIC = b"PAR1"
_TYPES = {2: 7, 4: 4}  # bytes of a value: physical type, FIXED_LEN_BYTE_ARRAY or FLOAT
_DATA_PAGE = _PLAIN = _UNCOMPRESSED = 0
_GROUPS, _COLUMNS, _CHUNK = 4, 1, 3  # fields of the footer, as its definition numbers
_TYPE, _PATH, _CODEC, _SIZE, _FIRST = 1, 3, 4, 7, 9
_KIND, _LENGTH, _PAGE, _VALUES, _CODING = 1, 3, 5, 1, 2  # of the header of a page
_BROKEN = (IndexError, KeyError, OSError, RecursionError, TypeError, ValueError, struct.error)


def located(path: Path, column: str, *, width: int, n: int) -> list[Segment] | None:
    """Return where the values of a column of fixed-size lists lie, in order.

    Parameters
    ----------
    path
        The Parquet file.
    column
        Its name.
    width
        Bytes of a value: 2 (float16) or 4 (float32).
    n
        How many values there must be: rows times length of a list.

    Returns
    -------
    Nothing where the column is compressed, coded, of another type, holds a null or is not
    understood; then it must go through a decoder.

    References
    ----------
    Apache Parquet, *File format* (parquet.thrift, encodings PLAIN and RLE).

    Examples
    --------
    >>> located(Path("nowhere.parquet"), "vector", width=2, n=8) is None
    True
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            found = [
                segment
                for chunk in _chunks(view, column, width)
                for segment in _segments(view, chunk, width)
            ]
            fits = all(start + size <= len(view) for start, size in found)
    except _BROKEN:
        return None
    return found if fits and sum(size for _, size in found) == n * width else None


def _chunks(view: mmap.mmap, column: str, width: int) -> list[Mapping[int, object]]:
    """Return what the footer says of each chunk of the column."""
    if view[:4] != _MAGIC or view[-4:] != _MAGIC:
        raise ValueError("not Parquet")
    (size,) = struct.unpack("<I", view[-8:-4])
    footer = _Compact(view, len(view) - 8 - size).struct()
    found = []
    for group in _list(footer, _GROUPS):
        for one in _list(_fields(group), _COLUMNS):
            chunk = _fields(_fields(one)[_CHUNK])
            if _list(chunk, _PATH)[0] != column.encode():
                continue
            if chunk[_CODEC] != _UNCOMPRESSED or chunk[_TYPE] != _TYPES[width]:
                raise ValueError("compressed, or of another type")
            found.append(chunk)
    return found


def _segments(view: mmap.mmap, chunk: Mapping[int, object], width: int) -> list[Segment]:
    """Return the values of each page of a chunk; a null leaves fewer bytes than levels."""
    at, found = _number(chunk, _FIRST), []
    end = at + _number(chunk, _SIZE)
    while at < end:
        reader = _Compact(view, at)
        header = reader.struct()
        page = _fields(header[_PAGE])
        if header[_KIND] != _DATA_PAGE or page[_CODING] != _PLAIN:
            raise ValueError("a page that is coded")
        start, stop = reader.at, reader.at + _number(header, _LENGTH)
        for _ in ("repetition", "definition"):
            (levels,) = struct.unpack("<I", view[start : start + 4])
            start += 4 + levels
        if stop - start != _number(page, _VALUES) * width:
            raise ValueError("a page with nulls")
        found.append((start, stop - start))
        at = stop
    return found


def _fields(value: object) -> Mapping[int, object]:
    if not isinstance(value, dict):
        raise TypeError("expected a struct")
    return value


def _list(fields: Mapping[int, object], number: int) -> list[object]:
    value = fields[number]
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value


def _number(fields: Mapping[int, object], number: int) -> int:
    value = fields[number]
    if not isinstance(value, int) or value < 0:
        raise TypeError("expected a size")
    return value


class _Compact:
    """Reads Thrift's compact protocol, in which Parquet writes footer and headers of pages.

    References
    ----------
    Apache Thrift, *Thrift compact protocol encoding*.
    """

    def __init__(self, view: mmap.mmap, at: int) -> None:
        self._view = view
        self.at = at

    def struct(self) -> dict[int, object]:
        """Return the fields of a struct by their numbers."""
        found: dict[int, object] = {}
        number = 0
        while head := self._byte():
            step = head >> 4
            number = number + step if step else self._signed()
            found[number] = self._value(head & 15)
        return found

    def _byte(self) -> int:
        self.at += 1
        return self._view[self.at - 1]

    def _unsigned(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return found

    def _signed(self) -> int:
        folded = self._unsigned()
        return (folded >> 1) ^ -(folded & 1)

    def _value(self, kind: int) -> object:
        if kind in {1, 2}:
            return kind == 1  # a field's type is its truth
        if kind in {4, 5, 6}:
            return self._signed()
        if kind in {3, 7, 8}:
            return self._bytes({3: 1, 7: 8}.get(kind) or self._unsigned())
        if kind in {9, 10}:
            return self._sequence()
        if kind == 12:
            return self.struct()
        raise ValueError(f"type {kind}")

    def _bytes(self, n: int) -> bytes:
        self.at += n
        if self.at > len(self._view):
            raise ValueError("ends early")
        return self._view[self.at - n : self.at]

    def _sequence(self) -> list[object]:
        head = self._byte()
        n = head >> 4 if head >> 4 < 15 else self._unsigned()
        kind = head & 15
        return [self._byte() == 1 if kind in {1, 2} else self._value(kind) for _ in range(n)]
