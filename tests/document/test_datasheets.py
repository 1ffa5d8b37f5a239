import datetime as dt

import polars as pl
import pytest

from equipoise.document import FIELDS, Options, datasheet
from equipoise.errors import InvalidConfiguration

COHORT = pl.DataFrame(
    {
        "image_id": ["a", "b"],
        "patient_id": ["p", "p"],
        "site": ["north", "south"],
        "acquired_on": [dt.date(2020, 1, 2), None],
        "sex": ["F", "F"],
        "label:mass": [True, None],
        "label_source:mass": ["read twice", "read twice"],
    }
)


def test_every_field_is_there_and_what_is_not_known_says_so():
    sheet = datasheet(COHORT, {}, size=(8, 8, 3))
    assert {section: tuple(answers) for section, answers in sheet.items()} == dict(FIELDS)
    assert sheet["licence"] == dict.fromkeys(FIELDS["licence"], "not available")
    assert sheet["collection"]["devices"] == "not available"


def test_what_the_data_show_is_filled_in():
    sheet = datasheet(COHORT, {}, size=(8, 9, 3), patient_means="lesion", left={"no file": 2})
    assert sheet["composition"]["instances"] == "2 images"
    assert sheet["composition"]["patients"] == "1 lesion"
    assert sheet["composition"]["patient_means"] == "lesion (patient unknown)"
    assert sheet["composition"]["time_span"] == "2020-01-02 to 2020-01-02; no date for 1 image"
    assert sheet["preprocessing"]["image_size"] == "8 × 9 pixels, 3 channels"
    assert sheet["preprocessing"]["left_out"] == "2 no file"
    assert sheet["labels"]["findings"] == "mass: 1 positive, 0 negative, 1 not assessed (images)"
    assert sheet["labels"]["source"] == "mass: read twice"


def test_an_answer_takes_the_place_of_what_the_data_show_and_an_empty_one_does_not():
    said = {"composition": {"sites": "two clinics", "instances": ""}}
    sheet = datasheet(COHORT, said, size=(8, 8, 1))
    assert sheet["composition"]["sites"] == "two clinics"
    assert sheet["composition"]["instances"] == "2 images"


@pytest.mark.parametrize(
    ("said", "match", "hint"),
    [
        ({"licnce": {}}, "no section 'licnce'", "did you mean 'licence'?"),
        ({"licence": {"nme": "x"}}, "licence has no field 'nme'", "did you mean 'name'?"),
    ],
)
def test_an_unknown_key_names_the_nearest(said, match, hint):
    with pytest.raises(InvalidConfiguration, match=match) as caught:
        Options.model_validate({"datasheet": said})
    assert caught.value.hint == hint
