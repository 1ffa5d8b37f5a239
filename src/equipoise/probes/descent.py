"""L-BFGS on many convex problems at once, which share each pass over the data.

Each problem has its own memory, step and preconditioner, and ends by itself; what they share is
that one call evaluates all that are still under way. That one converges slowly changes no other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Evaluate = Callable[[Reals, Integers], tuple[Reals, Reals]]
Precondition = Callable[[Reals, Integers], Reals]
Norm = Callable[[Reals, Integers], Reals]

_MEMORY = 12
_TRIALS = 12
_DECREASE = 1e-4
_CURVATURE = 0.9
_NOISE = 1e-6
_FURTHEST = 8.0
_FAR = 4.0


@dataclass(frozen=True, slots=True)
class Ends:
    """Where k minimisations ended.

    Parameters
    ----------
    points
        ``(k, m)``.
    values, gradient_norms
        There ``(k,)``.
    passes
        Evaluations that each took ``(k,)``.
    """

    points: Reals
    values: Reals
    gradient_norms: Reals
    passes: Integers


@dataclass(slots=True)
class _State:
    """All problems under way: where they are, what they remember, how far they now try to go."""

    point: Reals
    value: Reals
    gradient: Reals
    norm: Reals
    passes: Integers
    steps: Reals
    yields: Reals
    inverse: Reals
    kept: Integers
    size: Reals
    direction: Reals
    fall: Reals
    trial: Reals
    low: Reals
    low_slope: Reals
    high: Reals
    high_slope: Reals
    trials: Integers


def descend(
    evaluate: Evaluate,
    precondition: Precondition,
    norm: Norm,
    start: Reals,
    *,
    tolerance: float,
    passes: int,
) -> Ends:
    """Return the minima of k smooth convex functions.

    Parameters
    ----------
    evaluate
        Points ``(j, m)`` and which of the k problems they are of ``(j,)`` → values ``(j,)`` and
        gradients ``(j, m)``.
    precondition
        Gradients ``(j, m)``, which ``(j,)`` → roughly what the inverse Hessian makes of them; a
        symmetric, positive definite map, which may change from call to call.
    norm
        Gradients ``(j, m)``, which ``(j,)`` → the norm ``(j,)`` that shall get small.
    start
        Where to begin ``(k, m)``.
    tolerance
        A problem ends when its norm is at most this.
    passes
        Evaluations at most. A problem also ends where rounding leaves nothing to gain; its norm
        says how far it came.

    References
    ----------
    Nocedal and Wright, *Numerical Optimization*, 2nd edition, 2006, chapter 7 (L-BFGS);
    Hager and Zhang 2005, SIAM J. Optim. 16:170 (steps accepted by slopes where values are noise).

    Examples
    --------
    >>> bend = np.array([[1.0, 10.0], [2.0, 3.0]])
    >>> found = descend(
    ...     lambda p, which: ((bend[which] * (p - 1) ** 2).sum(axis=1) / 2, bend[which] * (p - 1)),
    ...     lambda g, _: g, lambda g, _: np.abs(g).max(axis=1), np.zeros((2, 2)),
    ...     tolerance=1e-8, passes=100)
    >>> found.points.round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    active = np.arange(len(start))
    value, gradient = evaluate(start, active)
    state = _begun(start, value, gradient, norm(gradient, active))
    active = active[state.norm > tolerance]
    _aim(state, active, precondition)
    for _ in range(passes - 1):
        if not len(active):
            break
        at = state.point[active] + state.trial[active, None] * state.direction[active]
        value, gradient = evaluate(at, active)
        state.passes[active] += 1
        slope = (gradient * state.direction[active]).sum(axis=1)
        good = _acceptable(state, active, value, slope)
        _shorten_or_lengthen(state, active[~good], value[~good], slope[~good])
        moved = active[good]
        _remember(state, moved, at[good], value[good], gradient[good])
        state.norm[moved] = norm(gradient[good], moved)
        _aim(state, moved[state.norm[moved] > tolerance], precondition)
        under_way = (state.norm[active] > tolerance) & (state.trials[active] < _TRIALS)
        active = active[under_way]
    return Ends(state.point, state.value, state.norm, state.passes)


def _begun(point: Reals, value: Reals, gradient: Reals, norm: Reals) -> _State:
    k, m = point.shape
    steps = np.zeros((_MEMORY, k, m))
    return _State(
        point=point.astype(np.float64),
        value=value.copy(),
        gradient=gradient.copy(),
        norm=norm.copy(),
        passes=np.ones(k, np.int64),
        steps=steps,
        yields=steps.copy(),
        inverse=np.zeros((_MEMORY, k)),
        kept=np.zeros(k, np.int64),
        size=np.ones(k),
        direction=np.zeros((k, m)),
        fall=np.zeros(k),
        trial=np.ones(k),
        low=np.zeros(k),
        low_slope=np.zeros(k),
        high=np.full(k, np.inf),
        high_slope=np.zeros(k),
        trials=np.zeros(k, np.int64),
    )


