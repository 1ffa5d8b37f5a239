"""Phantoms as the stage is given them: a cohort, an image cache and splits."""

from pathlib import Path

import numpy as np
import polars as pl

from equipoise import phantoms, splits
from equipoise.tables import COHORT, IMAGE_CACHE, SPLITS, ImageWriter, write


def given(folder: Path, *, patients: int, size: int = 64, seed: int = 5) -> dict[str, Path]:
    """Write the tables and return noun → folder."""
    options = phantoms.Options(patients=patients, seed=seed, size=size)
    scenes = phantoms.scenes(options)
    cohort = phantoms.cohort(scenes, options).sort("image_id")
    pixels = phantoms.images(scenes.sort("image_id"), options)
    folder.mkdir(parents=True, exist_ok=True)
    write(cohort, folder / "cohort.parquet", COHORT)
    with ImageWriter(folder / "images.npy", pixels.shape) as writer:
        for row, image in enumerate(pixels):
            writer[row] = image
    index = cohort.select("image_id").with_row_index("row").cast({"row": pl.Int64})
    index = index.with_columns(pixel_digest=pl.format("{}", "row"))
    write(index.select("image_id", "row", "pixel_digest"), folder / "images.parquet", IMAGE_CACHE)
    shares = {"train": 0.6, "validation": 0.1, "test": 0.3}
    patient = cohort["patient_id"].to_list()
    split = splits.assign(patient, [""] * len(patient), shares=shares, seed=0)
    fold = np.zeros(len(patient), dtype=np.int64)
    table = cohort.select("image_id", "patient_id").with_columns(
        split=pl.Series(split), fold=pl.Series(fold)
    )
    write(table, folder / "splits.parquet", SPLITS)
    return {"cohort": folder, "images": folder, "splits": folder}
