"""The gate: estimates and a policy in, a verdict and the reasons for it out."""

from equipoise.gate.stage import Options, run, sources
from equipoise.policies import Judgement, Outcome, Part, Verdict, judge, worst

VERSION = 2
NEEDS = ("estimates",)
WANTS: tuple[str, ...] = ()
GIVES = ("verdict",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Judgement",
    "Options",
    "Outcome",
    "Part",
    "Verdict",
    "judge",
    "run",
    "sources",
    "worst",
]
