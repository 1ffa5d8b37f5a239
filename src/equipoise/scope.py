"""What a stage is given of its surroundings: progress, caches, workers, and where paths start.

Nothing below ``cli`` reads the environment, a clock or the working directory; it is handed in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; total 0 means not known."""


def silent(what: str, done: int, total: int) -> None:
    """Show no progress.

    Examples
    --------
    >>> silent("images", 1, 2)
    """
    del what, done, total


@dataclass(frozen=True, slots=True)
class Scope:
    """The surroundings of one run of one stage.

    Parameters
    ----------
    base
        Folder from which relative paths in the options start (that of the study file).
    cache
        Folder for what may be kept between runs and thrown away at any time.
    workers
        Processes that may work at once, at least 1.
    progress
        Told how far the stage is.
    rank, world_size
        Which of how many processes, started from outside as by torchrun, that share the work of a
        stage which can be shared.
    local_rank
        Which of those on this machine: it takes the GPU of that number.
    """

    base: Path = field(default_factory=Path)
    cache: Path | None = None
    workers: int = 1
    progress: Progress = silent
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    def resolve(self, path: str | Path) -> Path:
        """Return `path` as seen from `base`; an absolute path stays.

        Examples
        --------
        >>> Scope(base=Path("studies")).resolve("data.csv").as_posix()
        'studies/data.csv'
        """
        return self.base / path
