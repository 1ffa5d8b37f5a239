"""Blocks are cut by who came, never by what came of it, and lose nobody but those who wait."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise import surveillance

ROWS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=50)


def arrays(rows):
    values = np.array([value for value, _ in rows], dtype=float)
    return values, np.array([first for _, first in rows], dtype=bool)


@given(ROWS)
def test_every_block_has_both_arms_and_one_of_them_once(rows):
    made = surveillance.blocks(*arrays(rows))
    assert (np.minimum(made.n_first, made.n_second) == 1).all()
    assert made.n_first.sum() <= sum(first for _, first in rows)
    assert made.n_second.sum() <= sum(not first for _, first in rows)
    assert (np.diff(made.last) > 0).all()


@given(ROWS)
def test_where_a_block_ends_does_not_depend_on_outcomes(rows):
    values, first = arrays(rows)
    one, other = surveillance.blocks(values, first), surveillance.blocks(1 - values, first)
    assert one.last.tolist() == other.last.tolist()


@given(ROWS)
def test_the_arms_may_change_names(rows):
    values, first = arrays(rows)
    one, other = surveillance.blocks(values, first), surveillance.blocks(values, ~first)
    assert one.first.tolist() == other.second.tolist()


@given(ROWS)
def test_blocks_agree_with_a_plain_loop(rows):
    waiting, found = ([], []), []
    for place, (value, is_first) in enumerate(rows):
        own, others = (0, 1) if is_first else (1, 0)
        if waiting[others]:
            n = (len(waiting[others]) + 2) // 3
            arms = {own: float(value), others: np.mean(waiting[others][:n])}
            del waiting[others][:n]
            found.append((arms[0], arms[1], place))
        else:
            waiting[own].append(float(value))
    made = surveillance.blocks(*arrays(rows))
    said = list(zip(made.first, made.second, made.last, strict=True))
    assert said == [pytest.approx(row) for row in found]


def test_a_rare_arm_meets_nearly_all_of_the_others():
    rng = np.random.default_rng(4)
    first = rng.random(6000) < 0.1
    made = surveillance.blocks(np.zeros(6000), first)
    # Information on a difference: of the blocks, over that of the two whole samples.
    seen = (1.0 / (1.0 / made.n_first + 1.0 / made.n_second)).sum()
    assert seen > 0.9 * first.sum() * (~first).sum() / 6000


def test_nobody_makes_no_block():
    made = surveillance.blocks(np.empty(0), np.empty(0, dtype=bool))
    assert made.last.tolist() == made.first.tolist() == []
    assert surveillance.ranked(np.empty(0), np.empty(0, dtype=bool))[0].tolist() == []


def test_one_class_alone_ranks_nothing():
    assert surveillance.ranked(np.array([0.1, 0.9]), np.array([True, True]))[0].tolist() == []


@pytest.mark.slow
def test_the_mean_of_the_rank_blocks_is_the_auroc():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    labels = rng.random(40_000) < 0.3
    scores = rng.normal(size=40_000).round(1) + labels
    values, _ = surveillance.ranked(scores, labels)
    assert values.mean() == pytest.approx(roc_auc_score(labels, scores), abs=0.01)
