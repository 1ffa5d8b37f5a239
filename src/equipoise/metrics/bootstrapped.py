"""The estimates again, their intervals by a bootstrap of patients instead of influence values."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.arms import Arms, arms
from equipoise.metrics.bootstrap import Rows, keyed, logit_t, replicates, student_t, valued
from equipoise.metrics.bootstrap import auroc as auroc_of
from equipoise.metrics.bootstrap.statistics import Statistic
from equipoise.metrics.counts import count
from equipoise.metrics.estimates import POINTWISE, Plan, answers
from equipoise.metrics.groups import levels_of
from equipoise.metrics.known import metric
from equipoise.metrics.numbers import Numbers, Question, questions
from equipoise.metrics.rows import Figures, Interval, Kind, Sheet, rows
from equipoise.metrics.samples import Population, Sample

Reals = npt.NDArray[np.float64]

_CELLS = ("tp", "fp", "tn", "fn")


def bootstrapped(
    people: Population,
    table: pl.DataFrame,
    plan: Plan,
    *,
    ids: Sequence[str],
    n: int = 1_000,
) -> pl.DataFrame:
    """Return values and contrasts with pointwise intervals from replicates of the patients.

    For metrics that are no smooth function of counts, for small groups, and to hold the engine's
    intervals against. A patient's weight hangs on the patient's id alone, so that findings, models
    and sites are resampled alike. Values in [0, 1] have limits symmetric on the logit scale, others
    and contrasts on their own, by Student's t with the patients less one. Replicates in which a
    value is undefined are left out and counted in `method`; they are not replaced by anything.

    Parameters
    ----------
    people, table, plan
        As of `estimate`; macro averages, descriptions and shrinkage are left out.
    ids
        The patients' ids, in the order of their codes.
    n
        How many replicates.

    Raises
    ------
    InvalidConfiguration
        If thresholds differ by fold, or a metric is of one class against everybody.

    References
    ----------
    Chamandy et al. 2012, *Estimating uncertainty for massive data streams* (Poisson weights);
    Efron & Tibshirani 1993, *An introduction to the bootstrap*.

    Examples
    --------
    >>> from equipoise import metrics
    >>> frame = pl.DataFrame({"sex": ["F", "M"] * 40, "label:x": [True, True, False, False] * 20,
    ...                       "score:x": [i * 7 % 11 / 11 for i in range(80)]})
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> few = metrics.Minimum(positives=10, negatives=10, patients=10)
    >>> plan = Plan({}, ("average_precision",), few, "probe")
    >>> people = metrics.population(frame, table, patient=None)
    >>> made = bootstrapped(people, table, plan, ids=[str(i) for i in range(80)], n=200)
    >>> made["sex", "metric", "status"].rows()[0]
    (None, 'average_precision', 'assessed')
    """
    compared = arms(table, people.cells, plan.references, against=plan.against)
    asked = questions(people.samples, [metric(name) for name in plan.metrics])
    _, found = answers(asked, compared, plan.minimum)
    keys = keyed(ids)
    drawn = np.stack(
        [_drawn(question, compared, keys, n, plan.seed) for question in asked]
        or [np.empty((n, len(compared.names)))]
    )  # (question, replicate, arm)
    sheet = Sheet(
        tuple(levels_of(table)),
        count(people, table, candidate=plan.candidate),
        compared,
        people.clustered,
    )
    if not asked:
        return rows(sheet, [], [], _figures(found, drawn[:0], compared), [])
    intervals = [_interval(asked, found, drawn, compared, level) for level in POINTWISE]
    made = rows(sheet, asked, found, _figures(found, drawn, compared), intervals)
    return made.with_columns(method=_methods(asked, drawn, compared, len(POINTWISE), n))


def _drawn(
    question: Question, compared: Arms, keys: npt.NDArray[np.uint64], n: int, seed: int
) -> Reals:
    sample = question.sample
    some = Rows(sample.score, sample.label, sample.cell, sample.patient, keys)
    return replicates(some, compared.inside, _statistic(question), n=n, seed=seed)


def _statistic(question: Question) -> Statistic:
    of = question.metric
    if of.across is not None:
        raise InvalidConfiguration(f"bootstrap: '{of.name}' is of one class against everybody's")
    if of.kind == "ranking":
        return auroc_of
    if of.functional is not None:
        return valued(of.functional)
    if of.loss is not None:
        return _mean(question)
    return _at_point(question)


def _mean(question: Question) -> Statistic:
    loss = question.metric.loss

    def value(negative: Reals, positive: Reals, score: Reals) -> Reals:
        if loss is None:
            return np.full(len(negative), np.nan)
        no, yes = (loss(score, np.full(len(score), label)) for label in (False, True))
        total = negative.sum(axis=1) + positive.sum(axis=1)
        lost = negative @ no + positive @ yes
        share = np.divide(lost, total, out=np.full(len(total), np.nan), where=total > 0)
        return np.asarray(share, dtype=np.float64)

    return value


def _at_point(question: Question) -> Statistic:
    of, threshold = question.metric, _threshold(question.sample, question.point)

    def value(negative: Reals, positive: Reals, score: Reals) -> Reals:
        called = score >= threshold
        parts = {
            "tp": positive[:, called].sum(axis=1),
            "fp": negative[:, called].sum(axis=1),
            "tn": negative[:, ~called].sum(axis=1),
            "fn": positive[:, ~called].sum(axis=1),
        }
        if of.composite is not None:
            return of.composite(np.array([parts[name] for name in _CELLS]))[0]
        trials = np.sum([parts[kind] for kind in of.trials], axis=0)
        events = np.sum([parts[kind] for kind in of.events], axis=0)
        share = np.divide(events, trials, out=np.full(len(trials), np.nan), where=trials > 0)
        return np.asarray(share, dtype=np.float64)

    return value


def _threshold(sample: Sample, point: str | None) -> float:
    """Return the lowest score that is called positive, once all above it are seen to be."""
    called = np.zeros(0, dtype=bool) if point is None else sample.called[point]
    if not called.any():
        return float("inf")
    lowest = sample.score[called].min()
    if (sample.score[~called] >= lowest).any():
        raise InvalidConfiguration(
            f"bootstrap: the threshold of '{point}' differs by fold; expected one for all images"
        )
    return float(lowest)


def _both(compared: Arms) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    first = np.array([c.group for c in compared.contrasts], dtype=np.int64)
    return first, np.array([c.against for c in compared.contrasts], dtype=np.int64)


def _interval(
    asked: Sequence[Question], found: Sequence[Numbers], drawn: Reals, compared: Arms, level: float
) -> Interval:
    shape = len(asked), len(compared.names), len(compared.contrasts)
    own, two = np.full((2, *shape[:2]), np.nan), np.full((2, shape[0], shape[2]), np.nan)
    first, second = _both(compared)
    for q, (question, answer) in enumerate(zip(asked, found, strict=True)):
        degrees = np.maximum(answer.patients - 1.0, 1.0)
        limits = logit_t if question.metric.bounded else student_t
        with np.errstate(invalid="ignore", divide="ignore"):
            one = limits(drawn[q], answer.value, degrees, level=level)
            difference = answer.value[first] - answer.value[second]
            fewer = np.minimum(degrees[first], degrees[second])
            spread = drawn[q][:, first] - drawn[q][:, second]
            other = student_t(spread, difference, fewer, level=level)
        fine, pair = answer.assessable, ~np.isnan(difference)
        own[:, q, fine] = one.low[fine], one.high[fine]
        two[:, q, pair] = other.low[pair], other.high[pair]
    return Interval(Kind("pointwise", level), (own[0], own[1]), (two[0], two[1]))


def _figures(found: Sequence[Numbers], drawn: Reals, compared: Arms) -> Figures:
    first, second = _both(compared)
    value = np.array([answer.value for answer in found]).reshape(len(found), len(compared.names))
    difference = value[:, first] - value[:, second]
    error = _deviation(drawn)
    apart = _deviation(drawn[:, :, first] - drawn[:, :, second])
    nothing = np.full_like(difference, np.nan)
    apart = np.where(np.isnan(difference), np.nan, apart)
    return Figures(value, error, difference, apart, nothing, nothing, "")


def _deviation(drawn: Reals) -> Reals:
    """Return the standard deviation over the replicates that have a value."""
    there = ~np.isnan(drawn)
    n = np.maximum(there.sum(axis=1), 1)
    mean = np.where(there, drawn, 0.0).sum(axis=1) / n
    off = np.where(there, drawn - mean[:, None], 0.0)
    return np.asarray(np.sqrt((off**2).sum(axis=1) / np.maximum(n - 1, 1)), dtype=np.float64)


def _methods(
    asked: Sequence[Question], drawn: Reals, compared: Arms, kinds: int, n: int
) -> pl.Series:
    """Return how each interval was made, and how many replicates had no value."""
    groups = len(compared.subgroups)
    first, second = _both(compared)
    text: list[str] = []
    for q, question in enumerate(asked):
        without = np.isnan(drawn[q]).sum(axis=0)
        both = (np.isnan(drawn[q][:, first]) | np.isnan(drawn[q][:, second])).sum(axis=0)
        scale = "logit scale" if question.metric.bounded else "its own scale"
        said: Mapping[bool, str] = {False: scale, True: "difference on its own scale"}
        for contrast, counts in ((False, without[:groups]), (True, both)):
            text += [
                f"Poisson bootstrap of patients, {n} replicates"
                + (f" ({k} without a value)" if k else "")
                + f", {said[contrast]}, Student's t"
                for k in counts
            ]
    each = groups + len(first)
    blocks = [text[q * each : (q + 1) * each] for q in range(len(asked))]
    return pl.Series("method", [one for block in blocks for one in block * kinds])
