"""Which columns of a cohort are attributes, numbers and findings."""

import polars as pl

from equipoise.errors import InvalidTable, nearest
from equipoise.tables.nouns import ACQUISITION, COHORT

_LABEL = "label:"


def findings(frame: pl.DataFrame) -> list[str]:
    """Return the findings for which the table has a label column, in its order.

    Examples
    --------
    >>> findings(pl.DataFrame({"image_id": ["a"], "label:edema": [True]}))
    ['edema']
    """
    return [name.removeprefix(_LABEL) for name in frame.columns if name.startswith(_LABEL)]


def labels_of(frame: pl.DataFrame, finding: str) -> pl.Series:
    """Return the labels of one finding, Boolean, null = not assessed.

    Raises
    ------
    InvalidTable
        If the table has no such finding.

    Examples
    --------
    >>> labels_of(pl.DataFrame({"label:edema": [True, None]}), "edema").to_list()
    [True, None]
    """
    if _LABEL + finding not in frame.columns:
        known = findings(frame)
        raise InvalidTable(
            f"cohort: no finding '{finding}'; known findings: {', '.join(known) or 'none'}",
            hint=nearest(finding, known),
        )
    return frame[_LABEL + finding]


def attributes(cohort: pl.DataFrame) -> list[str]:
    """Return the attribute columns of a cohort, in its order.

    Examples
    --------
    >>> attributes(pl.DataFrame({"image_id": ["a"], "sex": ["F"], "age_years": [40.0]}))
    ['sex']
    """
    return [name for name in _others(cohort) if cohort.schema[name] == pl.String]


def numerics(cohort: pl.DataFrame) -> list[str]:
    """Return the numeric columns of a cohort that describe the patient, in its order.

    Examples
    --------
    >>> numerics(pl.DataFrame({"image_id": ["a"], "sex": ["F"], "age_years": [40.0]}))
    ['age_years']
    """
    others = [name for name in _others(cohort) if cohort.schema[name].is_numeric()]
    return (["age_years"] if "age_years" in cohort.columns else []) + others


def _others(cohort: pl.DataFrame) -> list[str]:
    known = {*COHORT.columns, *ACQUISITION}
    return [
        name
        for name in cohort.columns
        if name not in known and not name.startswith(tuple(COHORT.families))
    ]
