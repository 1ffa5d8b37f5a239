"""What a judgement is made of: verdicts in their order, and what led to each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """A verdict; the worst of many decides."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    INCONCLUSIVE = "inconclusive"
    NOT_ASSESSABLE = "not assessable"
    FAIL = "fail"

    @property
    def severity(self) -> int:
        """Return 0 for the best, 3 for the worst.

        Examples
        --------
        >>> Verdict.FAIL.severity > Verdict.NOT_ASSESSABLE.severity
        True
        """
        return list(Verdict).index(self)

    @property
    def exit_code(self) -> int:
        """Return 0 for pass, 1 for fail, 3 otherwise.

        Examples
        --------
        >>> Verdict.INCONCLUSIVE.exit_code
        3
        """
        return {Verdict.PASS: 0, Verdict.FAIL: 1}.get(self, 3)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst; of none, *not assessable*: nothing was shown.

    Examples
    --------
    >>> worst([Verdict.PASS, Verdict.INCONCLUSIVE]).value, worst([]).value
    ('inconclusive', 'not assessable')
    """
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.NOT_ASSESSABLE)


@dataclass(frozen=True, slots=True)
class Part:
    """One group, or one contrast, under one criterion.

    Parameters
    ----------
    outcome
        What is said of it.
    reason
        Why, in a sentence.
    required
        Whether it counts where it is not assessable.
    facts
        Finding, candidate, operating point, subgroup, value and intervals, for JSON.
    """

    outcome: Verdict
    reason: str
    required: bool
    facts: Mapping[str, object]

    @property
    def counts(self) -> bool:
        """Whether it bears on the verdict."""
        return self.required or self.outcome is not Verdict.NOT_ASSESSABLE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one criterion, floor or requirement.

    Parameters
    ----------
    name, kind
        Of the criterion: *contrast*, *floor*, *required* or *unknown*.
    verdict
        The worst of its parts.
    reason
        That of the part that decided.
    parts
        All groups or contrasts, the worst first.
    facts
        Metric and tolerance or floor, for JSON.
    """

    name: str
    kind: str
    verdict: Verdict
    reason: str
    parts: tuple[Part, ...]
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, with all that led to it.

    Parameters
    ----------
    verdict
        The worst of all outcomes.
    reason
        A sentence.
    outcomes
        One per criterion, floor and requirement of the policy.
    policy
        Name, version, description and digest of the policy.
    """

    verdict: Verdict
    reason: str
    outcomes: tuple[Outcome, ...]
    policy: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """Return it as it stands in ``verdict.json``."""
        return {
            "verdict": self.verdict.value,
            "reason": self.reason,
            "exit_code": self.verdict.exit_code,
            "policy": dict(self.policy),
            "criteria": [_outcome(outcome) for outcome in self.outcomes],
        }


def concluded(name: str, kind: str, parts: Iterable[Part], facts: Mapping[str, object]) -> Outcome:
    """Return the outcome of a criterion from its parts.

    Examples
    --------
    >>> part = Part(Verdict.NOT_ASSESSABLE, "too few", False, {})
    >>> concluded("equal", "contrast", [part], {}).reason
    'nothing could be judged: too few'
    """
    ranked = sorted(parts, key=lambda p: (-p.outcome.severity, not p.required))
    counting = [part for part in ranked if part.counts]
    if not counting:
        why = ranked[0].reason if ranked else "nothing matches it"
        reason = f"nothing could be judged: {why}"
        return Outcome(name, kind, Verdict.NOT_ASSESSABLE, reason, tuple(ranked), facts)
    deciding = max(counting, key=lambda part: part.outcome.severity)
    return Outcome(name, kind, deciding.outcome, deciding.reason, tuple(ranked), facts)


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "name": outcome.name,
        "kind": outcome.kind,
        **outcome.facts,
        "outcome": outcome.verdict.value,
        "reason": outcome.reason,
        "judgements": [
            {
                **part.facts,
                "outcome": part.outcome.value,
                "reason": part.reason,
                "required": part.required,
                "deciding": part.counts and part.outcome is outcome.verdict,
            }
            for part in outcome.parts
        ],
    }
