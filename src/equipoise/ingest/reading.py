"""Files read one batch after the other: pixels go to disk at once, rows stay."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from equipoise.errors import InvalidImage, InvalidTable
from equipoise.images import Decoded, Frame, decoded
from equipoise.ingest.leaving import Left, counted
from equipoise.ingest.options import Options
from equipoise.scope import Scope
from equipoise.tables import aside

_STEP = 16

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall be read, and what its rows will be.

    Parameters
    ----------
    folder
        Where the paths start.
    paths
        The files, in the order of the rows.
    row
        Makes the row of a file, or says why it leaves.
    known
        What is known of a file that cannot be read.
    left
        What left before anything was read.
    leftover
        What is seen to leave once all is read.
    columns
        Attributes and findings that the rows will have beside the usual columns, with the sources
        of the labels.
    notes
        What is odd in the table but does no harm → in how many rows.
    """

    folder: Path
    paths: Sequence[str]
    row: Callable[[Decoded, str], Row | Left]
    known: Callable[[str], Row]
    left: list[Left]
    leftover: Callable[[], list[Left]]
    columns: Sequence[str]
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a plan.

    Parameters
    ----------
    rows
        Of the cohort, in the order of the files; row i has the pixels i.
    left
        What left, and why.
    notes
        What was odd but did no harm → in how many files.
    """

    rows: list[Row] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


def read(plan: Plan, options: Options, pixels: Path, scope: Scope) -> Read:
    """Decode files into ``images.npy`` and make their rows, in the order of the plan.

    Raises
    ------
    InvalidImage
        If no file could be read, with the reasons counted.
    InvalidTable
        If two files share an image id.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> plan = Plan(place, ["a.png"], lambda one, path: {}, lambda path: {}, [], list, [])
    >>> read(plan, Options(), place / "images.npy", Scope())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidImage: ingest: no image of ... could be used (1 not readable): ...
    """
    found = Read(left=list(plan.left), notes=Counter(plan.notes))
    files = [plan.folder / path for path in plan.paths]
    frame = options.frame
    with aside(pixels) as partial, partial.open("wb") as file:
        _write_header(file, frame, len(files))
        stream = decoded(files, form=options.format, frame=frame, workers=scope.workers)
        for done, (path, one) in enumerate(zip(plan.paths, stream, strict=True), start=1):
            made = _made(one, path, plan)
            if isinstance(made, Left):
                found.left.append(made)
            elif one.pixels is not None:
                found.rows.append({**made, "pixel_digest": one.pixel_digest})
                found.notes.update(one.notes)
                file.write(one.pixels.tobytes())
            if done % _STEP == 0 or done == len(files):
                scope.progress("images", done, len(files))
        found.left.extend(plan.leftover())
        if not found.rows:
            raise _nothing(found.left, plan.folder, options)
        _check_ids(found.rows)
        _write_header(file, frame, len(found.rows))
    return found


def _made(one: Decoded, path: str, plan: Plan) -> Row | Left:
    if one.failure is not None:
        return Left(path, "not readable", one.failure, plan.known(path))
    return plan.row(one, path)


def _write_header(file: BinaryIO, frame: Frame, n: int) -> None:
    """Write the header of a ``.npy`` file at its start; numpy leaves room in it for any `n`."""
    file.seek(0)
    shape = (n, *frame.shape)
    said = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, said)


def _check_ids(rows: Sequence[Row]) -> None:
    places: dict[object, list[object]] = {}
    for row in rows:
        places.setdefault(row["image_id"], []).append(row["path"])
    twice = {image: files for image, files in places.items() if len(files) > 1}
    if twice:
        image, files = next(iter(twice.items()))
        named = ", ".join(str(path) for path in files[:3])
        more = f" (and {len(twice) - 1} more such ids)" if len(twice) > 1 else ""
        raise InvalidTable(
            f"cohort: {len(files)} files share image id '{image}': {named}{more}; "
            "expected one file each",
            hint="leave all but one of them out of the folder",
        )


def _nothing(left: Sequence[Left], folder: Path, options: Options) -> InvalidImage:
    reasons = Counter(one.reason for one in left).most_common(4)
    named = "; ".join(f"{n} × {reason}" for reason, n in reasons)
    by_rule = ", ".join(f"{n} {rule}" for rule, n in counted(left).items())
    return InvalidImage(
        f"ingest: no image of {folder} could be used ({by_rule}): {named}",
        hint=f"see whether this is the folder meant, and its format '{options.format}'",
    )
