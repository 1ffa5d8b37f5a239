"""Coverage and length of the bootstrap's intervals by simulation, printed as a table.

Run as ``python benchmarks/bootstrap.py [draws per row [replicates]]``. Each row is a design:
patients of each class, images of each, how much these agree, and the true AUROC. Coverage is of
95 % intervals; beside it stand the misses below and above, and the median length. The jackknife's
interval needs no replicates: it is what the engine's influence values would give.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr, ndtri

from equipoise.metrics import bootstrap
from equipoise.metrics.intervals import freedom

Reals = npt.NDArray[np.float64]
INSIDE = np.array([[True]])


@dataclass(frozen=True, slots=True)
class Design:
    """One simulated truth: patients by class, images per patient, their correlation."""

    positives: int
    negatives: int
    images: int
    correlation: float
    auroc: float

    @property
    def shift(self) -> float:
        """By how many standard deviations positives lie above negatives."""
        return float(np.sqrt(2.0) * ndtri(self.auroc))


def drawn(design: Design, rng: np.random.Generator) -> bootstrap.Rows:
    """Return images whose scores are calibrated, but for the case mix: a slope of 1."""
    patients = design.positives + design.negatives
    who = np.repeat(np.arange(patients), design.images)
    label = who < design.positives
    shared, own = rng.standard_normal(patients)[who], rng.standard_normal(len(who))
    latent = np.sqrt(design.correlation) * shared + np.sqrt(1 - design.correlation) * own
    score = expit(design.shift * (latent + label * design.shift - design.shift / 2.0))
    return bootstrap.Rows(score, label, who * 0, who, bootstrap.keyed(np.arange(patients)))


def slope(negative: Reals, positive: Reals, score: Reals) -> Reals:
    """Return the calibration slope: of the label's log odds on the score's, by Newton's method."""
    x = np.log(score) - np.log1p(-score)
    total = negative + positive
    found = np.zeros((len(total), 2))
    found[:, 1] = 1.0
    for _ in range(25):
        p = expit(found[:, :1] + found[:, 1:] * x)
        residual, weight = positive - total * p, total * p * (1.0 - p)
        up = np.stack([residual.sum(axis=1), residual @ x], axis=1)
        a, b, c = weight.sum(axis=1), weight @ x, weight @ x**2
        scale = a * c - b * b
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.stack([c * up[:, 0] - b * up[:, 1], a * up[:, 1] - b * up[:, 0]], axis=1)
            step /= scale[:, None]
        found += np.clip(step, -5.0, 5.0)
        if np.nanmax(np.abs(step)) < 1e-9:
            break
    # Separated classes have no finite slope: undefined, not 400.
    return np.where(np.abs(found[:, 1]) < 50.0, found[:, 1], np.nan)


def truth(design: Design) -> dict[str, float]:
    """Return what each metric is in the population, at the design's case mix."""
    share = design.positives / (design.positives + design.negatives)
    recall = (np.arange(200_000) + 0.5) / 200_000
    false = ndtr(-(design.shift - ndtri(recall)))
    precision = share * recall / (share * recall + (1.0 - share) * false)
    return {"auroc": design.auroc, "average precision": float(precision.mean()), "slope": 1.0}


def studentised(rows: bootstrap.Rows, n: int, seed: int) -> tuple[float, float]:
    """Return AUROC's limits by the bootstrap of t on the logit scale, errors clustered."""
    weight = bootstrap.weights(rows.keys, range(n), seed=seed)
    value, error = _clustered(rows, weight)
    own, spread = _clustered(rows, np.ones((1, len(rows.keys)), dtype=np.uint8))
    fine = (value > 0) & (value < 1) & (error > 0)
    if spread[0] <= 0 or own[0] >= 1 or not fine.any():
        return float("nan"), float("nan")
    value, error = value[fine], error[fine]

    def logit(p: Reals) -> Reals:
        return np.log(p) - np.log1p(-p)

    t = (logit(value) - logit(own)) * value * (1 - value) / error
    ends = np.quantile(t, [0.975, 0.025])
    low, high = expit(logit(own) - ends * spread / (own * (1 - own)))
    return float(low), float(high)


