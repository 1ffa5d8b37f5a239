"""Hidden groups: what is found, what is confirmed, and what is confirmed where there is nothing.

Run as ``python benchmarks/hidden.py [seeds]``. Embeddings of 16 numbers; a group that no column
names lies apart in three of them, and the model misses more of its positives. Scores are drawn
around the operating point, errors beyond the group at random. *False alarm*: any slice confirmed
where no group is planted. *Found*: a confirmed slice of which more than half is the group. The
gap is that of the first slice to the rest, on the half where it was found and on the other.
"""

import sys
from dataclasses import dataclass

import numpy as np
import polars as pl

from equipoise import audit

D, AT = 16, 0.5


@dataclass(frozen=True, slots=True)
class Design:
    """One simulated truth."""

    patients: int
    images: int
    share: float
    inside: float
    outside: float
    apart: float = 2.5


def drawn(design: Design, rng: np.random.Generator) -> tuple[pl.DataFrame, ...]:
    """Return embeddings, cohort (with the group as ``hidden``) and predictions."""
    n = design.patients * design.images
    hidden = np.repeat(rng.random(design.patients) < design.share, design.images)
    label = np.repeat(rng.random(design.patients) < 0.5, design.images)
    shared = np.repeat(rng.normal(size=(design.patients, D)), design.images, axis=0)
    x = np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.normal(size=(n, D))
    x[:, :3] += design.apart * hidden[:, None]
    x[:, 3] += label
    # Whether a patient's images are missed hangs together as their embeddings do.
    luck = np.repeat(rng.random(design.patients), design.images)
    own = np.where(rng.random(n) < 0.7, luck, rng.random(n))
    right = own < np.where(hidden, design.inside, design.outside)
    score = np.where(label == right, 0.75, 0.25) + rng.uniform(-0.2, 0.2, n)
    ids = [f"{i:06}" for i in range(n)]
    cohort = pl.DataFrame(
        {
            "image_id": ids,
            "patient_id": [
                f"p{i:05}" for i in np.repeat(np.arange(design.patients), design.images)
            ],
            "hidden": np.where(hidden, "yes", "no"),
            "label:x": label,
        }
    )
    vectors = cohort.select("image_id").with_columns(vector=pl.Series(x.tolist()))
    return vectors, cohort, cohort.select("image_id").with_columns(pl.Series("score:x", score))


def outcome(design: Design, seed: int) -> tuple[bool, bool, float, float]:
    """Return whether any was confirmed, whether the group was, and the gap on each half."""
    options = audit.Slicing(attributes={"hidden": ["yes", "no"]}, seed=seed)
    found = audit.slices(
        *drawn(design, np.random.default_rng(seed)), finding="x", threshold=AT, options=options
    )
    table = found.table
    inside = found.lifts.filter(level="yes")["share_inside"].fill_null(0.0)
    confirmed = table["confirmed"].fill_null(value=False)
    first = table.row(0, named=True) if table.height else {}
    gaps = (first.get(name) for name in ("discovery_difference", "difference"))
    before, after = (float("nan") if gap is None else float(gap) for gap in gaps)
    return bool(confirmed.any()), bool((confirmed & (inside > 0.5)).any()), before, after


DESIGNS = [
    Design(800, 1, 0.0, 0.8, 0.8),
    Design(800, 3, 0.0, 0.8, 0.8),
    Design(2000, 1, 0.0, 0.9, 0.9),
    Design(2000, 1, 0.2, 0.9, 0.9),
    Design(800, 1, 0.2, 0.4, 0.9),
    Design(2000, 1, 0.1, 0.4, 0.9),
    Design(2000, 1, 0.2, 0.6, 0.9),
    Design(2000, 1, 0.2, 0.75, 0.9),
    Design(2000, 1, 0.2, 0.4, 0.9, apart=1.0),
]


def main() -> None:
    """Print a row per design."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(
        "| patients | images each | group | sensitivity in it | in the rest | apart (sd) "
        "| any confirmed | group confirmed | gap when found | gap on the other half |"
    )
    print("|---" * 10 + "|")
    for design in DESIGNS:
        told = np.array([outcome(design, seed) for seed in range(seeds)], dtype=float)
        any_, group = told[:, :2].mean(axis=0)
        before, after = np.nanmean(told[:, 2:], axis=0)
        print(
            f"| {design.patients} | {design.images} | {design.share:.0%} | {design.inside} "
            f"| {design.outside} | {design.apart} | {any_:.1%} | {group:.1%} "
            f"| {before:+.3f} | {after:+.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
