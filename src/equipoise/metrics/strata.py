"""How well a score tells a label within strata, with patients as the unit.

Scores of different folds come from different probes: a fold that by chance holds many positives
is scored by a probe that saw few, so that pooled over folds even a source that says nothing falls
below 0.5. Positives are therefore compared with negatives of their own fold only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.metrics.placements import placements, small_sample

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_QUANTILE = 1.959963984540054

CROSS_FITTED = 2.0**0.5
"""By how much the error of a cross-fitted AUROC exceeds that of its images given the probes.

Where nothing can be read, each pair of patients of different folds counts twice, as one trains the
probe that scores the other and the other way round, so that the variance is twice as large: 1.96 to
2.13 times with 1 to 384 columns and 90 patients or more of each label (simulated). What can be read
well varies less, and its interval is wider than it need be."""


@dataclass(frozen=True, slots=True)
class Discrimination:
    """An AUROC with what it rests on.

    Parameters
    ----------
    auroc, standard_error
        NaN where they cannot be told.
    n_images, n_positive, n_negative
        Images in it.
    strata
        Strata in it.
    """

    auroc: float
    standard_error: float
    n_images: int
    n_positive: int
    n_negative: int
    strata: int

    @property
    def interval(self) -> tuple[float, float]:
        """Pointwise 95 % interval, within [0, 1]."""
        half = _QUANTILE * self.standard_error
        return max(0.0, self.auroc - half), min(1.0, self.auroc + half)

    @property
    def cross_fitted(self) -> "Discrimination":
        """The same with the error that holds if its scores come from cross-fitted probes."""
        return replace(self, standard_error=CROSS_FITTED * self.standard_error)

    def p_above(self, value: float) -> float:
        """Return the one-sided p-value of an AUROC that is no greater than `value`.

        Where all positives stand above all negatives the sample shows no spread; then the
        greatest that an AUROC of `value` could have had in so few images takes its place.

        Examples
        --------
        >>> round(Discrimination(0.7, 0.05, 100, 50, 50, 1).p_above(0.6), 4)
        0.0228
        """
        from scipy.special import ndtr

        if not np.isfinite([self.auroc, self.standard_error]).all():
            return 1.0  # one patient of a label says nothing of how patients differ
        spread = self.standard_error
        if not spread > 0.0:
            fewest = max(1, min(self.n_positive, self.n_negative))
            spread = float(np.sqrt(value * (1.0 - value) / fewest))
        return float(ndtr(-(self.auroc - value) / spread))


def within(score: Reals, label: Flags, patient: Integers, stratum: Integers) -> Discrimination:
    """Return the mean AUROC within strata: positives are compared with negatives of their own.

    A stratum of m positives and n negatives weighs ``m·n / (m + n)``; one without both says
    nothing and is left out, and so is an image of a negative stratum. Influence values are summed
    per patient over all strata, so that a patient with images in several counts once.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; Obuchowski 1997, Biometrics 53:567;
    Mantel & Haenszel 1959, Journal of the National Cancer Institute 22:719 (the weights).

    Examples
    --------
    >>> score, label = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, True, False, True])
    >>> within(score, label, np.arange(4), np.array([0, 0, 1, 1])).auroc
    1.0
    """
    told = _told(score, label, stratum)
    if told is None:
        return Discrimination(float("nan"), float("nan"), 0, 0, 0, 0)
    total = _per_patient(told, label, patient)
    positive = int(label[told.used].sum())
    n = int(told.used.sum())
    error = float(np.sqrt(np.sum(total**2)))
    return Discrimination(told.value, error, n, positive, n - positive, told.strata)


def mean_within(
    scores: Sequence[Reals], labels: Sequence[Flags], patient: Integers, strata: Sequence[Integers]
) -> tuple[float, float]:
    """Return the plain mean of several `within` of the same images, and its standard error.

    A patient's influence values are summed over all of them, so that how they hang together,
    as one level against the rest does with the others, is in the error.

    Parameters
    ----------
    scores, labels, strata
        For each of them, shape ``(n,)``; a negative stratum leaves the image out.
    patient
        Shape ``(n,)``, codes from 0.

    Examples
    --------
    >>> score, label = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    >>> one = np.zeros(4, np.int64)
    >>> value, error = mean_within([score, -score], [label, ~label], np.arange(4), [one, one])
    >>> value, round(error, 4)
    (0.75, 0.3536)
    """
    value, total = 0.0, np.zeros(int(patient.max(initial=-1)) + 1)
    for score, label, stratum in zip(scores, labels, strata, strict=True):
        told = _told(score, label, stratum)
        if told is None:
            return float("nan"), float("nan")
        value += told.value / len(scores)
        total += _per_patient(told, label, patient) / len(scores)
    return value, float(np.sqrt(np.sum(total**2)))


@dataclass(frozen=True, slots=True)
class _Told:
    """The mean AUROC within strata, what each image adds to it, and which images are in it."""

    value: float
    influence: Reals
    used: Flags
    strata: int


def _told(score: Reals, label: Flags, stratum: Integers) -> _Told | None:
    parts = [np.flatnonzero(stratum == code) for code in np.unique(stratum[stratum >= 0])]
    parts = [rows for rows in parts if 0 < label[rows].sum() < len(rows)]
    if not parts:
        return None
    sizes = [(int(label[rows].sum()), len(rows)) for rows in parts]
    weight = np.array([m * (n - m) / n for m, n in sizes])
    weight /= weight.sum()
    influence, used, value = np.zeros(len(label)), np.zeros(len(label), dtype=bool), 0.0
    for share, rows in zip(weight, parts, strict=True):
        auroc, told = _influence(score[rows], label[rows])
        influence[rows] = share * told
        used[rows] = True
        value += float(share * auroc)
    return _Told(value, influence, used, len(parts))


def _influence(score: Reals, label: Flags) -> tuple[float, Reals]:
    """AUROC of one stratum and what each image adds to its deviation."""
    positives, negatives = score[label], score[~label]
    above = placements(positives, np.sort(negatives))
    below = 1.0 - placements(negatives, np.sort(positives))
    value = float(above.mean())
    told = np.empty(len(score))
    told[label] = (above - value) / len(positives)
    told[~label] = (below - value) / len(negatives)
    return value, told


def _per_patient(told: _Told, label: Flags, patient: Integers) -> Reals:
    """Return influence values summed per patient; NaN if a class is of one patient."""
    total = np.zeros(int(patient.max()) + 1)
    for side in (label & told.used, ~label & told.used):
        factor = small_sample(len(np.unique(patient[side])))
        total += np.bincount(patient[side], told.influence[side] * factor, len(total))
    return total
