"""What stands beside a federated number: how coarse its grid was, and whose patients it lacks."""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.groups import levels_of
from equipoise.metrics.parts.agreements import Agreed
from equipoise.metrics.parts.grid import bound
from equipoise.metrics.parts.messages import Merged

Reals = npt.NDArray[np.float64]


def bounds(merged: Merged) -> Reals:
    """Return how far at most each AUROC lies from that without a grid, ``(findings, arms)``.

    Half the share of pairs of a positive and a negative that share a bin; NaN without a pair.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import Rules, first, merge, population_of
    >>> plan = Plan({}, ("auroc",), Minimum(), "probe")
    >>> rules = Rules(bins=2, minimum_cell=1, contributors=1)
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), plan, ("x",), rules=rules)
    >>> rows = pl.DataFrame({"sex": ["F"] * 2, "label:x": [True, False], "score:x": [0.1, 0.2]})
    >>> part = first(population_of(rows, agreed, patient=None), agreed, name="site-1")
    >>> bounds(merge([part], agreed, disjoint_patients=True))[0, :2].tolist()
    [0.5, 0.5]
    """
    return np.array([bound(*histogram) for histogram in merged.counts.histogram])


def contributions(merged: Merged, agreed: Agreed) -> list[dict[str, object]]:
    """Return for each finding and subgroup which parts told of it and which withheld it.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import first, merge, population_of
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> rows = pl.DataFrame({"sex": ["F"] * 2, "label:x": [True] * 2, "score:x": [0.1, 0.2]})
    >>> part = first(population_of(rows, agreed, patient=None), agreed, name="site-1")
    >>> contributions(merge([part], agreed, disjoint_patients=True), agreed)[0]
    {'finding': 'x', 'subgroup': {}, 'told_by': [], 'withheld_by': ['site-1'], 'enough': False}
    """
    few = merged.few(agreed)
    return [
        {
            "finding": finding,
            "subgroup": {name: level for name, level in group.items() if level is not None},
            "told_by": _names(merged, merged.told[:, position, arm]),
            "withheld_by": _names(merged, merged.withheld[:, position, arm]),
            "enough": not bool(few[position, arm]),
        }
        for position, finding in enumerate(agreed.findings)
        for arm, group in enumerate(agreed.compared.subgroups)
    ]


def withheld_by(merged: Merged, position: int, arm: int) -> str:
    """Return who withheld an arm, in words, or nothing.

    Examples
    --------
    >>> from equipoise.metrics.parts.messages import Counts
    >>> both = np.array([[[True]], [[False]]])
    >>> nobody = Counts(*[np.zeros((0, 0), dtype=np.int64)] * 6)
    >>> withheld_by(Merged(("site-1", "site-2"), True, {}, nobody, both, ~both), 0, 0)
    ', withheld by site-1'
    """
    names = _names(merged, merged.withheld[:, position, arm])
    return f", withheld by {', '.join(names)}" if names else ""


def with_notes(rows: pl.DataFrame, merged: Merged, agreed: Agreed) -> pl.DataFrame:
    """Return the estimates with a reason beside each that is assessed on a grid or in part.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import Rules, first, merge, pooled, population_of
    >>> plan = Plan({}, ("auroc",), Minimum(positives=2, negatives=2, patients=2), "probe")
    >>> rules = Rules(bins=4, minimum_cell=1, contributors=1)
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), plan, ("x",), rules=rules)
    >>> rows = pl.DataFrame({"sex": ["F"] * 4, "label:x": [False, False, True, True],
    ...                      "score:x": [0.1, 0.3, 0.4, 0.9]})
    >>> people = population_of(rows, agreed, patient=None)
    >>> merged = merge([first(people, agreed, name="s")], agreed, disjoint_patients=True)
    >>> with_notes(pooled(people, agreed).estimates, merged, agreed)["reason"][0]
    'scores on a grid of 4 bins; within 0.1250 of the value without a grid'
    """
    attributes = list(levels_of(agreed.table))
    key = ["finding", *attributes, "metric", "contrast", "against"]
    schema = dict.fromkeys([*key, "note"], pl.String())
    notes = pl.DataFrame(_notes(merged, agreed), schema=schema)
    joined = rows.join(notes, on=key, how="left", nulls_equal=True, maintain_order="left")
    said = pl.when(pl.col("status") == "assessed").then(pl.col("note"))
    return joined.with_columns(pl.coalesce("reason", said).alias("reason")).drop("note")


def _notes(merged: Merged, agreed: Agreed) -> list[dict[str, str | None]]:
    limits = bounds(merged)
    groups, made = agreed.compared.subgroups, []
    asked = {(position, metric.name): metric for position, metric, _ in agreed.questions}
    for (position, name), metric in asked.items():
        ranking = metric.kind == "ranking"
        for arm, group in enumerate(groups):
            text = _note(merged, agreed, (position, [arm]), limits if ranking else None)
            made.append(_row(agreed, position, name, dict(group)) | {"note": text})
        for c in agreed.compared.contrasts:
            both = position, [c.group, c.against]
            text = _note(merged, agreed, both, limits if ranking else None)
            row = _row(agreed, position, name, dict(groups[c.group]))
            made.append(row | {"contrast": c.kind, "against": c.text, "note": text})
    return made


def _row(
    agreed: Agreed, position: int, metric: str, group: dict[str, str | None]
) -> dict[str, str | None]:
    finding = agreed.findings[position]
    return {"finding": finding, **group, "metric": metric, "contrast": None, "against": None}


def _note(
    merged: Merged, agreed: Agreed, where: tuple[int, list[int]], limits: Reals | None
) -> str | None:
    position, arms = where
    said = []
    total = 0.0 if limits is None else float(limits[position, arms].sum())
    if limits is not None and math.isfinite(total):
        upper = math.ceil(total * 1e4) / 1e4  # rounded up, so that it stays a bound
        said.append(
            f"scores on a grid of {agreed.rules.bins} bins; within {upper:.4f} of the value "
            "without a grid"
        )
    silent = np.asarray(merged.withheld[:, position, arms].any(axis=1))
    names = _names(merged, silent)
    if names:
        said.append(f"without {', '.join(names)}, withheld there as too small to tell")
    return "; ".join(said) or None


def _names(merged: Merged, chosen: npt.NDArray[np.bool_]) -> list[str]:
    return [merged.names[part] for part in np.flatnonzero(chosen)]
