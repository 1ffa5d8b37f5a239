"""Encoders of torchxrayvision for chest radiographs (extra `cxr`): grey, from -1024 to 1024.

Its published DenseNets are whole pickled models, which run code when they are read. They are
turned into tensors once, by hand, by somebody who trusts the file; here only tensors are read.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from equipoise.encoders.assembling import Network, arguments_of, encoder_of, joined, sorting
from equipoise.encoders.building import card_from, checked_parameters, place_of
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.libraries import beside_torchvision, library
from equipoise.encoders.networks import Weights, take, weights
from equipoise.encoders.pooling import of_maps
from equipoise.errors import InvalidEncoder, nearest
from equipoise.scope import Scope

_FAMILY, _EXTRA = "torchxrayvision", "cxr"
_UNUSED = {
    "densenet121": ("classifier.", "op_threshs"),
    "resnet50": ("fc.",),
    "101": ("uplayer", "conv1_1."),
}
"""Beginning of a name → how the weights begin that no vector needs: heads, a decoder."""
_LABELS = 18


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return an encoder of torchxrayvision with weights that fit it.

    Parameters
    ----------
    parameters
        ``card``: its `arguments` hold ``model``, as ``densenet121-res224-all``,
        ``resnet50-res512-all`` or ``101-elastic`` (the autoencoder); its `pooling` is ``pooled``
        (the library's own vector; not of the autoencoder, which has none), ``spatial_mean`` or
        ``flat`` of the last maps, after their rectifier. ``path``: a file of tensors; without it
        the library's own cache, where its file holds tensors alone. ``device``, ``precision``:
        as for every network of torch.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    MissingExtra
        Without the extra `cxr`.
    InvalidEncoder
        If there is no such model, its file is absent or a pickled model (the hint says how to
        convert it), or the card says another range, size or number of channels than the library.
    InvalidConfiguration
        If a parameter is not known, or a GPU is asked for that is not there.

    References
    ----------
    Cohen et al. 2022, MIDL (TorchXRayVision).

    Examples
    --------
    >>> load({}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder torchxrayvision: no parameter 'card'; got []
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
    MissingExtra, InvalidEncoder, InvalidConfiguration
        As of `load`.

    Examples
    --------
    >>> network({}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder torchxrayvision: no parameter 'card'; got []
    """
    needed = {"card": "its card, a YAML file or its fields"}
    checked_parameters(
        parameters, family=_FAMILY, required=needed, more=("path", "precision", "device")
    )
    card = card_from(parameters["card"], scope, where="encoder torchxrayvision")
    said = arguments_of(card, "model", family=_FAMILY)
    name = str(said.pop("model"))
    xrv = _xrv()
    told = _described(name, xrv)
    _check_card(card, told)
    path = place_of(parameters, scope) if "path" in parameters else _cached(told, name, xrv)
    prefix, drop = sorting(said, where=str(path))
    if said:
        raise InvalidEncoder(f"{path}: unknown argument '{min(said)}' of card '{card.name}'")
    inner, call = _created(name, card, xrv)
    given = _weights(path, name)
    unused = next(rest for begin, rest in _UNUSED.items() if name.startswith(begin))
    take(inner, given, prefix=prefix, drop=(*drop, *unused), where=f"torchxrayvision's {name}")
    return Network(
        module=joined(inner, call, extra=_EXTRA, family=_FAMILY),
        card=card,
        weights=given.digest,
        libraries=(library("torch", extra=_EXTRA, family=_FAMILY), xrv),
        where=str(path),
        family=_FAMILY,
        extra=_EXTRA,
    )


