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
    classes
        The findings of which there are macro averages.
    """

    attributes: tuple[str, ...]
    counts: pl.DataFrame
    compared: Arms
    clustered: bool
    classes: tuple[str, ...] = ()

    def nobody(self) -> pl.DataFrame:
        """Return the columns of `people` without a row."""
        return self.counts.head(0).select("finding", "candidate", *self.attributes, *_PEOPLE)

    def people(self, question: Question) -> pl.DataFrame:
        """Return who is in each subgroup, in the order of the table *subgroups*.

        Of a macro average: the fewest images and patients of any class.
        """
        columns = ("finding", "candidate", *self.attributes, *_PEOPLE)
        n = len(self.compared.subgroups)
        if not question.averages:
            mine = self.counts.filter(pl.col("finding") == question.sample.finding)
            return mine.head(n).select(columns)
        several = [
            self.counts.filter(pl.col("finding") == name).head(n).select(columns)
            for name in self.classes
        ]
        fewest = [
            pl.Series(name, np.min([one[name].to_numpy() for one in several], axis=0))
            for name in _PEOPLE[:-1]
        ]
        return several[0].with_columns(*fewest, finding=pl.lit(question.sample.finding))


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of all questions.

    Parameters
    ----------
    kind
        Which it is.
    limits
        Low and high of each arm, each of shape ``(questions, arms)``.
    differences
        Low and high of each contrast, each of shape ``(questions, contrasts)``.
    """

    kind: Kind
    limits: tuple[Reals, Reals]
    differences: tuple[Reals, Reals]


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of all rows but the limits.

    Parameters
    ----------
    value, error
        Of each arm, shape ``(questions, arms)``: estimate and standard error.
    difference, difference_error
        Of each contrast, shape ``(questions, contrasts)``.
    p, adjusted
        Of each contrast: two-sided p-value, by itself and adjusted for the family.
    adjusted_by
        By whose method.
    """

    value: Reals
    error: Reals
    difference: Reals
    difference_error: Reals
    p: Reals
    adjusted: Reals
    adjusted_by: str


def rows(
    sheet: Sheet,
    asked: Sequence[Question],
    found: Sequence[Numbers],
    figures: Figures,
    intervals: Sequence[Interval],
) -> pl.DataFrame:
    """Return a row per question, interval, and subgroup or contrast, in this order.

    The numbers of a contrast are those of its group, not of what it is against. P-values stand
    beside the simultaneous interval of a contrast.

    Parameters
    ----------
    sheet
        What all share.
    asked, found
        The questions and the answers.
    figures, intervals
        What was computed of them.

    Examples
    --------
    >>> from equipoise import metrics
    >>> frame = pl.DataFrame({"sex": ["F", "M"] * 2, "label:x": [True, True, False, False],
    ...                       "score:x": [0.4, 0.3, 0.2, 0.1]})
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> few = metrics.Minimum(positives=2, negatives=2, patients=2)
    >>> plan = metrics.Plan({}, ("auroc",), few, "probe")
    >>> made = metrics.estimate(metrics.population(frame, table, patient=None), table, plan)
    >>> made.estimates["sex", "contrast", "value", "status"].rows()[:2]
    [(None, None, 1.0, 'assessed'), ('F', None, None, 'not assessable')]
    """
    groups = len(sheet.compared.subgroups)
    layout = [*range(groups), *(contrast.group for contrast in sheet.compared.contrasts)]
    # Who is in a subgroup is looked up once per finding.
    findings = {question.sample.finding: question for question in asked}
    known = {name: sheet.people(question)[layout] for name, question in findings.items()}
    people = [known[question.sample.finding] for question in asked]
    base = pl.concat(people or [sheet.nobody()]).with_columns(
        _words(sheet, asked, found, figures.error**2)
    )
    kinds = [one.kind for one in intervals]
    # (question, interval, row): each row of the base once per interval.
    shape = len(asked), len(kinds), len(layout)
    index = np.broadcast_to(np.arange(base.height).reshape(len(asked), 1, -1), shape)
    per_kind = np.broadcast_to(np.arange(len(kinds))[None, :, None], shape).ravel()
    numbers = _numbers(figures, intervals, groups, shape)
    tested = numbers["p_adjusted"].ravel()
    made = base[index.ravel()].with_columns(
        *[pl.Series(name, column.ravel()).fill_nan(None) for name, column in numbers.items()],
        pl.Series("adjusted_by", [figures.adjusted_by])[np.zeros(len(tested), dtype=np.int64)],
        level=pl.Series([kind.level for kind in kinds], dtype=pl.Float64)[per_kind],
        interval=pl.Series([kind.interval for kind in kinds], dtype=pl.String)[per_kind],
        adjustment=pl.lit("crude"),
        chance=pl.lit(None, dtype=pl.Float64),
        corrected=pl.lit(None, dtype=pl.Float64),
    )
    said = pl.when(pl.col("p_adjusted").is_not_null()).then(pl.col("adjusted_by"))
    return ordered_columns(made.with_columns(adjusted_by=said), sheet.attributes)


def _numbers(
    figures: Figures, intervals: Sequence[Interval], groups: int, shape: tuple[int, int, int]
) -> dict[str, Reals]:
    """Return the numbers of each row, each of shape ``(questions, intervals, rows)``."""
    names = ("value", "low", "high", "standard_error", "p_value", "p_adjusted")
    made = {name: np.full(shape, np.nan) for name in names}
    made["value"][:, :, :groups] = figures.value[:, None, :groups]
    made["value"][:, :, groups:] = figures.difference[:, None]
    error = np.where(np.isnan(figures.value), np.nan, figures.error)
    made["standard_error"][:, :, :groups] = error[:, None, :groups]
    made["standard_error"][:, :, groups:] = figures.difference_error[:, None]
    for place, one in enumerate(intervals):
        for name, own, two in zip(("low", "high"), one.limits, one.differences, strict=True):
            made[name][:, place, :groups] = own[:, :groups]
            made[name][:, place, groups:] = two
        if one.kind.interval == "simultaneous":
            made["p_value"][:, place, groups:] = figures.p
            made["p_adjusted"][:, place, groups:] = figures.adjusted
    return made


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
