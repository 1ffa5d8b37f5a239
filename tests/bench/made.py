"""Sites with embeddings: a group that few images show, and a site that sees it otherwise."""

import numpy as np
import polars as pl

from equipoise import adapt, curate


def cohort(*, patients=1200, seed=0, sites=("a",), drop=0.0):
    """Two images a patient. In M the finding is read off one direction, in F off thirty faint ones.

    Thirty weights take more labels than one, and getting them wrong does no harm to M. At the
    sites after the first, F shows less by `drop`.
    """
    rng = np.random.default_rng(seed)
    n = 2 * patients
    patient = np.repeat(np.arange(patients), 2)
    sex = np.where(rng.random(patients) < 0.35, "F", "M")[patient]
    truth = (rng.random(patients) < 0.4)[patient]
    site = np.array(sites)[np.arange(patients) % len(sites)][patient]
    frame = pl.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in range(n)],
            "patient_id": [f"{s}/{p:04d}" for s, p in zip(site, patient, strict=True)],
            "site": site,
            "sex": sex,
            "label:edema": truth,
        }
    )
    sign = np.where(truth, 1.0, -1.0)
    x = rng.normal(size=(n, 31))
    x[:, 0] += sign * np.where(sex == "M", 1.2, 0.0)
    seen = np.where(site == sites[0], 1.0, 1.0 - drop)
    x[sex == "M", 1:] = 0.0
    x[:, 1:] += (sign * np.where(sex == "F", 0.24, 0.0) * seen)[:, None]
    vectors = pl.Series(x.astype(np.float32), dtype=pl.Array(pl.Float32, 31))
    return frame, frame.select("image_id").with_columns(vector=vectors)


def images(**given):
    frame, vectors = cohort(**given)
    return adapt.rows(frame, curate.splits(frame), vectors, findings=None, group_by=("sex",))
