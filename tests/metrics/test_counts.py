import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise import metrics
from equipoise.errors import InvalidTable
from tests.metrics.made import POINT

TABLE = metrics.subgroups({"sex": ["F", "M"], "site": ["A", "B"]})
ROW = st.tuples(
    st.integers(0, 8),
    st.sampled_from("FM"),
    st.sampled_from("AB"),
    st.sampled_from([True, False, None]),
    st.integers(0, 10),
)


def counted(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    schema = {
        "patient_id": pl.Int64,
        "sex": pl.String,
        "site": pl.String,
        "label:x": pl.Boolean,
        "score:x": pl.Int64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        (pl.col("score:x") / 10).cast(pl.Float32)
    )
    people = metrics.population(frame, TABLE, patient="patient_id", points=POINT)
    return metrics.count(people, TABLE, candidate="made")


@settings(max_examples=30)
@given(st.lists(ROW, max_size=40), st.integers(0, 9))
def test_counting_parts_cut_between_patients_then_merging_equals_counting_the_whole(
    rows: list[tuple[object, ...]], cut: int
) -> None:
    parts = [[r for r in rows if r[0] < cut], [r for r in rows if r[0] >= cut]]
    merged = metrics.merge([counted(part) for part in parts], disjoint_patients=True)
    assert merged.equals(counted(rows))


@settings(max_examples=30)
@given(st.lists(ROW, max_size=40))
def test_counts_are_those_of_a_plain_filter(rows: list[tuple[object, ...]]) -> None:
    found = counted(rows)
    for row in found.iter_rows(named=True):
        mine = [
            r
            for r in rows
            if r[3] is not None and row["sex"] in {None, r[1]} and row["site"] in {None, r[2]}
        ]
        assert row["n_images"] == len(mine)
        assert row["n_patients"] == len({r[0] for r in mine})
        assert row["patients_positive"] == len({r[0] for r in mine if r[3]})
        assert row["tp"] == sum(bool(r[3]) and r[4] >= 5 for r in mine)
        assert row["tn"] == sum(not r[3] and r[4] < 5 for r in mine)
        assert sum(row["histogram_positive"]) == row["n_positive"]


def test_parts_that_may_share_patients_are_refused() -> None:
    with pytest.raises(InvalidTable, match="not declared to share no patient"):
        metrics.merge([counted([])], disjoint_patients=False)


def test_an_absent_subgroup_stays_with_zeros() -> None:
    found = counted([(1, "F", "A", True, 9)])
    absent = found.filter(pl.col("sex") == "M", pl.col("site").is_null()).row(0, named=True)
    assert (absent["n_images"], absent["tp"], sum(absent["histogram_positive"])) == (0, 0, 0)


def test_a_threshold_catches_the_stored_score_it_was_taken_from() -> None:
    stored = np.float32(0.7)
    assert float(stored) < 0.7  # so that a comparison in float64 would miss it
    rows = pl.DataFrame(
        {"group": ["A"], "label:x": [True], "score:x": pl.Series([stored], dtype=pl.Float32)}
    )
    points = POINT.with_columns(threshold=pl.lit(0.7))
    table = metrics.subgroups({"group": ["A"]})
    people = metrics.population(rows, table, patient=None, points=points)
    assert metrics.count(people, table, candidate="made")["tp"].to_list() == [1, 1]


def test_a_row_is_called_by_the_threshold_of_its_own_fold() -> None:
    rows = pl.DataFrame(
        {"group": ["A"] * 2, "label:x": [True] * 2, "score:x": [0.4, 0.4], "fold": [0, 1]}
    )
    points = pl.DataFrame(
        {"finding": "x", "operating_point": "p", "threshold": [0.3, 0.5], "fold": [0, 1]}
    )
    table = metrics.subgroups({"group": ["A"]})
    people = metrics.population(rows, table, patient=None, points=points)
    assert people.samples[0].called["p"].tolist() == [True, False]
    with pytest.raises(InvalidTable, match="no threshold for x at p in fold 1"):
        metrics.population(rows, table, patient=None, points=points.head(1))
    twice = pl.concat([points, points])
    with pytest.raises(InvalidTable, match="several thresholds for x at p in one fold"):
        metrics.population(rows, table, patient=None, points=twice)
    with pytest.raises(InvalidTable, match="no column 'fold'"):
        metrics.population(rows.drop("fold"), table, patient=None, points=points)
