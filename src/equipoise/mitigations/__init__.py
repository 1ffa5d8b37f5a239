"""Mitigations: ways of training a probe that address differences between groups.

A member is a function ``fit(training, *, penalty, parameters, rng, start) -> Fitted`` (the shape
*during*: embeddings, labels and groups → probe), beside plain training, which every study runs.
None is claimed to remove a difference; the audit says what each one changed, and for whom.
"""

from equipoise.mitigations.rows import (
    Fitted,
    Training,
    assessed,
    cells,
    joined_groups,
    load,
    save,
    scores,
)

MITIGATIONS = {
    "group_dro": "equipoise.mitigations.group_dro:fit",
    "plain": "equipoise.mitigations.plain:fit",
    "reweighting": "equipoise.mitigations.reweighting:fit",
}
"""Name → what fits it; a study may also name its own ``module:function``."""

__all__ = [
    "MITIGATIONS",
    "Fitted",
    "Training",
    "assessed",
    "cells",
    "joined_groups",
    "load",
    "save",
    "scores",
]
