"""Numbers cut into the bands that were declared, as an age into 0-39, 40-64 and 65+."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics.groups import UNKNOWN

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_BETWEEN = re.compile(rf"{_NUMBER}\s*[-\u2013]\s*{_NUMBER}")
_FROM = re.compile(rf"(?:{_NUMBER}\s*\+|>=\s*{_NUMBER})")
_BELOW = re.compile(rf"<\s*{_NUMBER}")
_EXACTLY = re.compile(_NUMBER)


@dataclass(frozen=True, slots=True)
class Band:
    """Numbers from `low` to below `high`.

    Parameters
    ----------
    level
        How it was declared.
    low, high
        Its ends; the lower is in it, the upper is not.
    """

    level: str
    low: float
    high: float


def bands(levels: Sequence[str]) -> list[Band] | None:
    """Return the bands that levels declare, or None if they declare none.

    Parameters
    ----------
    levels
        ``0-39``, ``65+`` or ``>=65``, ``<40``. *unknown* may stand among them. An upper end is
        meant in completed units of its last digit, as ages are: ``0-39`` holds 39.5 and ends
        before 40; ``0.0-0.5`` ends before 0.6. A single number is a band of one unit.

    Raises
    ------
    InvalidConfiguration
        If some levels are bands and others are not, or bands overlap, are empty, or fall.

    Examples
    --------
    >>> [(band.low, band.high) for band in bands(["0-39", "40-64", "65+", "unknown"])]
    [(0.0, 40.0), (40.0, 65.0), (65.0, inf)]
    >>> bands(["F", "M"]) is None
    True
    """
    known = [level for level in levels if level != UNKNOWN]
    found = [_band(level) for level in known]
    wide = [level for level in known if not _EXACTLY.fullmatch(level.strip())]
    if not any(band is not None and band.level in wide for band in found):
        return None
    made: list[Band] = []
    for level, band in zip(known, found, strict=True):
        if band is None:
            raise InvalidConfiguration(
                f"level '{level}' is no band, but '{wide[0]}' stands beside it; expected bands as "
                "0-39, 40-64, 65+"
            )
        made.append(band)
    _check_order(made)
    return made


def cut(column: pl.Series, declared: Sequence[Band]) -> pl.Series:
    """Return the band of each number, null where there is no number.

    Raises
    ------
    InvalidTable
        If a number falls in no band.

    Examples
    --------
    >>> ages = pl.Series("age_years", [39.5, 40.0, None, 90.0])
    >>> cut(ages, bands(["0-39", "40-64", "65+"])).to_list()
    ['0-39', '40-64', None, '65+']
    >>> cut(pl.Series("age_years", [-1]), bands(["0-39", "40+"]))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: predictions: column 'age_years': 1 value is in no band, as -1 \
in row 0; bands: 0-39, 40+
    """
    present = column.is_not_null().to_numpy()
    value = column.fill_null(0).to_numpy().astype(np.float64)
    place = np.searchsorted([band.low for band in declared], value, side="right") - 1
    high = np.array([band.high for band in declared])
    # A NaN sorts above every number and is below none, so that it is stray as well.
    stray = present & ~((place >= 0) & (value < high[place]))
    if stray.any():
        row = int(stray.argmax())
        n = int(stray.sum())
        raise InvalidTable(
            f"predictions: column '{column.name}': {n} value{' is' if n == 1 else 's are'} in no "
            f"band, as {column[row]} in row {row}; bands: "
            f"{', '.join(band.level for band in declared)}",
            hint="declare a band that holds it, or empty the cell where the number is not known",
        )
    names = pl.Series(column.name, [band.level for band in declared], dtype=pl.String)
    return names.gather(pl.Series(np.where(present, place, 0))).set(~pl.Series(present), None)


def _band(level: str) -> Band | None:
    text = level.strip()
    if said := _BETWEEN.fullmatch(text):
        return Band(level, float(said.group(1)), _after(said.group(2)))
    if said := _FROM.fullmatch(text):
        return Band(level, float(said.group(1) or said.group(2)), float("inf"))
    if said := _BELOW.fullmatch(text):
        return Band(level, float("-inf"), float(said.group(1)))
    if _EXACTLY.fullmatch(text):
        return Band(level, float(text), _after(text))
    return None


def _after(text: str) -> float:
    """Return the first number that is above all that are written as this one."""
    digits = len(text.partition(".")[2])
    return round(float(text) + 10.0**-digits, digits + 1)


def _check_order(made: Sequence[Band]) -> None:
    for band in made:
        if band.low >= band.high:
            raise InvalidConfiguration(f"band '{band.level}' holds no number; expected low-high")
    for first, second in itertools.pairwise(made):
        if second.low < first.high:
            what = "overlap" if second.high > first.low else "are not in rising order"
            raise InvalidConfiguration(
                f"bands '{first.level}' and '{second.level}' {what}",
                hint="bands hold completed units: 0-39 ends before 40, so the next is 40-64",
            )
