"""A linear probe whose log odds are held to something between groups, beside the log loss."""

import numpy as np
import numpy.typing as npt

from equipoise import probes
from equipoise.mitigations.matching import Discrepancy
from equipoise.mitigations.rows import Training

Reals = npt.NDArray[np.float64]

_FLOOR = 1e-12
_SETTLED = 1e-4


def scored(
    rows: Training,
    *,
    penalty: float,
    strengths: tuple[float, ...],
    discrepancy: Discrepancy,
) -> probes.LogisticProbe:
    """Return a probe that minimises log loss + penalty + ``strength · discrepancy(log odds)``.

    Parameters
    ----------
    rows
        In an order that depends on what they hold: see `canonical`.
    penalty
        Above 0.
    strengths
        One after the other, each from where the one before ended; the last is the objective's.
    discrepancy
        Of the log odds ``(n, 1)``.

    Notes
    -----
    It begins at the plain probe, in coordinates that the curvature of the log loss whitens. Where
    the discrepancy is not convex, what is found is the local minimum that is reached from there.

    Examples
    --------
    >>> rows = Training(np.eye(4), np.array([True, False] * 2), np.full(4, "F"))
    >>> scored(rows, penalty=1.0, strengths=(0.0,),
    ...        discrepancy=lambda values: (0.0, 0.0 * values)).converged
    True
    """
    plain = probes.fit_logistic(rows.x, rows.y, penalty=penalty)
    mean, scale = plain.mean, plain.scale
    standard, truth = probes.standardised(rows.x, mean, scale), rows.y.astype(np.float64)
    ridge = np.append(np.full(rows.x.shape[1], penalty), 0.0)
    share = np.full(len(truth), 1.0 / len(truth))

    def curvature(point: Reals) -> Reals:
        bend = probes.gram(standard, share * probes.spread(standard @ point))
        return np.asarray(bend + np.diag(ridge + _FLOOR), dtype=np.float64)

    point, passes, norm = plain.point(mean, scale), plain.iterations, plain.gradient_norm
    for strength in strengths:

        def objective(at: Reals, strength: float = strength) -> tuple[float, Reals]:
            logit = standard @ at
            apart, slope = discrepancy(logit[:, None])
            by_logit = share * (probes.probability(logit) - truth) + strength * slope[:, 0]
            value = float(share @ (np.logaddexp(0.0, logit) - truth * logit)) + strength * apart
            return value + 0.5 * float(ridge @ at**2), by_logit @ standard + ridge * at

        found = probes.minimise(objective, curvature, point)
        point, passes, norm = found.point, passes + found.iterations, found.gradient_norm
    return probes.LogisticProbe(
        weights=point[:-1],
        intercept=float(point[-1]),
        mean=mean,
        scale=scale,
        penalty=penalty,
        iterations=passes,
        gradient_norm=norm,
        converged=norm <= _SETTLED,
    )
