"""Counts by group that can be shown, while a count of a few would tell of somebody.

Whoever reads the metrics twice sees what came between. So what a group adds is held back until
there are enough of it; and where one group is held back, so is another, since the total less all
groups that are shown would tell.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Group = tuple[str, str]
Cell = tuple[str, ...]


def shown(waiting: Mapping[str, int], minimum: int) -> set[str]:
    """Return the levels of one attribute whose new requests may be shown together.

    Each has at least `minimum`, and what is left is nothing, or at least `minimum` over two or
    more levels: neither a level nor the rest of the total tells of fewer.

    Parameters
    ----------
    waiting
        Level → new requests since it was last shown.
    minimum
        The fewest that are shown.

    References
    ----------
    Hundepool et al. 2012, *Statistical Disclosure Control*, section 4.2 (secondary suppression).

    Examples
    --------
    >>> sorted(shown({"F": 9, "M": 7, "unknown": 0}, 5))
    ['F', 'M']
    >>> sorted(shown({"F": 9, "M": 7, "unknown": 1}, 5))
    ['F']
    >>> shown({"F": 9, "M": 3}, 5)
    set()
    """
    some = sorted((n, level) for level, n in waiting.items() if n)
    held = [one for one in some if one[0] < minimum]
    rest = [one for one in some if one[0] >= minimum]
    while rest and held and (len(held) < 2 or sum(n for n, _ in held) < minimum):
        held.append(rest.pop(0))
    return {level for _, level in rest}


class Ledger:
    """Counts by declared group, of which only what may be shown is shown.

    Parameters
    ----------
    attributes
        Attribute → its declared levels.
    minimum
        The fewest new requests of a group that are shown.
    """

    def __init__(self, attributes: Mapping[str, Sequence[str]], minimum: int) -> None:
        self._minimum = minimum
        self._waiting: dict[str, dict[str, Counter[Cell]]] = {
            name: {level: Counter() for level in levels} for name, levels in attributes.items()
        }
        self._new = {name: dict.fromkeys(levels, 0) for name, levels in attributes.items()}
        self.shown: dict[Group, Counter[Cell]] = {
            (name, level): Counter() for name, levels in attributes.items() for level in levels
        }

    def add(self, groups: Mapping[str, str], cells: Iterable[Cell]) -> None:
        """Count one request of these groups in each of the cells."""
        some = list(cells)
        for name, levels in self._waiting.items():
            level = groups[name]
            levels[level].update(some)
            self._new[name][level] += 1

    def release(self) -> None:
        """Show what may be shown by now."""
        for name, new in self._new.items():
            for level in shown(new, self._minimum):
                self.shown[name, level].update(self._waiting[name][level])
                self._waiting[name][level].clear()
                new[level] = 0
