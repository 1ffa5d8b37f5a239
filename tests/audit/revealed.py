"""Cohorts and embeddings in which it is known what can be read."""

import numpy as np
import polars as pl


def drawn(rng, patients=240, images=1, *, sex=0.0, finding=1.0, tie=0.0, alike=0.0, d=6):
    """Return embeddings and a cohort: `sex` and `finding` are shifts of a coordinate each.

    `tie` raises the prevalence of the finding in F by as much as it lowers it in M; `alike` is the
    part of the noise that the images of a patient share.
    """
    n = patients * images
    woman = np.repeat(rng.random(patients) < 0.5, images)
    chance = 0.5 + tie * np.where(woman, 0.5, -0.5)
    label = np.repeat(rng.random(patients), images) < chance
    shared = np.repeat(rng.normal(size=(patients, d)), images, axis=0)
    x = np.sqrt(alike) * shared + np.sqrt(1 - alike) * rng.normal(size=(n, d))
    x[:, 0] += sex * woman
    x[:, 1] += finding * label
    ids = [f"{i:05}" for i in range(n)]
    cohort = pl.DataFrame(
        {
            "image_id": ids,
            "patient_id": [f"p{i:05}" for i in np.repeat(np.arange(patients), images)],
            "sex": np.where(woman, "F", "M"),
            "label:edema": label,
        }
    )
    return table(ids, x), cohort


def table(ids, x):
    """Return the table *embeddings*."""
    return pl.DataFrame({"image_id": ids, "vector": x.tolist()})
