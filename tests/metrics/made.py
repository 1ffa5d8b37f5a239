"""Predictions with a known truth, small enough to be made in each test."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from equipoise import metrics

POINT = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})
SMALL = metrics.Minimum(positives=2, negatives=2, patients=2)


def people(
    rng: np.random.Generator,
    *,
    patients: int,
    images: int = 1,
    groups: Sequence[str] = ("A", "B"),
    agreement: float = 0.0,
    prevalence: float = 0.4,
    decimals: int | None = None,
) -> pl.DataFrame:
    """Return rows of patients whose label and group are the patient's own."""
    group = np.repeat(rng.choice(groups, patients), images)
    label = np.repeat(rng.random(patients) < prevalence, images)
    shared = np.repeat(rng.standard_normal(patients), images)
    own = rng.standard_normal(patients * images)
    latent = np.sqrt(agreement) * shared + np.sqrt(1.0 - agreement) * own + 1.2 * label - 0.6
    score = 1.0 / (1.0 + np.exp(-latent))
    return pl.DataFrame(
        {
            "group": group,
            "patient_id": [f"p{i:05d}" for i in np.repeat(np.arange(patients), images)],
            "label:x": label,
            "score:x": score if decimals is None else np.round(score, decimals),
        }
    )


def estimated(
    rows: pl.DataFrame,
    levels: dict[str, list[str]],
    *,
    patient: str | None = "patient_id",
    points: pl.DataFrame | None = POINT,
    minimum: metrics.Minimum = SMALL,
    references: dict[str, str] | None = None,
    names: Sequence[str] = tuple(metrics.METRICS),
) -> metrics.Estimated:
    """Return what the engine makes of rows, with few draws."""
    table = metrics.subgroups(levels)
    found = metrics.population(rows, table, patient=patient, points=points)
    plan = metrics.Plan(references or {}, tuple(names), minimum, "made", draws=2_000)
    return metrics.estimate(found, table, plan)


def own(found: metrics.Estimated, metric: str, **where: str | None) -> dict[str, object]:
    """Return the pointwise 95 % row of a group's own value."""
    rows = found.estimates.filter(
        pl.col("contrast").is_null(),
        pl.col("metric") == metric,
        pl.col("level") == 0.95,
        pl.col("interval") == "pointwise",
        *[pl.col(name).eq_missing(pl.lit(level, pl.String)) for name, level in where.items()],
    )
    return rows.row(0, named=True)