def _xrv() -> Any:
    """Return the library; that it silences all warnings when it is imported is undone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xrv = beside_torchvision("torchxrayvision", extra=_EXTRA, family=_FAMILY)
        library("torchxrayvision.autoencoders", extra=_EXTRA, family=_FAMILY)
    return xrv


def _described(name: str, xrv: Any) -> Mapping[str, Any]:
    """Return what the library says of a model: the address of its weights, the size it takes."""
    known = {
        key: one
        for key, one in {**xrv.models.model_urls, **xrv.autoencoders.model_urls}.items()
        if key.startswith(tuple(_UNUSED))
    }
    if name not in known:
        raise InvalidEncoder(
            f"encoder torchxrayvision: no model '{name}'; known: {', '.join(known)}",
            hint=nearest(name, known),
        )
    found: Mapping[str, Any] = known[name]
    return found


def _check_card(card: Card, told: Mapping[str, Any]) -> None:
    """See that pixels come as the library takes them: it would rescale them without a word."""
    side = told.get("input_resolution", told.get("resolution"))
    wanted = {
        "height": side,
        "width": side,
        "channels": 1,
        "value_range": "minus_1024_1024",
        "mean": None,
        "std": None,
    }
    for field, value in wanted.items():
        if getattr(card, field) != value:
            raise InvalidEncoder(
                f"encoder torchxrayvision: card '{card.name}' says {field}: "
                f"{getattr(card, field)}; expected {value}"
            )


def _cached(told: Mapping[str, Any], name: str, xrv: Any) -> Path:
    """Return the file in the library's own cache."""
    path = Path(xrv.utils.get_cache_dir()).expanduser() / Path(str(told["weights_url"])).name
    if not path.is_file():
        raise InvalidEncoder(
            f"encoder torchxrayvision: no weights of '{name}'; expected 'path', or {path}",
            hint=f"fetch {told['weights_url']} where it can be reached, {_converted(name)}",
        )
    return path


def _weights(path: Path, name: str) -> Weights:
    try:
        return weights(path, family=_FAMILY, extra=_EXTRA)
    except InvalidEncoder as error:
        raise InvalidEncoder(str(error), hint=f"if you trust it, {_converted(name)}") from error


def _converted(name: str) -> str:
    """Return how to turn what is published into tensors, in words."""
    if not name.startswith("densenet"):
        return "and give it as path: it holds tensors alone"
    return (
        'turn it into tensors where you may run its code: python -c "import torch, '
        f"torchxrayvision as x; torch.save(x.models.DenseNet(weights='{name}').state_dict(), "
        "'weights.pt')\" and give weights.pt as path"
    )


def _created(name: str, card: Card, xrv: Any) -> tuple[Any, Callable[[Any, Any], Any]]:
    """Return a network without weights and head, and how vectors are made with it."""
    torch = library("torch", extra=_EXTRA, family=_FAMILY)
    nothing = torch.nn.Identity
    maps: Callable[[Any, Any], Any]
    own: Callable[[Any, Any], Any] | None
    pooling = card.pooling or "pooled"
    where = f"torchxrayvision's {name}"
    if name.startswith("densenet"):
        inner = xrv.models.DenseNet(num_classes=_LABELS, in_channels=1)
        inner.classifier = nothing()
        own, maps = _own_densenet, lambda net, images: torch.relu(net.features(images))
    elif name.startswith("resnet"):
        torchvision = library("torchvision", extra=_EXTRA, family=_FAMILY)
        inner = torchvision.models.resnet50(weights=None, num_classes=_LABELS)
        inner.conv1 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        inner.fc = nothing()
        own, maps = _own_resnet, _maps_resnet
    else:
        inner = xrv.autoencoders.ResNetAE101()
        inner.weights = None  # its own name asks for it
        for part in ("uplayer1", "uplayer2", "uplayer3", "uplayer4", "uplayer_top", "conv1_1"):
            setattr(inner, part, nothing())
        own, maps = None, lambda net, images: net.encode(images)
    if pooling != "pooled":
        return inner, lambda net, images: of_maps(maps(net, images), pooling, where=where)
    if own is None:
        raise InvalidEncoder(
            f"{where}: pooling 'pooled' and the autoencoder pools nothing; expected spatial_mean "
            "or flat"
        )
    return inner, own


def _own_densenet(net: Any, images: Any) -> Any:
    return net.features2(images)


def _own_resnet(net: Any, images: Any) -> Any:
    return net(images)


def _maps_resnet(net: Any, images: Any) -> Any:
    found = net.maxpool(net.relu(net.bn1(net.conv1(images))))
    return net.layer4(net.layer3(net.layer2(net.layer1(found))))
