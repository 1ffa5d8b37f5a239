"""What is counted for one question of all arms, and what is lacking to answer it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.counts import flags, images, patients
from equipoise.metrics.definitions import Metric, Minimum
from equipoise.metrics.placements import placements
from equipoise.metrics.samples import Sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Question:
    """One metric of one finding at one operating point, if it needs one.

    Parameters
    ----------
    sample
        The images.
    metric
        The metric.
    point
        The operating point of a rate, else None.
    """

    sample: Sample
    metric: Metric
    point: str | None

    def trials(self) -> Flags:
        """Return which images the metric is over, shape ``(n,)``."""
        if self.point is None:
            return np.ones(len(self.sample.label), dtype=bool)
        return flags(self.sample, self.point, self.metric.trials)

    def outcome(self) -> Reals:
        """Return event (1) or none (0), or the loss, of each image, shape ``(n,)``."""
        if self.metric.loss is not None:
            return self.metric.loss(self.sample.score.astype(np.float64), self.sample.label)
        if self.point is None:
            return self.sample.label.astype(np.float64)
        return flags(self.sample, self.point, self.metric.events).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The answer to one question, a value per arm, each of shape ``(arms,)``.

    Parameters
    ----------
    value
        The estimate; NaN where it is not assessable.
    events, trials
        Images; None where the metric is no rate.
    patients
        Patients on whom the variance rests; for AUROC those of the smaller class.
    by_class
        Patients with a positive, and with a negative.
    images_by_class
        Positives and negatives.
    lacking
        Why an arm is not assessable, in words, or None.
    """

    value: Reals
    events: Integers | None
    trials: Integers | None
    patients: Integers
    by_class: tuple[Integers, Integers]
    images_by_class: tuple[Integers, Integers]
    lacking: tuple[str | None, ...]

    @property
    def assessable(self) -> Flags:
        """Which arms have a value."""
        return np.array([why is None for why in self.lacking], dtype=bool)


def questions(samples: tuple[Sample, ...], metrics: list[Metric]) -> list[Question]:
    """Return all that is asked; without an operating point, only what needs none.

    Examples
    --------
    >>> from equipoise.metrics.definitions import metric
    >>> code = np.arange(2)
    >>> sample = Sample("x", code / 2, code > 0, code, code, {}, 0)
    >>> [q.metric.name for q in questions((sample,), [metric("auroc"), metric("ppv")])]
    ['auroc']
    """
    return [
        Question(sample, metric, point)
        for sample in samples
        for metric in metrics
        for point in (sample.called if metric.thresholded else [None])
    ]


def numbers(question: Question, compared: Arms, minimum: Minimum) -> Numbers:
    """Return the answer to one question for all arms.

    Parameters
    ----------
    question
        What is asked.
    compared
        The arms.
    minimum
        What an arm must have.

    Examples
    --------
    >>> from equipoise.metrics.definitions import metric
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(4)
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> few = Minimum(positives=2, negatives=2, patients=2)
    >>> numbers(Question(sample, metric("auroc"), None), compared, few).value.tolist()
    [0.75]
    """
    sample, inside = question.sample, compared.inside
    positive = images(sample, sample.label, inside), patients(sample, sample.label, inside)
    negative = images(sample, ~sample.label, inside), patients(sample, ~sample.label, inside)
    trial = question.trials()
    counted = images(sample, trial, inside), patients(sample, trial, inside)
    lacking = lacking_of(question.metric, compared.names, (positive, negative, counted), minimum)
    fine = np.array([why is None for why in lacking], dtype=bool)
    rate = question.metric.kind == "rate"
    events = images(sample, trial & (question.outcome() > 0), inside) if rate else None
    ranking = question.metric.kind == "ranking"
    return Numbers(
        value=_values(question, compared, fine),
        events=events,
        trials=counted[0] if rate else None,
        patients=np.minimum(positive[1], negative[1]) if ranking else counted[1],
        by_class=(positive[1], negative[1]),
        images_by_class=(positive[0], negative[0]),
        lacking=lacking,
    )


