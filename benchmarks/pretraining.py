"""Trains the demo's own encoder, and compares group-aware with plain pre-training.

    python benchmarks/pretraining.py demo      # about five minutes of one core; writes the encoder
    python benchmarks/pretraining.py compare   # plain, group-aware, filter bank; equal steps

Both go through the real stages and keep their runs in a folder, so that a killed one goes on.
What comes of it lies in the package, under ``encoders/demo``, with its evidence.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from equipoise import __version__, encoders, evidence, metrics, phantoms, probes, splits
from equipoise.adapt import threshold
from equipoise.encoders import demo, filterbank, onnx
from equipoise.metrics import Answers, clustered_auroc
from equipoise.scope import Scope
from equipoise.study import conduct, load, parse
from equipoise.tables import file_digest, read_json, write_bytes, write_json, write_text

FILES = ("study.yaml", "encoder.onnx", "card.yaml", "pretraining.json", "comparison.json")

SITES = [
    {"name": "harbour", "share": 0.55, "noise": 0.026, "portable_share": 0.25},
    {
        "name": "meadow",
        "manufacturer": "Birch Medical",
        "model": "Birch 16",
        "share": 0.40,
        "bits": 16,
        "photometric": "MONOCHROME1",
        "gain": 0.95,
        "noise": 0.028,
        "blur": 0.8,
        "portable_share": 0.35,
    },
    {
        "name": "ridge",
        "manufacturer": "Cedar Systems",
        "model": "Cedar CR-2",
        "modality": "CR",
        "share": 0.05,
        "signed": True,
        "slope": 0.5,
        "intercept": 1024,
        "gain": 1.05,
        "noise": 0.055,
        "blur": 1.3,
        "portable_share": 0.45,
    },
]
"""Three scanners; that of ridge is older (more noise, more blur) and gives 5 % of the patients."""

ARMS: dict[str, dict[str, object]] = {
    "plain": {},
    "balanced, group DRO": {
        "group_by": ["site"],
        "sampler": {"kind": "groups"},
        "reducer": {"kind": "group_dro", "parameters": {"step": 0.05}},
    },
    "balanced, own negatives": {
        "group_by": ["site"],
        "sampler": {"kind": "groups"},
        "same_group_negatives": True,
    },
}
"""What is compared: the same but for sampler, reducer and negatives."""

EQUAL = {"steps": 100, "batch": 72, "threads": 1, "precision": "bfloat16", "every": 50}
VIEWS = {"learning_rate": 0.004, "augmentation": {"smallest_crop": 0.8, "rotation": 5}}
BASELINE = "filterbank"
HOW = (
    "Every arm is trained once per seed, of weights, batches and views alike; run r of one arm is "
    "held against run r of the other. Values are means over the seeds. The interval is over the "
    "test patients, clustered and paired; to its half-width is added, in quadrature, Student's t "
    "times the standard error of the difference over the seeds. Images, splits and filter bank "
    "are the same for all seeds. Pointwise, exploratory, not corrected for the number of rows."
)


def trained_demo(work: Path) -> None:
    """Train the demo's encoder and put it, with its story and its cost, into the package."""
    study = load(demo.FOLDER / "study.yaml")
    run = work / "demo"
    source = (demo.FOLDER / "study.yaml").read_bytes()
    conduct(study, run, base=demo.FOLDER, source=source)
    made = run / "pretrain"
    for name in ("encoder.onnx", "pretraining.json"):
        write_bytes(demo.FOLDER / name, (made / name).read_bytes())
    spent = read_json(made / "spent.json")
    card = yaml.safe_load((made / "card.yaml").read_text(encoding="utf-8"))
    for name in ("cpu_seconds", "energy_joules", "energy_method"):
        card["cost"][name] = spent[name]
    text = yaml.safe_dump(
        card, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
    write_text(demo.FOLDER / "card.yaml", text)
    sealed({"pretrain": evidence.folder_digest(made)})


def sealed(inputs: Mapping[str, str]) -> None:
    """Leave the evidence over the encoder's files; what is not told anew stays."""
    before: dict[str, str] = {}
    if (demo.FOLDER / evidence.EVIDENCE_FILE).is_file():
        said = evidence.read_statement(demo.FOLDER)["predicate"]
        before = {one["name"]: one["digest"]["sha256"] for one in said["inputs"]}
    there = [name for name in FILES if (demo.FOLDER / name).is_file()]
    story = read_json(demo.FOLDER / "pretraining.json")
    said = evidence.statement(
        "pretrain",
        subject={name: file_digest(demo.FOLDER / name) for name in there},
        inputs={**before, **inputs},
        parameters=story["plan"],
        result={"data": story["data"], "cost": story["cost"], "export": story["export"]},
        code={"equipoise": __version__, "pretrain": "1"},
    )
    evidence.write_statement(demo.FOLDER, said)


def arms(seeds: int, patients: int) -> dict[str, object]:
    """Return the study that trains every arm once per seed, on the same phantoms."""
    stages: dict[str, object] = {
        "phantoms": {"patients": patients, "seed": 711, "truth_patients": 2, "sites": SITES},
        "ingest": {"format": "dicom", "site_from": "header", "size": 128},
    }
    for seed in range(seeds):
        for at, options in enumerate(ARMS.values()):
            stages[_node(at, seed)] = {
                "stage": "pretrain",
                "name": _node(at, seed),
                "licence": "Apache-2.0",
                "without_splits": True,
                "seed": seed,
                **EQUAL,
                **VIEWS,
                **options,
            }
    return {"version": 1, "name": "pretraining-compared", "stages": stages}


def _node(arm: int, seed: int) -> str:
    return f"arm{arm}-seed{seed}"


def compare(work: Path, seeds: int, patients: int) -> None:
    """Train all arms, probe them on other patients, and write what the comparison found."""
    run = work / "compare"
    outcomes = conduct(parse(arms(seeds, patients)), run, base=work)
    cpu = {one.node: _spent(one.folder) for one in outcomes if one.node.startswith("arm")}
    bench = _bench()
    answers, chosen = {}, {}
    for at, name in enumerate(ARMS):
        loaded = [_encoder(run / _node(at, seed)) for seed in range(seeds)]
        answers[name], chosen[name] = _answered(loaded, bench)
    bank = filterbank.load({}, Scope())
    alone, chosen[BASELINE] = _answered([bank], bench)
    answers[BASELINE] = Answers(*(np.repeat(x, seeds, axis=0) for x in (alone.score, alone.called)))
    test = bench["test"]
    told = {
        "label": bench["label"][test],
        "patient": bench["patient"][test],
        "groups": {name: inside[test] for name, inside in bench["groups"].items()},
        "references": {
            "site=meadow": "site=harbour",
            "site=ridge": "site=harbour",
            "sex=F": "sex=M",
        },
    }
    pairs = [(BASELINE, "plain")]
    pairs += [("plain", name) for name in ARMS if name != "plain"]
    rows = []
    for first, second in pairs:
        found = metrics.paired(answers[first], answers[second], **told)
        rows += [{"from": first, "to": second, **_rounded(row)} for row in found.to_dicts()]
    content = {
        "question": "What does group-aware pre-training change against plain SimCLR under equal "
        "steps, images and seeds?",
        "pretraining_bench": {"patients": patients, "seed": 711, "sites": SITES},
        "test_bench": {
            "patients": TEST["patients"],
            "seed": TEST["seed"],
            "shares": "a third each",
        },
        "arms": ARMS,
        "baseline": BASELINE,
        "equal": {**EQUAL, **VIEWS, "images_drawn": EQUAL["steps"] * EQUAL["batch"]},
        "seeds": list(range(seeds)),
        "how_seeds_enter": HOW,
        "level": 0.95,
        "probe": chosen,
        "rows": rows,
        "cost": {"cpu_seconds": cpu},
        "exploratory": True,
    }
    write_json(demo.FOLDER / "comparison.json", content)
    sealed({"compare": evidence.folder_digest(run / _node(0, 0))})
    print(table(rows))


TEST = {"patients": 2400, "seed": 712}


def _bench() -> dict[str, object]:
    """Return other patients, as many of each site, with their pictures: in memory."""
    sites = [{**site, "share": 1.0} for site in SITES]
    options = phantoms.Options(**TEST, sites=sites)
    scenes = phantoms.scenes(options)
    cohort = phantoms.cohort(scenes, options)
    label = scenes["clean"].to_numpy()
    strata = [f"{site}-{ill}" for site, ill in cohort.select("site", scenes["clean"]).iter_rows()]
    shares = {"train": 0.35, "validation": 0.15, "test": 0.5}
    split = splits.assign(cohort["patient_id"].to_list(), strata, shares=shares, seed=1)
    groups = {"everybody": np.ones(len(label), dtype=bool)}
    for name, column in (("site", "site"), ("sex", "sex")):
        values = cohort[column].to_numpy()
        groups |= {f"{name}={v}": values == v for v in sorted(set(values)) if v != "unknown"}
    return {
        "pixels": phantoms.images(scenes, options),
        "label": label,
        "patient": np.unique(cohort["patient_id"].to_numpy(), return_inverse=True)[1],
        "groups": groups,
        "train": _rare(cohort, split == "train"),
        "validation": split == "validation",
        "test": split == "test",
    }


def _rare(cohort: pl.DataFrame, inside: np.ndarray) -> np.ndarray:
    """Return the training rows with ridge as rare among the labelled as it was before."""
    ridge = (cohort["site"] == "ridge").to_numpy() & inside
    patients = sorted(set(cohort.filter(pl.Series(ridge))["patient_id"]))
    kept = set(patients[: max(1, round(len(patients) * 0.1))])
    stays = cohort["patient_id"].is_in(list(kept)).to_numpy()
    return inside & (~ridge | stays)


def _encoder(folder: Path) -> encoders.Encoder:
    told = {"path": str(folder / "encoder.onnx"), "card": str(folder / "card.yaml")}
    return onnx.load(told, Scope())


def _answered(
    runs: list[encoders.Encoder], bench: Mapping[str, np.ndarray]
) -> tuple[Answers, list[dict[str, float]]]:
    """Return scores and calls on the test patients, a probe and a threshold for each run."""
    train, check, test = bench["train"], bench["validation"], bench["test"]
    label, patient = bench["label"], bench["patient"]
    scores, called, told = [], [], []
    for encoder in runs:
        x = encoder.embed(bench["pixels"])
        fitted = []
        for penalty in (0.01, 0.1, 1.0, 10.0):
            probe = probes.fit_logistic(x[train], label[train], penalty=penalty)
            score = probe.scores(x).astype(np.float32)
            auroc, _ = clustered_auroc(score[check], label[check], patient[check])
            fitted.append((auroc, penalty, score))
        auroc, penalty, score = max(fitted, key=lambda one: one[:2])
        cut = threshold(score[check], label[check], rule="specificity", at=0.9)
        scores.append(score[test])
        called.append(score[test] >= cut)
        told.append({"penalty": penalty, "validation_auroc": round(auroc, 6)})
    return Answers(np.stack(scores), np.stack(called)), told


def _spent(folder: Path) -> float:
    return float(str(read_json(folder / "spent.json")["cpu_seconds"]))


def _rounded(row: Mapping[str, object]) -> dict[str, object]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}


