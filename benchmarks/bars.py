"""The audit engine at size: what it costs, and what the physical floor is.

    python benchmarks/bars.py [--million] [--stream] [--command] [--hundred]

Each row is a process of its own, so that nothing is warm and the peak of memory is its own. The
floor is the time to read the bytes of the columns once, at the bandwidth measured in the same run.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LEVELS = {"sex": ["F", "M"], "age": ["0-39", "40-59", "60-79", "80+"], "race": list("ABCDE")}
METRICS = ("auroc", "sensitivity", "false_positive_rate", "ppv")

WORK = """
import json, os, resource, sys, time
import numpy as np, polars as pl
from equipoise import audit
kind, path, findings, runs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
LEVELS = {levels!r}
options = audit.Options(metrics={metrics!r}, **json.loads(sys.argv[5]))
told = dict(by=LEVELS, operating_points={{"p": 0.5}}, options=options)
if kind == "memory":
    frame = pl.read_parquet(path)
    work = lambda: audit.estimates(frame, **told)
else:
    work = lambda: audit.streamed(path, **told).estimates
spent = []
for _ in range(runs):
    before = time.process_time()
    made = work()
    spent.append(time.process_time() - before)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([spent, peak, made.height]))
"""


def written(
    n: int, findings: int, folder: Path, *, cells: int = 40, chunk: int = 5_000_000
) -> Path:
    """Write `n` images, about 1.67 to a patient and sorted by patient, and return where."""
    import polars as pl

    target = folder / f"{n}-{findings}"
    target.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    levels = LEVELS if cells == 40 else {**LEVELS, "site": ["s", "t"]}
    done = 0
    for part, start in enumerate(range(0, n, chunk)):
        size = min(chunk, n - start)
        patients = max(1, int(size * 0.6))
        who = np.sort(rng.integers(0, patients, size))
        columns: dict[str, object] = {"patient_id": (who + done).astype(np.int32)}
        done += patients
        for name, some in levels.items():
            code = rng.integers(0, len(some), patients)[who]
            names = pl.Series(some).cast(pl.Enum(some))
            columns[name] = names.gather(pl.Series(code))
        shared = rng.standard_normal(patients)[who]
        for finding in range(findings):
            label = rng.random(size) < 0.1
            own = rng.standard_normal(size)
            latent = 2.0 * label - 1.5 + 0.5 * shared + 0.85 * own
            columns[f"label:f{finding}"] = label
            columns[f"score:f{finding}"] = (1.0 / (1.0 + np.exp(-latent))).astype(np.float32)
        pl.DataFrame(columns).write_parquet(target / f"{part:04}.parquet", row_group_size=1 << 17)
    return target


def measured(
    kind: str, path: Path, findings: int, runs: int, **options: object
) -> tuple[float, float]:
    """Return the median CPU seconds of a call, after the first, and the peak of memory in MB."""
    import json

    code = WORK.format(levels=LEVELS, metrics=METRICS)
    words = [sys.executable, "-c", code, kind, str(path), str(findings), str(runs)]
    done = subprocess.run([*words, json.dumps(options)], capture_output=True, text=True, check=True)
    spent, peak, _ = json.loads(done.stdout)
    return statistics.median(spent[1:] or spent), peak


def command(path: Path, *more: str) -> tuple[float, float, float]:
    """Return CPU and wall seconds and peak MB of the command, nothing warm but the files."""
    by = [word for name, some in LEVELS.items() for word in ("--by", f"{name}={','.join(some)}")]
    folder = path.with_name(f"audit-{path.stem}")
    words = [sys.executable, "-m", "equipoise", "audit", str(path), *by, "--threshold", "0.5"]
    found = []
    for _ in range(5):
        start = time.perf_counter()
        process = subprocess.Popen(
            [*words, "--out", str(folder), *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, "the command failed"
        wall = time.perf_counter() - start
        found.append((usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024))
    cpu, wall, peak = zip(*found, strict=True)
    return statistics.median(cpu), statistics.median(wall), max(peak)


BANDWIDTH = """
import statistics, time
import numpy as np
block = np.ones(100_000_000, np.float32)
spent = []
for _ in range(5):
    before = time.process_time()
    block.sum()
    spent.append(time.process_time() - before)
