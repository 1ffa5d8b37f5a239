"""CUSUM charts: quick early warnings that need a design, and never a verdict.

A chart is tuned to one drop and its limit to a mean time between false warnings. It warns again
and again if one waits long enough, and promises nothing if the rate it starts from is wrong.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Design:
    """What a chart is tuned to.

    Parameters
    ----------
    expected
        The rate while all is well.
    worse
        The rate that is to be noticed, below it.
    limit
        The sum at which it warns.
    run_length
        Mean number of cases between false warnings that the limit was simulated for.
    """

    expected: float
    worse: float
    limit: float
    run_length: int


def designed(
    expected: float, drop: float, *, run_length: int, rng: np.random.Generator, runs: int = 200
) -> Design:
    """Return a chart for a drop from an expected rate, its limit found by simulation.

    The time to a false warning is close to exponential, so that a chart with this mean run length
    warns within so many cases with probability 1 - 1/e: the limit is that quantile of the highest
    sum over simulated runs.

    Parameters
    ----------
    expected
        In (0, 1); moved to [0.02, 0.98], since a rate of 1 would make one miss a warning.
    drop
        How far below the rate lies that is to be noticed.
    run_length
        Mean number of cases between false warnings.
    rng
        Draws the runs.
    runs
        How many.

    References
    ----------
    Page 1954, Biometrika 41:100; Reynolds & Stoumbos 1999, J Quality Technology 31:87 (for
    single cases).

    Examples
    --------
    >>> made = designed(0.9, 0.1, run_length=500, rng=np.random.default_rng(0))
    >>> round(made.worse, 2), 2.0 < made.limit < 5.0
    (0.8, True)
    """
    usual = float(np.clip(expected, 0.02, 0.98))
    worse = max(usual - drop, usual / 2.0)
    up, down = np.log((1.0 - worse) / (1.0 - usual)), np.log(worse / usual)
    steps = np.array([up, down], dtype=np.float64)
    well = (rng.random(run_length) < usual for _ in range(runs))
    highest = [_sums(steps[run.astype(np.int64)]).max() for run in well]
    limit = float(np.quantile(highest, np.exp(-1.0)))
    return Design(usual, float(worse), max(limit, float(up)), run_length)


def cusum(values: Reals, design: Design) -> Reals:
    """Return the sum after each case; it stands at zero at least.

    Parameters
    ----------
    values
        1 for a case that went well, 0 for one that did not, or between; ``(n,)`` in order.
    design
        The chart.

    Examples
    --------
    >>> cusum(np.array([1.0, 0.0, 0.0]), Design(0.9, 0.8, 3.0, 500)).round(2).tolist()
    [0.0, 0.69, 1.39]
    """
    up = np.log((1.0 - design.worse) / (1.0 - design.expected))
    down = np.log(design.worse / design.expected)
    return _sums(values * down + (1.0 - values) * up)


def _sums(steps: Reals) -> Reals:
    """Return a walk that is held at zero from below."""
    walk = np.cumsum(steps)
    return np.asarray(walk - np.minimum.accumulate(np.minimum(walk, 0.0)), dtype=np.float64)
