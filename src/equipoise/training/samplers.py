"""Who is in a batch: each step's images, from the seed and the number of the step alone.

A batch hangs on nothing that came before, so a run that was killed goes on with the very batches
it would have had. No image is in a batch twice: it would be pushed away from itself.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidConfiguration, InvalidTable, UnknownName, nearest
from equipoise.training.grouping import Groups

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

Sampler = Callable[[int], Integers]
"""Step → positions of the images in its batch ``(batch,)``."""

_EPOCHS, _DRAWS, _BALANCED = 1, 2, 3  # streams that never meet, whatever the seed


def uniform(n: int, *, batch: int, seed: int) -> Sampler:
    """Return a sampler that goes through all images, in a new order each time.

    Examples
    --------
    >>> draw = uniform(4, batch=2, seed=0)
    >>> sorted([*draw(0).tolist(), *draw(1).tolist()])
    [0, 1, 2, 3]
    """
    a_pass = n // batch

    def draw(step: int) -> Integers:
        rng = np.random.default_rng((seed, _EPOCHS, step // a_pass))
        start = step % a_pass * batch
        return np.asarray(rng.permutation(n)[start : start + batch], dtype=np.int64)

    return draw


def weighted(weights: Reals, *, batch: int, seed: int) -> Sampler:
    """Return a sampler that draws images in proportion to weights, without repeats in a batch.

    Parameters
    ----------
    weights
        Of each image, at least 0; one of weight 0 is never drawn.
    batch, seed
        As elsewhere.

    References
    ----------
    Efraimidis & Spirakis 2006, Information Processing Letters 97:181 (by exponential keys).

    Examples
    --------
    >>> sorted(weighted(np.array([1.0, 0.0, 2.0]), batch=2, seed=0)(0).tolist())
    [0, 2]
    """
    eligible = np.flatnonzero(weights > 0)
    if len(eligible) < batch:
        raise InvalidConfiguration(
            f"sampler weights: {len(eligible)} images have a weight above 0; "
            f"expected at least {batch}, the batch",
            hint="lower the batch, or see whether this is the column of weights that was meant",
        )

    def draw(step: int) -> Integers:
        rng = np.random.default_rng((seed, _DRAWS, step))
        keys = rng.standard_exponential(len(eligible)) / weights[eligible]
        chosen = np.argpartition(keys, batch - 1)[:batch]
        return np.asarray(eligible[np.sort(chosen)], dtype=np.int64)

    return draw


def balanced(groups: Groups, *, batch: int, seed: int) -> Sampler:
    """Return a sampler with as many images of each known group in every batch.

    What is left over goes round the groups from step to step. Images of unknown group keep their
    share of the batch, rounded down.

    Parameters
    ----------
    groups
        Of each image.
    batch, seed
        As elsewhere.

    Raises
    ------
    InvalidConfiguration
        If a group has fewer images than its part of a batch.

    Examples
    --------
    >>> groups = Groups(("F", "M"), np.array([0, 1, 1, 1, 1, 1]))
    >>> sorted(groups.codes[balanced(groups, batch=2, seed=0)(0)].tolist())
    [0, 1]
    """
    members = [np.flatnonzero(groups.codes == code) for code in range(len(groups.names))]
    unknown = np.flatnonzero(groups.codes < 0)
    unasked = batch * len(unknown) // max(len(groups.codes), 1)
    most = -(-(batch - unasked) // max(len(members), 1))
    for name, inside in zip(groups.names, members, strict=True):
        if len(inside) < most:
            raise InvalidConfiguration(
                f"sampler groups: {name} has {len(inside)} images; expected at least {most}, its "
                f"part of a batch of {batch}",
                hint=f"lower the batch to {len(inside) * len(members)} or less, or merge groups",
            )

    def draw(step: int) -> Integers:
        rng = np.random.default_rng((seed, _BALANCED, step))
        parts = [
            rng.choice(inside, size=size, replace=False)
            for inside, size in zip(
                members, _parts(batch - unasked, len(members), step), strict=True
            )
        ]
        parts.append(rng.choice(unknown, size=unasked, replace=False))
        return np.sort(np.concatenate(parts)).astype(np.int64)

    return draw


SAMPLERS = ("uniform", "weights", "groups")
"""Kinds of sampler."""


def sampler(kind: str, *, groups: Groups, weights: Reals | None, batch: int, seed: int) -> Sampler:
    """Return the sampler of that kind.

    Parameters
    ----------
    kind
        One of `SAMPLERS`.
    groups
        Of each image.
    weights
        Of each image; for the kind *weights*.
    batch
        Images in a batch.
    seed
        Same seed, same batches.

    Raises
    ------
    UnknownName
        If there is no such kind.
    InvalidConfiguration
        If the batch is larger than the images, or what the kind needs is missing.
    InvalidTable
        If a weight is negative or not a number.

    Examples
    --------
    >>> one = Groups((), np.zeros(4, dtype=np.int64))
    >>> len(sampler("uniform", groups=one, weights=None, batch=3, seed=0)(7))
    3
    """
    n = len(groups.codes)
    if kind not in SAMPLERS:
        known = ", ".join(SAMPLERS)
        raise UnknownName(f"no sampler '{kind}'; known: {known}", hint=nearest(kind, SAMPLERS))
    if batch > n:
        raise InvalidConfiguration(
            f"batch {batch} is larger than the {n} images to learn from",
            hint=f"set batch to {n} or less",
        )
    if kind == "uniform":
        return uniform(n, batch=batch, seed=seed)
    if kind == "groups":
        if not groups.names:
            raise InvalidConfiguration(
                "sampler groups: no groups are declared; expected attributes or clusters",
                hint="say `group_by: [sex]`, or `clusters: {embeddings: …, n: 8}`",
            )
        return balanced(groups, batch=batch, seed=seed)
    if weights is None:
        raise InvalidConfiguration(
            "sampler weights: no weights were given",
            hint="say `sampler: {kind: weights, column: …}` and give the weights or a table",
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InvalidTable("sampler weights: a weight is negative or not a number")
    return weighted(weights, batch=batch, seed=seed)


def _parts(batch: int, n_groups: int, step: int) -> list[int]:
    whole, left = divmod(batch, max(n_groups, 1))
    return [whole + ((group - step) % n_groups < left) for group in range(n_groups)]
