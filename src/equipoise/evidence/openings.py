"""How often a test split was looked at: a tally beside the stages, kept over all reruns.

A test split that is opened again and again is used for selection, whatever it is called. The
tally only grows: deleting an audit's folder and running it again is another opening.
"""

from collections.abc import Mapping
from pathlib import Path

from equipoise.errors import InvalidInput
from equipoise.tables import read_json, write_json

OPENINGS_FILE = "test_openings.json"
"""Beside the folders of the stages, not in them: a stage that runs again begins a new folder."""


def openings(folder: Path) -> list[dict[str, object]]:
    """Return a record per opening, the first one first; none if nothing was ever counted.

    Raises
    ------
    InvalidInput
        If the tally cannot be read: it is not begun anew, since that would forget.

    Examples
    --------
    >>> openings(Path("nowhere"))
    []
    """
    path = folder / OPENINGS_FILE
    if not path.is_file():
        return []
    found = read_json(path).get("openings")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidInput(f"{path}: expected a list of openings")
    return [dict(one) for one in found]


def note_opening(folder: Path, record: Mapping[str, object]) -> int:
    """Count one more opening, and return how many there are.

    Parameters
    ----------
    folder
        Where the tally lies: beside the folder of the stage that looked.
    record
        What looked: the folder of the stage, and a digest of what it asked.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> note_opening(folder, {"stage": "audit", "asked": "ab"})
    1
    >>> note_opening(folder, {"stage": "audit", "asked": "cd"})
    2
    """
    found = [*openings(folder), dict(record)]
    write_json(folder / OPENINGS_FILE, {"openings": found})
    return len(found)


def opened(folder: Path) -> dict[str, int] | None:
    """Return how often the test split was opened and for how many different questions, or None.

    Examples
    --------
    >>> opened(Path("nowhere")) is None
    True
    """
    found = openings(folder)
    if not found:
        return None
    return {"times": len(found), "questions": len({str(one.get("asked")) for one in found})}
