"""Counts add, second moments add: between parts that share no patient."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.evidence import digest
from equipoise.metrics.parts.agreements import Agreed
from equipoise.metrics.parts.messages import COUNTS, SECOND, Counts, Merged, Part, Second

Flags = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]


def merge(parts: Sequence[Part], agreed: Agreed, *, disjoint_patients: Literal[True]) -> Merged:
    """Return the counts of all parts together, the same in whatever order they came.

    Parameters
    ----------
    parts
        Each checked, as `unpacked` gives them.
    agreed
        What is counted.
    disjoint_patients
        Must be declared: a patient in two parts would be counted twice. `overlap` helps to see.

    Raises
    ------
    InvalidTable
        If it is not declared, there are no parts, two have one name, or one counted otherwise.

    Examples
    --------
    >>> merge([], None, disjoint_patients=False)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: parts: not declared to share no patient; they cannot be merged
    """
    if not bool(disjoint_patients):
        raise InvalidTable("parts: not declared to share no patient; they cannot be merged")
    if not parts:
        raise InvalidTable("parts: none to merge; expected one or more")
    parts = sorted(parts, key=lambda part: part.name)
    names = tuple(part.name for part in parts)
    if len(set(names)) < len(names):
        raise InvalidTable(f"parts: two are called the same; got {list(names)}")
    for part in parts:
        check_head(part.name, part.head, agreed)
        if part.clustered != parts[0].clustered:
            raise InvalidTable(
                f"parts: '{part.name}' {_knows(part)}, '{names[0]}' {_knows(parts[0])}; expected "
                "the same of all"
            )
    withheld = np.array([part.withheld for part in parts])
    told = ~withheld & (np.array([part.counts.of("images") for part in parts]) > 0)
    whole = Merged(names, parts[0].clustered, agreed.head, _sum(parts), withheld, told)
    few = whole.few(agreed)
    counts = without(whole.counts, agreed, few)
    return Merged(names, whole.clustered, whole.head, counts, withheld, told)


def sum_moments(seconds: Sequence[Second], merged: Merged) -> Second:
    """Return the second moments of all parts together, added in the order of their names.

    Parameters
    ----------
    seconds
        One of each part that was merged.
    merged
        The counts at which they were taken.

    Raises
    ------
    InvalidTable
        If a part is absent, came twice, is none of those merged, or looked at other counts.

    Examples
    --------
    >>> empty = np.zeros((0, 0))
    >>> nobody = Counts(*[np.zeros((0, 0), dtype=np.int64)] * 6)
    >>> merged = Merged(("a",), True, {}, nobody, empty > 0, empty > 0)
    >>> sum_moments([], merged)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: moments: none of 'a'; expected one of each part
    """
    bound = digest_of(merged)
    came = [name for second in seconds for name in second.names]
    for second in seconds:
        if second.of != bound:
            raise InvalidTable(
                f"moments: '{second.names[0]}' looked at merged counts {second.of[:12]}; expected "
                f"{bound[:12]}"
            )
    for name in sorted({*came, *merged.names}):
        if came.count(name) != 1 or name not in merged.names:
            n = "none" if name not in came else f"{came.count(name)}"
            expected = "one of each part" if name in merged.names else f"{list(merged.names)}"
            raise InvalidTable(
                f"moments: {n} of '{name}'; expected {expected}",
                hint="merge again the counts of the parts that are there, and ask them again",
            )
    ordered = sorted(seconds, key=lambda second: second.names)
    total = {name: np.sum([getattr(second, name) for second in ordered], axis=0) for name in SECOND}
    return Second(merged.names, bound, **total)


def without(counts: Counts, agreed: Agreed, hidden: Flags) -> Counts:
    """Return the counts with zeros of what is hidden.

    Parameters
    ----------
    counts, agreed
        What was counted.
    hidden
        Of which arms nothing is told, shape ``(findings, arms)``.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts.messages import shapes
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> ones = Counts(**{n: np.ones(s, dtype=np.int64) for n, s in shapes(agreed).items()})
    >>> without(ones, agreed, np.array([[False, True, True]])).of("images").tolist()
    [[1, 0, 0]]
    """
    of_point = np.array([position for position, _ in agreed.named_points], dtype=np.int64)
    of_question = np.array([position for position, _, _ in agreed.questions], dtype=np.int64)
    told = ~hidden
    return Counts(
        counts.people * told[None],
        counts.histogram * told[:, None, :, None],
        counts.confusion * told[of_point][:, None, :],
        counts.trial_patients * told[of_question],
        counts.loss * told[of_question][:, None, :],
        counts.unscored,
    )


def digest_of(merged: Merged) -> str:
    """Return what second moments are bound to: a digest of all that was merged.

    Examples
    --------
    >>> empty = np.zeros((0, 0))
    >>> nobody = Counts(*[np.zeros((0, 0), dtype=np.int64)] * 6)
    >>> len(digest_of(Merged(("a",), True, {}, nobody, empty > 0, empty > 0)))
    64
    """
    arrays = {name: getattr(merged.counts, name) for name in COUNTS}
    arrays |= {"withheld": merged.withheld, "told": merged.told}
    return digest(
        {
            "names": list(merged.names),
            "clustered": merged.clustered,
            "head": merged.head,
            "arrays": {
                name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
                for name, array in arrays.items()
            },
        }
    )


def check_head(name: str, head: Mapping[str, object], agreed: Agreed) -> None:
    """Raise if a part counted something else than was agreed, and say what.

    Raises
    ------
    InvalidTable
        With the first thing in which it differs; another version before all.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> check_head("site-2", {**agreed.head, "version": 0}, agreed)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: parts: 'site-2' has version = 0; agreed is 1
    """
    for field in dict.fromkeys([*agreed.head, *head]):
        mine, theirs = agreed.head.get(field), head.get(field)
        if mine != theirs:
            raise InvalidTable(
                f"parts: '{name}' has {field} = {theirs!r}; agreed is {mine!r}",
                hint="install the same version everywhere" if field == "version" else None,
            )


def _knows(part: Part) -> str:
    return "knows patients" if part.clustered else "takes images as independent"


def _sum(parts: Sequence[Part]) -> Counts:
    made = {name: sum(getattr(part.counts, name) for part in parts) for name in COUNTS}
    return Counts(**made)
