"""From the table *estimates* to published numbers: the engine counts, these definitions compare."""

from collections.abc import Sequence

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.metrics.literature.catalogue import (
    DEFINITIONS,
    OVERALL,
    Definition,
    definition,
)
from equipoise.metrics.literature.published import Groups, Published, undefined
from equipoise.tables import ESTIMATES


def by_group(
    estimates: pl.DataFrame,
    metric: str,
    attribute: str,
    *,
    finding: str | None = None,
    operating_point: str | None = None,
) -> dict[str, float | None]:
    """Return the crude values of a metric over the declared levels of one attribute.

    Parameters
    ----------
    estimates
        As `audit.estimates` gives them.
    metric, attribute
        Which metric, and of the levels of which column. All levels come, *unknown* too; leave out
        of the mapping what is no group to you.
    finding, operating_point
        Which, where there are several.

    Returns
    -------
    Level → value; None where it is not assessable.

    Raises
    ------
    InvalidTable
        If there is no such row, or there are several findings or operating points.

    Examples
    --------
    >>> from equipoise import audit
    >>> from equipoise.metrics import Minimum
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 4, "label": [1, 1, 0, 0] * 2,
    ...                      "score": [0.8, 0.9, 0.2, 0.3, 0.7, 0.6, 0.1, 0.65]})
    >>> few = audit.Options(minimum=Minimum(positives=2, negatives=2, patients=2))
    >>> found = audit.estimates(rows, by={"sex": ["F", "M"]}, patient=None, options=few)
    >>> by_group(found, "auroc", "sex")
    {'F': 1.0, 'M': 0.75}
    """
    others = [name for name in _attributes(estimates) if name != attribute]
    if attribute not in _attributes(estimates):
        raise InvalidTable(
            f"estimates: no attribute '{attribute}'; got {_attributes(estimates)}",
            hint=nearest(attribute, _attributes(estimates)),
        )
    where = [pl.col(attribute).is_not_null(), *(pl.col(name).is_null() for name in others)]
    rows = _rows(estimates, metric, finding, operating_point).filter(where)
    rows = rows.select(attribute, "value").unique(maintain_order=True)
    if not rows.height or rows[attribute].is_duplicated().any():
        raise InvalidTable(
            f"estimates: {rows.height} values of {metric} over '{attribute}'; expected 1 a level"
        )
    return dict(rows.iter_rows())


def of_everybody(
    estimates: pl.DataFrame,
    metric: str,
    *,
    finding: str | None = None,
    operating_point: str | None = None,
) -> float | None:
    """Return the crude value of a metric of everybody together; None if it is not assessable.

    Parameters
    ----------
    estimates, metric, finding, operating_point
        As of `by_group`.

    Raises
    ------
    InvalidTable
        As of `by_group`.

    Examples
    --------
    >>> from equipoise import audit
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 60, "label": [1, 1, 0, 0] * 30,
    ...                      "score": [0.8, 0.9, 0.2, 0.3, 0.7, 0.6, 0.1, 0.65] * 15})
    >>> of_everybody(audit.estimates(rows, by={"sex": ["F", "M"]}, patient=None), "auroc")
    0.9375
    """
    where = [pl.col(name).is_null() for name in _attributes(estimates)]
    rows = _rows(estimates, metric, finding, operating_point).filter(where)
    values = rows["value"].unique().to_list()
    if len(values) != 1:
        raise InvalidTable(f"estimates: {len(values)} values of {metric} of everybody; expected 1")
    return None if values[0] is None else float(values[0])


def tabulated(
    estimates: pl.DataFrame,
    attribute: str,
    *,
    names: Sequence[str] | None = None,
    finding: str | None = None,
    operating_point: str | None = None,
) -> pl.DataFrame:
    """Return all published numbers that a table of estimates allows, of one attribute.

    Parameters
    ----------
    estimates, attribute, finding, operating_point
        As of `by_group`.
    names
        Of the definitions; by default those whose metrics are all in the estimates.

    Returns
    -------
    `name`, `called`, `source`, `better`, `value`, and `reason` where the value is null. Thresholds
    are those of the estimates: images *on* one are called positive.

    Raises
    ------
    InvalidTable
        As of `by_group`.

    Examples
    --------
    >>> from equipoise import audit
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 60, "label": [1, 1, 0, 0] * 30,
    ...                      "score": [0.8, 0.9, 0.2, 0.3, 0.7, 0.6, 0.1, 0.65] * 15})
    >>> found = audit.estimates(rows, by={"sex": ["F", "M"]}, patient=None)
    >>> tabulated(found, "sex", names=["auroc_gap_fairmedfm"])["value", "reason"].rows()
    [(0.25, None)]
    """
    there = set(estimates["metric"].unique())
    if names is None:
        chosen = [one for one in DEFINITIONS.values() if not _absent(one, there)]
    else:
        chosen = [definition(name) for name in names]
    made: list[tuple[Definition, Published]] = []
    for one in chosen:
        absent = _absent(one, there)
        if absent:
            made.append((one, undefined(f"the estimates have no metric {', '.join(absent)}")))
            continue
        given = [
            _given(estimates, need, attribute, finding=finding, operating_point=operating_point)
            for need in one.needs
        ]
        made.append((one, one.function(*given)))
    return pl.DataFrame(
        [(d.name, d.called, d.source, d.better, found.value, found.reason) for d, found in made],
        schema={
            **dict.fromkeys(("name", "called", "source", "better"), pl.String()),
            "value": pl.Float64(),
            "reason": pl.String(),
        },
        orient="row",
    )


def _absent(one: Definition, there: set[str]) -> list[str]:
    return sorted({need.removeprefix(OVERALL) for need in one.needs} - there)


def _given(
    estimates: pl.DataFrame,
    need: str,
    attribute: str,
    *,
    finding: str | None,
    operating_point: str | None,
) -> Groups | float | None:
    """Return what a definition takes: values of groups, or that of everybody."""
    if need.startswith(OVERALL):
        metric = need.removeprefix(OVERALL)
        return of_everybody(estimates, metric, finding=finding, operating_point=operating_point)
    return by_group(estimates, need, attribute, finding=finding, operating_point=operating_point)


def _attributes(estimates: pl.DataFrame) -> list[str]:
    return [name for name in estimates.columns if name not in ESTIMATES.columns]


def _rows(
    estimates: pl.DataFrame, metric: str, finding: str | None, operating_point: str | None
) -> pl.DataFrame:
    """Return the groups' own crude values of one metric, finding and operating point."""
    rows = estimates.filter(
        pl.col("contrast").is_null(), pl.col("adjustment") == "crude", pl.col("metric") == metric
    )
    if not rows.height:
        known = sorted(estimates["metric"].unique())
        raise InvalidTable(
            f"estimates: no metric '{metric}'; got {', '.join(known)}", hint=nearest(metric, known)
        )
    rows = _one(rows, "finding", finding)
    if rows["operating_point"].null_count() == rows.height:
        return rows  # a metric of the scores has no operating point, whichever is asked for
    return _one(rows, "operating_point", operating_point)


def _one(rows: pl.DataFrame, column: str, chosen: str | None) -> pl.DataFrame:
    known = rows[column].unique().drop_nulls().sort().to_list()
    if chosen is None and len(known) > 1:
        raise InvalidTable(f"estimates: several of {column}, {', '.join(known)}; expected one")
    if chosen is not None and chosen not in known:
        raise InvalidTable(
            f"estimates: no {column} '{chosen}'; got {', '.join(known)}",
            hint=nearest(chosen, known),
        )
    return rows if chosen is None else rows.filter(pl.col(column) == chosen)
