"""Several hospitals: two findings, two attributes, several images of a patient."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from equipoise import metrics
from equipoise.metrics import parts

LEVELS = {"sex": ["F", "M", "unknown"], "age": ["young", "old"]}
TABLE = metrics.subgroups(LEVELS)
SMALL = metrics.Minimum(positives=2, negatives=2, patients=2)
POINTS = pl.DataFrame(
    {
        "finding": ["x", "x", "y"],
        "operating_point": ["low", "high", "low"],
        "threshold": [0.4, 0.7, 0.5],
    }
)
OPEN = parts.Rules(minimum_cell=1, contributors=1)


def agreement(
    *,
    rules: parts.Rules = OPEN,
    references: dict[str, str] | None = None,
    minimum: metrics.Minimum = SMALL,
    table: pl.DataFrame = TABLE,
    findings: tuple[str, ...] = ("x", "y"),
    names: Sequence[str] = tuple(metrics.METRICS),
) -> parts.Agreed:
    """Return what the hospitals agree on, with few draws."""
    plan = metrics.Plan(references or {}, tuple(names), minimum, "made", draws=500)
    points = POINTS.filter(pl.col("finding").is_in(findings))
    return parts.Agreed(table, plan, findings, points, rules)


def hospital(rng: np.random.Generator, patients: int, *, images: int = 2) -> pl.DataFrame:
    """Return rows in which a patient's images may differ in label, score and age."""
    n = patients * images
    sex = np.repeat(rng.choice(["F", "M", "unknown"], patients, p=[0.45, 0.45, 0.1]), images)
    made: dict[str, object] = {
        "patient_id": [f"p{one}" for one in np.repeat(np.arange(patients), images)],
        "sex": sex,
        "age": rng.choice(["young", "old"], n),
    }
    shared = np.repeat(rng.standard_normal(patients), images)
    for finding in ("x", "y"):
        label = rng.random(n) < 0.4
        latent = 0.7 * shared + rng.standard_normal(n) + label
        score = np.float32(1.0 / (1.0 + np.exp(-latent)))
        assessed = rng.random(n) < 0.9
        made[f"label:{finding}"] = [
            bool(one) if known else None for one, known in zip(label, assessed, strict=True)
        ]
        made[f"score:{finding}"] = [
            float(one) if known else None
            for one, known in zip(score, rng.random(n) < 0.97, strict=True)
        ]
    return pl.DataFrame(made).with_columns(pl.col("^score:.*$").cast(pl.Float32))


def federated(
    rows: Sequence[pl.DataFrame], agreed: parts.Agreed, *, patient: str | None = "patient_id"
) -> tuple[metrics.Estimated, parts.Merged, parts.Second]:
    """Return what comes of hospitals that send each other bytes."""
    people = [parts.population_of(one, agreed, patient=patient) for one in rows]
    names = [f"site-{position}" for position in range(len(rows))]
    told = [
        parts.unpacked(parts.packed(parts.first(one, agreed, name=name)), agreed, name=name)
        for one, name in zip(people, names, strict=True)
    ]
    merged = parts.merge(told, agreed, disjoint_patients=True)
    back = parts.unpacked_merged(parts.packed(merged), agreed)
    seconds = [
        parts.unpacked_second(
            parts.packed(parts.moments_of(one, part, back, agreed)), merged, agreed, name=name
        )
        for one, part, name in zip(people, told, names, strict=True)
    ]
    second = parts.sum_moments(seconds, merged)
    return parts.estimates_from(merged, second, agreed), merged, second


def cut(rows: pl.DataFrame, where: Sequence[int]) -> list[pl.DataFrame]:
    """Return rows cut between patients: `where` says in which part each patient is."""
    ids = rows["patient_id"].unique(maintain_order=True).to_list()
    place = {one: where[position % len(where)] for position, one in enumerate(ids)}
    which = rows["patient_id"].replace_strict(place, return_dtype=pl.Int64)
    return [rows.filter(which == part) for part in range(max(where) + 1)]


def same(
    found: metrics.Estimated, expected: metrics.Estimated, *, tolerance: float = 1e-12
) -> None:
    """Assert that two calls estimated the same: cells exactly, numbers to a relative tolerance."""
    assert found.counts.equals(expected.counts)
    assert found.estimates.columns == expected.estimates.columns
    assert found.estimates.height == expected.estimates.height
    real = ["value", "low", "high", "standard_error"]
    real += ["p_value", "p_adjusted", "chance"]
    said = pl.when(pl.col("status") != "assessed").then(pl.col("reason")).alias("reason")
    # What is corrected for chance jumps where a covariance has hardly any rank.
    drop = [*real, "corrected"]
    mine, theirs = (one.estimates.with_columns(said).drop(drop) for one in (found, expected))
    assert mine.equals(theirs)
    for name in real:
        a, b = found.estimates[name], expected.estimates[name]
        assert a.is_null().equals(b.is_null())
        off = np.abs((a - b).drop_nulls().to_numpy())
        scale = np.maximum(np.abs(b.drop_nulls().to_numpy()), 1e-2)
        assert (off <= tolerance * scale).all(), (name, (off / scale).max())
    for name in (
        "critical_groups",
        "critical_contrasts",
        "family_groups",
        "family_contrasts",
        "unscored",
    ):
        assert getattr(found, name) == getattr(expected, name)
