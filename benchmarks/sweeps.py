"""A sweep of adaptation, candidates fitted one by one and by the batch, printed as two tables.

    python benchmarks/sweeps.py [--small]

One thread. Made embeddings in float32. First single fits: Newton, each penalty started from the
one before, beside a batch of k columns at the tolerance that adaptation asks for. Then sweeps:
everything adaptation does for a candidate short of selecting, validation and scores too. One by
one is the same code: a candidate that is named as ``module:function`` is fitted penalty by penalty.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import polars as pl
import solver
from threadpoolctl import threadpool_limits

from equipoise import adapt
from equipoise.adapt.outcomes import Outcome, over_findings
from equipoise.adapt.rounds import rounds
from equipoise.adapt.sweeps import TOLERANCE
from equipoise.probes import Columns, LogisticProbe, Part, fit_batch, fit_logistic

PENALTIES = (10.0, 1.0, 0.1, 0.01)
CANDIDATES = ("plain", "reweighting", "resampling")
FINDINGS = 4
SHAPES = ((1_000, 192), (5_000, 768), (10_000, 128), (100_000, 768))
SWEEPS = (
    (1_000, 192, "cross-fit"),
    (1_000, 768, "cross-fit"),
    (10_000, 768, "split"),
    (10_000, 768, "cross-fit"),
)


def by_newton(part: Part, pattern: int) -> list[LogisticProbe]:
    """Return a fit per penalty, each started from the one before."""
    found: list[LogisticProbe] = []
    for penalty in PENALTIES:
        start = found[-1] if found else None
        weights = part.weights[:, pattern]
        found.append(
            fit_logistic(part.x, part.labels[:, 0], weights=weights, penalty=penalty, start=start)
        )
    return found


def single(n: int, d: int) -> list[str]:
    """Return rows for Newton and for batches of 1, 4, 16 and 64 columns."""
    made = solver.cohort(n, d)
    part = Part(made.x, made.labels, made.weights, made.groups * 0)  # one group, as in adaptation
    lead = f"| {n:,} × {d}"
    cpu, exact = solver.spent(lambda: by_newton(part, 15), 1 if n > 50_000 else 3)
    assert isinstance(exact, list)
    norm = max(one.gradient_norm for one in exact)
    lines = [f"{lead} | Newton, one by one | {1e3 * cpu / 4:.1f} | {norm:.0e} | | |"]
    for k in (1, 4, 16, 64):
        at = np.arange(k)
        penalty = np.array(PENALTIES)[at % 4 if k > 1 else at + 3]
        columns = Columns(at * 0, 15 - at // 4, penalty)
        spent, fits = solver.spent(
            lambda columns=columns: fit_batch(part, columns, tolerance=TOLERANCE), 3
        )
        ours = [fits.probe(i) for i in range(min(k, 4))]
        theirs = exact if k > 1 else exact[3:]
        some = part.x[:2000]
        apart = max(
            np.abs(one.scores(some) - other.scores(some)).max()
            for one, other in zip(ours, theirs, strict=True)
        )
        lines.append(
            f"{lead} | a batch of {k} | {1e3 * spent / k:.1f} | {fits.gradient_norm.max():.0e} | "
            f"{apart:.0e} | {cpu / 4 / (spent / k):.1f} × |"
        )
    return lines


def images(n: int, d: int) -> adapt.Rows:
    """Return images of one patient each, two sexes, findings that are not assessed for all."""
    made, rng = solver.cohort(n, d), np.random.default_rng(1)
    ids = [f"{i:06d}" for i in range(n)]
    labels = {}
    for at in range(FINDINGS):
        label = np.where(rng.random(n) < 0.8, made.labels[:, 0], rng.random(n) < 0.4)
        known = rng.random(n) > 0.05
        labels[f"label:finding {at}"] = [
            bool(y) if k else None for y, k in zip(label, known, strict=True)
        ]
    sex = np.where(made.groups % 4 == 0, "F", "M")
    cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, "sex": sex, **labels})
    place = np.arange(n)
    sides = np.array(["train"] * 3 + ["validation", "test"])
    splits = pl.DataFrame({"image_id": ids, "split": sides[place // 5 % 5], "fold": place % 5})
    vectors = pl.Series(made.x, dtype=pl.Array(pl.Float32, d))
    embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    return adapt.rows(cohort, splits, embeddings, findings=None, group_by=["sex"])


def swept(rows: adapt.Rows, options: adapt.Options, addresses: Sequence[str]) -> list[Outcome]:
    """Return the outcomes of all candidates and findings."""
    parts = rounds(rows, options.evaluation, seed=0, inner=options.inner_validation)
    return [
        one
        for name, address in zip(CANDIDATES, addresses, strict=True)
        for one in over_findings(
            rows,
            list(rows.labels),
            adapt.Candidate(name=name, mitigation=address),
            parts,
            options,
            seed=0,
        )
    ]


def sweep(n: int, d: int, evaluation: str) -> str:
    """Return a row: a sweep one by one and by the batch, and how far they lie apart."""
    rows = images(n, d)
    options = adapt.Options(evaluation=evaluation, penalties=PENALTIES)
    alone = [f"equipoise.mitigations.{name}:fit" for name in CANDIDATES]
    before, old = solver.spent(lambda: swept(rows, options, alone), 1)
    after, new = solver.spent(lambda: swept(rows, options, CANDIDATES), 1)
    assert isinstance(old, list)
    assert isinstance(new, list)
    apart = max(np.abs(a.scores - b.scores).max() for a, b in zip(old, new, strict=True))
    trials = [trial for one in new for found in one.tried.values() for trial in found]
    norm = max(trial.fitted.probe.gradient_norm for trial in trials)
    assert all(trial.fitted.converged for trial in trials)
    kept = [
        (a.kept[fold].penalty, b.kept[fold].penalty)
        for a, b in zip(old, new, strict=True)
        for fold in a.kept
    ]
    same = sum(one == other for one, other in kept)
    return (
        f"| {n:,} × {d}, {evaluation} | {len(trials)} | {before:.2f} | {after:.2f} | "
        f"{before / after:.1f} × | {norm:.0e} | {apart:.0e} | {same} of {len(kept)} |"
    )


def tables(*, small: bool) -> list[str]:
    """Return both tables in Markdown."""
    shapes = [(1_000, 32)] if small else SHAPES
    sweeps = [(1_000, 32, "split")] if small else SWEEPS
    return [
        "| embeddings | fitted | CPU ms a fit | largest gradient norm | scores apart, at most | "
        "faster |",
        "|---|---|--:|--:|--:|--:|",
        *[line for shape in shapes for line in single(*shape)],
        "",
        "| sweep | fits | one by one, CPU s | by the batch, CPU s | ratio | largest gradient norm "
        "| scores apart, at most | the same penalty kept |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *[sweep(*one) for one in sweeps],
    ]


def main() -> None:
    """Print both tables."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--small", action="store_true", help="1,000 × 32: does it run")
    with threadpool_limits(1):
        print("\n".join(tables(small=ask.parse_args().small)))


if __name__ == "__main__":
    sys.exit(main())
