"""Probes by the batch beside scikit-learn, one thread each, printed as a table.

    python benchmarks/solver.py [--small] [--million]

Embeddings of 100,000 × 768 in float32, off centre and with a decaying spectrum; eight cells of
label and group. A sweep is sixteen reweightings of the cells × four penalties. scikit-learn gets
its rows standardised beforehand, which is not counted; ours counts everything. Objectives are
computed anew in float64. `--million` maps 1 M × 768 from a file and says the peak of memory.
"""

import argparse
import platform
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg  # noqa: F401  (a library that is loaded later would take all threads)
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from equipoise.probes import Columns, Fits, Part, fit_batch, fit_ridge, gather

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)
POWERS = np.linspace(0.0, 1.0, 16)
BLOCK = 8192


def spent(work: Callable[[], object], runs: int = 3) -> tuple[float, object]:
    """Return the median CPU seconds of some runs, and what the last returned."""
    found, made = [], None
    for _ in range(runs):
        before = time.process_time()
        made = work()
        found.append(time.process_time() - before)
    return statistics.median(found), made


def ceiling(kind: type) -> float:
    """Return GFLOP/s of a large matrix product, the best of five."""
    a = np.random.default_rng(0).standard_normal((2048, 2048)).astype(kind)
    best = min(spent(lambda: a @ a, 1)[0] for _ in range(5))
    return 2 * 2048**3 / best / 1e9


def cohort(n: int, d: int, into: Path | None = None) -> Part:
    """Return rows, a label, sixteen patterns of weights by cell, and the cells."""
    rng = np.random.default_rng(0)
    shape = np.logspace(0, -1.5, d) / np.sqrt(d)
    mixing = (rng.standard_normal((d, d)) * shape[:, None]).astype(np.float32)
    size = np.sqrt((mixing**2).sum(axis=0))
    centre = (rng.standard_normal(d) * 3).astype(np.float32)
    w = rng.standard_normal(d) * 0.1
    if into is None:
        x = np.empty((n, d), np.float32)
    else:
        x = np.lib.format.open_memmap(into, "w+", np.float32, (n, d))
    logit = np.empty(n)
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        rows = (rng.standard_normal((m, d), dtype=np.float32) @ mixing) / size
        x[start : start + m] = rows + centre
        logit[start : start + m] = rows @ w - 2.0
    y = rng.random(n) < 1 / (1 + np.exp(-logit))
    cells = rng.choice(4, n, p=[0.55, 0.3, 0.1, 0.05]) * 2 + y
    share = (1.0 / np.bincount(cells))[:, None] ** POWERS  # (cells, patterns)
    return Part(x, y[:, None], share[cells], cells)


