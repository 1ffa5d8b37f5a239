"""Embedding at size: the whole command beside its floors, going on, memory and reading back.

    python benchmarks/embedding.py [images] [vectors read back]

Networks of timm with random weights at 224 × 224, batch 32, from an image cache, and from JPEG and
DICOM files of 1,024 × 1,024, on the threads that are given. Each ratio is of turns that alternate:
the machine is shared. Reading and the network are floors: end to end can be no faster than the
slower of them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import encoders as engines
import numpy as np
import polars as pl
from PIL import Image

from equipoise import embed, tables
from equipoise.embed.ahead import ahead
from equipoise.encoders import Encoder, demo, onnx, openvino
from equipoise.encoders.preparation import prepared
from equipoise.images import Frame
from equipoise.scope import Scope
from equipoise.tables.stored import part_path, write_part

SIDE, FILE_SIDE, BATCH, PART, TURNS = 224, 1024, 32, 128, 3
WORKERS = os.cpu_count() or 1
HEAD = "| {} | images/s | of its floor | CPU s per 1,000 | peak MB |"


def spent(work: Callable[[], object], n: int) -> tuple[float, float]:
    """Return images a second and CPU seconds per 1,000 images."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return n / (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu) / n


def median(turns: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of some turns."""
    rates, cpus = zip(*turns, strict=True)
    return statistics.median(rates), statistics.median(cpus)


def pixels_of(n: int, side: int) -> np.ndarray:
    """Return smooth images, each of its own."""
    coarse = np.random.default_rng(0).integers(0, 256, (n, side // 16, side // 16), np.uint8)
    return np.kron(coarse, np.ones((1, 16, 16), np.uint8))


def prepare(folder: Path, n: int) -> embed.CachedImages:
    """Write cohort and image cache of `n` images, as ingest would."""
    ids = [f"i{k:07d}" for k in range(n)]
    index = pl.DataFrame({"image_id": ids, "row": range(n), "pixel_digest": ids})
    for name in ("cohort", "images"):
        (folder / name).mkdir(parents=True)
    np.save(folder / "images" / "images.npy", pixels_of(n, SIDE))
    tables.write(index, folder / "images" / "images.parquet", tables.IMAGE_CACHE)
    cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, "site": "s"})
    tables.write(cohort, folder / "cohort" / "cohort.parquet", tables.COHORT)
    return embed.CachedImages.open(folder / "images")


def jpegs(folder: Path, n: int) -> embed.ImageFiles:
    """Write `n` JPEG files."""
    folder.mkdir()
    paths = [folder / f"{k}.jpg" for k in range(n)]
    for path, pixels in zip(paths, pixels_of(n, FILE_SIDE), strict=True):
        Image.fromarray(pixels).save(path, quality=90)
    ids = [path.stem for path in paths]
    frame = pl.DataFrame({"image_id": ids, "path": [str(path) for path in paths]})
    return embed.ImageFiles(frame, Frame(SIDE, SIDE, 1))


def dicoms(folder: Path, n: int) -> embed.ImageFiles:
    """Write `n` DICOM files of 12 bits, uncompressed."""
    import pydicom
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    folder.mkdir()
    paths = [folder / f"{k}.dcm" for k in range(n)]
    for k, (path, pixels) in enumerate(zip(paths, pixels_of(n, FILE_SIDE), strict=True)):
        file = pydicom.Dataset()
        file.file_meta = pydicom.dataset.FileMetaDataset()
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.SOPClassUID = DigitalXRayImageStorageForPresentation
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"2.25.{k + 1}"
        file.Modality, file.PatientID, file.PhotometricInterpretation = "DX", str(k), "MONOCHROME2"
        file.Rows, file.Columns = FILE_SIDE, FILE_SIDE
        file.SamplesPerPixel, file.PixelRepresentation = 1, 0
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
        file.PixelData = (pixels.astype(np.uint16) * 16).tobytes()
        file.save_as(path, enforce_file_format=True)
    frame = pl.DataFrame({"image_id": [path.stem for path in paths], "path": list(map(str, paths))})
    return embed.ImageFiles(frame, Frame(SIDE, SIDE, 1), "dicom")


def networks(folder: Path) -> dict[str, tuple[str, dict[str, object]]]:
    """Return title → encoder and parameters."""
    from yaml import safe_dump

    found = {}
    for name in ("ResNet-50", "ViT-S/16"):
        _, path, card = engines.exported(name, folder)
        place = path.with_suffix(".yaml")
        place.write_text(safe_dump(card), encoding="utf-8")
        told = {"path": str(path), "card": str(place)}
        found[f"{name}, onnxruntime float32"] = ("onnx", told)
        found[f"{name}, OpenVINO bfloat16"] = ("openvino", {**told, "precision": "bfloat16"})
    return found


def command(folder: Path, out: Path, encoder: str, parameters: Mapping[str, object]) -> list[str]:
    """Return the words of `equipoise embed`."""
    said = "{" + ", ".join(f"{name}: {value}" for name, value in parameters.items()) + "}"
    words = ["--from-cohort", str(folder / "cohort"), "--from-images", str(folder / "images")]
    sizes = ["--shard-size", str(PART), "--batch-size", str(BATCH), "--workers", str(WORKERS)]
    what = ["--encoder", encoder, "--parameters", said, "--out", str(out)]
    return [sys.executable, "-m", "equipoise", "embed", *words, *what, *sizes]


def process(words: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak MB of a whole process, started by a small one.

    One that this process started itself would be told to have been as large as this one is.
    """
    code = (
        "import resource as r,subprocess,sys,time;t=time.perf_counter();"
        "subprocess.run(sys.argv[1:],stdout=-3,check=True);t=time.perf_counter()-t;"
        "u=r.getrusage(r.RUSAGE_CHILDREN);print(t,u.ru_utime+u.ru_stime,u.ru_maxrss/1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    wall, cpu, peak = map(float, done.stdout.split())  # Linux says KiB
    return wall, cpu, peak


def read_alone(source: embed.CachedImages | embed.ImageFiles) -> None:
    """Read all batches, ahead in threads, and drop them."""
    n = source.images.height
    for _ in ahead(lambda at: source.read(at, BATCH), range(0, n, BATCH), threads=WORKERS):
        pass


def model_alone(encoder: Encoder, pixels: np.ndarray, n: int) -> None:
    """Run the network on values that are prepared already."""
    values = prepared(pixels, encoder.card)
    for _ in range(0, n, len(pixels)):
        encoder.run(values)  # type: ignore[misc]


def beside_floors(
    title: str, encoder: Encoder, source: embed.CachedImages | embed.ImageFiles, folder: Path
) -> list[str]:
    """Return the rows of the engine of parts beside its two floors, in turns."""
    n, share = source.images.height, embed.Share(threads=WORKERS)
    pixels = source.read(0, BATCH).pixels
    how = embed.How(PART, BATCH)
    model_alone(encoder, pixels, BATCH)
    turns: dict[str, list[tuple[float, float]]] = {"reading": [], "network": [], "both": []}
    for turn in range(TURNS):
        out = folder / f"{title}-{turn}".replace("/", "-")
        turns["reading"].append(spent(lambda: read_alone(source), n))
        turns["network"].append(spent(lambda: model_alone(encoder, pixels, n), n))
        whole = spent(lambda o=out: embed.embed_parts(source, encoder, o, how=how, share=share), n)
        turns["both"].append(whole)
    floors = [min(a[0], b[0]) for a, b in zip(turns["reading"], turns["network"], strict=True)]
    share_of = statistics.median(
        one[0] / floor for one, floor in zip(turns["both"], floors, strict=True)
    )
    rows = []
    for what, told in (
        ("reading alone", "reading"),
        ("network alone", "network"),
        ("read, embedded and stored", "both"),
    ):
        rate, cpu = median(turns[told])
        part = f"{share_of:.0%}" if told == "both" else ""
        rows.append(f"| {title}: {what} | {rate:.1f} | {part} | {cpu:.1f} | |")
    return rows


def whole_command(
    title: str, folder: Path, n: int, encoder: str, parameters: Mapping[str, object]
) -> list[str]:
    """Return the rows of the whole command, and of it again with all and with half of its parts."""
    out = folder / title.replace("/", "-").replace(" ", "") / "out"
    words = command(folder, out, encoder, parameters)
    rows = []
    for what, leaves in (("whole command", 0.0), ("again, all kept", 1.0), ("half kept", 0.5)):
        made = sorted((out.parent / ".cache" / "embeddings").rglob("part-*.parquet"))
        for path in made[int(len(made) * leaves) :]:
            path.unlink()
        if out.exists():
            subprocess.run(["rm", "-r", str(out)], check=True)
        wall, cpu, peak = process(words)
        told = f"{n / wall:.1f} ({wall:.1f} s)"
        rows.append(f"| {title}: {what} | {told} | | {1e3 * cpu / n:.1f} | {peak:.0f} |")
    return rows


def write_vectors(folder: Path, n: int, dimension: int) -> tables.StoredEmbeddings:
    """Write at least `n` vectors in parts of 8,192."""
    size, rng = 8192, np.random.default_rng(0)
    of = -(-n // size)
    block = rng.standard_normal((size, dimension)).astype(np.float16)
    for number in range(of):
        ids = [f"i{number * size + k:09d}" for k in range(size)]
        said = {"part": number, "parts": of, "storage": "float16", "digest": "0" * 64}
        write_part(ids, block, part_path(folder, number), said)
    return tables.open_embeddings(folder)


def bare(stored: tables.StoredEmbeddings) -> None:
    """Read the bytes of the files and nothing else: no reader can be faster."""
    room = bytearray(4 << 20)
    for path in stored.files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(room):
                pass


def blocks(stored: tables.StoredEmbeddings) -> None:
    """Read ids and vectors as a stage at size does."""
    for _ in stored.blocks():
        pass


def decoder(stored: tables.StoredEmbeddings) -> None:
    """Read the vectors as any reader of Parquet would."""
    for path in stored.files:
        pl.read_parquet(path, columns=["vector"])


def read_back(n: int, dimension: int = 768) -> list[str]:
    """Return how fast vectors come back, beside the bare bytes of the files."""
    rows = ["| read back | GB/s of wall | GB per CPU s |", "|---|--:|--:|"]
    ways = {"bare bytes": bare, "in blocks, with ids": blocks, "by polars": decoder}
    with tempfile.TemporaryDirectory() as made:
        stored = write_vectors(Path(made), n, dimension)
        volume = stored.shape[0] * dimension * 2 / 1e9
        for what, work in ways.items():
            work(stored)
            rate, cpu = median([spent(lambda w=work: w(stored), 1) for _ in range(5)])
            rows.append(f"| {what} | {rate * volume:.2f} | {volume / (cpu / 1e3):.2f} |")
    of = f"{stored.shape[0]:,} vectors of {dimension} in float16"
    return [f"{of} ({volume:.2f} GB), warm in memory:", "", *rows]


def table(n: int, vectors: int) -> list[str]:
    """Return all tables in Markdown."""
    lines = [HEAD.format("from"), "|---|--:|--:|--:|--:|"]
    loads = {"onnx": onnx.load, "openvino": openvino.load}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        source = prepare(folder, n)
        files = {"JPEG": jpegs(folder / "jpegs", n // 2), "DICOM": dicoms(folder / "dicom", n // 2)}
        for title, (name, told) in networks(folder).items():
            encoder = loads[name](told, Scope(workers=WORKERS))
            lines += beside_floors(f"cache, {title}", encoder, source, folder)
            if name == "openvino":
                for kind, images in files.items():
                    lines += beside_floors(f"{kind}, {title}", encoder, images, folder)
            lines += whole_command(f"cache, {title}", folder, n, name, told)
            print("\n".join(lines[-6:]), file=sys.stderr, flush=True)
        lines += growth(folder, n)
    said = (
        f"{n:,} images from the cache, {n // 2:,} JPEG and as many DICOM files (12 bits, not "
        f"compressed); parts of {PART}, batches of "
        f"{BATCH}, {WORKERS} threads. The floor is the slower of reading and network, in the same "
        "turn; a whole command starts Python and loads the model too. Reading and network share "
        "the cores: where both need them, end to end cannot reach the slower of the two, and no "
        "more than the cores over the sum of both CPU seconds."
    )
    return [said, "", *lines, "", *read_back(vectors)]


def growth(folder: Path, n: int) -> list[str]:
    """Return what the command takes on `n` and on eight times as many images, by a small model."""
    card = demo.load({}, Scope()).card
    rows = []
    for times in (1, 8):
        place = folder / f"times{times}"
        source = prepare(place, n * times)
        small = np.ascontiguousarray(pixels_of(n * times, SIDE)[:, : card.height, : card.width])
        np.save(place / "images" / "images.npy", small)
        del small
        wall, cpu, peak = process(command(place, place / "made" / "out", "demo", {}))
        count = source.images.height
        told = f"{count / wall:.0f} ({wall:.1f} s)"
        rows.append(
            f"| cache, demo, {count:,} images: whole command | {told} | | "
            f"{1e3 * cpu / count:.1f} | {peak:.0f} |"
        )
    return rows


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[1:]]
    print("\n".join(table(*(sizes + [512, 200_000][len(sizes) :]))))
