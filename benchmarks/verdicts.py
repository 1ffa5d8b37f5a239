"""How often each verdict is given where the truth is planted, over many seeds of phantoms.

Four benches, each through the same stages as the demo (DICOM files and all, but for the
documentation and the report): the demo's biased arm and its twin, a large twin in which a pass can
be shown, and a useless model, whose lesions cannot be seen by anybody.

    python benchmarks/verdicts.py --seeds 50
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import resources
from pathlib import Path

import yaml

ARMS = ("biased", "twin", "large twin", "useless")
SKIPPED = ("document", "release", "report")


def declared(arm: str, seed: int, encoder: str | None = None) -> dict[str, object]:
    """Return the study of one arm and seed, with another encoder if one is named."""
    home = resources.files("equipoise.study").joinpath("demo")
    name = "biased" if arm == "biased" else "twin"
    study = yaml.safe_load(home.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    stages = {k: v for k, v in study["stages"].items() if k not in SKIPPED}
    phantoms = {**stages["phantoms"], "seed": seed, "truth_patients": 2}
    if arm == "large twin":
        phantoms["patients"] = LARGE
    if arm == "useless":
        phantoms["visibility"] = 0.0
    stages["phantoms"] = phantoms
    if encoder is not None:
        stages["embed"] = {"encoder": encoder}
    return {**study, "stages": stages}


LARGE = 12_000


def judged(arm: str, seed: int, encoder: str | None = None) -> dict[str, object]:
    """Run one study and return what its gate says."""
    from equipoise.study import conduct, parse

    home = resources.files("equipoise.study").joinpath("demo")
    folder = Path(tempfile.mkdtemp(prefix="verdicts-"))
    try:
        (folder / "policy.yaml").write_bytes(home.joinpath("policy.yaml").read_bytes())
        outcomes = conduct(
            parse(declared(arm, seed, encoder)), folder / "run", base=folder, workers=1
        )
        said = json.loads((folder / "run" / "gate" / "verdict.json").read_text(encoding="utf-8"))
        said["seconds"] = sum(outcome.spent.cpu_seconds for outcome in outcomes)
        return said
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def over_seeds(arm: str, seeds: int, workers: int, encoder: str | None) -> list[dict[str, object]]:
    """Return the verdicts of one arm, in the order of the seeds."""
    found: dict[int, dict[str, object]] = {}
    with ProcessPoolExecutor(workers) as pool:
        running = {pool.submit(judged, arm, 1000 + seed, encoder): seed for seed in range(seeds)}
        for done in as_completed(running):
            found[running[done]] = done.result()
            print(f"{arm} {len(found)}/{seeds}: {done.result()['verdict']}", flush=True)
    return [found[seed] for seed in sorted(found)]


def row(arm: str, verdicts: list[dict[str, object]]) -> str:
    """Return the row of the table for one arm."""
    counts = Counter(str(v["verdict"]) for v in verdicts)
    n = len(verdicts)
    cells = [
        f"{counts[v]} ({100 * counts[v] / n:.0f} %)"
        for v in ("pass", "inconclusive", "not assessable", "fail")
    ]
    seconds = statistics.median(float(str(v["seconds"])) for v in verdicts)
    return f"| {arm} | {n} | {' | '.join(cells)} | {seconds:.0f} |"


def main() -> None:
    """Run the arms that are asked for, and print the table in Markdown."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=50)
    ask.add_argument("--large-seeds", type=int, default=3, help="seeds of the large twin")
    ask.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    ask.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    ask.add_argument("--encoder", help="in place of the one that the demo's studies name")
    asked = ask.parse_args()
    rows = [
        "| bench | seeds | pass | inconclusive | not assessable | fail | CPU s, median |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for arm in asked.arms:
        seeds = asked.large_seeds if arm == "large twin" else asked.seeds
        rows.append(row(arm, over_seeds(arm, seeds, asked.workers, asked.encoder)))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
