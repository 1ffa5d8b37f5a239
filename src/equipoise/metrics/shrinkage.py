"""Values of small intersections, drawn towards what their attributes' main effects foretell.

A small group's own value is mostly noise. Its true value is taken to lie about the main-effects
fit as a normal distribution with standard deviation tau, learnt from all groups together, so that
it is drawn to the fit the more, the noisier it is (empirical Bayes). Right over the ensemble of
groups, not for each: a group that truly stands out is drawn in too. Shown beside the raw values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from equipoise.metrics.intervals import quantile

Reals = npt.NDArray[np.float64]

_LEAST = 3
"""Residual degrees of freedom below which tau cannot be learnt (Morris 1983: more than 2)."""
_NEAR = 1e-9
_STEP = 0.35
_BELOW, _ABOVE = 9.0, 18.0
"""How log tau² is stepped through, from below the smallest variance to above the largest."""
_UNLIKELY = 1e-7
_HALVINGS, _STEPS = 14, 3
"""Of the search for a limit: halvings to within about a thousandth of an error, then Newton's."""


@dataclass(frozen=True, slots=True)
class Shrunken:
    """Raw and shrunken values side by side; arrays ``(groups,)``, NaN where not estimable.

    Parameters
    ----------
    raw
        The group's own value.
    value, low, high
        Shrunken, with its interval.
    fit
        What the main effects foretell.
    weight
        How much of its own value is left: 1 raw, 0 fit. 0 of a group without a value of its own.
    tau
        Standard deviation of the true values about the fit, on the scale of the estimates; NaN
        where it could not be learnt: then nothing is shrunk.
    """

    raw: Reals
    value: Reals
    low: Reals
    high: Reals
    fit: Reals
    weight: Reals
    tau: float


def main_effects(groups: Sequence[Mapping[str, str]]) -> Reals:
    """Return a column for all and one per level of each attribute, shape ``(groups, columns)``.

    Of one attribute alone the main effects are the groups themselves, and nothing is shrunk; to
    shrink its levels to their mean give a single column of ones instead.

    Parameters
    ----------
    groups
        Attribute → level, the same attributes in each.

    Examples
    --------
    >>> main_effects([{"sex": "F", "age": "old"}, {"sex": "M", "age": "old"}]).tolist()
    [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]]
    """
    levels = sorted({pair for group in groups for pair in group.items()})
    columns = [[1.0 for _ in groups]]
    columns += [[float(group.get(name) == level) for group in groups] for name, level in levels]
    return np.array(columns).T.reshape(len(groups), len(columns))


def on_logits(values: Reals, covariance: Reals, trials: Reals | None) -> tuple[Reals, Reals]:
    """Return rates or AUROCs and their covariance on the logit scale, by the delta method.

    Parameters
    ----------
    values, covariance
        Of the groups, in [0, 1].
    trials
        Effective number of trials, shape ``(groups,)``. A value of 0 or 1 is infinite on this
        scale, and without variance: half an event is added to either side and it is taken as
        independent. Without trials it becomes null, as not estimated.

    References
    ----------
    Gart & Zweifel 1967, Biometrika 54:181 (half an event, and its variance).

    Examples
    --------
    >>> made = on_logits(np.array([0.5, 1.0]), np.diag([0.01, 0.0]), np.array([25.0, 25.0]))
    >>> made[0].round(2).tolist(), np.diag(made[1]).round(2).tolist()
    ([0.0, 3.93], [0.16, 2.04])
    """
    inner = (values > 0.0) & (values < 1.0) & (np.diag(covariance) > 0.0)
    inside = np.where(inner, values, 0.5)
    slope = np.where(inner, 1.0 / (inside * (1.0 - inside)), 0.0)
    scaled = covariance * slope[:, None] * slope[None, :]
    scaled[~inner, :] = 0.0
    scaled[:, ~inner] = 0.0
    found = np.where(inner, np.log(inside) - np.log1p(-inside), np.nan)
    variance = np.where(inner, np.diag(scaled), np.nan)
    if trials is not None:
        edge = ~inner & ~np.isnan(values) & (trials > 0.0)
        yes = np.where(edge, values * trials, 0.0) + 0.5
        no = np.where(edge, (1.0 - values) * trials, 0.0) + 0.5
        found = np.where(edge, np.log(yes / no), found)
        variance = np.where(edge, 1.0 / yes + 1.0 / no, variance)
    np.fill_diagonal(scaled, variance)
    return found, np.asarray(scaled, dtype=np.float64)


