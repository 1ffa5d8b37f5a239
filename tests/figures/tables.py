"""Tables of counts and estimates that are easy to reckon with by hand."""

from collections.abc import Mapping

import polars as pl

from equipoise.metrics.counts import BINS

HOSTILE = '<script>alert("x")</script>\' & ]]> \U0001f600 ' + "so long a name " * 4
SIZES = ("n_images", "n_patients", "n_positive", "n_negative")


def counted(
    subgroup: Mapping[str, str | None],
    negative: Mapping[int, int],
    positive: Mapping[int, int],
    *,
    cells: tuple[int, int, int, int] | None = None,
    scale: int = 1,
    point: str = "spec90",
) -> dict[str, object]:
    """A row of counts; the histograms as level → images; cells as tp, fp, tn, fn."""
    histograms = [
        [scale * levels.get(level, 0) for level in range(BINS)] for levels in (negative, positive)
    ]
    n_negative, n_positive = (sum(each) for each in histograms)
    return {
        **subgroup,
        "finding": "nodule",
        "candidate": "probe",
        "operating_point": None if cells is None else point,
        "n_images": n_negative + n_positive,
        "n_patients": n_negative + n_positive,
        "n_positive": n_positive,
        "n_negative": n_negative,
        "patients_positive": n_positive,
        "patients_negative": n_negative,
        **dict(zip(("tp", "fp", "tn", "fn"), cells or (None,) * 4, strict=True)),
        "histogram_negative": histograms[0],
        "histogram_positive": histograms[1],
        "exploratory": False,
    }


def counts_of(*rows: dict[str, object]) -> pl.DataFrame:
    attributes = [
        name for name in rows[0] if name not in SIZES and isinstance(rows[0][name], str | None)
    ]
    schema = dict.fromkeys(attributes, pl.String)
    cells = dict.fromkeys(("tp", "fp", "tn", "fn"), pl.Int64)
    return pl.DataFrame(list(rows), schema_overrides={**schema, **cells}, infer_schema_length=None)


def estimated(
    subgroup: Mapping[str, str | None], value: float | None, **more: object
) -> dict[str, object]:
    """A row of estimates: a group's own AUROC, pointwise 95 %."""
    base: dict[str, object] = {
        **subgroup,
        "finding": "nodule",
        "candidate": "probe",
        "operating_point": None,
        "metric": "auroc",
        "contrast": None,
        "against": None,
        "adjustment": "crude",
        "value": value,
        "low": None if value is None else value - 0.05,
        "high": None if value is None else value + 0.05,
        "level": 0.95,
        "interval": "pointwise",
        "events": None,
        "trials": None,
        "n_images": 100,
        "n_patients": 100,
        "n_positive": 40,
        "n_negative": 60,
        "method": "m",
        "status": "assessed" if value is not None else "not assessable",
        "reason": None if value is not None else "has 4 positives (26 more are needed)",
        "exploratory": False,
    }
    return {**base, **more}


def estimates_of(*rows: dict[str, object]) -> pl.DataFrame:
    text = ["operating_point", "contrast", "against", "reason"]
    text += [name for name in rows[0] if name in ("sex", "site")]
    whole = dict.fromkeys(("events", "trials"), pl.Int64)
    real = dict.fromkeys(("value", "low", "high", "level"), pl.Float64)
    schema = {**dict.fromkeys(text, pl.String), **whole, **real}
    return pl.DataFrame(list(rows), schema_overrides=schema, infer_schema_length=None)


def normal(levels: list[str], *, scale: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Counts and estimates of everybody and of each level of the attribute sex."""
    names: list[str | None] = [None, *levels]
    shape = ({20: 40, 100: 10, 200: 10}, {20: 5, 100: 15, 200: 20})
    counts = [counted({"sex": name}, *shape, cells=(35, 20, 40, 5), scale=scale) for name in names]
    return counts_of(*counts), estimates_of(*[estimated({"sex": name}, 0.8) for name in names])


def case(name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The cases that every figure must bear."""
    if name == "none assessable":
        counts, _ = normal(["F", "M"])
        none = [estimated({"sex": sex}, None) for sex in (None, "F", "M")]
        return counts, estimates_of(*none)
    if name == "no images":
        rows = [counted({"sex": sex}, {}, {}, cells=(0, 0, 0, 0)) for sex in (None, "F")]
        return counts_of(*rows), estimates_of(*[estimated({"sex": s}, None) for s in (None, "F")])
    if name == "huge":
        counts, estimates = normal(["F", "M"], scale=10**12)
        return counts, estimates.with_columns(
            pl.col("value", "low", "high") * pl.Series([1e18, -1e300, 1.0])
        )
    levels = {
        "normal": ["F", "M"],
        "one group": [],
        "sixty groups": [f"level {k}" for k in range(60)],
        "hostile names": [HOSTILE, "$x$ _{", "_hidden", "\x07 \ud7ff \uffff"],
    }
    return normal(levels[name])


CASES = (
    "normal",
    "one group",
    "none assessable",
    "no images",
    "sixty groups",
    "hostile names",
    "huge",
)