def _clustered(rows: bootstrap.Rows, weight: npt.NDArray[np.uint8]) -> tuple[Reals, Reals]:
    order = np.argsort(rows.score)
    who, label = rows.patient[order], rows.label[order].astype(float)
    drawn = weight[:, who].astype(float)
    positive, negative = drawn * label, drawn * (1.0 - label)
    n = [positive.sum(axis=1, keepdims=True), negative.sum(axis=1, keepdims=True)]
    below = (np.cumsum(negative, axis=1) - negative / 2) / n[1]
    above = 1.0 - (np.cumsum(positive, axis=1) - positive / 2) / n[0]
    value = (positive * below).sum(axis=1) / n[0][:, 0]
    influence = np.where(
        label > 0, (below - value[:, None]) / n[0], (above - value[:, None]) / n[1]
    )
    back = np.argsort(who, kind="stable")
    starts = np.flatnonzero(np.diff(who[back], prepend=-1))
    sums = np.add.reduceat(influence[:, back], starts, axis=1)
    return value, np.sqrt((weight[:, who[back][starts]] * sums**2).sum(axis=1))


def limits(
    rows: bootstrap.Rows, name: str, design: Design, n: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return the limits of one metric by each method."""
    statistic = METRICS[name]
    values = bootstrap.replicates(rows, INSIDE, statistic, n=n, seed=seed)
    estimate = bootstrap.evaluated(rows, INSIDE, statistic)[0]
    out = bootstrap.jackknife(rows, INSIDE, statistic)
    influence = out.mean(axis=0) - out
    few = np.array(
        [design.positives if name != "slope" else min(design.positives, design.negatives)]
    )
    square, fourth = (influence**2).sum(axis=0), (influence**4).sum(axis=0)
    degrees = freedom(square, fourth, few.astype(float))
    bounded = bootstrap.student_t if name == "slope" else bootstrap.logit_t
    spread = np.sqrt(square)
    about = np.stack([estimate - spread, estimate + spread]) / np.sqrt(2.0)
    about = estimate + (about - about.mean(axis=0))
    found = {
        "percentile": bootstrap.percentile(values),
        "bca": bootstrap.bca(values, estimate, bootstrap.acceleration(influence)),
        "t, patients": bounded(values, estimate, few - 1.0),
        "t, Satterthwaite": bounded(values, estimate, degrees),
        "jackknife t": bounded(about, estimate, degrees),
    }
    ends = {key: (float(one.low[0]), float(one.high[0])) for key, one in found.items()}
    if name == "auroc":
        ends["studentised"] = studentised(rows, n, seed)
    return ends


METRICS: dict[str, Callable[[Reals, Reals, Reals], Reals]] = {
    "auroc": bootstrap.auroc,
    "average precision": bootstrap.average_precision,
    "slope": slope,
}
DESIGNS = [
    Design(positives, 4 * positives, images, 0.5, area)
    for positives in (30, 100)
    for images in (1, 3)
    for area in (0.7, 0.85, 0.95, 0.97)
]


def simulated(
    design: Design, draws: int, n: int
) -> list[tuple[str, str, float, float, float, float]]:
    """Return metric, method, coverage, misses below and above, and the median length."""
    rng, true = np.random.default_rng(0), truth(design)
    kept: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for draw in range(draws):
        rows = drawn(design, rng)
        for name in METRICS:
            for method, pair in limits(rows, name, design, n, draw).items():
                kept.setdefault((name, method), []).append(pair)
    told = []
    for (name, method), pairs in kept.items():
        low, high = np.array(pairs).T
        known = np.isfinite(low)
        under, over = (high[known] < true[name]).mean(), (low[known] > true[name]).mean()
        width = float(np.median(high[known] - low[known]))
        told.append((name, method, 1.0 - under - over, float(over), float(under), width))
    return told


def main() -> None:
    """Print the table."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    print(
        "| positives | images per patient | AUROC | metric | method | covers | low too high "
        "| high too low | length |\n|---|---|---|---|---|---|---|---|---|"
    )
    for design in DESIGNS:
        for name, method, covers, over, under, width in simulated(design, draws, n):
            print(
                f"| {design.positives} | {design.images} | {design.auroc} | {name} | {method} "
                f"| {covers:.3f} | {over:.3f} | {under:.3f} | {width:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
