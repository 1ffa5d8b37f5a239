import polars as pl
import pytest

from equipoise.document.leakage import duplicates, leakage
from equipoise.errors import InvalidTable

COHORT = pl.DataFrame(
    {
        "image_id": list("abcde"),
        "patient_id": ["p", "p", "q", "q", "r"],
        "given": ["train", "test", "train", "train", "unknown"],
    }
)


def test_a_patient_in_two_splits_is_named_and_the_rest_is_counted():
    found = leakage(COHORT, "given")
    assert found["patients_in_several"] == 1
    assert found["first"] == [{"patient_id": "p", "splits": ["test", "train"]}]
    assert found["images_of_these"] == 2
    assert found["splits"] == {"test": 1, "train": 3}
    assert found["sentence"] == "1 patient is in several splits (given), as p (test, train)"


def test_an_unknown_split_is_no_split():
    table = pl.DataFrame({"patient_id": ["p", "p"], "given": ["train", "unknown"]})
    assert leakage(table, "given")["patients_in_several"] == 0


def test_a_column_that_is_not_there_is_an_error_with_the_nearest():
    with pytest.raises(InvalidTable, match="no column 'gven' with splits; known: given") as caught:
        leakage(COHORT, "gven")
    assert caught.value.hint == "did you mean 'given'?"


def test_the_same_picture_under_two_patients_is_told_from_one_under_one():
    images = COHORT.select("image_id", pl.Series("pixel_digest", ["x", "x", "y", "z", "y"]))
    found = duplicates(COHORT, images)
    assert found["pictures_more_than_once"] == 2
    assert found["across_patients"] == 1
    assert found["first"] == [{"images": ["c", "e"], "patients": ["q", "r"]}]
    assert found["sentence"] == "1 picture occurs under several patients, as c, e"


def test_no_duplicates_are_said_to_be_none():
    images = COHORT.select("image_id", pl.col("image_id").alias("pixel_digest"))
    assert duplicates(COHORT, images)["images_of_these"] == 0
