"""Estimates written by hand, so that each verdict follows from numbers that can be read."""

import polars as pl

from equipoise import policies
from equipoise.tables import ESTIMATES, check

Interval = tuple[float, float]
_SEX = {"sex": "F"}


def rows(
    metric: str,
    value: float | None,
    *,
    inner: Interval | None = None,
    outer: Interval | None = None,
    subgroup: dict[str, str] | None = None,
    contrast: str | None = None,
    reason: str | None = None,
    exploratory: bool = False,
    n_patients: int = 200,
    finding: str = "edema",
    point: str | None = None,
) -> list[dict[str, object]]:
    """Return the pointwise and the simultaneous rows of one estimate."""
    made = []
    for interval, level, limits in (
        ("pointwise", 0.95, outer),
        ("pointwise", 0.9, inner),
        ("simultaneous", 0.95, outer),
    ):
        row: dict[str, object] = dict.fromkeys(ESTIMATES.columns)
        low, high = limits or (None, None)
        row |= {"finding": finding, "candidate": "probe", "operating_point": point}
        row |= {"metric": metric, "contrast": contrast, "adjustment": "crude", "value": value}
        row |= {"against": "rest" if contrast else None, "low": low, "high": high}
        row |= {"level": level, "interval": interval, "n_images": 300, "n_patients": n_patients}
        row |= {"n_positive": 100, "n_negative": 200, "method": "by hand"}
        row |= {"status": "not assessable" if reason else "assessed", "reason": reason}
        row |= {"exploratory": exploratory, "sex": None, "age_band": None, **(subgroup or {})}
        made.append(row)
    return made


def table(*parts: list[dict[str, object]]) -> pl.DataFrame:
    """Return the table *estimates* of all parts."""
    schema = {
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "events": pl.Int64,
        "trials": pl.Int64,
        "against": pl.String,
        "contrast": pl.String,
        "operating_point": pl.String,
        "reason": pl.String,
        "sex": pl.String,
        "age_band": pl.String,
    }
    found = pl.DataFrame([row for part in parts for row in part], schema_overrides=schema)
    return check(found, ESTIMATES)


def fine(metric: str = "auroc", value: float = 0.85, **more: object) -> list[dict[str, object]]:
    """Return everybody, F and M well above any floor."""
    inner, outer = (value - 0.03, value + 0.03), (value - 0.05, value + 0.05)
    groups: list[dict[str, str]] = [{}, {"sex": "F"}, {"sex": "M"}]
    return [
        row
        for group in groups
        for row in rows(metric, value, inner=inner, outer=outer, subgroup=group, **more)
    ]


def difference(value: float | None, half: float = 0.03, **more: object) -> list[dict[str, object]]:
    """Return the contrast of F with the rest; the simultaneous interval is twice as wide."""
    limits: dict[str, object] = {}
    if value is not None:
        limits["inner"] = (value - half, value + half)
        limits["outer"] = (value - 2 * half, value + 2 * half)
    merged = {"subgroup": _SEX, "contrast": "rest", **limits, **more}
    return rows("auroc", value, **merged)


def policy(**changes: object) -> policies.Policy:
    """Return a policy with a tolerance of 0.1 and a floor of 0.7."""
    content: dict[str, object] = {
        "version": 1,
        "name": "local",
        "criteria": [{"name": "equal", "metric": "auroc", "attributes": ["sex"], "tolerance": 0.1}],
        "floors": [{"name": "useful", "metric": "auroc", "minimum": 0.7, "attributes": ["sex"]}],
    }
    return policies.validated({**content, **changes})
