"""What is compared with what: each group against a declared reference, or against the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidConfiguration, nearest
from equipoise.metrics.counts import groups_inside
from equipoise.metrics.groups import UNKNOWN, Cells, Subgroup, known, levels_of, named, restricted

Flags = npt.NDArray[np.bool_]
Against = Literal["rest", "overall"]


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference of two arms.

    Parameters
    ----------
    group, against
        Rows of `Arms.inside`.
    kind
        Whether `against` is a declared reference, the rest, or everybody.
    text
        `against` in words, for the estimates.
    """

    group: int
    against: int
    kind: Literal["reference", "rest", "overall"]
    text: str


@dataclass(frozen=True, slots=True)
class Arms:
    """Declared subgroups, and after them what they are compared with, as unions of cells.

    Parameters
    ----------
    inside
        Shape ``(arms, cells)``. The first rows are those of the table *subgroups*.
    names
        Each arm in words.
    contrasts
        All that is compared.
    subgroups
        The rows of the table *subgroups*, a level or None per attribute.
    """

    inside: Flags
    names: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    subgroups: tuple[Subgroup, ...]


def arms(
    table: pl.DataFrame,
    atomic: Cells,
    references: Mapping[str, str],
    *,
    against: Against = "rest",
) -> Arms:
    """Return the arms and contrasts of declared subgroups.

    A level is compared with the declared reference of its attribute, or else with all other
    known levels of it; an intersection with all others whose attributes are known. *Unknown*
    is compared with nothing, and nothing with it. Against *overall* it is compared with everybody,
    itself and *unknown* too.

    Parameters
    ----------
    table
        The table *subgroups*.
    atomic
        The cells that occur.
    references
        Attribute → the level with which the others are compared.
    against
        What a group is compared with where no reference is declared.

    Raises
    ------
    InvalidConfiguration
        If a reference is not declared.

    Examples
    --------
    >>> from equipoise.metrics.groups import cells, subgroups
    >>> table = subgroups({"sex": ["F", "M", "unknown"]})
    >>> found = arms(table, cells(pl.DataFrame({"sex": ["F", "M"]}), table), {"sex": "M"})
    >>> [(found.names[c.group], c.kind, c.text) for c in found.contrasts]
    [('sex=F', 'reference', 'sex=M')]
    """
    _check_references(levels_of(table), references)
    groups = tuple(table.drop("exploratory").iter_rows(named=True))
    names = [named(group) for group in groups]
    inside = list(groups_inside(table, atomic))
    contrasts: list[Contrast] = []
    for position, group in enumerate(groups):
        attributes = restricted(group)
        reference = references.get(attributes[0]) if len(attributes) == 1 else None
        if not attributes or not known(group) or group[attributes[0]] == reference:
            continue
        if reference is not None:
            text = named({attributes[0]: reference})
            contrasts.append(Contrast(position, names.index(text), "reference", text))
        elif against == "overall":
            contrasts.append(Contrast(position, names.index("everybody"), "overall", "everybody"))
        else:
            contrasts.append(Contrast(position, len(inside), "rest", "rest"))
            inside.append(atomic.known(attributes) & ~inside[position])
            names.append(f"the rest of {named(group)}")
    stacked = np.array(inside, dtype=bool).reshape(len(inside), atomic.n)
    return Arms(stacked, tuple(names), tuple(contrasts), groups)


def _check_references(declared: Mapping[str, list[str]], references: Mapping[str, str]) -> None:
    for attribute, level in references.items():
        if attribute not in declared:
            raise InvalidConfiguration(
                f"references: no attribute '{attribute}'; declared: {', '.join(declared)}",
                hint=nearest(attribute, declared),
            )
        if level not in declared[attribute] or level == UNKNOWN:
            raise InvalidConfiguration(
                f"references: {attribute}={level} is not a declared level that is known; "
                f"declared: {', '.join(declared[attribute])}",
                hint=nearest(level, declared[attribute]),
            )
