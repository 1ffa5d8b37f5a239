"""How many positives and negatives each verdict needs, per criterion and group, in closed form.

From the reference's expected values, the local mix of groups and patients, and the normal
approximation: planning, not judgement. Everybody else is thought to grow in proportion.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from equipoise import bundles
from equipoise.accept.shapes import Flags, Local, Shape, expected
from equipoise.metrics import UNKNOWN
from equipoise.metrics.intervals import quantile
from equipoise.policies import Criterion, Floor

_INNER = quantile(0.90)
_FAR = 1e6
_BELOW = 0.10
_COUNTED = {"auroc": (True, True), "sensitivity": (True, False), "specificity": (False, True)}
"""Metric → whether it is over positives, and over negatives."""


@dataclass(frozen=True, slots=True)
class Planning:
    """With which chance the numbers shall suffice, and what is taken for granted.

    Parameters
    ----------
    chance
        Of the verdict.
    critical
        Half-width of the simultaneous intervals, in standard errors.
    correlation
        Finding → of the scores of two images of a patient.
    """

    chance: float
    critical: float
    correlation: Mapping[str, float]


def needs(
    bundle: bundles.Bundle, here: Local, found: Mapping[str, Shape], planning: Planning
) -> list[dict[str, object]]:
    """Return a row per criterion or floor, finding, operating point and group that it judges.

    `needed_for_pass`: if the truth is the reference's. `needed_for_fail`: if the true difference
    is twice the tolerance, or the true value 0.10 below the floor.

    References
    ----------
    Hanley & McNeil 1982, Radiology 143:29 (the variance of AUROC); Chow, Shao & Wang 2008, *Sample
    size calculations in clinical research*, ch. 3 (equivalence); Kish 1965 (the design effect).

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> rules = SimpleNamespace(criteria=[], floors=[])
    >>> needs(SimpleNamespace(policy=rules), None, {}, Planning(0.8, 3.0, {}))
    []
    """
    rows: list[dict[str, object]] = []
    judged: list[Criterion | Floor] = [*bundle.policy.criteria, *bundle.policy.floors]
    for wanted in judged:
        for finding in bundle.findings:
            if wanted.findings == "all" or finding in wanted.findings:
                rows += list(_rows(bundle, here, wanted, (finding, found.get(finding)), planning))
    return rows


def _rows(
    bundle: bundles.Bundle,
    here: Local,
    wanted: Criterion | Floor,
    about: tuple[str, Shape | None],
    planning: Planning,
) -> Iterator[dict[str, object]]:
    finding, shape = about
    mine = bundle.operating_points.filter(finding=finding)["operating_point"].to_list()
    asked = wanted.operating_points
    points: list[str | None] = [p for p in mine if asked == "all" or p in asked]
    for point in points if wanted.metric != "auroc" else [None]:
        for group, against in _arms(here, wanted):
            yield _row(bundle, here, wanted, (finding, shape, point), (group, against), planning)


def _arms(here: Local, wanted: Criterion | Floor) -> Iterator[tuple[int, int | None]]:
    """Yield the arms that are judged: a contrast's two, or a floor's one."""
    sets = wanted.sets()
    if isinstance(wanted, Criterion):
        for contrast in here.compared.contrasts:
            if _restricted(here, contrast.group) in sets:
                yield contrast.group, contrast.against
        return
    if wanted.overall:
        sets = [frozenset(), *sets]
    for position, subgroup in enumerate(here.compared.subgroups):
        if _restricted(here, position) in sets and UNKNOWN not in subgroup.values():
            yield position, None


def _restricted(here: Local, arm: int) -> frozenset[str]:
    return frozenset(k for k, v in here.compared.subgroups[arm].items() if v is not None)


def _row(
    bundle: bundles.Bundle,
    here: Local,
    wanted: Criterion | Floor,
    about: tuple[str, Shape | None, str | None],
    arms: tuple[int, int | None],
    planning: Planning,
) -> dict[str, object]:
    finding, shape, point = about
    flags = [here.compared.inside[arm] for arm in arms if arm is not None]
    have, least = _have(here, finding, flags[0]), _least(bundle, wanted.metric)
    lacking = [_lacking(_have(here, finding, flag), least) for flag in flags]
    answer = _answer(here, wanted, (shape, point), flags, planning)
    needed = {
        f"needed_{name}": _numbers(have, least, answer.get(name))
        for name in ("for_pass", "for_fail")
    }
    return {
        "name": wanted.name,
        "kind": "contrast" if isinstance(wanted, Criterion) else "floor",
        "metric": wanted.metric,
        "bound": wanted.tolerance if isinstance(wanted, Criterion) else wanted.minimum,
        "finding": finding,
        "operating_point": point,
        "group": here.compared.names[arms[0]],
        "against": None if arms[1] is None else here.compared.names[arms[1]],
        **have,
        "minimum": least,
        "lacking": _told(here, arms, lacking),
        "expected": answer.get("expected"),
        **needed,
        "enough_for_pass": not any(lacking) and _enough(have, needed["needed_for_pass"]),
        "reason": answer.get("reason"),
    }


def _have(here: Local, finding: str, arm: Flags) -> dict[str, int]:
    known, positive = here.labels(finding)
    classes = {"positive": positive, "negative": known & ~positive}
    images = {f"n_{name}": int(here.by_cell(flag) @ arm) for name, flag in classes.items()}
    people = {f"patients_{name}": here.people(flag, arm) for name, flag in classes.items()}
    return {**images, **people}


def _least(bundle: bundles.Bundle, metric: str) -> dict[str, int]:
    """Return what the audit asks of an arm; what does not count for the metric is 0."""
    minimum = bundle.audit.minimum
    ups, downs = _COUNTED.get(metric, (True, True))
    return {
        "n_positive": minimum.positives if ups else 0,
        "n_negative": minimum.negatives if downs else 0,
        "patients_positive": minimum.patients if ups else 0,
        "patients_negative": minimum.patients if downs else 0,
    }


_NOUNS = {
    "n_positive": "positives",
    "n_negative": "negatives",
    "patients_positive": "patients with positives",
    "patients_negative": "patients with negatives",
}


def _lacking(have: Mapping[str, int], least: Mapping[str, int]) -> list[str]:
    return [
        f"{minimum - have[name]} more {_NOUNS[name]}"
        for name, minimum in least.items()
        if have[name] < minimum
    ]


def _told(here: Local, arms: tuple[int, int | None], lacking: list[list[str]]) -> str | None:
    """Return what is lacking to assess an arm at all, in words, or None."""
    names = [here.compared.names[arm] for arm in arms if arm is not None]
    said = [f"{name}: {', '.join(what)}" for name, what in zip(names, lacking, strict=True) if what]
    return "; ".join(said) or None


def _answer(
    here: Local,
    wanted: Criterion | Floor,
    about: tuple[Shape | None, str | None],
    flags: list[Flags],
    planning: Planning,
) -> dict[str, float | str | None]:
    """Return the expected value, and by which factors the numbers must grow for each verdict."""
    shape, point = about
    if shape is None:
        return {"reason": "the bundle has neither reference counts nor claims of this finding"}
    values = [expected(shape, here, arm, wanted.metric, point) for arm in flags]
    errors = [
        None if value is None else _variance(shape, here, arm, wanted.metric, value, planning)
        for arm, value in zip(flags, values, strict=True)
    ]
    if any(value is None for value in values) or any(error is None for error in errors):
        return {"reason": "without images of the group, or for such a metric, it cannot be told"}
    error = math.sqrt(sum(one or 0.0 for one in errors))
    value = float(values[0] or 0.0) - (float(values[1] or 0.0) if len(values) == 2 else 0.0)
    answer: dict[str, float | str | None] = {"expected": value}
    if isinstance(wanted, Criterion):
        bound = wanted.tolerance
        answer |= {
            "for_pass": _growth(lambda se: _equivalence(value, bound, se), error, planning.chance),
            "for_fail": _growth(
                lambda se: _beyond(bound, se, planning.critical), error, planning.chance
            ),
        }
        if abs(value) >= bound:
            answer["reason"] = "the reference's own difference lies at or beyond the tolerance"
        return answer
    answer |= {
        "for_pass": _growth(
            lambda se: _normal((value - wanted.minimum) / se - _INNER), error, planning.chance
        ),
        "for_fail": _growth(
            lambda se: _beyond(_BELOW, se, planning.critical), error, planning.chance
        ),
    }
    if value <= wanted.minimum:
        answer["reason"] = "the reference's own value does not reach the floor"
    return answer


def _variance(
    shape: Shape, here: Local, arm: Flags, metric: str, value: float, planning: Planning
) -> float | None:
    """Return the variance of a metric in an arm with the local numbers, None without any."""
    known, positive = here.labels(shape.finding)
    classes = (positive, known & ~positive)
    counted = _COUNTED[metric]
    n = [float(here.by_cell(one) @ arm) for one in classes]
    if any(wanted and size < 1 for wanted, size in zip(counted, n, strict=True)):
        return None
    rho = planning.correlation.get(shape.finding, 0.0)
    effects = [_design(here, one & arm[here.cells.code], rho) for one in classes]
    if metric == "auroc":
        return _hanley_mcneil(value, n[0] / effects[0], n[1] / effects[1])
    place = 0 if metric == "sensitivity" else 1
    # A rate of 0 or 1 in the reference is not known to be that: one more of each kind.
    smooth = (value * n[place] + 1.0) / (n[place] + 2.0)
    return smooth * (1.0 - smooth) * effects[place] / n[place]


def _design(here: Local, flag: Flags, correlation: float) -> float:
    """Return by which factor images of the same patients inflate a variance."""
    _, sizes = np.unique(here.patients[flag], return_counts=True)
    if not len(sizes):
        return 1.0
    return float(1.0 + (np.square(sizes).sum() / sizes.sum() - 1.0) * correlation)


def _hanley_mcneil(area: float, positives: float, negatives: float) -> float:
    one = area / (2.0 - area)
    two = 2.0 * area * area / (1.0 + area)
    square = area * area
    total = area * (1.0 - area)
    total += (positives - 1.0) * (one - square) + (negatives - 1.0) * (two - square)
    return max(total, 1e-9) / (positives * negatives)


def _equivalence(value: float, bound: float, error: float) -> float:
    """Return the chance that the pointwise 90 % interval lies within the tolerance."""
    up, down = (bound - value) / error - _INNER, (bound + value) / error - _INNER
    return max(_normal(up) + _normal(down) - 1.0, 0.0)


def _beyond(room: float, error: float, critical: float) -> float:
    """Return the chance that a simultaneous interval lies wholly beyond a bound that is off."""
    return _normal(room / error - critical)


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _growth(chance: Callable[[float], float], error: float, wanted: float) -> float | None:
    """Return by which factor numbers must grow for a chance, None if no number suffices."""
    if chance(error / math.sqrt(_FAR)) < wanted:
        return None
    low, high = 1.0 / _FAR, _FAR
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if chance(error / math.sqrt(middle)) >= wanted else (middle, high)
    return high


def _numbers(
    have: Mapping[str, int], least: Mapping[str, int], factor: float | str | None
) -> dict[str, int] | None:
    """Return how many are needed of each, when all grow by a factor and none is below its least."""
    counted = [name for name, minimum in least.items() if minimum]
    if not isinstance(factor, float) or any(have[name] == 0 for name in counted):
        return None
    grown = max([factor, *(least[name] / have[name] for name in counted)])
    return {
        name: math.ceil(have[name] * grown - 1e-9) if name in counted else 0
        for name in ("n_positive", "n_negative")
    }


def _enough(have: Mapping[str, int], needed: Mapping[str, int] | None) -> bool:
    return needed is not None and all(have[name] >= n for name, n in needed.items())
