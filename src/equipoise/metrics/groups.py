"""Subgroups, declared before looking, as unions of the atomic cells that the data hold."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.tables import COUNTS, ESTIMATES

UNKNOWN = "unknown"
"""The level of who is not known: reported, and left out of contrasts."""

_FEW = 100_000
"""Combinations of levels that are counted in place rather than sorted."""

Subgroup = Mapping[str, str | None]
"""A level per attribute; None = not restricted."""


def subgroups(
    declared: Mapping[str, Sequence[str]],
    *,
    order: int = 2,
    exploratory: bool = False,
    sets: Sequence[Sequence[str]] | None = None,
) -> pl.DataFrame:
    """Return the table *subgroups*: everybody, each level, and each intersection.

    Parameters
    ----------
    declared
        Attribute → its levels, in the order in which they shall be reported.
    order
        How many attributes an intersection may restrict, at least 1 (none).
    exploratory
        Whether the levels were taken from the data.
    sets
        The attributes that are combined, set by set, instead of all up to `order`: with
        ``[["sex", "age_band"], ["site"]]`` sex is crossed with age and with nothing else. The
        levels of each attribute stand there anyway; a set of three gives the cells of all three.

    Raises
    ------
    InvalidTable
        If an attribute has no levels, twice the same, or the name of a column of ours; if a set
        names what is not declared, or what another set names; if `order` is below 1.

    Examples
    --------
    >>> subgroups({"sex": ["F", "M"], "site": ["A"]}).drop("exploratory").rows()
    [(None, None), ('F', None), ('M', None), (None, 'A'), ('F', 'A'), ('M', 'A')]
    """
    if order < 1:
        raise InvalidTable(f"subgroups: order {order}; expected 1 (no intersections) or more")
    for attribute, levels in declared.items():
        _check_levels(attribute, levels)
    rows: list[Subgroup] = [dict.fromkeys(declared)]
    for names in _crossed(declared, order) if sets is None else _crossed_in(declared, sets):
        for chosen in itertools.product(*(declared[name] for name in names)):
            rows.append({**dict.fromkeys(declared), **dict(zip(names, chosen, strict=True))})
    schema = dict.fromkeys(declared, pl.String())
    return pl.DataFrame(rows, schema=schema).with_columns(exploratory=pl.lit(exploratory))


def _crossed(declared: Iterable[str], order: int) -> list[tuple[str, ...]]:
    names = list(declared)
    return [one for size in range(1, order + 1) for one in itertools.combinations(names, size)]


def _crossed_in(declared: Iterable[str], sets: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    names = list(declared)
    found: list[tuple[str, ...]] = [(name,) for name in names]
    seen: set[frozenset[str]] = set()
    for one in sets:
        stray = [name for name in one if name not in names]
        if stray:
            raise InvalidTable(
                f"subgroups: a set names '{stray[0]}', which is not declared; attributes: "
                f"{', '.join(names)}",
                hint=nearest(stray[0], names),
            )
        if frozenset(one) in seen or len(set(one)) != len(one) or not one:
            raise InvalidTable(f"subgroups: a set is empty or said twice, as {list(one)}")
        seen.add(frozenset(one))
        if len(one) > 1:
            found.append(tuple(name for name in names if name in one))
    return found


def _check_levels(attribute: str, levels: Sequence[str]) -> None:
    if attribute in {*COUNTS.columns, *ESTIMATES.columns}:
        raise InvalidTable(
            f"subgroups: attribute '{attribute}' has the name of a column of the estimates",
            hint="rename the column, as in sex_recorded",
        )
    if not levels:
        raise InvalidTable(
            f"subgroups: attribute '{attribute}' has no levels; expected one or more"
        )
    twice = [level for level in levels if list(levels).count(level) > 1]
    if twice:
        raise InvalidTable(f"subgroups: attribute '{attribute}' declares '{twice[0]}' twice")


def named(subgroup: Subgroup) -> str:
    """Return a subgroup in words.

    Examples
    --------
    >>> named({"sex": "F", "age_band": None}), named({"sex": None})
    ('sex=F', 'everybody')
    """
    parts = [f"{name}={level}" for name, level in subgroup.items() if level is not None]
    return ", ".join(parts) or "everybody"


def restricted(subgroup: Subgroup) -> tuple[str, ...]:
    """Return the attributes that a subgroup restricts.

    Examples
    --------
    >>> restricted({"sex": "F", "age_band": None})
    ('sex',)
    """
    return tuple(name for name, level in subgroup.items() if level is not None)


def known(subgroup: Subgroup) -> bool:
    """Return whether no level of a subgroup is *unknown*.

    Examples
    --------
    >>> known({"sex": "unknown"}), known({"sex": None})
    (False, True)
    """
    return UNKNOWN not in subgroup.values()


@dataclass(frozen=True, slots=True)
class Cells:
    """The combinations of levels that occur, and which of them each row is in.

    Parameters
    ----------
    code
        Shape ``(n,)``, the cell of each row.
    levels
        Attribute → the level of each cell, shape ``(cells,)``.
    """

    code: npt.NDArray[np.int64]
    levels: Mapping[str, npt.NDArray[np.str_]]

    @property
    def n(self) -> int:
        """How many cells occur."""
        return int(self.code.max()) + 1 if len(self.code) else 0

    def inside(self, subgroup: Subgroup) -> npt.NDArray[np.bool_]:
        """Return which cells a subgroup is the union of, shape ``(cells,)``."""
        chosen = np.ones(self.n, dtype=bool)
        for name, level in subgroup.items():
            if level is not None:
                chosen &= self.levels[name] == level
        return chosen

    def known(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return in which cells all of these attributes are known, shape ``(cells,)``."""
        chosen = np.ones(self.n, dtype=bool)
        for name in names:
            chosen &= self.levels[name] != UNKNOWN
        return chosen


