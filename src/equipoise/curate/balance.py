"""Weights that give every cell of label and group the same say in the training split."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from equipoise.mitigations.reweighting import balanced
from equipoise.mitigations.rows import assessed, cells, joined_groups
from equipoise.tables import labels_of


def weights(
    splits: pl.DataFrame, cohort: pl.DataFrame, *, findings: Sequence[str], by: Sequence[str]
) -> pl.DataFrame:
    """Return the table *weights*, a row per image of the training split.

    Of n images whose group is known, in k cells, one in a cell of m images weighs
    ``n / (k · m)``: the mean is 1. An image with an unknown level in any attribute weighs 1, as in
    plain training. One that was not assessed has no weight: null.

    Parameters
    ----------
    splits
        The table *splits*.
    cohort
        The table *cohort*.
    findings
        A column ``weight:<finding>`` for each.
    by
        The attributes whose intersections are the groups.

    Examples
    --------
    >>> ids = ["a", "b", "c"]
    >>> splits = pl.DataFrame({"image_id": ids, "split": ["train"] * 3})
    >>> cohort = pl.DataFrame({"image_id": ids, "label:edema": [True, False, False]})
    >>> weights(splits, cohort, findings=["edema"], by=[])["weight:edema"].to_list()
    [1.5, 0.75, 0.75]
    """
    training = splits.filter(pl.col("split") == "train").select("image_id")
    rows = training.join(cohort, on="image_id", how="left", maintain_order="left")
    groups = joined_groups(rows, by)
    columns = [_weight(rows, finding, groups) for finding in findings]
    return rows.select("image_id").with_columns(columns)


def _weight(rows: pl.DataFrame, finding: str, groups: Sequence[str]) -> pl.Series:
    labels = labels_of(rows, finding)
    there = labels.is_not_null().to_numpy()
    known = assessed(np.zeros((rows.height, 0), np.float32), labels, groups)
    names, codes = cells(known, "label_group")
    values = np.full(rows.height, np.nan)
    values[there] = balanced(codes, len(names))
    return pl.Series(f"weight:{finding}", values).fill_nan(None)
