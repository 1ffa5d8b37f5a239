"""Warnings of one block of code, whatever other threads do meanwhile."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import TextIO

_LOCAL = threading.local()


class _Shared:
    """Python's list of warnings is one for the process: the first comes sets it, the last resets.

    `warnings.catch_warnings` alone, in two threads at once, may put back the wrong list for good;
    then a warning, which may quote a header, goes to stderr.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._inside = 0
        self._before = warnings.catch_warnings()

    def enter(self) -> None:
        with self._guard:
            self._inside += 1
            if self._inside == 1:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.simplefilter("always")
                warnings.showwarning = _noted

    def leave(self) -> None:
        with self._guard:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__(None, None, None)


_SHARED = _Shared()


@contextlib.contextmanager
def recorded() -> Iterator[list[str]]:
    """Give a list that holds the texts of all warnings of this block and this thread.

    Examples
    --------
    >>> with recorded() as said:
    ...     warnings.warn("odd", stacklevel=1)
    >>> said
    ['odd']
    """
    said: list[str] = []
    outer, _LOCAL.said = getattr(_LOCAL, "said", None), said
    _SHARED.enter()
    try:
        yield said
    finally:
        _SHARED.leave()
        _LOCAL.said = outer


def _noted(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Keep a warning for the block of this thread; outside of any there is nobody to tell."""
    del category, filename, lineno, file, line
    said: list[str] | None = getattr(_LOCAL, "said", None)
    if said is not None:
        said.append(str(message))
