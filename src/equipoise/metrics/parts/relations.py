"""Which arms lie in which, and which are made of which: what counts of any images must keep."""

import numpy as np
import numpy.typing as npt

from equipoise.metrics.groups import known, levels_of, restricted
from equipoise.metrics.parts.agreements import Agreed

Integers = npt.NDArray[np.int64]


def inclusions(agreed: Agreed) -> tuple[Integers, Integers]:
    """Return inner and outer arm of each pair of which one lies in the other.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> table = subgroups({"sex": ["F", "unknown"]})
    >>> agreed = Agreed(table, Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> [found.tolist() for found in inclusions(agreed)]
    [[1, 2, 3, 3, 3], [0, 0, 0, 1, 2]]
    """
    inside = agreed.whole.inside
    outside = inside.astype(np.int64) @ (~inside).T.astype(np.int64)  # cells of one not in other
    within = (outside == 0) & ~np.eye(len(inside), dtype=bool)
    inner, outer = np.nonzero(within)
    return inner.astype(np.int64), outer.astype(np.int64)


def unions(agreed: Agreed) -> list[tuple[int, list[int]]]:
    """Return arms that are made of others, which share no cell, and those others.

    A subgroup is made of the levels of any attribute that it does not restrict; the rest of a
    group of the other known groups of its attributes; a reference of itself.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> agreed = Agreed(table, Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> unions(agreed)
    [(0, [1, 2]), (3, [2]), (4, [1])]
    """
    groups = [dict(group) for group in agreed.compared.subgroups]
    place = {tuple(group.items()): position for position, group in enumerate(groups)}
    made: list[tuple[int, list[int]]] = []
    for position, group in enumerate(groups):
        for attribute, levels in levels_of(agreed.table).items():
            parts = [place.get(tuple({**group, attribute: level}.items())) for level in levels]
            members = [part for part in parts if part is not None]
            if group[attribute] is None and len(members) == len(levels):
                made.append((position, members))
    for contrast in agreed.compared.contrasts:
        mine = restricted(groups[contrast.group])
        alike = [p for p, group in enumerate(groups) if restricted(group) == mine and known(group)]
        if contrast.kind == "rest":
            made.append((contrast.against, [p for p in alike if p != contrast.group]))
        else:
            text = contrast.text
            made.append((contrast.against, [agreed.compared.names.index(text)]))
    return [(arm, members) for arm, members in made if members]
