"""One metric of all arms at a standard case mix: values, influence values, effective numbers.

Within each arm an image weighs the wanted share of its stratum over the number of images that the
arm has there. The influence value of an image is its weight times its distance from the mean of its
stratum, since the arm's own shares are estimated and corrected for (post-stratification); where
the wanted shares are themselves those of the audited people, their error is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.definitions import Metric, Minimum
from equipoise.metrics.samples import Sample
from equipoise.metrics.standardised.targets import Target
from equipoise.metrics.standardised.weighted import kish, weighted_auroc, weighted_ratio

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric of one finding at one operating point, and the mix it is standardised to.

    Parameters
    ----------
    sample
        The images.
    metric
        The metric: a rate, a mean or a ranking.
    point
        The operating point of a rate, else None.
    target
        The wanted shares.
    """

    sample: Sample
    metric: Metric
    point: str | None
    target: Target

    def trial(self) -> Reals:
        """Return which images the metric is over, as 1 or 0, shape ``(n,)``."""
        if self.point is None:
            return np.ones(len(self.sample.label))
        return _inside(self.sample, self.point, self.metric.trials)

    def event(self) -> Reals:
        """Return event (1) or none (0), or the loss, of each image, shape ``(n,)``."""
        if self.point is not None:
            return _inside(self.sample, self.point, self.metric.events)
        if self.metric.loss is None:
            return self.sample.label.astype(np.float64)
        return self.metric.loss(self.sample.score.astype(np.float64), self.sample.label)


@dataclass(frozen=True, slots=True)
class Answer:
    """A standardised metric of all arms; each of shape ``(arms,)`` but for `influence`.

    Parameters
    ----------
    value
        NaN where it is not assessable.
    influence
        Summed by patient, shape ``(arms, patients)``.
    trials, patients
        Effective numbers: images that weigh, by Kish, and patients less by the same factor; of a
        ranking those of the class that has fewer.
    images
        The images that weigh, uncorrected; of the same class.
    largest
        The largest weight, in mean weights.
    lacking
        Why an arm is not assessable, in words, or None.
    """

    value: Reals
    influence: Reals
    trials: Reals
    patients: Reals
    images: Integers
    largest: Reals
    lacking: tuple[str | None, ...]


