"""What a selection rule looks at on validation, and how much each patient moves it.

Every number comes with its influence values summed per patient. Two candidates answer for the
same patients, so that the standard error of their difference is the length of the difference of
these sums: most of what makes either of them uncertain cancels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.adapt.material import Rows
from equipoise.adapt.options import Rule
from equipoise.adapt.outcomes import Held
from equipoise.metrics import UNKNOWN, placements
from equipoise.metrics.placements import small_sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Number:
    """An estimate, and how much each patient moves it.

    Parameters
    ----------
    value
        The estimate.
    totals
        Influence values summed per patient ``(patients,)``.
    """

    value: float
    totals: Reals

    @property
    def error(self) -> float:
        """The standard error over patients."""
        return float(np.sqrt((self.totals**2).sum()))


def combined(parts: Sequence[tuple[float, Number]]) -> Number:
    """Return the weighted sum of some numbers, at least one.

    Examples
    --------
    >>> one = Number(0.5, np.array([0.1, 0.0]))
    >>> combined([(1.0, one), (-1.0, one)]).error
    0.0
    """
    value = sum(weight * number.value for weight, number in parts)
    totals = sum((weight * number.totals for weight, number in parts), np.zeros(1))
    return Number(float(value), np.asarray(totals, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Validation:
    """Who validates: all images, in whichever round.

    Parameters
    ----------
    rows
        The images.
    code
        A code per patient who validates somewhere, from 0 ``(images,)``; -1 for the others.
    size
        How many such patients there are.
    groups
        Every group of the cohort that is known, whether it is on validation or not.
    minimum
        Positives and negatives (images) that a group needs to have a number.
    """

    rows: Rows
    code: Integers
    size: int
    groups: tuple[str, ...]
    minimum: int


def validation(rows: Rows, held: Sequence[Held], minimum: int) -> Validation:
    """Return who validates in some rounds.

    Examples
    --------
    >>> from equipoise.adapt.material import Rows
    >>> import polars as pl
    >>> rows = Rows(["a", "b"], ["p", "q"], np.zeros((2, 1)), {"x": pl.Series([True, False])},
    ...             np.array(["F", "M"]), ["", ""], np.arange(2), np.array(["train"] * 2),
    ...             np.arange(2))
    >>> found = validation(rows, [Held(np.array([1]), np.zeros(1, np.float32))], 10)
    >>> found.code.tolist(), found.groups
    ([-1, 0], ('F', 'M'))
    """
    inside = np.zeros(len(rows.patients), dtype=bool)
    for one in held:
        inside[one.rows] = True
    code = np.full(len(inside), -1, dtype=np.int64)
    people, found = np.unique(rows.patients[inside], return_inverse=True)
    code[inside] = found
    groups = tuple(sorted(set(rows.groups.tolist()) - {UNKNOWN}))
    return Validation(rows, code, len(people), groups, minimum)


@dataclass(frozen=True, slots=True)
class Reached:
    """What one candidate reached on validation for one finding, averaged over rounds.

    Parameters
    ----------
    overall
        AUROC of all images; None where a class has fewer than two patients.
    groups
        AUROC of each group that is large enough in some round.
    encoded
        For a label and a group, how far the scores tell the group from the others among images of
        that label: AUROC of being of the group, from the score.
    """

    overall: Number | None
    groups: Mapping[str, Number]
    encoded: Mapping[str, Number]


def reached(on: Validation, finding: str, held: Mapping[int | None, Held]) -> Reached:
    """Return what a candidate reached, from its scores in each round.

    Parameters
    ----------
    on
        Who validates.
    finding
        Whose labels.
    held
        Fold → scores.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; Obuchowski 1997, Biometrics 53:567.
    Encoding given the label: Yang et al. 2024, Nature Medicine 30:2838.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.adapt.material import Rows
    >>> label = pl.Series([True, False] * 4)
    >>> ids = [str(i) for i in range(8)]
    >>> rows = Rows(ids, ids, np.zeros((8, 1)), {"x": label}, np.array(["F", "F", "M", "M"] * 2),
    ...             [""] * 8, np.arange(8), np.array(["validation"] * 8), np.zeros(8, int))
    >>> one = Held(np.arange(8), np.linspace(0, 1, 8, dtype=np.float32))
    >>> found = reached(validation(rows, [one], 2), "x", {None: one})
    >>> found.overall.value, sorted(found.groups), len(found.encoded)
    (0.375, ['F', 'M'], 4)
    """
    overall: list[Number] = []
    groups: dict[str, list[Number]] = {}
    encoded: dict[str, list[Number]] = {}
    truth = on.rows.truth(finding)
    for one in held.values():
        label, code = truth[one.rows], on.code[one.rows]
        whole = _auroc(one.score, label, code, on.size, 1)
        overall += [whole] if whole is not None else []
        named = on.rows.groups[one.rows]
        for name, number in _by_group(one.score, label, code, named, on):
            groups.setdefault(name, []).append(number)
        for name, number in _encoded(one.score, label, code, named, on):
            encoded.setdefault(name, []).append(number)
    return Reached(
        _mean(overall) if overall and len(overall) == len(held) else None,
        {name: _mean(parts) for name, parts in groups.items()},
        {name: _mean(parts) for name, parts in encoded.items()},
    )


def _by_group(
    score: npt.NDArray[np.float32],
    label: Flags,
    code: Integers,
    named: npt.NDArray[np.str_],
    on: Validation,
) -> Iterator[tuple[str, Number]]:
    for group in on.groups:
        inside = named == group
        found = _auroc(score[inside], label[inside], code[inside], on.size, on.minimum)
        if found is not None:
            yield group, found


def _encoded(
    score: npt.NDArray[np.float32],
    label: Flags,
    code: Integers,
    named: npt.NDArray[np.str_],
    on: Validation,
) -> Iterator[tuple[str, Number]]:
    known = named != UNKNOWN
    for kind, of_label in (("positive", label & known), ("negative", ~label & known)):
        for group in on.groups:
            own = named[of_label] == group
            found = _auroc(score[of_label], own, code[of_label], on.size, on.minimum)
            if found is not None:
                yield f"{kind}|{group}", found


def _auroc(
    score: npt.NDArray[np.float32], label: Flags, code: Integers, size: int, minimum: int
) -> Number | None:
    """Return an AUROC; None with too few images, or fewer than two patients, of either label."""
    sides = label, ~label
    if any(side.sum() < minimum or len(np.unique(code[side])) < 2 for side in sides):
        return None
    above = placements(score[label], np.sort(score[~label]))
    below = 1.0 - placements(score[~label], np.sort(score[label]))
    value, total = float(above.mean()), np.zeros(size)
    for part, where in ((above, code[label]), (below, code[~label])):
        scale = small_sample(len(np.unique(where))) / len(part)
        total += np.bincount(where, (part - value) * scale, size)
    return Number(value, total)


def _mean(parts: Sequence[Number]) -> Number:
    return combined([(1.0 / len(parts), part) for part in parts])


def quantity(rule: Rule, found: Reached, utopia: Mapping[str, Number]) -> Number | None:
    """Return what a rule looks at, higher being better; None if there is no such number.

    The worst group and the largest contrast are taken as they are found: where two groups are
    nearly tied, the standard error is that of the one in front, and too large rather than too
    small. The distance to the optimum is in AUROC; MEDFAIR divides each group's by its best.

    Parameters
    ----------
    rule
        The rule.
    found
        What the candidate reached.
    utopia
        The best that any candidate reached in each group.

    References
    ----------
    Zong, Yang & Hospedales 2023, MEDFAIR, ICLR (overall, minimax Pareto, distance to the optimum);
    Martinez, Bertran & Sapiro 2020, ICML (minimax Pareto); Yang et al. 2024, Nature Medicine
    30:2838 (least attribute encoding).

    Examples
    --------
    >>> f, m = Number(0.7, np.array([0.1, 0.0])), Number(0.9, np.array([0.0, 0.1]))
    >>> found = Reached(None, {"F": f, "M": m}, {})
    >>> rules = ("worst_group", "smallest_contrast", "distance_to_optimum")
    >>> [round(quantity(rule, found, {"F": f, "M": f}).value, 3) for rule in rules]
    [0.7, -0.2, -0.2]
    """
    if rule == "overall":
        return found.overall
    if rule == "least_encoding":
        return _least_encoding(found)
    if not found.groups:
        return None
    if rule == "distance_to_optimum":
        return _distance(found, utopia)
    if rule == "smallest_contrast":
        return _contrast(found)
    return min(found.groups.values(), key=lambda number: number.value)


def _least_encoding(found: Reached) -> Number | None:
    """Return 0 less the mean of |2 AUROC - 1| over labels and groups."""
    if not found.encoded:
        return None
    share = 1.0 / len(found.encoded)
    parts = []
    for one in found.encoded.values():
        side = 1.0 if one.value >= 0.5 else -1.0
        # |2 A - 1| = side (2 A - 1): the half is no random number.
        parts.append((-share, Number(side * (2.0 * one.value - 1.0), side * 2.0 * one.totals)))
    return combined(parts)


def _distance(found: Reached, utopia: Mapping[str, Number]) -> Number:
    """Return 0 less the Euclidean distance to the best of each group."""
    short = {g: combined([(1.0, utopia[g]), (-1.0, own)]) for g, own in found.groups.items()}
    length = float(np.sqrt(sum(one.value**2 for one in short.values())))
    if length == 0.0:
        return Number(0.0, np.zeros_like(next(iter(short.values())).totals))
    return Number(-length, combined([(-one.value / length, one) for one in short.values()]).totals)


def _contrast(found: Reached) -> Number | None:
    """Return 0 less the largest distance of a group from the mean of the others."""
    if len(found.groups) < 2:
        return None
    apart = []
    for name, own in found.groups.items():
        others = [number for other, number in found.groups.items() if other != name]
        apart.append(combined([(1.0, own), (-1.0, _mean(others))]))
    widest = max(apart, key=lambda number: abs(number.value))
    return combined([(-1.0 if widest.value >= 0.0 else 1.0, widest)])
