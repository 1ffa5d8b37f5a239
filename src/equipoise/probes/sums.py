"""Sums over rows that a batch of probes is fitted from: they add over parts and over sites."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Sums:
    """Arrays that add entry by entry."""

    __slots__ = ()

    def __add__(self, other: Self) -> Self:
        names = [one.name for one in fields(self)]  # type: ignore[arg-type]
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True, slots=True)
class Sample(Sums):
    """The plain sum of some thousand rows: where the data lie, roughly.

    Parameters
    ----------
    rows
        How many were taken.
    linear
        Their sum ``(d,)``.
    """

    rows: int
    linear: Reals


@dataclass(frozen=True, slots=True)
class Moments(Sums):
    """Weighted sums about a centre, by pattern of weights.

    Parameters
    ----------
    total
        Of the weights ``(patterns,)``.
    linear, square
        Weighted sums of rows and of their squares ``(patterns, d)``.
    classes, counted
        Weight, and rows that have any, by class ``(patterns, labels, classes)``.
    mass
        Weight by group ``(groups, patterns)``.
    sizes
        Rows by group ``(groups,)``, weighted or not.
    """

    total: Reals
    linear: Reals
    square: Reals
    classes: Reals
    counted: Reals
    mass: Reals
    sizes: Integers


@dataclass(frozen=True, slots=True)
class Grams(Sums):
    """Second moments of each group about a centre, with a last column of ones.

    Parameters
    ----------
    sizes
        Rows that were summed ``(groups,)``.
    second
        ``(groups, d + 1, d + 1)``.
    cross
        With the labels' codes as numbers ``(groups, labels, d + 1)``.
    squares
        Of the labels' codes ``(groups, labels)``.
    """

    sizes: Integers
    second: Reals
    cross: Reals
    squares: Reals


@dataclass(frozen=True, slots=True)
class Points:
    """Where slopes are asked for: k fits of c functions each; c is 1, or the number of classes.

    Parameters
    ----------
    centre
        ``(d,)``: subtracted from each row, as what lies far from 0 loses its digits in float32.
    slopes, offsets
        ``(k, c, d)`` and ``(k, c)``: log odds are ``slopes · (x - centre) + offsets``.
    label, pattern
        Which label and which weights each fit has ``(k,)``.
    total
        Of the weights of all parts ``(patterns,)``.
    n_groups
        Over all parts.
    """

    centre: Reals
    slopes: Reals
    offsets: Reals
    label: Integers
    pattern: Integers
    total: Reals
    n_groups: int


@dataclass(frozen=True, slots=True)
class Slopes(Sums):
    """Weighted mean log loss at some points, with its derivatives; parts of the whole's mean.

    Parameters
    ----------
    loss
        ``(k,)``.
    linear, level
        Derivatives by slopes ``(k, c, d)`` and offsets ``(k, c)``.
    curvature
        By offsets twice, by group ``(groups, k, c, c)``: ``p (1 - p)``, weighted.
    """

    loss: Reals
    linear: Reals
    level: Reals
    curvature: Reals


@dataclass(frozen=True, slots=True)
class Access:
    """The four questions that a fit asks; at home `local` answers, a federation asks its sites.

    Parameters
    ----------
    n_groups
        How many groups there are over all parts.
    sample
        → `Sample`.
    moments
        Centre → `Moments`.
    grams
        Centre, stride of each group's rows → `Grams`.
    slopes
        `Points` → `Slopes`.
    """

    n_groups: int
    sample: Callable[[], Sample]
    moments: Callable[[Reals], Moments]
    grams: Callable[[Reals, Integers], Grams]
    slopes: Callable[[Points], Slopes]
