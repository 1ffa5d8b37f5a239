"""The rows of the table *estimates*, made of all questions at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.arms import Arms
from equipoise.metrics.limits import is_flat
from equipoise.metrics.numbers import Numbers, Question
from equipoise.tables import ESTIMATES

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PEOPLE = ("n_images", "n_patients", "n_positive", "n_negative", "exploratory")
_METHODS = {
    "rate": "Wilson score at the effective number of trials, {variance}",
    "composite": "delta method, {scale}, Student's t, {variance}",
    "mean": "{scale}, Student's t, {variance}",
    "ranking": "{scale}, Student's t, DeLong, {variance}",
    "functional": "influence values, {scale}, Student's t, {variance}",
}
_FLAT = "Wilson score, a patient of the smaller class as one trial, since the variance is zero"


@dataclass(frozen=True, slots=True)
class Kind:
    """Which of its intervals a row gives.

    Parameters
    ----------
    interval
        *pointwise* or *simultaneous*.
    level
        Its level.
    """

    interval: str
    level: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the rows of all questions share.

    Parameters
    ----------
    attributes
        The subgroup columns.
    counts
        The table *counts*.
    compared
        The arms and contrasts.
    clustered
        Whether patients are known.
    """

    attributes: tuple[str, ...]
    counts: pl.DataFrame
    compared: Arms
    clustered: bool

    def people(self, question: Question) -> pl.DataFrame:
        """Return who is in each subgroup, in the order of the table *subgroups*."""
        mine = self.counts.filter(pl.col("finding") == question.sample.finding)
        return mine.head(len(self.compared.subgroups)).select(
            "finding", "candidate", *self.attributes, *_PEOPLE
        )


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of all arms and contrasts of one question.

    Parameters
    ----------
    kind
        Which it is.
    limits
        Low and high of each arm, each of shape ``(arms,)``.
    differences
        Difference, low and high of each contrast, each of shape ``(contrasts,)``.
    """

    kind: Kind
    limits: tuple[Reals, Reals]
    differences: tuple[Reals, Reals, Reals]


def rows(
    sheet: Sheet,
    asked: Sequence[Question],
    found: Sequence[Numbers],
    variance: Reals,
    intervals: Sequence[Sequence[Interval]],
) -> pl.DataFrame:
    """Return a row per question, interval, and subgroup or contrast, in this order.

    The numbers of a contrast are those of its group, not of what it is against.

    Parameters
    ----------
    sheet
        What all share.
    asked, found
        The questions and the answers.
    variance
        Of each question and arm, shape ``(questions, arms)``.
    intervals
        Of each question, as many for each.

    Examples
    --------
    >>> from equipoise.metrics.arms import arms
    >>> from equipoise.metrics.counting import counted_of
    >>> from equipoise.metrics.counts import count
    >>> from equipoise.metrics.definitions import Minimum, metric
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> frame = pl.DataFrame({"sex": ["F", "M"] * 2, "label:x": [True, True, False, False],
    ...                       "score:x": [0.4, 0.3, 0.2, 0.1]})
    >>> people = population(frame, table, patient=None)
    >>> compared = arms(table, people.cells, {})
    >>> sheet = Sheet(("sex",), count(people, table, candidate="probe"), compared, False)
    >>> asked = Question(people.samples[0], metric("auroc"), None)
    >>> counted = counted_of(asked.sample, compared, ranked=True)
    >>> found = numbers(asked, counted, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> nothing = np.full(2, np.nan)
    >>> one = Interval(Kind("pointwise", 0.9), (found.value, found.value), (nothing,) * 3)
    >>> made = rows(sheet, [asked], [found], np.zeros((1, 5)), [[one]])
    >>> made["sex", "contrast", "value", "status"].rows()[:2]
    [(None, None, 1.0, 'assessed'), ('F', None, None, 'not assessable')]
    """
    groups = len(sheet.compared.subgroups)
    layout = [*range(groups), *(contrast.group for contrast in sheet.compared.contrasts)]
    base = pl.concat(
        [sheet.people(question)[layout] for question in asked] or [_nobody(sheet)]
    ).with_columns(_words(sheet, asked, found, variance))
    kinds = [one.kind for one in intervals[0]] if intervals else []
    # (question, interval, row): each row of the base once per interval.
    index = np.arange(base.height).reshape(len(asked), 1, -1)
    index = np.broadcast_to(index, (len(asked), len(kinds), index.shape[2]))
    three = _numbers(found, intervals, groups)
    per_kind = np.broadcast_to(np.arange(len(kinds))[None, :, None], index.shape).ravel()
    made = base[index.ravel()].with_columns(
        *[pl.Series(name, column).fill_nan(None) for name, column in three.items()],
        level=pl.Series([kind.level for kind in kinds], dtype=pl.Float64)[per_kind],
        interval=pl.Series([kind.interval for kind in kinds], dtype=pl.String)[per_kind],
        adjustment=pl.lit("crude"),
    )
    return ordered_columns(made, sheet.attributes)


def _nobody(sheet: Sheet) -> pl.DataFrame:
    return sheet.counts.head(0).select("finding", "candidate", *sheet.attributes, *_PEOPLE)


def _numbers(
    found: Sequence[Numbers], intervals: Sequence[Sequence[Interval]], groups: int
) -> dict[str, Reals]:
    """Return value, low and high of each row."""
    columns: dict[str, list[Reals]] = {"value": [], "low": [], "high": []}
    for answer, several in zip(found, intervals, strict=True):
        for one in several:
            own = answer.value, *one.limits
            for name, group, contrast in zip(columns, own, one.differences, strict=True):
                columns[name] += [group[:groups], contrast]
    return {name: np.concatenate([np.zeros(0), *parts]) for name, parts in columns.items()}


def _words(
    sheet: Sheet, asked: Sequence[Question], found: Sequence[Numbers], variance: Reals
) -> list[pl.Series]:
    """Return the columns of text and of whole numbers, a row per question, subgroup or contrast."""
    contrasts, groups = sheet.compared.contrasts, len(sheet.compared.subgroups)
    rows = groups + len(contrasts)
    text: dict[str, list[str | None]] = {
        "operating_point": [q.point for q in asked for _ in range(rows)],
        "metric": [q.metric.name for q in asked for _ in range(rows)],
        "contrast": [*[None] * groups, *[str(c.kind) for c in contrasts]] * len(asked),
        "against": [*[None] * groups, *[c.text for c in contrasts]] * len(asked),
        "method": [],
        "status": [],
        "reason": [],
    }
    numbers: dict[str, list[int | None]] = {"events": [], "trials": []}
    for question, answer, own in zip(asked, found, variance, strict=True):
        lacking = [*answer.lacking[:groups]]
        lacking += [_both(answer.lacking[c.group], answer.lacking[c.against]) for c in contrasts]
        text["reason"] += lacking
        text["status"] += ["assessed" if x is None else "not assessable" for x in lacking]
        text["method"] += _methods(sheet, question, answer, own)
        for name, column in (("events", answer.events), ("trials", answer.trials)):
            mine = [None] * groups if column is None else column[:groups].tolist()
            numbers[name] += [*mine, *[None] * len(contrasts)]
    return [
        *[pl.Series(name, column, dtype=pl.String) for name, column in text.items()],
        *[pl.Series(name, column, dtype=pl.Int64) for name, column in numbers.items()],
    ]


def _methods(sheet: Sheet, question: Question, found: Numbers, variance: Reals) -> list[str]:
    """Return how the interval of each subgroup and contrast was made, in words."""
    clustered = (
        "variance clustered by patient" if sheet.clustered else "images taken as independent"
    )
    scale = "logit scale" if question.metric.bounded else "its own scale"
    smooth = _METHODS[question.metric.kind].format(variance=clustered, scale=scale)
    flat = _FLAT if sheet.clustered else f"{_FLAT}; images taken as independent"
    edge = is_flat(found, variance, bounded=question.metric.bounded)
    if found.trials is not None:
        edge = np.zeros(len(variance), dtype=bool)
    by_arm = [flat if e else smooth for e in edge]
    return by_arm[: len(sheet.compared.subgroups)] + [
        "difference by MOVER of "
        + " and ".join(dict.fromkeys((by_arm[c.group], by_arm[c.against])))
        for c in sheet.compared.contrasts
    ]


def ordered_columns(rows: pl.DataFrame, attributes: Sequence[str]) -> pl.DataFrame:
    """Return the columns as the table *estimates* lists them, attributes after the finding's.

    Examples
    --------
    >>> row = {name: None for name in ESTIMATES.columns} | {"sex": "F"}
    >>> ordered_columns(pl.DataFrame([row]), ["sex"]).columns[2:5]
    ['operating_point', 'sex', 'metric']
    """
    names = [name for name in ESTIMATES.columns if name in rows.columns]
    return rows.select([*names[:3], *attributes, *names[3:]])


def _both(first: str | None, second: str | None) -> str | None:
    return "; ".join(text for text in (first, second) if text is not None) or None