print(block.nbytes / statistics.median(spent))
"""


def bandwidth() -> float:
    """Return bytes per CPU second of a sum over 400 MB, in a process of its own.

    A child's peak of memory starts at its parent's, so this one holds nothing large.
    """
    words = [sys.executable, "-c", BANDWIDTH]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def bytes_of(n: int, findings: int) -> int:
    """Return the bytes of what must be read: score, label, patient, and a byte for the cell."""
    return n * (findings * 5 + 4 + 1)


def rows(asked: argparse.Namespace, folder: Path) -> list[str]:
    """Return the table in Markdown; the data are written into a folder."""
    speed = bandwidth()
    lines = [
        "| work | CPU s | wall s | peak MB | bar | MB read | floor s |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]

    def line(what: str, cpu: float, wall: float | None, peak: float, bar: str, size: int) -> None:
        told = "" if wall is None else f"{wall:.2f}"
        floor = f"{size / 1e6:.0f} | {size / speed:.4f}"
        lines.append(f"| {what} | {cpu:.2f} | {told} | {peak:.0f} | {bar} | {floor} |")
        print(lines[-1], file=sys.stderr, flush=True)

    lean = {"describe": False, "shrink": False}
    if asked.million:
        for findings, bar in ((1, "≤ 0.35"), (14, "≤ 3")):
            path = written(1_000_000, findings, folder)
            size = bytes_of(1_000_000, findings)
            what = f"1 M images in memory, {findings} finding{'s' * (findings > 1)}"
            cpu, peak = measured("memory", path, findings, 6, **lean)
            line(f"{what}, estimates and intervals", cpu, None, peak, bar, size)
            cpu, peak = measured("memory", path, findings, 4)
            line(f"{what}, descriptions and shrinkage too", cpu, None, peak, "", size)
    if asked.stream:
        path = written(1_000_000, 14, folder)
        cpu, peak = measured("stream", path, 14, 4, **lean)
        what = "1 M × 14 findings streamed from Parquet, clustered"
        line(what, cpu, None, peak, "≤ 1.2", bytes_of(1_000_000, 14))
        for n in (1_000_000, 10_000_000):
            path = written(n, 1, folder)
            cpu, peak = measured("stream", path, 1, 3, **lean)
            what = f"{n // 1_000_000} M × 1 finding streamed, clustered"
            line(what, cpu, None, peak, "", bytes_of(n, 1))
    if asked.hundred:
        path = written(100_000_000, 1, folder, cells=80)
        cpu, peak = measured("stream", path, 1, 1, **lean)
        what = "100 M × 1 finding streamed, clustered"
        line(what, cpu, None, peak, "≤ 9, ≤ 600 MB", bytes_of(100_000_000, 1))
    if asked.command:
        path = next(written(1_000_000, 1, folder).glob("*.parquet"))
        what = "`equipoise audit`, 1 M × 1 finding, whole process"
        line(what, *command(path), "≤ 3 CPU", bytes_of(1_000_000, 1))
        path = next(written(10_000, 14, folder).glob("*.parquet"))
        what = "`equipoise audit`, 10 k × 14 findings, whole process"
        line(what, *command(path), "≤ 2 wall", bytes_of(10_000, 14))
    lines += ["", f"Bandwidth of a sum, one core: {speed / 1e9:.1f} GB/s; {platform.machine()}."]
    return lines


def main() -> None:
    """Print what is asked for, or all but the hundred million."""
    ask = argparse.ArgumentParser(description=__doc__)
    for name in ("million", "stream", "command", "hundred"):
        ask.add_argument(f"--{name}", action="store_true")
    asked = ask.parse_args()
    if not any(vars(asked).values()):
        asked.million = asked.stream = asked.command = True
    with tempfile.TemporaryDirectory(prefix="bars-") as folder:
        print("\n".join(rows(asked, Path(folder))))


if __name__ == "__main__":
    main()
