"""Encoders whose network is a function of your own in Python (extra `train`).

The function gives an untrained ``torch.nn.Module``; its weights are tensors alone, in safetensors
or in a checkpoint that torch reads without running anything. A whole pickled model is refused.
"""

from collections.abc import Mapping
from typing import Any

from equipoise import registry
from equipoise.encoders.assembling import Network, arguments_of, encoder_of, joined, sorting
from equipoise.encoders.building import card_from, checked_parameters, place_of
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.libraries import library
from equipoise.encoders.networks import take, weights
from equipoise.encoders.pooling import of_maps, of_tokens
from equipoise.errors import InvalidEncoder
from equipoise.scope import Scope

_FAMILY, _EXTRA = "torch", "train"
_PARAMETERS = {
    "path": "its weights, .safetensors or a checkpoint of tensors",
    "card": "its card, a YAML file or its fields",
}


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder that a function, weights and a card make.

    Parameters
    ----------
    parameters
        ``card``: its `arguments` hold ``network``, ``"module:function"``, what the function is
        told beside it, ``prefix`` and ``drop`` (which weights of a checkpoint are meant), and
        ``prefix_tokens`` (class and register tokens before the patches) with ``class_token``
        (whether the first is one) where the network gives tokens; its `pooling` is ``pooled``
        (vectors as they come, the default), ``cls``, ``mean``, ``cls_mean`` of tokens ``(b, n,
        d)``, ``spatial_mean`` of maps ``(b, c, …)``, or ``flat``. ``path``: the weights.
        ``device``, ``precision``: as for every network of torch.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    MissingExtra
        Without the extra `train`.
    UnknownName
        If the function cannot be imported.
    InvalidEncoder
        If it gives no network, weights do not fit it, or vectors do not fit the card.
    InvalidConfiguration
        If a parameter is missing or not known, or a GPU is asked for that is not there.

    Examples
    --------
    >>> load({"path": "nowhere.pt"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder torch: no parameter 'card'; got ['path']
    """
    return encoder_of(network(parameters, scope), parameters, scope)


def network(parameters: Mapping[str, object], scope: Scope) -> Network:
    """Return the same before it runs, as `exporting.exported` takes it.

    Parameters
    ----------
    parameters, scope
        As of `load`.

    Raises
    ------
    MissingExtra, UnknownName, InvalidEncoder, InvalidConfiguration
        As of `load`.

    Examples
    --------
    >>> network({"path": "nowhere.pt"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder torch: no parameter 'card'; got ['path']
    """
    checked_parameters(
        parameters, family=_FAMILY, required=_PARAMETERS, more=("precision", "device")
    )
    card = card_from(parameters["card"], scope, where="encoder torch")
    said = arguments_of(card, "network", family=_FAMILY)
    torch = library("torch", extra=_EXTRA, family=_FAMILY)
    path = place_of(parameters, scope)
    name = str(said.pop("network"))
    prefix, drop = sorting(said, where=str(path))
    tokens, has_class = _tokens(said, str(path))
    inner = _made(name, said, torch)
    given = weights(path, family=_FAMILY, extra=_EXTRA)
    take(inner, given, prefix=prefix, drop=drop, where=name)
    call = _call(card, tokens, has_class, name)
    return Network(
        module=joined(inner, call, extra=_EXTRA, family=_FAMILY),
        card=card,
        weights=given.digest,
        libraries=(torch,),
        where=str(path),
        family=_FAMILY,
        extra=_EXTRA,
    )


def _made(name: str, told: Mapping[str, Any], torch: Any) -> Any:
    make = registry.load(name, {}, kind="network")
    try:
        found = make(**told)
    except TypeError as error:
        raise InvalidEncoder(
            f"network '{name}': cannot be made with {sorted(told)} ({error})",
            hint="correct the card's arguments",
        ) from error
    if not isinstance(found, torch.nn.Module):
        raise InvalidEncoder(
            f"network '{name}': gives {type(found).__name__}; expected a torch.nn.Module"
        )
    return found


def _tokens(said: dict[str, Any], where: str) -> tuple[int, bool]:
    """Take how many tokens stand before the patches out of the arguments."""
    prefix, has_class = said.pop("prefix_tokens", 0), said.pop("class_token", None)
    if not isinstance(prefix, int) or isinstance(prefix, bool) or prefix < 0:
        raise InvalidEncoder(f"{where}: prefix_tokens is {prefix!r}; expected 0, 1, 2, …")
    return prefix, prefix > 0 if has_class is None else bool(has_class)


def _call(card: Card, tokens: int, has_class: bool, name: str) -> Any:
    pooling, where = card.pooling or "pooled", f"network '{name}'"

    def call(network: Any, images: Any) -> Any:
        found = network(images)
        if pooling == "pooled":
            return found
        if found.ndim == 3:
            return of_tokens(found, pooling, prefix=tokens, has_class=has_class, where=where)
        return of_maps(found, pooling, where=where)

    return call
