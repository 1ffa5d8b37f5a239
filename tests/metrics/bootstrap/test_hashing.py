import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import InvalidTable
from equipoise.metrics.bootstrap import keyed, weights

MASK = 2**64 - 1
IDS = [f"site/{i}" for i in range(2_000)]


def mixed(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def one(name: str, number: int, seed: int) -> int:
    """Return a weight in whole numbers of Python, each product cut to 64 bits by hand."""
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    golden = 0x9E3779B97F4A7C15
    stream = mixed((mixed((seed * golden + golden) & MASK) + (number + 1) * golden) & MASK)
    share = (mixed((key + stream) & MASK) >> 32) / 2**32
    drawn, total = 0, math.exp(-1)
    while share >= total:
        drawn += 1
        total += math.exp(-1) / math.factorial(drawn)
    return drawn


def test_weights_are_those_of_arithmetic_that_never_wraps_unseen():
    found = weights(keyed(IDS[:40]), range(25), seed=3)
    assert found.tolist() == [[one(name, r, 3) for name in IDS[:40]] for r in range(25)]


@pytest.mark.parametrize("ids", [IDS, np.arange(2_000)], ids=["text", "numbers"])
def test_weights_are_poisson_by_chi_square(ids):
    found = weights(keyed(ids), range(500), seed=0)
    n = found.size
    expected = [n * math.exp(-1) / math.factorial(k) for k in range(8)]
    expected.append(n - sum(expected))
    seen = np.bincount(np.minimum(found, 8).ravel(), minlength=9)
    chi_square = float(((seen - expected) ** 2 / expected).sum())
    assert chi_square < 26.1  # 8 degrees of freedom: one seed in a thousand lies above
    assert found.max() <= 12
    assert set(np.unique(found)) >= set(range(8))


def test_patients_and_replicates_are_uncorrelated_and_so_are_their_squares():
    found = weights(keyed(IDS[:400]), range(400), seed=5).astype(float)
    for power in (found, found**2):
        for table in (power, power.T):
            together = np.corrcoef(table)[np.triu_indices(400, 1)]
            assert abs(together.mean()) < 4 / 400
            assert together.std() == pytest.approx(1 / 20, rel=0.05)


def test_neighbouring_seeds_numbers_and_ids_share_nothing():
    keys = keyed(np.arange(5_000))
    first = weights(keys, range(4), seed=0).astype(float)
    second = weights(keys, range(4), seed=1).astype(float)
    rows = np.concatenate([first, second, first[:, ::-1]])
    together = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(together).max() < 5 / np.sqrt(5_000)
    lagged = np.corrcoef(first[0, 1:], first[0, :-1])[0, 1]
    assert abs(lagged) < 5 / np.sqrt(5_000)


@given(st.lists(st.text(max_size=5), max_size=12), st.integers(0, 8), st.integers(0, 2**70))
def test_a_weight_hangs_on_the_id_and_the_number_alone(ids, number, seed):
    whole = weights(keyed(ids), range(9), seed=seed)
    turned = weights(keyed(ids[::-1]), [number], seed=seed)
    assert turned[0].tolist() == whole[number, ::-1].tolist()


def test_an_id_that_comes_twice_is_drawn_alike():
    found = weights(keyed(["a", "b", "a"]), range(50), seed=0)
    assert (found[:, 0] == found[:, 2]).all()
    assert (found[:, 0] != found[:, 1]).any()


def test_a_known_weight_stays_what_it_was_so_that_sites_of_other_versions_agree():
    assert weights(keyed(["Å/1", "b", ""]), range(6), seed=7).tolist() == KNOWN


KNOWN = [[one(name, number, 7) for name in ("Å/1", "b", "")] for number in range(6)]


def test_no_patients_and_no_replicates_are_no_weights():
    assert weights(keyed([]), range(3), seed=0).shape == (3, 0)
    assert weights(keyed(["a"]), [], seed=0).shape == (0, 1)


def test_ids_that_are_neither_text_nor_whole_are_refused():
    with pytest.raises(InvalidTable, match="ids are float64; expected text or whole numbers"):
        keyed(np.array([0.5]))
    with pytest.raises(InvalidTable, match="expected text"):
        keyed(["a", None])
