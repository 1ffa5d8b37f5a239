"""What a published number is made of: values of groups that can all be had, or a reason why not.

Published code gives 0 for a rate of nothing, or leaves the group out. Here one group without a
value leaves the whole number without one, and the reason names the group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable

Reals = npt.NDArray[np.float64]
Groups = Mapping[str, float | None]
"""Group → its value; None or NaN where it is undefined."""


@dataclass(frozen=True, slots=True)
class Published:
    """One number by a published definition: a point, without an interval.

    Parameters
    ----------
    value
        None where it is undefined.
    reason
        Why it is undefined; None where there is a value.
    """

    value: float | None
    reason: str | None = None


def undefined(reason: str) -> Published:
    """Return no number, and why.

    Examples
    --------
    >>> undefined("one group").value is None
    True
    """
    return Published(None, reason)


def lacking(groups: Groups, what: str) -> str | None:
    """Return why a comparison over groups cannot be made, or None if it can.

    Parameters
    ----------
    groups
        Group → value.
    what
        What the values are, in words.

    Examples
    --------
    >>> lacking({"A": 0.5, "B": None}, "sensitivity")
    'sensitivity is undefined in B'
    >>> lacking({"A": 0.5}, "sensitivity")
    'sensitivity of 1 group; a comparison needs two'
    """
    absent = sorted(name for name, value in groups.items() if value is None or np.isnan(value))
    if absent:
        return f"{what} is undefined in {', '.join(absent)}"
    if len(groups) < 2:
        return f"{what} of {len(groups)} group{'' if groups else 's'}; a comparison needs two"
    return None


def told(groups: Groups, what: str, *, low: float = 0.0, high: float = 1.0) -> Reals:
    """Return the values of groups that all have one, shape ``(k,)``.

    Parameters
    ----------
    groups
        Group → value; none is null.
    what
        What the values are, in words.
    low, high
        Between which they must lie.

    Raises
    ------
    InvalidTable
        If a value cannot be.

    Examples
    --------
    >>> told({"A": 0.5, "B": 0.25}, "sensitivity").tolist()
    [0.5, 0.25]
    """
    for name, value in groups.items():
        if value is None or not low <= value <= high or np.isinf(value):
            raise InvalidTable(
                f"{what}: group '{name}' has {value}; expected a number from {low:g} to {high:g}"
            )
    return np.array([groups[name] for name in groups], dtype=np.float64)


def same_groups(groups: Sequence[Groups], what: Sequence[str]) -> None:
    """Refuse two rates that are not of the same groups.

    Raises
    ------
    InvalidTable
        If a group is in the one and not in the other.

    Examples
    --------
    >>> same_groups([{"A": 0.5}, {"A": 0.1}], ["sensitivity", "false positive rate"])
    """
    for other, name in zip(groups[1:], what[1:], strict=True):
        if set(other) != set(groups[0]):
            raise InvalidTable(
                f"{name}: groups {sorted(other)}; expected those of {what[0]}, {sorted(groups[0])}"
            )


def spread(groups: Groups, what: str, *, high: float = 1.0) -> Published:
    """Return the largest less the smallest value of the groups.

    Parameters
    ----------
    groups
        Group → value, from 0 to `high`.
    what
        What the values are, in words.
    high
        The largest that can be.

    Raises
    ------
    InvalidTable
        If a value cannot be.

    Examples
    --------
    >>> spread({"A": 0.5, "B": 0.75}, "sensitivity").value
    0.25
    """
    reason = lacking(groups, what)
    if reason:
        return undefined(reason)
    return Published(float(np.ptp(told(groups, what, high=high))))


def quotient(groups: Groups, what: str) -> Published:
    """Return the smallest over the largest value of the groups.

    Raises
    ------
    InvalidTable
        If a value is not in [0, 1].

    Examples
    --------
    >>> quotient({"A": 0.5, "B": 0.25}, "sensitivity").value
    0.5
    >>> quotient({"A": 0.0, "B": 0.0}, "sensitivity").reason
    'sensitivity is 0 in all groups: there is no ratio'
    """
    reason = lacking(groups, what)
    if reason:
        return undefined(reason)
    values = told(groups, what)
    if not values.max() > 0.0:
        return undefined(f"{what} is 0 in all groups: there is no ratio")
    return Published(float(values.min() / values.max()))


def first_reason(parts: Sequence[Published]) -> str | None:
    """Return why the first of several numbers that has no value has none.

    Examples
    --------
    >>> first_reason([Published(0.5), undefined("no positives")])
    'no positives'
    """
    return next((part.reason for part in parts if part.value is None), None)
