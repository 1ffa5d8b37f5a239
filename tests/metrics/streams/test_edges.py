import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics.streams import called_from, edges, edges_of, shards
from tests.metrics.streams.made import predictions, written

POINTS = pl.DataFrame(
    {"finding": ["f0", "f0"], "operating_point": ["p", "q"], "threshold": [0.7, 1.0 + 1e-7]}
)


def rng():
    return np.random.default_rng(0)


@given(
    st.lists(st.floats(0, 1, width=32), max_size=200),
    st.lists(st.floats(0, 1), max_size=5),
    st.integers(8, 64),
)
def test_edges_rise_from_0_hold_the_thresholds_and_are_no_more_than_asked(scores, points, bins):
    score = np.array(scores, dtype=np.float32)
    found = edges_of(score, points, bins=bins)
    assert found.dtype == np.float32
    assert found[0] == 0
    assert (np.diff(found) > 0).all()
    assert len(found) <= bins
    assert set(np.array(points, dtype=np.float32)) <= set(found)
    every = np.union1d(score, np.array([0, *points], dtype=np.float32))
    assert len(every) > bins or np.array_equal(found, every)


def test_bins_hold_about_equally_many_scores_however_these_lie():
    latent = rng().standard_normal(100_000)
    for score in (0.2 + 0.05 / (1 + np.exp(-latent)), 1 / (1 + np.exp(-9 * latent))):
        found = edges_of(score.astype(np.float64), bins=256)
        held = np.bincount(np.searchsorted(found, score, "right") - 1, minlength=len(found))
        assert len(found) == 256
        assert held.max() <= 1.2 * len(score) / 256


def test_a_score_that_many_rows_have_stands_alone_in_its_bin():
    score = np.r_[np.full(50_000, 0.5), rng().random(50_000)]
    found = edges_of(score, bins=64)
    place = int(np.searchsorted(found, 0.5))
    assert found[place] == 0.5
    inside = score[(score >= found[place]) & (score < found[place + 1])]
    assert np.unique(inside).tolist() == [0.5]
    assert len(found) == 64


def test_a_threshold_is_an_edge_in_the_precision_of_the_scores(tmp_path):
    rows = predictions(50, findings=1).with_columns(pl.lit(0.7, pl.Float32).alias("score:f0"))
    found = edges(shards(written(rows, tmp_path)), ["f0"], POINTS, rng=rng(), bins=16)
    assert found["f0"][called_from(found["f0"], 0.7)] == np.float32(0.7)
    # Called by nobody: in float32 it is the first number above 1.
    assert found["f0"][called_from(found["f0"], 1.0 + 1e-7)] > 1


def test_the_same_seed_gives_the_same_edges_and_another_gives_others(tmp_path):
    parts = shards(written(predictions(4_000), tmp_path))
    asked = {"bins": 32, "sample": 500}
    one, same = (edges(parts, ["f0", "f1"], rng=rng(), **asked) for _ in range(2))
    other = edges(parts, ["f0", "f1"], rng=np.random.default_rng(1), **asked)
    assert all(np.array_equal(one[finding], same[finding]) for finding in one)
    assert not np.array_equal(one["f0"], other["f0"])


def test_a_sample_sees_scores_from_every_stretch_of_a_sorted_table(tmp_path):
    rows = predictions(8_000, findings=1).sort("score:f0")
    score = rows["score:f0"].to_numpy()
    found = edges(shards(written(rows, tmp_path)), ["f0"], rng=rng(), bins=16, sample=1_000)["f0"]
    held = np.bincount(np.searchsorted(found, score, "right") - 1, minlength=len(found))
    assert held.max() < 4 * len(score) / 16


def test_all_rows_of_a_short_table_are_in_the_sample(tmp_path):
    rows = predictions(300)
    found = edges(shards(written(rows, tmp_path)), ["f0", "f1"], rng=rng())
    for finding, some in found.items():
        assert set(rows[f"score:{finding}"].drop_nulls()) <= set(some.tolist())


def test_a_finding_without_any_score_has_one_bin(tmp_path):
    rows = predictions(10, findings=1).with_columns(pl.lit(None, pl.Float32).alias("score:f0"))
    found = edges(shards(written(rows, tmp_path)), ["f0"], rng=rng())["f0"]
    assert found.tolist() == [0.0]
    assert found.dtype == np.float32


def test_more_thresholds_than_bins_are_refused():
    with pytest.raises(InvalidConfiguration, match="3 thresholds for 2 bins"):
        edges_of(np.zeros(1), [0.1, 0.2, 0.3], bins=2)


def test_thresholds_by_fold_are_refused(tmp_path):
    parts = shards(written(predictions(10), tmp_path))
    with pytest.raises(InvalidConfiguration, match="differ by fold"):
        edges(parts, ["f0"], POINTS.with_columns(fold=pl.Series([0, 1])), rng=rng())


def test_a_threshold_that_is_no_edge_is_refused():
    with pytest.raises(InvalidConfiguration, match=r"0.3 is no edge"):
        called_from(np.array([0.0, 0.25]), 0.3)


def test_an_absent_finding_is_named(tmp_path):
    parts = shards(written(predictions(10), tmp_path))
    with pytest.raises(InvalidTable, match="no column 'label:f9'"):
        edges(parts, ["f9"], rng=rng())
