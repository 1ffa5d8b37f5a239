"""Tables of predictions on disk, small, in as many files and row groups as a test asks for."""

from pathlib import Path

import numpy as np
import polars as pl

LEVELS = {"sex": ("F", "M", "unknown"), "site": ("a", "b")}


def predictions(n: int, *, findings: int = 2, seed: int = 0, images: float = 1.7) -> pl.DataFrame:
    """Return `n` rows, patients rising, with nulls in labels and scores."""
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, max(int(n / images), 1), n))
    columns: dict[str, pl.Series] = {
        "patient_id": pl.Series([f"p{who:06d}" for who in patient], dtype=pl.String),
        "sex": pl.Series(np.array(["F", "M", "unknown"])[patient % 3], dtype=pl.String),
        "site": pl.Series(np.array(["a", "b"])[patient // 3 % 2], dtype=pl.String),
    }
    for finding in range(findings):
        label = rng.random(n) < 0.3
        score = (1 / (1 + np.exp(-(label - 1 + rng.standard_normal(n))))).astype(np.float32)
        null = rng.random((2, n)) < 0.1 * finding
        labels = (
            pl.Series(label).to_frame("x").select(pl.when(~pl.Series(null[0])).then(pl.col("x")))
        )
        scores = (
            pl.Series(score).to_frame("x").select(pl.when(~pl.Series(null[1])).then(pl.col("x")))
        )
        columns |= {f"label:f{finding}": labels["x"], f"score:f{finding}": scores["x"]}
    return pl.DataFrame(columns)


def written(frame: pl.DataFrame, folder: Path, *, files: int = 2, group: int = 100) -> list[Path]:
    """Write a table as several files of small row groups, and return their paths."""
    folder.mkdir(exist_ok=True)
    cuts = np.linspace(0, frame.height, files + 1).astype(int)
    paths = [folder / f"part-{place}.parquet" for place in range(files)]
    for path, start, stop in zip(paths, cuts[:-1], cuts[1:], strict=True):
        frame[int(start) : int(stop)].write_parquet(path, row_group_size=group)
    return paths
