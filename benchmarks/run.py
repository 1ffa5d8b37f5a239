"""Measures what the documents quote, and writes docs/benchmarks.md.

python benchmarks/run.py                  # everything, about 45 minutes on two cores
python benchmarks/run.py --only starts demo audits
"""

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
LIBRARIES = ("numpy", "polars", "scipy", "onnxruntime", "scikit-learn")


def seconds(*words: str, runs: int = 5, warm: int = 1) -> tuple[float, float]:
    """Return the median CPU and wall seconds of a whole process, after warm-ups."""
    code = (
        "import os,subprocess,sys,time;t=time.perf_counter();"
        "subprocess.run(sys.argv[1:],stdout=-3,stderr=-3,check=True);"
        "u=os.times();print(u.children_user+u.children_system,time.perf_counter()-t)"
    )
    found = []
    for _ in range(runs + warm):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        )
        found.append([float(word) for word in done.stdout.split()])
    cpu, wall = zip(*found[warm:], strict=True)
    return statistics.median(cpu), statistics.median(wall)


def starts() -> list[str]:
    """Return what starting costs."""
    rows = ["| start | CPU s | wall s |", "|---|--:|--:|"]
    for title, words in {
        "`python -c pass` (floor)": ("-c", "pass"),
        "`import equipoise`": ("-c", "import equipoise"),
        "`equipoise --help`": ("-m", "equipoise", "--help"),
    }.items():
        cpu, wall = seconds(sys.executable, *words)
        rows.append(f"| {title} | {cpu:.2f} | {wall:.2f} |")
    return ["## Starting", "", *rows]


def pieces() -> list[str]:
    """Return what the small steps cost of which a study makes many."""
    import io

    import numpy as np

    from equipoise import encoders, images, phantoms, probes, registry
    from equipoise.phantoms import draws, files, rendering, scanners
    from equipoise.scope import Scope

    options = phantoms.Options(patients=1)
    scene, content = draws.listed(phantoms.scenes(options))[0], io.BytesIO()
    site = options.site(scene.site)
    stored = scanners.digitised(rendering.render(scene, options), site)
    files.dataset(scene, site, stored).save_as(content)
    frame, whole = images.Frame(128, 128), content.getvalue()
    pixels = np.stack([images.sized(images.read_dicom(whole), frame)] * 32)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 1280)).astype(np.float32)
    y = x[:, :20].sum(axis=1) + rng.normal(size=2000) * 4 > 0
    rows = ["| step | CPU ms |", "|---|--:|"]

    def row(what: str, work: Callable[[], object], parts: int) -> None:
        spent = []
        for _ in range(7):
            before = time.process_time()
            work()
            spent.append((time.process_time() - before) / parts)
        rows.append(f"| {what} | {1e3 * statistics.median(spent):.1f} |")

    row("a DICOM film of 128 × 128, decoded", lambda: images.read_dicom(whole), 1)
    for name in ("filterbank", "demo"):
        one = registry.load(name, encoders.ENCODERS, kind="encoder")({}, Scope())
        row(f"an image through the encoder {name}", lambda one=one: one.embed(pixels), len(pixels))
    row("a probe on 2,000 × 1,280", lambda: probes.fit_logistic(x, y, penalty=0.1), 1)
    return ["## Small steps", "", *rows]


def demo() -> list[str]:
    """Return what the demo costs, by study and stage."""
    from equipoise.tables import read_json

    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    cpu, wall = seconds(
        sys.executable, "-m", "equipoise", "demo", "--out", str(folder), runs=1, warm=0
    )
    rows = ["| study | stage | CPU s | wall s | peak GB |", "|---|---|--:|--:|--:|"]
    for arm in ("biased", "twin", "second-site"):
        spent = {path.parent.name: path for path in (folder / arm).glob("*/spent.json")}
        for name in sorted(spent, key=lambda name: spent[name].stat().st_mtime):
            said = read_json(spent[name])
            peak = float(str(said["peak_bytes"])) / 1e9
            figures = f"{said['cpu_seconds']:.1f} | {said['wall_seconds']:.1f} | {peak:.2f}"
            rows.append(f"| {arm} | {name} | {figures} |")
    whole = f"The whole of `equipoise demo`: {wall:.0f} s, {cpu:.0f} CPU s."
    return ["## The demo", "", whole, "", *rows]


