"""The audit beside its peers, on the same generated data, in one run.

    python benchmarks/peers.py [images ...]

Work: AUROC, TPR, FPR and PPV of 50 groups: everybody, the levels of three attributes and of their
pairs. Each peer has a venv of its own, made with pip at pinned versions under the cache folder, and
each run is a process of its own; imports are not counted. A size that would take a peer longer than
the limit is extrapolated in proportion from the largest that did not, and marked so.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "equipoise-peers"
LEVELS = {"sex": 2, "age": 4, "race": 5}
LIMIT = 120.0
"""CPU seconds that one run of a peer may take."""

PEERS = {  # name: (what pip installs, what the row says it gives)
    "equipoise": ((), "clustered pointwise and simultaneous, contrasts too"),
    "expert": (("polars==2.1.0", "numpy==2.4.6"), "DeLong and Wilson, neither clustered nor joint"),
    "scikit-learn": (("scikit-learn==1.9.1",), "none"),
    "fairlearn": (("fairlearn==0.15.0",), "none"),
    "fairlearn-bootstrap": (("fairlearn==0.15.0",), "20 replicates over rows"),
    "aequitas": (("aequitas==1.1.0",), "none; no AUROC"),
    "aif360": (("aif360==0.6.1",), "none; no AUROC"),
    "oxonfair": (("oxonfair==0.3",), "none"),
    "fairmedfm": (("fairmedfm==0.4.2",), "none; rates at max-F1 of the audited data"),
}


def generated(n: int, folder: Path) -> Path:
    """Write `n` images, about 1.67 to a patient, one in ten positive, and return where."""
    rng = np.random.default_rng(0)
    patient = np.sort(rng.integers(0, max(int(n / 1.13), 1), n))
    patient = np.unique(patient, return_inverse=True)[1]
    groups = {
        name: rng.integers(0, levels, int(patient.max()) + 1).astype(np.int8)[patient]
        for name, levels in LEVELS.items()
    }
    label = rng.random(n) < 0.1
    shared = rng.standard_normal(int(patient.max()) + 1)[patient]
    latent = 2 * label - 2 + np.sqrt(0.3) * shared + np.sqrt(0.7) * rng.standard_normal(n)
    score = (1 / (1 + np.exp(-latent))).astype(np.float32)
    path = folder / f"{n}.npz"
    np.savez(path, patient_id=patient.astype(np.int32), label=label, score=score, **groups)
    return path


def installed(name: str, cache: Path) -> Path | str:
    """Return the Python of a peer's venv, made if need be, or why there is none."""
    wanted = PEERS[name][0]
    if not wanted:
        return Path(sys.executable)
    folder = cache / "-".join(word.replace("==", "-") for word in wanted)
    python = folder / "bin" / "python"
    if (folder / "whole").exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    words = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        return (errors or ["pip failed"])[-1]
    (folder / "whole").touch()
    return python


def run(name: str, python: Path, data: Path, runs: int) -> dict[str, object] | str:
    """Return what a run of a peer printed, or why there is nothing."""
    words = [str(python), str(HERE / "alternatives.py"), name, str(data), str(runs)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1][:120]
    made: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return made


def measured(name: str, python: Path, files: dict[int, Path]) -> dict[int, dict[str, object] | str]:
    """Return a peer's runs by size; a size that would pass the limit is left out."""
    found: dict[int, dict[str, object] | str] = {}
    before = None
    for n, path in files.items():
        if before is not None and before[1] * n / before[0] > LIMIT:
            break
        made = run(name, python, path, 1 if n > 200_000 and (before or (1, 9))[1] > 1 else 3)
        found[n] = made
        if isinstance(made, str):
            break
        before = n, statistics.median(made["cpu"])
        print(name, f"{n:,}", made["cpu"], file=sys.stderr, flush=True)
    return found


