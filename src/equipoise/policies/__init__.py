"""Policies: what must hold, as data, and the judgement of estimates by one.

Every number in a policy is the institution's own. Judging is a pure function of estimates and a
policy; it lives here because the gate, the release, the acceptance test and the monitor share it.
"""

from equipoise.policies.judging import judge
from equipoise.policies.loading import example, load, parse, validated
from equipoise.policies.schema import Criterion, Floor, Policy
from equipoise.policies.verdicts import Judgement, Outcome, Part, Verdict, worst

__all__ = [
    "Criterion",
    "Floor",
    "Judgement",
    "Outcome",
    "Part",
    "Policy",
    "Verdict",
    "example",
    "judge",
    "load",
    "parse",
    "validated",
    "worst",
]
