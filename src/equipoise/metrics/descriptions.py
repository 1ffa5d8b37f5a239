"""All that describes one attribute set as a whole: ranges, ratios, variances, odds; none is judged.

Toolkits print these numbers bare. Here each stands beside what chance alone would make of it and
its corrected value, because each looks worse the more and the smaller the groups are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.spread import (
    Spread,
    Worse,
    between_variance,
    equity_scaled_std,
    equity_scaled_sum,
    gap,
    ratio,
    sampling_errors,
    worst,
)

Reals = npt.NDArray[np.float64]

_POSITIVES = ("sensitivity", "false_negative_rate")
_NEGATIVES = ("specificity", "false_positive_rate")


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric over the groups of one attribute set, at one operating point if it has any.

    Parameters
    ----------
    metric
        Its name.
    values, covariance
        Of the groups, ``(k,)`` and ``(k, k)``; null where a group is not assessable.
    overall
        The value of everybody together.
    worse
        Which values are worse: *low* of sensitivity, *high* of a loss or an error rate.
    """

    metric: str
    values: Reals
    covariance: Reals
    overall: float
    worse: Worse


@dataclass(frozen=True, slots=True)
class Description:
    """One number that describes how far groups lie apart.

    Parameters
    ----------
    metric
        Of which it is; for odds, of both.
    contrast
        *range*, *ratio*, *worst*, *between_group_variance*, *equity_scaled_sum*,
        *equity_scaled_std*, *equalised_odds_difference*, *equalised_odds_mean* or
        *equal_opportunity_difference*.
    value
        As observed; null (NaN) of fewer than two groups.
    chance
        Expected with no true difference at all; of a variance, what sampling adds to it.
    corrected
        The value less its estimated bias; null of the worst group: see its shrunken value.
    reason
        In words: which group, in which direction, how many could be assessed.
    """

    metric: str
    contrast: str
    value: float
    chance: float
    corrected: float
    reason: str


def descriptions(
    names: Sequence[str], measured: Sequence[Measured], rng: np.random.Generator, *, draws: int
) -> list[Description]:
    """Return all descriptions of one attribute set: six of each metric, three of the odds.

    The odds come when sensitivity (or the false negative rate) and specificity (or the false
    positive rate) are both there, of one operating point. They are the larger, and the mean, of the
    two ranges, as in Fairlearn; equal opportunity is the range of sensitivity alone. Positives and
    negatives are taken as independent there, which only what is expected by chance hangs on.

    Parameters
    ----------
    names
        Of the groups, ``k`` of them.
    measured
        A metric each, all of the same groups and at the same operating point.
    rng
        Where the draws come from.
    draws
        How many joint draws each expectation rests on.

    References
    ----------
    Hardt, Price & Srebro 2016, NeurIPS (equalised odds, equal opportunity); Weerts et al. 2023,
    JMLR 24:257 (Fairlearn: *worst_case* and *mean*).

    Examples
    --------
    >>> values = np.array([0.9, 0.6, 0.85])
    >>> one = Measured("sensitivity", values, np.diag(values * (1 - values) / 99), 0.8, "low")
    >>> for row in descriptions(["a", "b", "c"], [one], np.random.default_rng(0), draws=4_000)[:3]:
    ...     print(row.contrast, round(row.value, 2), row.reason)
    range 0.3 b 0.600 to a 0.900; 3 of 3 groups are assessable
    ratio 0.67 b 0.600 over a 0.900; 3 of 3 groups are assessable
    worst 0.6 b, the lowest of 3 of 3 assessable groups, where low is worse; 0.200 below everybody
    """
    errors = [sampling_errors(one.covariance, rng, draws) for one in measured]
    rows = [
        row
        for one, drawn in zip(measured, errors, strict=True)
        for row in _of_metric(names, one, drawn)
    ]
    positives = [i for i, one in enumerate(measured) if one.metric in _POSITIVES]
    negatives = [i for i, one in enumerate(measured) if one.metric in _NEGATIVES]
    if positives and negatives:
        first, second = positives[0], negatives[0]
        odds = (measured[first], errors[first]), (measured[second], errors[second])
        rows += _of_odds(names, *odds)
    return rows


