"""How long labels take, and whom they reach; the patient is the unit."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arrival:
    """The share of cases whose label has come, by days since the case.

    Parameters
    ----------
    days
        ``(k,)``.
    share, low, high
        Kaplan-Meier estimate and its pointwise 95 % limits, ``(k,)``.
    median_days
        When half have a label; None if that was not reached.
    n, n_labelled, n_patients
        Cases, those with a label, patients.
    """

    days: Reals
    share: Reals
    low: Reals
    high: Reals
    median_days: float | None
    n: int
    n_labelled: int
    n_patients: int


def arrival(
    waited: Reals,
    came: Flags,
    patient: Integers,
    *,
    days: Reals,
    rng: np.random.Generator,
    replicates: int = 200,
) -> Arrival:
    """Return how the labels of a group came.

    A case without a label yet waited as long as it was there; it counts until then. The limits
    are quantiles over replicates in which each patient gets a weight, so that cases of one
    patient stay together.

    Parameters
    ----------
    waited
        Days from the case to its label, or to the day of the look, ``(n,)``.
    came
        Whether the label came, ``(n,)``.
    patient
        A number per patient, ``(n,)``.
    days
        Where the share is told.
    rng
        Draws the weights.
    replicates
        How many.

    References
    ----------
    Kaplan & Meier 1958, JASA 53:457; Rubin 1981, Annals of Statistics 9:130 (the bootstrap by
    weights, here of patients).

    Examples
    --------
    >>> made = arrival(np.array([5.0, 10.0, 20.0, 20.0]), np.array([True, True, False, False]),
    ...                np.arange(4), days=np.array([7.0, 14.0]), rng=np.random.default_rng(0))
    >>> made.share.tolist(), made.median_days
    ([0.25, 0.5], 10.0)
    """
    order = np.lexsort((~came, waited))
    time, event = waited[order], came[order]
    _, who = np.unique(patient[order], return_inverse=True)
    people = int(who.max()) + 1 if len(who) else 0
    place = np.searchsorted(time, days, side="right")
    share = _share(np.ones(len(time)), event)
    drawn = [
        np.r_[0.0, _share(rng.standard_exponential(people)[who], event)][place]
        for _ in range(replicates if len(time) else 0)
    ]
    told = np.r_[0.0, share][place]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0) if drawn else (told, told)
    half = np.flatnonzero(share >= 0.5 - 1e-12)
    return Arrival(
        days=days,
        share=told,
        low=np.minimum(low, told),
        high=np.maximum(high, told),
        median_days=float(time[half[0]]) if len(half) else None,
        n=len(time),
        n_labelled=int(event.sum()),
        n_patients=people,
    )


def _share(weight: Reals, event: Flags) -> Reals:
    """Return the share that has come after each case in order of time, events before the rest."""
    at_risk = np.cumsum(weight[::-1])[::-1]
    return np.asarray(1.0 - np.cumprod(1.0 - np.where(event, weight, 0.0) / at_risk))


def labelled_share(labelled: Flags, patient: Integers) -> tuple[float, float, float]:
    """Return the share of cases with a label, and its 95 % limits with patients as clusters.

    Parameters
    ----------
    labelled, patient
        ``(n,)``, n at least 1.

    References
    ----------
    Korn & Graubard 1998, Survey Methodology 24:193, as in `equipoise.metrics.intervals`.

    Examples
    --------
    >>> share, low, high = labelled_share(np.arange(40) < 30, np.arange(40))
    >>> share, round(low, 2), round(high, 2)
    (0.75, 0.6, 0.86)
    """
    from equipoise.metrics.intervals import quantile, rate_limits

    n = len(labelled)
    _, who = np.unique(patient, return_inverse=True)
    people = int(who.max()) + 1
    share = float(labelled.mean())
    sums = np.bincount(who, labelled - share)
    spread = float(np.square(sums).sum()) / n**2 * people / max(people - 1, 1)
    low, high = rate_limits(
        np.array([share]),
        np.array([spread]),
        np.array([float(n)]),
        np.array([float(people)]),
        quantile(0.95),
    )
    return share, float(low[0]), float(high[0])