def sweep(k: int) -> Columns:
    """Return k fits: reweightings within penalties."""
    at = np.arange(k)
    return Columns(at * 0, at % 16, np.array(PENALTIES)[at // 16 % 4])


def single(part: Part) -> tuple[Part, Columns]:
    """Return what one plain fit has: weights alike, no groups."""
    n = len(part.x)
    plain = Part(part.x, part.labels, np.ones((n, 1)), np.zeros(n, np.int64))
    zero = np.zeros(1, np.int64)
    return plain, Columns(zero, zero, np.array([1e-4]))


def objective(part: Part, columns: Columns, at: int, coef: np.ndarray, level: float) -> float:
    """Return the objective in float64, for weights of rows standardised in float64."""
    share = part.weights[:, columns.pattern[at]] / part.weights[:, columns.pattern[at]].sum()
    mean, scale = moments(part, share)
    loss = 0.0
    for start in range(0, len(share), BLOCK):
        some = slice(start, start + BLOCK)
        logit = ((part.x[some] - mean) / scale) @ coef + level
        truth = part.labels[some, 0]
        loss += float(share[some] @ (np.logaddexp(0.0, logit) - truth * logit))
    return loss + 0.5 * float(columns.penalty[at]) * float(coef @ coef)


def moments(part: Part, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted mean and standard deviation of the columns, in float64."""
    d = part.x.shape[1]
    blocks = [slice(start, start + BLOCK) for start in range(0, len(share), BLOCK)]
    mean = sum((share[b] @ part.x[b].astype(np.float64) for b in blocks), np.zeros(d))
    square = sum((share[b] @ (part.x[b] - mean) ** 2 for b in blocks), np.zeros(d))
    return mean, np.sqrt(square)


def peer(part: Part, columns: Columns, at: int, solver: str) -> tuple[float, float]:
    """Return the CPU seconds of scikit-learn for one fit, and the objective that it reached."""
    weights = part.weights[:, columns.pattern[at]]
    mean, scale = moments(part, weights / weights.sum())
    x = ((part.x - mean.astype(np.float32)) / scale.astype(np.float32)).astype(np.float32)
    y = part.labels[:, 0].astype(int)
    strength = 1.0 / (float(columns.penalty[at]) * float(weights.sum()))
    model = LogisticRegression(C=strength, solver=solver, max_iter=1000)
    cpu, _ = spent(lambda: model.fit(x, y, sample_weight=weights), 3 if solver == "lbfgs" else 1)
    coef, level = model.coef_[0].astype(np.float64), float(model.intercept_[0])
    return cpu, objective(part, columns, at, coef, level)


def ours(part: Part, columns: Columns, fits: Fits, at: int) -> float:
    """Return the objective of one of our fits, computed as for the peer."""
    return objective(part, columns, at, fits.weights[at, 0], float(fits.intercept[at, 0]))


def logistic(part: Part, k: int) -> list[str]:
    """Return rows for one fit and for a sweep, beside scikit-learn."""
    lines = []
    plain, alone = single(part)
    ours_cpu, fits = spent(lambda: fit_batch(plain, alone))
    assert isinstance(fits, Fits)
    best = ours(plain, alone, fits, 0)
    for solver in ("lbfgs", "newton-cholesky"):
        cpu, value = peer(plain, alone, 0, solver)
        lines.append(f"| one fit, scikit-learn {solver} | {cpu:.2f} | | | {value:.7f} | |")
        if solver == "lbfgs":
            ratio, least = cpu / ours_cpu, value
    said = f"{ratio:.1f} × faster than lbfgs, objective {best - least:+.1e} (bar ≥ 3 ×)"
    lines.append(f"| one fit, ours, its Gram included | {ours_cpu:.2f} | {_how(fits)} | "
                 f"{best:.7f} | {said} |")  # fmt: skip
    columns = sweep(k)
    cpu, fits = spent(lambda: fit_batch(part, columns))
    assert isinstance(fits, Fits)
    corners = sorted({0, 15, k - 16, k - 1})
    beside = [peer(part, columns, at, "lbfgs") for at in corners]
    above = max(
        ours(part, columns, fits, at) - value
        for at, (_, value) in zip(corners, beside, strict=True)
    )
    each = statistics.mean(one for one, _ in beside)
    lines.append(f"| a fit of the sweep, scikit-learn lbfgs, mean of {len(corners)} | {each:.2f} "
                 "| | | | |")  # fmt: skip
    said = f"{each * k / cpu:.0f} × faster each, objective at most {above:+.1e} (bar ≥ 25 ×)"
    lines.append(f"| a sweep of {k}, ours: {1e3 * cpu / k:.0f} ms each | {cpu:.2f} | {_how(fits)} "
                 f"| | {said} |")  # fmt: skip
    assert fits.converged.all(), fits.failures
    return lines


def _how(fits: Fits) -> str:
    passes = fits.passes
    said = f"{passes.min()}" if passes.min() == passes.max() else f"{passes.min()}–{passes.max()}"
    return f"{said} | {fits.gradient_norm.max():.1e}"


def ridge(part: Part) -> list[str]:
    """Return rows for gathering the Grams of eight cells, and for 256 reweighted ridges."""
    cpu, gathered = spent(lambda: gather(part))
    lines = [f"| Grams of {len(np.unique(part.groups))} cells | {cpu:.2f} | 1 | | | |"]
    sizes = gathered.grams.sizes  # type: ignore[attr-defined]
    weights = sizes[None, :] ** -POWERS[:, None]
    at = np.arange(256)
    columns = Columns(at * 0, at % 16, np.logspace(-6, 1, 16)[at // 16])
    cpu, fits = spent(lambda: fit_ridge(gathered, columns, weights))
    assert isinstance(fits, Fits)
    said = f"{1e3 * cpu / 256:.1f} ms each (bar ≤ 10 ms)"
    lines.append(f"| 256 weighted ridges from them | {cpu:.2f} | 0 | {fits.gradient_norm.max():.1e}"
                 f" | | {said} |")  # fmt: skip
    return lines


def multinomial(part: Part) -> list[str]:
    """Return rows for one multinomial of five classes, beside scikit-learn."""
    rng, (n, d) = np.random.default_rng(1), part.x.shape
    mean, scale = moments(part, np.full(n, 1.0 / n))
    x = ((part.x - mean.astype(np.float32)) / scale.astype(np.float32)).astype(np.float32)
    odds = x @ (rng.standard_normal((d, 5)) * 0.1).astype(np.float32)
    codes = (odds + rng.gumbel(size=(n, 5))).argmax(axis=1)
    zero = np.zeros(1, np.int64)
    five = Part(part.x, codes[:, None], np.ones((n, 1)), np.zeros(n, np.int64))
    columns = Columns(zero, zero, np.array([1e-4]))
    model = LogisticRegression(C=1.0 / (1e-4 * n), max_iter=1000)
    cpu, _ = spent(lambda: model.fit(x, codes), 1)
    ours_cpu, fits = spent(lambda: fit_batch(five, columns, classes=5))
    assert isinstance(fits, Fits)
    value = {
        "scikit-learn lbfgs": _entropy(x, codes, model.coef_, model.intercept_),
        "ours": _entropy(x, codes, fits.weights[0], fits.intercept[0]),
    }
    theirs = f"| five classes, scikit-learn lbfgs | {cpu:.2f} | | "
    said = f"{cpu / ours_cpu:.1f} × faster, Gram included"
    return [
        f"{theirs}| {value['scikit-learn lbfgs']:.7f} | |",
        f"| five classes, ours | {ours_cpu:.2f} | {_how(fits)} | {value['ours']:.7f} | {said} |",
    ]


def _entropy(x: np.ndarray, codes: np.ndarray, coef: np.ndarray, level: np.ndarray) -> float:
    coef = coef.astype(np.float64)
    total = 0.0
    for start in range(0, len(x), BLOCK):
        logit = x[start : start + BLOCK].astype(np.float64) @ coef.T + level
        some = codes[start : start + BLOCK]
        total += float(
            (np.logaddexp.reduce(logit, axis=1) - logit[np.arange(len(some)), some]).sum()
        )
    return total / len(x) + 0.5e-4 * float((coef**2).sum())


def million(folder: Path) -> list[str]:
    """Return rows for 1 M × 768 mapped from a file, and the peak of this process's memory."""
    part = cohort(1_000_000, 768, folder / "x.npy")
    mapped = np.load(folder / "x.npy", mmap_mode="r")
    part = Part(mapped, part.labels, part.weights.astype(np.float32), part.groups)
    lines = []
    plain, alone = single(part)
    columns = sweep(64)
    works: dict[str, tuple[Part, Columns]] = {
        "one fit": (plain, alone),
        "a sweep of 64": (part, columns),
    }
    for what, (rows, asked) in works.items():
        cpu, fits = spent(lambda rows=rows, asked=asked: fit_batch(rows, asked), 1)
        assert isinstance(fits, Fits)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        said = f"peak {peak:.1f} GB, mapped pages among them (bar ≤ 16)"
        lines.append(f"| 1 M × 768 from a file, {what} | {cpu:.1f} | {_how(fits)} | | {said} |")
    cpu, _ = spent(lambda: gather(part), 1)
    lines.append(f"| 1 M × 768 from a file, Grams of 8 cells | {cpu:.1f} | 1 | | | |")
    return lines


def rows(asked: argparse.Namespace) -> list[str]:
    """Return the table in Markdown."""
    speed = {kind: ceiling(kind) for kind in (np.float32, np.float64)}
    lines = [
        "| work | CPU s | passes | gradient norm | objective | beside |",
        "|---|--:|--:|--:|--:|---|",
    ]
    if asked.million:
        with tempfile.TemporaryDirectory(prefix="solver-", dir=asked.folder) as folder:
            lines += million(Path(folder))
    else:
        n, d, k = (5000, 64, 32) if asked.small else (100_000, 768, 64)
        part = cohort(n, d)
        lines += logistic(part, k) + ridge(part) + multinomial(part)
    flops = 4 * 1e5 * 768 * 64 / speed[np.float32] / 1e9
    lines += [
        "",
        f"Matrix products, one thread: {speed[np.float32]:.0f} GFLOP/s in float32, "
        f"{speed[np.float64]:.0f} in float64; so a pass over 100,000 × 768 for 64 fits takes "
        f"{flops:.2f} s at least. {platform.machine()}.",
    ]
    return lines


def main() -> None:
    """Print one table."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--small", action="store_true", help="5,000 × 64: does it run")
    ask.add_argument("--million", action="store_true", help="only 1 M × 768 from a file")
    ask.add_argument("--folder", default=None, help="where the file of 3 GB may lie")
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        print("\n".join(rows(ask.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
