"""Which files a folder holds."""

import os
from collections.abc import Collection
from pathlib import Path

from equipoise.errors import InvalidInput


def listed(folder: Path, *, without: Collection[Path] = ()) -> list[str]:
    """Return the paths of all files in a folder and below, with ``/``, sorted.

    Parameters
    ----------
    folder
        Where to look; links to folders are not followed.
    without
        Files that are known to be something else, as the table of the images.

    Raises
    ------
    InvalidInput
        If there is no such folder or it holds no file.

    Examples
    --------
    >>> listed(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: ingest: no folder nowhere
    """
    if not folder.is_dir():
        raise InvalidInput(f"ingest: no folder {folder}")
    left_out = {path.resolve() for path in without}
    found = [
        path.relative_to(folder).as_posix()
        for root, _, names in os.walk(folder)
        for path in (Path(root) / name for name in names)
        if not left_out or path.resolve() not in left_out
    ]
    if not found:
        raise InvalidInput(f"ingest: folder {folder} holds no files")
    return sorted(found)