def cells(frame: pl.DataFrame, table: pl.DataFrame) -> Cells:
    """Return the cell of each row, once every row is seen to be in declared subgroups.

    Parameters
    ----------
    frame
        Rows with the attribute columns of `table`, text without nulls.
    table
        The table *subgroups*.

    Raises
    ------
    InvalidTable
        If an attribute column is absent, or a level occurs that is not declared.

    Examples
    --------
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> cells(pl.DataFrame({"sex": ["M", "F", "M"]}), table).code.tolist()
    [1, 0, 1]
    >>> cells(pl.DataFrame({"sex": ["M", "X"]}), table)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: 1 row in undeclared subgroups, as {'sex': 'X'}
    """
    declared = levels_of(table)
    code = np.zeros(frame.height, dtype=np.int64)
    for name, levels in declared.items():
        position = _positions(frame, name, levels)
        code = code * len(levels) + position
    seen, compact = _compact(code, math.prod(len(levels) for levels in declared.values()))
    found: dict[str, npt.NDArray[np.str_]] = {}
    for name in reversed(declared):
        seen, position = np.divmod(seen, len(declared[name]))
        found[name] = np.asarray(declared[name], dtype=np.str_)[position]
    return Cells(compact, found)


def _compact(
    code: npt.NDArray[np.int64], total: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the codes that occur, rising, and the place of each row's code among them."""
    if total > max(len(code), _FEW):
        seen, place = np.unique(code, return_inverse=True)
        return seen, place.astype(np.int64)
    occurs = np.bincount(code, minlength=total) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[code]


def levels_of(table: pl.DataFrame) -> dict[str, list[str]]:
    """Return attribute → declared levels, as the table *subgroups* lists them.

    Examples
    --------
    >>> levels_of(subgroups({"sex": ["F", "M"]}))
    {'sex': ['F', 'M']}
    """
    return {
        name: table[name].drop_nulls().unique(maintain_order=True).to_list()
        for name in table.columns
        if name != "exploratory"
    }


def _positions(frame: pl.DataFrame, name: str, levels: list[str]) -> npt.NDArray[np.int64]:
    if name not in frame.columns:
        raise InvalidTable(f"predictions: no column '{name}'; got {frame.columns}")
    column = frame[name]
    if isinstance(column.dtype, pl.Enum):
        # Its few levels are looked up, not its many rows.
        place = column.dtype.categories.cast(pl.String)
        place = place.cast(pl.Enum(levels), strict=False).to_physical()
        position = place.gather(column.to_physical())
    else:
        position = column.cast(pl.Enum(levels), strict=False).to_physical()
    stray = column.filter(position.is_null())
    if stray.len():
        rows = "row" if stray.len() == 1 else "rows"
        raise InvalidTable(
            f"predictions: {stray.len()} {rows} in undeclared subgroups, as {{'{name}': "
            f"{stray[0]!r}}}",
            hint=f"declare it: {name}={','.join([*levels, str(stray[0])])}",
        )
    return position.to_numpy().astype(np.int64)
