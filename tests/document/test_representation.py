import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from equipoise.document.representation import (
    counts,
    intersections,
    missing,
    prevalences,
    with_groupings,
)

COHORT = pl.DataFrame(
    {
        "patient_id": ["p", "p", "q", "r"],
        "sex": ["F", "F", "M", "unknown"],
        "age_band": ["0-39", "0-39", "40+", "40+"],
        "view": ["AP", None, "PA", "PA"],
        "kvp": [80.0, None, None, 70.0],
        "label:mass": [True, False, None, True],
    }
)


def test_images_and_patients_are_counted_apart():
    rows = {row["level"]: (row["images"], row["patients"]) for row in counts(COHORT, ["sex"])}
    assert rows == {"F": (2, 1), "M": (1, 1), "unknown": (1, 1)}


def test_a_pair_that_never_occurs_is_there_with_zeros():
    rows = {
        tuple(row["levels"]): row["images"] for row in intersections(COHORT, ["sex", "age_band"])
    }
    assert rows["F", "40+"] == 0
    assert rows["F", "0-39"] == 2
    assert len(rows) == 6


def test_prevalence_is_among_images_that_were_assessed():
    rows = {(row["attribute"], row["level"]): row for row in prevalences(COHORT, ["mass"], ["sex"])}
    assert rows[None, None]["prevalence"] == 2 / 3
    assert rows["sex", "F"]["prevalence"] == 0.5
    assert rows["sex", "F"]["patients_positive"] == 1
    assert rows["sex", "M"]["prevalence"] is None
    assert rows["sex", "M"]["not_assessed"] == 1


def test_what_is_missing_is_counted_by_column_and_by_group():
    rows = {row["column"]: row for row in missing(COHORT, ["sex"], ["mass"])}
    assert (rows["sex"]["images"], rows["sex"]["share"]) == (1, 0.25)
    assert (rows["kvp"]["kind"], rows["kvp"]["images"]) == ("acquisition", 2)
    assert rows["label:mass"]["images"] == 1
    assert [g["share"] for g in rows["kvp"]["by_group"]] == [0.5, 1.0, 0.0]


def test_devices_and_views_are_never_null():
    seen = with_groupings(COHORT.with_columns(manufacturer=pl.lit(None, pl.String)))
    assert seen["device"].to_list() == ["unknown"] * 4
    assert seen["view"].to_list() == ["AP", "unknown", "PA", "PA"]


@given(
    st.lists(
        st.tuples(st.sampled_from("pqr"), st.sampled_from("FMu"), st.sampled_from("ab")), min_size=1
    )
)
def test_levels_and_pairs_add_up_to_all_images(rows):
    table = pl.DataFrame(rows, schema=["patient_id", "sex", "group"], orient="row")
    assert sum(row["images"] for row in counts(table, ["sex"])) == len(rows)
    assert sum(row["images"] for row in intersections(table, ["sex", "group"])) == len(rows)
