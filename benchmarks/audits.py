"""An audit beside what a user would write instead, on the same table, in one run.

The alternative is the script one finds in papers: a loop over subgroups with scikit-learn, and a
bootstrap over patients for the intervals. It has no joint intervals and no contrasts. Its
replicates are timed on a few and extrapolated, which the table says.

    python benchmarks/audits.py [images]
"""

import itertools
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from equipoise import audit

LEVELS = {"sex": ["F", "M"], "age_band": ["0-39", "40-64", "65+"], "site": ["a", "b", "c"]}
TIMED, REPLICATES, RUNS = 10, 1000, 5


def predictions(n: int) -> pl.DataFrame:
    """Return a table of `n` images, about 1.7 of a patient."""
    rng = np.random.default_rng(0)
    patient = rng.integers(0, int(n * 0.6), n)
    label = rng.random(n) < 0.3
    score = 1 / (1 + np.exp(-(2 * label - 1 + rng.standard_normal(n))))
    groups = {
        name: np.array(levels)[patient // 7**place % len(levels)]
        for place, (name, levels) in enumerate(LEVELS.items())
    }
    return pl.DataFrame({"patient_id": patient, **groups, "label": label, "score": score})


def ours(frame: pl.DataFrame) -> None:
    """Audit every subgroup and two-way intersection, with pointwise and simultaneous intervals."""
    audit.estimates(frame, by=LEVELS, operating_points={"screening": 0.5})


def theirs(frame: pl.DataFrame, replicates: int) -> None:
    """Loop over the same subgroups: four point estimates, then percentile intervals."""
    rng = np.random.default_rng(0)
    pairs = itertools.combinations(LEVELS, 2)
    sets = [(), *((name,) for name in LEVELS), *pairs]
    for names in sets:
        for levels in itertools.product(*(LEVELS[name] for name in names)):
            rows = frame.filter(
                *(pl.col(n) == level for n, level in zip(names, levels, strict=True))
            )
            label, score = rows["label"].to_numpy(), rows["score"].to_numpy()
            order = np.argsort(rows["patient_id"].to_numpy(), kind="stable")
            starts = np.flatnonzero(np.diff(rows["patient_id"].to_numpy()[order], prepend=-1))
            images = np.split(order, starts[1:])
            for replicate in range(replicates + 1):
                drawn = rng.integers(0, len(images), len(images))
                taken = np.concatenate([images[i] for i in drawn]) if replicate else order
                called = score[taken] >= 0.5
                truth = label[taken]
                roc_auc_score(truth, score[taken])
                _ = called[truth].mean(), (~called[~truth]).mean(), truth[called].mean()


def cpu(work: Callable[[], None], runs: int = RUNS) -> float:
    """Return the median CPU seconds of `work`."""
    spent = []
    for _ in range(runs):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return statistics.median(spent)


def bandwidth() -> float:
    """Return bytes per second of a sum over 400 MB, the floor for reading anything."""
    block = np.ones(100_000_000, np.float32)
    return block.nbytes / cpu(block.sum)


def table(n: int) -> list[str]:
    """Return the comparison in Markdown."""
    frame = predictions(n)
    ours(frame.head(1000))
    mine = cpu(lambda: ours(frame))
    points = cpu(lambda: theirs(frame, 0), 3)
    some = cpu(lambda: theirs(frame, TIMED), 1)
    full = points + (some - points) / TIMED * REPLICATES
    floor = frame.estimated_size() / bandwidth()
    return [
        f"{n:,} images, 1 finding, 30 subgroups, AUROC and three or more rates each:",
        "",
        "| what | intervals | CPU s | ratio |",
        "|---|---|--:|--:|",
        f"| `audit.estimates` | pointwise, simultaneous, of contrasts too | {mine:.2f} | 1 |",
        f"| scikit-learn loop | none | {points:.2f} | {points / mine:.1f} |",
        f"| scikit-learn loop, patient bootstrap of {REPLICATES:,} (extrapolated from {TIMED}) "
        f"| pointwise | {full:.0f} | {full / mine:.0f} |",
        f"| reading the table's {frame.estimated_size() / 1e6:.1f} MB once (floor) | | "
        f"{floor:.4f} | {floor / mine:.4f} |",
    ]


if __name__ == "__main__":
    print("\n".join(table(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
