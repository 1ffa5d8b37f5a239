"""What corrections of gaps, and shrunken values, are worth: simulations, printed as tables.

Run as ``python benchmarks/spread.py [repetitions]``. The first table compares estimators of largest
minus smallest; the second takes groups that are equal; the third and fourth shrunken values.
"""

import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from equipoise.metrics.shrinkage import main_effects, shrink, shrink_rates
from equipoise.metrics.spread import between_variance, gap, gap_limits, sampling_errors

Reals = npt.NDArray[np.float64]
Estimator = Callable[[Reals, Reals], float]

DRAWS = 400


def as_observed(values: Reals, errors: Reals) -> float:  # noqa: ARG001
    """Return largest minus smallest."""
    return float(np.ptp(values))


def less_chance(values: Reals, errors: Reals) -> float:
    """Return it less its expectation with no true difference."""
    return float(max(np.ptp(values) - np.ptp(errors, axis=1).mean(), 0.0))


def bootstrapped(values: Reals, errors: Reals) -> float:
    """Return it less what noise adds to the gap of the observed values."""
    return float(max(2.0 * np.ptp(values) - np.ptp(values + errors, axis=1).mean(), 0.0))


def of_squares(values: Reals, errors: Reals) -> float:
    """Return the root of its square less the expected square with no true difference."""
    square = np.ptp(values) ** 2 - np.square(np.ptp(errors, axis=1)).mean()
    return float(np.sqrt(max(square, 0.0)))


def stretched(values: Reals, errors: Reals) -> float:
    """Return it less what noise adds to values that vary as the true ones are estimated to."""
    found = between_variance(values, np.eye(len(values)))
    middle = values.mean()
    truth = middle + np.sqrt(found.corrected / found.value) * (values - middle)
    bias = np.ptp(truth + errors, axis=1).mean() - np.ptp(truth)
    return float(max(np.ptp(values) - bias, 0.0))


def shrunken(values: Reals, errors: Reals) -> float:
    """Return the engine's: less what noise adds to the gap of shrunken values."""
    return gap(values, np.eye(len(values)), errors).corrected


ESTIMATORS: dict[str, Estimator] = {
    "as observed": as_observed,
    "less chance": less_chance,
    "bootstrap, observed values": bootstrapped,
    "root of squares": of_squares,
    "bootstrap, stretched values": stretched,
    "bootstrap, shrunken values": shrunken,
}


def patterns(k: int, apart: float) -> dict[str, Reals]:
    """Return true values of k groups that lie `apart`: one differs, or all evenly."""
    one = np.zeros(k)
    one[0] = -apart
    return {"one differs": one, "evenly": np.linspace(0.0, apart, k)}


def gaps(repetitions: int, rng: np.random.Generator) -> list[str]:
    """Return bias and root mean squared error of each estimator, in standard errors of a group."""
    rows = ["| groups | true values | true gap | " + " | ".join(ESTIMATORS) + " |"]
    rows.append("|" + "---|" * (3 + len(ESTIMATORS)))
    for k in (2, 6, 12):
        errors = sampling_errors(np.eye(k), rng, DRAWS)
        for apart in (0.0, 1.0, 2.0, 4.0, 8.0):
            for name, truth in patterns(k, apart).items():
                if name == "evenly" and (k == 2 or apart == 0.0):
                    continue
                seen = truth + rng.standard_normal((repetitions, k))
                cells = [
                    _error([f(values, errors) for values in seen], apart)
                    for f in ESTIMATORS.values()
                ]
                rows.append(f"| {k} | {name} | {apart:g} | " + " | ".join(cells) + " |")
    return rows


def _error(found: list[float], truth: float) -> str:
    off = np.array(found) - truth
    return f"{off.mean():+.2f}, {np.sqrt(np.square(off).mean()):.2f}"