def lacking_of(
    metric: Metric,
    names: Sequence[str],
    have: tuple[tuple[Integers, Integers], tuple[Integers, Integers], tuple[Integers, Integers]],
    minimum: Minimum,
) -> tuple[str | None, ...]:
    """Return why each arm is not assessable, in words, or None.

    Parameters
    ----------
    metric
        The metric.
    names
        Each arm in words.
    have
        Images and patients of each arm, each of shape ``(arms,)``: positives, negatives, trials.
    minimum
        What an arm must have.

    Examples
    --------
    >>> from equipoise.metrics.definitions import metric
    >>> n = np.array([40, 12])
    >>> lacking_of(metric("brier"), ["sex=F", "sex=M"], ((n, n), (n, n), (n, n)), Minimum())
    (None, 'sex=M has 12 patients; 18 more are needed')
    """
    positive, negative, counted = have
    if metric.kind == "ranking":
        needs = [
            (positive[0], "positives", minimum.positives),
            (negative[0], "negatives", minimum.negatives),
            (positive[1], "patients with positives", minimum.patients),
            (negative[1], "patients with negatives", minimum.patients),
        ]
    else:
        needs = _needs(metric, counted, minimum)
    return tuple(_lacking(name, position, needs) for position, name in enumerate(names))


def _needs(
    metric: Metric, counted: tuple[Integers, Integers], minimum: Minimum
) -> list[tuple[Integers, str, int]]:
    if metric.kind == "mean":
        return [(counted[1], "patients", minimum.patients)]
    wanted = minimum.positives if metric.scarce == "positives" else minimum.negatives
    return [
        (counted[0], metric.counted, wanted),
        (counted[1], f"patients with {metric.counted}", minimum.patients),
    ]


def _lacking(name: str, arm: int, needs: list[tuple[Integers, str, int]]) -> str | None:
    short = [
        (int(have[arm]), what, wanted) for have, what, wanted in needs if int(have[arm]) < wanted
    ]
    # Too few positives are too few patients with positives: said once.
    counted = {what for _, what, _ in short}
    short = [s for s in short if s[1].removeprefix("patients with ") not in counted - {s[1]}]
    if not short:
        return None
    if len(short) == 1:
        n, what, wanted = short[0]
        return f"{name} has {n} {what}; {wanted - n} more are needed"
    parts = [f"{n} {what} ({wanted - n} more are needed)" for n, what, wanted in short]
    return f"{name} has " + " and ".join(parts)


def _values(question: Question, compared: Arms, fine: Flags) -> Reals:
    value = np.full(len(fine), np.nan)
    sample, trial, outcome = question.sample, question.trials(), question.outcome()
    if question.metric.kind == "ranking":
        for arm, negatives, positives in ordered(sample, compared.inside, fine):
            value[arm] = placements(positives, negatives).mean()
        return value
    weight = np.bincount(sample.cell[trial], outcome[trial], compared.inside.shape[1])
    total = compared.inside.astype(np.float64) @ weight
    n = images(sample, trial, compared.inside)
    np.divide(total, n, out=value, where=fine & (n > 0))
    return value


def ordered(
    sample: Sample, inside: Flags, wanted: Flags
) -> list[tuple[int, npt.NDArray[np.floating], npt.NDArray[np.floating]]]:
    """Return arm, its sorted negatives and its sorted positives, for each arm that is wanted.

    Examples
    --------
    >>> code = np.arange(2)
    >>> sample = Sample("x", code / 2, code > 0, code, code, {}, 0)
    >>> ordered(sample, np.array([[True, True]]), np.array([True]))
    [(0, array([0.]), array([0.5]))]
    """
    order = np.argsort(sample.score, kind="stable")
    score, label, cell = sample.score[order], sample.label[order], sample.cell[order]
    down, up = (score[~label], cell[~label]), (score[label], cell[label])
    return [
        (int(arm), down[0][inside[arm][down[1]]], up[0][inside[arm][up[1]]])
        for arm in np.flatnonzero(wanted)
    ]
