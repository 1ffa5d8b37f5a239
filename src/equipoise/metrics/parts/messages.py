"""What parts send: a few small arrays of which none grows with the cohort, and a head in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.parts.agreements import Agreed

Array = npt.NDArray[np.int64] | npt.NDArray[np.float64] | npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

CELLS = ("tp", "fp", "tn", "fn")

LIMB = 30
"""Bits of each of the two whole numbers that a loss is summed in."""

PEOPLE = (
    "images",
    "patients",
    "positive",
    "negative",
    "patients_positive",
    "patients_negative",
)
"""Each of shape ``(findings, arms)``."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted, of one part or of several together.

    Parameters
    ----------
    people
        Images, patients, positives (images), negatives (images), patients with a positive and
        with a negative, shape ``(6, findings, arms)``, in the order of `PEOPLE`.
    histogram
        Images by label and bin of the score, ``(findings, 2, arms, bins)``; negatives first.
    confusion
        tp, fp, tn, fn (images), ``(operating points, 4, arms)``.
    trial_patients
        Patients with a trial of each rate, ``(questions, arms)``; zeros of what is no rate.
    loss
        Sums over images of each mean as whole numbers, so that they add without rounding and in
        any order, ``(questions, 2, arms)``: multiples of 2^-30, and of 2^-60 below them. Zeros of
        what is no mean.
    unscored
        Images with a label and no score, ``(findings,)``.
    """

    people: Integers
    histogram: Integers
    confusion: Integers
    trial_patients: Integers
    loss: Integers
    unscored: Integers

    def of(self, name: str) -> Integers:
        """Return one of `PEOPLE`, shape ``(findings, arms)``."""
        found: Integers = self.people[PEOPLE.index(name)]
        return found

    def losses(self) -> Reals:
        """Return the sums of each mean as numbers, ``(questions, arms)``, each rounded once."""
        whole = [
            [((int(high) << LIMB) + int(low)) / (1 << 2 * LIMB) for high, low in row.T]
            for row in self.loss
        ]
        return np.array(whole, dtype=np.float64).reshape(self.trial_patients.shape)


@dataclass(frozen=True, slots=True)
class Part:
    """What one part sends first: its counts, and what it withholds.

    Parameters
    ----------
    name
        Whose counts they are, as the site is called.
    clustered
        Whether patients are known.
    head
        What it takes to be agreed.
    counts
        The counts; zeros of what is withheld.
    withheld
        Of which arms nothing is told, shape ``(findings, arms)``.
    """

    name: str
    clustered: bool
    head: Mapping[str, object]
    counts: Counts
    withheld: Flags


@dataclass(frozen=True, slots=True)
class Merged:
    """The counts of all parts together, and who stands behind them.

    Parameters
    ----------
    names
        The parts, sorted.
    clustered, head
        As of each part.
    counts
        The counts; zeros where too few parts stand behind an arm.
    withheld
        What each part withheld, shape ``(parts, findings, arms)``.
    told
        Of which arms each part had images and told, the same shape.
    """

    names: tuple[str, ...]
    clustered: bool
    head: Mapping[str, object]
    counts: Counts
    withheld: Flags
    told: Flags

    def few(self, agreed: Agreed) -> Flags:
        """Return behind which arms too few parts stand, shape ``(findings, arms)``."""
        behind = self.told.sum(axis=0)
        somebody = self.told.any(axis=0) | self.withheld.any(axis=0)
        return np.asarray((behind < agreed.rules.contributors) & somebody)


@dataclass(frozen=True, slots=True)
class Second:
    """What one part sends second, or all together: second moments of the influence values.

    Parameters
    ----------
    names
        Whose they are: one part, or all, sorted.
    of
        Digest of the merged counts that the influence values were taken at.
    variance, fourth
        Shape ``(questions, arms)``: sums over patients of squares and fourth powers.
    covariance
        Shape ``(questions, contrasts)``: of the two arms of each contrast.
    joint_values, joint_differences
        Covariance matrices of the two families.
    """

    names: tuple[str, ...]
    of: str
    variance: Reals
    fourth: Reals
    covariance: Reals
    joint_values: Reals
    joint_differences: Reals


COUNTS = ("people", "histogram", "confusion", "trial_patients", "loss", "unscored")
SECOND = ("variance", "fourth", "covariance", "joint_values", "joint_differences")


def shapes(agreed: Agreed) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of counts.

    Examples
    --------
    >>> from equipoise.metrics.definitions import Minimum
    >>> from equipoise.metrics.estimates import Plan
    >>> from equipoise.metrics.groups import subgroups
    >>> plan = Plan({}, ("auroc",), Minimum(), "probe")
    >>> shapes(Agreed(subgroups({"sex": ["F", "M"]}), plan, ("x",)))["histogram"]
    (1, 2, 5, 256)
    """
    findings, arms = len(agreed.findings), len(agreed.compared.names)
    questions = len(agreed.questions)
    return {
        "people": (len(PEOPLE), findings, arms),
        "histogram": (findings, 2, arms, agreed.rules.bins),
        "confusion": (len(agreed.named_points), len(CELLS), arms),
        "trial_patients": (questions, arms),
        "loss": (questions, 2, arms),
        "unscored": (findings,),
    }
