"""How much one model's answers differ from another's on the same images, at any half-width.

Both answer for the same images, so most of what makes either of them uncertain is shared and
cancels: the variance of the difference is that of the difference of their influence values, summed
per patient. Runs of several seeds are averaged first; what seeds add is widened in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from equipoise.metrics.definitions import Minimum
from equipoise.metrics.intervals import mover
from equipoise.metrics.limits import arm_limits
from equipoise.metrics.numbers import Numbers
from equipoise.metrics.placements import placements, small_sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PAIRED = ("auroc", "sensitivity", "specificity")
"""The metrics that are compared."""

_FARTHEST = 10.0
"""Half-width in standard errors beyond which no p-value is told."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one way of training says of the images, in one run or in several.

    Parameters
    ----------
    score
        Shape ``(runs, n)``, finite.
    called
        Shape ``(runs, n)``: whether an image is called positive, at each run's own threshold.
    """

    score: npt.NDArray[np.floating]
    called: Flags


@dataclass(frozen=True, slots=True)
class Side:
    """One group of images: what its limits rest on.

    Parameters
    ----------
    means
        Shape ``(2,)``: first and second, over runs.
    totals
        Shape ``(2, patients)``: influence values summed per patient.
    resting
        Patients on whom the variance rests.
    trials
        Images that a rate is over; None for AUROC.
    """

    means: Reals
    totals: Reals
    resting: int
    trials: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """Second less first, in a group, or in the gap between two.

    Parameters
    ----------
    first, second
        The values; NaN where not assessable.
    sides
        The group; or the group and what it is held against.
    influence
        Shape ``(patients,)``, of the difference.
    runs
        The difference in each run.
    numbers
        Images, patients, positives and negatives of the group.
    lacking
        Why it is not assessable, or None.
    """

    first: float
    second: float
    sides: tuple[Side, ...]
    influence: Reals
    runs: Reals
    numbers: tuple[int, int, int, int]
    lacking: str | None

    @property
    def difference(self) -> float:
        """Second less first."""
        return self.second - self.first


def changes(
    metric: str,
    both: tuple[Answers, Answers],
    *,
    label: Flags,
    patient: Integers,
    groups: Sequence[Flags],
    minimum: Minimum,
) -> list[Change]:
    """Return by how much the second differs from the first in each group.

    Parameters
    ----------
    metric
        One of `PAIRED`.
    both
        What each says of the same images.
    label
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, codes from 0: the same patients have the same codes in what is put together.
    groups
        Which images are of each, shape ``(n,)``.
    minimum
        What a group needs.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; Obuchowski 1997, Biometrics 53:567.

    Examples
    --------
    >>> label = np.arange(80) % 2 == 1
    >>> both = Answers(label[None] * 0.1, label[None]), Answers(label[None] * 0.2, ~label[None])
    >>> found = changes("sensitivity", both, label=label, patient=np.arange(80),
    ...                 groups=[label | True, label & False], minimum=Minimum())
    >>> found[0].difference, found[1].lacking
    (-1.0, '0 positives (images); needs 30')
    """
    size = int(patient.max(initial=-1)) + 1
    return [_change(metric, both, (label, patient, size), one, minimum) for one in groups]


def gap(change: Change, against: Change) -> Change:
    """Return what becomes of the gap between a group and what it is held against.

    Examples
    --------
    >>> label = np.arange(80) % 2 == 1
    >>> both = Answers(label[None] * 0.1, label[None]), Answers(label[None] * 0.2, label[None])
    >>> one, = changes("sensitivity", both, label=label, patient=np.arange(80),
    ...                groups=[label | True], minimum=Minimum())
    >>> gap(one, one).difference
    0.0
    """
    lacking = change.lacking or against.lacking
    if lacking is not None:
        return _unknown(change.numbers, lacking)
    return Change(
        change.first - against.first,
        change.second - against.second,
        (change.sides[0], against.sides[0]),
        change.influence - against.influence,
        change.runs - against.runs,
        change.numbers,
        None,
    )


def change_limits(change: Change, z: float) -> tuple[float, float]:
    """Return low and high of a change at a half-width of z standard errors, NaN if unknown.

    Over patients: the limits of either model, joined by their correlation, and for a gap those of
    its two groups joined likewise. With several runs, Student's t times the standard error over
    runs is added in quadrature, once: what a seed does to a gap is not the sum over its groups.

    References
    ----------
    Zou & Donner 2008, Statistics in Medicine 27:1693 (limits of a difference from those of its
    arms, with their correlation); Newcombe 1998, ibid. 17:2635.

    Examples
    --------
    >>> label, noise = np.arange(400) % 2 == 1, np.random.default_rng(0).normal(size=400)
    >>> both = tuple(Answers(x[None], x[None] > 0.5) for x in (label + 2 * noise, label + noise))
    >>> one, = changes("auroc", both, label=label, patient=np.arange(400),
    ...                groups=[label | True], minimum=Minimum())
    >>> low, high = change_limits(one, 1.96)
    >>> 0.0 < low < one.difference < high
    True
    """
    if change.lacking is not None:
        return float("nan"), float("nan")
    found = [_over_patients(side, z) for side in change.sides]
    low, high = found[0]
    if len(found) > 1:
        one, other = (
            (np.array([side.means[1] - side.means[0]]), np.array([down]), np.array([up]))
            for side, (down, up) in zip(change.sides, found, strict=True)
        )
        own = [side.totals[1] - side.totals[0] for side in change.sides]
        both = mover(one, other, np.array([_correlation(own[0], own[1])]))
        low, high = float(both[0][0]), float(both[1][0])
    return _with_runs(change.difference, low, high, change.runs, 2.0 * float(ndtr(z)) - 1.0)


def p_value(change: Change) -> float:
    """Return the two-sided p of no change: where the interval just holds 0; NaN if unknown.

    Found by halving, to three digits, so that it agrees with the interval, whatever its shape.

    Examples
    --------
    >>> label, noise = np.arange(400) % 2 == 1, np.random.default_rng(0).normal(size=400)
    >>> both = tuple(Answers(x[None], x[None] > 0.5) for x in (label + 2 * noise, label + noise))
    >>> one, = changes("auroc", both, label=label, patient=np.arange(400),
    ...                groups=[label | True], minimum=Minimum())
    >>> p_value(one) < 0.001
    True
    """
    if change.lacking is not None:
        return float("nan")
    within, beyond = 0.0, _FARTHEST
    for _ in range(18):
        z = (within + beyond) / 2.0
        low, high = change_limits(change, z)
        within, beyond = (z, beyond) if low > 0.0 or high < 0.0 else (within, z)
    return float(2.0 * ndtr(-within))


def _unknown(numbers: tuple[int, int, int, int], lacking: str) -> Change:
    nothing = float("nan")
    return Change(nothing, nothing, (), np.zeros(0), np.zeros(0), numbers, lacking)


def _change(
    metric: str,
    both: tuple[Answers, Answers],
    about: tuple[Flags, Integers, int],
    inside: Flags,
    least: Minimum,
) -> Change:
    label, code, size = about
    trials = inside & {"auroc": inside, "sensitivity": label, "specificity": ~label}[metric]
    by_class = [np.unique(code[trials & side]) for side in (label, ~label)]
    images = [int((trials & side).sum()) for side in (label, ~label)]
    told = (int(trials.sum()), len(np.unique(code[trials])), images[0], images[1])
    lacking = _lacking(metric, by_class, images, least)
    if lacking is not None:
        return _unknown(told, lacking)
    influence = _ranked if metric == "auroc" else _averaged
    values = np.zeros((2, both[0].score.shape[0]))  # (way, run)
    totals = np.zeros((2, size))  # (way, patient)
    for way, answers in enumerate(both):
        for run in range(len(values[way])):
            answer = answers.score[run] if metric == "auroc" else answers.called[run] == label
            found = influence(answer[trials], label[trials], code[trials], size)
            values[way, run], total = found
            totals[way] += total
        totals[way] /= len(values[way])
    resting = min(len(part) for part in by_class if len(part))
    means = values.mean(axis=1)
    side = Side(means, totals, resting, None if metric == "auroc" else told[0])
    runs = values[1] - values[0]
    return Change(
        float(means[0]), float(means[1]), (side,), totals[1] - totals[0], runs, told, None
    )


def _lacking(
    metric: str, by_class: list[npt.NDArray[np.int64]], images: list[int], least: Minimum
) -> str | None:
    needs = (("positives", least.positives), ("negatives", least.negatives))
    asked = {"auroc": (0, 1), "sensitivity": (0,), "specificity": (1,)}[metric]
    for side in asked:
        name, n = needs[side]
        if images[side] < n:
            return f"{images[side]} {name} (images); needs {n}"
        if len(by_class[side]) < least.patients:
            return f"{len(by_class[side])} patients with {name}; needs {least.patients}"
    return None


def _ranked(
    score: npt.NDArray[np.floating], label: Flags, code: Integers, size: int
) -> tuple[float, Reals]:
    """Return AUROC and influence values by patient."""
    above = placements(score[label], np.sort(score[~label]))
    below = 1.0 - placements(score[~label], np.sort(score[label]))
    value = float(above.mean())
    total = np.zeros(size)
    for part, where in ((above, code[label]), (below, code[~label])):
        scale = small_sample(len(np.unique(where))) / len(part)
        total += np.bincount(where, (part - value) * scale, size)
    return value, total


def _averaged(
    right: npt.NDArray[np.floating], label: Flags, code: Integers, size: int
) -> tuple[float, Reals]:
    """Return a rate and influence values by patient; `right` is whether each call is correct."""
    del label
    hit = right.astype(np.float64)
    value = float(hit.mean())
    scale = small_sample(len(np.unique(code))) / len(hit)
    total = np.bincount(code, (hit - value) * scale, size)
    return value, np.asarray(total, dtype=np.float64)


def _over_patients(side: Side, z: float) -> tuple[float, float]:
    """Return the limits of second less first over patients."""
    means, totals, resting = side.means, side.totals, side.resting
    trials = None if side.trials is None else np.full(2, side.trials, dtype=np.int64)
    n = np.full(2, resting, dtype=np.int64)
    events = None if trials is None else np.rint(means * trials).astype(np.int64)
    found = Numbers(means, events, trials, n, (n, n), (n, n), (None, None))
    variance, fourth = (totals**2).sum(axis=1), (totals**4).sum(axis=1)
    low, high = arm_limits(found, variance, fourth, z=z)
    arms = [(means[way : way + 1], low[way : way + 1], high[way : way + 1]) for way in (1, 0)]
    down, up = mover(arms[0], arms[1], np.array([_correlation(totals[1], totals[0])]))
    return float(down[0]), float(up[0])


def _correlation(one: Reals, other: Reals) -> float:
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float(np.clip((one * other).sum() / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _with_runs(
    difference: float, low: float, high: float, runs: Reals, level: float
) -> tuple[float, float]:
    """Return the limits with what the runs add, in quadrature."""
    if len(runs) < 2:
        return low, high
    t = float(stdtrit(len(runs) - 1.0, (1.0 + level) / 2.0))
    added = t * float(runs.std(ddof=1)) / np.sqrt(len(runs))
    down, up = np.hypot(difference - low, added), np.hypot(high - difference, added)
    return float(difference - down), float(difference + up)
