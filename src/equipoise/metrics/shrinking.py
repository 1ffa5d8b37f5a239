"""Small intersections drawn to what their attributes foretell, as rows beside the raw ones."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.arms import Arms
from equipoise.metrics.describing import Answered, attribute_sets, covariances
from equipoise.metrics.intervals import effective_trials
from equipoise.metrics.numbers import Numbers, Question
from equipoise.metrics.rows import Sheet, ordered_columns
from equipoise.metrics.shrinkage import Shrunken, main_effects, shrink_rates

Reals = npt.NDArray[np.float64]

_METHOD = "empirical Bayes, logit scale, drawn to the main effects of its attributes"
_LEVEL = 0.95
_NUMBERS: dict[str, type[pl.DataType]] = {
    "operating_point": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "status": pl.String,
    "reason": pl.String,
}
"""What differs from row to row."""


def shrunken(sheet: Sheet, answered: Answered) -> pl.DataFrame:
    """Return each intersection's value drawn to the main effects of its attributes.

    Only of metrics in [0, 1]. Rows have the adjustment *shrunken* and stand beside the raw ones:
    they say what is likely of a small group, and are never judged. A group that is not assessable
    gets what its attributes foretell, if they are estimated, as a description.

    Parameters
    ----------
    sheet
        What all rows share.
    answered
        What was asked and found.

    Examples
    --------
    >>> from equipoise import metrics
    >>> rng, n = np.random.default_rng(0), 400
    >>> label = rng.random(n) < 0.5
    >>> rows = pl.DataFrame({"sex": rng.choice(["F", "M"], n), "site": rng.choice(["a", "b"], n),
    ...                      "label:x": label, "score:x": rng.random(n) * 0.7 + label * 0.3})
    >>> table = metrics.subgroups({"sex": ["F", "M"], "site": ["a", "b"]})
    >>> plan = metrics.Plan({}, ("auroc",), metrics.Minimum(), "probe")
    >>> made = metrics.estimate(metrics.population(rows, table, patient=None), table, plan)
    >>> made.estimates.filter(pl.col("adjustment") == "shrunken")["sex", "site"].rows()
    [('F', 'a'), ('F', 'b'), ('M', 'a'), ('M', 'b')]
    """
    several = covariances(answered)
    people: dict[str, tuple[int, pl.DataFrame]] = {}
    rows: list[npt.NDArray[np.int64]] = []
    numbers: dict[str, list[object]] = {name: [] for name in _NUMBERS}
    for position, (question, found) in enumerate(zip(answered.asked, answered.found, strict=True)):
        if not question.metric.bounded:
            continue
        for arms in attribute_sets(sheet.compared).values():
            made = _shrunk(sheet.compared, found, several[position], arms, answered, position)
            if made is None:
                continue
            finding = question.sample.finding
            if finding not in people:
                people[finding] = len(people), sheet.people(question)
            rows.append(people[finding][0] * len(sheet.compared.subgroups) + np.array(arms))
            for name, column in _columns(question, found, made, arms).items():
                numbers[name] += column
    if not rows:
        return ordered_columns(_nothing(sheet), sheet.attributes)
    base = pl.concat([frame for _, frame in people.values()])[np.concatenate(rows)]
    columns = [
        pl.Series(name, values, dtype=_NUMBERS[name]).fill_nan(None)
        if _NUMBERS[name] == pl.Float64
        else pl.Series(name, values, dtype=_NUMBERS[name])
        for name, values in numbers.items()
    ]
    return ordered_columns(_completed(base.with_columns(columns)), sheet.attributes)


def _shrunk(
    compared: Arms,
    found: Numbers,
    known: tuple[Mapping[int, int], Reals],
    arms: list[int],
    answered: Answered,
    position: int,
) -> Shrunken | None:
    """Return the shrunken values of one attribute set, if it is of several attributes."""
    groups = [
        {name: level for name, level in compared.subgroups[arm].items() if level is not None}
        for arm in arms
    ]
    places, matrix = known
    there = [place for place, arm in enumerate(arms) if arm in places]
    if len(groups[0]) < 2 or len(there) < 3:
        return None
    covariance = np.full((len(arms), len(arms)), np.nan)
    mine = [places[arms[place]] for place in there]
    covariance[np.ix_(there, there)] = matrix[np.ix_(mine, mine)]
    trials = None
    if found.trials is not None:
        variance = answered.second.variance[position][arms]
        n, patients = found.trials[arms].astype(np.float64), found.patients[arms]
        rate = np.nan_to_num(found.value[arms])
        trials = effective_trials(rate, variance, n, patients.astype(np.float64))
    value, design = found.value[arms], main_effects(groups)
    return shrink_rates(value, covariance, design, trials=trials, level=_LEVEL)


def _columns(
    question: Question, found: Numbers, made: Shrunken, arms: list[int]
) -> dict[str, list[object]]:
    """Return what differs from row to row, for one question and attribute set."""
    raw = ~np.isnan(found.value[arms])
    none = np.isnan(made.value)
    status = np.where(none, "not assessable", np.where(raw, "assessed", "description"))
    reasons: list[object] = []
    for place, arm in enumerate(arms):
        if none[place]:
            reasons.append(found.lacking[arm])
        elif raw[place]:
            reasons.append(f"{made.weight[place]:.0%} of its own value is left")
        else:
            reasons.append(f"foretold by its attributes alone: {found.lacking[arm]}")
    return {
        "operating_point": [question.point] * len(arms),
        "metric": [question.metric.name] * len(arms),
        "value": made.value.tolist(),
        "low": made.low.tolist(),
        "high": made.high.tolist(),
        "status": status.tolist(),
        "reason": reasons,
    }


def _completed(frame: pl.DataFrame) -> pl.DataFrame:
    nothing, none = pl.lit(None, dtype=pl.Float64), pl.lit(None, dtype=pl.Int64)
    return frame.with_columns(
        contrast=pl.lit(None, dtype=pl.String),
        against=pl.lit(None, dtype=pl.String),
        adjustment=pl.lit("shrunken"),
        level=pl.lit(_LEVEL),
        interval=pl.lit("pointwise"),
        events=none,
        trials=none,
        standard_error=nothing,
        p_value=nothing,
        p_adjusted=nothing,
        adjusted_by=pl.lit(None, dtype=pl.String),
        chance=nothing,
        corrected=nothing,
        method=pl.lit(_METHOD),
    )


def _nothing(sheet: Sheet) -> pl.DataFrame:
    columns = ("finding", "candidate", *sheet.attributes)
    people = ("n_images", "n_patients", "n_positive", "n_negative", "exploratory")
    text = ("operating_point", "metric", "status", "reason")
    empty = sheet.counts.head(0).select(*columns, *people)
    return _completed(
        empty.with_columns(
            *[pl.lit(None, dtype=pl.String).alias(name) for name in text],
            *[pl.lit(None, dtype=pl.Float64).alias(name) for name in ("value", "low", "high")],
        )
    )
