"""Sensitivity at a fixed specificity, and the reverse, of one group's labels and scores."""

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.literature.given import Integers, labelled, reaching
from equipoise.metrics.literature.published import Reals

_SNAP = 1e-9
"""How near a share must be to the one that is asked for, to be it."""


def sensitivity_at_specificity(
    label: npt.ArrayLike, score: npt.ArrayLike, *, specificity: float
) -> float | None:
    """Return the highest sensitivity that a threshold reaches at no less than a specificity.

    It is attained by a threshold: nothing is interpolated, so it can be had in practice. It is the
    sensitivity at the operating point ``specificity=0.9`` of this package if that were chosen on
    the same images, and so looks better than on other images, most of all in small groups.

    Parameters
    ----------
    label
        Shape ``(n,)``, 0 or 1.
    score
        Shape ``(n,)``; positive where it reaches the threshold.
    specificity
        The least there must be, in [0, 1].

    Returns
    -------
    None where a class is absent.

    Raises
    ------
    InvalidTable, InvalidConfiguration
        If a label or score, or the specificity, cannot be.

    References
    ----------
    Zhang et al. 2022, CHIL (CXR_Fairness); Zhou, Obuchowski & McClish 2011, Statistical Methods in
    Diagnostic Medicine, chapter 4.

    Examples
    --------
    >>> sensitivity_at_specificity([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9], specificity=0.75)
    0.5
    """
    curve = _curve(label, score, specificity, "specificity")
    if curve is None:
        return None
    held, reached = curve
    return float(reached[held >= specificity - _SNAP].max())


def specificity_at_sensitivity(
    label: npt.ArrayLike, score: npt.ArrayLike, *, sensitivity: float
) -> float | None:
    """Return the highest specificity that a threshold holds at no less than a sensitivity.

    Parameters
    ----------
    label, score
        As of `sensitivity_at_specificity`.
    sensitivity
        The least there must be, in [0, 1].

    Raises
    ------
    InvalidTable, InvalidConfiguration
        As of `sensitivity_at_specificity`.

    References
    ----------
    As of `sensitivity_at_specificity`.

    Examples
    --------
    >>> specificity_at_sensitivity([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9], sensitivity=0.75)
    0.5
    """
    curve = _curve(label, score, sensitivity, "sensitivity")
    if curve is None:
        return None
    held, reached = curve
    return float(held[reached >= sensitivity - _SNAP].max())


def sensitivity_at_specificity_medfair(
    label: npt.ArrayLike, score: npt.ArrayLike, *, specificity: float
) -> float | None:
    """Return what MEDFAIR's code prints as the sensitivity at a specificity: not the ROC curve.

    It interpolates between the corners of the ROC curve in order of specificity, and so joins the
    wrong ends of its steps: the upper end at the lower specificity to the *lower* end at the
    higher. A perfect model has 0.2 at a specificity of 0.8. For comparison with published values
    only; `sensitivity_at_specificity` is the definition to use.

    Parameters
    ----------
    label, score, specificity
        As of `sensitivity_at_specificity`.

    Raises
    ------
    InvalidTable, InvalidConfiguration
        As of `sensitivity_at_specificity`.

    References
    ----------
    Zong, Yang & Hospedales 2023, MEDFAIR, ICLR: the code's *tpr_at_tnr*, at 0.8.

    Examples
    --------
    >>> round(sensitivity_at_specificity_medfair([0, 1], [0.1, 0.9], specificity=0.8), 9)
    0.2
    """
    curve = _curve(label, score, specificity, "specificity")
    if curve is None:
        return None
    held, reached = (part[::-1] for part in curve)
    kept = _corners(held, reached)
    order = np.argsort(held[kept], kind="stable")  # of a step the lower end comes first
    return float(np.interp(specificity, held[kept][order], reached[kept][order]))


def _curve(
    label: npt.ArrayLike, score: npt.ArrayLike, share: float, what: str
) -> tuple[Reals, Reals] | None:
    """Return specificity and sensitivity at each threshold, ascending in the first."""
    if not 0.0 <= share <= 1.0:
        raise InvalidConfiguration(f"{what}: {share}; expected a share from 0 to 1")
    truth, scores = labelled(label, score)
    if truth.all() or not truth.any():
        return None
    levels = np.append(np.unique(scores), np.inf)
    held = 1.0 - reaching(scores[~truth], levels) / (~truth).sum()
    return held, reaching(scores[truth], levels) / truth.sum()


def _corners(held: Reals, reached: Reals) -> Integers:
    """Return which points scikit-learn keeps of a ROC curve, from the strictest threshold on.

    The first one is added after the others are thinned, so it and its neighbour always stay.
    """
    bent = np.zeros(len(held), dtype=bool)
    for part in (held, reached):
        bent[2:-1] |= np.abs(np.diff(part[1:], 2)) > _SNAP
    bent[[0, 1, -1]] = True
    return np.flatnonzero(bent).astype(np.int64)
