"""Bundles: a model with encoder, probes, operating points, contract, policy, verdict and evidence.

One folder, or a zip of it, that a hospital can open years later: every file is bound by its
digest, nothing in it is code, and it says itself how it is to be audited.
"""

from equipoise.bundles.admission import refusal
from equipoise.bundles.answering import components, distances, scores
from equipoise.bundles.archives import packed, unpacked
from equipoise.bundles.contents import (
    AuditPlan,
    Band,
    Claim,
    EncoderNote,
    Head,
    InputContract,
    Manifest,
    Override,
    check_in_force,
)
from equipoise.bundles.opening import Bundle, check_usable, opened
from equipoise.bundles.reference import QUANTILES, Reference, described
from equipoise.bundles.writing import EncoderFiles, Parts, heads_of, written

__all__ = [
    "QUANTILES",
    "AuditPlan",
    "Band",
    "Bundle",
    "Claim",
    "EncoderFiles",
    "EncoderNote",
    "Head",
    "InputContract",
    "Manifest",
    "Override",
    "Parts",
    "Reference",
    "check_in_force",
    "check_usable",
    "components",
    "described",
    "distances",
    "heads_of",
    "opened",
    "packed",
    "refusal",
    "scores",
    "unpacked",
    "written",
]
