"""Encoders: images a second by engine and precision, beside torch and the arithmetic's ceiling.

    python benchmarks/encoders.py [seconds per cell]

Networks of timm with random weights (speed and the closeness of vectors do not need trained ones),
224 × 224, batch 8, on the threads that are given; all in one run. The ceiling is the rate of large
matrix products on the same threads in the same run, by whichever library is fastest at them.
"""

import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from equipoise.encoders import onnx, openvino, quantising
from equipoise.encoders.card import card_of
from equipoise.encoders.libraries import beside_torchvision
from equipoise.scope import Scope

NETWORKS = {  # name: (timm, GFLOP of one image at 224 × 224)
    "ResNet-50": ("resnet50", 8.2),
    "ViT-S/16": ("vit_small_patch16_224", 9.2),
    "ViT-B/16": ("vit_base_patch16_224", 35.1),
}
BATCH, SIDE, WORKERS = 8, 224, os.cpu_count() or 1


def rate(work: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return images a second by wall clock and by CPU second, the median over batches."""
    work()
    walls: list[float] = []
    cpu = time.process_time()
    while sum(walls) < seconds or len(walls) < 5:
        start = time.perf_counter()
        work()
        walls.append(time.perf_counter() - start)
    spent = (time.process_time() - cpu) / len(walls)
    return BATCH / statistics.median(walls), BATCH / spent


def ceilings(seconds: float) -> dict[str, float]:
    """Return GFLOP a second of products of 2,048 × 2,048, by precision: the best of all libraries.

    No one of them is the ceiling on every processor: some are slow on those of another make.
    """
    import torch

    torch.set_num_threads(WORKERS)
    one = np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)
    found = {"float32": 0.0, "bfloat16": 0.0}
    ways: list[tuple[str, Callable[[], object]]] = [("float32", lambda: one @ one)]
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        two = torch.from_numpy(one).to(kind)
        ways.append((name, lambda two=two: two @ two))
    for name, way in [*ways, *_by_engines(one)]:
        batches, _ = rate(way, seconds)
        found[name] = max(found[name], batches / BATCH * 2 * 2048**3 / 1e9)
    return found


def _by_engines(one: np.ndarray) -> list[tuple[str, Callable[[], object]]]:
    """Return the product as onnxruntime and OpenVINO make it."""
    import onnxruntime
    import openvino as ov
    from onnx import TensorProto, helper, numpy_helper

    shape = list(one.shape)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(one, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    content = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = WORKERS
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    ways = [("float32", lambda: session.run(["y"], {"x": one}))]
    core = ov.Core()
    for name, hint in (("float32", "f32"), ("bfloat16", "bf16")):
        said = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": WORKERS}
        compiled = core.compile_model(core.read_model(content), "CPU", said)
        ways.append((name, lambda compiled=compiled: compiled([one])))
    return ways


def exported(name: str, folder: Path) -> tuple[object, Path, dict[str, object]]:
    """Return a network, its ONNX file and its card."""
    import torch

    timm = beside_torchvision("timm", extra="train", family="timm")
    torch.manual_seed(0)
    network = timm.create_model(NETWORKS[name][0], num_classes=0).eval()
    path = folder / f"{NETWORKS[name][0]}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.randn(2, 3, SIDE, SIDE),),
            str(path),
            input_names=["images"],
            output_names=["embedding"],
            dynamic_axes={"images": {0: "b"}, "embedding": {0: "b"}},
            dynamo=False,
        )
    card = {
        "name": name,
        "layout": "NCHW",
        "height": SIDE,
        "width": SIDE,
        "channels": 3,
        "value_range": "zero_one",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "dimension": network.num_features,
        "precision": "float32",
        "licence": "none: random weights",
    }
    return network, path, card


def torch_vectors(network: object, kind: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return what a user of torch would write: eager, in a precision."""
    import torch

    def run(values: np.ndarray) -> np.ndarray:
        torch.set_num_threads(WORKERS)
        half = kind == "bfloat16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            return network(torch.from_numpy(values)).float().numpy()  # type: ignore[operator]

    return run


def rows(seconds: float) -> list[str]:
    """Return the table in Markdown."""
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (64, 14, 14, 3), dtype=np.uint8)
    pixels = np.kron(smooth, np.ones((1, 16, 16, 1), dtype=np.uint8)).astype(np.uint8)
    top = ceilings(seconds)
    lines = [
        "| network | engine | precision | images/s | per CPU s | × torch float32 | GFLOP/s | "
        "of the ceiling | least cosine |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    with tempfile.TemporaryDirectory() as made:
        for name in NETWORKS:
            network, path, card = exported(name, Path(made))
            scope = Scope(workers=WORKERS)
            card_ = card_of(card, where=name)
            integers = quantising.quantised(path, card_, pixels[:32], path.with_suffix(".xml"))
            ways: dict[tuple[str, str], Callable[[np.ndarray], np.ndarray]] = {
                ("torch eager", "float32"): torch_vectors(network, "float32"),
                ("torch eager", "bfloat16"): torch_vectors(network, "bfloat16"),
                ("onnxruntime", "float32"): onnx.load({"path": str(path), "card": card}, scope).run,
            }
            for precision, file in (("float32", path), ("bfloat16", path), ("int8", integers)):
                told = {"path": str(file), "card": card, "precision": precision}
                ways["OpenVINO", precision] = openvino.load(told, scope).run
            lines += measured(name, ways, pixels, card_, top, seconds)
    told = ", ".join(f"{kind} {value:.0f} GFLOP/s" for kind, value in top.items())
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if os.name == "posix" else ""
    has = [name for name in ("amx_bf16", "avx512_bf16", "avx512_vnni") if name in flags]
    return [
        *lines,
        "",
        f"Ceiling on {WORKERS} threads: {told}; the processor has {', '.join(has)}.",
    ]


def measured(name, ways, pixels, card, top, seconds) -> list[str]:
    """Return the rows of one network; engines take turns, and all see prepared values."""
    from equipoise.encoders.preparation import prepared

    values = np.asarray(prepared(pixels[-BATCH:], card), dtype=np.float32)
    reference = ways["torch eager", "float32"](values)
    found = {}
    for key, run in ways.items():
        vectors = run(values)
        length = np.linalg.norm(vectors, axis=1) * np.linalg.norm(reference, axis=1)
        least = float(((vectors * reference).sum(axis=1) / length).min())
        found[key] = (*rate(lambda run=run: run(values), seconds), least)
    base = found["torch eager", "float32"][0]
    lines = []
    for (engine, precision), (images, per_cpu, least) in found.items():
        flops = images * NETWORKS[name][1]
        share = f"{flops / top[precision]:.0%}" if precision in top else ""
        lines.append(
            f"| {name} | {engine} | {precision} | {images:.1f} | {per_cpu:.1f} | "
            f"{images / base:.1f} | {flops:.0f} | {share} | {least:.6f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


if __name__ == "__main__":
    print("\n".join(rows(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0)))
