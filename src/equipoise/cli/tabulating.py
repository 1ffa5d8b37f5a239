"""The results of an audit on the terminal: worst group first, then what could not be assessed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from equipoise.metrics import Estimated

_MANY = 12
"""Tables shown on the terminal; of more, an overview."""

_CLEAR = 0.05
_FRAGILE = 5
"""Tipping points shown."""

_SHOWN = 12
"""Groups shown per metric on the terminal; the rest stands in the files."""


def show(found: "pl.DataFrame", *, exploratory: bool) -> None:
    """Print the worst groups of each metric, and what is not assessable."""
    import polars as pl

    from equipoise.audit import summary
    from equipoise.cli.showing import table, talk

    rows = summary(found)
    parts = ["finding", "operating_point", "metric"]
    every = rows.partition_by(parts, maintain_order=True, as_dict=True)
    if len(every) > _MANY:
        _overview(every)
        every = {}
    for key, part in every.items():
        known = part.filter(pl.col("value").is_not_null())
        title = " · ".join(str(word) for word in key if word is not None)
        if known.height > _SHOWN:
            title += f" (the {_SHOWN} worst of {known.height} groups; all with --out)"
        if known.height:
            table(
                _readable(known.head(_SHOWN)), title, right=["positives", "negatives", "patients"]
            )
    _show_lacking(rows)
    talk().print(
        "value: pointwise 95 % interval; difference: simultaneous 95 % interval over all "
        "differences of this call. Worst group first. Positives and negatives are images.",
        soft_wrap=True,
    )
    if exploratory:
        talk().print(
            "[bold]exploratory:[/] levels were taken from the data, so no result here can pass "
            "a gate. Declare them, as --by sex=F,M,unknown.",
            soft_wrap=True,
        )


def _overview(every: "dict[tuple[object, ...], pl.DataFrame]") -> None:
    """Print a row per finding and metric: everybody, and the worst group."""
    import polars as pl

    from equipoise.cli.showing import table, talk

    rows = []
    for (finding, point, metric), part in every.items():
        known = part.filter(pl.col("value").is_not_null())
        worst = known.filter(pl.col("group") != "everybody").head(1)
        said = _readable(pl.concat([known.filter(group="everybody").head(1), worst]))
        whole = said.filter(group="everybody")
        worse = said.filter(pl.col("group") != "everybody")
        rows.append(
            {
                "finding": finding,
                "metric": " · ".join(str(w) for w in (point, metric) if w is not None),
                "everybody": whole["value"][0] if whole.height else None,
                "worst group": worse["group"][0] if worse.height else None,
                "its value": worse["value"][0] if worse.height else None,
                "difference": worse["difference"][0] if worse.height else None,
                "assessed": f"{known.height} of {part.height}",
            }
        )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if frame["finding"].n_unique() == 1:
        frame = frame.drop("finding")
    table(frame, "everybody and the worst group", right=["assessed"])
    talk().print(
        "One row for each of many metrics and findings. Groups one by one: with --finding and "
        "--metric here, or in the files of --out.",
        soft_wrap=True,
    )


def _readable(rows: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    columns: dict[str, pl.Expr] = {
        "group": pl.col("group"),
        "value": _interval("value", "low", "high"),
        "difference": _interval("difference", "difference_low", "difference_high", sign=True),
        "against": pl.col("against"),
        "positives": pl.col("n_positive"),
        "negatives": pl.col("n_negative"),
        "patients": pl.col("n_patients"),
    }
    if rows["note"].is_not_null().any():
        columns["note"] = pl.col("note")
    return rows.select(**columns)


def _interval(value: str, low: str, high: str, *, sign: bool = False) -> "pl.Expr":
    import polars as pl

    form = "{:+.3f}" if sign else "{:.3f}"

    def said(row: dict[str, float | None]) -> str | None:
        if row[value] is None:
            return None
        limits = [row[low], row[high]]
        if None in limits:
            return form.format(row[value])
        return f"{form} ({form} to {form})".format(row[value], *limits)

    return pl.struct(value, low, high).map_elements(said, return_dtype=pl.String)


def show_points(points: "pl.DataFrame") -> None:
    """Print from which score an image is called positive, and who said so."""
    import polars as pl

    from equipoise.cli.showing import table

    given = {"rule": "given", "chosen_on": "the table that was given"}
    how = [
        (pl.col(name) if name in points.columns else pl.lit(word)).fill_null(word).alias(name)
        for name, word in given.items()
    ]
    rows = points.with_columns(how).select(
        "finding",
        operating_point="operating_point",
        called_positive_from=pl.col("threshold").round(6).cast(pl.String),
        how=pl.when(pl.col("chosen_on") == "stated")
        .then(pl.lit("stated, not chosen on other data"))
        .otherwise(pl.format("{}, chosen on {}", "rule", "chosen_on")),
    )
    table(rows, "operating points", right=["called_positive_from"])


def show_tipping(made: "Estimated", margin: float | None = None) -> "pl.DataFrame":
    """Print the contrasts that the fewest wrong labels would overturn, and return all.

    Parameters
    ----------
    made
        The audit.
    margin
        How large a gap is tolerated; with it also what would change the verdict.
    """
    import polars as pl

    from equipoise.audit import tipping
    from equipoise.cli.showing import say, talk

    found = tipping(made.estimates, made.counts, margin=margin)
    clear = made.estimates.filter(pl.col("p_adjusted") < _CLEAR)
    key = [name for name in found.columns if name in clear.columns and name != "value"]
    gaps = found.join(clear.select(key), on=key, how="semi", nulls_equal=True)
    # A verdict that groups are alike can be overturned too, and is of no clear gap.
    for rows in (gaps.filter(target="vanishes"), found.filter(target="verdict")):
        for row in rows.drop_nulls("share").sort("share").head(_FRAGILE).iter_rows(named=True):
            say(f"label error, {row['metric']}: {row['reads']}")
    talk().print(
        f"Of the clear gaps (adjusted p below {_CLEAR}): those that the fewest "
        "wrong labels would undo; labels are put right in the group alone. All contrasts stand in "
        "tipping.csv and tipping.parquet of --out.",
        soft_wrap=True,
    )
    if margin is not None:
        talk().print(
            "A verdict would change if its interval lay no longer wholly beyond "
            f"±{margin:g} (fail) or wholly within it (pass).",
            soft_wrap=True,
        )
    return found


def _show_lacking(rows: "pl.DataFrame") -> None:
    """Say once per group, and not once per metric, what it lacks."""
    import polars as pl

    from equipoise.cli.showing import say

    lacking = rows.filter(pl.col("value").is_null()).with_columns(
        why=pl.coalesce("note", "group"),
        what=pl.concat_str("operating_point", "metric", separator=" ", ignore_nulls=True),
    )
    several = rows["finding"].n_unique() > 1
    for (finding, why), part in lacking.group_by(["finding", "why"], maintain_order=True):
        metrics = ", ".join(part["what"].unique(maintain_order=True))
        say(f"not assessable: {f'{finding}: ' if several else ''}{why} [{metrics}]")
