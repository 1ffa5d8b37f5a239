import logging
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import audit
from equipoise.errors import InvalidTable


def frame(**changes: object) -> pl.DataFrame:
    columns: dict[str, object] = {
        "image_id": ["a", "b", "c"],
        "sex": ["F", "M", "F"],
        "label": [1, 0, None],
        "score": [0.9, 0.2, 0.4],
    }
    return pl.DataFrame({**columns, **changes})


def read(tmp_path: Path, rows: pl.DataFrame, ending: str = "csv") -> pl.DataFrame:
    path = tmp_path / f"predictions.{ending}"
    if ending == "csv":
        rows.write_csv(path)
    else:
        rows.write_parquet(path)
    return audit.read_predictions(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_csv_and_parquet_read_alike(tmp_path: Path, ending: str) -> None:
    found = read(tmp_path, frame(), ending)
    assert found["label:finding"].to_list() == [True, False, None]
    assert found["score:finding"].to_list() == [0.9, 0.2, 0.4]


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidTable, match=r"predictions: no column 'score'; got \['image_id'"
    ) as e:
        read(tmp_path, frame().rename({"score": "scored"}))
    assert e.value.hint == "did you mean 'scored'?"


def test_a_score_without_its_label_is_an_error_not_a_finding_that_drops_out(tmp_path: Path) -> None:
    rows = frame().rename({"label": "label:x", "score": "score:x"})
    with pytest.raises(InvalidTable, match="no column 'label:y'"):
        read(tmp_path, rows.with_columns(pl.lit(0.5).alias("score:y")))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([1, 0, 2], r"column 'label': 1 values outside \{0, 1, null\}, as 2 in row 2"),
        ([1.0, 0.5, 0.0], "as 0.5 in row 1"),
        (["yes", "no", None], r"2 values outside \{0, 1, null\}, as 'yes' in row 0"),
        ([1.0, float("nan"), 0.0], "as nan in row 1"),
    ],
)
def test_a_label_outside_zero_one_null_is_an_error(label: list[object], message: str) -> None:
    with pytest.raises(InvalidTable, match=message):
        audit.estimates(frame(label=label), by={"sex": ["F", "M"]}, patient=None)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ([0.1, 1.5, -0.2], r"2 values are NaN or outside \[0, 1\], as 1.5 in row 1"),
        ([0.1, float("nan"), 0.2], r"1 values are NaN or outside \[0, 1\], as nan in row 1"),
        (["high", "low", "low"], "column 'score' is String, as 'high'; expected scores"),
    ],
)
def test_a_score_outside_zero_one_or_nan_is_an_error(score: list[object], message: str) -> None:
    with pytest.raises(InvalidTable, match=message):
        audit.estimates(frame(score=score), by={"sex": ["F", "M"]}, patient=None)


@pytest.mark.parametrize("words", [["true", "false", None], ["True", "FALSE", ""]])
def test_a_label_may_be_written_true_or_false(tmp_path: Path, words: list[str | None]) -> None:
    found = read(tmp_path, frame(label=words))
    assert found["label:finding"].to_list() == [True, False, None]


def test_only_the_labels_that_are_none_are_counted_and_a_hint_says_what_to_do() -> None:
    with pytest.raises(InvalidTable, match=r"1 values outside .*, as 'NA' in row 1") as raised:
        audit.estimates(frame(label=["1", "NA", "0"]), by={"sex": None}, patient=None)
    assert raised.value.hint == "leave the cell empty where the finding was not assessed"


@pytest.mark.parametrize(
    ("score", "hint"),
    [
        ([47.3, 80.0, 2.0], "percentages"),
        ([-3.2, 80.0, 0.4], "logits"),
        ([0.1, float("nan"), 0.2], "empty"),
        (["47.3%", "2%", "1%"], "numbers"),
    ],
)
def test_a_score_that_is_none_has_the_hint_that_fits(score: list[object], hint: str) -> None:
    with pytest.raises(InvalidTable) as raised:
        audit.estimates(frame(score=score), by={"sex": None}, patient=None)
    assert hint in str(raised.value.hint)


def test_a_table_without_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="predictions: no rows"):
        read(tmp_path, frame().clear())


def test_an_image_that_occurs_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="2 rows share image_id='a'; expected one row each"):
        read(tmp_path, frame(image_id=["a", "a", "b"]))


def test_a_patient_in_two_splits_is_an_error() -> None:
    rows = frame(split=["train", "test", "test"], patient_id=["p", "p", "q"])
    with pytest.raises(
        InvalidTable, match="1 patient is in more than one split, as 'p' in test and train"
    ):
        audit.estimates(rows, by={"sex": ["F", "M"]})


