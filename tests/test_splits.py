from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.splits import assign, patient_folds, patient_strata

SHARES = {"train": 0.5, "validation": 0.2, "test": 0.3}
IMAGES = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("xyz")), min_size=1, max_size=80)


def named(images):
    return [f"p{patient}" for patient, _ in images], [stratum for _, stratum in images]


@given(IMAGES, st.integers(0, 5))
def test_a_patient_is_in_exactly_one_split(images, seed):
    patients, strata = named(images)
    split = assign(patients, strata, shares=SHARES, seed=seed)
    assert len(set(zip(patients, split, strict=True))) == len(set(patients))
    assert set(split) <= set(SHARES)


@given(IMAGES, st.randoms(use_true_random=False))
def test_the_order_of_rows_moves_nobody(images, random):
    patients, strata = named(images)
    before = dict(zip(patients, assign(patients, strata, shares=SHARES, seed=1), strict=True))
    random.shuffle(images)
    patients, strata = named(images)
    after = dict(zip(patients, assign(patients, strata, shares=SHARES, seed=1), strict=True))
    assert before == after


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=200), st.integers(0, 5))
def test_every_stratum_and_the_whole_come_near_their_shares(strata, seed):
    patients = [str(i) for i in range(len(strata))]
    split = assign(patients, strata, shares=SHARES, seed=seed)
    for part in [*set(strata), None]:
        inside = [s for s, stratum in zip(split, strata, strict=True) if part in (None, stratum)]
        found = Counter(inside)
        for name, share in SHARES.items():
            assert abs(found[name] - share * len(inside)) <= 2


@given(IMAGES, st.integers(2, 5))
def test_a_patient_is_in_exactly_one_fold_and_folds_are_even(images, n):
    patients, strata = named(images)
    if len(set(patients)) < n:
        with pytest.raises(InvalidTable, match="expected at least one for each of"):
            patient_folds(patients, strata, n=n, seed=0)
        return
    fold = patient_folds(patients, strata, n=n, seed=0)
    place = dict(zip(patients, fold.tolist(), strict=True))
    assert all(place[patient] == f for patient, f in zip(patients, fold, strict=True))
    sizes = Counter(place.values())
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert set(sizes) == set(range(n))


def test_another_seed_is_another_draw_and_the_same_seed_the_same():
    patients, strata = [str(i) for i in range(200)], ["x"] * 200
    one = assign(patients, strata, shares=SHARES, seed=0)
    assert (one == assign(patients, strata, shares=SHARES, seed=0)).all()
    assert (one != assign(patients, strata, shares=SHARES, seed=1)).any()


def test_fold_and_split_are_drawn_apart():
    patients, strata = [str(i) for i in range(400)], ["x"] * 400
    split = assign(patients, strata, shares={"train": 0.5, "test": 0.5}, seed=0)
    fold = patient_folds(patients, strata, n=2, seed=0)
    assert 0.3 < np.mean(fold[split == "train"]) < 0.7


def test_a_split_with_no_share_gets_nobody():
    split = assign(["a", "b"], ["x", "x"], shares={"train": 1.0, "test": 0.0}, seed=0)
    assert set(split) == {"train"}


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"train": 0.5, "test": 0.4}, "add up to 0.9; expected 1"),
        ({"train": 1.5, "test": -0.5}, "expected 1"),
        ({"training": 1.0}, "no split 'training'; expected train, validation, test"),
    ],
)
def test_shares_that_cannot_be_are_refused(shares, message):
    with pytest.raises(InvalidConfiguration, match=message):
        assign(["a"], ["x"], shares=shares, seed=0)


def test_one_fold_is_refused():
    with pytest.raises(InvalidConfiguration, match="folds: 1; expected at least 2"):
        patient_folds(["a"], ["x"], n=1, seed=0)


def test_the_most_telling_image_stands_for_the_patient():
    strata = patient_strata(
        ["a", "a", "b", "b", "c"],
        [[False, None, False, True, None]],
        [["unknown", "M", "F", "unknown", "unknown"]],
    )
    assert strata == ["0|M", "0|M", "1|F", "1|F", "?|unknown"]


def test_nobody_is_split_into_nothing():
    assert assign([], [], shares=SHARES, seed=0).tolist() == []
