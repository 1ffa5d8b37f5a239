"""An audit in one small table, for the terminal: the worst group first."""

from collections.abc import Sequence

import polars as pl

from equipoise.errors import UnknownName
from equipoise.metrics import metric
from equipoise.tables import ESTIMATES

_KEY = ("finding", "candidate", "operating_point", "metric")


def summary(estimates: pl.DataFrame) -> pl.DataFrame:
    """Return a row per finding, metric and group: its value, and its difference from the others.

    Parameters
    ----------
    estimates
        The table *estimates*.

    Returns
    -------
    `finding, operating_point, metric, group`; `value` with its pointwise 95 % limits `low` and
    `high`; `difference` from `against` with its simultaneous 95 % limits `difference_low` and
    `difference_high`; the numbers `n_positive` and `n_negative` (images) and `n_patients`; `note`
    says why a group is not assessable and how many it lacks. In each metric the worst value stands
    first, and what is not assessable last.

    Examples
    --------
    >>> from equipoise import audit
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 80, "label": [1, 1, 0, 0] * 40,
    ...                      "score": [i * 7 % 11 / 11 for i in range(160)]})
    >>> found = audit.estimates(rows, by={"sex": ["F", "M"]}, patient=None)
    >>> audit.summary(found)["metric", "group", "against"].rows()[:3]
    [('auroc', 'sex=F', 'rest'), ('auroc', 'everybody', None), ('auroc', 'sex=M', 'rest')]
    """
    attributes = [name for name in estimates.columns if name not in ESTIMATES.columns]
    estimates = estimates.filter(adjustment="crude")
    own = estimates.filter(pl.col("contrast").is_null(), interval="pointwise", level=0.95)
    contrasts = estimates.filter(
        pl.col("contrast").is_in(["reference", "rest"]), interval="simultaneous"
    ).select(
        *_KEY,
        *attributes,
        "against",
        pl.col("value").alias("difference"),
        pl.col("low").alias("difference_low"),
        pl.col("high").alias("difference_high"),
        pl.col("reason").alias("why"),
    )
    joined = own.drop("against").join(
        contrasts, on=[*_KEY, *attributes], how="left", nulls_equal=True, maintain_order="left"
    )
    worse = pl.when(pl.col("metric").is_in(_small_is_good(own))).then(-pl.col("value"))
    order = [pl.col(name).rle_id() for name in _KEY]
    return (
        joined.with_columns(
            group=_words(attributes),
            note=pl.coalesce("reason", "why"),
            worst=worse.otherwise(pl.col("value")),
        )
        .with_columns(place=pl.struct(order).rle_id())
        .sort("place", "worst", maintain_order=True, nulls_last=True)
        .select(
            "finding",
            "operating_point",
            "metric",
            "group",
            "value",
            "low",
            "high",
            "difference",
            "difference_low",
            "difference_high",
            "against",
            "n_positive",
            "n_negative",
            "n_patients",
            "note",
        )
    )


def _small_is_good(estimates: pl.DataFrame) -> list[str]:
    """Return the metrics of which a large value is the worse; one that is not ours is none."""
    return [name for name in estimates["metric"].unique().sort() if _worse(name) == "high"]


def _worse(name: str) -> str | None:
    try:
        return metric(name).worse
    except UnknownName:  # a study's own metric stands under the name that it gave itself
        return "low"


def _words(attributes: Sequence[str]) -> pl.Expr:
    parts = [pl.concat_str(pl.lit(f"{name}="), pl.col(name)) for name in attributes]
    text = pl.concat_str(*parts, separator=", ", ignore_nulls=True) if parts else pl.lit("")
    return pl.when(text == "").then(pl.lit("everybody")).otherwise(text)