def shrink(estimates: Reals, covariance: Reals, design: Reals, *, level: float) -> Shrunken:
    """Return estimates shrunk to the fit of a design, each with an interval.

    Normal estimates about normal true values about a linear fit. The unknown variance tau² is
    integrated over its restricted likelihood (a flat prior, whose mode is the estimate by REML that
    is returned), so that an interval also holds what is not known of tau² and of the fit, as the
    correction of Morris does for independent estimates; here they may be correlated. Over the
    ensemble 95 % intervals hold for about 95 to 97 % (``benchmarks/spread.py``).

    Parameters
    ----------
    estimates, covariance
        On a scale where they are about normal; shape ``(groups,)`` and ``(groups, groups)``. A null
        value, or one without a variance above 0, is taken as not estimated: it gets the fit, with
        an interval for a new group, where the other groups determine it.
    design
        Shape ``(groups, columns)``, as from `main_effects`; columns may depend on each other.
    level
        Of the intervals: how often they hold, over the ensemble.

    References
    ----------
    Morris 1983, JASA 78:47; Morris & Tang 2011, Statistical Science 26:271 (the flat prior);
    Harville 1977, JASA 72:320 (restricted likelihood).

    Examples
    --------
    >>> values = np.array([0.1, -0.3, 0.2, 0.0, 0.9, -0.2])
    >>> found = shrink(values, 0.04 * np.eye(6), np.ones((6, 1)), level=0.95)
    >>> round(found.tau, 2), found.value.round(2).tolist()
    (0.38, [0.1, -0.24, 0.19, 0.02, 0.8, -0.16])
    """
    there = ~np.isnan(estimates) & (np.diag(covariance) > 0.0)
    basis = _independent(design, there)
    own, noise = estimates[there], covariance[np.ix_(there, there)]
    spare = len(own) - basis.inside.shape[1]
    if spare < _LEAST:
        return _unshrunk(estimates, np.where(there, np.diag(covariance), np.nan), level)
    nodes, likelihood, tau = _variances(own, noise, basis.inside)
    likely = likelihood > _UNLIKELY * likelihood.max()
    nodes, likelihood = nodes[likely], likelihood[likely] / likelihood[likely].sum()
    value, error, fit, weight = _given(own, noise, basis, nodes)
    low = _mixture_limit((1.0 - level) / 2.0, likelihood, value, error)
    high = _mixture_limit((1.0 + level) / 2.0, likelihood, value, error)
    found = Shrunken(own, likelihood @ value, low, high, likelihood @ fit, likelihood @ weight, tau)
    return _placed(found, estimates, basis)


def shrink_given(estimates: Reals, covariance: Reals, design: Reals, tau: float) -> Reals:
    """Return estimates shrunk at a known tau: the fit at 0, the estimates as it grows.

    Parameters
    ----------
    estimates, covariance, design
        As of `shrink`.
    tau
        Standard deviation of the true values about the fit.

    Examples
    --------
    >>> values, ones = np.array([0.0, 1.0]), np.ones((2, 1))
    >>> [shrink_given(values, np.eye(2), ones, tau).round(2).tolist() for tau in (0.0, 1.0, 99.0)]
    [[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]]
    """
    there = ~np.isnan(estimates) & (np.diag(covariance) > 0.0)
    basis = _independent(design, there)
    noise = covariance[np.ix_(there, there)]
    value = _given(estimates[there], noise, basis, np.array([tau**2]))[0]
    return _spread_out(value[0], basis, len(estimates))


