import numpy as np
import polars as pl
import pytest

from equipoise import adapt, curate
from equipoise.adapt.rounds import decided, rounds
from equipoise.errors import InvalidTable
from tests.adapt.made import cohort, embeddings, images


def patients(made, mask):
    return set(np.array(made.patient_ids)[mask])


@pytest.mark.parametrize("seed", [0, 1])
def test_in_cross_fitting_no_patient_is_in_two_parts_of_a_round(seed):
    made = images()
    found = rounds(made, "cross-fit", seed=seed, inner=0.2)
    assert len(found) == 5
    for part in found:
        parts = [patients(made, mask) for mask in (part.fit, part.validation, part.scored)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 200
        assert all(parts)


def test_cross_fitting_scores_every_image_once():
    found = rounds(images(), "cross-fit", seed=0, inner=0.2)
    assert np.sum([part.scored for part in found], axis=0).tolist() == [1] * 400


def test_a_split_is_taken_as_it_is():
    made = images()
    (part,) = rounds(made, "split", seed=0, inner=0.2)
    assert (part.fit == (made.split == "train")).all()
    assert (part.validation == (made.split == "validation")).all()
    assert part.scored.all()
    assert part.fold is None


def test_a_test_split_that_is_too_small_in_one_group_means_cross_fitting_and_says_why():
    frame, x = cohort(n=600, small=0.05)
    evaluation, why = decided(images(frame, x), adapt.Options(minimum=10))
    assert evaluation == "cross-fit"
    assert "finding 'edema': the test split has" in why
    assert "in group 'F'; expected at least 10" in why


def test_a_test_split_that_is_large_enough_is_used():
    evaluation, why = decided(images(), adapt.Options(minimum=5))
    assert evaluation == "split"
    assert "enough positives and negatives" in why


def test_what_is_asked_for_is_done():
    for asked in ("split", "cross-fit"):
        assert decided(images(), adapt.Options(evaluation=asked)) == (asked, "asked for")


def test_many_images_of_few_patients_are_too_few():
    frame, x = cohort(n=600)
    made = images(frame, x)
    inside = (made.split == "test") & (made.groups == "F") & made.truth("edema")
    n, people = int(inside.sum()), len(patients(made, inside))
    assert people < n
    evaluation, why = decided(made, adapt.Options(minimum=people + 1))
    assert evaluation == "cross-fit"
    assert f"{people} patients with positive images in group 'F'" in why
    assert decided(made, adapt.Options(minimum=people))[0] == "split"


@pytest.mark.parametrize("column", ["split", "fold"])
def test_a_patient_on_two_sides_is_an_error(column):
    frame, x = cohort()
    splits = curate.splits(frame)
    other = {"split": "train", "fold": 0}[column]
    moved = splits.filter(pl.col(column) != other)["image_id"][0]
    torn = splits.with_columns(
        pl.when(pl.col("image_id") == moved)
        .then(pl.lit(other, dtype=splits.schema[column]))
        .otherwise(pl.col(column))
        .alias(column)
    )
    with pytest.raises(
        InvalidTable, match=f"splits: 1 patient has images in more than one {column}"
    ):
        adapt.rows(frame, torn, embeddings(frame, x), findings=None, group_by=[])
