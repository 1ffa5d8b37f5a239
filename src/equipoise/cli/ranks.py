"""Which process this is of several that a launcher such as torchrun started."""

from collections.abc import Mapping
from dataclasses import dataclass

from equipoise.errors import InvalidConfiguration


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process of several.

    Parameters
    ----------
    rank, world_size
        Which of how many.
    local_rank, local_world_size
        The same on this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1


def ranks(environment: Mapping[str, str]) -> Ranks:
    """Return what ``RANK``, ``WORLD_SIZE`` and their local ones say; alone where they say nothing.

    Raises
    ------
    InvalidConfiguration
        If one is no number, or a rank is not below its size.

    Examples
    --------
    >>> ranks({"RANK": "1", "WORLD_SIZE": "2"})
    Ranks(rank=1, world_size=2, local_rank=1, local_world_size=2)
    >>> ranks({})
    Ranks(rank=0, world_size=1, local_rank=0, local_world_size=1)
    """
    size = _number(environment, "WORLD_SIZE", 1)
    rank = _number(environment, "RANK", 0)
    local_size = _number(environment, "LOCAL_WORLD_SIZE", size)
    local = _number(environment, "LOCAL_RANK", rank % max(local_size, 1))
    for name, one, of in (("RANK", rank, size), ("LOCAL_RANK", local, local_size)):
        if not 0 <= one < of:
            raise InvalidConfiguration(
                f"environment: {name}={one} of {of}; expected 0 to {of - 1}",
                hint="start it with torchrun, or unset RANK and WORLD_SIZE",
            )
    return Ranks(rank, size, local, local_size)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    said = environment.get(name, "")
    if not said:
        return default
    try:
        return int(said)
    except ValueError as error:
        raise InvalidConfiguration(f"environment: {name}={said!r}; expected a number") from error
