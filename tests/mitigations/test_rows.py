import numpy as np
import polars as pl
import pytest

from equipoise.errors import InvalidTable
from equipoise.mitigations import Training, cells, joined_groups


def test_lengths_that_differ_are_refused():
    with pytest.raises(InvalidTable, match="2 embeddings, 1 labels, 2 groups"):
        Training(np.eye(2), np.array([True]), np.array(["A", "B"]))


def test_groups_alone_can_be_the_cells():
    rows = Training(np.eye(3), np.array([True, False, True]), np.array(["B", "A", "unknown"]))
    names, codes = cells(rows, "group")
    assert names == ("A", "B")
    assert codes.tolist() == [1, 0, -1]


def test_no_attribute_makes_one_group_of_everybody():
    assert joined_groups(pl.DataFrame({"sex": ["F", "M"]}), []) == ["everybody"] * 2


def test_a_missing_level_counts_as_unknown():
    rows = pl.DataFrame({"sex": ["F", "F"], "view": ["AP", None]})
    assert joined_groups(rows, ["sex", "view"]) == ["F|AP", "unknown"]


def test_an_attribute_that_is_not_there_is_an_error_that_names_the_nearest():
    with pytest.raises(InvalidTable, match="no attribute 'sexx'; got sex") as caught:
        joined_groups(pl.DataFrame({"sex": ["F"]}), ["sexx"])
    assert caught.value.hint == "did you mean 'sex'?"
