"""What is counted for one question of all arms, and what is lacking to answer it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.counting import Counted, exact_histogram, histograms
from equipoise.metrics.definitions import Metric, Minimum
from equipoise.metrics.samples import Sample
from equipoise.metrics.tallies import NEGATIVE, POSITIVE, images, patients
from equipoise.metrics.wins import auroc_of

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_CELLS = ("tp", "fp", "tn", "fn")


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
    averages
        Positions of the questions it is the mean of; empty of one that is asked of images.
    """

    sample: Sample
    metric: Metric
    point: str | None
    averages: tuple[int, ...] = ()


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
    >>> from equipoise.metrics.known import metric
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


def numbers(question: Question, counted: Counted, compared: Arms, minimum: Minimum) -> Numbers:
    """Return the answer to one question for all arms.

    Parameters
    ----------
    question
        What is asked.
    counted
        What is counted of its finding.
    compared
        The arms.
    minimum
        What an arm must have.

    Examples
    --------
    >>> from equipoise.metrics.counting import counted_of
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(4)
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> few = Minimum(positives=2, negatives=2, patients=2)
    >>> asked = Question(sample, metric("auroc"), None)
    >>> numbers(asked, counted_of(sample, compared, ranked=True), compared, few).value.tolist()
    [0.75]
    """
    metric, point = question.metric, question.point
    positive, negative = sides(metric, counted)
    trial = metric.trials if metric.kind == "rate" else (*NEGATIVE, *POSITIVE)
    people = (counted.tally, point, trial, compared.inside)
    trials = images(*people), patients(*people)
    lacking = lacking_of(metric, compared.names, (positive, negative, trials), minimum)
    fine = np.array([why is None for why in lacking], dtype=bool)
    rate = metric.kind == "rate"
    events = images(counted.tally, point, _events(metric), compared.inside) if rate else None
    value = _values(question, counted, compared, fine, (events, trials[0]))
    return Numbers(
        value=value,
        events=events,
        trials=trials[0] if rate else None,
        patients=np.minimum(positive[1], negative[1]) if metric.ranked else trials[1],
        by_class=(positive[1], negative[1]),
        images_by_class=(positive[0], negative[0]),
        lacking=_undefined(metric, compared.names, value, lacking),
    )


