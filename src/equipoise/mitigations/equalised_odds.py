"""Equalised odds by a derived predictor: decisions are drawn so that both rates agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.crossed import FOLDS, crossed
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, checked, grouped, parsed
from equipoise.mitigations.steps import Step

Reals = npt.NDArray[np.float64]

DECLARED = Declared(shape="after", group_in_training=True, group_at_test=True)

_ABOVE_ALL = 2.0
_NEGLIGIBLE = 1e-12


class Parameters(BaseModel):
    """Which point that all groups can reach is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Literal["balanced_accuracy", "accuracy"] = Field(
        default="balanced_accuracy", description="what is largest at the point"
    )
    folds: int = FOLDS


@dataclass(frozen=True, slots=True)
class Hull:
    """The upper hull of a ROC curve.

    Parameters
    ----------
    x, y
        False and true positive rate of its corners, from (0, 0) to (1, 1).
    threshold
        From which score an image is positive at that corner.
    """

    x: Reals
    y: Reals
    threshold: Reals


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a plain probe and draw decisions with the same two error rates in every group.

    Objective: mean log loss; then, on scores out of fold, the point below every group's ROC hull
    with the largest (balanced) accuracy. A group comes to it by a draw between two of its
    thresholds and, with some chance, by a draw that ignores the score. Groups are needed for
    training **and at test time**; an unknown or unseen group has the hull of all rows together.

    The decision is at 0.5: a positive has a score of 0.5 or more, within which scores rank as
    before. The draw is a hash of the image's score, so the same image is always decided alike;
    but two patients of one group and nearly one score may be decided differently, and that is
    what the method is. Groups whose ROC is higher are brought down to the lowest: it levels down
    wherever the curves do not cross. At another threshold than 0.5 nothing is equal.

    Replication: on chest radiographs methods that reach equal rates across groups did so by
    worsening performance for all groups (CXR_Fairness).

    Parameters
    ----------
    training
        The rows; two groups or more, each with both labels.
    penalty
        Of the probe, above 0; published ranges for linear probes are 1e-6 to 1.
    parameters
        ``objective``: published both; ``folds``: published 3 to 10.
    rng
        Shuffles the patients over folds, and salts the draw.
    start
        Not used: a probe that differs by a rounding would draw otherwise.

    References
    ----------
    Hardt, Price and Srebro, *Equality of opportunity in supervised learning*, NeurIPS 2016.
    Zhang et al., *Improving the fairness of chest X-ray classifiers*, CHIL 2022.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 1))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> fit(rows, penalty=0.1, parameters={}, rng=rng).needs_group_at_test
    True
    """
    del start
    chosen = parsed(Parameters, parameters, "equalised_odds")
    checked(training, penalty)
    names, codes = grouped(training, "equalised_odds", labels="both")
    probe = probes.fit_logistic(training.x, training.y, penalty=penalty)
    score = crossed(training, chosen.folds, penalty=penalty, rng=rng).astype(np.float32)
    hulls = [hull(score[codes == place], training.y[codes == place]) for place in range(len(names))]
    known = codes >= 0
    prevalence = 0.5 if chosen.objective == "balanced_accuracy" else float(training.y[known].mean())
    x, y = common_point(hulls, prevalence)
    step = derived([*hulls, hull(score, training.y)], names, (x, y), int(rng.integers(2**31)))
    return described(Fitted("equalised_odds", probe, after=step), training)


def hull(score: npt.NDArray[np.floating], label: npt.NDArray[np.bool_]) -> Hull:
    """Return the upper hull of the ROC curve of scores ``(n,)`` with both labels.

    Examples
    --------
    >>> found = hull(np.array([0.1, 0.4, 0.6, 0.9]), np.array([False, True, False, True]))
    >>> found.x.tolist(), found.y.tolist(), found.threshold.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0], [2.0, 0.9, 0.4, 0.1])
    """
    values = np.unique(score)[::-1].astype(np.float64)
    negative, positive = np.sort(score[~label]), np.sort(score[label])
    x = 1.0 - np.searchsorted(negative, values, side="left") / len(negative)
    y = 1.0 - np.searchsorted(positive, values, side="left") / len(positive)
    points = [(0.0, 0.0, _ABOVE_ALL), *zip(x.tolist(), y.tolist(), values.tolist(), strict=True)]
    kept: list[tuple[float, float, float]] = []
    for point in points:
        while len(kept) > 1 and _left_of(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    corners = np.array(kept)
    return Hull(corners[:, 0], corners[:, 1], corners[:, 2])


def common_point(hulls: list[Hull], prevalence: float) -> tuple[float, float]:
    """Return the point under all hulls where accuracy at a prevalence is largest.

    Accuracy is linear and the least of the hulls is concave and piecewise linear, so the best is
    at one of its corners: a corner of a hull, or where two of them cross.

    Examples
    --------
    >>> one = Hull(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.5, 1.0]), np.zeros(3))
    >>> other = Hull(np.array([0.0, 0.4, 1.0]), np.array([0.0, 0.9, 1.0]), np.zeros(3))
    >>> [round(float(value), 2) for value in common_point([one, other], 0.5)]
    [0.29, 0.64]
    """
    corners = np.unique(np.concatenate([one.x for one in hulls]))
    below = np.array([_height(one, corners) for one in hulls])  # (groups, corners)
    at = list(corners)
    for first in range(len(hulls)):
        for second in range(first):
            gap = below[first] - below[second]
            for place in np.flatnonzero(gap[:-1] * gap[1:] < 0):
                share = gap[place] / (gap[place] - gap[place + 1])
                at.append(corners[place] + share * (corners[place + 1] - corners[place]))
    x = np.unique(at)
    y = np.min([_height(one, x) for one in hulls], axis=0)
    reached = prevalence * y + (1.0 - prevalence) * (1.0 - x)
    best = int(np.flatnonzero(reached >= reached.max() - _NEGLIGIBLE)[0])
    return float(x[best]), float(y[best])


def derived(
    hulls: list[Hull], names: tuple[str, ...], point: tuple[float, float], salt: int
) -> Step:
    """Return the step that brings each group, and last all others, to a point below its hull.

    Examples
    --------
    >>> one = Hull(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([2.0, 0.1]))
    >>> derived([one], (), (0.5, 0.5), 0).arrays["share"].tolist()
    [0.5]
    """
    x, y = point
    rows = []
    for one in hulls:
        right = int(np.clip(np.searchsorted(one.x, x, side="left"), 1, len(one.x) - 1))
        while right < len(one.x) - 1 and one.x[right + 1] == one.x[right] == x:
            right += 1  # of several corners above each other, the highest
        left = right - 1
        width = one.x[right] - one.x[left]
        share = 1.0 if width == 0 else (x - one.x[left]) / width
        top = float(_height(one, np.array([x]))[0])
        # (1 - ignored) · top + ignored · x = y: a coin that is positive with chance x
        ignored = 0.0 if top - x <= _NEGLIGIBLE else min(1.0, max(0.0, (top - y) / (top - x)))
        rows.append([one.threshold[right], one.threshold[left], share, ignored, x])
    low, high, share_of, ignored_of, constant = np.array(rows).T
    return Step(
        "derived",
        {
            "low": low,
            "high": high,
            "share": share_of,
            "ignored": ignored_of,
            "constant": constant,
            "salt": np.array([float(salt)]),
        },
        names,
    )


def _height(one: Hull, x: Reals) -> Reals:
    """Return the hull at false positive rates; where it rises straight up, its top."""
    keep = np.append(one.x[1:] > one.x[:-1], True)
    return np.asarray(np.interp(x, one.x[keep], one.y[keep]), dtype=np.float64)


def _left_of(
    a: tuple[float, float, float], b: tuple[float, float, float], c: tuple[float, float, float]
) -> bool:
    """Return whether b is on or below the line from a to c."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0
