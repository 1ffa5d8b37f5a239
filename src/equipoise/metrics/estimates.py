"""From predictions to the table *estimates*: every subgroup, contrast and interval of one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.arms import Arms, arms
from equipoise.metrics.counting import Counted, counted_of
from equipoise.metrics.counts import count
from equipoise.metrics.definitions import Minimum, metric
from equipoise.metrics.groups import levels_of
from equipoise.metrics.intervals import quantile
from equipoise.metrics.limits import arm_limits, contrast_limits
from equipoise.metrics.moments import Block, Moments, moments
from equipoise.metrics.numbers import Numbers, Question, numbers, questions
from equipoise.metrics.ranges import range_row, ranges
from equipoise.metrics.rows import Interval, Kind, Sheet, ordered_columns, rows
from equipoise.metrics.samples import Population
from equipoise.metrics.simultaneous import joint
from equipoise.metrics.tallies import tally
from equipoise.tables import ESTIMATES, check

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEVEL = 0.95
POINTWISE = (0.95, 0.90)
"""Levels of the pointwise intervals: the second is what equivalence is judged by."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call estimates; all of its contrasts are one family.

    Parameters
    ----------
    references
        Attribute → the level with which the others are compared; without one, the rest.
    metrics
        Names of metrics.
    minimum
        What an arm must have.
    candidate
        Whose scores they are.
    seed
        Of the joint draws behind the simultaneous intervals.
    draws
        How many.
    """

    references: Mapping[str, str]
    metrics: tuple[str, ...]
    minimum: Minimum
    candidate: str
    seed: int = 0
    draws: int = 20_000


@dataclass(frozen=True, slots=True)
class Estimated:
    """What one call estimated.

    Parameters
    ----------
    estimates, counts
        The tables of these names.
    critical_groups, critical_contrasts
        Half-width of the simultaneous intervals, in standard errors; None without a family.
    family_groups, family_contrasts
        How many estimates share each simultaneous statement.
    unscored
        Finding → images with a label and no score, which were left out.
    """

    estimates: pl.DataFrame
    counts: pl.DataFrame
    critical_groups: float | None
    critical_contrasts: float | None
    family_groups: int
    family_contrasts: int
    unscored: Mapping[str, int]


def estimate(people: Population, table: pl.DataFrame, plan: Plan) -> Estimated:
    """Return all estimates of all declared subgroups, jointly.

    Parameters
    ----------
    people
        The predictions as arrays.
    table
        The table *subgroups*.
    plan
        What is estimated.

    References
    ----------
    AUROC: DeLong et al. 1988, Obuchowski 1997. Rates: Wilson 1927 at the effective number of
    trials of Korn & Graubard 1998. Differences: Zou & Donner 2008. Simultaneous: the quantile
    of the largest of all contrasts under their joint normal distribution, Hothorn et al. 2008.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 4, "label:x": [True, True, False, False] * 2,
    ...                      "score:x": [0.8, 0.9, 0.2, 0.3, 0.7, 0.6, 0.1, 0.65]})
    >>> plan = Plan({}, ("auroc",), Minimum(positives=2, negatives=2, patients=2), "probe")
    >>> made = estimate(population(rows, table, patient=None), table, plan).estimates
    >>> made.filter(pl.col("contrast").is_null(), level=0.9)["sex", "value"].rows()
    [(None, 0.9375), ('F', 1.0), ('M', 0.75)]
    """
    compared = arms(table, people.cells, plan.references)
    asked = questions(people.samples, [metric(name) for name in plan.metrics])
    counted, found = answers(asked, compared, plan.minimum)
    second = moments(asked, counted, found, compared, patients=people.patients)
    tallies = {id(one.sample): one.tally for one in counted}
    known = [tallies.get(id(sample)) or tally(sample) for sample in people.samples]
    counts = count(people, table, candidate=plan.candidate, tallies=known)
    sheet = Sheet(tuple(levels_of(table)), counts, compared, people.clustered)
    unscored = {sample.finding: sample.unscored for sample in people.samples}
    return answered((asked, found), second, sheet, plan, unscored=unscored)


def answers(
    asked: Sequence[Question], compared: Arms, minimum: Minimum
) -> tuple[list[Counted], list[Numbers]]:
    """Return what is counted for each question, once per finding, and the answer to it.

    Examples
    --------
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(4)
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> few = Minimum(positives=2, negatives=2, patients=2)
    >>> answers(questions((sample,), [metric("auroc")]), compared, few)[1][0].value.tolist()
    [0.75]
    """
    ranked = {id(q.sample) for q in asked if not q.metric.thresholded}
    samples = {id(q.sample): q.sample for q in asked}
    made = {
        key: counted_of(sample, compared, ranked=key in ranked) for key, sample in samples.items()
    }
    counted = [made[id(question.sample)] for question in asked]
    found = [numbers(q, of, compared, minimum) for q, of in zip(asked, counted, strict=True)]
    return counted, found


def answered(
    counted: tuple[list[Question], list[Numbers]],
    second: Moments,
    sheet: Sheet,
    plan: Plan,
    *,
    unscored: Mapping[str, int],
) -> Estimated:
    """Return all estimates from what was counted: no image and no patient is looked at.

    Parameters
    ----------
    counted
        The questions and the answers to them.
    second
        Second moments of the influence values.
    sheet
        The table *counts*, the arms and contrasts.
    plan
        What is estimated.
    unscored
        Finding → images with a label and no score.

    Examples
    --------
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.samples import population
    >>> table, plan = subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe")
    >>> rows = pl.DataFrame({"sex": ["F"], "label:x": [True], "score:x": [0.8]})
    >>> people = population(rows, table, patient=None)
    >>> compared = arms(table, people.cells, {})
    >>> asked = questions(people.samples, [metric("auroc")])
    >>> counted, found = answers(asked, compared, plan.minimum)
    >>> second = moments(asked, counted, found, compared, patients=1)
    >>> sheet = Sheet(("sex",), count(people, table, candidate="probe"), compared, False)
    >>> answered((asked, found), second, sheet, plan, unscored={}).family_groups
    0
    """
    asked, found = counted
    spans = ranges(sheet.compared, second.values, len(asked))
    rng = np.random.default_rng(plan.seed)
    sets = [_placed(second.joint_values, span.members) for span in spans if span.several]
    of_values = [block.covariance for block in second.joint_values]
    groups = joint(of_values, LEVEL, rng, n=plan.draws, sets=sets)
    of_differences = [block.covariance for block in second.joint_differences]
    contrasts = joint(of_differences, LEVEL, rng, n=plan.draws)
    critical = groups.critical, contrasts.critical
    intervals = [
        _intervals(sheet, question, answer, (second, position), critical)
        for position, (question, answer) in enumerate(zip(asked, found, strict=True))
    ]
    frames = [rows(sheet, asked, found, second.variance, intervals)]
    by_chance = iter(groups.ranges)
    for span in spans:
        chance = next(by_chance) if span.several else None
        values = found[span.question].value[second.values.member[span.members]]
        frames.append(
            ordered_columns(
                range_row(sheet, asked[span.question], span, values=values, chance=chance),
                sheet.attributes,
            )
        )
    return Estimated(
        estimates=check(pl.concat(frames), ESTIMATES),
        counts=sheet.counts,
        critical_groups=groups.critical,
        critical_contrasts=contrasts.critical,
        family_groups=len(second.values.question),
        family_contrasts=len(second.differences.question),
        unscored=unscored,
    )


def _placed(blocks: Sequence[Block], members: Integers) -> tuple[int, Integers]:
    """Return the block that members of the family are in, and their places in it."""
    for position, block in enumerate(blocks):
        if np.isin(members, block.members).all():
            return position, np.searchsorted(block.members, members)
    raise InvalidConfiguration("estimates: a range over groups that no block holds")


def _intervals(
    sheet: Sheet,
    question: Question,
    found: Numbers,
    where: tuple[Moments, int],
    critical: tuple[float | None, float | None],
) -> list[Interval]:
    """Return the intervals of one question: pointwise at each level, and simultaneous."""
    second, position = where
    variance, fourth = second.variance[position], second.fourth[position]
    kinds = [(Kind("pointwise", level), quantile(level), quantile(level)) for level in POINTWISE]
    # Without a family nothing is assessable, and any z gives the same empty limits.
    simultaneous = Kind("simultaneous", LEVEL), critical[0] or 1.0, critical[1] or 1.0
    made, bounded = [], question.metric.bounded
    for kind, z_group, z_contrast in [*kinds, simultaneous]:
        own = arm_limits(found, variance, fourth, z=z_group, bounded=bounded)
        limits = arm_limits(found, variance, fourth, z=z_contrast, bounded=bounded)
        covariance = second.covariance[position]
        three = contrast_limits(
            found, variance, covariance, sheet.compared, limits, bounded=bounded
        )
        made.append(Interval(kind, own, three))
    return made