def shrink_rates(
    values: Reals,
    covariance: Reals,
    design: Reals,
    *,
    trials: Reals | None,
    level: float,
) -> Shrunken:
    """Return rates or AUROCs shrunk on the logit scale, and carried back.

    Parameters
    ----------
    values, covariance, trials
        As of `on_logits`.
    design, level
        As of `shrink`. `tau` stays on the logit scale.

    Examples
    --------
    >>> values = np.array([0.8, 0.75, 0.85, 0.7, 0.9, 1.0])
    >>> covariance = np.diag(values * (1 - values) / 29)
    >>> found = shrink_rates(values, covariance, np.ones((6, 1)), trials=np.full(6, 30.0),
    ...                      level=0.95)
    >>> found.value.round(2).tolist()
    [0.81, 0.77, 0.84, 0.73, 0.88, 0.92]
    """
    found = shrink(*on_logits(values, covariance, trials), design, level=level)
    back = [_logistic(part) for part in (found.value, found.low, found.high, found.fit)]
    return Shrunken(values, back[0], back[1], back[2], back[3], found.weight, found.tau)


@dataclass(frozen=True, slots=True)
class _Basis:
    """The design in coordinates that do not depend on each other.

    `inside` ``(estimated, size)`` has orthonormal columns; `rows` ``(estimable, size)`` are the
    groups whose fit is determined, at the positions `at` of all; `where` are the positions, in
    these, of the groups that have an estimate.
    """

    inside: Reals
    rows: Reals
    at: npt.NDArray[np.int64]
    where: npt.NDArray[np.int64]


def _independent(design: Reals, there: npt.NDArray[np.bool_]) -> _Basis:
    """Return the basis of the groups with an estimate, and of those they determine."""
    left, singular, right = np.linalg.svd(design[there], full_matrices=False)
    kept = singular > _NEAR * singular.max(initial=0.0)
    right, singular = right[kept], singular[kept]
    outside = np.abs(design - design @ right.T @ right).max(axis=1, initial=0.0)
    at = np.flatnonzero(there | (outside < _NEAR * len(design)))
    rows = design[at] @ right.T / singular
    return _Basis(left[:, kept], rows, at, np.flatnonzero(there[at]))


def _spread_out(found: Reals, basis: _Basis, n: int) -> Reals:
    """Return numbers of the estimable groups at their positions among all."""
    whole = np.full(n, np.nan)
    whole[basis.at] = found
    return whole


def _given(
    own: Reals, noise: Reals, basis: _Basis, variance: Reals
) -> tuple[Reals, Reals, Reals, Reals]:
    """Return value, error, fit and weight of the estimable groups, a row per value of tau²."""
    each = variance[:, None, None]
    inverse = np.linalg.inv(noise + each * np.eye(len(own)))  # (nodes, estimated, estimated)
    half_way = basis.inside.T @ inverse
    of_fit = np.linalg.inv(half_way @ basis.inside)  # (nodes, size, size)
    slope = of_fit @ (half_way @ own)[:, :, None]  # (nodes, size, 1)
    fit = (basis.rows @ slope)[:, :, 0]
    pull = each * inverse  # what is left of a departure from the fit
    kept = np.diagonal(pull, axis1=1, axis2=2)
    value, weight = fit.copy(), np.zeros_like(fit)
    value[:, basis.where] += (pull @ (own[:, None] - basis.inside @ slope))[:, :, 0]
    weight[:, basis.where] = kept
    left = np.repeat(basis.rows[None], len(variance), axis=0)
    left[:, basis.where] -= pull @ basis.inside
    square = np.repeat(variance[:, None], fit.shape[1], axis=1)
    square[:, basis.where] -= variance[:, None] * kept
    square += np.sum(left @ of_fit * left, axis=2)
    return value, np.sqrt(np.maximum(square, 0.0)), fit, weight


