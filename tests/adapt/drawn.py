"""Scores drawn on validation with known AUROCs: no fitting, so that hundreds of draws are cheap."""

from statistics import NormalDist

import numpy as np
import polars as pl

from equipoise.adapt.material import Rows
from equipoise.adapt.outcomes import Held, Outcome


def lift(auroc):
    """Return how far positives lie above negatives (standard deviations) for an AUROC."""
    return NormalDist().inv_cdf(auroc) * np.sqrt(2.0)


def people(rng, *, patients=300, images=2, groups=("F", "M"), prevalence=0.4):
    """Return rows that all validate: labels and groups by patient."""
    patient = np.repeat(np.arange(patients), images)
    group = np.array(groups)[np.arange(patients) % len(groups)][patient]
    truth = (rng.random(patients) < prevalence)[patient]
    ids = [f"i{i:05d}" for i in range(len(patient))]
    n = len(ids)
    return Rows(
        ids,
        [f"p{p}" for p in patient],
        np.zeros((n, 1)),
        {"x": pl.Series(truth)},
        group,
        [""] * n,
        patient,
        np.array(["validation"] * n),
        np.zeros(n, dtype=np.int64),
    )


def outcome(rows, name, score, *, seed=0, finding="x", reason=None):
    score = np.asarray(score, dtype=np.float32)
    held = {} if reason else {None: Held(np.arange(len(score)), score)}
    return Outcome(
        finding,
        name,
        "plain" if name == "plain" else "own",
        seed,
        f"{name}-{seed}",
        {},
        {},
        score,
        [],
        reason,
        held,
    )


def score(rng, rows, aurocs, shared, *, share=0.8):
    """Return scores with an AUROC per group; `shared` is what all candidates have in common."""
    patient = rows.patients
    own = rng.normal(size=patient.max() + 1)[patient]
    noise = np.sqrt(share) * shared + np.sqrt(1.0 - share) * own
    up = np.array([lift(aurocs[group]) for group in rows.groups])
    return noise + up * rows.truth("x")


def common(rng, rows):
    """Return noise that is half of the patient and half of the image."""
    patient = rng.normal(size=rows.patients.max() + 1)[rows.patients]
    return np.sqrt(0.5) * patient + np.sqrt(0.5) * rng.normal(size=len(rows.patients))
