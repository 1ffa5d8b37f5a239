import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from equipoise.document.features import bent, identifiers, one_hot


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_only_the_order_of_numbers_counts(values):
    rank = pl.Series(values).rank("dense").cast(pl.Float64)
    assert np.array_equal(bent(pl.Series(values)), bent(rank))


def test_a_relation_with_a_bend_shows():
    values = np.linspace(-1, 1, 200)
    columns = bent(pl.Series(values))
    label = np.abs(values) > 0.5
    with_one = np.column_stack([np.ones(200), columns])
    fitted = with_one @ np.linalg.lstsq(with_one, label, rcond=None)[0]
    assert fitted[label].min() > fitted[~label].mean()


def test_missing_numbers_have_a_column_of_their_own():
    columns = bent(pl.Series([1.0, None, 3.0, None]))
    assert columns[:, -1].tolist() == [0, 1, 0, 1]
    assert np.isfinite(columns).all()


def test_nothing_but_missing_says_nothing():
    assert bent(pl.Series([None, None], dtype=pl.Float64)).shape == (2, 0)


def test_rare_levels_are_one_together_and_null_is_a_level():
    columns = one_hot(pl.Series(["a"] * 6 + ["b", "c", None]))
    assert columns.sum(axis=0).tolist() == [6, 1, 2]


def test_numbers_within_identifiers_are_found():
    columns = identifiers([f"scan_{number:04}.png" for number in range(20)])
    assert np.corrcoef(columns[:, 0], np.arange(20))[0, 1] > 0.99


def test_long_identifiers_do_not_overflow():
    ids = [f"1.2.{'9' * 400}.{number}" for number in range(5)]
    assert np.isfinite(identifiers(ids)).all()


def test_identifiers_without_numbers_are_words():
    assert identifiers(["a"] * 6 + ["b"] * 6).shape == (12, 2)
