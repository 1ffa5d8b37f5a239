"""Is a lower precision a question of fairness? Embeddings in three, judged by the probe's gaps.

    python benchmarks/precision.py

A network with weights of ImageNet (those of the int8 file in the shared data, as floats, so that
all is the same but the precision) embeds both real sets in float32, bfloat16 and int8, the last
calibrated on 256 images of the set. A probe is fitted by five folds over patients, alike
for all three. Differences are paired: the same images, by patient.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from equipoise import audit, probes
from equipoise.encoders import onnx, openvino, quantising
from equipoise.encoders.card import card_of
from equipoise.scope import Scope

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MODEL = DATA / "models" / "mobilenet_v2_imagenet_encoder_int8.onnx"
CARD = {
    "name": "mobilenet_v2",
    "layout": "NHWC",
    "height": 224,
    "width": 224,
    "channels": 3,
    "value_range": "uint8",
    "output": "embedding",
    "dimension": 1280,
    "precision": "float32",
    "licence": "Apache-2.0",
}
BY = {"sex": ["F", "M"], "age_band": ["0-39", "40-64", "65+"]}
POINT = 0.5


@dataclass(frozen=True, slots=True)
class Set:
    """A real set: its folder, the label, and which rows are of use."""

    folder: str
    label: str
    finding: str


SETS = (
    Set("ham10000_subset", "malignant", "malignancy (dermoscopy)"),
    Set("nih_cxr_1000", "oedema", "oedema among films with pneumonia"),
)


def as_floats(path: Path, out: Path) -> Path:
    """Write the network with float weights and no rounding of activations, and return where."""
    import onnx as library
    from onnx import helper, numpy_helper

    model = library.load(str(path))
    graph = model.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    renamed: dict[str, str] = {}  # what was rounded, and what it was before
    kept, floats = [], []
    for node in graph.node:
        source = node.input[0]
        if node.op_type == "QuantizeLinear":
            renamed[node.output[0]] = renamed.get(source, source)
        elif node.op_type == "DequantizeLinear" and source in constants:
            floats.append(numpy_helper.from_array(dequantised(node, constants), node.output[0]))
        elif node.op_type == "DequantizeLinear" and source in renamed:
            renamed[node.output[0]] = renamed[source]
        else:
            kept.append(node)
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    for name in {one.name for one in graph.output} & set(renamed):
        kept.append(helper.make_node("Identity", [renamed[name]], [name]))
    used = {name for node in kept for name in node.input}
    values = [one for one in (*graph.initializer, *floats) if one.name in used]
    clean = helper.make_graph(kept, "floats", graph.input, graph.output, values)
    library.save(helper.make_model(clean, opset_imports=model.opset_import), str(out))
    return out


def dequantised(node: Any, constants: dict[str, np.ndarray]) -> np.ndarray:
    """Return the floats that integers stand for."""
    value, scale = constants[node.input[0]], constants[node.input[1]]
    zero = constants[node.input[2]] if len(node.input) > 2 else np.zeros_like(scale)
    shape = [1] * value.ndim
    if scale.ndim:
        shape[next((a.i for a in node.attribute if a.name == "axis"), 1)] = -1
    above = value.astype(np.float32) - zero.astype(np.float32).reshape(shape)
    return (above * scale.reshape(shape)).astype(np.float32)


def cohort(one: Set) -> tuple[pl.DataFrame, np.ndarray]:
    """Return who is in a set, with label, and its images, uint8 ``(n, 224, 224, 3)``."""
    rows = pl.read_csv(DATA / one.folder / "metadata.csv")
    if one.label == "oedema":
        rows = rows.filter(pl.col("pneumonia") == 1).with_columns(
            oedema=pl.col("finding_labels").str.contains("Edema").cast(pl.Int64)
        )
    rows = rows.filter(pl.col("sex").is_in(BY["sex"]), pl.col("age").is_not_null()).with_columns(
        age_band=pl.when(pl.col("age") < 40)
        .then(pl.lit("0-39"))
        .when(pl.col("age") < 65)
        .then(pl.lit("40-64"))
        .otherwise(pl.lit("65+"))
    )
    pixels = [
        np.asarray(
            Image.open(DATA / one.folder / name).convert("RGB").resize((224, 224), Image.BILINEAR)
        )
        for name in rows["image"]
    ]
    return rows.select("image", "patient_id", *BY, pl.col(one.label).alias("label")), np.stack(
        pixels
    )


def scored(rows: pl.DataFrame, vectors: np.ndarray) -> pl.DataFrame:
    """Return predictions of a probe that has seen no image of the patient."""
    patients = rows["patient_id"].unique(maintain_order=True)
    fold = dict(
        zip(
            patients,
            np.random.default_rng(0).permutation(len(patients)) % 5,
            strict=True,
        )
    )
    folds = np.array([fold[name] for name in rows["patient_id"]], dtype=np.int64)
    label = rows["label"].to_numpy() == 1
    score = probes.cross_fitted_scores(vectors, label, folds, penalty=0.1)
    return rows.rename({"image": "image_id"}).with_columns(score=pl.Series(score).clip(0.0, 1.0))


def vectors_of(pixels: np.ndarray, folder: Path) -> dict[str, np.ndarray]:
    """Return the embeddings in each precision, and those of the other engine in float32."""
    path = as_floats(MODEL, folder / "floats.onnx")
    chosen = np.random.default_rng(1).choice(len(pixels), min(256, len(pixels)), replace=False)
    card = card_of(CARD, where="mobilenet")
    integers = quantising.quantised(path, card, pixels[chosen], folder / "integers.xml")
    scope = Scope(workers=2)
    encoders = {"float32, onnxruntime": onnx.load({"path": str(path), "card": CARD}, scope)}
    for name, file in (("float32", path), ("bfloat16", path), ("int8", integers)):
        told = {"path": str(file), "card": CARD, "precision": name}
        encoders[f"{name}, OpenVINO"] = openvino.load(told, scope)
    found = {}
    for name, encoder in encoders.items():
        parts = [encoder.embed(pixels[start : start + 64]) for start in range(0, len(pixels), 64)]
        found[name] = np.concatenate(parts)
        print(name, found[name].shape, file=sys.stderr, flush=True)
    return found


def lines_of(one: Set) -> list[str]:
    """Return the rows of one set in Markdown."""
    rows, pixels = cohort(one)
    with tempfile.TemporaryDirectory() as folder:
        vectors = vectors_of(pixels, Path(folder))
    reference = next(iter(vectors))
    base = scored(rows, vectors[reference])
    options = audit.Comparison(references={"sex": "M", "age_band": "40-64"})
    lines = []
    for name, found in vectors.items():
        if name == reference:
            continue
        length = np.linalg.norm(found, axis=1) * np.linalg.norm(vectors[reference], axis=1)
        cosine = (found * vectors[reference]).sum(axis=1) / length
        compared = audit.compared(
            base,
            scored(rows, found),
            by=BY,
            patient="patient_id",
            operating_points=({"p": POINT}, {"p": POINT}),
            options=options,
        )
        lines += [
            _line(one, name, row)
            for row in compared.iter_rows(named=True)
            if row["contrast"] or not any(row[key] for key in BY)
        ]
        lines.append(
            f"| {one.finding} | {name} | cosine to float32 | everybody | least, mean | "
            f"{cosine.min():.5f} | {cosine.mean():.6f} |"
        )
    return lines


def _line(one: Set, name: str, row: dict[str, Any]) -> str:
    group = ", ".join(f"{key}={row[key]}" for key in BY if row[key]) or "everybody"
    what = f"gap to {row['against']}" if row["contrast"] else "value"
    before = "" if row["first"] is None else f"{row['first']:.3f}"
    if row["difference"] is None:
        change = f"not assessable: {row['reason']}"
    else:
        limits = row["low_simultaneous"], row["high_simultaneous"]
        change = "{:+.4f} ({:+.4f} to {:+.4f})".format(row["difference"], *limits)
    start = f"| {one.finding} | {name} | {row['metric']}"
    return f"{start} | {group} | {what} | {before} | {change} |"


def main() -> None:
    """Print one table of both sets."""
    lines = [
        "| finding | precision | metric | group | of | in float32 | change (95 %, simultaneous) |",
        "|---|---|---|---|---|--:|---|",
    ]
    for one in SETS:
        lines += lines_of(one)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
