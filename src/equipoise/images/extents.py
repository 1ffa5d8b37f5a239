"""How large a picture will be, read before it is decoded: bytes from outside may ask for anything.

A few hundred bytes can stand for gigabytes of pixels. What a service takes is bounded here.
"""

import re
import struct

from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import UID, RLELossless

from equipoise.errors import InvalidImage

_DEFLATED = re.compile(  # the element TransferSyntaxUID, however its length is written
    rb"\x02\x00\x10\x00.{4,8}1\.2\.840\.10008\.1\.2\.1\.99", re.DOTALL
)
_START = 1 << 16
"""Where the size of a compressed picture must stand (bytes from the start of its pixels)."""

_J2K = b"\xff\x4f\xff\x51"
_FRAMES = {  # of JPEG: what begins a frame; of JPEG-LS: 0xF7
    *range(0xC0, 0xC4),
    *range(0xC5, 0xC8),
    *range(0xC9, 0xCC),
    *range(0xCD, 0xD0),
    0xF7,
}


def bounded(rows: int, columns: int, most: int | None) -> None:
    """Refuse a picture of more than `most` pixels; None refuses nothing.

    Raises
    ------
    InvalidImage
        If it has more.

    Examples
    --------
    >>> bounded(100_000, 100_000, 1_000_000)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidImage: image of 100000 x 100000 pixels; at most 1000000 are taken
    """
    if most is not None and rows * columns > most:
        raise InvalidImage(f"image of {rows} x {columns} pixels; at most {most} are taken")


def bounded_dataset(dataset: Dataset, most: int) -> None:
    """Refuse a DICOM whose pixels, by its header or by themselves, are more than `most`.

    Raises
    ------
    InvalidImage
        If they are more, or the compressed pixels are of another size than the header says.
    """
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    bounded(rows, columns, most)
    syntax = UID(str(dataset.file_meta.TransferSyntaxUID))
    if not syntax.is_compressed:
        return
    if syntax == RLELossless:
        _bounded_rle(dataset, rows * columns)
        return
    start = bytes(dataset.PixelData[:_START])
    found = _jpeg2000(start) or _jpeg(start)
    if not found:
        raise InvalidImage("compressed pixels do not begin with their size")
    for high, wide in found:
        if (high, wide) != (rows, columns):
            raise InvalidImage(
                f"compressed pixels of {high} x {wide}; the header says {rows} x {columns}"
            )


def _bounded_rle(dataset: Dataset, pixels: int) -> None:
    """Refuse run lengths that unpack to more than the header says: a byte may stand for 64."""
    samples = int(dataset.get("SamplesPerPixel") or 1)
    planes = samples * (int(dataset.get("BitsAllocated") or 16) // 8)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    n, *offsets = struct.unpack("<16L", frame[:64])
    if n != planes:
        raise InvalidImage(f"run-length pixels of {n} planes; the header says {planes}")
    ends = [*offsets[1:n], len(frame)]
    for start, end in zip(offsets[:n], ends, strict=True):
        if _unpacked(frame[start:end], pixels) > pixels + 1:  # a plane is padded to an even length
            raise InvalidImage(f"run-length pixels unpack to more than the {pixels} of the header")


def _unpacked(plane: bytes, most: int) -> int:
    """Return to how many bytes a plane unpacks, counted no further than above `most`."""
    place = total = 0
    while place < len(plane) and total <= most + 1:
        code = plane[place]
        total += code + 1 if code < 128 else 257 - code if code > 128 else 0
        place += code + 2 if code < 128 else 2 if code > 128 else 1
    return total


def not_deflated(content: bytes) -> None:
    """Refuse a DICOM that is compressed as a whole: reading its header would unpack all of it.

    Raises
    ------
    InvalidImage
        If it is.
    """
    if _DEFLATED.search(content):
        raise InvalidImage("DICOM in the deflated transfer syntax is not taken here")


def _jpeg2000(content: bytes) -> list[tuple[int, int]]:
    """Return (rows, columns) of each JPEG 2000 codestream that begins in `content`."""
    found, place = [], content.find(_J2K)
    while 0 <= place <= len(content) - 24:
        width, height, left, top = struct.unpack(">4I", content[place + 8 : place + 24])
        found.append((max(0, height - top), max(0, width - left)))
        place = content.find(_J2K, place + 4)
    return found


def _jpeg(content: bytes) -> list[tuple[int, int]]:
    """Return (rows, columns) of the JPEG or JPEG-LS frame that begins in `content`."""
    place = content.find(b"\xff\xd8\xff")
    while 0 <= place + 2 <= len(content) - 9:
        place += 2
        if content[place] != 0xFF:
            return []
        kind = content[place + 1]
        if kind in _FRAMES:
            height, width = struct.unpack(">HH", content[place + 5 : place + 9])
            return [(height, width)]
        place += struct.unpack(">H", content[place + 2 : place + 4])[0]
    return []
