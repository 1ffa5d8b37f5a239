import numpy as np

from equipoise.probes import minimise


def test_a_quadratic_is_solved_whatever_its_condition():
    scale = np.logspace(-3, 3, 30)

    def objective(point):
        return float(0.5 * scale @ (point - 1.0) ** 2), scale * (point - 1.0)

    found = minimise(objective, lambda _: np.diag(scale), np.zeros(30))
    assert found.converged
    np.testing.assert_allclose(found.point, 1.0, atol=1e-5)


def test_starting_at_the_minimum_ends_there_at_once():
    found = minimise(lambda p: (float(p @ p), 2 * p), lambda _: 2 * np.eye(3), np.zeros(3))
    assert found.iterations <= 3
    assert found.gradient_norm == 0.0


def test_it_goes_on_while_anything_is_gained_even_with_a_poor_hessian():
    scale = np.logspace(-5, -2, 40)

    def objective(point):
        return float(0.5 * scale @ (point - 0.1) ** 2), scale * (point - 0.1)

    found = minimise(objective, lambda _: np.eye(40) * 1e-3, np.zeros(40))
    assert found.gradient_norm < 1e-8
    assert found.iterations > 25
