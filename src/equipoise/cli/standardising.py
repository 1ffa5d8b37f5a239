"""``equipoise audit --standardise``: gaps as they are, and as they would be at one case mix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from equipoise.errors import InvalidConfiguration

if TYPE_CHECKING:
    import polars as pl

    from equipoise.metrics.standardised import Standardised

_SHOWN = 12
"""Contrasts shown of each case mix; the rest stands in the files."""

_NUMBERS = ("value", "low", "high")
_PREVALENCE = "prevalence"


def mixes_said(said: Sequence[str] | None) -> list[dict[str, dict[str, float] | str | float]]:
    """Return the case mixes of ``age_band=overall`` or ``view=AP:0.5,PA:0.5;prevalence=0.1``."""
    return [dict(_column_said(part) for part in one.split(";")) for one in said or []]


def _column_said(said: str) -> tuple[str, dict[str, float] | str | float]:
    name, equals, value = said.partition("=")
    if not (name and equals and value):
        raise InvalidConfiguration(
            f"--standardise {said}: expected age_band=overall, view=AP:0.5,PA:0.5 or prevalence=0.1"
        )
    if name == _PREVALENCE and value[0].isdigit():
        return name, _share(said, value)
    if ":" not in value:
        return name, value
    shares = {}
    for one in value.split(","):
        level, _, share = one.rpartition(":")
        shares[level] = _share(said, share)
    return name, shares


def _share(said: str, share: str) -> float:
    try:
        return float(share)
    except ValueError as error:
        raise InvalidConfiguration(f"--standardise {said}: '{share}' is no number") from error


def show_standardised(crude: "pl.DataFrame", made: "Standardised") -> None:
    """Print the differences at a case mix beside the crude ones, and what could not be given."""
    from equipoise.cli.showing import say, table, talk

    rows = _both(crude, made)
    if not rows.height:
        return
    name = rows["adjustment"][0]
    known = rows.drop_nulls("standardised").sort("size", descending=True, maintain_order=True)
    title = name
    if known.height > _SHOWN:
        title += f" (the {_SHOWN} largest of {known.height} crude gaps; all with --out)"
    if known.height:
        table(_readable(known.head(_SHOWN)), title, right=["effective images"])
    lacking = rows.filter(rows["standardised"].is_null())
    for (why,), part in lacking.group_by(["reason"], maintain_order=True):
        metrics = ", ".join(part["what"].unique(maintain_order=True))
        say(f"not {name}: {why} [{metrics}]")
    talk().print(
        "crude and standardised: differences with simultaneous 95 % intervals. A gap that shrinks "
        "was one of case mix in that part; one that stays is not explained by it. effective "
        "images: what those of the group are worth after weighting.",
        soft_wrap=True,
    )


def _both(crude: "pl.DataFrame", made: "Standardised") -> "pl.DataFrame":
    """Return a row per contrast: the crude difference, the standardised one, the weights' cost."""
    import polars as pl

    from equipoise.metrics import named
    from equipoise.tables import CONTRASTS

    attributes = crude.columns[3 : crude.columns.index("metric")]
    key = ["finding", "operating_point", *attributes, "metric"]
    compared = pl.col("contrast").is_in(CONTRASTS) & (pl.col("interval") == "simultaneous")
    mixed = made.estimates.filter(compared).with_columns(standardised=_said())
    before = crude.filter(compared, adjustment="crude").with_columns(
        crude=_said(), size=pl.col("value").abs().fill_null(0.0)
    )
    joined = mixed.join(
        before.select(*key, "contrast", "against", "crude", "size"),
        on=[*key, "contrast", "against"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    ).join(
        made.weights.select(*key, "images", "effective_n"),
        on=key,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    groups = [named(row) for row in joined.select(attributes).iter_rows(named=True)]
    return joined.with_columns(
        pl.Series("group", groups, dtype=pl.String),
        what=pl.concat_str("operating_point", "metric", separator=" ", ignore_nulls=True),
    )


def _said() -> "pl.Expr":
    import polars as pl

    def words(row: dict[str, float | None]) -> str | None:
        numbers = [number for name in _NUMBERS if (number := row[name]) is not None]
        whole = len(numbers) == len(_NUMBERS)
        return "{:+.3f} ({:+.3f} to {:+.3f})".format(*numbers) if whole else None

    return pl.struct(*_NUMBERS).map_elements(words, return_dtype=pl.String, skip_nulls=False)


def _readable(rows: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    effective = pl.format("{} of {}", pl.col("effective_n").round(0).cast(pl.Int64), "images")
    shown = rows.select(
        "finding",
        "group",
        "crude",
        "standardised",
        metric="what",
        against="against",
    ).with_columns(rows.select(effective.alias("effective images")).to_series())
    order = ["finding", "metric", "group", "against", "crude", "standardised", "effective images"]
    if shown["finding"].n_unique() == 1:
        order = order[1:]
    return shown.select(order)