def answer(
    asked: Asked,
    compared: Arms,
    lacking: Sequence[str | None],
    minimum: Minimum,
    *,
    patients: int,
) -> Answer:
    """Return a standardised metric of all arms.

    Parameters
    ----------
    asked
        What is asked.
    compared
        The arms.
    lacking
        Why an arm is already known not to be assessable, or None; others have images in every
        stratum that counts.
    minimum
        What an arm must have, of effective numbers too.
    patients
        How many patient codes there are.

    References
    ----------
    Lohr 2022, *Sampling: Design and Analysis*, 3rd ed., on post-stratification; Särndal,
    Swensson & Wretman 1992, *Model Assisted Survey Sampling*.

    Examples
    --------
    >>> from equipoise.metrics.known import metric
    >>> code = np.arange(6)
    >>> sample = Sample("x", code / 6, code > 1, code, code % 2, {"p": code > 2}, 0)
    >>> wanted = Target(("AP", "PA"), np.arange(2), np.array([[0, 0], [0.2, 0.8]]), np.ones(2),
    ...                 None, np.ones(2, dtype=bool), False)
    >>> everybody = Arms(np.ones((1, 2), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> asked, few = Asked(sample, metric("sensitivity"), "p", wanted), Minimum.model_construct(
    ...     positives=2, negatives=2, patients=2)
    >>> answer(asked, everybody, [None], few, patients=6).value.round(9).tolist()
    [0.9]
    """
    n = len(compared.names)
    value, trials, people, largest = (np.full(n, np.nan) for _ in range(4))
    images, influence = np.zeros(n, dtype=np.int64), np.zeros((n, patients))
    why = list(lacking)
    made = asked.trial(), asked.event(), asked.target.code(asked.sample)
    for arm in range(n):
        if why[arm] is not None:
            continue
        rows = _Rows.of(asked, made, compared.inside[arm])
        trials[arm], people[arm], images[arm] = rows.numbers(asked)
        largest[arm] = rows.largest(asked)
        why[arm] = _too_few(asked.metric, compared.names[arm], rows.effective(asked), minimum)
        value[arm], derivative = rows.evaluated(asked)
        if np.isnan(value[arm]) and why[arm] is None:
            why[arm] = f"{compared.names[arm]}: {asked.metric.name} is not defined there"
        if why[arm] is None:
            influence[arm] = rows.influence(asked, derivative, patients)
    value[[w is not None for w in why]] = np.nan
    return Answer(value, influence, trials, people, images, largest, tuple(why))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The images of one arm that weigh."""

    row: Integers
    weight: Reals
    code: Integers
    trial: Reals
    event: Reals

    @classmethod
    def of(cls, asked: Asked, made: tuple[Reals, Reals, Integers], inside: Flags) -> "_Rows":
        trial, event, code = made
        wanted = (asked.target.share * asked.target.scale[:, None]).ravel()
        row = np.flatnonzero(inside[asked.sample.cell] & (code >= 0))
        row = row[wanted[code[row]] > 0.0]
        n = np.bincount(code[row], minlength=len(wanted))
        weight = np.divide(wanted, n, out=np.zeros_like(wanted), where=n > 0)
        return cls(row, weight[code[row]], code[row], trial[row], event[row])

    def evaluated(self, asked: Asked) -> tuple[float, Reals]:
        """Return the value and its derivative by the weight of each image."""
        if asked.metric.kind == "ranking":
            sample = asked.sample
            return weighted_auroc(sample.score[self.row], sample.label[self.row], self.weight)
        return weighted_ratio(self.event, self.trial, self.weight)

    def influence(self, asked: Asked, derivative: Reals, patients: int) -> Reals:
        """Return the influence values summed by patient, shape ``(patients,)``."""
        who, size = asked.sample.patient, asked.target.share.size
        n = np.maximum(np.bincount(self.code, minlength=size), 1)
        mean = np.bincount(self.code, derivative, size) / n
        active = self.trial > 0.0
        pair = np.unique(self.code[active] * patients + who[self.row[active]])
        several = np.bincount(pair // max(patients, 1), minlength=size)
        # A stratum of one patient shows no spread of its own: it is measured from the arm's mean.
        centre = np.where(several > 1, mean, 0.0)
        factor = np.sqrt(np.where(several > 1, several / np.maximum(several - 1, 1), 1.0))
        own = self.weight * (derivative - centre[self.code]) * factor[self.code]
        found = np.bincount(who[self.row], own, patients)
        return found + _of_pool(asked, mean, patients)

    def classes(self, asked: Asked) -> list[Flags]:
        """Return which images are of each class that counts: the trials, or both labels."""
        if asked.metric.kind == "ranking":
            positive = asked.sample.label[self.row]
            return [positive, ~positive]
        return [self.trial > 0.0]

    def largest(self, asked: Asked) -> float:
        """Return the largest weight, in mean weights of its class."""
        parts = [self.weight[flag] for flag in self.classes(asked) if flag.any()]
        return max((float(part.max() / part.mean()) for part in parts), default=float("nan"))

    def numbers(self, asked: Asked) -> tuple[float, float, int]:
        """Return effective images and patients, and images, of the class that has fewest."""
        found = self.effective(asked)
        return min(found, key=lambda numbers: numbers[1])

    def effective(self, asked: Asked) -> list[tuple[float, float, int]]:
        """Return effective images, effective patients and images of each class that counts."""
        numbers = []
        for flag in self.classes(asked):
            n = int(flag.sum())
            images = kish(self.weight[flag])
            people = len(np.unique(asked.sample.patient[self.row[flag]]))
            numbers.append((images, people * images / max(n, 1), n))
        return numbers


def _of_pool(asked: Asked, mean: Reals, patients: int) -> Reals:
    """Return what the error of estimated shares adds to the influence values, ``(patients,)``."""
    target, sample = asked.target, asked.sample
    if target.pool is None:
        return np.zeros(patients)
    by_class = mean.reshape(target.share.shape)
    centre = (target.share * by_class).sum(axis=1, keepdims=True)
    n = target.pool.sum(axis=1, keepdims=True)
    effect = target.scale[:, None] * np.divide(
        by_class - centre, n, out=np.zeros_like(by_class), where=n > 0
    )
    if target.estimated_scale:
        effect = effect + centre / n.sum()
    effect = np.where(target.pool > 0.0, effect, 0.0).ravel()
    code = target.code(sample)
    row = np.flatnonzero(target.pooled[sample.cell] & (code >= 0))
    added = np.bincount(sample.patient[row], effect[code[row]], patients)
    return np.asarray(added, dtype=np.float64)


def _too_few(
    metric: Metric, name: str, numbers: list[tuple[float, float, int]], minimum: Minimum
) -> str | None:
    """Return in words which effective number is too small, or None."""
    if metric.kind == "ranking":
        whats = [("positives", minimum.positives), ("negatives", minimum.negatives)]
    elif metric.kind == "mean":
        whats = [("images", 0)]
    else:
        positives = metric.scarce == "positives"
        whats = [(metric.counted, minimum.positives if positives else minimum.negatives)]
    for (images, people, n), (what, wanted) in zip(numbers, whats, strict=True):
        for have, text, need in ((images, what, wanted), (people, "patients", minimum.patients)):
            if have < need - 1e-6:
                return (
                    f"{name}: its {n} {what} are worth {have:.1f} {text} after weighting to the "
                    f"case mix; {need} are needed"
                )
    return None


def _inside(sample: Sample, point: str, wanted: Sequence[str]) -> Reals:
    label, called = sample.label, sample.called[point]
    found = np.zeros(len(label), dtype=bool)
    for cell in wanted:
        positive = label if cell in {"tp", "fn"} else ~label
        found |= positive & (called if cell in {"tp", "fp"} else ~called)
    return found.astype(np.float64)
