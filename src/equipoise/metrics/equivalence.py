"""Whether a difference was shown to matter, not to matter, or neither, at a declared margin.

"No significant difference" is not equivalence: that takes an interval inside a margin which was
declared beforehand. There is no default margin. The rules are those a policy judges by.
"""

import math
from dataclasses import dataclass
from typing import Literal

from equipoise.errors import InvalidConfiguration

Answer = Literal["disparity", "equivalent", "disparity within the margin", "inconclusive"]
Limits = tuple[float, float]

_HOPELESS = 100.0


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What was shown of a difference.

    Parameters
    ----------
    answer
        None where the difference is not assessable.
    factor
        By how much the numbers must grow for an inconclusive difference to be decided, if it
        stayed as it is; infinite where it lies on the margin, 1 where it is decided.
    """

    answer: Answer | None
    factor: float

    def more(self, n: int) -> int | None:
        """Return how many more patients would decide, of a group of n; None beyond 100-fold.

        Standard errors shrink with the root of the numbers, and the other group is taken to grow in
        proportion; no more is taken into account.

        Examples
        --------
        >>> Equivalence("inconclusive", 2.5).more(40), Equivalence("equivalent", 1.0).more(40)
        (60, 0)
        """
        if not self.factor < _HOPELESS:
            return None
        if self.answer != "inconclusive":
            return 0
        return max(1, math.ceil(n * (self.factor - 1.0)))


def equivalence(
    value: float, simultaneous: Limits, pointwise: Limits, *, margin: float
) -> Equivalence:
    """Return what was shown of a difference, at a margin.

    *disparity*: the simultaneous 95 % interval lies wholly beyond the margin. *equivalent*: the
    pointwise 90 % interval lies wholly within it (two one-sided tests at 5 %); *disparity within
    the margin*: it does, and the simultaneous interval excludes 0: there is a difference, and it
    is smaller than what was declared to matter. Else *inconclusive*. A policy with this margin as
    tolerance fails, passes, passes, and is inconclusive.

    Parameters
    ----------
    value
        The difference; NaN where it is not assessable.
    simultaneous
        Its 95 % limits, for the family of differences.
    pointwise
        Its 90 % limits.
    margin
        What difference would matter, above 0; declared before looking.

    Raises
    ------
    InvalidConfiguration
        If the margin is not above 0.

    References
    ----------
    Schuirmann 1987, J Pharmacokinet Biopharm 15:657; the four answers: Tryon 2001, Psychological
    Methods 6:371.

    Examples
    --------
    >>> equivalence(0.01, (-0.03, 0.05), (-0.02, 0.04), margin=0.05).answer
    'equivalent'
    >>> equivalence(0.03, (0.01, 0.05), (0.015, 0.045), margin=0.05).answer
    'disparity within the margin'
    >>> unclear = equivalence(0.02, (-0.1, 0.14), (-0.07, 0.11), margin=0.05)
    >>> unclear.answer, round(unclear.factor, 2), unclear.more(50)
    ('inconclusive', 9.0, 400)
    """
    if not margin > 0.0:
        raise InvalidConfiguration(f"margin {margin}: expected a number above 0")
    numbers = (value, *simultaneous, *pointwise)
    if any(math.isnan(number) for number in numbers):
        return Equivalence(None, math.nan)
    if simultaneous[0] > margin or simultaneous[1] < -margin:
        return Equivalence("disparity", 1.0)
    if pointwise[0] >= -margin and pointwise[1] <= margin:
        apart = simultaneous[0] > 0.0 or simultaneous[1] < 0.0
        return Equivalence("disparity within the margin" if apart else "equivalent", 1.0)
    return Equivalence("inconclusive", _factor(value, simultaneous, pointwise, margin))


def _factor(value: float, simultaneous: Limits, pointwise: Limits, margin: float) -> float:
    """Return by how much the numbers must grow for the interval to end at the margin."""
    if abs(value) >= margin:
        half = value - simultaneous[0] if value > 0.0 else simultaneous[1] - value
        return _square(half, abs(value) - margin)
    return max(
        _square(pointwise[1] - value, margin - value),
        _square(value - pointwise[0], margin + value),
    )


def _square(half: float, room: float) -> float:
    return math.inf if room <= 0.0 else (half / room) ** 2
