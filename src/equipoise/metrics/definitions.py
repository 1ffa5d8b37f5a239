"""What each metric is: a rate is events over trials, a mean is of a loss, AUROC is a ranking."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Cell = Literal["tp", "fp", "tn", "fn"]
Reals = npt.NDArray[np.float64]
Loss = Callable[[Reals, npt.NDArray[np.bool_]], Reals]
Composite = Callable[[Reals], tuple[Reals, Reals]]
"""Cells ``(4, arms)`` in the order tp, fp, tn, fn → value ``(arms,)``, gradient ``(4, arms)``."""
Functional = Callable[[Reals, Reals, Reals], tuple[Reals, Reals]]
"""Negatives and positives ``(arms, levels)``, scores ``(levels,)`` → value ``(arms,)`` and its
derivative by the count of negatives and of positives ``(arms, 2, levels)``."""

METRICS = ("auroc", "sensitivity", "specificity", "ppv", "npv", "brier")
"""What is estimated if nothing is said; `known.names` lists all there are."""


class Minimum(BaseModel):
    """How many a group needs, in each arm of a comparison, before a number is reported of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positives: int = Field(
        default=30,
        ge=2,
        description="Images with the finding (sensitivity, AUROC), or called positive (PPV).",
    )
    negatives: int = Field(
        default=30,
        ge=2,
        description="Images without the finding (specificity, AUROC), or called negative (NPV).",
    )
    patients: int = Field(
        default=30, ge=2, description="Patients among those images; for AUROC in each class."
    )


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Parameters
    ----------
    name
        As it stands in the estimates.
    kind
        *rate*: events over trials, in cells of the confusion matrix at an operating point.
        *composite*: any other function of these cells that does not change if all are doubled.
        *mean*: of a loss per image, in [0, 1]. *ranking*: AUROC. *functional*: any other function
        of the scores of both classes that does not change if all images are doubled.
    counted
        What its trials are, in words, for the message when they are too few.
    events, trials
        Cells of a rate; the events are among the trials.
    scarce
        Which minimum the trials of a rate must reach.
    loss
        Scores and labels, shape ``(n,)`` → loss, shape ``(n,)``, of a mean.
    composite, functional
        The function of these kinds; what it gives is a value and its derivative by the counts.
    across
        Of a ranking: the class that is of the group, against the other class of everybody.
    worse
        Which values are the worse; None where neither end is.
    bounded
        Whether it lies in [0, 1], so that its interval is made on the logit scale.
    """

    name: str
    kind: Literal["rate", "composite", "mean", "ranking", "functional"]
    counted: str = "images"
    events: tuple[Cell, ...] = ()
    trials: tuple[Cell, ...] = ()
    scarce: Literal["positives", "negatives", "patients"] = "positives"
    loss: Loss | None = None
    composite: Composite | None = None
    functional: Functional | None = None
    across: Literal["positives", "negatives"] | None = None
    worse: Literal["low", "high"] | None = "low"
    bounded: bool = True

    @property
    def thresholded(self) -> bool:
        """Whether it needs an operating point."""
        return self.kind in {"rate", "composite"}

    @property
    def ranked(self) -> bool:
        """Whether it rests on positives and on negatives both."""
        return self.kind in {"ranking", "functional", "composite"}


def auroc() -> Metric:
    """Return the area under the ROC curve: how often a positive outranks a negative.

    Examples
    --------
    >>> auroc().kind
    'ranking'
    """
    return Metric("auroc", "ranking")


def brier() -> Metric:
    """Return the mean squared distance of score and label; it moves with prevalence.

    Examples
    --------
    >>> brier().loss(np.array([0.25]), np.array([True])).tolist()
    [0.5625]
    """
    return Metric("brier", "mean", loss=squared_error, worse="high")


def squared_error(
    score: npt.NDArray[np.float64], label: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return the squared distance of each score from its label.

    Examples
    --------
    >>> squared_error(np.array([0.5]), np.array([False])).tolist()
    [0.25]
    """
    return (score - label) ** 2
