"""The mitigation family on phantoms with each planted bias and on both real sets.

    python benchmarks/mitigations.py            # about two minutes of two cores
    python benchmarks/mitigations.py --seeds 2 --only visibility

Paired differences from plain training on the same test patients, with limits that hold over all
members and quantities of one set together. Adapters are at a small size.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import multiprocessing
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from equipoise import adapt, bench, encoders, phantoms, registry, splits
from equipoise.errors import InvalidInput
from equipoise.mitigations import MITIGATIONS
from equipoise.scope import Scope

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TRAINED, TESTED = 1000, 2000
"""Patients of a set of phantoms; the tested ones are of another draw."""
SITES = ("harbour", "meadow", "ridge")
WOMEN = {"sex": "F"}
REAL = ("ham10000", "nih_cxr")
PLANTED: dict[str, tuple[str, list[dict[str, object]], list[dict[str, object]]]] = {
    "sampling": ("sex", [{"kind": "under_representation", "group": WOMEN, "share": 0.08}], []),
    "labels": ("sex", [{"kind": "label_noise", "group": WOMEN, "under_diagnosis": 0.4}], []),
    "shortcut": (
        "marker",
        [{"kind": "shortcut", "site": site, "strength": 0.9} for site in SITES],
        [],
    ),
    "visibility": ("sex", [{"kind": "lower_visibility", "group": WOMEN, "factor": 0.6}], ["same"]),
    "prevalence": (
        "sex",
        [{"kind": "prevalence_shift", "group": WOMEN, "prevalence": 0.15}],
        ["same"],
    ),
    "none": ("sex", [], []),
}
"""Set → attribute of the groups, biases in training, and whether they are in testing too."""
SMALL = {"hidden": 4, "passes": 60}
ADAPTERS = ("cdann", "coral", "crt", "dann", "laftr", "mmd")
FOLDS = {"ham10000": 2, "nih_cxr": 5}
PENALTY = 0.1
"""The same for all: it is not chosen, so that members differ in nothing else."""
QUANTITIES = (
    ("auroc", "everybody"),
    ("auroc", "worst group"),
    ("auroc", "largest contrast"),
    ("sensitivity", "worst group"),
    ("sensitivity", "largest contrast"),
)


def asked(seeds: int, left_out: tuple[str, ...]) -> bench.Members:
    """Return what is compared."""
    candidates = [
        adapt.Candidate(name=name, mitigation=name, parameters=SMALL if name in ADAPTERS else {})
        for name in sorted(MITIGATIONS)
        if name != "plain" and name not in left_out
    ]
    options = adapt.Options(candidates=tuple(candidates), penalties=(PENALTY,))
    return bench.Members(adapt=options, seeds=tuple(range(seeds)))


def embedded(pixels: np.ndarray, name: str, parameters: Mapping[str, object]) -> pl.Series:
    """Return the vectors of images."""
    encoder: Any = registry.load(name, encoders.ENCODERS, kind="encoder")(parameters, Scope())
    parts = [encoder.embed(pixels[start : start + 64]) for start in range(0, len(pixels), 64)]
    found = np.concatenate(parts)
    return pl.Series(found.astype(np.float32), dtype=pl.Array(pl.Float32, found.shape[1]))


def phantom_rows(name: str) -> tuple[adapt.Rows, dict[str, pl.Series]]:
    """Return a set of phantoms, and its clean labels."""
    by, planted, there = PLANTED[name]
    parts = []
    for seed, patients, biases in (
        (31, TRAINED, planted),
        (32, TESTED, planted if there else []),
    ):
        options = phantoms.Options(patients=patients, seed=seed, truth_patients=2, biases=biases)
        scenes = phantoms.scenes(options)
        parts.append(
            phantoms.cohort(scenes, options).select(
                "image_id",
                pl.col("patient_id") + f"-{seed}",
                "sex",
                "label:opacity",
                marker=scenes["marker"],
                clean=scenes["clean"],
                vector=embedded(phantoms.images(scenes, options), "demo", {}),
                split=pl.lit("train" if seed == 31 else "test"),
                fold=pl.lit(0),
            )
        )
    cohort = pl.concat(parts)
    rows = adapt.rows(cohort, cohort, cohort, findings=None, group_by=[by])
    clean = pl.DataFrame({"image_id": rows.image_ids}).join(
        cohort, on="image_id", how="left", maintain_order="left"
    )["clean"]
    return rows, {"opacity": clean}


def real_rows(name: str) -> tuple[adapt.Rows, None]:
    """Return one of the real sets, in folds."""
    folder = DATA / {"ham10000": "ham10000_subset", "nih_cxr": "nih_cxr_1000"}[name]
    if not (folder / "metadata.csv").is_file():
        raise InvalidInput(f"{folder / 'metadata.csv'}: no such file")
    table = pl.read_csv(folder / "metadata.csv").with_columns(pl.col("sex").fill_null("unknown"))
    if name == "nih_cxr":
        table = table.filter(pl.col("pneumonia") == 1)
        label, colours = pl.col("finding_labels").str.contains("Edema"), "L"
        encoder, parameters = "demo", {}
    else:
        label, colours = pl.col("malignant") == 1, "RGB"
        encoder, parameters = "filterbank", {"cells": 1, "channels": 3}
    side = 128
    pixels = np.stack(
        [
            np.asarray(Image.open(folder / image).convert(colours).resize((side, side), 2))
            for image in table["image"]
        ]
    )
    cohort = table.select(
        "patient_id",
        "sex",
        image_id="image",
        vector=embedded(pixels, encoder, parameters),
        split=pl.lit("train"),
        **{"label:finding": label},
    )
    strata = [f"{sex}-{ill}" for sex, ill in cohort.select("sex", "label:finding").iter_rows()]
    folds = splits.patient_folds(cohort["patient_id"].to_list(), strata, n=FOLDS[name], seed=0)
    cohort = cohort.with_columns(fold=pl.Series(folds))
    return adapt.rows(cohort, cohort, cohort, findings=None, group_by=["sex"]), None


def compared(name: str, options: bench.Members) -> tuple[pl.DataFrame, str]:
    """Return the comparison on one set, and how large it was."""
    started = time.process_time()
    rows, truth = real_rows(name) if name in REAL else phantom_rows(name)
    evaluation = "cross-fit" if name in REAL else "split"
    chosen = options.adapt.model_copy(update={"evaluation": evaluation})
    found = bench.members(rows, options.model_copy(update={"adapt": chosen}), truth=truth)
    whole = found.filter(quantity="everybody", metric="auroc", status="assessed").row(0, named=True)
    counts = ", ".join(
        f"{group} {int((rows.groups == group).sum())}" for group in sorted(set(rows.groups))
    )
    trained = (
        f"{FOLDS[name]} folds, drawn anew by each seed"
        if name in REAL
        else f"trained and validated on {int((rows.split == 'train').sum())} images"
    )
    said = (
        f"{trained}; tested on {whole['n_images']} images of {whole['n_patients']} patients "
        f"({whole['n_positive']} with the finding); images by group, all together: {counts}; "
        f"critical value {whole['critical']:.2f}; {time.process_time() - started:.0f} CPU s"
    )
    print(name, said, file=sys.stderr, flush=True)
    return found, said


def lines_of(name: str, found: pl.DataFrame, said: str) -> list[str]:
    """Return one set in Markdown."""
    lines = [f"### {name}", "", f"{said[0].upper()}{said[1:]}.", ""]
    lines += ["| member | " + " | ".join(f"{m}, {q}" for m, q in QUANTITIES) + " |"]
    lines += ["|---" * (len(QUANTITIES) + 1) + "|"]
    first = found.filter(status="assessed")
    plain = [
        first.filter(metric=metric, quantity=quantity)["first"].to_list()
        for metric, quantity in QUANTITIES
    ]
    cells = [f"{values[0]:.3f}" if values else "not assessable" for values in plain]
    lines.append(f"| plain (value) | {' | '.join(cells)} |")
    for candidate in found["candidate"].unique(maintain_order=True):
        own = found.filter(candidate=candidate)
        cells = [_cell(own.filter(metric=metric, quantity=what)) for metric, what in QUANTITIES]
        lines.append(f"| {candidate.replace('_', chr(92) + '_')} | {' | '.join(cells)} |")
    why = found.filter(pl.col("status") != "assessed")["reason"].unique(maintain_order=True)
    return [*lines, *(["", "Without a number: " + "; ".join(why) + "."] if len(why) else []), ""]


def _cell(row: pl.DataFrame) -> str:
    if not row.height:
        return "failed"
    one = row.row(0, named=True)
    if one["status"] != "assessed":
        return str(one["status"])
    text = f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"
    text = text.replace("-", "−")
    return f"**{text}**" if one["low"] > 0 or one["high"] < 0 else text


def main() -> None:
    """Print all sets in Markdown."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seeds", type=int, default=12)
    ask.add_argument("--without", nargs="*", default=[], choices=sorted(MITIGATIONS))
    names = [*PLANTED, *REAL]
    ask.add_argument("--only", nargs="+", default=names, choices=names)
    told = ask.parse_args()
    options = asked(told.seeds, tuple(told.without))
    print(
        f"{len(options.adapt.compared()) - 1} members beside plain training, {told.seeds} seeds, "
        f"penalty {PENALTY}.\n"
    )
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        # The real sets take longest, so they go first.
        order = sorted(told.only, key=lambda name: name not in REAL)
        done = {name: pool.submit(compared, name, options) for name in order}
        for name in told.only:
            print("\n".join(lines_of(name, *done[name].result())), flush=True)


if __name__ == "__main__":
    main()