def real() -> list[str]:
    """Return what the examples on real images cost."""
    rows = ["| study | CPU s | wall s | peak GB |", "|---|--:|--:|--:|"]
    for name in ("ham10000", "nih_cxr"):
        from equipoise.study import conduct, load, measured

        path = ROOT / "examples" / f"{name}.yaml"
        with measured() as spent:
            workers = os.cpu_count() or 1
            folder = Path(tempfile.mkdtemp(prefix="real-"))
            conduct(load(path), folder, base=path.parent, workers=workers)
        figures = f"{spent.cpu_seconds:.0f} | {spent.wall_seconds:.0f}"
        rows.append(f"| {name} | {figures} | {spent.peak_bytes / 1e9:.2f} |")
    return ["## Studies on real images", "", *rows]


def audits() -> list[str]:
    """Return an audit beside what a user would write instead."""
    import audits as beside

    return ["## An audit beside a script", "", *beside.table(100_000)]


def engine() -> list[str]:
    """Return what the audit costs at size, and what its peers cost for the same."""
    lines = ["## The audit at size", "", *_printed("bars.py")]
    lines += ["", "One hundred million rows:", "", *_printed("bars.py", "--hundred")]
    return [*lines, "", "Beside what a user could pick instead:", "", *_printed("peers.py")]


def families() -> list[str]:
    """Return the simulated coverage of whole families, and power."""
    head = ["## Simultaneous intervals, false alarms and power", "", *FAMILIES_SAID]
    return [*head, *_printed("families.py", "600")]


FAMILIES_SAID = [
    "Six groups of two attributes crossed, 60 patients with the finding and 240 without in each, "
    "AUROC, sensitivity, specificity and PPV in one call; 600 draws a row, so 0.95 has a "
    "Monte-Carlo standard error of 0.009 (300 draws below, 0.013). Width is of one pointwise "
    "interval, beside DeLong's with images taken as independent, which is too narrow where a "
    "patient has several.",
    "",
]


