"""One way of training in one group, over several runs: a value and its limits.

Limits are over patients, clustered; what the runs add is widened in by Student's t, as where two
ways of training are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from equipoise.metrics import Answers, Minimum
from equipoise.metrics.changes import changes
from equipoise.metrics.intervals import mover, quantile
from equipoise.metrics.limits import arm_limits
from equipoise.metrics.numbers import Numbers

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Limits = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Arm:
    """A group as one way of training sees it.

    Parameters
    ----------
    runs
        The value in each run.
    totals
        Influence values of the mean over runs, summed per patient ``(patients,)``.
    resting
        Patients on whom the variance rests.
    trials
        Images that a rate is over; None for AUROC.
    numbers
        Images, patients, positives and negatives.
    lacking
        Why there is no number, or None.
    """

    runs: Reals
    totals: Reals
    resting: int
    trials: int | None
    numbers: tuple[int, int, int, int]
    lacking: str | None

    @property
    def value(self) -> float:
        """The mean over runs; NaN where there is no number."""
        return float(self.runs.mean()) if self.lacking is None else float("nan")


def arms(
    metric: str,
    answers: Answers,
    *,
    label: Flags,
    patient: Integers,
    groups: Sequence[Flags],
    minimum: Minimum,
) -> list[Arm]:
    """Return one arm per group.

    Parameters
    ----------
    metric
        auroc, sensitivity or specificity.
    answers
        What is said of the images, ``(runs, n)``.
    label
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, codes from 0.
    groups
        Which images are of each ``(n,)``.
    minimum
        What a group needs.

    Examples
    --------
    >>> label = np.arange(80) % 2 == 1
    >>> said = Answers(label[None] * 0.5, label[None])
    >>> one, = arms("auroc", said, label=label, patient=np.arange(80), groups=[label | True],
    ...             minimum=Minimum())
    >>> one.value, one.resting
    (1.0, 40)
    """
    found: list[list[Arm]] = []
    for run in range(len(answers.score)):
        one = Answers(answers.score[run : run + 1], answers.called[run : run + 1])
        both = changes(
            metric, (one, one), label=label, patient=patient, groups=groups, minimum=minimum
        )
        found.append(
            [
                Arm(np.zeros(0), np.zeros(0), 0, None, change.numbers, change.lacking)
                if change.lacking is not None
                else Arm(
                    np.array([change.first]),
                    change.sides[0].totals[0],
                    change.sides[0].resting,
                    change.sides[0].trials,
                    change.numbers,
                    None,
                )
                for change in both
            ]
        )
    return [_over_runs(list(of_group)) for of_group in zip(*found, strict=True)]


def _over_runs(found: Sequence[Arm]) -> Arm:
    first = found[0]
    if first.lacking is not None:
        return first
    totals = np.mean([one.totals for one in found], axis=0)
    runs = np.concatenate([one.runs for one in found])
    return Arm(runs, totals, first.resting, first.trials, first.numbers, None)


def limits(arm: Arm, level: float) -> Limits:
    """Return the limits of a value, over patients and runs; NaN where there is no number.

    References
    ----------
    Obuchowski 1997, Biometrics 53:567; limits as the audit's.

    Examples
    --------
    >>> label = np.arange(80) % 2 == 1
    >>> said = Answers(label[None] * 0.5, label[None])
    >>> one, = arms("auroc", said, label=label, patient=np.arange(80), groups=[label | True],
    ...             minimum=Minimum())
    >>> [round(limit, 2) for limit in limits(one, 0.95)]
    [0.91, 1.0]
    """
    if arm.lacking is not None:
        return float("nan"), float("nan")
    found = _over_patients(arm, quantile(level))
    low, high = _with_runs(arm.value, found, arm.runs, level)
    return max(low, 0.0), min(high, 1.0)


def difference(first: Arm, second: Arm, level: float) -> Limits:
    """Return the limits of first less second, joined by the patients who are in both.

    Parameters
    ----------
    first, second
        Two groups with the same codes of patients and as many runs.
    level
        Of the interval.

    References
    ----------
    Zou & Donner 2008, Statistics in Medicine 27:1693.

    Examples
    --------
    >>> label = np.arange(80) % 2 == 1
    >>> said = Answers(label[None] * 0.5, label[None])
    >>> one, = arms("auroc", said, label=label, patient=np.arange(80), groups=[label | True],
    ...             minimum=Minimum())
    >>> difference(one, one, 0.95)[0] < 0 < difference(one, one, 0.95)[1]
    True
    """
    if first.lacking is not None or second.lacking is not None:
        return float("nan"), float("nan")
    z = quantile(level)
    together = _correlation(first.totals, second.totals)
    sides = []
    for arm in (first, second):
        low, high = _over_patients(arm, z)
        sides.append((np.array([arm.value]), np.array([low]), np.array([high])))
    down, up = mover(sides[0], sides[1], np.array([together]))
    apart = first.runs - second.runs
    found = float(down[0]), float(up[0])
    low, high = _with_runs(first.value - second.value, found, apart, level)
    return max(low, -1.0), min(high, 1.0)


def _over_patients(arm: Arm, z: float) -> Limits:
    n = np.array([arm.resting], dtype=np.int64)
    value = np.array([arm.value])
    trials = None if arm.trials is None else np.array([arm.trials], dtype=np.int64)
    events = None if trials is None else np.rint(value * trials).astype(np.int64)
    found = Numbers(value, events, trials, n, (n, n), (n, n), (None,))
    variance, fourth = (np.array([(arm.totals**power).sum()]) for power in (2, 4))
    low, high = arm_limits(found, variance, fourth, z=z)
    return float(low[0]), float(high[0])


def _correlation(one: Reals, other: Reals) -> float:
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float(np.clip((one * other).sum() / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _with_runs(value: float, found: Limits, runs: Reals, level: float) -> Limits:
    if len(runs) < 2:
        return found
    t = float(stdtrit(len(runs) - 1.0, (1.0 + level) / 2.0))
    added = t * float(runs.std(ddof=1)) / np.sqrt(len(runs))
    return (
        float(value - np.hypot(value - found[0], added)),
        float(value + np.hypot(found[1] - value, added)),
    )
