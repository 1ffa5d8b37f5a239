"""Encoders from a local ONNX file or OpenVINO IR, run by OpenVINO on the CPU (extra `openvino`).

OpenVINO takes half the digits by itself where a processor has bfloat16: vectors of two machines
then differ by a hundredth. So the precision is always said, is in the digest, and is read back.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from equipoise.encoders.building import built, card_from, checked_parameters, place_of
from equipoise.encoders.card import Encoder
from equipoise.encoders.libraries import library
from equipoise.encoders.onnx import content_of
from equipoise.encoders.ports import Described, Fitted, fit
from equipoise.errors import InvalidConfiguration, InvalidEncoder
from equipoise.scope import Scope

Precision = Literal["float32", "bfloat16", "int8"]

_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
_TYPES = {"u8": "tensor(uint8)", "f32": "tensor(float)", "f16": "tensor(float16)"}
_PARAMETERS = {
    "path": "an ONNX file, or the .xml of OpenVINO IR beside its .bin",
    "card": "its card, a YAML file or its fields",
}


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder in a file that fits its card.

    Parameters
    ----------
    parameters
        ``path``: an ONNX file, or the ``.xml`` of OpenVINO IR. ``card``: its card. ``precision``:
        ``float32`` (the default), ``bfloat16``, or ``int8`` for IR made by `quantising.quantised`.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    MissingExtra
        Without the extra `openvino`.
    InvalidEncoder
        If the file is absent, is no model, or does not fit its card; if int8 is asked of a model
        that has no integer weights, or another precision of one that has.
    InvalidConfiguration
        If a parameter is missing or not known.

    Examples
    --------
    >>> load({"path": "nowhere.onnx", "card": {}}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: nowhere.onnx: no such file or folder
    """
    checked_parameters(parameters, family="openvino", required=_PARAMETERS, more=("precision",))
    precision = precision_of(parameters)
    path = place_of(parameters, scope)
    card = card_from(parameters["card"], scope, where=str(path))
    digest = file_digest(path)
    model = read(path)
    _check_integers(model, precision, path)
    compiled = _compiled(model, precision, scope.workers)
    fitted = fit(_ports(compiled.inputs), _ports(compiled.outputs), card, path)
    return built(
        card,
        lambda values: _run(compiled, fitted, values, path),
        weights=digest,
        engine="OpenVINO CPU",
        version=version(),
        precision=precision,
        where=str(path),
        batch=fitted.batch,
    )


def precision_of(parameters: Mapping[str, object]) -> Precision:
    """Return the precision that is asked for; float32 if none is.

    Raises
    ------
    InvalidConfiguration
        If it is not known.

    Examples
    --------
    >>> precision_of({})
    'float32'
    """
    asked = str(parameters.get("precision", "float32"))
    for known in get_args(Precision):
        if asked == known:
            found: Precision = known
            return found
    raise InvalidConfiguration(
        f"encoder openvino: precision '{asked}'; expected {', '.join(get_args(Precision))}"
    )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a model: of an ONNX file, or of IR with its weights.

    Raises
    ------
    InvalidEncoder
        If the weights beside IR are absent, or a file cannot be read.

    Examples
    --------
    >>> file_digest(Path("nowhere.xml"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: nowhere.xml: cannot be read (No such file or directory)
    """
    if path.suffix != ".xml":
        return hashlib.sha256(content_of(path)).hexdigest()
    total = hashlib.sha256()
    for part in (path, path.with_suffix(".bin")):
        try:
            total.update(hashlib.sha256(part.read_bytes()).digest())
        except OSError as error:
            raise InvalidEncoder(f"{part}: cannot be read ({error.strerror or error})") from error
    return total.hexdigest()


def version() -> str:
    """Return what computes, with its version."""
    openvino = engine()
    return f"OpenVINO {openvino.__version__.split('-')[0]} CPU"


def engine() -> Any:
    """Return the library.

    Raises
    ------
    MissingExtra
        Without the extra.
    """
    return library("openvino", extra="openvino", family="openvino")


def read(path: Path) -> Any:
    """Return the model in a file, as OpenVINO holds it.

    Raises
    ------
    InvalidEncoder
        If it is none.
    """
    openvino = engine()
    try:
        return openvino.Core().read_model(str(path))
    except RuntimeError as error:
        raise InvalidEncoder(
            f"{path}: not a model that OpenVINO can read ({_last_line(error)})",
            hint="give an .onnx file, or the .xml of OpenVINO IR with its .bin beside it",
        ) from error


def _compiled(model: Any, precision: Precision, workers: int) -> Any:
    openvino = engine()
    hints = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": workers,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "EXECUTION_MODE_HINT": "ACCURACY",
    }
    compiled = openvino.Core().compile_model(model, "CPU", hints)
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if taken != _HINTS[precision]:
        raise InvalidEncoder(
            f"encoder openvino: {precision} was asked for and OpenVINO took {taken}",
            hint="this processor has no such arithmetic: say precision: float32",
        )
    return compiled


def _check_integers(model: Any, precision: Precision, path: Path) -> None:
    """See that a model with integer weights is called int8, and no other."""
    integers = any(one.get_type_name() == "FakeQuantize" for one in model.get_ops())
    if integers == (precision == "int8"):
        return
    if integers:
        raise InvalidEncoder(
            f"{path}: is quantised, and {precision} was asked for; expected precision: int8"
        )
    raise InvalidEncoder(
        f"{path}: int8 was asked for and the model is not quantised",
        hint="quantise it on images of the cohort first: encoders.quantising.quantised",
    )


def _ports(some: Any) -> list[Described]:
    return [
        Described(
            one.any_name if one.names else f"output {place}",
            tuple(size.get_length() if size.is_static else None for size in one.partial_shape),
            _TYPES.get(one.element_type.get_type_name(), one.element_type.get_type_name()),
        )
        for place, one in enumerate(some)
    ]


def _run(
    compiled: Any,
    fitted: Fitted,
    values: npt.NDArray[np.generic],
    path: Path,
) -> npt.NDArray[np.float32]:
    try:
        found = compiled({fitted.source: values.astype(fitted.dtype, copy=False)})
    except RuntimeError as error:
        raise InvalidEncoder(
            f"{path}: fails on a batch of {len(values)} images ({_last_line(error)})"
        ) from error
    names = [port.name for port in _ports(compiled.outputs)]
    vectors: npt.NDArray[np.float32] = found[names.index(fitted.output)]
    return vectors


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