def test_a_split_without_rows_is_an_error() -> None:
    rows = frame(split=["train"] * 3, patient_id=["p", "q", "r"])
    with pytest.raises(InvalidTable, match="no row is of the split 'test'; splits: train"):
        audit.estimates(rows, by={"sex": ["F", "M"]})


def test_an_undeclared_level_is_an_error() -> None:
    with pytest.raises(
        InvalidTable, match=r"predictions: 1 row in undeclared subgroups, as \{'sex': 'M'\}"
    ):
        audit.estimates(frame(), by={"sex": ["F"]}, patient=None)


def test_no_patient_column_is_an_error_unless_it_is_said() -> None:
    with pytest.raises(InvalidTable, match="no column 'patient_id'") as raised:
        audit.estimates(frame(), by={"sex": ["F", "M"]})
    assert raised.value.hint == "without patient ids images are taken as independent: say so"
    with pytest.raises(InvalidTable, match="no column 'patient'") as raised:
        audit.estimates(frame(patients=["a", "b", "c"]), by={"sex": None}, patient="patient")
    assert raised.value.hint == "did you mean 'patients'?"
    assert audit.estimates(frame(), by={"sex": ["F", "M"]}, patient=None).height


def test_an_empty_patient_is_an_error() -> None:
    with pytest.raises(InvalidTable, match="column 'patient_id': 1 nulls; expected none"):
        audit.estimates(frame(patient_id=["p", None, "q"]), by={"sex": ["F", "M"]})


def test_an_attribute_that_is_no_column_names_the_nearest() -> None:
    with pytest.raises(InvalidTable, match="no column 'sexx'") as raised:
        audit.estimates(frame(), by={"sexx": ["F"]}, patient=None)
    assert raised.value.hint == "did you mean 'sex'?"


def test_an_empty_attribute_is_unknown_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    rows = frame(sex=["F", None, "M"])
    with caplog.at_level(logging.WARNING):
        found = audit.estimates(rows, by={"sex": ["F", "M", "unknown"]}, patient=None)
    assert "column 'sex': 1 nulls of 3 rows are read as 'unknown'" in caplog.text
    assert "unknown" in found["sex"].to_list()
    assert not found.filter(pl.col("contrast") == "rest", sex="unknown").height
    with pytest.raises(InvalidTable, match="'sex': 'unknown'"):
        audit.estimates(rows, by={"sex": ["F", "M"]}, patient=None)


def test_a_number_that_nobody_cut_into_bands_is_no_attribute() -> None:
    with pytest.raises(InvalidTable, match="column 'age' is Float64; expected levels"):
        audit.estimates(frame(age=[40.5, 1.0, 2.0]), by={"age": None}, patient=None)
    many = pl.DataFrame({"age": list(range(60)), "label": [1] * 60, "score": [0.5] * 60})
    with pytest.raises(InvalidTable, match="has 60 levels; expected at most 50"):
        audit.estimates(many, by={"age": None}, patient=None)


def test_a_long_table_is_reshaped_once(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {
            "image_id": ["a", "a", "b"],
            "sex": ["F", "F", "M"],
            "finding": ["x", "y", "x"],
            "label": [1, 0, 1],
            "score": [0.9, 0.1, 0.8],
        }
    )
    found = read(tmp_path, rows).sort("image_id")
    assert found["label:x"].to_list() == [True, True]
    assert found["label:y"].to_list() == [False, None]
    assert found["score:y"].to_list() == [0.1, None]


def test_a_long_table_whose_image_changes_its_group_is_an_error() -> None:
    rows = pl.DataFrame(
        {
            "image_id": ["a", "a"],
            "sex": ["F", "M"],
            "finding": ["x", "y"],
            "label": [1, 0],
            "score": [0.9, 0.1],
        }
    )
    with pytest.raises(InvalidTable, match="2 rows share image_id='a'"):
        audit.estimates(rows, by={"sex": ["F", "M"]}, patient=None)


@given(st.lists(st.tuples(st.sampled_from([0, 1, None]), st.floats(0, 1)), min_size=1))
def test_labels_and_scores_come_through_as_they_are(
    rows: list[tuple[int | None, float]],
) -> None:
    from equipoise.metrics.reading import wide

    schema = {"label": pl.Int64, "score": pl.Float64}
    found = wide(pl.DataFrame(rows, schema=schema, orient="row"))
    assert found["label:finding"].to_list() == [None if y is None else bool(y) for y, _ in rows]
    assert found["score:finding"].to_list() == [s for _, s in rows]
    assert wide(found).equals(found)


def test_an_image_without_a_split_is_an_error_not_one_that_drops_out() -> None:
    rows = frame(split=["test", None, "test"], patient_id=["p", "p", "q"])
    with pytest.raises(InvalidTable, match=r"column 'split': 1 null; expected none"):
        audit.estimates(rows, by={"sex": ["F", "M"]})