def _printed(script: str, *words: str) -> list[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def coverage() -> list[str]:
    """Return the simulated coverage of the intervals."""
    words = [sys.executable, str(ROOT / "benchmarks" / "coverage.py"), "1500"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return ["## Coverage of the pointwise 95 % intervals", "", _SAID, "", *done.stdout.splitlines()]


_SAID = (
    "1,500 draws a row, so a figure of 0.95 has a Monte-Carlo standard error of 0.006; in all rows "
    "the engine calls the groups assessable. Positives and negatives are patients; correlation is "
    "between the scores of a patient's images."
)


def case_mix() -> list[str]:
    """Return the simulated coverage of estimates at a declared case mix."""
    return [
        "## Coverage at a declared case mix",
        "",
        _MIXED,
        "",
        *_printed("standardised.py", "1000"),
    ]


_MIXED = (
    "1,000 draws a row (0.95 has a Monte-Carlo standard error of 0.007). Three in ten patients "
    "have the finding; group A is 70 % old, group B 20 %, and both are standardised to one half "
    "old. Images of one patient agree at 0.5 where there are three. A sensitivity interval is "
    "wider than it need be where strata differ much, as effective numbers take no notice of that; "
    "with a dozen patients in the stratum that is weighted up it can fall short."
)


def verdicts() -> list[str]:
    """Return how often each verdict is given where the truth is known."""
    words = [sys.executable, str(ROOT / "benchmarks" / "verdicts.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    said = (
        "Seeds from 1000 on; the large twin has 12,000 patients, the others 1,600; in the useless "
        "arm no lesion can be seen (visibility 0). All through DICOM files and the stages of the "
        "demo but for documentation and report, judged by the demo's policy."
    )
    return ["## Verdicts over seeds", "", said, "", *table]


def serving() -> list[str]:
    """Return the service beside its encoder alone."""
    import serving as beside

    said = (
        "DICOM films of 128 × 128 pixels of three scanners, decoded, scored, logged and answered "
        "by `equipoise serve`, with the callers on the same cores; the encoder alone has its "
        "pixels ready. Short turns of one and the other; a ratio is of two turns side by side."
    )
    return ["## The service beside its encoder", "", said, "", *beside.table()]


def _script(title: str, said: str, *words: str) -> list[str]:
    """Return a section that a script of its own prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / words[0]), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [title, "", said, "", *done.stdout.rstrip().splitlines()]


def monitoring() -> list[str]:
    """Return false alarms and delays of the monitor."""
    said = (
        "A fixed observer on phantoms, 24 months of 200 cases, tolerance 0.05, 10 tests, level "
        "0.05; labels come after 30 days in the mean, one in ten never. Months are drawn from "
        "5,000 rendered images of each state of the scanner; the rows called rendered draw every "
        "seed anew. The drift is in sex F, from month 7."
    )
    return _script("## Monitoring", said, "monitoring.py", "200")


def parts() -> list[str]:
    """Return an audit in three parts beside one in memory."""
    said = "100,000 images, three sites, the engine alone, without transport."
    return _script("## An audit in parts", said, "parts.py", "100000", "1")


def pretraining() -> list[str]:
    """Return what group-aware pre-training changed, as it was found when the encoder was made."""
    said = (
        "From the evidence beside the demo's encoder; `python benchmarks/pretraining.py compare` "
        "finds it again. Each interval is taken alone."
    )
    return _script("## Group-aware pre-training", said, "pretraining.py", "table")


def encoders() -> list[str]:
    """Return images a second by engine and precision, beside torch."""
    return ["## Encoders by engine and precision", "", _ENCODERS, "", *_printed("encoders.py")]


_ENCODERS = (
    "Networks of timm with random weights, 224 × 224, batches of 8, all threads, each engine in "
    "its turn in one run. *Of the ceiling* is the share of large matrix products on the same "
    "threads; *least cosine* is of the vectors to those of torch in float32."
)


def embedding() -> list[str]:
    """Return the embedding stage from files and from the cache, beside its parts."""
    return ["## Embedding end to end", "", *_printed("embedding.py")]


def precision() -> list[str]:
    """Return what a lower precision does to subgroups, on the real sets."""
    return ["## A precision by subgroup", "", _PRECISION, "", *_printed("precision.py")]


_PRECISION = (
    "MobileNetV2 with weights of ImageNet embeds both real sets in float32, bfloat16 and int8 "
    "(calibrated on the set); a probe is cross-fitted over patients on each. Changes are paired, "
    "with patients as clusters, and simultaneous over all rows of one finding and precision."
)


def solver() -> list[str]:
    """Return probes by the batch beside scikit-learn."""
    million = "--million", "--folder", tempfile.gettempdir()
    return ["## Probes by the batch", "", _SOLVER, "", *_printed("solver.py", *million)]


_SOLVER = (
    "One thread each, CPU seconds; made embeddings, float32. scikit-learn's rows are standardised "
    "beforehand, which is not counted; its lbfgs has its default tolerance."
)


def sweeps() -> list[str]:
    """Return sweeps of adaptation by the batch beside one by one."""
    return _script("## Sweeps of adaptation", _SWEEPS, "sweeps.py")


_SWEEPS = (
    "One thread, CPU time; made embeddings, float32, four penalties. Newton starts each penalty "
    "from the one before; a batch ends at a gradient norm of 1e-7. A sweep is 4 findings × plain, "
    "reweighting and resampling × 4 penalties (× 5 folds), with validation and the scores of all "
    "images, which the batch does not make faster; one by one is what a `module:function` gets. "
    "1,000 × 768 is fitted one by one either way: rows in training are fewer than twice the "
    "dimensions."
)


SECTIONS: dict[str, Callable[[], list[str]]] = {
    "starts": starts,
    "pieces": pieces,
    "demo": demo,
    "real": real,
    "audits": audits,
    "engine": engine,
    "families": families,
    "coverage": coverage,
    "case_mix": case_mix,
    "verdicts": verdicts,
    "monitoring": monitoring,
    "parts": parts,
    "pretraining": pretraining,
    "serving": serving,
    "solver": solver,
    "sweeps": sweeps,
    "encoders": encoders,
    "embedding": embedding,
    "precision": precision,
}


def machine() -> str:
    """Return on what, with what and when it was measured."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    memory = psutil.virtual_memory().total / 1e9
    today = dt.datetime.now(dt.UTC).date()
    return (
        f"Measured on {today}: {os.cpu_count()} shared cores ({platform.machine()}), "
        f"{memory:.0f} GB, no GPU, {platform.system()}, Python {platform.python_version()}, "
        f"{versions}. Medians; CPU seconds where the machine is shared. `make bench` measures it "
        "again."
    )


def kept() -> dict[str, list[str]]:
    """Return the sections that stand in the page, by their heading."""
    sections: dict[str, list[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []:
        if line.startswith("## "):
            sections[line] = []
        if sections:
            list(sections.values())[-1].append(line)
    return sections


def main() -> None:
    """Measure what is asked for and put it in its place in the page."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--only", nargs="+", default=list(SECTIONS), choices=list(SECTIONS))
    sections = kept()
    for name in ask.parse_args().only:
        print(name, flush=True)
        lines = SECTIONS[name]()
        sections[lines[0]] = [*lines, ""]
    body = [line for lines in sections.values() for line in lines]
    PAGE.write_text("\n".join(["# Benchmarks", "", machine(), "", *body]).rstrip() + "\n")


if __name__ == "__main__":
    main()
