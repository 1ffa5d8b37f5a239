"""A small adapter between frozen embeddings and a probe: one hidden layer, fitted with it.

On embeddings alone a linear probe leaves nothing that a matching of features could act on; the
adapter is what it acts on. One hidden layer of tanh units needs no deep-learning library: its
gradient is a few products of matrices, and L-BFGS minimises it over all rows at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Fitted, described
from equipoise.mitigations.matching import Discrepancy, norm_gradient, normed
from equipoise.mitigations.orders import canonical
from equipoise.mitigations.rows import Training, checked, grouped
from equipoise.mitigations.steps import Step

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_SETTLED = 1e-5
_CONVERGED = 1e-3
_PACE = 0.02
_MOMENTUM = (0.9, 0.999)


class Layer(BaseModel):
    """Size and training of an adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(default=16, ge=1, le=1024, description="tanh units of the adapter")
    decay: float = Field(default=1e-3, gt=0, description="L2 penalty on the adapter's weights")
    passes: int = Field(default=300, ge=1, le=10_000, description="of L-BFGS, at most")


class Strength(Layer):
    """How strongly groups are brought together on the adapter, beside its size and training."""

    strength: float = Field(default=1.0, ge=0, description="of what holds groups together")


@dataclass(frozen=True, slots=True)
class Adapted:
    """An adapter and the probe on what it gives."""

    features: Step
    probe: probes.LogisticProbe


def adapted(
    rows: Training,
    layer: Layer,
    *,
    penalty: float,
    strength: float,
    discrepancy: Discrepancy | None,
    rng: np.random.Generator,
) -> Adapted:
    """Fit an adapter and a probe together, with a penalty on what differs between groups.

    Objective: mean log loss + ``penalty / 2 · |v|²`` + ``decay / 2 · |A|²`` + ``strength ·
    discrepancy(u)``. The layer is ``h = tanh(A · x + b)`` with A scaled so that each unit's input
    has spread 1 over the training rows, and u ``(n, hidden)`` is h brought to mean 0 and spread 1:
    so the discrepancy cannot be lowered by shrinking. It is not convex: what is found is a local
    minimum, the same for the same rows and generator.

    Parameters
    ----------
    rows
        In an order that depends on what they hold: see `canonical`.
    layer
        Of the adapter.
    penalty
        Of the probe, above 0.
    strength
        0 or more.
    discrepancy
        Of the hidden layer between groups.
    rng
        Draws where the adapter begins.

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.full(4, "F"))
    >>> found = adapted(rows, Layer(hidden=2), penalty=0.1, strength=0.0, discrepancy=None,
    ...                 rng=np.random.default_rng(0))
    >>> found.features.kind, len(found.probe.weights)
    ('tanh', 2)
    """
    from scipy import optimize

    network = _network(rows, layer, (penalty, strength), discrepancy)
    found = optimize.minimize(
        network.value,
        network.begin(rng),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": layer.passes,
            "maxfun": 2 * layer.passes,
            "gtol": _SETTLED,
            "ftol": 0.0,
            "maxcor": 20,
        },
    )
    return network.finished(found.x, int(found.nfev), float(np.abs(found.jac).max()))


def held_together(
    name: str,
    training: Training,
    chosen: Strength,
    *,
    penalty: float,
    rng: np.random.Generator,
    apart: Callable[[Training, Integers], Discrepancy],
) -> Fitted:
    """Return the fit of a member that differs from others only in what holds groups together.

    Parameters
    ----------
    name
        Of the member.
    training
        The rows; two groups or more.
    chosen
        Its parameters.
    penalty
        Of the probe, above 0.
    rng
        Draws what `apart` draws, then where the adapter begins.
    apart
        From rows in canonical order and the group of each ``(n,)``, -1 for none, to what is held
        low on the hidden layer.

    Raises
    ------
    InvalidTable
        If there are not two groups, or the rows are not fit to train on.

    Examples
    --------
    >>> from equipoise.mitigations.matching import covariance_gaps
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.arange(80) % 2 == 0, rng.normal(size=(80, 2))
    >>> rows = Training(x + y[:, None], y, np.where(np.arange(80) < 40, "F", "M"))
    >>> held_together("coral", rows, Strength(), penalty=0.1, rng=rng,
    ...               apart=lambda _, codes: covariance_gaps(codes)).mitigation
    'coral'
    """
    checked(training, penalty)
    rows = canonical(training)
    codes = grouped(rows, name)[1]
    found = adapted(
        rows,
        chosen,
        penalty=penalty,
        strength=chosen.strength,
        discrepancy=apart(rows, codes),
        rng=rng,
    )
    return described(Fitted(name, found.probe, features=found.features), rows)


