"""Stages against stages on phantoms with each planted bias: the first test of the thesis.

    python benchmarks/stages.py                     # about half an hour of two cores
    python benchmarks/stages.py --only labels --seeds 2 --steps 20

Curation, group-aware pre-training, mitigation and selection, each alone and all together, under one
budget. Needs the extra `train`. Encoders and rows stay in a folder: a run that is killed goes on.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
from mitigations import PLANTED

from equipoise import bench, phantoms, pretrain
from equipoise.tables import COHORT, IMAGE_CACHE, SPLITS, write

POOL, TESTED = 2400, 2000
"""Patients to draw from, and patients who are tested: of another draw."""
BUDGET = {"images": 800, "validation": 0.25}
EQUAL = {"size": 64, "batch": 72, "threads": 1, "every": 100, "learning_rate": 0.004}
VIEWS = {"smallest_crop": 0.8, "rotation": 5}
SHOWN = (
    ("auroc", "everybody"),
    ("sensitivity", "everybody"),
    ("sensitivity", "group"),
    ("sensitivity", "worst group"),
    ("sensitivity", "contrast"),
    ("specificity", "worst group"),
    ("specificity", "contrast"),
)
PLANTED_GROUP = {"sex": ("F", "M"), "marker": ("L", "R")}
"""Attribute → the group a bias is planted in, and the other."""


def asked(by: str, *, seeds: int, steps: int) -> bench.Stages:
    """Return what is compared."""
    encoder = pretrain.Options(steps=steps, augmentation=VIEWS, **EQUAL)
    return bench.Stages(
        finding="opacity", group_by=(by,), seeds=tuple(range(seeds)), pretrain=encoder, **BUDGET
    )


def written(name: str, folder: Path) -> dict[str, bool]:
    """Write a set as stages would leave it; return the clean labels of those who are tested."""
    _, planted, there = PLANTED[name]
    parts, pixels = [], []
    for seed, patients, biases, split in (
        (41, POOL, planted, "train"),
        (42, TESTED, planted if there else [], "test"),
    ):
        options = phantoms.Options(patients=patients, seed=seed, truth_patients=2, biases=biases)
        scenes = phantoms.scenes(options)
        pixels.append(phantoms.images(scenes, options))
        parts.append(
            phantoms.cohort(scenes, options).with_columns(
                pl.col("patient_id") + f"-{seed}",
                marker=scenes["marker"],
                clean=scenes["clean"],
                split=pl.lit(split),
                fold=pl.lit(0, dtype=pl.Int64),
            )
        )
    cohort = pl.concat(parts).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    np.save(folder / "images.npy", np.concatenate(pixels))
    write(_index(cohort), folder / "images.parquet", IMAGE_CACHE)
    write(cohort.select(*SPLITS.columns), folder / "splits.parquet", SPLITS)
    write(cohort.drop("row", "clean", "split", "fold"), folder / "cohort.parquet", COHORT)
    tested = cohort.filter(split="test")
    return dict(tested.select("image_id", "clean").iter_rows())


def _index(cohort: pl.DataFrame) -> pl.DataFrame:
    digests = [f"{row:064x}" for row in cohort["row"]]
    told = cohort.select("image_id", "row").with_columns(pixel_digest=pl.Series(digests))
    return told.select(*IMAGE_CACHE.columns)


def compared(name: str, seeds: int, steps: int, work: Path) -> dict[str, object]:
    """Return the comparison on one set, and what it cost."""
    started = time.process_time()
    by = PLANTED[name][0]
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    truth = written(name, folder)
    inputs = dict.fromkeys(("cohort", "images", "splits"), folder)
    found = bench.stages(inputs, asked(by, seeds=seeds, steps=steps), work=folder, truth=truth)
    spent = time.process_time() - started
    print(name, f"{spent:.0f} CPU s", file=sys.stderr, flush=True)
    return {
        "set": name,
        "by": by,
        "rows": found.differences.to_dicts(),
        "chosen": found.chosen.to_dicts(),
        "cpu_seconds": round(spent),
    }


def lines_of(told: dict[str, object]) -> list[str]:
    """Return one set in Markdown."""
    group, other = PLANTED_GROUP[str(told["by"])]
    found = pl.DataFrame(told["rows"], infer_schema_length=None)
    names = {"group": f" in {group}", "contrast": f", {group} less {other}"}
    head = [f"{metric}{names.get(what, ', ' + what)}" for metric, what in SHOWN]
    first = found.filter(metric="auroc", quantity="everybody").row(0, named=True)
    lines = [
        f"### {told['set']}",
        "",
        f"Tested on {first['n_images']} images of {first['n_patients']} patients "
        f"({first['n_positive']} with the finding); {told['cpu_seconds']} CPU s.",
        "",
        "| | " + " | ".join(head) + " |",
        "|---" + "|--:" * len(SHOWN) + "|",
    ]
    values = [_cell(found, metric, what, group, value=True) for metric, what in SHOWN]
    lines.append(f"| plain (value) | {' | '.join(values)} |")
    for own in found.partition_by("way", "reference", maintain_order=True):
        name, reference = own["way"][0], own["reference"][0]
        less = "" if reference == "plain" else f" less {reference}"
        cells = [_cell(own, metric, what, group, value=False) for metric, what in SHOWN]
        lines.append(f"| {name}{less} | {' | '.join(cells)} |")
    return [*lines, "", *_chosen(told), ""]


def _cell(found: pl.DataFrame, metric: str, what: str, group: str, *, value: bool) -> str:
    row = found.filter(metric=metric, quantity=what)
    if what == "group":
        row = row.filter(group=group)
    one = row.row(0, named=True)
    if one["status"] != "assessed":
        return str(one["reason"])
    sign = 1.0
    if what == "contrast" and one["group"] != group:
        sign = -1.0
    if value:
        return f"{sign * one['first']:.3f}".replace("-", "−")
    ends = sorted((sign * one["low"], sign * one["high"]))
    text = f"{sign * one['difference']:+.3f} ({ends[0]:+.3f} to {ends[1]:+.3f})".replace("-", "−")
    return f"**{text}**" if ends[0] > 0 or ends[1] < 0 else text


def _chosen(told: dict[str, object]) -> list[str]:
    table = pl.DataFrame(told["chosen"]).group_by("way", "candidate", maintain_order=True).len()
    said = []
    for name in ("mitigation", "all", "all, guarded"):
        own = table.filter(way=name).sort("len", "candidate", descending=[True, False])
        said.append(f"{name}: " + ", ".join(f"{c} {n}" for _, c, n in own.iter_rows()))
    return ["Chosen over the seeds: " + "; ".join(said) + "."]


def main() -> None:
    """Print all sets in Markdown."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument("--steps", type=int, default=150)
    ask.add_argument("--only", nargs="+", default=list(PLANTED), choices=list(PLANTED))
    ask.add_argument("--work", type=Path, default=Path("build/stages"), help="encoders, rows")
    ask.add_argument("--table", action="store_true", help="print what a run before left")
    told = ask.parse_args()
    if told.table:
        for one in json.loads((told.work / "rows.json").read_text(encoding="utf-8")):
            print("\n".join(lines_of(one)))
        return
    found = []
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        given = told.seeds, told.steps, told.work
        jobs = [pool.submit(compared, name, *given) for name in told.only]
        for job in jobs:
            found.append(job.result())
            print("\n".join(lines_of(found[-1])), flush=True)
    (told.work / "rows.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
