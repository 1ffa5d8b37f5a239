import math
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import InvalidTable
from equipoise.tables import COHORT, ESTIMATES, PREDICTIONS, SPLITS, check


def predictions(**columns: object) -> pl.DataFrame:
    return pl.DataFrame({"image_id": ["a", "b"], "score:edema": [0.1, 0.9]} | columns)


def test_a_missing_column_is_named_with_what_was_found_and_the_nearest():
    frame = predictions().rename({"image_id": "imageid"})
    message = "predictions: no column 'image_id'; got ['imageid', 'score:edema']"
    with pytest.raises(InvalidTable, match=re.escape(message)) as caught:
        check(frame, PREDICTIONS)
    assert caught.value.hint == "did you mean 'imageid'?"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_are_refused_because_they_rank_above_every_threshold(value):
    frame = predictions(**{"score:edema": [0.1, value]})
    with pytest.raises(InvalidTable, match=r"column 'score:edema': 1 values are .*row 1"):
        check(frame, PREDICTIONS)


def test_a_score_outside_0_1_is_refused_and_shown():
    frame = predictions(**{"score:edema": [0.1, 1.5]})
    with pytest.raises(InvalidTable, match=r"1 values outside \[0, 1\], as 1.5 in row 1"):
        check(frame, PREDICTIONS)


def test_a_null_score_is_allowed_but_a_null_key_is_not():
    check(predictions(**{"score:edema": [0.1, None]}), PREDICTIONS)
    with pytest.raises(InvalidTable, match="column 'image_id': 1 nulls, the first in row 0"):
        check(predictions(image_id=[None, "b"]), PREDICTIONS)


def test_duplicate_image_ids_are_named_and_counted():
    frame = pl.DataFrame({"image_id": ["a", "a", "b", "b", "c"]})
    message = "predictions: 2 rows share image_id='a' (and 1 more such); expected one row each"
    with pytest.raises(InvalidTable, match=re.escape(message)):
        check(frame, PREDICTIONS)


def test_a_word_outside_the_list_is_an_error_with_the_nearest():
    frame = pl.DataFrame({"image_id": ["a"], "patient_id": ["p"], "split": ["tset"], "fold": [0]})
    with pytest.raises(InvalidTable, match="1 values as 'tset'; expected one of train") as caught:
        check(frame, SPLITS)
    assert caught.value.hint == "did you mean 'test'?"


def test_a_column_that_no_contract_knows_is_an_error():
    with pytest.raises(InvalidTable, match=r"column 'extra' \(Int64\) is not part of the table"):
        check(predictions(extra=[1, 2]), PREDICTIONS)


def test_a_column_of_another_type_is_an_error():
    frame = predictions(**{"score:edema": ["0.1", "0.2"]})
    with pytest.raises(InvalidTable, match="column 'score:edema' is String; expected real"):
        check(frame, PREDICTIONS)


def test_an_attribute_is_any_text_column_and_never_null():
    base = {"image_id": ["a"], "patient_id": ["s/p"], "site": ["s"]}
    check(pl.DataFrame(base | {"sex": ["unknown"]}), COHORT)
    with pytest.raises(InvalidTable, match="column 'sex': 1 nulls"):
        check(
            pl.DataFrame(base | {"sex": [None]}, schema_overrides={"sex": pl.String}),
            COHORT,
        )


def test_labels_may_be_null_but_not_numbers():
    base = {"image_id": ["a"], "patient_id": ["s/p"], "site": ["s"]}
    check(pl.DataFrame(base | {"label:edema": [None]}), COHORT)
    with pytest.raises(InvalidTable, match="column 'label:edema' is Int64; expected boolean"):
        check(pl.DataFrame(base | {"label:edema": [2]}), COHORT)


def test_an_empty_table_keeps_a_contract():
    schema = {"image_id": pl.String, "split": pl.String, "patient_id": pl.String, "fold": pl.Int64}
    assert check(pl.DataFrame(schema=schema), SPLITS).height == 0


@given(st.lists(st.floats(0, 1), max_size=20))
def test_every_score_in_range_is_accepted_unchanged(scores):
    frame = pl.DataFrame(
        {"image_id": [str(i) for i in range(len(scores))], "score:x": scores},
        schema={"image_id": pl.String, "score:x": pl.Float64},
    )
    assert check(frame, PREDICTIONS).equals(frame)


def test_estimates_hold_attribute_columns_beside_their_own():
    kind = ESTIMATES.column("sex", pl.String())
    assert kind is not None
    assert kind.nullable