def adapted_by_turns(
    rows: Training,
    layer: Layer,
    *,
    penalty: float,
    strength: float,
    discrepancy: Discrepancy,
    rng: np.random.Generator,
) -> Adapted:
    """Fit as `adapted`, by steps of Adam, where a discrepancy's adversary moves at every call.

    An adversary that is not solved to its optimum gives no function to search along a line; so it
    and the adapter move by turns. The last tenth of the steps is averaged.

    Parameters
    ----------
    rows, layer, penalty, strength, discrepancy, rng
        As for `adapted`.

    References
    ----------
    Kingma and Ba, *Adam: a method for stochastic optimization*, ICLR 2015.

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.full(4, "F"))
    >>> found = adapted_by_turns(rows, Layer(hidden=2), penalty=0.1, strength=0.0,
    ...     discrepancy=lambda values: (0.0, 0.0 * values), rng=np.random.default_rng(0))
    >>> found.probe.iterations
    300
    """
    network = _network(rows, layer, (penalty, strength), discrepancy)
    point = network.begin(rng)
    first, second = np.zeros_like(point), np.zeros_like(point)
    mean, n_mean, slope = np.zeros_like(point), 0, np.zeros_like(point)
    for step in range(1, layer.passes + 1):
        slope = network.value(point)[1]
        first = _MOMENTUM[0] * first + (1.0 - _MOMENTUM[0]) * slope
        second = _MOMENTUM[1] * second + (1.0 - _MOMENTUM[1]) * slope**2
        pace = _PACE * np.sqrt(1.0 - _MOMENTUM[1] ** step) / (1.0 - _MOMENTUM[0] ** step)
        point = point - pace * first / (np.sqrt(second) + 1e-8)
        if step > 0.9 * layer.passes:
            mean, n_mean = mean + point, n_mean + 1
    norm = float(np.abs(slope).max())
    return network.finished(mean / n_mean, layer.passes, norm)


@dataclass(frozen=True, slots=True)
class _Network:
    """Standardised rows; a point holds the matrix, the biases, the probe and its intercept."""

    mean: Reals
    scale: Reals
    rows: Reals
    truth: Reals
    layer: Layer
    strengths: tuple[float, float]
    discrepancy: Discrepancy | None

    def begin(self, rng: np.random.Generator) -> Reals:
        d, hidden = self.rows.shape[1], self.layer.hidden
        first = rng.normal(size=(d, hidden)) / np.sqrt(d)
        return np.concatenate([first.ravel(), np.zeros(2 * hidden + 1)])

    def parts(self, flat: Reals) -> tuple[Reals, Reals, Reals, float]:
        hidden = self.layer.hidden
        matrix = flat[: -2 * hidden - 1].reshape(self.rows.shape[1], hidden)
        return matrix, flat[-2 * hidden - 1 : -hidden - 1], flat[-hidden - 1 : -1], float(flat[-1])

    def value(self, flat: Reals) -> tuple[float, Reals]:
        """Return the objective and its gradient."""
        penalty, strength = self.strengths
        matrix, bias, weights, intercept = self.parts(flat)
        into, spread = normed(self.rows @ matrix)
        hidden = np.tanh(into + bias)
        unit, scale = normed(hidden)
        logit = unit @ weights + intercept
        miss = (probes.probability(logit) - self.truth) / len(self.truth)
        total = float(np.mean(np.logaddexp(0.0, logit) - self.truth * logit))
        by_unit = miss[:, None] * weights
        if self.discrepancy is not None and strength > 0:
            apart, slope = self.discrepancy(unit)
            total += strength * apart
            by_unit += strength * slope
        by_hidden = norm_gradient(unit, scale, by_unit) * (1.0 - hidden**2)
        # the decay is on the matrix as it acts: divided by the spread of what it gives
        size = (matrix**2).sum(axis=0) / spread**2
        by_into = norm_gradient(into, spread, by_hidden)
        by_into -= (self.layer.decay / len(self.truth)) * (size / spread) * into
        by_matrix = self.rows.T @ by_into + self.layer.decay * matrix / spread**2
        total += 0.5 * self.layer.decay * float(size.sum())
        total += 0.5 * penalty * float(weights @ weights)
        by_probe = miss @ unit + penalty * weights
        return total, np.concatenate(
            [by_matrix.ravel(), by_hidden.sum(axis=0), by_probe, [float(miss.sum())]]
        )

    def finished(self, flat: Reals, passes: int, norm: float) -> Adapted:
        """Return layer and probe with all scales folded in."""
        matrix, bias, weights, intercept = self.parts(flat)
        given = self.rows @ matrix
        spread = normed(given)[1]
        arrays: Mapping[str, Reals] = {
            "mean": self.mean,
            "scale": self.scale,
            "weights": np.ascontiguousarray(matrix / spread),
            "bias": bias - given.mean(axis=0) / spread,
        }
        hidden = np.tanh((given - given.mean(axis=0)) / spread + bias)
        probe = probes.LogisticProbe(
            weights=weights.copy(),
            intercept=intercept,
            mean=hidden.mean(axis=0),
            scale=normed(hidden)[1],
            penalty=self.strengths[0],
            iterations=passes,
            gradient_norm=norm,
            converged=norm <= _CONVERGED,
        )
        return Adapted(Step("tanh", arrays), probe)


def _network(
    rows: Training,
    layer: Layer,
    strengths: tuple[float, float],
    discrepancy: Discrepancy | None,
) -> _Network:
    mean, scale = probes.standard(rows.x, np.full(len(rows.y), 1.0 / len(rows.y)))
    standard = (rows.x - mean) / scale
    return _Network(mean, scale, standard, rows.y.astype(np.float64), layer, strengths, discrepancy)
