"""One critical value for a whole family, from the joint normal distribution of its members."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.intervals import quantile

Reals = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

_RIDGE = 1e-8
_BLOCK = 1_000


def correlation(covariance: Reals) -> Reals:
    """Return the correlation matrix; a member without variance is taken as independent.

    Examples
    --------
    >>> correlation(np.array([[4.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]])).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    variance = np.diag(covariance)
    flat = ~(variance > 0.0)
    scale = 1.0 / np.sqrt(np.where(flat, 1.0, variance))
    found = np.asarray(covariance * scale[:, None] * scale[None, :], dtype=np.float64)
    found[flat, :] = 0.0
    found[:, flat] = 0.0
    np.fill_diagonal(found, 1.0)
    return found


def joint_draws(correlated: Reals, rng: np.random.Generator, n: int) -> Iterator[Singles]:
    """Yield `n` joint standard normal draws in blocks of shape ``(some, family)``.

    In single precision: what is read off them has two or three digits.

    Examples
    --------
    >>> blocks = joint_draws(np.eye(2), np.random.default_rng(0), 1_500)
    >>> [block.shape for block in blocks]
    [(1000, 2), (500, 2)]
    """
    from scipy.linalg.blas import strmm

    size = len(correlated)
    # Members may repeat each other (F against M, M against F): the ridge keeps the root real.
    root = np.linalg.cholesky(correlated / (1.0 + _RIDGE) + _RIDGE * np.eye(size))
    upper = np.asfortranarray(root.T, dtype=np.float32)
    for start in range(0, n, _BLOCK):
        shape = min(_BLOCK, n - start), size
        free = np.asfortranarray(rng.standard_normal(shape, dtype=np.float32))
        yield strmm(1.0, upper, free, side=1, overwrite_b=1)


@dataclass(frozen=True, slots=True)
class Joint:
    """What the joint distribution of a family says.

    Parameters
    ----------
    critical
        Quantile of the largest absolute value; None of an empty family.
    ranges
        Mean of max minus min of each set, were there no true difference at all.
    """

    critical: float | None
    ranges: tuple[float, ...]


def joint(
    covariance: Reals,
    level: float,
    rng: np.random.Generator,
    *,
    n: int,
    sets: Sequence[npt.NDArray[np.int64]] = (),
) -> Joint:
    """Return the critical value of a family, and the ranges of sets of it by chance alone.

    The critical value is never below that of a single estimate, and is rounded up to three
    decimals, finer than the draws know it, so that it does not hang on the last bit of a machine.

    Parameters
    ----------
    covariance
        Covariance matrix ``(family, family)``.
    level
        The simultaneous level.
    rng
        Where the draws come from.
    n
        How many draws.
    sets
        Members of the family, at least one in each set.

    References
    ----------
    Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346.

    Examples
    --------
    >>> rng, both = np.random.default_rng(1), np.array([0, 1])
    >>> found = joint(np.eye(2), 0.95, rng, n=20_000, sets=[both])
    >>> 2.2 < found.critical < 2.3, round(found.ranges[0], 1)
    (True, 1.1)
    """
    if not len(covariance):
        return Joint(None, ())
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    largest: list[Singles] = []
    total = np.zeros(len(sets))
    for block in joint_draws(correlation(covariance), rng, n):
        largest.append(np.abs(block).max(axis=1))
        total += [np.ptp(block[:, m] * errors[m], axis=1).sum() for m in sets]
    found = float(np.quantile(np.concatenate(largest), level))
    critical = float(np.ceil(max(found, quantile(level)) * 1000.0) / 1000.0)
    return Joint(critical, tuple(float(value / n) for value in total))
