"""Which estimates a criterion speaks of, and which it asks for in vain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from equipoise.errors import InvalidTable
from equipoise.policies.schema import Criterion, Floor
from equipoise.tables import ESTIMATES

FAILING = ("simultaneous", 0.95)
PASSING = ("pointwise", 0.90)

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Limits:
    """The two intervals by which one estimate is judged.

    Parameters
    ----------
    low, high
        Simultaneous 95 %: what may fail.
    inner_low, inner_high
        Pointwise 90 %: what may pass.
    """

    low: float
    high: float
    inner_low: float
    inner_high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimate that a criterion judges.

    Parameters
    ----------
    row
        Its row in the table *estimates* with the simultaneous interval.
    subgroup
        Attribute → level, restricted attributes only.
    value
        None where it is not assessable.
    limits
        None where it is not assessable.
    """

    row: Row
    subgroup: Mapping[str, str]
    value: float | None
    limits: Limits | None

    @property
    def group(self) -> str:
        """The subgroup in words."""
        return ", ".join(f"{k}={v}" for k, v in self.subgroup.items()) or "everybody"


@dataclass(frozen=True, slots=True)
class Vain:
    """Something that a criterion asks for and the estimates do not hold.

    Parameters
    ----------
    reason
        What is missing, in a sentence.
    """

    reason: str


def attributes_of(estimates: pl.DataFrame) -> list[str]:
    """Return the subgroup columns of the table *estimates*.

    Examples
    --------
    >>> attributes_of(pl.DataFrame({"finding": ["x"], "sex": ["F"]}))
    ['sex']
    """
    return [name for name in estimates.columns if name not in ESTIMATES.columns]


def matched(
    estimates: pl.DataFrame, wanted: Criterion | Floor, kind: Literal["contrast", "floor"]
) -> Iterator[Estimate | Vain]:
    """Yield every estimate that a criterion judges, and everything it asks for in vain.

    Parameters
    ----------
    estimates
        The table *estimates*.
    wanted
        A criterion or a floor.
    kind
        *contrast* for differences, *floor* for a group's own value.

    Examples
    --------
    >>> from equipoise import metrics, policies
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 100, "label:x": [True, True, False, False] * 50,
    ...                      "score:x": [i * 7 % 11 / 11 for i in range(200)]})
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> plan = metrics.Plan({}, ("auroc",), metrics.Minimum(), "probe", draws=1_000)
    >>> estimates = metrics.estimate(people, table, plan).estimates
    >>> policy = policies.parse(policies.example())
    >>> found = matched(estimates, policy.criteria[1], "contrast")
    >>> [part.reason for part in found if isinstance(part, Vain)]
    ['there is no estimate of sensitivity; there are: auroc']
    """
    own = pl.col("contrast").is_null()
    differences = pl.col("contrast").is_in(["reference", "rest"])
    rows = estimates.filter(
        (own if kind == "floor" else differences) & (pl.col("metric") == wanted.metric)
    )
    if not rows.height:
        there = ", ".join(estimates["metric"].unique().sort().to_list())
        yield Vain(f"there is no estimate of {wanted.metric}; there are: {there or 'none'}")
        return
    every = estimates["finding"].unique(maintain_order=True).to_list()
    findings = every if wanted.findings == "all" else wanted.findings
    for finding in findings:
        mine = rows.filter(pl.col("finding") == finding)
        if not mine.height:
            yield Vain(f"there is no estimate of {wanted.metric} for the finding '{finding}'")
        else:
            yield from _at_points(mine, wanted, kind, str(finding))


def _at_points(
    rows: pl.DataFrame, wanted: Criterion | Floor, kind: Literal["contrast", "floor"], finding: str
) -> Iterator[Estimate | Vain]:
    there = rows["operating_point"].unique(maintain_order=True).to_list()
    threshold_free = there == [None]
    points = (
        there if wanted.operating_points == "all" or threshold_free else wanted.operating_points
    )
    for point in points:
        mine = rows.filter(pl.col("operating_point").eq_missing(pl.lit(point, dtype=pl.String)))
        if not mine.height:
            yield Vain(
                f"there is no estimate of {wanted.metric} for '{finding}' at the operating point "
                f"'{point}'"
            )
        else:
            yield from _in_groups(mine, wanted, kind, finding)


def _in_groups(
    rows: pl.DataFrame, wanted: Criterion | Floor, kind: Literal["contrast", "floor"], finding: str
) -> Iterator[Estimate | Vain]:
    names = attributes_of(rows)
    sets = wanted.sets()
    if isinstance(wanted, Floor) and wanted.overall:
        sets = [frozenset(), *sets]
    for chosen in sets:
        absent = sorted(chosen - set(names))
        inside = pl.all_horizontal(
            pl.lit(value=True),
            *[pl.col(n).is_not_null() if n in chosen else pl.col(n).is_null() for n in names],
        )
        mine = rows.filter(inside) if not absent else rows.clear()
        if not mine.height:
            what = " × ".join(sorted(chosen)) or "everybody"
            difference = "difference" if kind == "contrast" else "value"
            yield Vain(f"there is no {difference} of {wanted.metric} by {what} for '{finding}'")
        yield from _estimates(mine, names)


def _estimates(rows: pl.DataFrame, names: list[str]) -> Iterator[Estimate]:
    key = ["candidate", "adjustment", *names, "contrast", "against"]
    for _, same in rows.group_by(key, maintain_order=True):
        outer = _interval(same, FAILING)
        inner = _interval(same, PASSING)
        row = outer or inner or same.row(0, named=True)
        subgroup = {name: str(row[name]) for name in names if row[name] is not None}
        value = _number(row["value"])
        limits = _limits(outer, inner)
        assessed = row["status"] == "assessed" and value is not None and limits is not None
        yield Estimate(row, subgroup, value if assessed else None, limits if assessed else None)


def _interval(rows: pl.DataFrame, which: tuple[str, float]) -> Row | None:
    found = rows.filter(
        (pl.col("interval") == which[0]) & ((pl.col("level") - which[1]).abs() < 1e-9)
    )
    if found.height > 1:
        row = found.row(0, named=True)
        raise InvalidTable(
            f"estimates: {found.height} rows give the {which[0]} {which[1]:.0%} interval of one "
            f"estimate of {row['metric']} for '{row['finding']}'; expected one"
        )
    return found.row(0, named=True) if found.height else None


def _limits(outer: Row | None, inner: Row | None) -> Limits | None:
    if outer is None or inner is None:
        return None
    numbers = [_number(row[name]) for row in (outer, inner) for name in ("low", "high")]
    low, high, inner_low, inner_high = numbers
    if low is None or high is None or inner_low is None or inner_high is None:
        return None
    return Limits(low, high, inner_low, inner_high)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