def table(rows: list[dict[str, object]]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| to, less from | metric | group | from | to | difference (95 %) |",
        "|---|---|---|--:|--:|---|",
    ]
    for row in rows:
        where = row["group"] + (f" − {row['against']}" if row["against"] else "")
        if row["difference"] is None:
            cells = (
                f"| {row['to']} − {row['from']} | {row['metric']} | {where} | | | {row['reason']} |"
            )
        else:
            cells = (
                f"| {row['to']} − {row['from']} | {row['metric']} | {where} | {row['first']:.3f} | "
                f"{row['second']:.3f} | {row['difference']:+.3f} "
                f"({row['low']:+.3f} to {row['high']:+.3f}) |"
            )
        lines.append(cells)
    return "\n".join(lines)


def main() -> None:
    """Do what is asked."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("what", choices=("demo", "compare", "table"))
    ask.add_argument("--work", type=Path, default=Path("build/pretraining"), help="where runs lie")
    ask.add_argument("--seeds", type=int, default=5)
    ask.add_argument("--patients", type=int, default=2400)
    asked = ask.parse_args()
    if asked.what == "demo":
        trained_demo(asked.work)
    elif asked.what == "compare":
        compare(asked.work, asked.seeds, asked.patients)
    else:
        said = json.loads((demo.FOLDER / "comparison.json").read_text(encoding="utf-8"))
        print(table(said["rows"]))


if __name__ == "__main__":
    main()
