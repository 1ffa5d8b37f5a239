"""From a name in a file to the code it stands for.

A family is a dict of name → ``"module:function"``; listing it imports nothing. A study may
also give its own ``"module:function"`` in place of a name.
"""

import importlib
from collections.abc import Callable, Mapping

from equipoise.errors import UnknownName, nearest


def names(family: Mapping[str, str]) -> list[str]:
    """Return the names of a family, sorted, importing nothing.

    Examples
    --------
    >>> names({"b": "json:loads", "a": "json:dumps"})
    ['a', 'b']
    """
    return sorted(family)


def load(name: str, family: Mapping[str, str], *, kind: str) -> Callable[..., object]:
    """Return the function that `name` stands for.

    Parameters
    ----------
    name
        A name of the family, or ``"module:function"``.
    family
        Name → ``"module:function"``.
    kind
        What the family holds, for the message: ``"encoder"``, ``"mitigation"``.

    Raises
    ------
    UnknownName
        If the name is not in the family and names no function that can be imported.

    Examples
    --------
    >>> load("dumps", {"dumps": "json:dumps"}, kind="writer")([1])
    '[1]'
    """
    address = family.get(name, name)
    if ":" not in address:
        known = ", ".join(names(family))
        raise UnknownName(f"no {kind} '{name}'; known: {known}", hint=nearest(name, family))
    module, _, attribute = address.partition(":")
    try:
        found: Callable[..., object] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownName(f"{kind} '{name}': cannot import '{address}' ({error})") from error
    return found
