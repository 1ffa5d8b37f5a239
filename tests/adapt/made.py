"""A cohort with embeddings in which one group's label is read off another direction."""

import numpy as np
import polars as pl

from equipoise import adapt, curate


def cohort(n=400, *, seed=0, small=0.3):
    """Two images per patient, sexes in proportion, one finding, every twentieth not assessed."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n // 2), 2)
    sex = np.where(rng.random(n // 2) < small, "F", "M")[patients]
    truth = (rng.random(n // 2) < 0.4)[patients]
    labels = [None if i % 20 == 0 else bool(value) for i, value in enumerate(truth)]
    frame = pl.DataFrame(
        {
            "image_id": [f"i{i:04d}" for i in range(n)],
            "patient_id": [f"s/{p:04d}" for p in patients],
            "site": ["s"] * n,
            "sex": sex,
            "label:edema": labels,
        }
    )
    sign = np.where(truth, 1.0, -1.0)
    x = rng.normal(size=(n, 5))
    x[:, 0] += sign * np.where(sex == "M", 1.2, 0.3)
    x[:, 1] += sign * np.where(sex == "F", 1.2, 0.0)
    return frame, x.astype(np.float32)


def embeddings(frame, x):
    vectors = pl.Series(x, dtype=pl.Array(pl.Float32, x.shape[1]))
    return frame.select("image_id").with_columns(vector=vectors)


def images(frame=None, x=None, *, group_by=("sex",), **options):
    if frame is None:
        frame, x = cohort()
    splits = curate.splits(frame, curate.Options(**options))
    return adapt.rows(frame, splits, embeddings(frame, x), findings=None, group_by=group_by)
