"""Largest minus smallest, beside what it would be by chance alone: described, never judged."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.arms import Arms
from equipoise.metrics.groups import known, restricted
from equipoise.metrics.moments import Family
from equipoise.metrics.numbers import Question
from equipoise.metrics.rows import Sheet

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Range:
    """Largest minus smallest of one question over the levels of one attribute set.

    Parameters
    ----------
    question
        Its position.
    name
        The attributes, in words.
    members
        The assessable groups, as members of the family of group values.
    n
        How many groups there are.
    """

    question: int
    name: str
    members: Integers
    n: int

    @property
    def several(self) -> bool:
        """Whether there is anything to compare."""
        return len(self.members) > 1


def ranges(compared: Arms, values: Family, questions: int) -> list[Range]:
    """Return all ranges: of each question, over the known levels of each attribute set.

    Examples
    --------
    >>> compared = Arms(np.ones((3, 1), bool), ("everybody", "sex=F", "sex=M"), (),
    ...                 ({"sex": None}, {"sex": "F"}, {"sex": "M"}))
    >>> family = Family(np.array([0, 0, 0]), np.array([0, 1, 2]))
    >>> [(r.name, r.members.tolist()) for r in ranges(compared, family, 1)]
    [('sex', [1, 2])]
    """
    members = {
        (int(question), int(arm)): position
        for position, (question, arm) in enumerate(zip(values.question, values.member, strict=True))
    }
    return [
        Range(
            question,
            name,
            np.array([members[question, a] for a in arms if (question, a) in members], np.int64),
            len(arms),
        )
        for question in range(questions)
        for name, arms in _sets(compared).items()
    ]


def range_row(
    sheet: Sheet, question: Question, found: Range, *, values: Reals, chance: float | None
) -> pl.DataFrame:
    """Return the row of one range; it has no interval and is never judged.

    Parameters
    ----------
    sheet, question, found
        What is described.
    values
        Of the assessable groups; of fewer than two there is no range.
    chance
        What would be expected with no difference at all: it grows with the number of groups and
        with their smallness.

    Examples
    --------
    >>> from equipoise.metrics.counts import count
    >>> from equipoise.metrics.definitions import metric
    >>> from equipoise.metrics.groups import subgroups
    >>> from equipoise.metrics.arms import arms
    >>> from equipoise.metrics.samples import population
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 2, "label:x": [True, True, False, False],
    ...                      "score:x": [0.4, 0.3, 0.2, 0.1]})
    >>> people = population(rows, table, patient=None)
    >>> compared = arms(table, people.cells, {})
    >>> sheet = Sheet(("sex",), count(people, table, candidate="probe"), compared, False)
    >>> asked = Question(people.samples[0], metric("auroc"), None)
    >>> both, values = Range(0, "sex", np.array([1, 2]), 2), np.array([0.75, 0.5])
    >>> range_row(sheet, asked, both, values=values, chance=0.1)["value", "reason"].rows()[0]
    (0.25, '2 of 2 groups are assessable; 0.100 would be expected with no difference at all')
    """
    reason = f"{len(found.members)} of {found.n} groups are assessable"
    if chance is not None:
        reason += f"; {chance:.3f} would be expected with no difference at all"
    spread = float(np.ptp(values)) if found.several else None
    return _row(sheet, question, found.name, spread, reason)


def _sets(compared: Arms) -> dict[str, list[int]]:
    """Return attribute set in words → the subgroups of its known levels."""
    sets: dict[str, list[int]] = {}
    for position, group in enumerate(compared.subgroups):
        if restricted(group) and known(group):
            sets.setdefault(" × ".join(restricted(group)), []).append(position)
    return sets


def _row(
    sheet: Sheet, question: Question, name: str, spread: float | None, reason: str
) -> pl.DataFrame:
    nothing = pl.lit(None, dtype=pl.Float64)
    none = pl.lit(None, dtype=pl.Int64)
    return (
        sheet.people(question)
        .head(1)
        .with_columns(
            operating_point=pl.lit(question.point, dtype=pl.String),
            metric=pl.lit(question.metric.name),
            contrast=pl.lit("range"),
            against=pl.lit(name),
            adjustment=pl.lit("crude"),
            value=pl.lit(spread, dtype=pl.Float64),
            low=nothing,
            high=nothing,
            level=nothing,
            interval=pl.lit(None, dtype=pl.String),
            events=none,
            trials=none,
            method=pl.lit("largest minus smallest of the assessable groups"),
            status=pl.lit("description"),
            reason=pl.lit(reason),
        )
    )
