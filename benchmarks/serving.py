"""The service beside its encoder alone: throughput as a ratio, and latency.

    python benchmarks/serving.py [seconds a round]

Service, load and encoder each run in a process of their own, in turn, so that a busy machine slows
both sides of a ratio. The encoder alone runs in a tight loop over pixels that are decoded already,
in as many threads as the service has for it, at the batch that suits it best. The callers run on
the same cores as the service: their CPU is told, and takes from what the service could do.
"""

import contextlib
import io
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT.parent / "shared" / "data" / "models" / "mobilenet_v2_imagenet_encoder_int8.onnx"
CARD = ROOT / "examples" / "cards" / "mobilenet_v2.yaml"
ENCODERS = {
    "filterbank": ("filterbank", {}, 128),
    "mobilenet_v2 int8": ("onnx", {"path": str(MODEL), "card": str(CARD)}, 224),
}
BATCHES, CALLERS, ROUNDS = (1, 4, 8, 32), 8, 3
POLICY = {
    "version": 1,
    "name": "benchmark",
    "criteria": [{"name": "alike", "metric": "auroc", "attributes": ["sex"], "tolerance": 0.5}],
    "floors": [
        {"name": metric, "metric": metric, "minimum": 0.55, "attributes": ["sex"]}
        for metric in ("auroc", "sensitivity", "specificity")
    ],
}


def bundle(name: str, folder: Path) -> tuple[Path, list[bytes]]:
    """Write a bundle with a probe fitted on phantoms, and return it with DICOM files it takes."""
    import polars as pl

    from equipoise import bundles, encoders, mitigations, phantoms, policies, registry
    from equipoise.images import Frame, read_dicom, sized
    from equipoise.phantoms.draws import listed
    from equipoise.phantoms.files import dataset
    from equipoise.phantoms.rendering import render
    from equipoise.phantoms.scanners import digitised
    from equipoise.scope import Scope

    kind, parameters, side = ENCODERS[name]
    options = phantoms.Options(patients=120, seed=5, size=128)
    files = []
    for scene in listed(phantoms.scenes(options)):
        site, content = options.site(scene.site), io.BytesIO()
        dataset(scene, site, digitised(render(scene, options), site)).save_as(content)
        files.append(content.getvalue())
    cohort = phantoms.cohort(phantoms.scenes(options), options)
    encoder = registry.load(kind, encoders.ENCODERS, kind="encoder")(parameters, Scope())
    frame = Frame(side, side, encoder.card.channels)
    vectors = encoder.embed(np.stack([sized(read_dicom(one), frame) for one in files]))
    labels = cohort[f"label:{phantoms.FINDING}"]
    rows = mitigations.assessed(vectors, labels, ["everybody"] * len(files))
    fit = registry.load(mitigations.MITIGATIONS["plain"], {}, kind="mitigation")
    heads = {phantoms.FINDING: fit(rows, penalty=1.0, parameters={}, rng=np.random.default_rng(0))}
    manifest = bundles.Manifest(
        name=name.replace(" ", "-"),
        findings=(phantoms.FINDING,),
        candidate="plain",
        encoder=bundles.EncoderNote(
            name=encoder.name,
            digest=encoder.digest,
            engine=encoder.engine,
            precision=encoder.precision,
            dimension=encoder.dimension,
            licence=encoder.card.licence,
        ),
        heads=bundles.heads_of(heads),
        contract=bundles.InputContract(height=side, width=side, channels=encoder.card.channels),
        audit=bundles.AuditPlan(attributes={"sex": ["F", "M", "unknown"]}),
        verdict="pass",
        reason="for a benchmark",
        reference=True,
    )
    point = {"finding": phantoms.FINDING, "candidate": "plain", "operating_point": "screening"}
    said = {"fold": None, "rule": "0.5", "threshold": 0.5, "chosen_on": "none", "digest": "0" * 64}
    bundles.written(
        folder,
        bundles.Parts(
            manifest=manifest,
            encoder=bundles.EncoderFiles(kind, encoder, MODEL if kind == "onnx" else None, {}),
            heads=heads,
            operating_points=pl.DataFrame([point | said], schema_overrides={"fold": pl.Int64}),
            policy=policies.validated(POLICY),
            verdict={"verdict": "pass", "reason": "", "exit_code": 0, "criteria": [], "policy": {}},
            model_card="",
            reference=bundles.described(vectors[::2], vectors[1::2]),
        ),
    )
    return folder, files


def alone(folder: str, threads: int, seconds: float) -> dict[str, float]:
    """Return images per second of the encoder in a tight loop, at the best of some batches."""
    from threadpoolctl import threadpool_limits

    from equipoise import bundles
    from equipoise.scope import Scope

    found = bundles.opened(Path(folder), Scope())
    frame, rng = found.contract.frame, np.random.default_rng(0)
    pixels = rng.integers(0, 256, (max(BATCHES), *frame.shape), dtype=np.uint8)
    results = {}
    with threadpool_limits(1):
        for batch in BATCHES:
            results[batch] = _loop(found.encoder.embed, pixels[:batch], threads, seconds / 4)
        best = max(results, key=lambda one: results[one])
        before = time.process_time()
        rate = _loop(found.encoder.embed, pixels[:best], threads, seconds)
    cpu = (time.process_time() - before) / (rate * seconds)
    return {"rate": rate, "batch": best, "cpu": cpu}


