"""Family-wise coverage, false alarms and power of the engine, by simulation, printed as tables.

    python benchmarks/families.py [draws per row]

Six groups of two attributes crossed (2 × 3), 60 patients with the finding and 240 without in each
cell, one or three images of a patient. A family is all assessable group values, or all contrasts,
of AUROC, sensitivity, specificity and PPV in one call: 12 groups, 11 contrasts each.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from equipoise import metrics
from equipoise.metrics.placements import placements

LEVELS = {"sex": ["F", "M"], "site": ["a", "b", "c"]}
TABLE = metrics.subgroups(LEVELS)
NAMES = ("auroc", "sensitivity", "specificity", "ppv")
POINT = pl.DataFrame({"finding": ["x"], "operating_point": ["p"], "threshold": [0.5]})
POSITIVES, NEGATIVES = 60, 240


@dataclass(frozen=True, slots=True)
class Truth:
    """What is drawn: AUROC, images per patient and their agreement, and what is planted.

    Parameters
    ----------
    auroc
        In every group but the planted one.
    images, agreement
        Of a patient, and the correlation of their scores.
    gap
        How much lower the sensitivity of sex=F, site=a is.
    """

    auroc: float
    images: int
    agreement: float
    gap: float = 0.0


def cohort(truth: Truth, rng: np.random.Generator) -> pl.DataFrame:
    """Return one draw of predictions."""
    cells = [(sex, site) for sex in LEVELS["sex"] for site in LEVELS["site"]]
    each = POSITIVES + NEGATIVES
    who = np.repeat(np.arange(len(cells) * each), truth.images)
    place = who // each
    label = (who % each) < POSITIVES
    shared = rng.standard_normal(len(cells) * each)[who]
    own = rng.standard_normal(len(who))
    latent = np.sqrt(truth.agreement) * shared + np.sqrt(1.0 - truth.agreement) * own
    latent += label * shift(truth, place == 0)
    sex, site = (np.array([cell[k] for cell in cells])[place] for k in (0, 1))
    score = ndtr(latent - np.sqrt(2.0) * ndtri(truth.auroc) / 2.0)
    return pl.DataFrame(
        {"sex": sex, "site": site, "patient_id": who, "label:x": label, "score:x": score}
    )


def shift(truth: Truth, planted: np.ndarray) -> np.ndarray:
    """Return how far positives lie above negatives, in standard deviations."""
    usual = np.sqrt(2.0) * ndtri(truth.auroc)
    sensitivity = ndtr(usual / 2.0)
    lower = ndtri(sensitivity - truth.gap) + usual / 2.0
    return np.where(planted, lower, usual)


def true_values(truth: Truth) -> dict[str, float]:
    """Return the value of each metric in every group where nothing is planted."""
    usual = np.sqrt(2.0) * ndtri(truth.auroc)
    hit = float(ndtr(usual / 2.0))
    share = POSITIVES / (POSITIVES + NEGATIVES)
    ppv = hit * share / (hit * share + (1.0 - hit) * (1.0 - share))
    return {"auroc": truth.auroc, "sensitivity": hit, "specificity": hit, "ppv": ppv}


def drawn(truth: Truth, n: int, seed: int) -> Iterator[pl.DataFrame]:
    """Yield the estimates of so many draws."""
    rng = np.random.default_rng(seed)
    plan = metrics.Plan(
        {}, NAMES, metrics.Minimum(), "x", draws=4_000, describe=False, shrink=False
    )
    for _ in range(n):
        people = metrics.population(cohort(truth, rng), TABLE, patient="patient_id", points=POINT)
        yield metrics.estimate(people, TABLE, plan).estimates


def coverage(n: int) -> list[str]:
    """Return how often whole families are covered, where nothing is planted."""
    lines = [
        "| true AUROC | images each | agreement | all values covered | all contrasts cover 0 | "
        "values, Bonferroni by hand | median width of AUROC | of DeLong and Wald |",
        f"|{'--:|' * 8}",
    ]
    for seed, (auroc, (images, agreement)) in enumerate(
        (a, b) for a in (0.75, 0.9) for b in ((1, 0.0), (3, 0.7))
    ):
        truth = Truth(auroc, images, agreement)
        values = contrasts = bonferroni = 0
        widths, plain = [], []
        for found in drawn(truth, n, seed):
            rows = found.filter(interval="simultaneous").with_columns(
                truth=pl.when(pl.col("contrast").is_null())
                .then(pl.col("metric").replace_strict(true_values(truth)))
                .otherwise(0.0)
            )
            hit = pl.col("truth").is_between("low", "high")
            own = pl.col("contrast").is_null()
            values += rows.filter(own).select(hit.all()).item()
            contrasts += rows.filter(~own).select(hit.all()).item()
            group = rows.filter(own)
            half = -ndtri(0.025 / group.height) * group["standard_error"]
            off = (group["value"] - group["truth"]).abs()
            bonferroni += bool((off <= half).all())
            point = found.filter(
                own, metric="auroc", interval="pointwise", level=0.95, sex="F", site="a"
            )
            widths.append(point["high"][0] - point["low"][0])
            plain.append(2.0 * 1.959964 * wald(truth, seed))
        lines.append(
            f"| {auroc} | {images} | {agreement} | {values / n:.3f} | {contrasts / n:.3f} | "
            f"{bonferroni / n:.3f} | {np.median(widths):.3f} | {np.median(plain):.3f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def wald(truth: Truth, seed: int) -> float:
    """Return the standard error of DeLong 1988 of one cell, its images taken as independent."""
    rows = cohort(truth, np.random.default_rng(seed)).filter(sex="F", site="a")
    label, score = rows["label:x"].to_numpy(), rows["score:x"].to_numpy()
    up, down = score[label], score[~label]
    one, other = placements(up, np.sort(down)), placements(down, np.sort(up))
    return float(np.sqrt(one.var(ddof=1) / len(up) + other.var(ddof=1) / len(down)))


def power(n: int) -> list[str]:
    """Return how often a planted gap is found, and how often equal groups are shown to be."""
    lines = [
        "| planted gap in sensitivity | found (simultaneous excludes 0) | wrong alarm elsewhere | "
        "shown within 0.15 (pointwise 90 %) |",
        f"|{'--:|' * 4}",
    ]
    for seed, gap in enumerate((0.0, 0.05, 0.1, 0.15, 0.2, 0.3)):
        hits = alarms = within = 0
        for found in drawn(Truth(0.9, 1, 0.0, gap), n, 100 + seed):
            mine = pl.col("sex").eq_missing(pl.lit("F")) & pl.col("site").eq_missing(pl.lit("a"))
            rows = found.filter(pl.col("contrast").is_not_null(), metric="sensitivity")
            wide = rows.filter(interval="simultaneous")
            beyond = (pl.col("high") < 0) | (pl.col("low") > 0)
            hits += wide.filter(mine).select(beyond.any()).item()
            # Specificity has no gap anywhere.
            other = found.filter(
                pl.col("contrast").is_not_null(), metric="specificity", interval="simultaneous"
            )
            alarms += other.select(beyond.any()).item()
            narrow = rows.filter(mine, interval="pointwise", level=0.9)
            within += bool(narrow["low"][0] >= -0.15 and narrow["high"][0] <= 0.15)
        lines.append(f"| {gap} | {hits / n:.2f} | {alarms / n:.3f} | {within / n:.2f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main(n: int) -> None:
    """Print both tables."""
    print("\n".join([*coverage(n), "", *power(n // 2)]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
