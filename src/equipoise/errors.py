"""Every error that Equipoise raises on purpose.

::

    EquipoiseError
    ├── InvalidInput
    │   ├── InvalidTable           a table breaks its contract
    │   ├── InvalidImage           a file is not an image that can be read
    │   ├── InvalidConfiguration   a study, policy or card says what cannot be
    │   └── InvalidEncoder         a model file does not fit its card
    ├── UnknownName                no such metric, encoder, mitigation, stage, …
    ├── StorageFailure             the disk is full, or a place cannot be written
    ├── AlteredEvidence            a file is not what its evidence says
    ├── Refused                    not allowed as things stand: no pass, an expired override
    └── MissingExtra               an optional part of the installation is needed

A message says whose table, which column, what was found and what was expected. What the
reader can do about it stands in ``hint``, which the command line prints on its own line.
"""

import difflib
from collections.abc import Iterable


class EquipoiseError(Exception):
    """The root: catch this one.

    Parameters
    ----------
    message
        One sentence with the offending value in it.
    hint
        What the reader can do, or nothing.
    """

    exit_code = 2
    """With which the command line ends."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InvalidInput(EquipoiseError):
    """Something that was given cannot be used as it is."""


class InvalidTable(InvalidInput):
    """A table breaks its contract."""


class InvalidImage(InvalidInput):
    """A file is not an image that can be read."""


class InvalidConfiguration(InvalidInput):
    """A study, policy or card says what cannot be."""


class InvalidEncoder(InvalidInput):
    """A model file does not fit its card."""


class UnknownName(EquipoiseError):
    """A name that stands for nothing."""


class StorageFailure(EquipoiseError):
    """The disk is full, or a place cannot be written."""


class AlteredEvidence(EquipoiseError):
    """A file is not what its evidence says it is."""


class Refused(EquipoiseError):
    """What was asked for is not allowed as things stand: no pass, no override, an expired one.

    Parameters
    ----------
    message, hint
        As for every error.
    exit_code
        That of the verdict which stands in the way; 2 where none does.
    """

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int = 2) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class MissingExtra(EquipoiseError):
    """An optional part of the installation is needed."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the known word closest to `name`, or nothing.

    Examples
    --------
    >>> nearest("auorc", ["auroc", "brier"])
    "did you mean 'auroc'?"
    >>> nearest("zzz", ["auroc", "brier"]) is None
    True
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else None
