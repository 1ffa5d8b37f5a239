"""One critical value for a whole family, from the joint normal distribution of its members."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.intervals import quantile

Reals = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

_RIDGES = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3)
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


def root(covariance: Reals) -> Singles:
    """Return the upper triangle whose square is the correlation matrix of a covariance.

    Examples
    --------
    >>> root(np.array([[4.0, 0.0], [0.0, 1.0]])).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    correlated = correlation(covariance)
    # Members may repeat each other (F against M, M against F): the ridge keeps the root real, and
    # is no larger than rounding asks for.
    for ridge in _RIDGES:
        ridged = correlated / (1.0 + ridge) + ridge * np.eye(len(correlated))
        try:
            return np.asfortranarray(np.linalg.cholesky(ridged).T, dtype=np.float32)
        except np.linalg.LinAlgError:
            continue
    # What is no covariance at all is taken as independent, which is no narrower.
    return np.asfortranarray(np.eye(len(correlated)), dtype=np.float32)


def joint_draws(
    roots: Sequence[Singles], rng: np.random.Generator, n: int
) -> Iterator[list[Singles]]:
    """Yield `n` joint standard normal draws, some at a time, ``(some, size)`` for each block.

    In single precision: what is read off them has two or three digits. All blocks are made of the
    same independent draws: only what each block is by itself may be read off them.

    Parameters
    ----------
    roots
        From `root`, one for each block.
    rng
        Where the draws come from.
    n
        How many draws.

    Examples
    --------
    >>> made = joint_draws([root(np.eye(2))], np.random.default_rng(0), 1_500)
    >>> [block.shape for (block,) in made]
    [(1000, 2), (500, 2)]
    """
    from scipy.linalg.blas import strmm

    widest = max((len(one) for one in roots), default=0)
    some = _BLOCK if len(roots) == 1 else 4 * _BLOCK
    for start in range(0, n, some):
        shape = min(some, n - start), widest
        free = np.asfortranarray(rng.standard_normal(shape, dtype=np.float32))
        yield [strmm(1.0, one, free[:, : len(one)], side=1) for one in roots]


@dataclass(frozen=True, slots=True)
class Joint:
    """What the joint distribution of a family says.

    Parameters
    ----------
    critical
        Quantile of the largest absolute value; None of an empty family.
    ranges
        Mean of max minus min of each set, were there no true difference at all.
    maxima
        Sorted draws of the largest absolute value, by block.
    """

    critical: float | None
    ranges: tuple[float, ...]
    maxima: tuple[Singles, ...]


def joint(
    covariances: Sequence[Reals],
    level: float,
    rng: np.random.Generator,
    *,
    n: int,
    sets: Sequence[tuple[int, npt.NDArray[np.int64]]] = (),
) -> Joint:
    """Return the critical value of a family, and the ranges of sets of it by chance alone.

    The critical value is never below that of a single estimate, and is rounded up to three
    decimals, finer than the draws know it, so that it does not hang on the last bit of a machine.

    Parameters
    ----------
    covariances
        Covariance matrix ``(size, size)`` of each block. Blocks are taken as independent of each
        other: if they are not, the critical value is no smaller than it need be.
    level
        The simultaneous level.
    rng
        Where the draws come from.
    n
        How many draws.
    sets
        Block, and members of it, at least one in each set.

    References
    ----------
    Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346; Royen 2014, Far East Journal of
    Theoretical Statistics 48:139, for blocks.

    Examples
    --------
    >>> rng, both = np.random.default_rng(1), np.array([0, 1])
    >>> found = joint([np.eye(2)], 0.95, rng, n=20_000, sets=[(0, both)])
    >>> 2.2 < found.critical < 2.3, round(found.ranges[0], 1)
    (True, 1.1)
    """
    filled = [position for position, one in enumerate(covariances) if len(one)]
    if not filled:
        return Joint(None, (), ())
    errors = [np.sqrt(np.maximum(np.diag(one), 0.0)) for one in covariances]
    largest: list[list[Singles]] = [[] for _ in filled]
    total = np.zeros(len(sets))
    for drawn in joint_draws([root(covariances[b]) for b in filled], rng, n):
        for kept, block in zip(largest, drawn, strict=True):
            kept.append(np.abs(block).max(axis=1))
        by_block = dict(zip(filled, drawn, strict=True))
        total += [np.ptp(by_block[b][:, m] * errors[b][m], axis=1).sum() for b, m in sets]
    maxima = tuple(np.sort(np.concatenate(kept)) for kept in largest)
    found = max(_quantile(maxima, level), quantile(level))
    critical = float(np.ceil(found * 1000.0) / 1000.0)
    return Joint(critical, tuple(float(value / n) for value in total), maxima)


def _quantile(maxima: Sequence[Singles], level: float) -> float:
    """Return what the largest of all blocks exceeds in 1 - level of all cases."""
    if len(maxima) == 1:
        return float(np.quantile(maxima[0], level))
    low, high = 0.0, max(float(one[-1]) for one in maxima)
    while high - low > 1e-4:
        middle = (low + high) / 2.0
        inside = [np.searchsorted(one, middle, side="right") / len(one) for one in maxima]
        low, high = (low, middle) if np.prod(inside) >= level else (middle, high)
    return high