def _variances(own: Reals, noise: Reals, inside: Reals) -> tuple[Reals, Reals, float]:
    """Return values of tau², how likely each is, and tau by restricted maximum likelihood.

    What is left of the estimates beside the fit, in coordinates in which it is independent, has
    the variances `known` + tau². The values are evenly spaced in log tau², where the likelihood is
    smooth and its tails fall exponentially.
    """
    whole, _ = np.linalg.qr(inside, mode="complete")
    beside = whole[:, inside.shape[1] :]
    known, turn = np.linalg.eigh(beside.T @ noise @ beside)
    square = np.square(turn.T @ (beside.T @ own))
    least, most = known.min(), max(known.max(), square.max())
    x = np.arange(np.log(max(least, _NEAR * most)) - _BELOW, np.log(most) + _ABOVE, _STEP)
    total = known + np.exp(x)[:, None]
    found = -0.5 * np.sum(np.log(total) + square / total, axis=1)
    at_zero = -0.5 * np.sum(np.log(known) + square / known) if least > 0.0 else -np.inf
    likelihood = np.exp(found + x - np.max(found + x))
    tau = float(np.exp(_peak(x, found) / 2.0)) if found.max() > at_zero + _NEAR else 0.0
    return np.exp(x), likelihood / likelihood.sum(), tau


def _peak(x: Reals, height: Reals) -> float:
    """Return where the parabola through the highest of evenly spaced points and its two peaks."""
    best = int(np.clip(height.argmax(), 1, len(x) - 2))
    before, top, after = height[best - 1 : best + 2]
    bend = before - 2.0 * top + after
    shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return float(x[best] + np.clip(shift, -0.5, 0.5) * (x[1] - x[0]))


def _mixture_limit(share: float, weight: Reals, centre: Reals, error: Reals) -> Reals:
    """Return below what that share of each mixture of normals lies, by bisection, then Newton.

    Parameters
    ----------
    share
        Between 0 and 1.
    weight
        Of the normals, shape ``(nodes,)``, together 1.
    centre, error
        Of the normals, shape ``(nodes, groups)``.
    """
    reach = abs(quantile(2.0 * share - 1.0)) + 1.0
    low, high = (centre - reach * error).min(axis=0), (centre + reach * error).max(axis=0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        below = weight @ ndtr((middle - centre) / error) < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    limit = (low + high) / 2.0
    for _ in range(_STEPS):
        z = (limit - centre) / error
        density = weight @ (np.exp(-0.5 * z * z) / error) / np.sqrt(2.0 * np.pi)
        step = (weight @ ndtr(z) - share) / np.maximum(density, _NEAR)
        limit = np.clip(limit - step, low, high)
    return np.asarray(limit, dtype=np.float64)


def _placed(found: Shrunken, raw: Reals, basis: _Basis) -> Shrunken:
    """Return the same with each number at its group's position among all."""
    n = len(raw)
    value, low, high, fit, weight = (
        _spread_out(part, basis, n)
        for part in (found.value, found.low, found.high, found.fit, found.weight)
    )
    return Shrunken(raw, value, low, high, fit, weight, found.tau)


def _unshrunk(raw: Reals, variance: Reals, level: float) -> Shrunken:
    """Return the raw values as they are, with the intervals of their own."""
    value = np.where(np.isnan(variance), np.nan, raw)
    half = quantile(level) * np.sqrt(variance)
    nothing = np.full(len(raw), np.nan)
    weight = np.where(np.isnan(value), np.nan, 1.0)
    return Shrunken(raw, value, value - half, value + half, nothing, weight, np.nan)


def _logistic(value: Reals) -> Reals:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(value, -700.0, 700.0))), dtype=np.float64)
