"""An adversary that reads the group off values, solved to its optimum at every step.

Minimax by turns of two learners depends on their paces. Here the adversary is a multinomial
logistic model on the values and their squares, a convex problem: by the envelope theorem the
gradient of its least loss needs no derivative of the solution, and the outer problem is an
ordinary minimisation.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from equipoise.mitigations.matching import Discrepancy

Reals = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Loss = Literal["log", "absolute"]

_RIDGE = 1e-2
_TOLERANCE = 1e-8
_STEPS = 50
_TURN = 3
_SHORTEST = 1e-6


def adversary(
    codes: Codes, parts: list[npt.NDArray[np.bool_]], *, loss: Loss = "log"
) -> Discrepancy:
    """Return what an adversary gains on chance, averaged over parts of the rows.

    Parameters
    ----------
    codes
        The group of each row ``(n,)``, -1 for unknown: not looked at.
    parts
        An adversary for each: all rows, or those of one label. Groups count alike within it.
    loss
        *log*: cross-entropy in nats, so that the gain is in [0, log groups]. *absolute*: one less
        the probability of the right group.

    Notes
    -----
    The gain is the fall of the loss, less the adversary's own penalty, below that of knowing
    nothing; its gradient is that at the adversary's optimum, or for *absolute*, which is not
    convex, where the adversary has come to in a turn of a few steps. Each call begins where the one
    before ended; for *log* that matters within the solver's tolerance only.

    References
    ----------
    Danskin, *The theory of max-min, with applications*, SIAM Journal on Applied Mathematics 14,
    1966 (the envelope theorem).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = np.arange(200) % 2
    >>> gain = adversary(codes, [np.full(200, True)])
    >>> told, untold = codes[:, None] - 0.5, rng.normal(size=(200, 1))
    >>> bool(gain(told)[0] > 0.5), bool(gain(untold)[0] < 0.05)
    (True, True)
    """
    games = [one for one in (_Game.of(codes, part) for part in parts) if one is not None]
    starts: list[Reals | None] = [None] * len(games)

    def discrepancy(values: Reals) -> tuple[float, Reals]:
        total, gradient = 0.0, np.zeros_like(values)
        for place, game in enumerate(games):
            gain, slope, starts[place] = game.played(values, loss, starts[place])
            total += gain / len(games)
            gradient[game.rows] += slope / len(games)
        return total, gradient

    return discrepancy


@dataclass(frozen=True, slots=True)
class _Game:
    """The rows of one part, with groups that count alike."""

    rows: Codes
    right: Reals
    weights: Reals

    @classmethod
    def of(cls, codes: Codes, part: npt.NDArray[np.bool_]) -> "_Game | None":
        """Return None where fewer than two groups occur: there is nothing to tell apart."""
        rows = np.flatnonzero(part & (codes >= 0))
        names, mine = np.unique(codes[rows], return_inverse=True)
        if len(names) < 2:
            return None
        right = (mine[:, None] == np.arange(len(names))).astype(np.float64)
        weights = 1.0 / (len(names) * right.sum(axis=0)[mine])
        return cls(rows, right, weights)

    def played(self, values: Reals, loss: Loss, start: Reals | None) -> tuple[float, Reals, Reals]:
        """Return the gain, its gradient by the values of `rows`, and the adversary's weights."""
        mine = values[self.rows]
        basis = np.hstack([np.ones((len(mine), 1)), mine, mine**2 - 1.0])
        shape = (basis.shape[1], self.right.shape[1])
        begin = np.zeros(shape) if start is None else start
        solve = self._newton if loss == "log" else self._descent
        phi = solve(basis, begin)
        value = self._lost(basis, phi, loss)[0]
        slope = self._loss(basis @ phi, loss)[1] @ phi.T  # by the basis
        k = mine.shape[1]
        gradient = slope[:, 1 : k + 1] + 2.0 * mine * slope[:, k + 1 :]
        chance = np.log(shape[1]) if loss == "log" else 1.0 - 1.0 / shape[1]
        return chance - value, -gradient, phi

    def _lost(self, basis: Reals, phi: Reals, loss: Loss) -> tuple[float, Reals]:
        """Return loss and penalty of an adversary, and the gradient by its weights."""
        value, slope = self._loss(basis @ phi, loss)
        return value + 0.5 * _RIDGE * float((phi**2).sum()), basis.T @ slope + _RIDGE * phi

    def _newton(self, basis: Reals, phi: Reals) -> Reals:
        """Solve the convex case to rounding: from a near start it takes a step or two."""
        value, gradient = self._lost(basis, phi, "log")
        for _ in range(_STEPS):
            if np.abs(gradient).max() <= _TOLERANCE:
                break
            step = np.linalg.solve(self._curvature(basis, phi), gradient.ravel()).reshape(phi.shape)
            length = 1.0
            while length > _SHORTEST:
                tried = phi - length * step
                found = self._lost(basis, tried, "log")
                if found[0] <= value:
                    break
                length *= 0.5
            else:
                break
            phi, (value, gradient) = tried, found
        return phi

    def _curvature(self, basis: Reals, phi: Reals) -> Reals:
        m, n_groups = phi.shape
        share = _softmax(basis @ phi)
        found = np.zeros((m, n_groups, m, n_groups))
        for i in range(n_groups):
            for j in range(i + 1):
                bend = self.weights * share[:, i] * ((i == j) - share[:, j])
                found[:, i, :, j] = found[:, j, :, i] = (basis * bend[:, None]).T @ basis
        flat: Reals = found.reshape(m * n_groups, m * n_groups)
        return flat + _RIDGE * np.eye(m * n_groups)

    def _descent(self, basis: Reals, phi: Reals) -> Reals:
        """Take a turn of a few steps: the case is not convex."""
        from scipy import optimize

        def lost(flat: Reals) -> tuple[float, Reals]:
            value, gradient = self._lost(basis, flat.reshape(phi.shape), "absolute")
            return value, gradient.ravel()

        found = optimize.minimize(
            lost,
            phi.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _TURN, "gtol": _TOLERANCE, "ftol": 0.0},
        )
        return np.asarray(found.x.reshape(phi.shape), dtype=np.float64)

    def _loss(self, logits: Reals, loss: Loss) -> tuple[float, Reals]:
        """Return the weighted loss and its gradient by the logits."""
        share = _softmax(logits)
        if loss == "log":
            top = logits.max(axis=1)
            each = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top
            each -= (logits * self.right).sum(axis=1)
            return float(self.weights @ each), self.weights[:, None] * (share - self.right)
        hit = (share * self.right).sum(axis=1, keepdims=True)
        slope = -self.weights[:, None] * hit * (self.right - share)
        return float(self.weights @ (1.0 - hit[:, 0])), slope


def _softmax(logits: Reals) -> Reals:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)
