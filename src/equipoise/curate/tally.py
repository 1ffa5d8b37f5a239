"""Who is in which split: counts by label and group, and the cells that are small."""

import itertools
from collections.abc import Sequence

import polars as pl

from equipoise.metrics import UNKNOWN

LABELS = {True: "positive", False: "negative", None: "not assessed"}


def cell_counts(
    splits: pl.DataFrame, cohort: pl.DataFrame, *, findings: Sequence[str], by: Sequence[str]
) -> pl.DataFrame:
    """Return images and patients of every split × label × group, those that are empty too.

    Parameters
    ----------
    splits
        The table *splits*.
    cohort
        The table *cohort*, of the same images.
    findings
        Whose labels are counted.
    by
        The attributes whose levels, one attribute at a time, are the groups. With none, the
        group is everybody.

    Returns
    -------
    A row per finding, attribute, split, label and group, with `n_images` and `n_patients`.

    Examples
    --------
    >>> splits = pl.DataFrame({"image_id": ["a"], "patient_id": ["p"], "split": ["train"]})
    >>> cohort = pl.DataFrame({"image_id": ["a"], "sex": ["F"], "label:edema": [True]})
    >>> table = cell_counts(splits, cohort, findings=["edema"], by=["sex"])
    >>> table.filter(pl.col("n_images") > 0).row(0)
    ('edema', 'sex', 'train', 'positive', 'F', 1, 1)
    """
    rows = splits.select("image_id", "patient_id", "split").join(
        cohort.drop("patient_id", strict=False), on="image_id", how="left"
    )
    return pl.concat(
        [
            _counted(rows, finding, attribute)
            for finding in findings
            for attribute in (by or ["everybody"])
        ]
    )


def small_cells(counts: pl.DataFrame, *, least: int) -> list[dict[str, object]]:
    """Return the assessed cells with fewer than `least` images.

    Examples
    --------
    >>> counts = pl.DataFrame({"label": ["positive", "not assessed"], "n_images": [1, 1]})
    >>> small_cells(counts, least=2)
    [{'label': 'positive', 'n_images': 1}]
    """
    assessed = pl.col("label") != LABELS[None]
    return counts.filter(assessed & (pl.col("n_images") < least)).to_dicts()


def _counted(rows: pl.DataFrame, finding: str, attribute: str) -> pl.DataFrame:
    group = (
        pl.col(attribute).fill_null(UNKNOWN) if attribute in rows.columns else pl.lit("everybody")
    )
    words = pl.col(f"label:{finding}").replace_strict(
        {True: "positive", False: "negative"}, default=LABELS[None], return_dtype=pl.String
    )
    named = rows.with_columns(group=group, label=words)
    key = ["split", "label", "group"]
    found = named.group_by(key).agg(
        n_images=pl.len().cast(pl.Int64), n_patients=pl.col("patient_id").n_unique().cast(pl.Int64)
    )
    levels = named["group"].unique().sort().to_list()
    splits = named["split"].unique().sort().to_list()
    every = list(itertools.product(splits, LABELS.values(), levels))
    frame = pl.DataFrame(every, schema=dict.fromkeys(key, pl.String()), orient="row")
    whole = frame.join(found, on=key, how="left", maintain_order="left")
    return whole.select(
        pl.lit(finding).alias("finding"),
        pl.lit(attribute).alias("attribute"),
        *key,
        pl.col("n_images", "n_patients").fill_null(0),
    )
