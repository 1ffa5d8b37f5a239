"""The rows of the table *estimates*, made question by question."""

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

_PEOPLE = ("n_images", "n_patients", "n_positive", "n_negative", "exploratory")
_METHODS = {
    "rate": "Wilson score at the effective number of trials, {variance}",
    "mean": "logit scale, Student's t, {variance}",
    "ranking": "logit scale, Student's t, DeLong, {variance}",
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


def group_rows(
    sheet: Sheet, question: Question, found: Numbers, limits: tuple[Reals, Reals], kind: Kind
) -> pl.DataFrame:
    """Return a row per subgroup with its own value.

    Parameters
    ----------
    sheet, question, found
        What is asked and what was found.
    limits
        Low and high of each arm.
    kind
        Which interval it is.

    Examples
    --------
    >>> from equipoise.metrics.counts import count
    >>> from equipoise.metrics.definitions import Minimum, metric
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.arms import arms
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 2, "label:x": [True, True, False, False],
    ...                      "score:x": [0.4, 0.3, 0.2, 0.1]})
    >>> people = population(rows, table, patient=None)
    >>> compared = arms(table, people.cells, {})
    >>> sheet = Sheet(("sex",), count(people, table, candidate="probe"), compared, False)
    >>> asked = Question(people.samples[0], metric("auroc"), None)
    >>> found = numbers(asked, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> made = group_rows(sheet, asked, found, (found.value, found.value), Kind("pointwise", 0.9))
    >>> made["sex", "value", "status"].rows()
    [(None, 1.0, 'assessed'), ('F', None, 'not assessable'), ('M', None, 'not assessable')]
    """
    n = len(sheet.compared.subgroups)
    nothing = pl.lit(None, dtype=pl.Int64)
    return _row(
        sheet.people(question).with_columns(
            contrast=pl.lit(None, dtype=pl.String),
            against=pl.lit(None, dtype=pl.String),
            events=nothing if found.events is None else pl.Series(found.events[:n]),
            trials=nothing if found.trials is None else pl.Series(found.trials[:n]),
        ),
        question,
        (found.value[:n], limits[0][:n], limits[1][:n]),
        found.lacking[:n],
        kind,
    )


def contrast_rows(
    sheet: Sheet, question: Question, found: Numbers, limits: tuple[Reals, Reals, Reals], kind: Kind
) -> pl.DataFrame:
    """Return a row per contrast; its numbers are those of the group, not of what it is against.

    Parameters
    ----------
    sheet, question, found
        What is asked and what was found.
    limits
        Difference, low and high of each contrast.
    kind
        Which interval it is.

    Examples
    --------
    >>> from equipoise.metrics.counts import count
    >>> from equipoise.metrics.definitions import Minimum, metric
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.arms import arms
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 2, "label:x": [True, True, False, False],
    ...                      "score:x": [0.4, 0.3, 0.2, 0.1]})
    >>> people = population(rows, table, patient=None)
    >>> compared = arms(table, people.cells, {})
    >>> sheet = Sheet(("sex",), count(people, table, candidate="probe"), compared, False)
    >>> asked = Question(people.samples[0], metric("auroc"), None)
    >>> found = numbers(asked, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> nothing = np.full(2, np.nan)
    >>> kind = Kind("pointwise", 0.9)
    >>> made = contrast_rows(sheet, asked, found, (nothing, nothing, nothing), kind)
    >>> made["sex", "against", "value"].rows()
    [('F', 'rest', None), ('M', 'rest', None)]
    """
    contrasts = sheet.compared.contrasts
    nothing = pl.lit(None, dtype=pl.Int64)
    people = sheet.people(question)[[contrast.group for contrast in contrasts]]
    return _row(
        people.with_columns(
            contrast=pl.Series([c.kind for c in contrasts], dtype=pl.String),
            against=pl.Series([c.text for c in contrasts], dtype=pl.String),
            events=nothing,
            trials=nothing,
        ),
        question,
        limits,
        [_both(found.lacking[c.group], found.lacking[c.against]) for c in contrasts],
        kind,
    )


def with_methods(
    rows: pl.DataFrame, sheet: Sheet, question: Question, found: Numbers, variance: Reals
) -> pl.DataFrame:
    """Return the rows with how their intervals were made, in words.

    Parameters
    ----------
    rows
        Rows of `group_rows` or of `contrast_rows`.
    sheet, question, found
        What is asked and what was found.
    variance
        Of each arm.

    Examples
    --------
    >>> from equipoise.metrics.counts import count
    >>> from equipoise.metrics.definitions import Minimum, metric
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.arms import arms
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 2, "label:x": [True, True, False, False],
    ...                      "score:x": [0.4, 0.3, 0.2, 0.1]})
    >>> people = population(rows, table, patient=None)
    >>> compared = arms(table, people.cells, {})
    >>> sheet = Sheet(("sex",), count(people, table, candidate="probe"), compared, False)
    >>> asked = Question(people.samples[0], metric("auroc"), None)
    >>> found = numbers(asked, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> made = group_rows(sheet, asked, found, (found.value, found.value), Kind("pointwise", 0.9))
    >>> made = with_methods(made, sheet, asked, found, np.zeros(5))
    >>> made["method"][0].startswith("Wilson score, a patient of the smaller class")
    True
    """
    clustered = (
        "variance clustered by patient" if sheet.clustered else "images taken as independent"
    )
    smooth = _METHODS[question.metric.kind].format(variance=clustered)
    flat = _FLAT if sheet.clustered else f"{_FLAT}; images taken as independent"
    edge = is_flat(found, variance) if found.trials is None else np.zeros(len(variance), dtype=bool)
    by_arm = [flat if e else smooth for e in edge]
    if rows.height and rows["contrast"].null_count() == 0:
        text = [
            "difference by MOVER of "
            + " and ".join(dict.fromkeys((by_arm[c.group], by_arm[c.against])))
            for c in sheet.compared.contrasts
        ]
    else:
        text = by_arm[: rows.height]
    return rows.with_columns(method=pl.Series(text, dtype=pl.String))


def ordered_columns(rows: pl.DataFrame, attributes: Sequence[str]) -> pl.DataFrame:
    """Return the columns as the table *estimates* lists them, attributes after the finding's.

    Examples
    --------
    >>> row = {name: None for name in ESTIMATES.columns} | {"sex": "F"}
    >>> ordered_columns(pl.DataFrame([row]), ["sex"]).columns[2:5]
    ['operating_point', 'sex', 'metric']
    """
    names = list(ESTIMATES.columns)
    return rows.select([*names[:3], *attributes, *names[3:]])


def _row(
    people: pl.DataFrame,
    question: Question,
    estimate: tuple[Reals, Reals, Reals],
    lacking: Sequence[str | None],
    kind: Kind,
) -> pl.DataFrame:
    value, low, high = (
        pl.Series(name, numbers, dtype=pl.Float64).fill_nan(None)
        for name, numbers in zip(("value", "low", "high"), estimate, strict=True)
    )
    return people.with_columns(
        value,
        low,
        high,
        operating_point=pl.lit(question.point, dtype=pl.String),
        metric=pl.lit(question.metric.name),
        adjustment=pl.lit("crude"),
        level=pl.lit(kind.level),
        interval=pl.lit(kind.interval),
        status=pl.Series(
            ["assessed" if x is None else "not assessable" for x in lacking], dtype=pl.String
        ),
        reason=pl.Series(lacking, dtype=pl.String),
    )


def _both(first: str | None, second: str | None) -> str | None:
    return "; ".join(text for text in (first, second) if text is not None) or None