def bandwidth() -> float:
    """Return bytes per CPU second of a sum over 400 MB."""
    block = np.ones(100_000_000, np.float32)
    spent = []
    for _ in range(5):
        begin = time.process_time()
        block.sum()
        spent.append(time.process_time() - begin)
    return block.nbytes / statistics.median(spent)


def difference(mine: dict[str, list[float | None]], other: dict[str, list[float | None]]) -> str:
    """Return the largest difference of values that both have."""
    gaps = [
        abs(a - b)
        for key in mine.keys() & other.keys()
        for a, b in zip(mine[key], other[key], strict=True)
        if a is not None and b is not None
    ]
    return f"{max(gaps):.0e} ({len(gaps)})" if gaps else ""


def row(
    name: str,
    found: dict[int, dict[str, object] | str],
    ours: dict[int, dict[str, object]],
    sizes: list[int],
) -> str:
    """Return the row of a peer."""
    whole = {n: made for n, made in found.items() if not isinstance(made, str)}
    failed = next((made for made in found.values() if isinstance(made, str)), None)
    if not whole:
        return f"| {name} | {PEERS[name][1]} | {failed} |" + " |" * (len(sizes) + 2)
    cpu = {n: statistics.median(made["cpu"]) for n, made in whole.items()}
    largest = max(cpu)
    cells = [f"{cpu[n]:.3g}" if n in cpu else f"~{cpu[largest] * n / largest:.3g}" for n in sizes]
    top = sizes[-1]
    ratio = (cpu.get(top) or cpu[largest] * top / largest) / statistics.median(ours[top]["cpu"])
    versions = ", ".join(f"{key} {value}" for key, value in whole[largest]["versions"].items())
    agrees = difference(ours[largest]["values"], whole[largest]["values"])
    peak = f"{whole[largest]['peak_mb']:.0f}" + ("" if largest == top else f" at {largest:,}")
    words = [f"{name} ({versions})", PEERS[name][1], *cells, f"{ratio:.2g}", peak, agrees]
    return "| " + " | ".join(words) + " |"


def table(sizes: list[int], cache: Path, names: list[str]) -> list[str]:
    """Return the comparison in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        files = {n: generated(n, Path(folder)) for n in sizes}
        ours = measured("equipoise", Path(sys.executable), files)
        for made in ours.values():
            if isinstance(made, str):
                raise SystemExit(f"equipoise: {made}")
        head = [f"CPU s, {n:,}" for n in sizes]
        titles = ["what", "intervals", *head, "ratio", "peak MB", "largest difference to ours"]
        rows = [f"| {' | '.join(titles)} |", "|---|---|" + "--:|" * (len(sizes) + 2) + "---|"]
        rows.append(row("equipoise", ours, ours, sizes))
        for name in names:
            python = installed(name, cache)
            said = {0: python} if isinstance(python, str) else measured(name, python, files)
            rows.append(row(name, said, ours, sizes))
    top, speed = sizes[-1], bandwidth()
    moved = top * (4 + 1 + 1 + 4)
    floor = moved / speed
    return [
        "AUROC, TPR, FPR and PPV of 50 groups, one finding. Median of three runs, of one where a "
        "run takes long; ~ is extrapolated in proportion to the rows. In brackets, how many values "
        "were compared.",
        "",
        *rows,
        "",
        f"Score, label, cell and patient of {top:,} images are {moved / 1e6:.0f} MB; at "
        f"{speed / 1e9:.1f} GB per CPU second of a sum, reading them once takes {floor:.4f} CPU s, "
        f"{floor / statistics.median(ours[top]['cpu']):.1%} of ours.",
    ]


if __name__ == "__main__":
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    ask.add_argument("--cache", type=Path, default=CACHE)
    ask.add_argument("--only", nargs="+", default=list(PEERS)[1:], choices=list(PEERS)[1:])
    given = ask.parse_args()
    print("\n".join(table(sorted(given.sizes), given.cache, given.only)))
