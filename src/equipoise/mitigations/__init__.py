"""Mitigations: ways of training a probe that address differences between groups.

A member is a function ``fit(training, *, penalty, parameters, rng, start) -> Fitted``, beside
plain training, which every study runs. What it gives is a probe with, if it has them, a step from
embeddings to embeddings before it and a step from scores to scores after it; and it says whether
a score needs the group of the patient. None is claimed to remove a difference; the audit says
what each one changed, and for whom.
"""

from equipoise.mitigations.fitted import (
    Declared,
    Fitted,
    load,
    save,
    scores,
)
from equipoise.mitigations.rows import (
    Training,
    assessed,
    cells,
    joined_groups,
)
from equipoise.mitigations.steps import Step
from equipoise.mitigations.weighed import Weighed, solved, told

MITIGATIONS = {
    name: f"equipoise.mitigations.{name}:fit"
    for name in (
        "calibrated_equalised_odds",
        "cdann",
        "coral",
        "crt",
        "cvar_dro",
        "dann",
        "dfr",
        "domain_independent",
        "equalised_odds",
        "group_dro",
        "group_normalisation",
        "group_thresholds",
        "irm",
        "jtt",
        "laftr",
        "leace",
        "lisa",
        "mixup",
        "mmd",
        "plain",
        "proxy",
        "recalibration",
        "resampling",
        "reweighting",
        "score_adversary",
        "score_matching",
    )
}
"""Name → what fits it; a study may also name its own ``module:function``."""

WEIGHTINGS = {
    name: f"equipoise.mitigations.{name}:weights"
    for name in ("jtt", "plain", "proxy", "resampling", "reweighting")
}
"""Name → what weighs rows, of the members that do nothing else: they can be fitted in a batch."""

__all__ = [
    "MITIGATIONS",
    "WEIGHTINGS",
    "Declared",
    "Fitted",
    "Step",
    "Training",
    "Weighed",
    "assessed",
    "cells",
    "joined_groups",
    "load",
    "save",
    "scores",
    "solved",
    "told",
]
