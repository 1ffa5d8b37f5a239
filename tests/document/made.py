"""A small cohort with known content, for the tests of documentation."""

import datetime as dt

import numpy as np
import polars as pl

from equipoise.tables import ImageCache


def cohort(n=200, seed=0, **columns):
    """Return a cohort of `n` images of `n // 2` patients in which nothing tells the label."""
    rng = np.random.default_rng(seed)
    people = [f"north/{rng.integers(10**6)}{number // 2:05}" for number in range(n)]
    made = {
        "image_id": [f"{number:05}" for number in rng.permutation(n)],
        "patient_id": [people[number - number % 2] for number in range(n)],
        "site": ["north"] * n,
        "acquired_on": [
            dt.date(2020, 1, 1) + dt.timedelta(int(day)) for day in rng.integers(0, 700, n)
        ],
        "view": rng.choice(["AP", "PA"], n).tolist(),
        "manufacturer": rng.choice(["A", "B"], n).tolist(),
        "kvp": rng.normal(80, 5, n).round().tolist(),
        "rows": [128] * n,
        "columns": [128] * n,
        "file_bytes": rng.integers(30_000, 31_000, n).tolist(),
        "compression": ["none"] * n,
        "sex": rng.choice(["F", "M", "unknown"], n).tolist(),
        "age_band": rng.choice(["0-39", "40+"], n).tolist(),
        "label:mass": (rng.random(n) < 0.4).tolist(),
    } | columns
    return pl.DataFrame(made).sort("image_id")


def images(table, seed=0, brighter=None):
    """Return an image cache of noise; images where `brighter` holds are brighter in a corner."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(80, 120, (table.height, 32, 32)).astype(np.uint8)
    if brighter is not None:
        pixels[np.asarray(brighter), :4, :4] += 60
    index = pl.DataFrame(
        {
            "image_id": table["image_id"],
            "row": range(table.height),
            "pixel_digest": [f"d{row}" for row in range(table.height)],
        }
    )
    return ImageCache(index, pixels)


def embeddings(table, vectors):
    """Return the table of embeddings."""
    vectors = np.asarray(vectors, np.float32)
    kind = pl.Array(pl.Float32, vectors.shape[1])
    return pl.DataFrame({"image_id": table["image_id"], "vector": pl.Series(vectors, dtype=kind)})
