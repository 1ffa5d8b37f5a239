"""Operating points: thresholds chosen on validation and bound to what they were chosen on."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from equipoise import evidence

Scores = npt.NDArray[np.float32]
PointRule = Literal["specificity", "sensitivity", "youden"]

_ROUNDING = 1e-9


def threshold(score: Scores, label: npt.NDArray[np.bool_], *, rule: PointRule, at: float) -> float:
    """Return the score from which an image is called positive.

    It is one of the scores, or just above all of them, so that nothing depends on how a computer
    rounds a midpoint.

    Parameters
    ----------
    score
        On validation ``(n,)``.
    label
        True = positive; both occur.
    rule
        *specificity*: the lowest threshold with at least `at` of the negatives below.
        *sensitivity*: the highest with at least `at` of the positives at or above.
        *youden*: sensitivity + specificity is largest; of several, the highest.
    at
        A share between 0 and 1.

    References
    ----------
    Youden, *Index for rating diagnostic tests*, Cancer 3, 1950.

    Examples
    --------
    >>> score = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    >>> label = np.array([False, False, True, True])
    >>> round(threshold(score, label, rule="specificity", at=0.5), 3)
    0.2
    >>> round(threshold(score, label, rule="youden", at=0.5), 3)
    0.3
    """
    values = np.unique(score)
    above_all = np.nextafter(values[-1], np.float32(np.inf), dtype=np.float32)
    values = np.append(values, above_all)
    negative, positive = np.sort(score[~label]), np.sort(score[label])
    below = np.searchsorted(negative, values, side="left") / len(negative)
    reached = 1.0 - np.searchsorted(positive, values, side="left") / len(positive)
    if rule == "specificity":
        return float(values[np.argmax(below >= at - _ROUNDING)])
    if rule == "sensitivity":
        return float(values[np.flatnonzero(reached >= at - _ROUNDING)[-1]])
    total = below + reached
    return float(values[np.flatnonzero(total >= total.max() - _ROUNDING)[-1]])


def seal(image_ids: Sequence[str], score: Scores, label: npt.NDArray[np.bool_]) -> str:
    """Return the SHA-256 of the validation predictions, whatever their order.

    Examples
    --------
    >>> one = seal(["a", "b"], np.array([0.1, 0.2], np.float32), np.array([True, False]))
    >>> one == seal(["b", "a"], np.array([0.2, 0.1], np.float32), np.array([False, True]))
    True
    """
    rows = zip(image_ids, score.tolist(), label.tolist(), strict=True)
    return evidence.digest([list(row) for row in sorted(rows)])
