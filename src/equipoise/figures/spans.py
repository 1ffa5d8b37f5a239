"""From the long estimates to one row per subgroup, with all its limits beside each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from equipoise.tables import ESTIMATES

Limits = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Span:
    """A subgroup's value, or its difference to others, with the limits there are.

    Parameters
    ----------
    subgroup
        Attribute → level; empty = everybody.
    metric
        The metric's name.
    contrast, against
        None for the group's own value; else what it is compared with.
    value
        None where there is none.
    limits
        (interval, level) → low, high.
    n_images, n_patients, n_positive, n_negative
        The group's size; positives and negatives in images.
    events, trials
        Of a rate; None for other metrics.
    status, reason, method, exploratory, adjustment
        As in the estimates.
    chance, corrected
        Of a description: what chance alone would make of it, and the value with that taken off.
    p_adjusted, adjusted_by
        Of a contrast: its p-value in the family, and by whose method.
    error_bound
        How far at most binned scores moved the value.
    """

    subgroup: Mapping[str, str]
    metric: str
    contrast: str | None
    against: str | None
    value: float | None
    n_images: int
    n_patients: int
    n_positive: int
    n_negative: int
    status: str
    method: str
    events: int | None = None
    trials: int | None = None
    reason: str | None = None
    exploratory: bool = False
    adjustment: str = "crude"
    chance: float | None = None
    corrected: float | None = None
    p_adjusted: float | None = None
    adjusted_by: str | None = None
    error_bound: float | None = None
    limits: Mapping[tuple[str, float], Limits] = field(default_factory=dict)

    def within(self, interval: str, level: float) -> Limits | None:
        """Return the limits of one kind and level, or None.

        Examples
        --------
        >>> Span({}, "auroc", None, None, 0.8, 9, 9, 4, 5, "assessed", "m",
        ...      limits={("pointwise", 0.95): (0.7, 0.9)}).within("pointwise", 0.95)
        (0.7, 0.9)
        """
        found = (
            v for (k, at), v in self.limits.items() if k == interval and abs(at - level) < 1e-9
        )
        return next(found, None)

    @property
    def family(self) -> tuple[str, ...]:
        """The attributes that make the subgroup; empty for everybody."""
        return tuple(self.subgroup)

    @property
    def name(self) -> str:
        """The levels that make the subgroup, as one label; empty for everybody."""
        return " · ".join(self.subgroup.values())


def attributes_of(estimates: pl.DataFrame) -> list[str]:
    """Return the subgroup columns of an estimates table, in its order.

    Examples
    --------
    >>> attributes_of(pl.DataFrame({"metric": ["auroc"], "sex": ["F"]}))
    ['sex']
    """
    return [
        name
        for name, dtype in estimates.schema.items()
        if name not in ESTIMATES.columns and dtype in (pl.String, pl.Null)
    ]


def spans(estimates: pl.DataFrame) -> list[Span]:
    """Return a row per subgroup, metric, contrast and adjustment, its limits side by side.

    Parameters
    ----------
    estimates
        The table *estimates*, of one finding, candidate and operating point.

    Returns
    -------
    Everybody first, then one attribute after the other, then intersections; within these in
    the order of the table. A subgroup without a value stays.

    Examples
    --------
    >>> spans(pl.DataFrame(schema={"metric": pl.String, "sex": pl.String}))
    []
    """
    names = attributes_of(estimates)
    found: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    for row in estimates.iter_rows(named=True):
        levels = tuple(row[name] for name in names)
        what = (row["metric"], row["contrast"], row["against"], row.get("adjustment"))
        found.setdefault((*what, levels), []).append(row)
    made = [_span(rows, names) for rows in found.values()]
    order = {name: place for place, name in enumerate(names)}
    return sorted(made, key=lambda s: (len(s.family), tuple(order[name] for name in s.family)))


def _span(rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> Span:
    first = rows[0]
    limits = {
        (str(row["interval"]), _real(row["level"]) or 0.0): (low, high)
        for row in rows
        if (low := _real(row["low"])) is not None and (high := _real(row["high"])) is not None
    }
    return Span(
        subgroup={name: str(first[name]) for name in names if first[name] is not None},
        metric=str(first["metric"]),
        contrast=_word(first["contrast"]),
        against=_word(first["against"]),
        value=_real(first["value"]),
        n_images=_whole(first["n_images"]) or 0,
        n_patients=_whole(first["n_patients"]) or 0,
        n_positive=_whole(first["n_positive"]) or 0,
        n_negative=_whole(first["n_negative"]) or 0,
        status=str(first["status"]),
        method=str(first["method"]),
        events=_whole(first["events"]),
        trials=_whole(first["trials"]),
        reason=_word(first["reason"]),
        exploratory=bool(first["exploratory"]),
        adjustment=_word(first.get("adjustment")) or "crude",
        chance=_real(first.get("chance")),
        corrected=_real(first.get("corrected")),
        p_adjusted=next(filter(None, (_real(row.get("p_adjusted")) for row in rows)), None),
        adjusted_by=next(filter(None, (_word(row.get("adjusted_by")) for row in rows)), None),
        error_bound=_real(first.get("error_bound")),
        limits=limits,
    )


def _real(value: object) -> float | None:
    found = float(value) if isinstance(value, int | float) else None
    return found if found is not None and math.isfinite(found) else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None


def _word(value: object) -> str | None:
    return None if value is None else str(value)
