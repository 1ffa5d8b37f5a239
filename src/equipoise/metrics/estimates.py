"""From predictions to the table *estimates*: every subgroup, contrast and interval of one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from equipoise.metrics.arms import Against, Arms, arms
from equipoise.metrics.counting import Counted, counted_of
from equipoise.metrics.counts import count
from equipoise.metrics.definitions import Minimum
from equipoise.metrics.describing import Answered, described
from equipoise.metrics.groups import levels_of
from equipoise.metrics.intervals import quantile
from equipoise.metrics.known import metric
from equipoise.metrics.macro import averaged, members
from equipoise.metrics.moments import Moments, moments
from equipoise.metrics.multiplicity import benjamini_hochberg, holm, inverted
from equipoise.metrics.numbers import Numbers, Question, numbers, questions
from equipoise.metrics.rows import Figures, Interval, Kind, Sheet, rows
from equipoise.metrics.samples import Population
from equipoise.metrics.shrinking import shrunken
from equipoise.metrics.simultaneous import joint
from equipoise.metrics.stacks import Stack, stacks
from equipoise.metrics.tallies import runs, tally
from equipoise.tables import ESTIMATES, check

Reals = npt.NDArray[np.float64]

LEVEL = 0.95
POINTWISE = (0.95, 0.90)
"""Levels of the pointwise intervals: the second is what equivalence is judged by."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call estimates; all of its contrasts are one family.

    Parameters
    ----------
    references
        Attribute → the level with which the others are compared.
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
    against
        What a group is compared with where no reference is declared.
    classes
        Findings that are the classes of one task: of them macro averages are made.
    describe, shrink
        Whether attribute sets are described as a whole, and small intersections shrunken.
    """

    references: Mapping[str, str]
    metrics: tuple[str, ...]
    minimum: Minimum
    candidate: str
    seed: int = 0
    draws: int = 10_000
    against: Against = "rest"
    classes: tuple[str, ...] = ()
    describe: bool = True
    shrink: bool = True


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
    # Small products of matrices in several threads cost more than they save.
    with threadpool_limits(1, user_api="blas"):
        return _estimated(people, table, plan)


def _estimated(people: Population, table: pl.DataFrame, plan: Plan) -> Estimated:
    compared = arms(table, people.cells, plan.references, against=plan.against)
    asked = questions(people.samples, [metric(name) for name in plan.metrics])
    counted, found = answers(asked, compared, plan.minimum)
    for mine in members(asked, plan.classes):
        question, answer = averaged(asked, found, compared, mine)
        asked.append(question)
        found.append(answer)
        counted.append(counted[mine[0]])
    second = moments(asked, counted, found, compared, patients=people.patients)
    tallies = {id(one.sample): one.tally for one in counted}
    known = [tallies.get(id(sample)) or tally(sample) for sample in people.samples]
    counts = count(people, table, candidate=plan.candidate, tallies=known)
    sheet = Sheet(tuple(levels_of(table)), counts, compared, people.clustered, plan.classes)
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
    # Findings that are assessed in the same images share who is where.
    shared = {id(sample.patient): sample for sample in samples.values()}
    of = {key: runs(sample) for key, sample in shared.items()}
    made = {
        key: counted_of(sample, compared, ranked=key in ranked, known=of[id(sample.patient)])
        for key, sample in samples.items()
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
    rng = np.random.default_rng(plan.seed)
    groups, contrasts = (
        joint([block.covariance for block in blocks], LEVEL, rng, n=plan.draws)
        for blocks in (second.joint_values, second.joint_differences)
    )
    stacked = stacks(asked, found, second, sheet.compared)
    shape = len(asked), len(sheet.compared.names), len(sheet.compared.contrasts)
    # Without a family nothing is assessable, and any z gives the same empty limits.
    simultaneous = groups.critical or 1.0, contrasts.critical or 1.0
    intervals = [
        *(
            _interval(stacked, Kind("pointwise", at), (quantile(at),) * 2, shape)
            for at in POINTWISE
        ),
        _interval(stacked, Kind("simultaneous", LEVEL), simultaneous, shape),
    ]
    figures = _figures(stacked, found, second, shape, exploratory=_exploratory(sheet))
    made = rows(sheet, asked, found, figures, intervals)
    answers = Answered(asked, found, second)
    rest = [described(sheet, answers, rng)] if plan.describe else []
    rest += [shrunken(sheet, answers)] if plan.shrink else []
    return Estimated(
        estimates=check(pl.concat([made, *rest]), ESTIMATES),
        counts=sheet.counts,
        critical_groups=groups.critical,
        critical_contrasts=contrasts.critical,
        family_groups=len(second.values.question),
        family_contrasts=len(second.differences.question),
        unscored=unscored,
    )


def _exploratory(sheet: Sheet) -> bool:
    return bool(sheet.counts["exploratory"].any())


def _interval(
    stacked: Sequence[Stack], kind: Kind, z: tuple[float, float], shape: tuple[int, int, int]
) -> Interval:
    """Return one interval of all questions, at the half-widths of groups and of contrasts."""
    questions, arms, contrasts = shape
    own = np.full((2, questions, arms), np.nan)
    two = np.full((2, questions, contrasts), np.nan)
    for one in stacked:
        own[:, one.questions] = np.array(one.limits(z[0])).reshape(2, -1, arms)
        two[:, one.questions] = np.array(one.differences(z[1])[1:]).reshape(2, -1, contrasts)
    return Interval(kind, (own[0], own[1]), (two[0], two[1]))


def _figures(
    stacked: Sequence[Stack],
    found: Sequence[Numbers],
    second: Moments,
    shape: tuple[int, int, int],
    *,
    exploratory: bool,
) -> Figures:
    """Return values, standard errors, and p-values that agree with the intervals."""
    questions, arms, contrasts = shape
    value = np.array([answer.value for answer in found]).reshape(questions, arms)
    three = np.full((3, questions, contrasts), np.nan)  # difference, its variance, p
    for one in stacked:
        variance = one.variance[one.arms[0]] + one.variance[one.arms[1]] - 2.0 * one.covariance
        rows = one.differences(1.0)[0], variance, inverted(partial(_pair, one))
        three[:, one.questions] = np.array(rows).reshape(3, -1, contrasts)
    error = np.where(np.isnan(three[0]), np.nan, np.sqrt(np.maximum(three[1], 0.0)))
    adjust = benjamini_hochberg if exploratory else holm
    return Figures(
        value,
        np.sqrt(second.variance).reshape(questions, arms),
        three[0],
        error,
        three[2],
        adjust(three[2].ravel()).reshape(questions, contrasts),
        "Benjamini-Hochberg" if exploratory else "Holm",
    )


def _pair(stack: Stack, z: float) -> tuple[Reals, Reals]:
    _, low, high = stack.differences(z)
    return low, high
