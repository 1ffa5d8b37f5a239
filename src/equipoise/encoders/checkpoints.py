"""Which tensors of a checkpoint are the network's: none is left out without being named.

A tensor that nobody reads may be one that the network needs under another name, as of an adapter
or of the other of two towers; so what a checkpoint holds beside the network is said in its card.
"""

from collections.abc import Iterable
from typing import Any

from equipoise.encoders.networks import Weights, listed, take
from equipoise.errors import InvalidEncoder


def fill(
    module: Any, given: Weights, *, prefix: str = "", drop: Iterable[str] = (), where: str
) -> None:
    """Put weights into a network, once every tensor of the checkpoint is accounted for.

    Parameters
    ----------
    module
        The network.
    given
        The whole checkpoint.
    prefix, drop
        As of `part_of`.
    where
        What the network is called, for messages.

    Raises
    ------
    InvalidEncoder
        As of `part_of`; or with the names that are missing or unexpected, or of another shape.
    """
    wanted = list(module.state_dict())
    part = part_of(given, wanted, prefix=prefix, drop=drop)
    try:
        take(module, part, where=where)
    except InvalidEncoder as error:
        hint = _hint(given, wanted, prefix)
        if hint is None:
            raise
        raise InvalidEncoder(str(error), hint=hint) from error


def part_of(
    given: Weights, wanted: Iterable[str], *, prefix: str = "", drop: Iterable[str] = ()
) -> Weights:
    """Return the tensors of one network in a checkpoint, under the network's own names.

    Parameters
    ----------
    given
        The whole checkpoint.
    wanted
        The names in the network, for the hint.
    prefix
        What stands before them, as ``module.encoder_q.``.
    drop
        How the names begin that are of no use: of those with the prefix without it, of others
        as they are.

    Raises
    ------
    InvalidEncoder
        If no name begins with the prefix, or one without it is not in *drop*.

    Examples
    --------
    >>> from pathlib import Path
    >>> moco = Weights({"q.conv": 1, "q.fc": 2, "queue": 3}, "0" * 64, Path("moco.pth"))
    >>> dict(part_of(moco, ["conv"], prefix="q.", drop=["fc", "queue"]).tensors)
    {'conv': 1}
    >>> part_of(moco, ["conv"], prefix="q.", drop=["fc"])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: moco.pth: has beside the prefix 'q.' 'queue'
    """
    left = tuple(drop) or ("\0",)
    inside = {
        name.removeprefix(prefix): one
        for name, one in given.tensors.items()
        if name.startswith(prefix)
    }
    if not inside:
        raise InvalidEncoder(
            f"{given.path}: no name begins with the prefix '{prefix}'; got "
            f"{listed(list(given.tensors))}",
            hint=_hint(given, list(wanted), prefix),
        )
    outside = [name for name in given.tensors if not name.startswith((prefix, *left))]
    if outside:
        raise InvalidEncoder(
            f"{given.path}: has beside the prefix '{prefix}' {listed(outside)}",
            hint="if the network needs none of them, say how they begin as 'drop' in the card's "
            "arguments",
        )
    kept = {name: one for name, one in inside.items() if not name.startswith(left)}
    return Weights(kept, given.digest, given.path)


def prefixes(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return what stands before all of a network's names somewhere in a checkpoint.

    Examples
    --------
    >>> prefixes(["teacher.w", "teacher.b", "student.w", "student.b", "b"], ["w", "b"])
    ['teacher.', 'student.']
    """
    have, need = list(names), list(wanted)
    if not need:
        return []
    known = set(have)
    longest = max(need, key=len)
    tried = [name.removesuffix(longest) for name in have if name.endswith(longest)]
    return [one for one in tried if all(one + name in known for name in need)]


def _hint(given: Weights, wanted: list[str], prefix: str) -> str | None:
    found = [one for one in prefixes(given.tensors, wanted) if one != prefix]
    told = " or ".join(f"'{one}'" for one in found)
    return f"say prefix: {told} in the card's arguments" if found else None
