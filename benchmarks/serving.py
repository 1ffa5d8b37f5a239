"""The service beside its encoder alone: throughput as a ratio, and latency.

    python benchmarks/serving.py [turns]

Service, callers and encoder each run in a process of their own and take short turns, so that a busy
machine slows both sides of a ratio, of which the median is told. The encoder alone runs in a tight
loop over pixels that are decoded already, in as many threads as the service has for it, at the
batch that suits it best. The callers run on the same cores as the service: their CPU is told, and
takes from what the service could do.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))

from networks import vit_small

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT.parent / "shared" / "data" / "models" / "mobilenet_v2_imagenet_encoder_int8.onnx"
CARD = ROOT / "examples" / "cards" / "mobilenet_v2.yaml"
ENCODERS = {
    "demo": ("demo", {}, 128),
    "mobilenet_v2 int8": ("onnx", {"path": str(MODEL), "card": str(CARD)}, 224),
    "shape of ViT-S/16": ("onnx", {}, 224),
}
"""The last has weights at random and the cost of a small foundation model."""
BATCHES, CALLERS, TURN = (1, 4, 8, 32), 8, 3.0
"""TURN in seconds: long beside a latency, short beside what else the machine does."""
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
    if kind == "onnx" and not parameters:
        path = folder.with_name("network.onnx")
        parameters = {"card": vit_small(path), "path": str(path)}
    file = Path(parameters["path"]) if kind == "onnx" else None
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
            encoder=bundles.EncoderFiles(kind, encoder, file, {}),
            heads=heads,
            operating_points=pl.DataFrame([point | said], schema_overrides={"fold": pl.Int64}),
            policy=policies.validated(POLICY),
            verdict={"verdict": "pass", "reason": "", "exit_code": 0, "criteria": [], "policy": {}},
            model_card="",
            reference=bundles.described(vectors[::2], vectors[1::2]),
        ),
    )
    return folder, files


def alone(folder: str, threads: int) -> None:
    """Answer each line with images per second of the encoder in a tight loop of one turn."""
    from threadpoolctl import threadpool_limits

    from equipoise import bundles
    from equipoise.scope import Scope

    found = bundles.opened(Path(folder), Scope())
    frame, rng = found.contract.frame, np.random.default_rng(0)
    pixels = rng.integers(0, 256, (max(BATCHES), *frame.shape), dtype=np.uint8)
    with threadpool_limits(1):
        rates = {
            batch: max(_loop(found.encoder.embed, pixels[:batch], threads, TURN) for _ in range(3))
            for batch in BATCHES
        }
        best = max(rates, key=lambda one: rates[one])
        for _ in sys.stdin:
            before = time.process_time()
            rate = _loop(found.encoder.embed, pixels[:best], threads, TURN)
            cpu = (time.process_time() - before) / (rate * TURN)
            print(json.dumps({"rate": rate, "batch": best, "cpu": cpu}), flush=True)


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


def load(port: int, folder: str) -> None:
    """Answer each line, a number of callers, with the rate and latencies (s) of one turn."""
    files = [path.read_bytes() for path in sorted(Path(folder).glob("*.dcm"))]
    head = b"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/dicom\r\n"
    requests = [head + b"Content-Length: %d\r\n\r\n" % len(one) + one for one in files]
    for line in sys.stdin:
        before = time.process_time()
        times, rate = _turn(port, requests, int(line))
        cpu = time.process_time() - before
        print(json.dumps({"rate": rate, "times": times, "cpu": cpu}), flush=True)


def _turn(port: int, requests: list[bytes], callers: int) -> tuple[list[float], float]:
    """Keep so many connections asking for a turn, and let each have its last answer.

    Returns
    -------
    The latency of each answer (s), and answers per second from the first one on: before that the
    service was idle, which is no part of its rate.
    """
    watch = selectors.DefaultSelector()
    began: dict[socket.socket, float] = {}
    parts: dict[socket.socket, bytes] = {}
    times: list[float] = []
    ended: list[float] = []
    turn = 0

    def ask(caller: socket.socket) -> None:
        nonlocal turn
        turn += 1
        began[caller], parts[caller] = time.perf_counter(), b""
        caller.sendall(requests[turn % len(requests)])

    for _ in range(callers):
        caller = socket.create_connection(("127.0.0.1", port))
        watch.register(caller, selectors.EVENT_READ)
        ask(caller)
    end = time.perf_counter() + TURN
    while began:
        for key, _ in watch.select(1.0):
            caller = key.fileobj
            assert isinstance(caller, socket.socket)
            parts[caller] += caller.recv(1 << 16)
            if not _whole(parts[caller]):
                continue
            now = time.perf_counter()
            times.append(now - began.pop(caller))
            ended.append(now)
            if now < end:
                ask(caller)
            else:
                watch.unregister(caller)
                caller.close()
    inside = [moment for moment in ended if moment < end]
    return times, (len(inside) - 1) / (end - inside[0])


def _whole(answer: bytes) -> bool:
    """Return whether an answer is complete, once it is seen to be a score."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
    if not body or len(body) < int(length):
        return False
    assert head.startswith(b"HTTP/1.1 200"), (head, body)
    assert b'"scored"' in body, body
    return True


