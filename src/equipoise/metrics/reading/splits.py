"""The rows of one split, once no patient is in two."""

import polars as pl

from equipoise.errors import InvalidTable


def of_split(frame: pl.DataFrame, split: str | None, patient: str | None) -> pl.DataFrame:
    """Return the rows of one split, once no patient is seen to be in two.

    Parameters
    ----------
    frame
        Predictions; without a column `split` all rows are returned.
    split
        Its name, or ``"all"``; *test* if None.
    patient
        The column that says whose image it is, if there is one.

    Raises
    ------
    InvalidTable
        If a split is null, a patient is in two splits, or the split has no rows.

    Examples
    --------
    >>> rows = pl.DataFrame({"split": ["train", "test"], "who": ["a", "b"]})
    >>> of_split(rows, None, "who")["who"].to_list()
    ['b']
    """
    if "split" not in frame.columns:
        return frame
    nulls = frame["split"].null_count()
    if nulls:
        raise InvalidTable(
            f"predictions: column 'split': {nulls} null{'s' * (nulls != 1)}; expected none",
            hint="an image without a split would leave the audit unseen",
        )
    if patient is not None and patient in frame.columns:
        _check_splits(frame, patient)
    chosen = split or "test"
    if chosen == "all":
        return frame
    rows = frame.filter(pl.col("split").cast(pl.String) == chosen)
    if not rows.height:
        seen = ", ".join(map(str, frame["split"].unique().sort().to_list()))
        raise InvalidTable(
            f"predictions: no row is of the split '{chosen}'; splits: {seen or 'none'}",
            hint="choose a split, or 'all'",
        )
    return rows


def _check_splits(frame: pl.DataFrame, patient: str) -> None:
    pairs = frame.select(patient, "split").unique()
    # Counting pairs is far cheaper than listing each patient's splits.
    if pairs.height == pairs[patient].n_unique():
        return
    several = (
        pairs.group_by(patient)
        .agg(pl.col("split").sort())
        .filter(pl.col("split").list.len() > 1)
        .sort(patient)
    )
    who, where = several.row(0)
    n = "1 patient is" if several.height == 1 else f"{several.height} patients are"
    raise InvalidTable(
        f"predictions: {n} in more than one split, as {who!r} in {' and '.join(where)}",
        hint="split by patient; else the audit sees patients the model was trained on",
    )
