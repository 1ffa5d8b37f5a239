"""Before the data: how many patients a group must have for a verdict, by the engine's intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import gammaln, ndtr, ndtri

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.intervals import mover, quantile, rate_limits, widened

Reals = npt.NDArray[np.float64]
Name = Literal["sensitivity", "specificity", "auroc"]

_MOST = 50_000
"""Patients of a class in a group beyond which nothing is looked for."""

_STEP = 1.03
_FEW = 10


class Expected(BaseModel):
    """What is expected, and what a verdict would have to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: Name = Field(default="sensitivity", description="Which metric.")
    expected: float = Field(gt=0, lt=1, description="Its value in the group, as expected.")
    floor: float | None = Field(
        default=None, gt=0, lt=1, description="A floor that the group shall be shown to reach."
    )
    margin: float | None = Field(
        default=None, gt=0, lt=1, description="A tolerance within which two equal groups shall lie."
    )
    gap: float | None = Field(
        default=None, gt=0, lt=1, description="How much lower the group is in truth: to be found."
    )
    chance: float = Field(default=0.8, gt=0, lt=1, description="How surely.")
    images: float = Field(default=1.0, ge=1, description="Images of a patient, on average.")
    agreement: float = Field(
        default=0.0, ge=0, le=1, description="How much a patient's images agree (correlation)."
    )
    contrasts: int = Field(
        default=1, ge=1, description="Contrasts that share the simultaneous statement."
    )
    ratio: float = Field(
        default=1.0, gt=0, description="How many times larger is what the group is compared with."
    )
    prevalence: float | None = Field(
        default=None, gt=0, lt=1, description="Share of patients with the finding."
    )


def power(expected: Expected) -> pl.DataFrame:
    """Return how many patients a group needs for each question that is asked.

    The patients are those of the class the metric is over: with the finding for sensitivity,
    without it for specificity, of the rarer one for AUROC. A rate's chance is the sum over all
    outcomes, each judged by the engine's own interval as a policy judges it: a floor by the lower
    pointwise 90 % limit, a margin by the pointwise 90 % interval of the difference, a gap by the
    simultaneous 95 % interval, whose half-width is that of independent contrasts, which is no
    smaller than the engine's. AUROC by the variance of Hanley and McNeil, normal on the logit scale
    (a floor) or on its own (differences).

    Parameters
    ----------
    expected
        What is expected and asked.

    Returns
    -------
    A row per question (*floor*, *margin*, *gap*): `needed` (patients of the class, in the group),
    `images`, `patients` (of both classes, by the prevalence; null without one), `chance` reached,
    and `reads`. Null where more than 50,000 would be needed. Every number is tried, except for
    margins and gaps of rates from 1,000 on, known to about 0.2 %. No answer is below ten.

    Raises
    ------
    InvalidConfiguration
        If nothing is asked, or what is asked is impossible.

    References
    ----------
    Hanley & McNeil 1982, Radiology 143:29; Flahault, Cadilhac & Thomas 2005, Journal of Clinical
    Epidemiology 58:859 (exact sample sizes for a lower limit).

    Examples
    --------
    >>> asked = Expected(expected=0.9, floor=0.8, prevalence=0.2)
    >>> power(asked)["question", "needed", "patients"].rows()
    [('floor', 86, 430)]
    """
    asked = _asked(expected)
    rows = [_row(expected, question, value) for question, value in asked.items()]
    return pl.DataFrame(rows, infer_schema_length=None)