def _acceptable(state: _State, active: Integers, value: Reals, slope: Reals) -> Flags:
    """Return where the step fell enough, by its value or, where that is noise, by its slope."""
    before, fall = state.value[active], state.fall[active]
    enough = value <= before + _DECREASE * state.trial[active] * fall
    level = (value <= before + _NOISE * np.abs(before)) & (slope <= -0.8 * fall)
    found: Flags = (enough | level) & (np.abs(slope) <= -_CURVATURE * fall)
    return found


def _shorten_or_lengthen(state: _State, which: Integers, value: Reals, slope: Reals) -> None:
    """Set the next trial of the steps that were not accepted, between those too short and too long.

    A convex function's slope grows along a line: what lies between is found from slopes.
    """
    if not len(which):
        return
    trial = state.trial[which]
    state.trials[which] += 1
    higher = value > state.value[which] + _NOISE * np.abs(state.value[which])
    long = ~np.isfinite(value) | (slope > 0) | higher
    state.high[which[long]], state.high_slope[which[long]] = trial[long], slope[long]
    state.low[which[~long]], state.low_slope[which[~long]] = trial[~long], slope[~long]
    low, high = state.low[which], state.high[which]
    from_slope, to_slope = state.low_slope[which], state.high_slope[which]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = from_slope / (from_slope - to_slope)
    part = np.where(np.isfinite(part) & (to_slope > 0), np.clip(part, 0.1, 0.9), 0.5)
    bounded = np.isfinite(high)
    width = np.where(bounded, high - low, 0.0)
    state.trial[which] = np.where(bounded, low + part * width, trial * _FURTHEST)


def _remember(state: _State, which: Integers, at: Reals, value: Reals, gradient: Reals) -> None:
    """Go to the accepted points and keep each step with what it did to the gradient."""
    step, gained = at - state.point[which], gradient - state.gradient[which]
    inner = (step * gained).sum(axis=1)
    size = np.sqrt((step**2).sum(axis=1) * (gained**2).sum(axis=1))
    sound = inner > 1e-12 * size
    kept = which[sound]
    slot = state.kept[kept] % _MEMORY
    state.steps[slot, kept], state.yields[slot, kept] = step[sound], gained[sound]
    state.inverse[slot, kept] = 1.0 / inner[sound]
    state.kept[kept] += 1
    state.point[which], state.value[which], state.gradient[which] = at, value, gradient


def _aim(state: _State, which: Integers, precondition: Precondition) -> None:
    """Set direction and first trial by the two loops of L-BFGS."""
    if not len(which):
        return
    _resize(state, which, precondition)
    direction = -_inverted(state, which, precondition)
    fall = (direction * state.gradient[which]).sum(axis=1)
    lost = ~(fall < 0)
    if lost.any():
        state.kept[which[lost]] = 0
        direction[lost] = -precondition(state.gradient[which[lost]], which[lost])
        fall[lost] = (direction[lost] * state.gradient[which[lost]]).sum(axis=1)
    state.direction[which], state.fall[which], state.low_slope[which] = direction, fall, fall
    state.trial[which], state.low[which], state.high[which] = 1.0, 0.0, np.inf
    state.trials[which] = 0


def _resize(state: _State, which: Integers, precondition: Precondition) -> None:
    """Size the preconditioner by the last step, where that was much longer or shorter than 1."""
    trial = state.trial[which]
    far = which[((trial > _FAR) | (trial < 1.0 / _FAR)) & (state.kept[which] > 0)]
    if not len(far):
        return
    slot = (state.kept[far] - 1) % _MEMORY
    gained = state.yields[slot, far]
    curved = (gained * precondition(gained, far)).sum(axis=1)
    state.size[far] = 1.0 / (state.inverse[slot, far] * curved)


def _inverted(state: _State, which: Integers, precondition: Precondition) -> Reals:
    vector = state.gradient[which].copy()
    kept = state.kept[which]
    most = min(int(kept.max()), _MEMORY)
    shares = np.zeros((most, len(which)))
    slots = [(kept - 1 - back) % _MEMORY for back in range(most)]
    for back, slot in enumerate(slots):
        weight = np.where(back < kept, state.inverse[slot, which], 0.0)
        shares[back] = weight * (state.steps[slot, which] * vector).sum(axis=1)
        vector -= shares[back][:, None] * state.yields[slot, which]
    vector = precondition(vector, which) * state.size[which, None]
    for back in reversed(range(most)):
        slot = slots[back]
        weight = np.where(back < kept, state.inverse[slot, which], 0.0)
        share = weight * (state.yields[slot, which] * vector).sum(axis=1)
        vector += (shares[back] - share)[:, None] * state.steps[slot, which]
    return vector
