"""The command line: it parses, prints and shows progress; the work is done below.

Data goes to stdout, talk to stderr. Exit codes: 0 pass or done, 1 the gate says fail, 2 wrong
use or input, 3 inconclusive or not assessable.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command ``equipoise`` and exit with its code.

    Parameters
    ----------
    arguments
        The words after ``equipoise``; those of this process by default.
    """
    from equipoise.cli.application import application
    from equipoise.cli.showing import complain
    from equipoise.errors import EquipoiseError

    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        application(words)(args=words, prog_name="equipoise")
    except EquipoiseError as error:
        complain(error)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; finished stages are kept, run again to go on\n")
        raise SystemExit(130) from None
