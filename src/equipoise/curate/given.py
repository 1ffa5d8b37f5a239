"""A split that the user brings: respected, once it is seen to be one by patient."""

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.splits import NAMES


def given_split(cohort: pl.DataFrame, column: str) -> list[str]:
    """Return the split of each image from a column of the cohort.

    Raises
    ------
    InvalidTable
        If there is no such column, it holds another word than train, validation or test, one of
        these is missing altogether, or a patient is in two.

    Examples
    --------
    >>> given_split(pl.DataFrame({"patient_id": ["p", "p"], "split": ["train", "test"]}), "split")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: cohort: 1 patient is in two splits of column 'split', as 'p' \
in test, train
    """
    if column not in cohort.columns:
        raise InvalidTable(
            f"cohort: no column '{column}' to split by; got {cohort.columns}",
            hint=nearest(column, cohort.columns),
        )
    split = cohort[column].cast(pl.String)
    stray = split.filter(~split.is_in(list(NAMES)).fill_null(value=False))
    if stray.len():
        raise InvalidTable(
            f"cohort: column '{column}': {stray.len()} values as {stray[0]!r}; "
            f"expected one of {', '.join(NAMES)}",
            hint=nearest(str(stray[0]), NAMES),
        )
    _check_patients(cohort.select("patient_id", split=split), column)
    absent = [name for name in NAMES if name not in set(split)]
    if absent:
        raise InvalidTable(f"cohort: column '{column}' has no image in '{absent[0]}'")
    return [str(name) for name in split]


def _check_patients(rows: pl.DataFrame, column: str) -> None:
    torn = (
        rows.group_by("patient_id")
        .agg(pl.col("split").unique().sort())
        .filter(pl.col("split").list.len() > 1)
        .sort("patient_id")
    )
    if torn.height:
        first = torn.row(0, named=True)
        many = "1 patient is" if torn.height == 1 else f"{torn.height} patients are"
        raise InvalidTable(
            f"cohort: {many} in two splits of column '{column}', "
            f"as '{first['patient_id']}' in {', '.join(first['split'])}",
            hint="give all images of a patient one split, or leave 'given' out to have it drawn",
        )
