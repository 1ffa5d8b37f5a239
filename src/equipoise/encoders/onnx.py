"""Encoders from a local ONNX file, run by onnxruntime on the CPU, held against their card.

Only one file counts: weights stored beside it would escape the digest and are refused.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from equipoise.encoders.building import built, card_from, checked_parameters, wrong_dimension
from equipoise.encoders.card import Card, Encoder
from equipoise.errors import InvalidEncoder, nearest
from equipoise.scope import Scope

_PARAMETERS = {"path": "the ONNX file", "card": "its card, a YAML file or its fields"}
_TYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}
_WEIGHTS_ELSEWHERE = b"\x0a\x08location\x12"  # an entry of TensorProto.external_data
_FAILURES = (
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "NotImplemented",
    "RuntimeException",
)


class _Port(Protocol):
    """An input or output of a session, as onnxruntime describes it."""

    name: str
    shape: list[int | str | None]
    type: str


class _Session(Protocol):
    def get_inputs(self) -> list[_Port]: ...
    def get_outputs(self) -> list[_Port]: ...
    def run(
        self, names: Sequence[str], feed: Mapping[str, npt.NDArray[np.generic]]
    ) -> list[npt.NDArray[np.float32]]: ...


@dataclass(frozen=True, slots=True)
class _Model:
    """A session with what the check against its card has settled."""

    session: _Session
    path: Path
    source: str
    output: str
    dtype: str
    batch: int | None


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder in an ONNX file that fits its card.

    Parameters
    ----------
    parameters
        ``path``: the ONNX file. ``card``: its card, a YAML file or the fields themselves.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    InvalidEncoder
        If the file is absent, is no model, keeps weights elsewhere, or does not fit its card; if
        the card states no licence.
    InvalidConfiguration
        If a parameter is missing or not known.

    Examples
    --------
    >>> load({"path": "nowhere.onnx", "card": "nowhere.yaml"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card nowhere.yaml: no such file
    """
    checked_parameters(parameters, family="onnx", required=_PARAMETERS, more=())
    path = scope.resolve(str(parameters["path"]))
    card = card_from(parameters["card"], scope, where=str(path))
    content = _content(path)
    model = _checked(_session(content, path, scope.workers), card, path)
    return built(
        card,
        lambda values: _run(model, values),
        weights=hashlib.sha256(content).hexdigest(),
        engine="onnxruntime CPU",
        version=_engine(),
        precision=card.precision,
        where=str(path),
        batch=model.batch,
    )


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidEncoder(f"{path}: cannot be read ({error.strerror or error})") from error
    if _WEIGHTS_ELSEWHERE in content:
        raise InvalidEncoder(
            f"{path}: keeps weights in another file; expected all in this one",
            hint="export the model again without external data: its digest must cover its weights",
        )
    return content


def _session(content: bytes, path: Path, workers: int) -> _Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = workers
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions; its own lines go to stderr
    try:
        session: _Session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except _failures() as error:
        raise InvalidEncoder(
            f"{path}: not an ONNX model that onnxruntime can run ({_first_line(error)})",
            hint="give the .onnx file itself; a checkpoint must be exported to ONNX first",
        ) from error
    return session


def _failures() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises about a model; its errors have no class in common."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(getattr(state, name) for name in _FAILURES)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _engine() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__} CPU"


def _checked(session: _Session, card: Card, path: Path) -> _Model:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        found = ", ".join(port.name for port in inputs) or "none"
        raise InvalidEncoder(f"{path}: {len(inputs)} inputs ({found}); expected one, the images")
    return _Model(
        session,
        path,
        source=inputs[0].name,
        output=_output(session.get_outputs(), card, path),
        dtype=_type(inputs[0], card, path),
        batch=_batch(inputs[0], card, path),
    )


def _batch(port: _Port, card: Card, path: Path) -> int | None:
    """Return the batch size that the model insists on, if it does; check all else of the shape."""
    sizes = {"H": card.height, "W": card.width, "C": card.channels}
    wanted: list[int | str | None] = [sizes.get(letter, "batch") for letter in card.layout]
    found = port.shape
    fits = len(found) == 4 and all(
        not isinstance(size, int) or isinstance(want, str) or size == want
        for size, want in zip(found, wanted, strict=True)
    )
    if not fits:
        raise InvalidEncoder(
            f"{path}: input '{port.name}' is {_shape(found)}; "
            f"expected {_shape(wanted)} ({card.layout}) as its card says",
            hint="correct height, width, channels or layout in the card",
        )
    return found[0] if isinstance(found[0], int) else None


def _type(port: _Port, card: Card, path: Path) -> str:
    if port.type not in _TYPES:
        raise InvalidEncoder(
            f"{path}: input '{port.name}' is {port.type}; expected {', '.join(_TYPES)}"
        )
    more = [
        f" and a {what}"
        for what, values in (("mean", card.mean), ("deviation", card.std))
        if values is not None
    ]
    if port.type == "tensor(uint8)" and (card.value_range != "uint8" or more):
        raise InvalidEncoder(
            f"{path}: input '{port.name}' is {port.type}, which holds 0 to 255; the card says "
            f"value_range '{card.value_range}'{''.join(more)}",
            hint="say value_range: uint8, without mean and std",
        )
    return _TYPES[port.type]


def _output(ports: Sequence[_Port], card: Card, path: Path) -> str:
    known = {port.name: port for port in ports}
    if card.output is None and len(known) != 1:
        raise InvalidEncoder(
            f"{path}: {len(known)} outputs ({', '.join(known)}); expected one, or 'output' in the "
            "card"
        )
    name = card.output or ports[0].name
    if name not in known:
        raise InvalidEncoder(
            f"{path}: no output '{name}'; got {', '.join(known)}", hint=nearest(name, known)
        )
    rest = known[name].shape[1:]
    sizes = [size for size in rest if isinstance(size, int)]
    if len(sizes) == len(rest) and int(np.prod(sizes)) != card.dimension:
        raise wrong_dimension(str(path), f"output '{name}'", int(np.prod(sizes)), card)
    return name


def _run(model: _Model, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    feed = {model.source: values.astype(model.dtype, copy=False)}
    try:
        return model.session.run([model.output], feed)[0]
    except _failures() as error:
        raise InvalidEncoder(
            f"{model.path}: fails on a batch of {len(values)} images ({_first_line(error)})",
            hint="if the model was made for one image at a time, set batch_size: 1",
        ) from error


def _shape(sizes: Sequence[int | str | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"
