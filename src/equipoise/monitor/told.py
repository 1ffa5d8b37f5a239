"""What was watched as tables and as JSON."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from equipoise import tables
from equipoise.monitor.questions import Question
from equipoise.monitor.streams import Days
from equipoise.monitor.watching import LABELS, Chart, Watch, Watched

_LOWEST = -700.0


def table(
    watch: Watch, periods: Sequence[str], ends: Sequence[np.datetime64], attributes: Sequence[str]
) -> pl.DataFrame:
    """Return the table *monitoring*.

    Parameters
    ----------
    watch
        What was watched.
    periods
        All periods up to the day of the look, in order.
    ends
        The last day of each.
    attributes
        The declared ones, a column each.
    """
    rows = [
        row for one in watch.watched for row in _of_question(one, watch, periods, ends, attributes)
    ]
    rows += [
        row for one in watch.charts for row in _of_chart(one, watch, periods, ends, attributes)
    ]
    kinds = {"text": pl.String, "integer": pl.Int64, "real": pl.Float64}
    schema = {name: kinds[column.kind] for name, column in tables.MONITORING.columns.items()}
    made = pl.DataFrame(rows, schema={**schema, **dict.fromkeys(attributes, pl.String)})
    return tables.check(made, tables.MONITORING)


def _of_question(
    one: Watched,
    watch: Watch,
    periods: Sequence[str],
    ends: Sequence[np.datetime64],
    attributes: Sequence[str],
) -> Iterator[dict[str, object]]:
    question = one.question
    begin: np.datetime64 = np.datetime64("0001-01-01", "D")
    for period, end in zip(periods, ends, strict=True):
        first, second = (
            (_within(days, values, begin, end), int((days <= end).sum()))
            for days, values in (
                (one.bets.first_days, one.bets.first),
                (one.bets.second_days, one.bets.second),
            )
        )
        alarmed = one.alarm is not None and one.alarm <= end
        yield {
            "period": period,
            **_named(question, attributes),
            "n_first": first[1],
            "n_second": second[1],
            "value_first": first[0],
            "value_second": second[0],
            "log_e": _at(watch.days, one.log_e, end),
            "log_e_adjusted": _at(watch.days, one.adjusted, end),
            "cusum": None,
            "cusum_limit": None,
            "basis": LABELS,
            "status": "alarm" if alarmed else "watched" if first[1] else "no labels",
        }
        begin = end + np.timedelta64(1, "D")


def _of_chart(
    one: Chart,
    watch: Watch,
    periods: Sequence[str],
    ends: Sequence[np.datetime64],
    attributes: Sequence[str],
) -> Iterator[dict[str, object]]:
    design = one.design
    own = [w for w in watch.watched if _same(w.question, one)]
    for period, end in zip(periods, ends, strict=True):
        n = max((int((w.bets.first_days <= end).sum()) for w in own), default=0)
        # The chart stands for a day as it stood at its end; the row says its highest in the period.
        value = None if design is None else max(_at(watch.days, one.sums, end), 0.0)
        over = one.warned is not None and bool(one.warned <= end)
        yield {
            "period": period,
            "kind": "chart",
            "criterion": None,
            "finding": one.finding,
            "operating_point": one.point,
            "metric": one.metric,
            "contrast": None,
            "against": None,
            "direction": "below",
            "bound": None if design is None else design.worse,
            "n_first": n,
            "n_second": 0,
            "value_first": None,
            "value_second": None,
            "log_e": None,
            "log_e_adjusted": None,
            "cusum": value,
            "cusum_limit": None if design is None else design.limit,
            "basis": LABELS,
            "status": _status(design is not None, over=over, n=n),
            **{name: one.subgroup.get(name) for name in attributes},
        }


def _status(designed: bool, *, over: bool, n: int) -> str:
    if not designed:
        return "no reference"
    return "warning" if over else "watched" if n else "no labels"


def _same(question: Question, chart: Chart) -> bool:
    return (question.metric, question.finding, question.point, dict(question.subgroup)) == (
        chart.metric,
        chart.finding,
        chart.point,
        dict(chart.subgroup),
    )


def _named(question: Question, attributes: Sequence[str]) -> Mapping[str, object]:
    return {
        "kind": question.kind,
        "criterion": question.name,
        "finding": question.finding,
        "operating_point": question.point,
        "metric": question.metric,
        "contrast": question.contrast,
        "against": question.against,
        "direction": question.direction,
        "bound": question.bound,
        **{name: question.subgroup.get(name) for name in attributes},
    }


def _at(days: Days, path: np.typing.NDArray[np.float64], end: np.datetime64) -> float:
    place = int(np.searchsorted(days, end, side="right"))
    return max(float(path[place - 1]), _LOWEST) if place else 0.0


def _within(
    days: Days,
    values: np.typing.NDArray[np.float64],
    begin: np.datetime64,
    end: np.datetime64,
) -> float | None:
    mine = values[(days >= begin) & (days <= end)]
    return float(mine.mean()) if len(mine) else None
