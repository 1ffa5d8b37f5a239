"""Roughly the inverse Hessian of each fit, from the Gram matrices of its groups.

Within a group the Hessian of the log loss is the group's Gram matrix, weighted row by row by
``p (1 - p)``, or for several classes by ``diag(p) - p p'``. With the group's mean of that it is no
longer exact, but one Gram matrix per group then serves all fits, penalties and points.
"""

import numpy as np
import numpy.typing as npt

from equipoise.probes.sums import Grams, Integers, Reals

_CHANGED = 0.3
_REFRESHES = 3
_JITTER = 1e-6
_FLAT = 1e-3
_AT_ONCE = 8


class Preconditioner:
    """Cholesky factors in float32, one per fit and function, made anew while curvatures change.

    Their rounding does no harm: they only bend directions, and any direction downhill will do.

    Parameters
    ----------
    grams
        Of the groups, of all rows or of some.
    ridge
        Penalty of each entry ``(k, m)``.
    c
        Functions per fit.
    """

    def __init__(self, grams: Grams, ridge: Reals, c: int) -> None:
        k, m = ridge.shape
        known = grams.sizes > 0
        unit = np.zeros(grams.second.shape, np.float32)
        unit[known] = grams.second[known] / grams.sizes[known, None, None]
        self._unit = unit.reshape(len(unit), m * m)
        self._ridge = ridge
        self._seen = np.zeros((k, len(unit), c, c))
        self._used = self._seen.copy()
        self._turn = np.zeros((k, c, c))
        self._factors = np.zeros((k, c, m, m), np.float32)
        self._left = np.full(k, _REFRESHES + 1)

    def seen(self, which: Integers, curvature: Reals) -> None:
        """Take note of the mean curvature of groups ``(groups, j, c, c)`` where fits now are."""
        self._seen[which] = curvature.transpose(1, 0, 2, 3)

    def apply(self, gradient: Reals, which: Integers) -> Reals:
        """Return what the inverse makes of gradients ``(j, c · m)``."""
        from scipy.linalg import lapack

        self._refresh(which)
        _, c, m, _ = self._factors.shape
        turn = self._turn[which]
        three = turn.transpose(0, 2, 1) @ gradient.reshape(len(which), c, m)
        size = np.abs(three).max(axis=2, keepdims=True) + 1e-300
        right, found = (three / size).astype(np.float32), np.empty(three.shape)
        for row, at in enumerate(which):
            for function in range(c):
                # A row-major lower factor is a column-major upper one.
                found[row, function], _ = lapack.spotrs(
                    self._factors[at, function].T, right[row, function], lower=0
                )
        scaled: Reals = (turn @ (found * size)).reshape(gradient.shape)
        return scaled

    def _refresh(self, which: Integers) -> None:
        change = np.abs(self._seen[which] - self._used[which]).sum(axis=(1, 2, 3))
        used = np.abs(self._used[which]).sum(axis=(1, 2, 3))
        stale = (change > _CHANGED * used) & (self._left[which] > 0)
        ripe = which[stale]
        self._left[ripe] -= 1
        self._used[ripe] = self._seen[ripe]
        bends = self._turned(ripe)
        c = self._factors.shape[1]
        for start in range(0, len(ripe), _AT_ONCE):
            some = ripe[start : start + _AT_ONCE]
            for function in range(c):
                weights = bends[start : start + _AT_ONCE, :, function].astype(np.float32)
                for at, flat in zip(some, weights @ self._unit, strict=True):
                    self._factor(int(at), function, flat)

    def _turned(self, ripe: Integers) -> Reals:
        """Turn each fit's functions so that they hardly bend each other ``(j, groups, c)``.

        A multinomial's functions do: together they may rise and nothing happens, which is a
        direction of its own.
        """
        used = self._used[ripe]  # (j, groups, c, c)
        turn = self._turn[ripe] = np.linalg.eigh(used.sum(axis=1))[1]
        bends = np.einsum("jai,jgab,jbi->jgi", turn, used, turn)
        floor = _FLAT * np.einsum("jgaa->jg", used)[:, :, None]
        found: Reals = np.maximum(bends, floor)
        return found

    def _factor(self, at: int, function: int, flat: npt.NDArray[np.float32]) -> None:
        from scipy.linalg import lapack

        m = self._ridge.shape[1]
        hessian = flat.reshape(m, m)
        diagonal = np.einsum("ii->i", hessian)
        loaded = diagonal * (1.0 + _JITTER) + self._ridge[at] + np.finfo(np.float32).tiny * 1e6
        diagonal[:] = loaded
        factor, lack = lapack.spotrf(hessian.T, lower=0, clean=0, overwrite_a=1)
        if lack:  # rounding made it indefinite: its diagonal alone is safe
            factor = np.diag(np.sqrt(loaded)).astype(np.float32)
        self._factors[at, function] = factor.T
