"""How often each patient is drawn in each replicate: Poisson(1), by a hash of patient and number.

Without state, so that a weight depends neither on the order of rows, nor on how they are cut into
chunks, nor on the site that computes it: only on the patient's id, the replicate and the seed.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable

Keys = npt.NDArray[np.uint64]
Weights = npt.NDArray[np.uint8]

_BITS = 64
_STEP = 0x9E3779B97F4A7C15
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def _steps() -> list[np.uint32]:
    """Return the distribution function of Poisson(1) in units of 2⁻³², below 1."""
    total, found = 0.0, []
    for k in range(20):
        total += math.exp(-1.0) / math.factorial(k)
        if (step := round(total * 2**32)) < 2**32:
            found.append(np.uint32(step))
    return found


_STEPS = _steps()
"""A patient is drawn once more for each of these that 32 random bits reach."""


def keyed(ids: Sequence[str] | npt.NDArray[np.integer] | npt.NDArray[np.str_]) -> Keys:
    """Return a 64-bit key per patient, shape ``(patients,)``, that depends on the id alone.

    Parameters
    ----------
    ids
        Shape ``(patients,)``: text, or whole numbers. The text ``"7"`` and the number 7 have
        different keys: sites that share patients must write ids alike.

    Raises
    ------
    InvalidTable
        If ids are neither.

    References
    ----------
    RFC 7693 (BLAKE2b, for text); Steele, Lea & Flood 2014, OOPSLA (the mixing of numbers).

    Examples
    --------
    >>> keyed(["a", "b", "a"]) == keyed(["a", "a", "b"])
    array([ True, False, False])
    >>> keyed([1.5])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: patients: ids are float64; expected text or whole numbers
    """
    given = np.asarray(ids)
    if given.dtype.kind in "iu":
        found: Keys = given.astype(np.uint64) + np.uint64(_STEP)
        return _mixed(found)
    words = given.tolist()
    if not all(isinstance(word, str) for word in words):
        raise InvalidTable(f"patients: ids are {given.dtype}; expected text or whole numbers")
    digests = b"".join(hashlib.blake2b(w.encode("utf-8"), digest_size=8).digest() for w in words)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def weights(keys: Keys, numbers: Sequence[int] | range, *, seed: int) -> Weights:
    """Return how often each patient is drawn, shape ``(replicates, patients)``.

    Parameters
    ----------
    keys
        Shape ``(patients,)``, of `keyed`.
    numbers
        Which replicates: ``range(1000)`` in one block or in ten gives the same.
    seed
        Of the whole bootstrap, from 0; sites that compute together share it.

    References
    ----------
    Chamandy, Muralidharan, Najmi & Naidu 2012, *Estimating uncertainty for massive data streams*
    (the Poisson bootstrap); Steele, Lea & Flood 2014, OOPSLA (the mixing of 64 bits).

    Examples
    --------
    >>> both = weights(keyed(["a", "b"]), range(3), seed=0)
    >>> both.tolist()
    [[0, 0], [1, 0], [2, 1]]
    >>> weights(keyed(["b"]), [2], seed=0).tolist()
    [[1]]
    """
    mask = (1 << _BITS) - 1
    start = np.array([(seed * _STEP + _STEP) & mask], dtype=np.uint64)
    # Python's whole numbers do not wrap: masked here, so that any seed and number has its key.
    steps = np.array([((int(n) + 1) * _STEP) & mask for n in numbers], dtype=np.uint64)
    stream = _mixed(_mixed(start) + steps)
    found = np.empty((len(stream), len(keys)), dtype=np.uint8)
    for place, one in enumerate(stream):
        found[place] = _poisson(_mixed(keys + one))
    return found


def _mixed(words: Keys) -> Keys:
    """Mix 64-bit words where they lie; products are taken modulo 2⁶⁴, as arrays of uint64 are."""
    words ^= words >> np.uint64(30)
    words *= _FIRST
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)
    return words


def _poisson(words: Keys) -> Weights:
    """Return the quantile of Poisson(1) at the upper 32 bits of each word."""
    bits = (words >> np.uint64(32)).astype(np.uint32)
    found = np.zeros(len(bits), dtype=np.uint8)
    for step in _STEPS:
        found += bits >= step
    return found
