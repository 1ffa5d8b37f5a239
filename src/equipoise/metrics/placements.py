"""AUROC by placement values: each image's rank among the images of the other class.

The mean placement of the positives is the AUROC; the placements, summed per patient, are its
influence values, so that covariances between subgroups that share patients come for free.
"""

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def placements(score: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> Reals:
    """Return the share of `others` below each score, ties counted half.

    Parameters
    ----------
    score
        Shape ``(n,)``, any order; faster when sorted.
    others
        Sorted scores of the other class, at least one, of the same precision as `score`.

    Examples
    --------
    >>> placements(np.array([0.2, 0.5]), np.array([0.1, 0.2, 0.4])).round(3).tolist()
    [0.5, 1.0]
    """
    below = np.searchsorted(others, score, side="left")
    upto = np.searchsorted(others, score, side="right")
    return (below + upto) / (2.0 * len(others))


def clustered_auroc(
    score: npt.NDArray[np.floating], label: Flags, cluster: Integers
) -> tuple[float, float]:
    """Return the AUROC and its standard error, images of a cluster taken as dependent.

    Parameters
    ----------
    score
        Shape ``(n,)``, finite.
    label
        Shape ``(n,)``, true where the finding is present.
    cluster
        Shape ``(n,)``, an integer code per patient.

    Returns
    -------
    Both NaN if one class is absent; the standard error alone is NaN if all positives or all
    negatives are of one patient, since one patient says nothing of how patients differ.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; Obuchowski 1997, Biometrics 53:567
    (for one image per patient both agree).

    Examples
    --------
    >>> score, label = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    >>> value, error = clustered_auroc(score, label, np.arange(4))
    >>> value, round(error, 4)
    (0.75, 0.3536)
    """
    label = np.asarray(label, dtype=bool)
    positives, negatives = score[label], score[~label]
    if not len(positives) or not len(negatives):
        return float("nan"), float("nan")
    above = placements(positives, np.sort(negatives))
    below = 1.0 - placements(negatives, np.sort(positives))
    value = float(above.mean())
    _, code = np.unique(cluster, return_inverse=True)
    total = np.zeros(int(code.max()) + 1)
    for part, where in ((above, code[label]), (below, code[~label])):
        scale = small_sample(len(np.unique(where))) / len(part)
        total += np.bincount(where, (part - value) * scale, len(total))
    return value, float(np.sqrt(np.sum(total**2)))


def small_sample(clusters: int) -> float:
    """Return the factor √(m / (m - 1)) on influence values of m clusters; NaN below two.

    With it the sum of squares over patients is unbiased where each has one image.

    Examples
    --------
    >>> small_sample(2) ** 2
    2.0000000000000004
    """
    return float(np.sqrt(clusters / (clusters - 1))) if clusters > 1 else float("nan")
