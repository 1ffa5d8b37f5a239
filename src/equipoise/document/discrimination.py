"""How well a score tells a label within strata, with patients as the unit.

Scores of different folds come from different probes: a fold that by chance holds many positives
is scored by a probe that saw few, so that pooled over folds even a source that says nothing falls
below 0.5. Positives are therefore compared with negatives of their own fold only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics import placements

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_QUANTILE = 1.959963984540054


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
    nothing and is left out. Influence values are summed per patient over all strata, so that a
    patient with images in several counts once.

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
    parts = [np.flatnonzero(stratum == code) for code in np.unique(stratum)]
    parts = [rows for rows in parts if 0 < label[rows].sum() < len(rows)]
    if not parts:
        return Discrimination(float("nan"), float("nan"), 0, 0, 0, 0)
    sizes = [(int(label[rows].sum()), len(rows)) for rows in parts]
    weight = np.array([m * (n - m) / n for m, n in sizes])
    weight /= weight.sum()
    influence, value = np.zeros(len(label)), 0.0
    for share, rows in zip(weight, parts, strict=True):
        auroc, told = _influence(score[rows], label[rows])
        influence[rows] = share * told
        value += share * auroc
    used = np.concatenate(parts)
    positive = int(label[used].sum())
    return Discrimination(
        float(value),
        _spread(influence[used], label[used], patient[used]),
        len(used),
        positive,
        len(used) - positive,
        len(parts),
    )


def holm(p_values: list[float]) -> list[float]:
    """Return p-values adjusted for all being looked at.

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6:65.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, greatest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = greatest
    return adjusted


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


def _spread(influence: Reals, label: Flags, patient: Integers) -> float:
    """Return the standard error from influence values, summed per patient."""
    _, code = np.unique(patient, return_inverse=True)
    total = np.zeros(int(code.max()) + 1)
    for side in (label, ~label):
        clusters = len(np.unique(code[side]))
        if clusters < 2:
            return float("nan")
        factor = np.sqrt(clusters / (clusters - 1))
        total += np.bincount(code[side], influence[side] * factor, len(total))
    return float(np.sqrt(np.sum(total**2)))
