"""The effect that each member is published for, on rows made for it, and what it costs.

Run as a module it prints the tables of ``docs/mitigations.md``.
"""

import sys
from dataclasses import dataclass, field
from functools import cache

from equipoise.mitigations import MITIGATIONS
from tests.mitigations import problems as p

SMALL = {"hidden": 4, "passes": 100}


@dataclass(frozen=True, slots=True)
class Effect:
    """A measure that moves, or does not, from one member to another.

    `moves` is *up* or *down*: the 95 % interval of the paired difference over seeds lies above or
    below 0; or *little*: it lies within `LITTLE` of 0.
    """

    name: str
    problem: object
    measure: object
    moves: str
    parameters: dict = field(default_factory=dict)
    against: tuple = ("plain", {})
    seeds: int = 8


LITTLE = 0.05

ADAPTER = ("crt", {**SMALL, "balance": "none"})
"""The adapter without any matching: what a matching is compared with."""

FIVE = {"seeds": 5}
HIDDEN = {**SMALL, "strength": 3.0}

EFFECTS = [
    Effect("reweighting", p.spurious, p.worst_cell, "up"),
    Effect("reweighting", p.spurious, p.best_cell, "down"),
    Effect("reweighting", p.minority, p.worst_auroc, "up", {"by": "group"}),
    Effect("reweighting", p.unequal, p.worst_cell, "up", {"by": "label"}),
    Effect("reweighting", p.spurious, p.worst_cell, "little", {"by": "group"}),
    Effect("resampling", p.spurious, p.worst_cell, "up"),
    Effect("resampling", p.minority, p.worst_auroc, "up", {"by": "group"}),
    Effect("resampling", p.unequal, p.worst_cell, "up", {"by": "label"}),
    Effect("group_dro", p.spurious, p.worst_cell, "up"),
    Effect("group_dro", p.minority, p.worst_auroc, "up"),
    Effect("group_dro", p.spurious, p.best_cell, "down"),
    Effect("proxy", p.subclasses, p.worst_cell, "up", {"clusters": 2}),
    Effect("proxy", p.minority, p.worst_auroc, "little"),
    Effect("mixup", p.spurious, p.worst_cell, "little"),
    Effect("lisa", p.spurious, p.worst_cell, "up"),
    Effect("jtt", p.spurious, p.worst_cell, "up", seeds=16),
    Effect("jtt", p.mislabelled, p.overall_auroc, "down"),
    Effect("cvar_dro", p.spurious, p.worst_tenth, "down"),
    Effect("cvar_dro", p.spurious, p.spread_of_scores, "down"),
    Effect("cvar_dro", p.spurious, p.worst_cell, "little", {"worst": 0.5}),
    Effect("dfr", p.spurious, p.worst_cell, "up"),
    Effect("crt", p.spurious, p.worst_cell, "up", SMALL, ADAPTER, **FIVE),
    Effect("domain_independent", p.minority, p.worst_auroc, "up"),
    Effect("domain_independent", p.spurious, p.worst_cell, "up"),
    Effect("leace", p.spurious, p.group_told, "down"),
    Effect("leace", p.spurious, p.worst_cell, "up"),
    Effect("leace", p.shifted, p.worst_cell, "down"),
    Effect("group_normalisation", p.shifted, p.worst_cell, "up"),
    Effect("group_normalisation", p.shifted, p.overall_auroc, "up"),
    Effect("group_normalisation", p.unequal, p.overall_auroc, "down"),
    Effect("recalibration", p.unequal, p.mean_gap, "down"),
    Effect("recalibration", p.unequal, p.worst_auroc, "little"),
    Effect("group_thresholds", p.unequal, p.specificity_gap, "down"),
    Effect("equalised_odds", p.unequal, p.odds_gap, "down"),
    Effect("equalised_odds", p.unequal, p.best_group, "down"),
    Effect("calibrated_equalised_odds", p.unequal, p.missed_gap, "down"),
    Effect("calibrated_equalised_odds", p.unequal, p.overall_auroc, "down"),
    Effect("mmd", p.shifted, p.group_told, "down", {**SMALL, "strength": 10.0}, ADAPTER),
    Effect("coral", p.shifted, p.group_told, "down", HIDDEN, ADAPTER, **FIVE),
    Effect("dann", p.spurious, p.group_told, "down", HIDDEN, ADAPTER, **FIVE),
    Effect("cdann", p.spurious, p.group_told_within, "down", HIDDEN, ADAPTER, **FIVE),
    Effect("cdann", p.spurious, p.worst_cell, "up", HIDDEN, ADAPTER, **FIVE),
    Effect("laftr", p.spurious, p.group_told_within, "down", HIDDEN, ADAPTER, **FIVE),
    Effect("score_matching", p.spurious, p.score_gap, "down"),
    Effect("score_matching", p.spurious, p.score_gap, "down", {"distance": "mmd"}),
    Effect("score_matching", p.spurious, p.worst_cell, "up", {"strength": 3.0}),
    Effect("score_adversary", p.spurious, p.score_gap, "down", {"strength": 3.0}),
    Effect("irm", p.environments, p.worst_cell, "up"),
    Effect("irm", p.spurious, p.worst_cell, "down"),
]

PROBLEMS = (p.spurious, p.minority, p.shifted, p.unequal, p.harmless)

ALL = {
    **dict.fromkeys(("mmd", "coral", "dann", "cdann", "laftr"), HIDDEN),
    "crt": SMALL,
}
"""What members are given in the table of all of them; the others have their defaults."""


@cache
def rows(problem, seed):
    return problem(seed)


@cache
def made(problem, seed, name, given):
    return p.fitted(name, rows(problem, seed)[0], seed=seed, **dict(given))


def values(problem, measure, name, parameters, seeds):
    """Return a measure of a member on the testing rows of each seed."""
    given = tuple(sorted(parameters.items()))
    return [
        measure(made(problem, seed, name, given), *rows(problem, seed)) for seed in range(seeds)
    ]


def difference(effect):
    """Return the interval of the paired difference, and the means of both sides."""
    about = effect.problem, effect.measure
    mine = values(*about, effect.name, effect.parameters, effect.seeds)
    theirs = values(*about, *effect.against, effect.seeds)
    gaps = [one - another for one, another in zip(mine, theirs, strict=True)]
    return p.interval(gaps), p.interval(mine).mean, p.interval(theirs).mean


def holds(effect):
    """Return whether the interval lies where the effect says."""
    found = difference(effect)[0]
    if effect.moves == "little":
        return found.low > -LITTLE and found.high < LITTLE
    return found.low > 0 if effect.moves == "up" else found.high < 0


def apart(found):
    """Return whether the interval leaves 0 out."""
    return found.low > 0 or found.high < 0


def said(found):
    return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _effects():
    for one in EFFECTS:
        found, mine, theirs = difference(one)
        flag = "" if holds(one) else f" NOT {one.moves}"
        given = ", ".join(f"{key} {value}" for key, value in one.parameters.items())
        yield (
            f"| {one.name} | {given} | {one.problem.__name__} | {one.measure.__name__} | "
            f"{one.against[0]} | {theirs:.3f} | {mine:.3f} | {said(found)} | {found.n} |{flag}"
        )


def _everybody(measure):
    for name in sorted(MITIGATIONS):
        cells = []
        for problem in PROBLEMS:
            found = difference(Effect(name, problem, measure, "", ALL.get(name, {})))[0]
            cells.append(f"**{said(found)}**" if apart(found) else said(found))
        yield f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    for line in (*_effects(), "", *_everybody(p.worst_cell), "", *_everybody(p.overall_auroc)):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
