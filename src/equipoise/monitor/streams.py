"""Labelled cases in the order in which their labels came, one of each patient."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import surveillance
from equipoise.monitor.cases import SCORED
from equipoise.monitor.labelling import came_at
from equipoise.monitor.questions import RATES, Question

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_POSITIVE = {"sensitivity": True, "specificity": False}


@dataclass(frozen=True, slots=True)
class Stream:
    """What a question is answered from.

    Parameters
    ----------
    frame
        A row per patient: the first case, by the time of its label, that the metric is about.
    scores, labels
        ``(n,)``.
    values
        What the case contributes, in [0, 1]; of AUROC nothing by itself, ``(n,)``.
    days
        Day on which the label came, ``(n,)``.
    repeats
        Further labelled cases of the same patients: left out, and counted.
    ranking
        Whether contributions are blocks of a positive and a negative.
    """

    frame: pl.DataFrame
    scores: Reals
    labels: Flags
    values: Reals
    days: Days
    repeats: int
    ranking: bool


@dataclass(frozen=True, slots=True)
class Bets:
    """The bets on one question.

    Parameters
    ----------
    gains
        ``(bets,)``.
    days
        Day on which each was settled, ``(bets,)``.
    first, second
        Contributions of each arm, ``(n,)``; the second is empty for a floor.
    first_days, second_days
        Day of each, ``(n,)``.
    """

    gains: Reals
    days: Days
    first: Reals
    second: Reals
    first_days: Days
    second_days: Days


def stream(frame: pl.DataFrame, question: Question) -> Stream:
    """Return the cases that answer a question, the earliest label first.

    Parameters
    ----------
    frame
        Cases with their labels.
    question
        Gives metric, finding and threshold.
    """
    score, label = f"score:{question.finding}", f"label:{question.finding}"
    if score not in frame.columns or label not in frame.columns:
        return _empty(frame, question)
    there = frame.filter(
        (pl.col("outcome") == SCORED) & pl.col(score).is_not_null() & pl.col(label).is_not_null()
    )
    called = called_positive(there[score], question.threshold)
    wanted = _eligible(question.metric, there[label].to_numpy(), called)
    came = came_at(label) if came_at(label) in frame.columns else "labelled_at"
    mine = there.filter(pl.Series(wanted)).sort(came, "at", "case_id")
    first = mine.unique("patient_key", keep="first", maintain_order=True)
    scores = first[score].cast(pl.Float64).to_numpy()
    labels = first[label].to_numpy().astype(bool)
    called = called_positive(first[score], question.threshold)
    return Stream(
        frame=first,
        scores=scores,
        labels=labels,
        values=_values(question.metric, scores, labels, called),
        days=_days(first[came]),
        repeats=mine.height - first.height,
        ranking=question.metric == "auroc",
    )


def called_positive(scores: pl.Series, threshold: float | None) -> Flags:
    """Return which scores are at the threshold or above, as the audit decides it.

    Examples
    --------
    >>> called_positive(pl.Series([0.7], dtype=pl.Float32), 0.7).tolist()
    [True]
    """
    # A threshold of 0.7 must catch the score that was stored as a Float32 from 0.7.
    stored = scores.cast(pl.Float32).to_numpy()
    limit = np.inf if threshold is None else threshold
    return np.asarray(stored >= np.float32(limit), dtype=bool)


def bets(found: Stream, question: Question, *, refute: str = "bound") -> Bets:
    """Return the bets on a question.

    Parameters
    ----------
    found
        Its stream.
    question
        The question.
    refute
        *bound*: bets that the policy is broken in the question's direction. *breach*: bets that
        it is not.
    """
    one, where = _arm(found, question.first(found.frame).to_numpy())
    if question.kind == "floor":
        alone = surveillance.floor_gains if refute == "bound" else surveillance.reached_gains
        none = np.empty(0)
        days = found.days[where]
        return Bets(alone(one, question.bound), days, one, none, days, found.days[:0])
    two, there = _arm(found, question.second(found.frame).to_numpy())
    place = np.concatenate([where, there])
    order = np.argsort(place, kind="stable")
    values = np.concatenate([one, two])[order]
    made = surveillance.blocks(values, order < len(one))
    first, second = made.first, made.second
    if question.direction == "above":
        first, second = second, first
    make = surveillance.gap_gains if refute == "bound" else surveillance.within_gains
    settled = found.days[place[order][made.last]]
    gains = make(first, second, question.bound)
    return Bets(gains, settled, one, two, found.days[where], found.days[there])


def on_days(path: Reals, settled: Days, days: Days) -> Reals:
    """Return a path as it stood at the end of each day; zero before its first step.

    Examples
    --------
    >>> day = np.array(["2026-01-02", "2026-01-04"], dtype="datetime64[D]")
    >>> on_days(np.array([1.0, 2.0]), day, np.arange("2026-01-01", "2026-01-05", dtype=day.dtype))
    array([0., 1., 1., 2.])
    """
    return np.asarray(np.r_[0.0, path][np.searchsorted(settled, days, side="right")])


def _arm(found: Stream, mask: Flags) -> tuple[Reals, Integers]:
    where = np.flatnonzero(mask)
    if not found.ranking:
        return found.values[where], where
    values, last = surveillance.ranked(found.scores[where], found.labels[where])
    return values, where[last]


def _eligible(metric: str, labels: npt.NDArray[np.generic], called: Flags) -> Flags:
    truth: Flags = labels.astype(np.bool_)
    if metric in _POSITIVE:
        return np.asarray(truth == _POSITIVE[metric], dtype=np.bool_)
    return {"ppv": called, "npv": ~called}.get(metric, np.ones(len(truth), dtype=bool))


def _values(metric: str, scores: Reals, labels: Flags, called: Flags) -> Reals:
    if metric in RATES:
        return np.asarray(called == labels, dtype=np.float64)
    return np.asarray((scores - labels) ** 2 if metric == "brier" else np.zeros(len(scores)))


def _days(column: pl.Series) -> Days:
    return column.dt.date().to_numpy().astype("datetime64[D]")


def _empty(frame: pl.DataFrame, question: Question) -> Stream:
    none = np.empty(0)
    return Stream(
        frame=frame.clear(),
        scores=none,
        labels=none.astype(bool),
        values=none,
        days=np.empty(0, dtype="datetime64[D]"),
        repeats=0,
        ranking=question.metric == "auroc",
    )


def mirrored(gains: Reals, tolerance: float) -> Reals:
    """Return the gains of `within_gains` with the arms changed, from those as they were.

    Examples
    --------
    >>> one, two = np.array([0.2]), np.array([0.5])
    >>> turned = mirrored(surveillance.within_gains(one, two, 0.25), 0.25)
    >>> turned.round(6) == surveillance.within_gains(two, one, 0.25).round(6)
    array([ True])
    """
    difference = gains * (1.0 - tolerance) - tolerance
    return np.asarray((tolerance - difference) / (1.0 - tolerance), dtype=np.float64)
