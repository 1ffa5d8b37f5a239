"""How one way of training differs from another: overall, by group, for the worst, and in gaps.

The worst group and the largest contrast are extremes of several numbers, and which one is the
extreme is not known. So their limits are those of all that it may be: the intervals of groups and
gaps hold together, and a group is ruled out as the worst only where another is shown to be worse.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from equipoise.bench.arms import Arm, arms, difference
from equipoise.bench.runs import numbers_of
from equipoise.metrics import Answers, Minimum
from equipoise.metrics.changes import Change, change_limits, changes, gap
from equipoise.metrics.simultaneous import joint

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Limits = tuple[float, float]
Pair = tuple[int, int]

_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Images:
    """Whom two ways of training are compared on.

    Parameters
    ----------
    label
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, codes from 0.
    groups
        Name → which images are of it ``(n,)``; those that are known.
    minimum
        What a group needs.
    """

    label: Flags
    patient: Integers
    groups: Mapping[str, Flags]
    minimum: Minimum


@dataclass(frozen=True, slots=True)
class Sides:
    """Two ways of training by one metric.

    Parameters
    ----------
    names
        Of the groups.
    moves
        Everybody's and each group's change.
    gaps
        Places of two groups → the change of the gap between them.
    plain, own
        The groups as the first and the second way leave them.
    lacking
        Groups without a number, and why.
    """

    names: tuple[str, ...]
    moves: list[Change]
    gaps: dict[Pair, Change]
    plain: list[Arm]
    own: list[Arm]
    lacking: list[str]


def sides(metric: str, plain: Answers, own: Answers, tested: Images) -> Sides:
    """Return two ways of training beside each other.

    Parameters
    ----------
    metric
        auroc, sensitivity or specificity.
    plain, own
        What either says of the same images, in equally many runs.
    tested
        The images.

    Examples
    --------
    >>> label = np.arange(80) % 2 == 1
    >>> said = Answers(label[None] * 0.5, label[None])
    >>> whom = Images(label, np.arange(80), {"F": label | True}, Minimum())
    >>> [round(one.difference, 3) for one in sides("auroc", said, said, whom).moves]
    [0.0, 0.0]
    """
    names, masks = tuple(tested.groups), list(tested.groups.values())
    everybody = np.ones(len(tested.label), dtype=bool)
    moves = changes(
        metric,
        (plain, own),
        label=tested.label,
        patient=tested.patient,
        groups=[everybody, *masks],
        minimum=tested.minimum,
    )
    there = [place for place, one in enumerate(moves[1:]) if one.lacking is None]
    gaps = {(i, j): gap(moves[i + 1], moves[j + 1]) for i, j in combinations(there, 2)}
    both = [
        arms(
            metric,
            one,
            label=tested.label,
            patient=tested.patient,
            groups=masks,
            minimum=tested.minimum,
        )
        for one in (plain, own)
    ]
    lacking = [
        f"{name}: {one.lacking}"
        for name, one in zip(names, moves[1:], strict=True)
        if one.lacking is not None
    ]
    return Sides(names, moves, gaps, both[0], both[1], lacking)


def critical(family: Sequence[Sides], level: float) -> float:
    """Return the half-width, in standard errors, at which all intervals of a family hold together.

    NaN where there is no number at all.

    References
    ----------
    Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346.

    Examples
    --------
    >>> label, noise = np.arange(400) % 2 == 1, np.random.default_rng(0).normal(size=400)
    >>> both = [Answers(x[None], x[None] > 0.5) for x in (label + 2 * noise, label + noise)]
    >>> whom = Images(label, np.arange(400), {"F": label | True}, Minimum())
    >>> 1.9 < critical([sides("auroc", *both, whom)], 0.95) < 2.3
    True
    """
    values: list[Reals] = []
    for side in family:
        values += [one.influence for one in (*side.moves, *side.gaps.values()) if not one.lacking]
        for i, j in side.gaps:
            values += [of[i].totals - of[j].totals for of in (side.plain, side.own)]
    if not values:
        return float("nan")
    stacked = np.stack(values)  # (family, patient)
    found = joint([stacked @ stacked.T], level, np.random.default_rng(0), n=_DRAWS)
    return float("nan") if found.critical is None else found.critical


def rows(side: Sides, z: float) -> Iterator[dict[str, object]]:
    """Yield a row for everybody, each group, each gap, the worst group and the largest contrast.

    Parameters
    ----------
    side
        Two ways of training.
    z
        Half-width of the intervals, in standard errors.

    Examples
    --------
    >>> label = np.arange(80) % 2 == 1
    >>> said = Answers(label[None] * 0.5, label[None])
    >>> whom = Images(label, np.arange(80), {"F": label | True}, Minimum())
    >>> [row["quantity"] for row in rows(sides("auroc", said, said, whom), 1.96)]
    ['everybody', 'group', 'worst group', 'largest contrast']
    """
    everybody = side.moves[0]
    yield _of_change("everybody", None, None, everybody, z)
    for name, one in zip(side.names, side.moves[1:], strict=True):
        yield _of_change("group", name, None, one, z)
    for (i, j), one in side.gaps.items():
        yield _of_change("contrast", side.names[i], side.names[j], one, z)
    for quantity, extreme in (("worst group", _worst), ("largest contrast", _largest)):
        if not side.gaps:
            why = f"fewer than two groups have a number; {'; '.join(side.lacking)}"
            none = dataclasses.replace(everybody, lacking=why)
            yield _row((quantity, None, None), none, (0.0, 0.0), (0.0, 0.0))
            continue
        values, limits = extreme(side, z)
        row = _row((quantity, None, None), everybody, values, limits)
        yield {**row, "reason": "; ".join(f"without {one}" for one in side.lacking) or None}


def _of_change(
    quantity: str, group: str | None, against: str | None, change: Change, z: float
) -> dict[str, object]:
    values = change.first, change.second
    return _row((quantity, group, against), change, values, change_limits(change, z))


def _row(
    what: tuple[str, str | None, str | None],
    about: Change,
    values: tuple[float, float],
    limits: Limits,
) -> dict[str, object]:
    fine = about.lacking is None
    return {
        **dict(zip(("quantity", "group", "against"), what, strict=True)),
        "first": values[0] if fine else None,
        "second": values[1] if fine else None,
        "difference": values[1] - values[0] if fine else None,
        "low": max(limits[0], -1.0) if fine else None,
        "high": min(limits[1], 1.0) if fine else None,
        **numbers_of(about.numbers),
        "status": "assessed" if fine else "not assessable",
        "reason": about.lacking,
    }


def _worst(side: Sides, z: float) -> tuple[tuple[float, float], Limits]:
    """Return the worst group's value under both, and the limits of the difference.

    The worst afterwards is no better than the one that was worst before is then, and it was no
    worse before than the worst: the difference lies between the changes of these two.
    """
    there = sorted({place for pair in side.gaps for place in pair})
    limits = {place: change_limits(side.moves[place + 1], z) for place in there}
    worst = [
        [i for i in there if not any(_apart(of, j, i, z)[1] < 0 for j in there if j != i)]
        for of in (side.plain, side.own)
    ]
    low = min(limits[i][0] for i in worst[1])
    high = max(limits[i][1] for i in worst[0])
    first, second = (min(of[i].value for i in there) for of in (side.plain, side.own))
    return (first, second), (low, high)


def _largest(side: Sides, z: float) -> tuple[tuple[float, float], Limits]:
    """Return the largest contrast under both, and the limits of the difference, likewise."""
    limits: dict[Pair, Limits] = {}
    for (i, j), change in side.gaps.items():
        low, high = change_limits(change, z)
        limits[i, j], limits[j, i] = (low, high), (-high, -low)
    largest = [
        [pair for pair in limits if not _apart(of, *pair, z)[1] < 0]
        for of in (side.plain, side.own)
    ]
    low = min(limits[pair][0] for pair in largest[0])
    high = max(limits[pair][1] for pair in largest[1])
    first, second = (
        max(of[i].value - of[j].value for i, j in limits) for of in (side.plain, side.own)
    )
    return (first, second), (low, high)


def _apart(of: Sequence[Arm], i: int, j: int, z: float) -> Limits:
    return difference(of[i], of[j], 2.0 * float(ndtr(z)) - 1.0)
