import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.errors import InvalidConfiguration, InvalidTable, UnknownName
from equipoise.training import Groups, sampler

NONE = Groups((), np.zeros(50, dtype=np.int64))
RARE = Groups(("F", "M"), np.array([0] * 8 + [1] * 40 + [-1] * 2, dtype=np.int64))


@given(kind=st.sampled_from(["uniform", "weights", "groups"]), step=st.integers(0, 10_000))
def test_a_batch_hangs_on_seed_and_step_alone_and_holds_nobody_twice(kind: str, step: int) -> None:
    weights = np.arange(50.0)
    told = {"groups": RARE, "weights": weights, "batch": 12}
    first = sampler(kind, **told, seed=3)
    for earlier in range(3):  # what was drawn before does not matter
        first(earlier)
    batch = first(step)
    assert (batch == sampler(kind, **told, seed=3)(step)).all()
    assert len(set(batch.tolist())) == 12
    others = [sampler(kind, **told, seed=seed)(step).tolist() for seed in range(4, 9)]
    assert any(sorted(other) != sorted(batch.tolist()) for other in others)


def test_a_uniform_pass_sees_everybody_once() -> None:
    draw = sampler("uniform", groups=NONE, weights=None, batch=10, seed=0)
    for a_pass in range(3):
        drawn = np.concatenate([draw(5 * a_pass + step) for step in range(5)])
        assert sorted(drawn.tolist()) == list(range(50))


def test_weights_are_drawn_in_proportion_and_weight_zero_never() -> None:
    weights = np.repeat([0.0, 1.0, 3.0], [10, 20, 20])
    draw = sampler("weights", groups=NONE, weights=weights, batch=1, seed=0)
    drawn = np.concatenate([draw(step) for step in range(4000)])
    share = np.bincount(drawn // 10, minlength=5) / len(drawn)
    assert share[0] == 0
    assert share[1:3].sum() == pytest.approx(0.25, abs=0.03)


def test_a_rare_group_fills_its_half_of_every_batch_and_the_unknown_keep_their_share() -> None:
    draw = sampler("groups", groups=RARE, weights=None, batch=15, seed=0)
    counts = np.array([np.bincount(RARE.codes[draw(step)] + 1, minlength=3) for step in range(40)])
    assert (counts[:, 0] == 0).all()  # 2 of 50 in a batch of 15: rounded down
    assert counts.sum(axis=1).tolist() == [15] * 40
    assert abs(counts[:, 1].sum() - counts[:, 2].sum()) <= 1  # the odd one goes round


@pytest.mark.parametrize(
    ("kind", "told", "error", "words"),
    [
        ("uniforn", {}, UnknownName, "no sampler 'uniforn'; known: uniform, weights, groups"),
        ("uniform", {"batch": 51}, InvalidConfiguration, "batch 51 is larger than the 50 images"),
        ("groups", {"groups": NONE}, InvalidConfiguration, "no groups are declared"),
        ("groups", {"batch": 30}, InvalidConfiguration, r"F has 8 images; expected at least 15"),
        ("weights", {}, InvalidConfiguration, "no weights were given"),
        ("weights", {"weights": np.full(50, np.nan)}, InvalidTable, "not a number"),
        ("weights", {"weights": -np.ones(50)}, InvalidTable, "negative"),
        ("weights", {"weights": np.eye(50)[0]}, InvalidConfiguration, "1 images have a weight"),
    ],
)
def test_what_cannot_be_sampled_is_said(kind, told, error, words) -> None:
    given = {"groups": RARE, "weights": None, "batch": 10, **told}
    with pytest.raises(error, match=words):
        sampler(kind, **given, seed=0)


def test_a_kind_misspelt_gets_the_nearest_as_a_hint() -> None:
    with pytest.raises(UnknownName) as caught:
        sampler("uniforn", groups=RARE, weights=None, batch=2, seed=0)
    assert caught.value.hint == "did you mean 'uniform'?"
