"""Ages and dates as headers and tables write them, and the bands they are cut into."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl

from equipoise.tables.nouns import COHORT

_AGE = re.compile(r"^\s*(\d{1,3})\s*([DWMY])\s*$", re.IGNORECASE)
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_FILLED_IN = {"000Y", "999Y", "999D", "999W", "999M"}
_OLDEST = COHORT.columns["age_years"].high or 130.0


def age_years(text: str, birth: str = "", study: str = "") -> float | None:
    """Return an age in years from DICOM's texts, or nothing if they do not say.

    ``000Y`` and ``999Y`` are what scanners write when nobody typed an age: then, and where the
    age is empty or not readable, the date of birth and that of the study are asked.

    Parameters
    ----------
    text
        PatientAge, ``nnnD``, ``nnnW``, ``nnnM`` or ``nnnY``.
    birth, study
        PatientBirthDate and StudyDate, ``YYYYMMDD``.

    Examples
    --------
    >>> age_years("045Y"), age_years("006M"), age_years("999Y")
    (45.0, 0.5, None)
    >>> age_years("000Y", "20000101", "20400101")
    40.0
    """
    match = _AGE.match(text)
    if match and text.strip().upper().zfill(4) not in _FILLED_IN:
        return in_range(int(match[1]) * _YEARS[match[2].upper()])
    born, seen = date_of(birth), date_of(study)
    if born is None or seen is None or seen < born:
        return None
    before_birthday = (seen.month, seen.day) < (born.month, born.day)
    if seen.year - born.year - before_birthday >= 1:
        return in_range(float(seen.year - born.year - before_birthday))
    return round((seen - born).days / 365.25, 3)


def in_range(years: float) -> float | None:
    """Return an age if a person can have it.

    Examples
    --------
    >>> in_range(45.0), in_range(999.0), in_range(-1.0)
    (45.0, None, None)
    """
    return round(years, 3) if 0.0 <= years <= _OLDEST else None


def date_of(text: str) -> date | None:
    """Return the day that ``YYYYMMDD``, ``YYYY-MM-DD`` or ``YYYY.MM.DD`` names, or nothing.

    Examples
    --------
    >>> date_of("20200229"), date_of("2020-02-30")
    (datetime.date(2020, 2, 29), None)
    """
    digits = re.sub(r"[-./]", "", text.strip())[:8]
    if not re.fullmatch(r"\d{8}", digits):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def banded(values: pl.Series, edges: list[int]) -> pl.Series:
    """Return the band of each number as text, ``"unknown"`` where there is none.

    Examples
    --------
    >>> banded(pl.Series([3.0, 39.9, 40.0, 80.0, None]), [40, 65]).to_list()
    ['0-39', '0-39', '40-64', '65+', 'unknown']
    """
    levels = _levels(edges)
    places = np.searchsorted(edges, values.cast(pl.Float64).fill_null(0.0).to_numpy(), side="right")
    said = pl.Series(values.name, [levels[place] for place in places], pl.String)
    known = pl.select(pl.when(values.is_not_null()).then(said).otherwise(pl.lit("unknown")))
    return known.to_series().alias(values.name)


def band(value: float, edges: Sequence[int]) -> str:
    """Return the band of one number, as `banded` does of many.

    Examples
    --------
    >>> band(39.9, [40, 65]), band(40.0, [40, 65]), band(80.0, [40, 65])
    ('0-39', '40-64', '65+')
    """
    return _levels(edges)[bisect_right(edges, value)]


def _levels(edges: Sequence[int]) -> list[str]:
    return [f"{low}-{high - 1}" for low, high in pairwise([0, *edges])] + [f"{edges[-1]}+"]
