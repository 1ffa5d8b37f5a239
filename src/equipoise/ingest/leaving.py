"""What left, by which rule and why: nothing is dropped unseen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from equipoise.images.ages import banded
from equipoise.ingest.options import Band

_STAGE = "ingest"


@dataclass(frozen=True, slots=True)
class Left:
    """One unit that left.

    Parameters
    ----------
    unit
        A path or the key of a row.
    rule
        In a few words, to count by.
    reason
        In full.
    known
        What is known of it, by cohort column.
    """

    unit: str
    rule: str
    reason: str
    known: Mapping[str, object] = field(default_factory=dict)


def attrition(
    left: Sequence[Left], attributes: Sequence[str], bands: Mapping[str, Band]
) -> pl.DataFrame:
    """Return the table *attrition* with its subgroup columns; null where nothing is known.

    Examples
    --------
    >>> gone = [Left("a.png", "no file", "named by the table, not in the folder", {"sex": "F"})]
    >>> attrition(gone, ["sex"], {}).row(0)
    ('ingest', 'a.png', 'no file', 'named by the table, not in the folder', None, 'F')
    """
    rows = sorted(left, key=lambda one: (one.unit, one.rule))
    columns: dict[str, pl.Series] = {
        "stage": pl.Series([_STAGE] * len(rows), dtype=pl.String),
        "unit": pl.Series([one.unit for one in rows], dtype=pl.String),
        "rule": pl.Series([one.rule for one in rows], dtype=pl.String),
        "reason": pl.Series([one.reason for one in rows], dtype=pl.String),
    }
    for name in ("site", *attributes):
        values = [one.known.get(name) for one in rows]
        columns[name] = pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    for name, band in bands.items():
        cut = banded(pl.Series([_number(one.known.get(band.source)) for one in rows]), band.edges)
        columns[name] = pl.Series(
            [
                level if band.source in one.known else None
                for level, one in zip(cut, rows, strict=True)
            ],
            dtype=pl.String,
        )
    return pl.DataFrame(columns)


def counted(left: Sequence[Left]) -> dict[str, int]:
    """Return how many left by each rule, most first.

    Examples
    --------
    >>> counted([Left("a", "no file", ""), Left("b", "no file", "")])
    {'no file': 2}
    """
    return dict(sorted(Counter(one.rule for one in left).items(), key=lambda e: (-e[1], e[0])))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