def power_curve(expected: Expected, patients: Sequence[int]) -> pl.DataFrame:
    """Return the chance that each question is answered as wished, over numbers of patients.

    Parameters
    ----------
    expected
        What is expected and asked, as of `power`.
    patients
        Patients of the metric's class in the group, each at least ten.

    Returns
    -------
    A row per question and number: `question`, `patients`, `chance` (0 to 1). A rate's chance goes
    up in teeth: a larger number may have a slightly smaller chance.

    Raises
    ------
    InvalidConfiguration
        As of `power`, and if a number is below ten or above 50,000.

    References
    ----------
    As of `power`.

    Examples
    --------
    >>> power_curve(Expected(expected=0.9, floor=0.8), [50, 86])["chance"].round(2).to_list()
    [0.62, 0.85]
    """
    asked = _asked(expected)
    wrong = [n for n in patients if not _FEW <= n <= _MOST]
    if wrong:
        raise InvalidConfiguration(
            f"power_curve: {wrong[0]} patients; expected {_FEW} to {_MOST} of the class"
        )
    rows = [(name, n, chance_of(expected, name, n)) for name in asked for n in patients]
    schema = {"question": pl.String, "patients": pl.Int64, "chance": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _asked(expected: Expected) -> dict[str, float]:
    named = (
        ("floor", expected.floor),
        ("margin", expected.margin),
        ("gap", expected.gap),
    )
    asked = {name: value for name, value in named if value is not None}
    _check(expected, asked)
    return asked


def _check(expected: Expected, asked: dict[str, float]) -> None:
    if not asked:
        raise InvalidConfiguration(
            "power: nothing is asked", hint="give a floor, a margin, or a gap"
        )
    if expected.floor is not None and expected.floor >= expected.expected:
        raise InvalidConfiguration(
            f"power: a floor of {expected.floor} cannot be shown where {expected.expected} is "
            "expected; expected it below"
        )
    if expected.gap is not None and expected.gap >= expected.expected:
        raise InvalidConfiguration(
            f"power: a gap of {expected.gap} below {expected.expected} leaves nothing"
        )


def chance_of(expected: Expected, question: str, n: int) -> float:
    """Return the chance that a question is answered as wished, with n patients of the class.

    Examples
    --------
    >>> 0.8 < chance_of(Expected(expected=0.9, floor=0.8), "floor", 87) < 0.9
    True
    """
    sides: dict[str, Callable[[Expected, int], float]] = (
        {"floor": _auroc_floor, "margin": _auroc_margin, "gap": _auroc_gap}
        if expected.metric == "auroc"
        else {"floor": _rate_floor, "margin": _rate_margin, "gap": _rate_gap}
    )
    return sides[question](expected, n)


def _row(expected: Expected, question: str, value: float) -> dict[str, object]:
    needed = _needed(expected, question)
    of_class = {"sensitivity": "with", "specificity": "without", "auroc": "of the rarer class"}
    share = expected.prevalence
    if share is not None and expected.metric == "specificity":
        share = 1.0 - share
    if share is not None and expected.metric == "auroc":
        share = min(share, 1.0 - share)
    patients = None if needed is None or share is None else int(np.ceil(needed / share - 1e-9))
    goal = {
        "floor": f"to show that it reaches {value}",
        "margin": f"to show that two equal groups differ by no more than {value}",
        "gap": f"to find that it is {value} lower",
    }[question]
    who = of_class[expected.metric] + ("" if expected.metric == "auroc" else " the finding")
    many = f"more than {_MOST}" if needed is None else str(needed)
    return {
        "question": question,
        "metric": expected.metric,
        "expected": expected.expected,
        "value": value,
        "wanted": expected.chance,
        "needed": needed,
        "images": None if needed is None else int(np.ceil(needed * expected.images)),
        "patients": patients,
        "chance": None if needed is None else chance_of(expected, question, needed),
        "reads": f"{many} patients {who} in the group {goal}, in {expected.chance:.0%} of cases",
    }


def _needed(expected: Expected, question: str) -> int | None:
    """Return the smallest number from which on the chance stays, ten at the least.

    The chance of a rate goes up in teeth, so a coarse walk only says where to look: from its last
    failure every number is tried, until none has failed for as long as a tooth can last.
    """

    def holds(n: int) -> bool:
        return chance_of(expected, question, n) >= expected.chance

    place = _coarse(holds)
    if place is None:
        return None
    failed, step = place, 1
    if question != "floor" and expected.metric != "auroc":
        step = max(1, place // 500)  # all pairs of outcomes: too slow for every number
    n = failed + 1
    while n <= failed + _tooth(expected, failed + 1):
        if not holds(n):
            failed = n
        n += step
    while step > 1 and not holds(failed + 1):
        failed += 1
    return failed + 1 if failed < _MOST else None


def _coarse(holds: Callable[[int], bool]) -> int | None:
    """Return the last failure, in steps of 3 %, before the chance is held for 15 %."""
    failed, n = _FEW - 1, _FEW
    while n <= _MOST:
        if not holds(n):
            failed = n
        elif n > 1.15 * failed * _STEP + 4:
            return failed
        n = max(n + 1, int(n * _STEP))
    return failed if failed < _MOST / _STEP else None


def _tooth(expected: Expected, n: int) -> int:
    """Return how many numbers on a tooth may still come back below.

    A tooth's depth is about 0.4 / (s sqrt n), s the spread of one patient's outcome; the chance
    rises by that much within about 1.2 sqrt(n) / s: five times as far is looked.
    """
    if expected.metric == "auroc":
        return 2  # rises smoothly
    rate = expected.expected
    return int(6.0 * np.sqrt(n / (rate * (1.0 - rate)))) + 10


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """All outcomes of one arm that are not out of the question."""

    rate: Reals
    chance: Reals
    low: Reals
    high: Reals


def _outcomes(expected: Expected, rate: float, patients: float, z: float) -> _Outcomes:
    """Return rates, their chances, and the engine's limits at half-width z."""
    effect = 1.0 + (expected.images - 1.0) * expected.agreement
    trials = patients * expected.images
    n = max(1, int(trials / effect))
    spread = 7.0 * np.sqrt(n * rate * (1.0 - rate)) + 3.0
    k = np.arange(max(0, int(n * rate - spread)), min(n, int(n * rate + spread)) + 1)
    log = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    log = log + k * np.log(rate) + (n - k) * np.log1p(-rate)
    seen = k / n
    variance = seen * (1.0 - seen) * effect / max(trials - 1.0, 1.0)
    full = np.full(len(seen), trials), np.full(len(seen), float(patients))
    low, high = rate_limits(seen, variance, *full, z)
    return _Outcomes(seen, np.exp(log), low, high)


def _rate_floor(expected: Expected, n: int) -> float:
    made = _outcomes(expected, expected.expected, n, quantile(0.9))
    return float(made.chance[made.low >= (expected.floor or 0.0)].sum())


def _rate_margin(expected: Expected, n: int) -> float:
    z, margin = quantile(0.9), expected.margin or 0.0
    one = _outcomes(expected, expected.expected, n, z)
    other = _outcomes(expected, expected.expected, n * expected.ratio, z)
    low, high, both = _differences(one, other)
    return float(both[(low >= -margin) & (high <= margin)].sum())


def _rate_gap(expected: Expected, n: int) -> float:
    z = _simultaneous(expected)
    one = _outcomes(expected, expected.expected - (expected.gap or 0.0), n, z)
    other = _outcomes(expected, expected.expected, n * expected.ratio, z)
    _, high, both = _differences(one, other)
    return float(both[high < 0.0].sum())


def _differences(one: _Outcomes, other: _Outcomes) -> tuple[Reals, Reals, Reals]:
    """Return limits of the difference and the chance of all pairs of outcomes."""
    a = tuple(part[:, None] for part in (one.rate, one.low, one.high))
    b = tuple(part[None, :] for part in (other.rate, other.low, other.high))
    low, high = mover((a[0], a[1], a[2]), (b[0], b[1], b[2]), np.zeros((1, 1)))
    return low, high, one.chance[:, None] * other.chance[None, :]


def _simultaneous(expected: Expected) -> float:
    return float(ndtri((1.0 + 0.95 ** (1.0 / expected.contrasts)) / 2.0))


def _auroc_error(expected: Expected, value: float, n: float) -> float:
    """Return the standard error of an AUROC, n patients in the rarer class."""
    share = 0.5 if expected.prevalence is None else expected.prevalence
    share = min(share, 1.0 - share)
    effect = (1.0 + (expected.images - 1.0) * expected.agreement) / expected.images
    rare, often = n / effect, n * (1.0 - share) / share / effect
    one, two = value / (2.0 - value), 2.0 * value**2 / (1.0 + value)
    spread = value * (1.0 - value) + (rare - 1.0) * (one - value**2)
    return float(np.sqrt((spread + (often - 1.0) * (two - value**2)) / (rare * often)))


def _auroc_floor(expected: Expected, n: int) -> float:
    value, floor = expected.expected, expected.floor or 0.5
    error = _auroc_error(expected, value, n) / (value * (1.0 - value))
    apart = np.log(value / (1.0 - value)) - np.log(floor / (1.0 - floor))
    return float(ndtr(apart / error - widened(quantile(0.9), np.array([n - 1.0]))[0]))


def _auroc_margin(expected: Expected, n: int) -> float:
    error = _of_two(expected, expected.expected, n)
    z = float(widened(quantile(0.9), np.array([n - 1.0]))[0])
    return max(0.0, 2.0 * float(ndtr((expected.margin or 0.0) / error - z)) - 1.0)


def _auroc_gap(expected: Expected, n: int) -> float:
    gap = expected.gap or 0.0
    error = _of_two(expected, expected.expected - gap, n)
    return float(ndtr(gap / error - widened(_simultaneous(expected), np.array([n - 1.0]))[0]))


def _of_two(expected: Expected, value: float, n: int) -> float:
    own = _auroc_error(expected, value, n)
    return float(np.hypot(own, _auroc_error(expected, expected.expected, n * expected.ratio)))
