import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from equipoise.errors import InvalidTable
from equipoise.metrics.streams import binning, bins_of

KINDS = st.sampled_from([np.float32, np.float64])
SHAPES = st.sampled_from(["any", "narrow", "near 0", "near 1", "round"])


def shaped(rng: np.random.Generator, shape: str, n: int) -> np.ndarray:
    at = rng.random(n)
    made = {
        "any": at,
        "narrow": 0.2 + 1e-5 * at,
        "near 0": 10 ** (-40 * at),
        "near 1": 1 - 10 ** (-14 * at),
        "round": at.round(1),
    }
    return made[shape]


@given(KINDS, SHAPES, SHAPES, st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_bins_are_those_of_a_binary_search(kind, of_edges, of_scores, n, seed):
    rng = np.random.default_rng(seed)
    inner = shaped(rng, of_edges, n).astype(kind)
    edges = np.unique(np.r_[kind(0), inner])
    tiny = np.finfo(kind).smallest_subnormal
    near = [np.nextafter(inner, kind(0)), np.minimum(np.nextafter(inner, kind(1)), kind(1))]
    special = np.array([0, -0.0, tiny, np.finfo(kind).tiny, 0.5, 1 - np.finfo(kind).eps, 1], kind)
    score = np.r_[shaped(rng, of_scores, 500).astype(kind), inner, *near, special]
    expected = np.searchsorted(edges, score, "right") - 1
    assert np.array_equal(bins_of(score, binning(edges)), expected)


def test_an_edge_above_every_score_has_an_empty_bin():
    above = np.nextafter(np.float32(1), np.float32(2))
    edges = np.array([0, 0.5, 1, above], dtype=np.float32)
    score = np.array([0, 0.4, 0.5, 1], dtype=np.float32)
    assert bins_of(score, binning(edges)).tolist() == [0, 0, 1, 2]


def test_one_bin_takes_all_and_no_scores_have_none():
    one = binning(np.zeros(1, dtype=np.float32))
    assert bins_of(np.array([0, 1], dtype=np.float32), one).tolist() == [0, 0]
    assert bins_of(np.zeros(0, dtype=np.float32), one).tolist() == []


def test_more_rows_than_a_block_are_all_put_in_bins():
    rng = np.random.default_rng(0)
    edges = np.unique(np.r_[0, rng.random(1000)])
    score = rng.random(50_001)
    expected = np.searchsorted(edges, score, "right") - 1
    out = np.full(len(score), -1, dtype=np.int64)
    assert bins_of(score, binning(edges), out) is out
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("edges", [[0.1, 0.2], [0.0, 0.2, 0.2], [0.0, 0.3, 0.2], [], [0.0, np.nan]])
def test_edges_that_do_not_rise_from_0_are_refused(edges):
    with pytest.raises(InvalidTable, match="expected 0 and then rising numbers"):
        binning(np.array(edges))


def test_scores_of_another_precision_are_refused():
    with pytest.raises(InvalidTable, match="scores are float64, their edges float32"):
        bins_of(np.zeros(1), binning(np.zeros(1, dtype=np.float32)))