@contextlib.contextmanager
def part(*words: object) -> Iterator[Callable[[int], dict[str, Any]]]:
    """Give a part of this file in a process of its own: what it answers to a number."""
    with subprocess.Popen(
        [sys.executable, __file__, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout

        def ask(number: int) -> dict[str, Any]:
            questions.write(f"{number}\n")
            questions.flush()
            return dict(json.loads(answers.readline()))

        yield ask
        questions.close()


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


def table(turns: int = 20) -> list[str]:
    """Return the comparison in Markdown."""
    rows = [
        "| encoder | encoder threads | alone: images/s (batch) | 8 callers: requests/s "
        "| ratio (quartiles) | CPU ms an image: alone | service | callers "
        "| p50 / p95 / p99, 8 callers (ms) | 1 caller (ms) |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, (_, parameters, _) in ENCODERS.items():
        if not Path(parameters.get("path", ROOT)).exists():
            continue
        place = Path(tempfile.mkdtemp(prefix="bundle-"))
        folder, files = bundle(name, place / "bundle")
        (place / "files").mkdir()
        for number, content in enumerate(files):
            (place / "files" / f"{number:03d}.dcm").write_bytes(content)
        for threads in (1, os.cpu_count() or 1):
            rows.append(_row(name, threads, folder, place / "files", turns))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _row(name: str, threads: int, folder: Path, files: Path, turns: int) -> str:
    bare, many, one, ours = [], [], [], []
    with (
        part("alone", folder, threads) as encode,
        served(folder, threads) as (port, process),
        part("load", port, files) as call,
    ):
        encode(0), call(CALLERS)  # to warm both
        for _ in range(turns):
            bare.append(encode(0))
            before = _cpu(process)
            many.append(call(CALLERS))
            ours.append((_cpu(process) - before) / max(1, len(many[-1]["times"])))
            one.append(call(1))
    ratios = [a["rate"] / b["rate"] for a, b in zip(many, bare, strict=True)]
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    callers = [part["cpu"] / max(1, len(part["times"])) for part in many]
    costs = [[part["cpu"] for part in bare], ours, callers]
    cells = [
        name,
        str(threads),
        f"{statistics.median(part['rate'] for part in bare):.0f} ({bare[0]['batch']})",
        f"{statistics.median(part['rate'] for part in many):.0f}",
        f"{middle:.2f} ({low:.2f} to {high:.2f})",
        *(f"{1e3 * statistics.median(cost):.1f}" for cost in costs),
        _percentiles([time for part in many for time in part["times"]]),
        _percentiles([time for part in one for time in part["times"]]),
    ]
    return f"| {' | '.join(cells)} |"


def _percentiles(times: list[float]) -> str:
    return " / ".join(f"{1e3 * x:.0f}" for x in np.percentile(times, (50, 95, 99)))


def main() -> None:
    """Measure, or do one part of it for a process that measures."""
    match sys.argv[1:]:
        case ["alone", folder, threads]:
            alone(folder, int(threads))
        case ["load", port, folder]:
            load(int(port), folder)
        case [turns]:
            print("\n".join(table(int(turns))))
        case _:
            print("\n".join(table()))


if __name__ == "__main__":
    main()
