"""What second moments cannot be: symmetric, positive, and those of one set of influence values."""

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.moments import Family, families
from equipoise.metrics.parts.agreements import Agreed
from equipoise.metrics.parts.answers import numbers_of
from equipoise.metrics.parts.merging import digest_of
from equipoise.metrics.parts.messages import SECOND, Merged, Second

Reals = npt.NDArray[np.float64]

_CLOSE = 1e-9
"""Relative: what is computed in two ways in double precision agrees by far within this."""


def check_second(second: Second, merged: Merged, agreed: Agreed) -> None:
    """Raise if second moments cannot be those of any patients.

    Raises
    ------
    InvalidTable
        Naming the part, the table, the subgroup, what was found and what was expected.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import first, merge, population_of
    >>> import polars as pl
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> people = population_of(pl.DataFrame({"sex": ["F"]}), agreed, patient=None)
    >>> merged = merge([first(people, agreed, name="site-1")], agreed, disjoint_patients=True)
    >>> empty = np.zeros((0, 0))
    >>> check_second(Second(("site-1",), "ab", empty, empty, empty, empty, empty), merged, agreed)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: moments: 'site-1' looked at merged counts 'ab'; expected others
    """
    (name,) = second.names
    bound = digest_of(merged)
    if second.of != bound:
        raise InvalidTable(
            f"moments: '{name}' looked at merged counts '{second.of[:12]}'; expected others",
            hint=f"those merged have the digest {bound[:12]}",
        )
    if name not in merged.names:
        raise InvalidTable(f"moments: '{name}' is none of those merged, {list(merged.names)}")
    _, found = numbers_of(merged, agreed)
    values, differences = families(found, agreed.compared)
    _check_arrays(second, agreed, (values, differences))
    _check_arms(second, merged, agreed)
    one, two = second.joint_values, second.joint_differences
    diagonal = second.variance[values.question, values.member]
    _check_matrix(name, "joint values", one, diagonal)
    group = np.array([c.group for c in agreed.compared.contrasts], dtype=np.int64)
    against = np.array([c.against for c in agreed.compared.contrasts], dtype=np.int64)
    question, member = differences.question, differences.member
    diagonal = (
        second.variance[question, group[member]]
        + second.variance[question, against[member]]
        - 2.0 * second.covariance[question, member]
    )
    _check_matrix(name, "joint differences", two, diagonal)


def _check_arrays(second: Second, agreed: Agreed, both: tuple[Family, Family]) -> None:
    questions, arms = len(agreed.questions), len(agreed.compared.names)
    n, m = (len(family.question) for family in both)
    expected = {
        "variance": (questions, arms),
        "fourth": (questions, arms),
        "covariance": (questions, len(agreed.compared.contrasts)),
        "joint_values": (n, n),
        "joint_differences": (m, m),
    }
    for name in SECOND:
        found = getattr(second, name)
        if found.dtype != np.float64 or found.shape != expected[name]:
            raise InvalidTable(
                f"moments: '{second.names[0]}': array '{name}' is {found.dtype} {found.shape}; "
                f"expected float64 {expected[name]}"
            )
        bad = ~np.isfinite(found)
        if bad.any():
            raise InvalidTable(
                f"moments: '{second.names[0]}': array '{name}' holds {int(bad.sum())} endless "
                "numbers; expected none"
            )


def _check_arms(second: Second, merged: Merged, agreed: Agreed) -> None:
    part = merged.names.index(second.names[0])
    of = np.array([position for position, _, _ in agreed.questions], dtype=np.int64)
    silent = ~merged.told[part][of]
    variance, fourth = second.variance, second.fourth
    for wrong, found, expected in (
        (variance < 0.0, "a negative variance", "none"),
        (fourth < 0.0, "a negative fourth moment", "none"),
        (silent & (variance > 0.0), "a variance, although it told nothing of it", "none"),
        (
            fourth > variance**2 * (1.0 + _CLOSE),
            "a fourth moment above the square of the variance",
            "at most that",
        ),
    ):
        _refuse(second.names[0], agreed, wrong, (found, expected))
    first = np.array([c.group for c in agreed.compared.contrasts], dtype=np.int64)
    last = np.array([c.against for c in agreed.compared.contrasts], dtype=np.int64)
    most = variance[:, first] * variance[:, last] * (1.0 + _CLOSE)
    wide = np.zeros(variance.shape, dtype=bool)
    rows, columns = np.nonzero(second.covariance**2 > most)
    wide[rows, first[columns]] = True
    said = "a covariance with its contrast above both variances", "at most their mean"
    _refuse(second.names[0], agreed, wide, said)


def _refuse(name: str, agreed: Agreed, wrong: npt.NDArray[np.bool_], said: tuple[str, str]) -> None:
    if not wrong.any():
        return
    question, arm = (int(place[0]) for place in np.nonzero(wrong))
    position, metric, point = agreed.questions[question]
    at = "" if point is None else f" at {agreed.named_points[point][1]}"
    raise InvalidTable(
        f"moments: '{name}': finding '{agreed.findings[position]}', {metric.name}{at}, "
        f"{agreed.compared.names[arm]}: {said[0]}; expected {said[1]}"
    )


def _check_matrix(name: str, what: str, matrix: Reals, diagonal: Reals) -> None:
    if not len(matrix):
        return
    scale = max(float(np.abs(matrix).max()), float(np.abs(diagonal).max()))
    slack = _CLOSE * scale
    if float(np.abs(matrix - matrix.T).max()) > slack:
        raise InvalidTable(f"moments: '{name}': {what} are not symmetric; expected a covariance")
    off = np.abs(np.diag(matrix) - diagonal)
    if float(off.max()) > slack:
        at = int(np.argmax(off))
        raise InvalidTable(
            f"moments: '{name}': {what}: {matrix[at, at]:.6g} at {at} of the diagonal; expected "
            f"the variance, {diagonal[at]:.6g}"
        )
    lowest = float(np.linalg.eigvalsh((matrix + matrix.T) / 2.0)[0])
    if lowest < -slack * len(matrix):
        raise InvalidTable(
            f"moments: '{name}': {what} have an eigenvalue of {lowest:.3g}; expected none below 0"
        )
