"""Coverage of estimates at a declared case mix, by simulation, printed as a table.

Run as ``python benchmarks/standardised.py [draws per row]``. Two groups of as many patients, of
whom three in ten have the finding; group A is mostly old (70 %), group B mostly young (20 % old),
and a score discriminates worse among the old, so that the crude sensitivities differ by case mix
alone. Both are standardised to one half old. Coverage is of the 95 % pointwise interval of group A,
which is nearer to the mix, of group B, which is weighted more unevenly, and of their difference.
"""

import sys
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr

from equipoise import metrics
from equipoise.metrics.standardised import mix, standardised

METRICS = ("auroc", "sensitivity", "specificity")
SEPARATION = {"o": 1.0, "y": 2.2}
CUT = 1.0


@dataclass(frozen=True, slots=True)
class Design:
    """One simulated truth: patients per group, images of each, and how much these agree."""

    patients: int
    images: int
    correlation: float


def cohort(design: Design, rng: np.random.Generator, group: str, old: float) -> pl.DataFrame:
    """Return one group: scores from two normal distributions with a random effect per patient."""
    n, m = design.patients, design.images
    label = np.repeat(rng.random(n) < 0.3, m)
    age = np.repeat(np.where(rng.random(n) < old, "o", "y"), m)
    shared, own = np.repeat(rng.standard_normal(n), m), rng.standard_normal(n * m)
    latent = np.sqrt(design.correlation) * shared + np.sqrt(1 - design.correlation) * own
    latent += label * np.where(age == "o", SEPARATION["o"], SEPARATION["y"])
    who = [f"{group}{one}" for one in np.repeat(np.arange(n), m)]
    columns = {"group": group, "age": age, "patient_id": who, "label:x": label}
    return pl.DataFrame({**columns, "score:x": ndtr(latent - 1.0)})


def truth() -> dict[str, float]:
    """Return what each metric is where half of either class is old."""
    apart = np.array(list(SEPARATION.values()))
    return {
        "auroc": _auroc(apart),
        "sensitivity": float(ndtr(apart - CUT).mean()),
        "specificity": float(ndtr(CUT)),
    }


def _auroc(apart: np.ndarray) -> float:
    return float(ndtr(apart / np.sqrt(2.0)).mean())


def covered(design: Design, draws: int, seed: int) -> pl.DataFrame:
    """Return how often the intervals hold the truth: a row per metric."""
    rng = np.random.default_rng(seed)
    points = pl.DataFrame(
        {"finding": ["x"], "operating_point": ["p"], "threshold": [float(ndtr(CUT - 1.0))]}
    )
    plan = metrics.Plan({"group": "B"}, METRICS, metrics.Minimum(), "x", draws=500)
    asked = mix({"age": {"o": 0.5, "y": 0.5}})
    table = metrics.subgroups({"group": ["A", "B"]})
    cells = metrics.subgroups({"group": ["A", "B"], "age": ["o", "y"]})
    frames = []
    for _ in range(draws):
        rows = pl.concat([cohort(design, rng, "A", 0.7), cohort(design, rng, "B", 0.2)])
        people = metrics.population(rows, cells, patient="patient_id", points=points)
        frames.append(standardised(people, table, plan, asked).estimates)
    return _coverage(pl.concat(frames))


def _coverage(estimates: pl.DataFrame) -> pl.DataFrame:
    true = pl.col("metric").replace_strict(truth(), return_dtype=pl.Float64)
    against = pl.col("contrast").is_not_null()
    value = pl.when(against).then(0.0).otherwise(true)
    kept = estimates.filter(
        pl.col("interval") == "pointwise",
        pl.col("level") == 0.95,
        pl.col("status") == "assessed",
        pl.col("group").is_not_null(),
        ~against | (pl.col("contrast") == "reference"),
    )
    who = pl.when(against).then(pl.lit("A − B")).otherwise(pl.col("group"))
    held = (pl.col("low") <= value) & (value <= pl.col("high"))
    found = kept.group_by("metric", who.alias("who")).agg(held=held.mean(), n=pl.len())
    return found.pivot("who", index="metric", values="held").sort("metric")


DESIGNS = [
    Design(patients, images, correlation)
    for patients in (150, 400, 1000)
    for images, correlation in ((1, 0.0), (3, 0.5))
]


def main() -> None:
    """Print one table."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print("| patients per group | images each | metric | A | B | A − B |")
    print("|---|---|---|---|---|---|")
    for design in DESIGNS:
        for row in covered(design, draws, seed=1).iter_rows(named=True):
            cells = " | ".join(f"{row.get(who) or float('nan'):.3f}" for who in ("A", "B", "A − B"))
            print(
                f"| {design.patients} | {design.images} | {row['metric']} | {cells} |", flush=True
            )


if __name__ == "__main__":
    main()
