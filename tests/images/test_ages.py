import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.images.ages import age_years, banded, date_of


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("045Y", 45.0),
        ("006M", 0.5),
        ("052W", 0.997),
        ("010D", 0.027),
        ("45y", 45.0),
        (" 007Y", 7.0),
    ],
)
def test_an_age_is_read_in_its_unit(text, years):
    assert age_years(text) == years


@pytest.mark.parametrize("text", ["", "000Y", "999Y", "abc", "45", "1000Y", "-10Y", "150Y"])
def test_what_is_no_age_is_not_known(text):
    assert age_years(text) is None


@pytest.mark.parametrize("text", ["", "000Y", "999Y"])
def test_a_missing_age_falls_back_on_the_dates(text):
    assert age_years(text, "19800615", "20200614") == 39.0
    assert age_years(text, "19800615", "20200615") == 40.0


def test_an_infant_has_an_age_in_parts_of_a_year():
    assert age_years("", "20200101", "20200401") == pytest.approx(0.249)


def test_a_birth_after_the_study_gives_no_age():
    assert age_years("", "20210101", "20200101") is None


def test_an_impossible_day_is_no_date():
    assert date_of("20200230") is None
    assert date_of("2020.02.29") == dt.date(2020, 2, 29)


@given(st.lists(st.one_of(st.none(), st.floats(0, 130)), min_size=1))
def test_each_number_falls_in_the_one_band_that_holds_it(ages):
    bands = banded(pl.Series(ages, dtype=pl.Float64), [18, 40, 65]).to_list()
    for age, band in zip(ages, bands, strict=True):
        if age is None:
            assert band == "unknown"
        elif band == "65+":
            assert age >= 65
        else:
            low, high = map(int, band.split("-"))
            assert low <= age < high + 1


def test_no_numbers_give_no_bands():
    assert banded(pl.Series([], dtype=pl.Float64), [40]).to_list() == []
