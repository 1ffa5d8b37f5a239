"""An ONNX file by whichever engine is faster on this machine, by a short trial that is recorded.

Which engine wins depends on the architecture and the processor: convolutions ran faster by
onnxruntime on one, transformers by OpenVINO. Engines differ in the last digits of a vector, so the
choice is made once for a model, a precision and a machine, and kept; it is in the digest.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise import evidence
from equipoise.encoders import onnx, openvino
from equipoise.encoders.building import card_from, checked_parameters, place_of
from equipoise.encoders.card import Encoder
from equipoise.errors import InvalidConfiguration
from equipoise.scope import Scope
from equipoise.tables import write_text

BATCH = 8
SECONDS = 1.0
"""Of trial, for each engine, after one batch that warms it."""

_PARAMETERS = {
    "path": "an ONNX file",
    "card": "its card, a YAML file or its fields",
}


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder in an ONNX file, run by the faster engine.

    Parameters
    ----------
    parameters
        ``path``, ``card``, ``precision`` as of `openvino.load`: in float32 both engines are tried,
        otherwise there is only OpenVINO.
    scope
        Where relative paths start, how many threads may work, and the cache in which the choice is
        kept.

    Raises
    ------
    InvalidEncoder
        If the file does not fit its card.
    InvalidConfiguration
        If a parameter is missing or not known.

    Examples
    --------
    >>> load({"path": "nowhere.onnx", "card": {}}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: nowhere.onnx: no such file or folder
    """
    checked_parameters(parameters, family="fastest", required=_PARAMETERS, more=("precision",))
    precision = openvino.precision_of(parameters)
    path = place_of(parameters, scope)
    card = card_from(parameters["card"], scope, where=str(path))
    bare = {"path": str(path.resolve()), "card": card.model_dump(exclude_none=True)}
    ways: dict[str, Callable[[], Encoder]] = {}
    if precision == "float32":
        ways["onnxruntime"] = lambda: onnx.load(bare, scope)
    if find_spec("openvino") is not None:
        ways["openvino"] = lambda: openvino.load({**bare, "precision": precision}, scope)
    if not ways:
        raise InvalidConfiguration(
            f"encoder fastest: precision '{precision}' needs OpenVINO, which is not installed",
            hint="pip install 'equipoise[openvino]', or say precision: float32",
        )
    record = _record(scope, path, precision, sorted(ways))
    known = _remembered(record, ways)
    if known is not None:
        return replace(ways[str(known["engine"])](), chosen=known)
    made = {name: way() for name, way in ways.items()}
    choice = choose(made)
    if record is not None:
        write_text(record, json.dumps(choice, indent=1))
    return replace(made[str(choice["engine"])], chosen=choice)


def choose(encoders: Mapping[str, Encoder], *, seconds: float = SECONDS) -> dict[str, object]:
    """Return which encoder is fastest, and how many images a second each embedded.

    Parameters
    ----------
    encoders
        Engine → the same encoder.
    seconds
        Of trial for each.

    Examples
    --------
    >>> from equipoise.encoders.filterbank import load as filterbank
    >>> choose({"numpy": filterbank({}, Scope())}, seconds=0.01)["engine"]
    'numpy'
    """
    rates = {name: round(_rate(encoder, seconds), 2) for name, encoder in encoders.items()}
    best = max(rates, key=lambda name: rates[name])
    return {"engine": best, "images_per_second": rates, "batch": BATCH, "seconds": seconds}


def _rate(encoder: Encoder, seconds: float) -> float:
    shape = (BATCH, encoder.card.height, encoder.card.width)
    pixels: npt.NDArray[np.uint8] = (
        (np.arange(np.prod(shape)) % 251).reshape(shape).astype(np.uint8)
    )
    encoder.embed(pixels)
    spent: list[float] = []
    while sum(spent) < seconds or len(spent) < 3:
        start = time.perf_counter()
        encoder.embed(pixels)
        spent.append(time.perf_counter() - start)
    # The median: a machine that is busy for a moment must not decide.
    return BATCH / statistics.median(spent)


def _record(scope: Scope, path: Path, precision: str, engines: list[str]) -> Path | None:
    """Return where the choice is kept: for this file, precision, processor and set of engines."""
    if scope.cache is None:
        return None
    key = [openvino.file_digest(path), precision, engines, scope.workers, _processor()]
    return scope.cache / "engines" / f"{evidence.digest(key)[:32]}.json"


def _remembered(record: Path | None, ways: Mapping[str, object]) -> dict[str, object] | None:
    if record is None or not record.is_file():
        return None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("engine") in ways else None


def _processor() -> str:
    """Return what the processor calls itself and can do, where the system tells it."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = [
        one.partition(":")[2].strip() for one in lines if one.startswith(("model name", "flags"))
    ]
    return evidence.digest(sorted(set(told)))
