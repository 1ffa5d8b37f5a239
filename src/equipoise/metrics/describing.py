"""What describes an attribute set as a whole, as rows of the table *estimates*; none is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.arms import Arms
from equipoise.metrics.definitions import Metric
from equipoise.metrics.descriptions import Description, Measured, descriptions
from equipoise.metrics.groups import known, named, restricted
from equipoise.metrics.intervals import wilson
from equipoise.metrics.moments import Moments
from equipoise.metrics.numbers import Numbers, Question
from equipoise.metrics.rows import Sheet, ordered_columns

Reals = npt.NDArray[np.float64]

_DRAWS = 1_000
_SCALED = ("equity_scaled_sum", "equity_scaled_std")


@dataclass(frozen=True, slots=True)
class Answered:
    """All questions, the answers, and their second moments.

    Parameters
    ----------
    asked, found, second
        Of `moments`.
    """

    asked: Sequence[Question]
    found: Sequence[Numbers]
    second: Moments


def described(sheet: Sheet, answered: Answered, rng: np.random.Generator) -> pl.DataFrame:
    """Return range, ratio, worst group, variance between groups, and odds of each attribute set.

    Over the known levels of one attribute, or the known intersections of several; `against` names
    the attributes. Each has what chance alone would make of it, and its value with that taken off.

    Parameters
    ----------
    sheet
        What all rows share.
    answered
        What was asked and found.
    rng
        Where the draws come from.

    Examples
    --------
    >>> from equipoise import metrics
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 4, "label:x": [True, True, False, False] * 2,
    ...                      "score:x": [0.8, 0.9, 0.2, 0.3, 0.7, 0.6, 0.1, 0.65]})
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> few = metrics.Minimum(positives=2, negatives=2, patients=2)
    >>> plan = metrics.Plan({}, ("auroc",), few, "probe")
    >>> made = metrics.estimate(metrics.population(rows, table, patient=None), table, plan)
    >>> found = made.estimates.filter(pl.col("status") == "description")
    >>> found["contrast", "against", "value"].rows()[:2]
    [('range', 'sex', 0.25), ('ratio', 'sex', 0.75)]
    """
    several = covariances(answered)
    rows: list[dict[str, object]] = []
    for together in _together(answered.asked):
        first = answered.asked[together[0]]
        for attributes, arms in attribute_sets(sheet.compared).items():
            names = [named(sheet.compared.subgroups[arm]) for arm in arms]
            measured = [_measured(answered, several[q], q, arms) for q in together]
            metrics = {m.name: m for m in (answered.asked[q].metric for q in together)}
            rows += [
                _row(first, attributes, one)
                for one in descriptions(names, measured, rng, draws=_DRAWS)
                if _says(metrics.get(one.metric), one.contrast)
            ]
    findings = {question.sample.finding: question for question in answered.asked}
    people = [sheet.people(question).head(1) for question in findings.values()]
    return _frame(sheet, rows, pl.concat(people or [sheet.nobody()]))


def _says(metric: Metric | None, contrast: str) -> bool:
    """Return whether a description means anything for a metric."""
    if metric is None:
        return True
    if not metric.bounded and contrast in {"ratio", *_SCALED}:
        return False
    return metric.worse is not None or contrast not in {"worst", *_SCALED}


def _together(asked: Sequence[Question]) -> list[list[int]]:
    """Return the questions of each finding and operating point; what needs none goes alone."""
    found: dict[tuple[str, str | None], list[int]] = {}
    for position, question in enumerate(asked):
        found.setdefault((question.sample.finding, question.point), []).append(position)
    return list(found.values())


def attribute_sets(compared: Arms) -> dict[str, list[int]]:
    """Return attribute set in words → the subgroups of its known levels.

    Examples
    --------
    >>> groups = ({"sex": None}, {"sex": "F"}, {"sex": "unknown"})
    >>> attribute_sets(Arms(np.ones((3, 1), bool), ("everybody", "sex=F", "?"), (), groups))
    {'sex': [1]}
    """
    sets: dict[str, list[int]] = {}
    for position, group in enumerate(compared.subgroups):
        if restricted(group) and known(group):
            sets.setdefault(" × ".join(restricted(group)), []).append(position)
    return sets


def covariances(answered: Answered) -> list[tuple[Mapping[int, int], Reals]]:
    """Return for each question where each assessable subgroup stands in its covariance matrix.

    Examples
    --------
    >>> from equipoise.metrics.moments import summed
    >>> n = np.array([40])
    >>> found = [Numbers(np.array([0.5]), n // 2, n, n, (n, n), (n, n), (None,))]
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> second = summed([np.full((1, 1, 2), 0.1)], found, compared)
    >>> covariances(Answered([None], found, second))[0][0]
    {0: 0}
    """
    second = answered.second
    made: list[tuple[Mapping[int, int], Reals]] = []
    for question in range(len(answered.asked)):
        blocks = (b for b in second.joint_values if question in second.values.question[b.members])
        block = next(blocks, None)
        if block is None:
            made.append(({}, np.zeros((0, 0))))
            continue
        mine = np.flatnonzero(second.values.question[block.members] == question)
        arms = second.values.member[block.members[mine]]
        places = {int(arm): place for place, arm in enumerate(arms)}
        made.append((places, block.covariance[np.ix_(mine, mine)]))
    return made


def _measured(
    answered: Answered, known_of: tuple[Mapping[int, int], Reals], question: int, arms: list[int]
) -> Measured:
    metric, found = answered.asked[question].metric, answered.found[question]
    places, matrix = known_of
    covariance = np.full((len(arms), len(arms)), np.nan)
    there = [place for place, arm in enumerate(arms) if arm in places]
    mine = [places[arms[place]] for place in there]
    covariance[np.ix_(there, there)] = matrix[np.ix_(mine, mine)]
    if metric.bounded:
        _not_certain(covariance, found, arms)
    overall, worse = float(found.value[0]), metric.worse or "low"
    return Measured(metric.name, found.value[arms], covariance, overall, worse)


def _not_certain(covariance: Reals, found: Numbers, arms: list[int]) -> None:
    """Give a value at the edge, which has no variance, that of Wilson's interval at one z."""
    for place, arm in enumerate(arms):
        if covariance[place, place] == 0.0:
            value, patients = found.value[[arm]], found.patients[[arm]].astype(np.float64)
            low, high = wilson(value, patients, 1.0)
            covariance[place, place] = float((high - low)[0] / 2.0) ** 2


def _row(question: Question, attributes: str, one: Description) -> dict[str, object]:
    return {
        "finding": question.sample.finding,
        "operating_point": question.point,
        "metric": one.metric.split(" and ")[0],  # odds are of two: told under the first
        "contrast": one.contrast,
        "against": attributes,
        "value": one.value,
        "chance": one.chance,
        "corrected": one.corrected,
        "reason": one.reason,
    }


def _frame(
    sheet: Sheet, rows: Sequence[Mapping[str, object]], people: pl.DataFrame
) -> pl.DataFrame:
    """Return rows of the estimates; the numbers of images and patients are those of everybody."""
    text = ("finding", "operating_point", "metric", "contrast", "against", "reason")
    schema = {name: pl.String() for name in text} | {
        name: pl.Float64() for name in ("value", "chance", "corrected")
    }
    frame = pl.DataFrame(list(rows), schema=schema).with_columns(
        pl.col("value", "chance", "corrected").fill_nan(None)
    )
    nothing = pl.lit(None, dtype=pl.Float64)
    made = frame.join(people, on="finding", how="left", maintain_order="left").with_columns(
        adjustment=pl.lit("crude"),
        low=nothing,
        high=nothing,
        level=nothing,
        interval=pl.lit(None, dtype=pl.String),
        events=pl.lit(None, dtype=pl.Int64),
        trials=pl.lit(None, dtype=pl.Int64),
        standard_error=nothing,
        p_value=nothing,
        p_adjusted=nothing,
        adjusted_by=pl.lit(None, dtype=pl.String),
        method=pl.lit("a description of all groups together, not to be judged"),
        status=pl.lit("description"),
    )
    return ordered_columns(made, sheet.attributes)
