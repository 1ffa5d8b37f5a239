"""What a batch is asked for, and what it gives: probes with how closely each is solved."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.probes.logistic import Embeddings, LogisticProbe, check_embeddings
from equipoise.probes.sums import Integers, Reals

Flags = npt.NDArray[np.bool_]

_BLOCK = 8192
_CONVERGED = 1e-6
_NEGLIGIBLE = 1e-6
_NOISE = 1e-7


@dataclass(frozen=True, slots=True)
class Columns:
    """The fits of a batch: of each its label, its pattern of weights and its penalty.

    Parameters
    ----------
    label
        Column of the labels ``(k,)``.
    pattern
        Column of the weights ``(k,)``. A fold that is left out, a finding that is not assessed
        everywhere, a reweighting or a resampling by a seed are patterns each.
    penalty
        Above 0 ``(k,)``.
    names
        Of each fit, for messages; by default their numbers.

    Raises
    ------
    InvalidConfiguration
        If there is none, lengths differ, or a penalty is not a number above 0.

    Examples
    --------
    >>> Columns(np.array([0, 0]), np.array([0, 0]), np.array([0.1, 0.0]))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: column 1: penalty 0.0; expected a number above 0
    """

    label: Integers
    pattern: Integers
    penalty: Reals
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        sizes = {len(self.label), len(self.pattern), len(self.penalty)}
        sizes |= {len(self.names)} if self.names else set()
        if len(sizes) > 1 or not len(self.label):
            raise InvalidConfiguration(
                f"columns: labels, patterns, penalties and names of lengths {sorted(sizes)}; "
                "expected one length, 1 or more"
            )
        bad = ~(np.isfinite(self.penalty) & (self.penalty > 0))
        if bad.any():
            at = int(bad.argmax())
            raise InvalidConfiguration(
                f"column {self.name(at)}: penalty {self.penalty[at]}; expected a number above 0"
            )

    def __len__(self) -> int:
        return len(self.label)

    def name(self, at: int) -> str:
        """Return what a column is called in messages."""
        return f"'{self.names[at]}'" if self.names else str(at)

    def check(self, n_labels: int, n_patterns: int) -> None:
        """Refuse a column whose label or pattern is not there.

        Raises
        ------
        InvalidConfiguration
            Naming the column.
        """
        for what, given, n in (
            ("label", self.label, n_labels),
            ("pattern", self.pattern, n_patterns),
        ):
            bad = (given < 0) | (given >= n)
            if bad.any():
                at = int(bad.argmax())
                raise InvalidConfiguration(
                    f"column {self.name(at)}: {what} {given[at]}; expected 0 to {n - 1}"
                )


@dataclass(frozen=True, slots=True)
class Fits:
    """Fitted probes, each of c functions: 1, or one per class of a multinomial.

    Parameters
    ----------
    columns
        What was asked for.
    weights
        ``(k, c, d)``, for standardised embeddings.
    intercept
        ``(k, c)``.
    mean, scale
        By which each fit standardises ``(k, d)``; the scale of a constant column is 1.
    value
        Of the objective ``(k,)``.
    gradient_norm
        Largest absolute entry of the gradient of the objective, by intercept and the weights of
        columns that are not constant, where fitting ended ``(k,)``.
    passes
        Over the data ``(k,)``.
    tolerance
        What the gradient norm should reach.
    """

    columns: Columns
    weights: Reals
    intercept: Reals
    mean: Reals
    scale: Reals
    value: Reals
    gradient_norm: Reals
    passes: Integers
    tolerance: float

    @property
    def converged(self) -> Flags:
        """Whether each reached the tolerance ``(k,)``."""
        found: Flags = self.gradient_norm <= self.tolerance
        return found

    @property
    def failures(self) -> list[str]:
        """Say of each fit that did not reach the tolerance how far it came."""
        return [
            f"column {self.columns.name(at)}: gradient norm {self.gradient_norm[at]:.1e} after "
            f"{self.passes[at]} passes; expected at most {self.tolerance:.1e}"
            for at in map(int, np.flatnonzero(~self.converged))
        ]

    def outputs(self, x: Embeddings) -> Reals:
        """Return log odds, or predictions of a ridge, of each row ``(n, k, c)``.

        Raises
        ------
        InvalidTable
            If rows have another length than those of training, or hold NaN.
        """
        check_embeddings(x)
        k, c, d = self.weights.shape
        if x.shape[1] != d:
            raise InvalidTable(f"embeddings: vectors of length {x.shape[1]}; expected {d}")
        slopes = (self.weights / self.scale[:, None, :]).reshape(k * c, d)
        # A common centre, near all means, so that nothing large cancels.
        centre = self.mean.mean(axis=0)
        shift = np.repeat(centre - self.mean, c, axis=0)
        offset = self.intercept.ravel() + (shift * slopes).sum(axis=1)
        found = np.empty((len(x), k * c))
        for start in range(0, len(x), _BLOCK):
            rows = x[start : start + _BLOCK] - centre
            np.matmul(rows, slopes.T, out=found[start : start + _BLOCK])
        found += offset
        return found.reshape(len(x), k, c)

    def probe(self, at: int) -> LogisticProbe:
        """Return one logistic fit by itself.

        Raises
        ------
        InvalidConfiguration
            If it is a multinomial.
        """
        if self.weights.shape[1] != 1:
            raise InvalidConfiguration(
                f"column {self.columns.name(at)}: {self.weights.shape[1]} classes; expected two"
            )
        norm = float(self.gradient_norm[at])
        return LogisticProbe(
            weights=self.weights[at, 0],
            intercept=float(self.intercept[at, 0]),
            mean=self.mean[at],
            scale=self.scale[at],
            penalty=float(self.columns.penalty[at]),
            iterations=int(self.passes[at]),
            gradient_norm=norm,
            converged=norm <= _CONVERGED,
        )


def standardisation(shift: Reals, around: Reals, centre: Reals) -> tuple[Reals, Reals, Flags]:
    """Return mean, scale and which are constant ``(…, d)``; these have scale 1, as in `standard`.

    Parameters
    ----------
    shift, around
        Weighted means of the rows and of their squares about `centre` ``(…, d)``.
    centre
        ``(d,)``.

    Examples
    --------
    >>> mean, scale, constant = standardisation(
    ...     np.array([1.0, 0.0]), np.array([5.0, 0.0]), np.ones(2))
    >>> mean.tolist(), scale.tolist(), constant.tolist()
    ([2.0, 1.0], [2.0, 1.0], [False, True])
    """
    mean = centre + shift
    scale = np.sqrt(np.maximum(around - shift**2, 0.0))
    # float32 noise in a constant column must not be blown up to unit variance
    constant = scale <= np.maximum(_NEGLIGIBLE * np.abs(mean), _NOISE * np.sqrt(around))
    scale[constant] = 1.0
    return mean, scale, constant
