"""What rates would be if a score meant now what it meant in the reference: never evidence.

The estimate rests on one assumption, that a score still carries the same chance of the finding
in the group. Noise in the images breaks it, and then the estimate may rise while the truth falls.
"""

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]


def calibrated(positive: Reals, negative: Reals) -> Reals:
    """Return the chance of the finding in each bin of the score, never falling from bin to bin.

    Parameters
    ----------
    positive, negative
        Histograms of the scores of a group by label, ``(bins,)``, with a case at least.

    Returns
    -------
    ``(bins,)``; bins without cases stand between their neighbours.

    References
    ----------
    Zadrozny & Elkan 2002, KDD (isotonic calibration).

    Examples
    --------
    >>> calibrated(np.array([0.0, 1.0, 0.0, 4.0]), np.array([4.0, 1.0, 0.0, 0.0])).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """
    from scipy.optimize import isotonic_regression

    total = positive + negative
    there = np.flatnonzero(total > 0)
    fitted = isotonic_regression(positive[there] / total[there], weights=total[there]).x
    return np.asarray(np.interp(np.arange(len(total)), there, fitted), dtype=np.float64)


def expected_rates(scores: Reals, called: npt.NDArray[np.bool_], chance: Reals) -> dict[str, float]:
    """Return sensitivity and specificity as they would be if the calibration still held.

    Parameters
    ----------
    scores
        In [0, 1], ``(n,)``.
    called
        Whether each is called positive.
    chance
        What `calibrated` gave for the group.

    Returns
    -------
    Metric → value; without a rate that has nothing expected under it.

    References
    ----------
    Guillory et al. 2021, ICCV (confidence-based estimation); Białek et al. 2024,
    arXiv 2401.08348 (with calibration, and its assumptions).

    Examples
    --------
    >>> chance = np.array([0.0, 1.0])
    >>> expected_rates(np.array([0.1, 0.9]), np.array([False, True]), chance)
    {'sensitivity': 1.0, 'specificity': 1.0}
    """
    bins = np.minimum((scores * len(chance)).astype(np.int64), len(chance) - 1)
    positive = chance[bins]
    told = {"sensitivity": (positive, called), "specificity": (1.0 - positive, ~called)}
    return {
        name: float(mass[right].sum() / mass.sum())
        for name, (mass, right) in told.items()
        if mass.sum() > 0
    }
