"""GroupDRO: the worst group's loss is what is minimised."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from equipoise import probes
from equipoise.mitigations.fitted import Declared, Fitted, described
from equipoise.mitigations.rows import Training, cells, checked, parsed

Reals = npt.NDArray[np.float64]

DECLARED = Declared(shape="during", group_in_training=True)

_WARMEST = 0.1
_COOLING = 0.25
_COLDEST = 1e-6
_FLOOR = 1e-12


class Parameters(BaseModel):
    """Whose loss counts, and how closely the minimum is sought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: Literal["label_group", "group"] = Field(
        default="label_group", description="cells of label and group, or groups alone"
    )
    adjustment: float = Field(
        default=0.0, ge=0, description="C: a group of n images has C / √n added to its loss"
    )
    tolerance: float = Field(
        default=0.002, gt=0, description="how far above its minimum the objective may end (nats)"
    )


@dataclass(frozen=True, slots=True)
class _Problem:
    """Standardised rows with the groups they belong to."""

    rows: Reals
    truth: Reals
    member: Reals
    rest: Reals
    known: float
    margin: Reals
    ridge: Reals

    def losses(self, logit: Reals) -> tuple[Reals, float]:
        """Return each group's adjusted mean loss, and the part of the loss that unknowns make."""
        loss = np.logaddexp(0.0, logit) - self.truth * logit
        return self.member.T @ loss + self.margin, float(self.rest @ loss)

    def smooth(self, point: Reals, heat: float) -> tuple[float, Reals]:
        """Return value and gradient with the maximum over groups softened by `heat`."""
        logit = self.rows @ point
        losses, rest = self.losses(logit)
        top = float(losses.max())
        soft = top + heat * float(np.log(np.exp((losses - top) / heat).sum()))
        share = self.known * (self.member @ softmax(losses / heat)) + self.rest
        gradient = (share * (probes.probability(logit) - self.truth)) @ self.rows
        value = self.known * soft + rest + 0.5 * float(self.ridge @ point**2)
        return value, gradient + self.ridge * point

    def curvature(self, point: Reals, heat: float) -> Reals:
        """Return the Hessian of `smooth`."""
        logit = self.rows @ point
        q = softmax(self.losses(logit)[0] / heat)
        share = self.known * (self.member @ q) + self.rest
        slope = (self.member * (probes.probability(logit) - self.truth)[:, None]).T @ self.rows
        centred = np.sqrt(q)[:, None] * (slope - q @ slope)  # (g, d + 1)
        bend = probes.gram(self.rows, share * probes.spread(logit))
        return bend + self.known / heat * (centred.T @ centred) + np.diag(self.ridge + _FLOOR)

    def gap(self, point: Reals, heat: float) -> float:
        """Return how far the worst loss exceeds the weighted one: a bound on what is left."""
        losses = self.losses(self.rows @ point)[0]
        return self.known * float(losses.max() - softmax(losses / heat) @ losses)