def sides(
    metric: Metric, counted: Counted
) -> tuple[tuple[Integers, Integers], tuple[Integers, Integers]]:
    """Return images and patients of the positives and of the negatives that a metric is over.

    Examples
    --------
    >>> from equipoise.metrics.counting import counted_of
    >>> from equipoise.metrics.known import metric
    >>> code = np.arange(4)
    >>> sample = Sample("x", code / 4, code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> sides(metric("auroc"), counted_of(sample, compared, ranked=False))[0]
    (array([2]), array([2]))
    """
    positive, negative = counted.positive, counted.negative
    everybody = [
        (np.full_like(n, counted.everybody[k][0]), np.full_like(p, counted.everybody[k][1]))
        for k, (n, p) in enumerate((positive, negative))
    ]
    if metric.across == "positives":
        return positive, everybody[1]
    if metric.across == "negatives":
        return everybody[0], negative
    return positive, negative


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
    >>> from equipoise.metrics.known import metric
    >>> n = np.array([40, 12])
    >>> lacking_of(metric("brier"), ["sex=F", "sex=M"], ((n, n), (n, n), (n, n)), Minimum())
    (None, 'sex=M has 12 patients; 18 more are needed')
    """
    positive, negative, counted = have
    if metric.ranked:
        needs = [
            (positive[0], "positives", minimum.positives),
            (negative[0], "negatives", minimum.negatives),
            (positive[1], "patients with positives", minimum.patients),
            (negative[1], "patients with negatives", minimum.patients),
        ]
    else:
        needs = _needs(metric, counted, minimum)
    short = np.any([have < wanted for have, _, wanted in needs], axis=0)
    return tuple(
        _lacking(name, arm, needs) if few else None
        for arm, (name, few) in enumerate(zip(names, short.tolist(), strict=True))
    )


def _needs(
    metric: Metric, counted: tuple[Integers, Integers], minimum: Minimum
) -> list[tuple[Integers, str, int]]:
    if metric.kind == "mean" or metric.scarce == "patients":
        return [(counted[1], "patients", minimum.patients)]
    wanted = minimum.positives if metric.scarce == "positives" else minimum.negatives
    return [
        (counted[0], metric.counted, wanted),
        (counted[1], f"patients with {metric.counted}", minimum.patients),
    ]


def _lacking(name: str, arm: int, needs: list[tuple[Integers, str, int]]) -> str:
    short = [
        (int(have[arm]), what, wanted) for have, what, wanted in needs if int(have[arm]) < wanted
    ]
    # Too few positives are too few patients with positives: said once.
    counted = {what for _, what, _ in short}
    short = [s for s in short if s[1].removeprefix("patients with ") not in counted - {s[1]}]
    if len(short) == 1:
        n, what, wanted = short[0]
        return f"{name} has {n} {what}; {wanted - n} more are needed"
    parts = [f"{n} {what} ({wanted - n} more are needed)" for n, what, wanted in short]
    return f"{name} has " + " and ".join(parts)


def _undefined(
    metric: Metric, names: Sequence[str], value: Reals, lacking: tuple[str | None, ...]
) -> tuple[str | None, ...]:
    """Return what is lacking, with those arms whose value does not exist though they are large."""
    without = np.isnan(value)
    if not any(without[arm] and why is None for arm, why in enumerate(lacking)):
        return lacking
    return tuple(
        f"{name}: {metric.name} is not defined there" if why is None and without[arm] else why
        for arm, (name, why) in enumerate(zip(names, lacking, strict=True))
    )


def _events(metric: Metric) -> tuple[str, ...]:
    return tuple(kind for kind in metric.events if kind in metric.trials)


def _values(
    question: Question,
    counted: Counted,
    compared: Arms,
    fine: Flags,
    rate: tuple[Integers | None, Integers],
) -> Reals:
    metric, value = question.metric, np.full(len(fine), np.nan)
    events, trials = rate
    if metric.kind == "rate" and events is not None:
        np.divide(events, trials, out=value, where=fine & (trials > 0))
    elif metric.kind == "composite" and metric.composite is not None:
        value[fine] = metric.composite(kinds_of(counted, question.point, compared))[0][fine]
    elif metric.kind == "ranking":
        value[fine] = _aurocs(metric, counted, compared)[fine]
    elif metric.kind == "functional":
        value[fine] = _functionals(metric, counted, compared, fine)
    elif metric.loss is not None:
        loss = metric.loss(question.sample.score.astype(np.float64), question.sample.label)
        by_cell = np.bincount(question.sample.cell, loss, compared.inside.shape[1])
        total = compared.inside.astype(np.float64) @ by_cell
        np.divide(total, trials, out=value, where=fine & (trials > 0))
    return value


def kinds_of(counted: Counted, point: str | None, compared: Arms) -> Reals:
    """Return the cells of the confusion matrix, shape ``(4, arms)``: tp, fp, tn, fn.

    Examples
    --------
    >>> from equipoise.metrics.counting import counted_of
    >>> code, flag = np.arange(2), np.array([False, True])
    >>> sample = Sample("x", code / 2, flag, code, code * 0, {"p": flag}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> kinds_of(counted_of(sample, compared, ranked=False), "p", compared).tolist()
    [[1.0], [0.0], [1.0], [0.0]]
    """
    found = [images(counted.tally, point, (kind,), compared.inside) for kind in _CELLS]
    return np.array(found, dtype=np.float64)


def _aurocs(metric: Metric, counted: Counted, compared: Arms) -> Reals:
    inside, everybody = compared.inside, np.ones_like(compared.inside)
    positive, negative = sides(metric, counted)
    pairs = positive[0].astype(np.float64) * negative[0]
    up = everybody if metric.across == "negatives" else inside
    down = everybody if metric.across == "positives" else inside
    if counted.ranked is None:
        return np.full(len(pairs), np.nan)
    return auroc_of(counted.ranked.wins, up, down, pairs)


def _functionals(metric: Metric, counted: Counted, compared: Arms, fine: Flags) -> Reals:
    """Return the values of the arms that are fine, at their exact scores."""
    ranked, asked = counted.ranked, metric.functional
    if asked is None or ranked is None or not fine.any():
        return np.full(int(fine.sum()), np.nan)
    if ranked.ranks.exact:
        both = histograms(ranked, compared.inside[fine]).astype(np.float64)
        return asked(both[:, 0], both[:, 1], ranked.scores)[0]
    arms = (exact_histogram(counted, inside) for inside in compared.inside[fine])
    return np.array([asked(*arm)[0][0] for arm in arms], dtype=np.float64)
