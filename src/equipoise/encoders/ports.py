"""The inputs and outputs of a compiled network, held against its card."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from equipoise.encoders.building import wrong_dimension
from equipoise.encoders.card import Card
from equipoise.errors import InvalidEncoder, nearest

_TYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}


class Port(Protocol):
    """An input or output, as onnxruntime describes it."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def shape(self) -> Sequence[int | str | None]:
        """Its sizes, none or a name where any fits."""

    @property
    def type(self) -> str:
        """Of its elements, as ``tensor(float)``."""


@dataclass(frozen=True, slots=True)
class Described:
    """A port that another engine has, in the same words.

    Parameters
    ----------
    name, shape, type
        As of `Port`.
    """

    name: str
    shape: tuple[int | str | None, ...]
    type: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """What holding a network against its card settles.

    Parameters
    ----------
    source, output
        Names of the input and of the output that is read.
    dtype
        Of the input.
    batch
        The only batch size that it takes; None where any fits.
    """

    source: str
    output: str
    dtype: str
    batch: int | None


def fit(inputs: Sequence[Port], outputs: Sequence[Port], card: Card, path: Path) -> Fitted:
    """Return what is fed and read, once shapes, types and dimension are those of the card.

    Parameters
    ----------
    inputs, outputs
        Of the network.
    card
        What it says of itself.
    path
        Whose file it is, for messages.

    Raises
    ------
    InvalidEncoder
        With what was found and what the card says.

    Examples
    --------
    >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> images = Described("images", (None, 8, 8, 1), "tensor(uint8)")
    >>> fit([images], [Described("y", (None, 4), "tensor(float)")], card, Path("a.onnx")).dtype
    'uint8'
    """
    if len(inputs) != 1:
        found = ", ".join(port.name for port in inputs) or "none"
        raise InvalidEncoder(f"{path}: {len(inputs)} inputs ({found}); expected one, the images")
    return Fitted(
        source=inputs[0].name,
        output=_output(outputs, card, path),
        dtype=_type(inputs[0], card, path),
        batch=_batch(inputs[0], card, path),
    )


def _batch(port: Port, card: Card, path: Path) -> int | None:
    """Return the batch size that the model insists on, if it does; check all else of the shape."""
    sizes = {"D": card.depth, "H": card.height, "W": card.width, "C": card.channels}
    wanted: list[int | str | None] = [sizes.get(letter, "batch") for letter in card.layout]
    found = port.shape
    fits = len(found) == len(wanted) and all(
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


def _type(port: Port, card: Card, path: Path) -> str:
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


def _output(ports: Sequence[Port], card: Card, path: Path) -> str:
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


def _shape(sizes: Sequence[int | str | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"
