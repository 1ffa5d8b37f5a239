"""Tests by betting: the wealth of a gambler who cannot win while the hypothesis holds.

Each case is a bet at odds that are fair, or worse, under the hypothesis. The wealth is then a
nonnegative supermartingale: that it ever reaches 1/α has a probability of at most α (Ville), at
whatever time one looks, and however one decides when to look. It is the e-value of the evidence
so far.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

STEADY = {0.1: 0.08, 0.3: 0.27, 0.5: 0.19}
"""Share of the wealth that is bet each time → stake of that gambler at the start."""

FOLLOWING = {30: 0.23, 90: 0.23}
"""Half-life (bets) of the memory of a gambler who bets what would have been best → stake."""

_MOST = 0.9
"""No bet is larger: who bets all may lose all."""

_PRIOR = 1.6
"""Sum of squares that a following gambler starts from, about that of 8 bets."""

_HELD = -1.0
"""What past losses count at most: good years do not make a follower blind to bad ones."""


def log_wealth(gains: Sequence[float] | Reals) -> Reals:
    """Return the logarithm of the wealth after each bet.

    Five gamblers share the stake. Three bet a steady share, which is quick if the hypothesis was
    wrong from the start. Two bet what would have been best over their recent past, and nothing
    while that speaks for the hypothesis: they lose little in good years, and notice when those
    end. No bet knows what it is on: that makes the wealth a supermartingale for any law, changing
    or not, under which no gain has a positive expectation given the past.

    Parameters
    ----------
    gains
        What a bet of the whole wealth would win, one by one, each at least -1; shape ``(n,)``.

    Returns
    -------
    ``(n,)``; empty without bets.

    Raises
    ------
    ValueError
        If a gain is below -1 or not a number.

    References
    ----------
    Ville 1939, Étude critique de la notion de collectif; Waudby-Smith & Ramdas 2024, J R Stat
    Soc B 86:1 (betting, with approximate growth-rate bets); Ramdas et al. 2023, Statistical
    Science 38:576 (e-processes; a mixture of them is one).

    Examples
    --------
    >>> log_wealth([]).tolist()
    []
    >>> bool(log_wealth([0.5] * 20)[-1] > np.log(20)), bool(log_wealth([-0.5] * 20)[-1] < 0)
    (True, True)
    """
    won = np.asarray(gains, dtype=np.float64)
    if not (won >= -1.0 - 1e-12).all():
        raise ValueError(f"gains: the least is {won.min() if won.size else None}; expected >= -1")
    paths = [np.log(stake) + np.cumsum(np.log1p(bet * won)) for bet, stake in STEADY.items()]
    for half_life, stake in FOLLOWING.items():
        bets = np.fromiter(_followed(won, half_life), np.float64, len(won))
        paths.append(np.log(stake) + np.cumsum(np.log1p(bets * won)))
    return np.asarray(np.logaddexp.reduce(np.array(paths), axis=0), dtype=np.float64)


def _followed(won: Reals, half_life: int) -> Iterator[float]:
    """Yield each bet, from the gains before it alone."""
    keep = 0.5 ** (1.0 / half_life)
    total, squares = 0.0, 0.0
    for gain in won.tolist():
        yield min(max(total / (squares + _PRIOR), 0.0), _MOST)
        total, squares = max(keep * total + gain, _HELD), keep * squares + gain * gain


def gap_gains(lower: Reals, higher: Reals, tolerance: float) -> Reals:
    """Return the gains of bets that one arm's mean is below the other's by more than tolerated.

    Parameters
    ----------
    lower, higher
        The arm that is suspected and the other: means of the same blocks, in [0, 1], ``(n,)``.
    tolerance
        The gap that the hypothesis allows.

    Examples
    --------
    >>> gap_gains(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.25).round(2).tolist()
    [-1.0, 0.6]
    """
    return np.asarray((higher - lower - tolerance) / (1.0 + tolerance), dtype=np.float64)


def floor_gains(values: Reals, floor: float) -> Reals:
    """Return the gains of bets that the mean of values in [0, 1] is below a floor.

    Examples
    --------
    >>> floor_gains(np.array([1.0, 0.0]), 0.6).round(2).tolist()
    [-1.0, 1.5]
    """
    return np.asarray((floor - values) / (1.0 - floor), dtype=np.float64)


def reached_gains(values: Reals, floor: float) -> Reals:
    """Return the gains of bets that the mean of values in [0, 1] is above a floor.

    Examples
    --------
    >>> reached_gains(np.array([1.0, 0.0]), 0.6).round(2).tolist()
    [0.67, -1.0]
    """
    return np.asarray((values - floor) / floor, dtype=np.float64)


def within_gains(first: Reals, second: Reals, tolerance: float) -> Reals:
    """Return the gains of bets that the first mean is less than the tolerance below the second.

    The hypothesis is that the gap is at least the tolerance: what must be refuted before a
    difference may be called tolerable.

    Examples
    --------
    >>> within_gains(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.25).round(2).tolist()
    [1.67, -1.0]
    """
    return np.asarray((first - second + tolerance) / (1.0 - tolerance), dtype=np.float64)