def equal(repetitions: int, rng: np.random.Generator) -> list[str]:
    """Return what equal groups seem to differ by: sensitivity 0.8 in all."""
    rows = [
        "| groups | positives | as observed | by chance | corrected | its median | it is 0 | "
        "95 % limits hold 0 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for k, n in ((2, 60), (6, 30), (6, 60), (6, 200), (12, 60)):
        found = []
        for values in rng.binomial(n, 0.8, (repetitions, k)) / n:
            covariance = np.diag(values * (1 - values) / (n - 1))
            errors = sampling_errors(covariance, rng, DRAWS)
            one = gap(values, covariance, errors)
            low, _ = gap_limits(values, covariance, errors, level=0.95)
            found.append((one.value, one.chance, one.corrected, low <= 0.0))
        seen, chance, corrected, held = np.array(found).T
        rows.append(
            f"| {k} | {n} | {seen.mean():.3f} | {chance.mean():.3f} | {corrected.mean():.3f} | "
            f"{np.median(corrected):.3f} | {np.mean(corrected == 0.0):.1%} | {held.mean():.1%} |"
        )
    return rows


def normal_ensembles(repetitions: int, rng: np.random.Generator) -> list[str]:
    """Return coverage and error of shrunken values that are as normal as they are taken to be."""
    rows = [
        "| levels | true tau | coverage of 95 % | MSE raw | MSE shrunken | width | mean tau |",
        "|---|---|---|---|---|---|---|",
    ]
    for levels in ((2, 4), (2, 6), (3, 4), (3, 6)):
        design = main_effects(_crossed(*levels))
        for tau in (0.0, 0.2, 0.5, 1.5):
            found = [_one_ensemble(design, tau, rng) for _ in range(repetitions)]
            held, raw, mine, width, learnt = np.array(found).mean(axis=0)
            rows.append(
                f"| {levels[0]} × {levels[1]} | {tau:g} | {held:.1%} | {raw:.3f} | {mine:.3f} | "
                f"{width:.2f} | {learnt:.2f} |"
            )
    return rows


def _crossed(first: int, second: int) -> list[dict[str, str]]:
    return [{"a": str(i), "b": str(j)} for i in range(first) for j in range(second)]


def _one_ensemble(
    design: Reals, tau: float, rng: np.random.Generator
) -> tuple[float, float, float, float, float]:
    n = len(design)
    error = rng.uniform(0.2, 0.8, n)
    covariance = np.outer(error, error) * (0.95 * np.eye(n) + 0.05)
    truth = design @ rng.normal(0.0, 0.5, design.shape[1]) + tau * rng.standard_normal(n)
    values = truth + np.linalg.cholesky(covariance) @ rng.standard_normal(n)
    found = shrink(values, covariance, design, level=0.95)
    return (
        float(np.mean((found.low <= truth) & (truth <= found.high))),
        float(np.mean(np.square(values - truth))),
        float(np.mean(np.square(found.value - truth))),
        float(np.mean((found.high - found.low) / (2 * 1.959964 * error))),
        found.tau,
    )


def rates(repetitions: int, rng: np.random.Generator) -> list[str]:
    """Return the same of rates of few trials, about 0.8, which are not normal."""
    rows = [
        "| levels | trials | true tau (logit) | coverage of 95 % | MSE raw | MSE shrunken |",
        "|---|---|---|---|---|---|",
    ]
    for least, most in ((8, 30), (30, 100), (100, 400)):
        for tau in (0.0, 0.3, 0.8):
            found = [_one_set_of_rates(least, most, tau, rng) for _ in range(repetitions)]
            held, raw, mine = np.array(found).mean(axis=0)
            rows.append(
                f"| 3 × 4 | {least} to {most} | {tau:g} | {held:.1%} | {raw:.5f} | {mine:.5f} |"
            )
    return rows


def _one_set_of_rates(
    least: int, most: int, tau: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    design = main_effects(_crossed(3, 4))
    n = rng.integers(least, most, len(design), endpoint=True)
    latent = 1.4 + design[:, 1:] @ rng.normal(0.0, 0.4, design.shape[1] - 1)
    truth = expit(latent + tau * rng.standard_normal(len(design)))
    values = rng.binomial(n, truth) / n
    covariance = np.diag(values * (1.0 - values) / (n - 1))
    found = shrink_rates(values, covariance, design, trials=n.astype(np.float64), level=0.95)
    return (
        float(np.mean((found.low <= truth) & (truth <= found.high))),
        float(np.mean(np.square(values - truth))),
        float(np.mean(np.square(found.value - truth))),
    )


def main() -> None:
    """Print all tables."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    rng = np.random.default_rng(2024)
    for title, table in (
        ("Largest minus smallest: bias, root mean squared error", gaps),
        ("Groups that are equal", equal),
        ("Shrunken values, normal", normal_ensembles),
        ("Shrunken rates", rates),
    ):
        print(f"\n### {title}\n\n" + "\n".join(table(repetitions, rng)), flush=True)


if __name__ == "__main__":
    main()
