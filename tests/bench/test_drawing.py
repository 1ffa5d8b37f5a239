import numpy as np
import polars as pl
import pytest

from equipoise.bench.drawing import drawn
from equipoise.errors import InvalidConfiguration
from tests.bench.made import cohort

HOW = {"by": ("sex",), "images": 300, "validation": 0.25, "seed": 3}


@pytest.fixture(scope="module")
def frame():
    found, _ = cohort(patients=600)
    unassessed = pl.col("image_id").is_in(found["image_id"].head(40).to_list())
    label = pl.when(unassessed).then(None).otherwise(pl.col("label:edema"))
    return found.with_columns(label.alias("label:edema"))


@pytest.fixture(scope="module")
def found(frame):
    return drawn(frame, "edema", **HOW)


def of(frame, ids, column):
    return frame.filter(pl.col("image_id").is_in(ids))[column]


def test_either_way_has_as_many_images_nobody_twice_and_nobody_who_validates(frame, found):
    validating = set(of(frame, found.validation, "patient_id"))
    for ids in found.learnt.values():
        assert len(ids) == len(set(ids)) == 300
        assert not validating & set(of(frame, ids, "patient_id"))
        assert of(frame, ids, "label:edema").null_count() == 0


def test_the_curated_draw_evens_out_label_and_group_and_the_other_does_not(frame, found):
    spread = {}
    for name, ids in found.learnt.items():
        rows = frame.filter(pl.col("image_id").is_in(ids))
        cells = rows.group_by("sex", "label:edema").len()["len"]
        spread[name] = cells.max() / cells.min()
    assert spread["curated"] < 1.8 < spread["as found"]


def test_the_draw_hangs_on_the_seed_and_not_on_the_order_of_rows(frame, found):
    again = drawn(frame.sample(fraction=1.0, shuffle=True, seed=1), "edema", **HOW)
    assert again == found
    assert drawn(frame, "edema", **{**HOW, "seed": 4}).learnt != found.learnt


def test_more_images_than_there_are_is_refused(frame):
    with pytest.raises(InvalidConfiguration, match=r"stages: 5000 images .* of 8\d\d that neither"):
        drawn(frame, "edema", **{**HOW, "images": 5000})


def test_where_a_cell_is_empty_the_others_are_evened_out(frame):
    men = frame.filter((pl.col("sex") == "M") | pl.col("label:edema").eq_missing(other=False))
    found = drawn(men, "edema", **{**HOW, "images": 200})
    cells = men.filter(pl.col("image_id").is_in(found.learnt["curated"]))
    assert np.ptp(cells.group_by("sex", "label:edema").len()["len"].to_numpy()) < 40
