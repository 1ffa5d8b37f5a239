"""Why a request is not taken at all: nothing is scored, and nothing is logged of it."""

from equipoise.errors import EquipoiseError, InvalidTable, Refused, StorageFailure


class Declined(EquipoiseError):
    """A request that is not taken.

    Parameters
    ----------
    status
        Of HTTP.
    code
        For programs.
    message
        For people; nothing of a header stands in it.
    wait
        After how many seconds it may be tried again, or None.
    hint
        What can be done, or nothing.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        wait: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status, self.code, self.wait = status, code, wait


def declined(error: EquipoiseError) -> Declined:
    """Return what a caller is told of an error that is not the caller's.

    Examples
    --------
    >>> declined(StorageFailure("log of 2026-01-01: cannot be written (No space left)")).status
    503
    """
    if isinstance(error, Declined):
        return error
    if isinstance(error, StorageFailure):
        return Declined(503, "log", "the answer cannot be logged, so it is not given", wait=30.0)
    if isinstance(error, Refused):
        return Declined(503, "override", str(error), hint=error.hint)
    what = "a score" if isinstance(error, InvalidTable) else "a vector"
    return Declined(500, "model", f"the model gave {what} that is no number; nothing was logged")
