"""Encoders from a local ONNX file, run by onnxruntime on the CPU, held against their card.

Only one file counts: weights stored beside it would escape the digest and are refused.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from equipoise.encoders.building import built, card_from, checked_parameters
from equipoise.encoders.card import Encoder
from equipoise.encoders.libraries import first_line
from equipoise.encoders.ports import Fitted, Port, fit
from equipoise.errors import InvalidEncoder
from equipoise.scope import Scope

_PARAMETERS = {"path": "the ONNX file", "card": "its card, a YAML file or its fields"}
_WEIGHTS_ELSEWHERE = b"\x0a\x08location\x12"  # an entry of TensorProto.external_data
_FAILURES = (
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "NotImplemented",
    "RuntimeException",
)


class _Session(Protocol):
    def get_inputs(self) -> list[Port]: ...
    def get_outputs(self) -> list[Port]: ...
    def run(
        self, names: Sequence[str], feed: Mapping[str, npt.NDArray[np.generic]]
    ) -> list[npt.NDArray[np.float32]]: ...


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
    content = content_of(path)
    session = _session(content, path, scope.workers)
    fitted = fit(session.get_inputs(), session.get_outputs(), card, path)
    return built(
        card,
        lambda values: _run(session, fitted, values, path),
        weights=hashlib.sha256(content).hexdigest(),
        engine="onnxruntime CPU",
        version=_engine(),
        precision=card.precision,
        where=str(path),
        batch=fitted.batch,
    )


def content_of(path: Path) -> bytes:
    """Return an ONNX file whole, once it is seen to keep no weights elsewhere.

    Raises
    ------
    InvalidEncoder
        If it cannot be read, or keeps weights in another file.

    Examples
    --------
    >>> content_of(Path("nowhere.onnx"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: nowhere.onnx: cannot be read (No such file or directory)
    """
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
            f"{path}: not an ONNX model that onnxruntime can run ({first_line(error)})",
            hint="give the .onnx file itself; a checkpoint must be exported to ONNX first",
        ) from error
    return session


def _failures() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises about a model; its errors have no class in common."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(getattr(state, name) for name in _FAILURES)


def _engine() -> str:
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__} CPU"


def _run(
    session: _Session, fitted: Fitted, values: npt.NDArray[np.generic], path: Path
) -> npt.NDArray[np.float32]:
    feed = {fitted.source: values.astype(fitted.dtype, copy=False)}
    try:
        return session.run([fitted.output], feed)[0]
    except _failures() as error:
        raise InvalidEncoder(
            f"{path}: fails on a batch of {len(values)} images ({first_line(error)})",
            hint="if the model was made for one image at a time, set batch_size: 1",
        ) from error
