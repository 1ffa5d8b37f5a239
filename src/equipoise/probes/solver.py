"""One solver for the convex objectives of probes: L-BFGS in coordinates that a Hessian whitens.

The Hessian is factored at the start and, if the point has moved far from there, again: few
factorings, each good for some twenty cheap passes over the data.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Objective = Callable[[Vector], tuple[float, Vector]]
Curvature = Callable[[Vector], npt.NDArray[np.float64]]

_ROUNDS = 25
_PASSES = 20
_TOLERANCE = 1e-7
_CONVERGED = 1e-6


@dataclass(frozen=True, slots=True)
class Solution:
    """Where a minimisation ended.

    Parameters
    ----------
    point
        The minimiser ``(m,)``.
    value
        The objective there.
    gradient_norm
        Largest absolute entry of the gradient there.
    iterations
        Passes over the data.
    """

    point: Vector
    value: float
    gradient_norm: float
    iterations: int

    @property
    def converged(self) -> bool:
        """Whether the gradient vanishes, to 1e-6."""
        return self.gradient_norm <= _CONVERGED


def minimise(objective: Objective, curvature: Curvature, start: Vector) -> Solution:
    """Return the minimum of a smooth, strictly convex function.

    Parameters
    ----------
    objective
        Point ``(m,)`` → value and gradient ``(m,)``.
    curvature
        Point ``(m,)`` → Hessian ``(m, m)``, positive definite, exact or nearly so.
    start
        Where to begin ``(m,)``.

    References
    ----------
    Nocedal and Wright, *Numerical Optimization*, 2nd edition, 2006, chapter 7 (L-BFGS).

    Examples
    --------
    >>> found = minimise(lambda p: (float(p @ p), 2 * p), lambda p: 2 * np.eye(2), np.ones(2))
    >>> found.converged, bool(np.abs(found.point).max() < 1e-6)
    (True, True)
    """
    point = np.asarray(start, dtype=np.float64)
    value, gradient = objective(point)
    passes = 1
    for _ in range(_ROUNDS):
        before = value
        point, whitened_norm, used = _round(objective, curvature(point), point)
        value, gradient = objective(point)
        passes += used + 1
        # The second condition: rounding leaves nothing more to gain.
        if whitened_norm <= _TOLERANCE or before - value <= 1e-15 * max(1.0, abs(value)):
            break
    return Solution(point, float(value), float(np.abs(gradient).max()), passes)


def _round(
    objective: Objective, hessian: npt.NDArray[np.float64], origin: Vector
) -> tuple[Vector, float, int]:
    """Go some passes in the coordinates v in which the Hessian at `origin` is the identity."""
    from scipy import linalg, optimize

    lower = linalg.cholesky(hessian, lower=True, check_finite=False)

    def back(v: Vector) -> Vector:
        step: Vector = linalg.solve_triangular(lower, v, lower=True, trans=1, check_finite=False)
        return origin + step

    def whitened(v: Vector) -> tuple[float, Vector]:
        value, gradient = objective(back(v))
        return value, linalg.solve_triangular(lower, gradient, lower=True, check_finite=False)

    found = optimize.minimize(
        whitened,
        np.zeros_like(origin),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _PASSES, "maxcor": _PASSES, "gtol": _TOLERANCE / 2, "ftol": 0.0},
    )
    return back(found.x), float(np.abs(found.jac).max()), int(found.nfev)
