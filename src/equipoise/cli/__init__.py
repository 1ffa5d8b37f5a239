"""The command line: it parses, prints and shows progress; the work is done below.

Data goes to stdout, talk to stderr. Exit codes: 0 pass or done, 1 the gate says fail, 2 wrong
use or input, 3 inconclusive or not assessable, 70 a defect of the program.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command ``equipoise`` and exit with its code.

    Parameters
    ----------
    arguments
        The words after ``equipoise``; those of this process by default.
    """
    import typer.main

    from equipoise.cli.application import application
    from equipoise.cli.showing import complain
    from equipoise.errors import EquipoiseError

    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        sys.excepthook = _defect
    try:
        # Calling the application itself would put typer's own hook in place of ours.
        typer.main.get_command(application(words))(args=words, prog_name="equipoise")
    except EquipoiseError as error:
        complain(error)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; finished stages are kept, run again to go on\n")
        raise SystemExit(130) from None


def _defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say that this is our fault, and exit with a code that no verdict has."""
    traceback.print_exception(kind, error, trace)
    sys.stderr.write("this is a defect of Equipoise, not a verdict; finished stages are kept\n")
    sys.stderr.flush()
    os._exit(_DEFECT)


_DEFECT = 70
"""EX_SOFTWARE of sysexits; Python's own 1 would read as the verdict *fail*."""
