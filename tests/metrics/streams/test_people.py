import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from equipoise.errors import InvalidTable, StorageFailure
from equipoise.metrics.streams import (
    Grid,
    Rows,
    adjacent,
    by_patient,
    counted,
    edges,
    parted,
    rows,
    shards,
    whole,
)
from tests.metrics.streams.made import LEVELS, predictions, written


def batch(who, start=0):
    n = len(who)
    place = np.arange(start, start + n)
    return Rows(place, np.array(who, dtype=np.uint64), place[None].astype(np.int16))


def grid_of(parts, findings=("f0", "f1")):
    return Grid(LEVELS, edges(parts, findings, rng=np.random.default_rng(0), bins=32))


@given(st.lists(st.integers(1, 5), max_size=20), st.lists(st.integers(0, 60), max_size=6))
def test_whole_patients_come_out_of_any_cuts(sizes, cuts):
    who = np.repeat(np.arange(len(sizes)), sizes)
    bounds = [0, *sorted(min(cut, len(who)) for cut in cuts), len(who)]
    given_ = [batch(who[a:b], a) for a, b in itertools.pairwise(bounds)]
    made = list(whole(given_))
    assert [row for one in made for row in one.cell] == list(range(len(who)))
    assert [row for one in made for row in one.code[0]] == list(range(len(who)))
    together = [set(one.patient.tolist()) for one in made]
    assert sum(map(len, together)) == len(sizes)


@given(st.lists(st.integers(0, 8), max_size=60), st.integers(1, 7), st.integers(1, 20))
def test_parted_rows_are_all_rows_with_patients_whole(who, parts, size):
    # Spread over the high bits, as a hash is.
    spread = [value * 0x1FFF_FFFF_FFFF_FFFF for value in who]
    given_ = [batch(spread[a : a + size], a) for a in range(0, len(who), size)]
    made = list(parted(given_, parts=parts))
    assert sorted(row for one in made for row in one.cell) == list(range(len(who)))
    assert all(np.array_equal(one.cell, one.code[0]) for one in made)
    assert all((np.diff(one.patient.astype(float)) >= 0).all() for one in made)
    together = [set(one.patient.tolist()) for one in made]
    assert sum(map(len, together)) == len(set(who))


def test_rows_tell_what_is_counted(tmp_path):
    parts = shards(written(predictions(700), tmp_path))
    grid = grid_of(parts)
    made = np.zeros(grid.shape, dtype=np.int64)
    for some in rows(parts, grid, "patient_id"):
        for place, code in enumerate(some.code):
            used = code >= 0
            np.add.at(made[place].reshape(grid.cells, -1), (some.cell[used], code[used]), 1)
    assert np.array_equal(made, counted(parts, grid).histogram)


@pytest.mark.parametrize("order", ["rising", "grouped", "shuffled"])
def test_patients_are_whole_whatever_the_order_of_the_files(tmp_path, order):
    frame = predictions(900)
    if order == "grouped":
        frame = frame.sort(pl.col("patient_id").str.reverse(), maintain_order=True)
    if order == "shuffled":
        frame = frame.sample(fraction=1.0, shuffle=True, seed=1)
    parts = shards(written(frame, tmp_path / "rows"), rows=150)
    grid = grid_of(parts)
    (tmp_path / "room").mkdir()
    made = list(by_patient(parts, grid, "patient_id", folder=tmp_path / "room"))
    assert adjacent(parts, "patient_id") is (order != "shuffled")
    assert sum(len(set(one.patient.tolist())) for one in made) == frame["patient_id"].n_unique()
    sizes = np.concatenate([np.unique(one.patient, return_counts=True)[1] for one in made])
    expected = frame.group_by("patient_id").len()["len"]
    assert sorted(sizes.tolist()) == sorted(expected.to_list())
    assert list((tmp_path / "room").iterdir()) == []


def test_patients_that_come_again_do_not_lie_together(tmp_path):
    frame = predictions(60)
    again = pl.concat([frame, frame[:1]])
    assert adjacent(shards(written(frame, tmp_path / "once")), "patient_id")
    assert not adjacent(shards(written(again, tmp_path / "again")), "patient_id")
    # Rising in each file, and not from one to the next.
    twice = written(pl.concat([frame, frame]), tmp_path / "twice", files=2)
    assert not adjacent(shards(twice), "patient_id")


def test_too_many_runs_to_remember_are_not_taken_to_lie_together(tmp_path):
    frame = predictions(200).sort(pl.col("patient_id").str.reverse(), maintain_order=True)
    parts = shards(written(frame, tmp_path))
    assert adjacent(parts, "patient_id")
    assert not adjacent(parts, "patient_id", runs=20)
    rising = shards(written(frame.sort("patient_id"), tmp_path / "rising"))
    assert adjacent(rising, "patient_id", runs=20)


def test_without_patients_each_image_stands_for_itself(tmp_path):
    parts = shards(written(predictions(300), tmp_path))
    made = list(by_patient(parts, grid_of(parts), None))
    assert len(np.unique(np.concatenate([one.patient for one in made]))) == 300


def test_a_null_patient_and_an_absent_column_are_refused(tmp_path):
    frame = predictions(50)
    null = pl.when(pl.int_range(pl.len()) == 40).then(None).otherwise("patient_id")
    parts = shards(written(frame.with_columns(null.alias("patient_id")), tmp_path, files=1))
    with pytest.raises(InvalidTable, match=r"'patient_id': 1 nulls, as in row 40 of part-0"):
        list(by_patient(parts, grid_of(parts), "patient_id"))
    with pytest.raises(InvalidTable, match="no column 'who'"):
        list(by_patient(parts, grid_of(parts), "who"))


def test_a_place_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("equipoise.metrics.streams.people._write", full)
    with pytest.raises(StorageFailure, match="could not be parted by patient"):
        list(parted([batch([1])], parts=1, folder=tmp_path))