def _loop(embed: object, pixels: np.ndarray, threads: int, seconds: float) -> float:
    done, end = [0] * threads, time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            embed(pixels)
            done[number] += len(pixels)

    began = time.perf_counter()
    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - began)


def load(port: int, folder: str, callers: int, seconds: float) -> dict[str, object]:
    """Keep `callers` connections asking; return the rate, latencies (s) and CPU of this process."""
    files = [path.read_bytes() for path in sorted(Path(folder).glob("*.dcm"))]
    requests = [
        b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/dicom\r\n"
        b"Content-Length: %d\r\n\r\n" % len(one) + one
        for one in files
    ]
    watch = selectors.DefaultSelector()
    began, turn, times, parts = {}, 0, [], {}

    def ask(caller: socket.socket) -> None:
        nonlocal turn
        turn += 1
        began[caller], parts[caller] = time.perf_counter(), b""
        caller.sendall(requests[turn % len(requests)])

    for _ in range(callers):
        caller = socket.create_connection(("127.0.0.1", port))
        watch.register(caller, selectors.EVENT_READ)
        ask(caller)
    start, cpu = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) < start + seconds:
        for key, _ in watch.select(1.0):
            caller = key.fileobj
            parts[caller] += caller.recv(1 << 16)
            head, _, body = parts[caller].partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if body and len(body) == length:
                assert head.startswith(b"HTTP/1.1 200"), (head, body)
                assert b'"scored"' in body, body
                times.append(time.perf_counter() - began[caller])
                ask(caller)
    spent = time.perf_counter() - start
    return {"rate": len(times) / spent, "times": times, "cpu": time.process_time() - cpu, "at": now}


def _told(*words: object) -> dict[str, object]:
    """Run a part of this file in a process of its own and return what it found."""
    command = [sys.executable, __file__, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@contextlib.contextmanager
def served(folder: Path, threads: int) -> Iterator[tuple[int, psutil.Process]]:
    """Give the port and the process of a service."""
    place = Path(tempfile.mkdtemp(prefix="serving-"))
    words = ["serve", str(folder), "--log", str(place / "log"), "--port", "0", "--rate", "1e6"]
    process = subprocess.Popen(
        [sys.executable, "-m", "equipoise", *words, "--threads", str(threads)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().rsplit(":")[-1]), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _cpu(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return spent.user + spent.system


def table(seconds: float = 4.0) -> list[str]:
    """Return the comparison in Markdown."""
    rows = [
        "| encoder | encoder threads | alone: images/s (batch) | 8 callers: requests/s "
        "| ratio (range) | CPU ms an image: alone | service | callers "
        "| p50 / p95 / p99, 8 callers (ms) | 1 caller (ms) |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, (kind, _, _) in ENCODERS.items():
        if kind == "onnx" and not MODEL.exists():
            continue
        place = Path(tempfile.mkdtemp(prefix="bundle-"))
        folder, files = bundle(name, place / "bundle")
        (place / "files").mkdir()
        for number, content in enumerate(files):
            (place / "files" / f"{number:03d}.dcm").write_bytes(content)
        for threads in (1, os.cpu_count() or 1):
            rows.append(_row(name, threads, folder, place / "files", seconds))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _row(name: str, threads: int, folder: Path, files: Path, seconds: float) -> str:
    bare, rates, ours, theirs, busy, single = [], [], [], [], [], []
    for _ in range(ROUNDS):
        bare.append(_told("alone", folder, threads, seconds))
        with served(folder, threads) as (port, process):
            _told("load", port, files, CALLERS, 1.0)
            before = _cpu(process)
            found = _told("load", port, files, CALLERS, seconds)
            n = len(found["times"])
            ours.append((_cpu(process) - before) / n)
            theirs.append(found["cpu"] / n)
            rates.append(found["rate"])
            busy += found["times"]
            single += _told("load", port, files, 1, seconds / 2)["times"]
    ratios = [rate / one["rate"] for rate, one in zip(rates, bare, strict=True)]
    middle = sorted(bare, key=lambda one: one["rate"])[len(bare) // 2]
    cells = [
        name,
        str(threads),
        f"{middle['rate']:.0f} ({middle['batch']:.0f})",
        f"{statistics.median(rates):.0f}",
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        *(f"{1e3 * x:.1f}" for x in (middle["cpu"], *map(statistics.median, (ours, theirs)))),
        _percentiles(busy),
        _percentiles(single),
    ]
    return f"| {' | '.join(cells)} |"


def _percentiles(times: list[float]) -> str:
    return " / ".join(f"{1e3 * x:.0f}" for x in np.percentile(times, (50, 95, 99)))


def main() -> None:
    """Measure, or do one part of it for a process that measures."""
    match sys.argv[1:]:
        case ["alone", folder, threads, seconds]:
            print(json.dumps(alone(folder, int(threads), float(seconds))))
        case ["load", port, folder, callers, seconds]:
            print(json.dumps(load(int(port), folder, int(callers), float(seconds))))
        case [seconds]:
            print("\n".join(table(float(seconds))))
        case _:
            print("\n".join(table()))


if __name__ == "__main__":
    main()
