import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from equipoise.training.losses.contrastive import simclr  # noqa: E402


def by_hand(z_a: np.ndarray, z_b: np.ndarray, temperature: float) -> np.ndarray:
    """Return NT-Xent as the paper writes it, a view at a time, in plain loops."""
    z = np.concatenate([z_a, z_b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n = len(z_a)
    losses = []
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = [math.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i]
        losses.append(-math.log(math.exp(z[i] @ z[partner] / temperature) / sum(others)))
    return (np.array(losses[:n]) + np.array(losses[n:])) / 2


def pairs(seed: int, n: int, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((n, d))


def loss(z_a: np.ndarray, z_b: np.ndarray, **told: object) -> np.ndarray:
    ready = (torch.from_numpy(z.astype(np.float32)) for z in (z_a, z_b))
    return simclr(*ready, temperature=0.3, **told).numpy()


@given(seed=st.integers(0, 500), n=st.integers(1, 9))
def test_each_images_loss_is_that_of_the_paper(seed: int, n: int) -> None:
    z_a, z_b = pairs(seed, n)
    assert loss(z_a, z_b) == pytest.approx(by_hand(z_a, z_b, 0.3), rel=1e-4, abs=1e-5)


@given(seed=st.integers(0, 500))
def test_the_order_of_the_images_changes_the_order_of_the_losses_alone(seed: int) -> None:
    z_a, z_b = pairs(seed, 7)
    groups = torch.tensor([0, 0, 1, 1, 1, -1, 0])
    order = np.random.default_rng(seed).permutation(7)
    for told in ({}, {"groups": groups, "same_group_negatives": True}):
        mixed = {**told, "groups": groups[torch.from_numpy(order)]} if told else {}
        assert loss(z_a[order], z_b[order], **mixed) == pytest.approx(
            loss(z_a, z_b, **told)[order], rel=1e-4, abs=1e-5
        )


@given(seed=st.integers(0, 500))
def test_same_group_negatives_are_the_loss_of_each_group_computed_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z_a, z_b = pairs(seed, 12)
    groups = rng.integers(0, 3, 12)
    found = loss(z_a, z_b, groups=torch.from_numpy(groups), same_group_negatives=True)
    for group in np.unique(groups):
        inside = groups == group
        apart = by_hand(z_a[inside], z_b[inside], 0.3)
        assert found[inside] == pytest.approx(apart, rel=1e-4, abs=1e-5)


def test_an_image_of_unknown_group_is_contrasted_with_all_and_with_nobody_else() -> None:
    z_a, z_b = pairs(0, 6)
    groups = torch.tensor([0, 0, 0, 1, 1, -1])
    found = loss(z_a, z_b, groups=groups, same_group_negatives=True)
    assert found[5] == pytest.approx(by_hand(z_a, z_b, 0.3)[5], rel=1e-4)
    assert found[:3] == pytest.approx(by_hand(z_a[:3], z_b[:3], 0.3), rel=1e-4)


def test_groups_alone_change_nothing_unless_negatives_are_to_be_of_the_own_one() -> None:
    z_a, z_b = pairs(1, 6)
    told = loss(z_a, z_b, groups=torch.tensor([0, 0, 0, 1, 1, 1]))
    assert told == pytest.approx(loss(z_a, z_b))
