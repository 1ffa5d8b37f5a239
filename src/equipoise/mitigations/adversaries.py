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
_TOLERANCE = 1e-10
_STEPS = 50
_TURN = 3
_SHORTEST = 1e-6
_WORTH = 0.1
_ROUNDING = 1e-14


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
    before ended; for *log* that matters within the solver's tolerance only. A curvature serves
    there for as long as its steps shrink the gradient tenfold, in the calls that follow too.

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
    states: list[_State | None] = [None] * len(games)

    def discrepancy(values: Reals) -> tuple[float, Reals]:
        total, gradient = 0.0, np.zeros_like(values)
        for place, game in enumerate(games):
            gain, slope, states[place] = game.played(values, loss, states[place])
            total += gain / len(games)
            gradient[game.rows] += slope / len(games)
        return total, gradient

    return discrepancy


@dataclass(frozen=True, slots=True)
class _State:
    """Where an adversary stands: its weights ``(groups, m)`` and the last curvature, inverted."""

    phi: Reals
    inverse: Reals | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """An adversary's loss with its penalty, the gradients by weights and by logits, and shares."""

    value: float
    gradient: Reals
    by_logits: Reals
    share: Reals


@dataclass(frozen=True, slots=True)
class _Game:
    """The rows of one part, with groups that count alike; rows run along the second axis."""

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
        right = (mine == np.arange(len(names))[:, None]).astype(np.float64)
        weights = 1.0 / (len(names) * right.sum(axis=1)[mine])
        return cls(rows, right, weights)

    def played(
        self, values: Reals, loss: Loss, before: _State | None
    ) -> tuple[float, Reals, _State]:
        """Return the gain, its gradient by the values of `rows`, and where the adversary is now."""
        mine = np.ascontiguousarray(values[self.rows].T)
        k, n_groups = len(mine), len(self.right)
        basis = np.concatenate([np.ones((1, mine.shape[1])), mine, mine**2 - 1.0])
        begin = _State(np.zeros((n_groups, len(basis))), None) if before is None else before
        solve = self._newton if loss == "log" else self._descent
        state, seen = solve(basis, begin)
        slope = state.phi.T @ seen.by_logits  # by the basis
        gradient = slope[1 : k + 1] + 2.0 * mine * slope[k + 1 :]
        chance = np.log(n_groups) if loss == "log" else 1.0 - 1.0 / n_groups
        return chance - seen.value, -gradient.T, state

    def _seen(self, basis: Reals, phi: Reals, loss: Loss) -> _Seen:
        """Return what an adversary loses."""
        logits = phi @ basis
        top = logits.max(axis=0)
        share = np.exp(logits - top)
        total = share.sum(axis=0)
        share /= total
        if loss == "log":
            each = np.log(total) + top - (logits * self.right).sum(axis=0)
            by_logits = self.weights * (share - self.right)
        else:
            hit = (share * self.right).sum(axis=0)
            each = 1.0 - hit
            by_logits = self.weights * hit * (share - self.right)
        value = float(self.weights @ each) + 0.5 * _RIDGE * float((phi**2).sum())
        return _Seen(value, by_logits @ basis.T + _RIDGE * phi, by_logits, share)

    def _newton(self, basis: Reals, before: _State) -> tuple[_State, _Seen]:
        """Solve the convex case to rounding: from a near start it takes a few passes."""
        phi, inverse = before.phi, before.inverse
        seen = self._seen(basis, phi, "log")
        if seen.value > np.log(len(phi)):  # values moved so far that to know nothing is better
            phi, inverse = np.zeros_like(phi), None
            seen = self._seen(basis, phi, "log")
        for _ in range(_STEPS):
            size = np.abs(seen.gradient).max()
            if size <= _TOLERANCE:
                break
            fresh = inverse is None
            if inverse is None:
                inverse = self._inverse(basis, seen.share)
            step = (inverse @ seen.gradient.ravel()).reshape(phi.shape)
            moved = self._searched(basis, phi, step, seen.value)
            if moved is not None:
                phi, seen = moved
            elif fresh:
                break
            if moved is None or np.abs(seen.gradient).max() > _WORTH * size:
                inverse = None
        return _State(phi, inverse), seen

    def _searched(
        self, basis: Reals, phi: Reals, step: Reals, value: float
    ) -> tuple[Reals, _Seen] | None:
        """Return the first point along a step, halved again and again, that is not worse."""
        length = 1.0
        while length > _SHORTEST:
            tried = phi - length * step
            found = self._seen(basis, tried, "log")
            if found.value <= value + _ROUNDING:
                return tried, found
            length *= 0.5
        return None

    def _inverse(self, basis: Reals, share: Reals) -> Reals:
        """Return the inverse of the curvature; shares add up to 1, so its blocks do to 0."""
        n_groups, m = len(share), len(basis)
        found = np.zeros((n_groups, m, n_groups, m))
        for i in range(n_groups):
            for j in range(i):
                block = (basis * (self.weights * share[i] * share[j])) @ basis.T
                found[i, :, j] = found[j, :, i] = -block
                found[i, :, i] += block
                found[j, :, j] += block
        flat = found.reshape(n_groups * m, n_groups * m)
        return np.asarray(np.linalg.inv(flat + _RIDGE * np.eye(len(flat))), dtype=np.float64)

    def _descent(self, basis: Reals, before: _State) -> tuple[_State, _Seen]:
        """Take a turn of a few steps: the case is not convex."""
        from scipy import optimize

        shape = before.phi.shape

        def lost(flat: Reals) -> tuple[float, Reals]:
            seen = self._seen(basis, flat.reshape(shape), "absolute")
            return seen.value, seen.gradient.ravel()

        found = optimize.minimize(
            lost,
            before.phi.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _TURN, "gtol": _TOLERANCE, "ftol": 0.0},
        )
        phi = np.asarray(found.x.reshape(shape), dtype=np.float64)
        return _State(phi, None), self._seen(basis, phi, "absolute")