def _of_metric(names: Sequence[str], one: Measured, errors: Reals) -> Iterator[Description]:
    data = one.values, one.covariance, errors
    found = {
        "range": gap(*data),
        "ratio": ratio(*data),
        "worst": _worst(one, errors),
        "between_group_variance": between_variance(one.values, one.covariance),
        "equity_scaled_sum": equity_scaled_sum(one.overall, *data),
        "equity_scaled_std": equity_scaled_std(*data),
    }
    reasons = _reasons(names, one)
    for contrast, spread in found.items():
        yield Description(
            one.metric, contrast, spread.value, spread.chance, spread.corrected, reasons[contrast]
        )


def _worst(one: Measured, errors: Reals) -> Spread:
    """Return the worst value and, as its chance, the mean worst of groups like everybody."""
    there = _assessable(one)
    if there.sum() < 2:
        return Spread(np.nan, np.nan, np.nan)
    pick = np.min if one.worse == "low" else np.max
    chance = one.overall + float(np.mean(pick(errors[:, there], axis=1)))
    return Spread(float(pick(one.values[there])), chance, np.nan)


def _reasons(names: Sequence[str], one: Measured) -> dict[str, str]:
    there = _assessable(one)
    n, k = int(there.sum()), len(names)
    counted = f"{n} of {k} groups are assessable"
    reasons = dict.fromkeys(
        ("between_group_variance", "equity_scaled_sum", "equity_scaled_std"), counted
    )
    if n < 2:
        return {**reasons, **dict.fromkeys(("range", "ratio", "worst"), counted)}
    low, high = _ends(names, one)
    last = worst(np.where(there, one.values, np.nan), one.worse)
    name, value = (names[last], float(one.values[last])) if last is not None else ("", np.nan)
    which = "lowest" if one.worse == "low" else "highest"
    side = "below" if value < one.overall else "above"
    return {
        **reasons,
        "range": f"{low} to {high}; {counted}",
        "ratio": f"{low} over {high}; {counted}",
        "worst": f"{name}, the {which} of {n} of {k} assessable groups, where {one.worse} is worse;"
        f" {abs(value - one.overall):.3f} {side} everybody",
    }


def _of_odds(
    names: Sequence[str], first: tuple[Measured, Reals], second: tuple[Measured, Reals]
) -> Iterator[Description]:
    """Yield equalised odds both ways, and equal opportunity, of a rate in each class."""
    one, other = gap(*_data(*first)), gap(*_data(*second))
    either = f"{_direction(names, first[0])}; {_direction(names, second[0])}"
    both = [_ranges(*first), _ranges(*second)]
    metric = f"{first[0].metric} and {second[0].metric}"
    decided = first[0] if one.value >= other.value else second[0]
    yield Description(
        metric,
        "equalised_odds_difference",
        float(np.maximum(one.value, other.value)),
        float(np.mean(np.maximum(*both))),
        float(np.maximum(one.corrected, other.corrected)),
        f"the range of {decided.metric} is the larger: {either}",
    )
    yield Description(
        metric,
        "equalised_odds_mean",
        (one.value + other.value) / 2.0,
        (one.chance + other.chance) / 2.0,
        (one.corrected + other.corrected) / 2.0,
        f"the mean of two ranges: {either}",
    )
    yield Description(
        first[0].metric,
        "equal_opportunity_difference",
        one.value,
        one.chance,
        one.corrected,
        _direction(names, first[0]),
    )


def _direction(names: Sequence[str], one: Measured) -> str:
    """Return in words which group has the worse rate, and which the better."""
    if _assessable(one).sum() < 2:
        return f"{one.metric} has fewer than two assessable groups"
    low, high = _ends(names, one)
    return f"{one.metric} is lowest in {low} and highest in {high}, where {one.worse} is worse"


def _ends(names: Sequence[str], one: Measured) -> tuple[str, str]:
    """Return the lowest and the highest group, each with its value, of two or more."""
    values = np.where(_assessable(one), one.values, np.nan)
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    return f"{names[low]} {values[low]:.3f}", f"{names[high]} {values[high]:.3f}"


def _assessable(one: Measured) -> npt.NDArray[np.bool_]:
    return ~np.isnan(one.values) & ~np.isnan(np.diag(one.covariance))


def _data(one: Measured, errors: Reals) -> tuple[Reals, Reals, Reals]:
    return one.values, one.covariance, errors


def _ranges(one: Measured, errors: Reals) -> Reals:
    """Return the range of each draw with no true difference; NaN of fewer than two groups."""
    there = _assessable(one)
    if there.sum() < 2:
        return np.full(len(errors), np.nan)
    return np.asarray(np.ptp(errors[:, there], axis=1), dtype=np.float64)
