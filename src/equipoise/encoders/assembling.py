"""From a network of torch with its weights to an encoder, or to a file: what its families share.

A family builds the network and puts the weights in; how it is called, run and named is here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.encoders.building import Run, built
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.libraries import first_line, library
from equipoise.encoders.networks import device_of, runner, version
from equipoise.errors import InvalidEncoder
from equipoise.scope import Scope

_FAILURES = (RuntimeError, AssertionError, ValueError, TypeError, IndexError)
"""What networks raise about an input that they cannot take."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network of torch that has its weights and does not run yet.

    Parameters
    ----------
    module
        From images in the card's layout to vectors ``(b, d)``: pooling is in it.
    card
        What it expects.
    weights
        SHA-256 of what it was loaded from.
    libraries
        Whose code it is, torch first.
    where
        What it is called in messages.
    family, extra
        Of its loader, and what brings its libraries.
    """

    module: Any
    card: Card
    weights: str
    libraries: tuple[Any, ...]
    where: str
    family: str
    extra: str


def joined(inner: Any, call: Callable[[Any, Any], Any], *, extra: str, family: str) -> Any:
    """Return a network and what is made of its output as one module of torch.

    Parameters
    ----------
    inner
        The network.
    call
        From the network and images to vectors ``(b, d)``.
    extra, family
        For the message where torch is missing.
    """
    torch = library("torch", extra=extra, family=family)

    def forward(self: Any, images: Any) -> Any:
        return call(self.inner, images)

    made = type("Joined", (torch.nn.Module,), {"forward": forward})()
    made.inner = inner
    return made.train(mode=False)


def encoder_of(network: Network, parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder that a network makes on the device that is asked for.

    Parameters
    ----------
    network
        With its weights.
    parameters
        Of the loader: ``device`` and ``precision`` may be among them.
    scope
        How many threads may work.

    Raises
    ------
    InvalidEncoder
        If it fails on an image of the card's size, or its vectors do not fit the card.
    InvalidConfiguration
        If a GPU is asked for that is not there.
    """
    card = network.card
    check_layout(card, ("NCHW", "NCDHW"), where=network.where)
    device = device_of(parameters, scope.workers, family=network.family, extra=network.extra)
    run = runner(network.module, device, lambda found: found)
    return built(
        card,
        _told(run, network.where),
        weights=network.weights,
        engine=f"torch {'CPU' if device.name == 'cpu' else 'GPU'}",
        version=version(*network.libraries),
        precision=device.precision,
        where=network.where,
    )


def check_layout(card: Card, known: tuple[str, ...], *, where: str) -> None:
    """Refuse a card whose layout a network cannot take.

    Examples
    --------
    >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> check_layout(card, ("NCHW",), where="a.pt")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: a.pt: layout NHWC in its card; expected NCHW
    """
    if card.layout not in known:
        raise InvalidEncoder(
            f"{where}: layout {card.layout} in its card; expected {' or '.join(known)}"
        )


def arguments_of(card: Card, needed: str, *, family: str) -> dict[str, Any]:
    """Return what the card tells the loader, which must name the network.

    Parameters
    ----------
    card
        Of the encoder.
    needed
        The argument that names the network.
    family
        For the message.

    Raises
    ------
    InvalidEncoder
        If that argument is missing or no text.

    Examples
    --------
    >>> card = Card(name="bank", layout="NCHW", height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> arguments_of(card, "model", family="timm")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: encoder timm: card 'bank': no 'model' in its arguments; got []
    """
    said: dict[str, Any] = dict(card.arguments or {})
    if not isinstance(said.get(needed), str):
        raise InvalidEncoder(
            f"encoder {family}: card '{card.name}': no '{needed}' in its arguments; "
            f"got {sorted(said)}",
            hint=f"say arguments: {{{needed}: <name of the network>}} in the card",
        )
    return said


def sorting(said: dict[str, Any], *, where: str) -> tuple[str, tuple[str, ...]]:
    """Take *prefix* and *drop* out of a card's arguments: how a checkpoint names its weights.

    Parameters
    ----------
    said
        Arguments; the two and *revision* are removed.
    where
        Whose, for the message.

    Returns
    -------
    What stands before the names of the network's own weights, and how names begin that are of no
    use here (of a head, a decoder).

    Raises
    ------
    InvalidEncoder
        If one of them is no text.

    Examples
    --------
    >>> sorting({"prefix": "backbone.", "drop": ["head."]}, where="a.pt")
    ('backbone.', ('head.',))
    """
    said.pop("revision", None)
    prefix, drop = said.pop("prefix", ""), said.pop("drop", [])
    drop = [drop] if isinstance(drop, str) else drop
    texts = isinstance(prefix, str) and isinstance(drop, list)
    if not texts or not all(isinstance(one, str) and one for one in drop):
        raise InvalidEncoder(
            f"{where}: arguments: prefix is {prefix!r}, drop {drop!r}; expected a text, and texts"
        )
    return prefix, tuple(drop)


def _told(run: Run, where: str) -> Run:
    """Return the same, with failures told as those of the encoder."""

    def either(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        try:
            return run(values)
        except _FAILURES as error:
            raise InvalidEncoder(
                f"{where}: fails on a batch {values.shape} ({first_line(error)})",
                hint="see whether height, width, channels and arguments in the card are those of "
                "the network",
            ) from error

    return either
