import numpy as np
import pytest

from equipoise.probes.descent import descend


def quadratics(bends, target=1.0):
    def evaluate(points, which):
        away = points - target
        return (bends[which] * away**2).sum(axis=1) / 2, bends[which] * away

    return evaluate


def largest(gradient, which):
    return np.abs(gradient).max(axis=1)


def plain(gradient, which):
    return gradient


def test_each_problem_ends_by_itself_and_no_later_than_alone():
    bends = np.stack([np.full(20, 1.0), np.logspace(-1, 1, 20)])
    found = descend(
        quadratics(bends), plain, largest, np.zeros((2, 20)), tolerance=1e-8, passes=500
    )
    np.testing.assert_allclose(found.points, 1.0, atol=1e-6)
    assert found.passes[0] <= 3 < found.passes[1]
    alone = descend(
        quadratics(bends[1:]), plain, largest, np.zeros((1, 20)), tolerance=1e-8, passes=500
    )
    assert found.passes[1] == alone.passes[0]


@pytest.mark.parametrize("factor", [1e-4, 1e-2, 1e2, 1e4])
def test_a_preconditioner_of_the_wrong_size_only_costs_passes(factor):
    bends = np.logspace(-1, 1, 10)[None]
    found = descend(
        quadratics(bends),
        lambda gradient, _: gradient * factor,
        largest,
        np.zeros((1, 10)),
        tolerance=1e-9,
        passes=200,
    )
    np.testing.assert_allclose(found.points, 1.0, atol=1e-7)


def test_a_value_that_overflows_far_out_is_stepped_back_from():
    def evaluate(points, which):
        with np.errstate(over="ignore"):
            up, down = np.exp(points**2), np.exp(-points)
        return (up + down).sum(axis=1), 2 * points * up - down

    found = descend(
        evaluate, lambda g, _: 1e3 * g, largest, np.full((1, 1), 2.0), tolerance=1e-9, passes=200
    )
    assert found.gradient_norms[0] <= 1e-9


def test_the_limit_of_passes_is_kept_and_the_norm_is_that_of_the_end():
    bends = np.logspace(-3, 3, 50)[None]
    found = descend(quadratics(bends), plain, largest, np.zeros((1, 50)), tolerance=1e-12, passes=6)
    assert found.passes[0] == 6
    gradient = bends * (found.points - 1.0)
    assert found.gradient_norms[0] == np.abs(gradient).max() > 1e-12


def test_starting_at_the_minimum_ends_there_at_once():
    found = descend(
        quadratics(np.ones((3, 4))), plain, largest, np.ones((3, 4)), tolerance=1e-9, passes=9
    )
    assert found.passes.tolist() == [1, 1, 1]


def test_noise_in_values_does_not_keep_a_gradient_from_vanishing():
    rng = np.random.default_rng(0)
    exact = quadratics(np.logspace(-1, 1, 8)[None])

    def evaluate(points, which):
        value, gradient = exact(points, which)
        return 10.0 + value + rng.normal(size=1) * 1e-8, gradient

    found = descend(evaluate, plain, largest, np.zeros((1, 8)), tolerance=1e-9, passes=300)
    assert found.gradient_norms[0] <= 1e-9
