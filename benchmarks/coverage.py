"""Coverage of the engine's intervals by simulation, printed as a table.

Run as ``python benchmarks/coverage.py [draws per row]``. Each row is a design: how many patients of
each class, how many images of each, how much these agree, and the true AUROC. Coverage is of the
95 % pointwise interval of one group, and of its difference to an equal group.
"""

import sys
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from equipoise import metrics

TABLE = metrics.subgroups({"group": ["A", "B"]})
MINIMUM = metrics.Minimum()


@dataclass(frozen=True, slots=True)
class Design:
    """One simulated truth: patients by class, images per patient, their correlation."""

    positives: int
    negatives: int
    images: int
    correlation: float
    auroc: float


def cohort(design: Design, rng: np.random.Generator, arm: str) -> pl.DataFrame:
    """Return scores from two normal distributions with a random effect per patient."""
    patients = design.positives + design.negatives
    label = np.repeat(np.arange(patients) < design.positives, design.images)
    shared = np.repeat(rng.standard_normal(patients), design.images)
    own = rng.standard_normal(patients * design.images)
    latent = np.sqrt(design.correlation) * shared + np.sqrt(1 - design.correlation) * own
    latent += label * np.sqrt(2.0) * ndtri(design.auroc)
    who = [f"{arm}{i}" for i in np.repeat(np.arange(patients), design.images)]
    return pl.DataFrame(
        {"group": arm, "patient_id": who, "label:x": label, "score:x": ndtr(latent - 1.0)}
    )


def threshold(design: Design, sensitivity: float) -> float:
    """Return the score above which that share of positives lies."""
    return float(ndtr(np.sqrt(2.0) * ndtri(design.auroc) - ndtri(sensitivity) - 1.0))


def truth(design: Design, point: float) -> dict[str, float]:
    """Return what each metric is in the population, at the design's case mix."""
    cut = ndtri(point) + 1.0
    sensitivity = float(ndtr(np.sqrt(2.0) * ndtri(design.auroc) - cut))
    specificity = float(ndtr(cut))
    share = design.positives / (design.positives + design.negatives)
    grid = ndtri((np.arange(20_000) + 0.5) / 20_000)
    shift = np.sqrt(2.0) * ndtri(design.auroc)
    brier = share * np.mean((ndtr(grid + shift - 1.0) - 1.0) ** 2)
    brier += (1 - share) * np.mean(ndtr(grid - 1.0) ** 2)
    return {
        "auroc": design.auroc,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "brier": float(brier),
    }


def simulated(design: Design, sensitivity: float, n: int, seed: int) -> pl.DataFrame:
    """Return coverage of each metric and of its contrast of two equal groups."""
    rng = np.random.default_rng(seed)
    point = threshold(design, sensitivity)
    points = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [point]})
    plan = metrics.Plan(
        {"group": "B"}, ("auroc", "sensitivity", "specificity", "brier"), MINIMUM, "x", draws=1000
    )
    true = truth(design, point)
    frames = []
    for _ in range(n):
        rows = pl.concat([cohort(design, rng, arm) for arm in "AB"])
        people = metrics.population(rows, TABLE, patient="patient_id", points=points)
        found = metrics.estimate(people, TABLE, plan).estimates
        frames.append(found.filter(pl.col("group") == "A", level=0.95))
    rows = pl.concat(frames).with_columns(
        truth=pl.when(pl.col("contrast").is_null())
        .then(pl.col("metric").replace_strict(true))
        .otherwise(0.0)
    )
    return (
        rows.group_by("metric", "contrast", "interval", maintain_order=True)
        .agg(
            assessed=(pl.col("status") == "assessed").mean(),
            covered=(pl.col("truth").is_between("low", "high")).mean(),
            below=(pl.col("truth") < pl.col("low")).mean(),
            above=(pl.col("truth") > pl.col("high")).mean(),
            width=(pl.col("high") - pl.col("low")).median(),
        )
        .sort("interval", "contrast", "metric", nulls_last=False)
    )


DESIGNS = [
    (Design(positives, negatives, images, correlation, auroc), sensitivity)
    for positives, negatives in ((30, 30), (30, 270), (60, 540))
    for images, correlation in ((1, 0.0), (3, 0.7), (3, 0.98))
    for auroc, sensitivity in ((0.7, 0.6), (0.85, 0.8), (0.97, 0.95))
]


METRICS = ("auroc", "sensitivity", "specificity", "brier")
COLUMNS = [*METRICS, *(f"{metric} difference" for metric in METRICS)]


def table(rows: list[tuple[list[str], list[float]]]) -> list[str]:
    """Return designs and coverages in Markdown, with the mean and the lowest of each column."""
    columns = list(zip(*(values for _, values in rows), strict=True))
    mean = [sum(column) / len(column) for column in columns]
    head = ["positives", "negatives", "images each", "correlation", "true AUROC"]
    lines = [
        f"| {' | '.join([*head, *COLUMNS])} |",
        f"|{'--:|' * (len(head) + len(COLUMNS))}",
    ]
    closing = [(["**mean**", *[""] * 4], mean), (["**lowest**", *[""] * 4], map(min, columns))]
    for names, values in [*closing, *rows]:
        cells = [*names, *(f"{value:.3f}" for value in values)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(n: int) -> None:
    """Print a row per design."""
    rows = []
    for seed, (design, sensitivity) in enumerate(DESIGNS):
        found = simulated(design, sensitivity, n, seed).filter(interval="pointwise")
        by_name = {
            f"{row['metric']}{' difference' if row['contrast'] else ''}": row["covered"]
            for row in found.iter_rows(named=True)
        }
        names = [design.positives, design.negatives, design.images, design.correlation]
        rows.append(([*map(str, names), str(design.auroc)], [by_name[c] for c in COLUMNS]))
        print(f"{seed + 1}/{len(DESIGNS)}", file=sys.stderr, flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
