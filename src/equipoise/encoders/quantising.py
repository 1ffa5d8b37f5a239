"""A model in integers of 8 bits, its ranges taken from images of the cohort (extra `openvino`).

Which images it is calibrated on is a choice that vectors depend on, so it is in the digest: the
model that is written carries the ranges, and its file is what an encoder is told by.
"""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.encoders import openvino
from equipoise.encoders.card import Card
from equipoise.encoders.libraries import library
from equipoise.encoders.preparation import prepared, ready_for
from equipoise.errors import InvalidEncoder
from equipoise.tables import write_bytes

_NO_TELEMETRY = "NNCF_CI"

LEAST = 16
"""Images that ranges may be taken from, at least."""


def quantised(path: Path, card: Card, pixels: npt.NDArray[np.uint8], out: Path) -> Path:
    """Write a model with integer weights and activations, and return its ``.xml``.

    Parameters
    ----------
    path
        An ONNX file or OpenVINO IR, in float32.
    card
        What it expects.
    pixels
        Images of the cohort, uint8 ``(b, h, w)`` or ``(b, h, w, 3)``: 16 at least, of all groups,
        without their labels. A few hundred are enough.
    out
        The ``.xml`` to be written; its weights go beside it as ``.bin``.

    Raises
    ------
    MissingExtra
        Without the extra `openvino`.
    InvalidEncoder
        If there are too few images, or the model cannot be quantised.

    References
    ----------
    Jacob et al. 2018, CVPR (quantisation for integer arithmetic); NNCF, post-training mode.

    Examples
    --------
    >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> quantised(Path("a.onnx"), card, np.zeros((3, 8, 8), np.uint8), Path("b.xml"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: a.onnx: 3 images to calibrate on; expected 16 or more
    """
    if len(pixels) < LEAST:
        raise InvalidEncoder(
            f"{path}: {len(pixels)} images to calibrate on; expected {LEAST} or more"
        )
    ready_for(pixels, card)
    nncf = silent_nncf()
    model = openvino.read(path)
    source = model.inputs[0].any_name
    dtype = {"u8": np.uint8, "f16": np.float16}.get(
        model.inputs[0].element_type.get_type_name(), np.float32
    )

    def fed(image: npt.NDArray[np.uint8]) -> Mapping[str, npt.NDArray[np.generic]]:
        return {source: prepared(image[None], card).astype(dtype, copy=False)}

    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it draws bars of its own
            made = nncf.quantize(
                model,
                nncf.Dataset(list(pixels), fed),
                subset_size=len(pixels),
                **_transformer(model, nncf),
            )
    except Exception as error:
        raise InvalidEncoder(f"{path}: cannot be quantised ({error})") from error
    return _saved(made, out)


def silent_nncf() -> Any:
    """Return NNCF, which by itself tells its maker of every call; here it tells nobody.

    Raises
    ------
    MissingExtra
        Without the extra `openvino`.
    """
    os.environ[_NO_TELEMETRY] = "1"  # read when it is imported
    nncf = library("nncf", extra="openvino", family="openvino")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


def _transformer(model: Any, nncf: Any) -> dict[str, object]:
    """Return what NNCF must be told of a transformer, which is known by its attention."""
    attention = {"Softmax", "ScaledDotProductAttention"}
    kinds = {one.get_type_name() for one in model.get_ops()}
    return {"model_type": nncf.ModelType.TRANSFORMER} if kinds & attention else {}


def _saved(model: Any, out: Path) -> Path:
    """Write weights, then the model that names them: each whole or not there."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model.xml"
        openvino.engine().save_model(model, str(place), compress_to_fp16=False)
        write_bytes(out.with_suffix(".bin"), place.with_suffix(".bin").read_bytes())
        write_bytes(out, place.read_bytes())
    return out
