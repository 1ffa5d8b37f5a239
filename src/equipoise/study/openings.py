"""Counts how often the stages of a run opened a test split."""

from collections.abc import Mapping
from pathlib import Path

from equipoise import evidence
from equipoise.tables import read_json


def count(made: Path, folder: Path, asked: str) -> None:
    """Count one more opening, beside the stages, if what a stage made says that it looked.

    Parameters
    ----------
    made
        What the stage has made, in a folder that does not stand yet.
    folder
        Where it will stand.
    asked
        Digest of its parameters and inputs.

    Examples
    --------
    >>> import tempfile
    >>> from equipoise.tables import write_json
    >>> made = Path(tempfile.mkdtemp())
    >>> write_json(made / "audit.json", {"split": "test"})
    >>> count(made, made / "audit", "ab")
    >>> evidence.opened(made)
    {'times': 1, 'questions': 1}
    """
    said = made / "audit.json"
    if said.is_file() and read_json(said).get("split") == "test":
        evidence.note_opening(folder.parent, {"stage": folder.name, "asked": asked})


def read_by(kind: str, given: Mapping[str, Path]) -> dict[str, Path]:
    """Return the tally, if the stage is one that tells it: a report is stale once it has grown.

    Parameters
    ----------
    kind
        The stage.
    given
        Noun → folder of the stage that gave it.

    Examples
    --------
    >>> read_by("report", {"estimates": Path("nowhere/audit")})
    {}
    """
    if kind != "report" or "estimates" not in given:
        return {}
    path = given["estimates"].parent / evidence.OPENINGS_FILE
    return {"test_openings": path} if path.is_file() else {}
