"""Every question followed from label to label, and the charts beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles, surveillance
from equipoise.metrics import named
from equipoise.monitor.options import Options
from equipoise.monitor.questions import RATES, Question
from equipoise.monitor.streams import Bets, Days, Stream, bets, mirrored, on_days, stream

Reals = npt.NDArray[np.float64]

LABELS = "labels"
"""What the only evidence rests on."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What labelled cases say of one question.

    Parameters
    ----------
    question
        The question.
    basis
        *labels*: a verdict rests on nothing else.
    bets
        Since the first case.
    log_e
        Logarithm of the e-value at the end of each day, ``(days,)``.
    adjusted
        The same after closed testing over all questions, ``(days,)``.
    alarm
        Day on which the adjusted e-value first reached the line, or None.
    recent
        Bets of the latest periods, that the policy is not broken.
    log_holds
        Logarithm of the e-value of these; of a contrast the lesser of both directions, since a
        difference within the tolerance is within it either way.
    repeats
        Further labelled cases of the same patients.
    """

    question: Question
    basis: str
    bets: Bets
    log_e: Reals
    adjusted: Reals
    alarm: np.datetime64 | None
    recent: Bets
    log_holds: float
    repeats: int

    @property
    def highest(self) -> float:
        """The highest adjusted e-value so far, as a logarithm."""
        return float(self.adjusted.max(initial=0.0))


@dataclass(frozen=True, slots=True)
class Chart:
    """A CUSUM of one group's rate: an early warning, never a verdict.

    Parameters
    ----------
    metric, finding, point, subgroup
        Of the rate.
    design
        None where the bundle's reference gives no rate to start from.
    sums
        At the end of each day, ``(days,)``.
    warned
        Day of the first warning, or None.
    open
        Whether it warned in the latest periods.
    """

    metric: str
    finding: str
    point: str | None
    subgroup: Mapping[str, str]
    design: surveillance.Design | None
    sums: Reals
    warned: np.datetime64 | None
    open: bool

    @property
    def group(self) -> str:
        """The subgroup in words."""
        return named(dict(self.subgroup))


@dataclass(frozen=True, slots=True)
class Watch:
    """All questions and charts on the days on which a label came.

    Parameters
    ----------
    days
        ``(days,)``.
    watched, charts
        In the order of the policy.
    line
        Logarithm of the e-value at which an alarm is raised.
    """

    days: Days
    watched: tuple[Watched, ...]
    charts: tuple[Chart, ...]
    line: float


def watch(
    frame: pl.DataFrame,
    questions: Sequence[Question],
    bundle: bundles.Bundle,
    options: Options,
    recent: Sequence[str],
    *,
    settled: pl.DataFrame | None = None,
    ripe: pl.DataFrame | None = None,
) -> Watch:
    """Return what has been seen so far.

    Parameters
    ----------
    frame
        Cases with their labels; charts take them in the order of these.
    questions
        What is asked.
    bundle
        Gives the reference from which charts start.
    options
        Level, run length and seed.
    recent
        The latest periods, in which an open warning is looked for.
    settled
        The same, as `equipoise.monitor.labelling.settled` gives them: the order in which they are
        bet on; by default that of the labels. Bets are fair only if the next label's case is as
        any other: see there.
    ripe
        The latest cases that are old enough to have their label, which must show that the policy
        holds; by default all of the latest periods. Where a label takes longer for one answer
        than for another, younger cases show the answers that were looked up first.
    """
    whole = frame if settled is None else settled
    days = np.union1d(_days(frame), _days(whole))
    lately = frame.filter(pl.col("period").is_in(list(recent)))
    streams: dict[tuple[object, ...], tuple[Stream, Stream]] = {}
    for question in questions:
        key = _about(question)
        if key not in streams:
            late = stream(lately if ripe is None else ripe, question)
            streams[key] = (stream(whole, question), late)
    made = [bets(streams[_about(q)][0], q) for q in questions]
    paths = [on_days(surveillance.log_wealth(b.gains), b.days, days) for b in made]
    adjusted = surveillance.closed(np.array(paths).reshape(len(made), len(days)))
    line = float(np.log(1.0 / options.level))
    watched = []
    for place, question in enumerate(questions):
        found, late = streams[_about(question)]
        latest = bets(late, question, refute="breach")
        watched.append(
            Watched(
                question=question,
                basis=LABELS,
                bets=made[place],
                log_e=paths[place],
                adjusted=adjusted[place],
                alarm=_first(adjusted[place] >= line, days),
                recent=latest,
                log_holds=_holds(latest, question),
                repeats=found.repeats,
            )
        )
    at_once = {_about(q): stream(frame, q) for q in questions}
    charts = _charts(watched, at_once, days, bundle, options, lately)
    return Watch(days, tuple(watched), charts, line)


def _holds(latest: Bets, question: Question) -> float:
    own = _last(surveillance.log_wealth(latest.gains))
    if question.kind == "floor":
        return own
    turned = mirrored(latest.gains, question.bound)
    return min(own, _last(surveillance.log_wealth(turned)))


def _charts(
    watched: Sequence[Watched],
    streams: Mapping[tuple[object, ...], Stream],
    days: Days,
    bundle: bundles.Bundle,
    options: Options,
    lately: pl.DataFrame,
) -> tuple[Chart, ...]:
    found: dict[tuple[object, ...], Question] = {}
    drops: dict[str, float] = {}
    for question in (w.question for w in watched):
        if question.metric in RATES:
            found.setdefault((*_about(question), question.group), question)
            if question.kind == "contrast":
                drops[question.metric] = min(question.bound, drops.get(question.metric, 1.0))
    since = _since(lately)
    rng = np.random.default_rng((options.seed, 1))
    designs: dict[tuple[float, float], surveillance.Design] = {}
    charts = []
    for question in found.values():
        rate = expected(bundle, question)
        design = None
        if rate is not None:
            key = (round(rate, 6), drops.get(question.metric, 0.1))
            if key not in designs:
                designs[key] = surveillance.designed(*key, run_length=options.run_length, rng=rng)
            design = designs[key]
        charts.append(_chart(question, streams[_about(question)], design, days, since))
    return tuple(charts)


def _chart(
    question: Question,
    found: Stream,
    design: surveillance.Design | None,
    days: Days,
    since: np.datetime64 | None,
) -> Chart:
    about = (question.metric, question.finding, question.point, question.subgroup)
    if design is None:
        return Chart(*about, None, np.zeros(len(days)), None, False)
    inside = question.first(found.frame).to_numpy()
    path = surveillance.cusum(found.values[inside], design)
    settled = found.days[inside]
    over = settled[path >= design.limit]
    sums = on_days(path, settled, days)
    is_open = bool(len(over)) and since is not None and bool(over[-1] >= since)
    return Chart(*about, design, sums, over[0] if len(over) else None, is_open)


def expected(bundle: bundles.Bundle, question: Question) -> float | None:
    """Return the rate of a group in the bundle's reference, or None if it was not assessed."""
    table = None if bundle.reference is None else bundle.reference.estimates
    if table is None:
        return None
    own = table.filter(
        pl.col("contrast").is_null(),
        pl.col("adjustment") == "crude",
        pl.col("metric") == question.metric,
        pl.col("finding") == question.finding,
        pl.col("operating_point").eq_missing(pl.lit(question.point, dtype=pl.String)),
        pl.col("value").is_not_null(),
    )
    for name in bundle.audit.attributes:
        if name in own.columns:
            level = question.subgroup.get(name)
            own = own.filter(pl.col(name).eq_missing(pl.lit(level, dtype=pl.String)))
    return float(own["value"][0]) if own.height else None


def _about(question: Question) -> tuple[object, ...]:
    return (question.metric, question.finding, question.point)


def _days(frame: pl.DataFrame) -> Days:
    columns = [name for name in frame.columns if name.startswith("labelled_at")]
    came = pl.concat([frame[name].alias("day").drop_nulls().dt.date() for name in columns])
    return came.unique().sort().to_numpy().astype("datetime64[D]")


def _since(lately: pl.DataFrame) -> np.datetime64 | None:
    first = lately["at"].min() if lately.height else None
    return None if first is None else np.datetime64(str(first)[:10], "D")


def _first(flags: npt.NDArray[np.bool_], days: Days) -> np.datetime64 | None:
    return days[int(np.argmax(flags))] if flags.any() else None


def _last(path: Reals) -> float:
    return float(path[-1]) if len(path) else 0.0
