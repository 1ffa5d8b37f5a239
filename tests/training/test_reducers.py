import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from equipoise import registry  # noqa: E402
from equipoise.training import REDUCERS, reducers  # noqa: E402

LOSSES = torch.tensor([1.0, 2.0, 6.0, 4.0])
GROUPS = torch.tensor([0, 0, 0, 1])
ONE = torch.ones(4)


def drawn(seed: int, *, unknown: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 30))
    groups = rng.integers(-1 if unknown else 0, 3, n)
    return (
        torch.from_numpy(rng.gamma(2.0, 1.0, n)),
        torch.from_numpy(groups),
        torch.from_numpy(rng.uniform(0.1, 2.0, n)),
    )


def test_each_reducer_gives_what_a_hand_computes() -> None:
    start = reducers.start(2)
    assert reducers.mean(LOSSES, GROUPS, ONE, start)[0] == pytest.approx(13 / 4)
    assert reducers.group_balanced(LOSSES, GROUPS, ONE, start)[0] == pytest.approx((3 + 4) / 2)
    value, _ = reducers.v_rex(LOSSES, GROUPS, ONE, start, penalty=2.0)
    assert value == pytest.approx(3.5 + 2.0 * 0.25)
    value, _ = reducers.cvar(LOSSES, GROUPS, ONE, start, share=0.5)
    assert value == pytest.approx((6 + 4) / 2)
    value, _ = reducers.cvar(LOSSES, GROUPS, ONE, start, share=0.375)
    assert value == pytest.approx((6 + 0.5 * 4) / 1.5)
    value, state = reducers.group_dro(LOSSES, GROUPS, ONE, start, step=0.1)
    raised = np.exp(0.1 * np.array([3.0, 4.0]))
    assert state.numpy() == pytest.approx(raised / raised.sum())
    assert value == pytest.approx(float(raised @ [3.0, 4.0] / raised.sum()))


def test_weights_count_as_repeats_do() -> None:
    twice = torch.tensor([1.0, 1.0, 2.0, 1.0])
    losses = torch.tensor([1.0, 2.0, 6.0, 6.0, 4.0])
    groups = torch.tensor([0, 0, 0, 0, 1])
    for name in REDUCERS:
        reduce = registry.load(name, REDUCERS, kind="reducer")
        weighted, _ = reduce(LOSSES, GROUPS, twice, reducers.start(2))
        repeated, _ = reduce(losses, groups, torch.ones(5), reducers.start(2))
        assert float(weighted) == pytest.approx(float(repeated)), name


@given(seed=st.integers(0, 500), unknown=st.booleans())
def test_the_state_of_group_dro_stays_on_the_simplex_and_leans_to_the_worst(
    seed: int, unknown: bool
) -> None:
    losses, groups, weights = drawn(seed, unknown=unknown)
    state = reducers.start(3)
    for _ in range(50):
        _, state = reducers.group_dro(losses, groups, weights, state, step=0.3)
    assert float(state.sum()) == pytest.approx(1.0)
    assert bool((state >= 0).all())
    means, there = reducers.group_means(losses, groups, weights, 3)
    assert state[there].argmax() == means[there].argmax()


@given(seed=st.integers(0, 500))
def test_order_does_not_matter_and_each_stays_between_the_least_and_the_largest(seed: int) -> None:
    losses, groups, weights = drawn(seed, unknown=True)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(losses)))
    for name in ("mean", "group_balanced", "group_dro", "cvar"):
        reduce = registry.load(name, REDUCERS, kind="reducer")
        value, _ = reduce(losses, groups, weights, reducers.start(3))
        mixed, _ = reduce(losses[order], groups[order], weights[order], reducers.start(3))
        assert float(value) == pytest.approx(float(mixed)), name
        assert float(losses.min()) - 1e-9 <= float(value) <= float(losses.max()) + 1e-9, name


@given(seed=st.integers(0, 500))
def test_cvar_of_all_is_the_mean_and_falls_as_the_share_grows(seed: int) -> None:
    losses, groups, weights = drawn(seed)
    start = reducers.start(3)
    values = [
        float(reducers.cvar(losses, groups, weights, start, share=share)[0])
        for share in (0.1, 0.3, 0.7, 1.0)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(float(reducers.mean(losses, groups, weights, start)[0]))


def test_an_unknown_group_counts_with_its_share_beside_the_rest() -> None:
    groups = torch.tensor([0, 0, 1, -1])
    value, _ = reducers.group_balanced(LOSSES, groups, ONE, reducers.start(2))
    assert value == pytest.approx(0.75 * (1.5 + 6.0) / 2 + 0.25 * 4.0)
    nobody = torch.full((4,), -1)
    for name in REDUCERS:
        reduce = registry.load(name, REDUCERS, kind="reducer")
        value, state = reduce(LOSSES, nobody, ONE, reducers.start(2))
        assert bool(torch.isfinite(value)), name
        assert float(state.sum()) == pytest.approx(1.0), name


def test_a_group_that_is_not_in_the_batch_keeps_its_weight_but_for_the_others_growth() -> None:
    _, state = reducers.group_dro(LOSSES, GROUPS, ONE, reducers.start(3), step=0.1)
    raised = np.exp(0.1 * np.array([3.0, 4.0, 0.0]))
    assert state.numpy() == pytest.approx(raised / raised.sum())


def test_what_is_minimised_hands_its_gradient_to_every_image_it_counts() -> None:
    for name in ("mean", "group_balanced", "group_dro", "v_rex"):
        losses = (LOSSES / 2).requires_grad_()
        reduce = registry.load(name, REDUCERS, kind="reducer")
        reduce(losses, GROUPS, ONE, reducers.start(2))[0].backward()
        assert bool((losses.grad != 0).all()), name