def fit(
    training: Training,
    *,
    penalty: float,
    parameters: Mapping[str, object],
    rng: np.random.Generator,
    start: probes.LogisticProbe | None = None,
) -> Fitted:
    """Fit a probe whose worst group has the least loss.

    Objective: ``max over groups of (mean log loss + C / √n)`` + ``penalty / 2 · |w|²``. Groups
    are needed for training, not at test time. Images of unknown group are no group of their own:
    their mean loss is added in proportion to their number.

    The maximum is the weights' game of the paper, in which a group's weight q grows as
    exp(loss). For a convex probe its equilibrium need not be approached by small steps: at
    temperature t it is ``q ∝ exp(loss / t)``, found by a smooth convex minimisation, and t is
    lowered, each time from the last solution, until the objective is within `tolerance` of its
    minimum, which is known from the gap between the worst and the q-weighted loss.

    Replication: not reliably better than plain training on ten medical sets (MEDFAIR); gains on
    chest radiographs did not hold out of distribution (Yang 2024).

    Parameters
    ----------
    training
        The rows.
    penalty
        Above 0; the paper finds that it must be strong (up to 1) for held-out groups to gain.
    parameters
        ``groups``: ``label_group`` (as in the paper) or ``group``; ``adjustment``: C, published
        0 to 5; ``tolerance``: in nats.
    rng
        Not drawn from.
    start
        A probe to start from: it saves time and changes nothing.

    References
    ----------
    Sagawa, Koh, Hashimoto, Liang, *Distributionally robust neural networks for group shifts*,
    ICLR 2020. Zong, Yang and Hospedales, *MEDFAIR*, ICLR 2023. Yang et al., *The limits of fair
    medical imaging AI in real-world generalization*, Nature Medicine 30, 2024. Nesterov,
    *Smooth minimization of non-smooth functions*, Mathematical Programming 103, 2005 (the
    smoothing).

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [0.0], [1.0], [1.0]])
    >>> rows = Training(x, np.array([0, 1, 0, 1, 0], bool), np.array(["F", "F", "F", "F", "M"]))
    >>> fitted = fit(rows, penalty=0.1, parameters={}, rng=np.random.default_rng(0))
    >>> fitted.groups[int(fitted.group_weights.argmax())], bool(fitted.gap <= 0.002)
    ('positive|F', True)
    """
    del rng
    chosen = parsed(Parameters, parameters, "group_dro")
    checked(training, penalty)
    names, codes = cells(training, chosen.groups)
    if not names:  # nobody's group is known: plain training, said under this name
        probe = probes.fit_logistic(training.x, training.y, penalty=penalty, start=start)
        return Fitted("group_dro", probe)
    share = np.full(len(training.y), 1.0 / len(training.y))
    mean, scale = probes.standard(training.x, share)
    rows = probes.standardised(training.x, mean, scale)
    problem = _problem(rows, training, codes, len(names), (penalty, chosen.adjustment))
    begin = np.zeros(rows.shape[1]) if start is None else start.point(mean, scale)
    found, heat, passes = _cooled(problem, begin, chosen.tolerance)
    gap = problem.gap(found.point, heat)
    probe = probes.LogisticProbe(
        weights=found.point[:-1],
        intercept=float(found.point[-1]),
        mean=mean,
        scale=scale,
        penalty=penalty,
        iterations=passes,
        gradient_norm=found.gradient_norm,
        converged=found.converged and gap <= chosen.tolerance,
    )
    fitted = described(Fitted("group_dro", probe, gap=gap), training, by=chosen.groups)
    return replace(fitted, group_weights=softmax(problem.losses(rows @ found.point)[0] / heat))


def softmax(values: Reals) -> Reals:
    """Return weights in proportion to ``exp(values)``, without overflow.

    Examples
    --------
    >>> softmax(np.array([1000.0, 1000.0])).tolist()
    [0.5, 0.5]
    """
    raised = np.exp(values - values.max())
    found: Reals = raised / raised.sum()
    return found


def _problem(
    rows: Reals,
    training: Training,
    codes: npt.NDArray[np.int64],
    n_groups: int,
    strength: tuple[float, float],
) -> _Problem:
    penalty, adjustment = strength
    known = codes >= 0
    n = np.bincount(codes[known], minlength=n_groups)
    member = np.zeros((len(codes), n_groups))
    member[known, codes[known]] = 1.0 / n[codes[known]]
    return _Problem(
        rows=rows,
        truth=training.y.astype(np.float64),
        member=member,
        rest=np.where(known, 0.0, 1.0 / len(codes)),
        known=float(known.mean()),
        margin=adjustment / np.sqrt(n),
        ridge=np.append(np.full(rows.shape[1] - 1, penalty), 0.0),
    )


def _cooled(
    problem: _Problem, begin: Reals, tolerance: float
) -> tuple[probes.Solution, float, int]:
    """Solve at falling temperature until the gap is within the tolerance."""
    heat, passes = _WARMEST, 0
    while True:
        found = probes.minimise(
            partial(problem.smooth, heat=heat), partial(problem.curvature, heat=heat), begin
        )
        passes += found.iterations
        if problem.gap(found.point, heat) <= tolerance or heat < _COLDEST:
            break
        begin, heat = found.point, heat * _COOLING
    return found, heat, passes
