"""Encoders of MONAI in three dimensions, or two (extra `volumes`).

Volumes come as `volumes` says; ingest does not give them yet.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from equipoise.encoders.assembling import (
    Network,
    arguments_of,
    check_layout,
    encoder_of,
    joined,
    sorting,
)
from equipoise.encoders.building import card_from, checked_parameters, place_of
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.checkpoints import fill
from equipoise.encoders.libraries import first_line, library
from equipoise.encoders.networks import weights
from equipoise.encoders.pooling import of_maps, of_tokens
from equipoise.encoders.volumes import is_volume
from equipoise.errors import InvalidEncoder, nearest
from equipoise.scope import Scope

_FAMILY, _EXTRA = "monai", "volumes"
_PARAMETERS = {
    "path": "its weights, .safetensors or a checkpoint of tensors",
    "card": "its card, a YAML file or its fields",
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A network of MONAI: where it is, how it is told of its input, what it gives."""

    module: str
    channels: str
    gives: str
    unused: tuple[str, ...] = ()
    sized: bool = False
    fixed: tuple[tuple[str, object], ...] = ()


_RESNET = _Kind(
    "monai.networks.nets.resnet",
    "n_input_channels",
    "vectors",
    unused=("fc.",),
    fixed=(("feed_forward", False),),
)
_NETWORKS = {
    "SegResEncoder": _Kind("monai.networks.nets.segresnet_ds", "in_channels", "levels"),
    "ResNet": _RESNET,
    **{f"resnet{n}": _RESNET for n in (10, 18, 34, 50, 101, 152, 200)},
    "ViT": _Kind(
        "monai.networks.nets.vit",
        "in_channels",
        "tokens",
        unused=("classification_head.",),
        sized=True,
    ),
    "SwinTransformer": _Kind("monai.networks.nets.swin_unetr", "in_chans", "levels"),
}
_REFUSALS = (AssertionError, KeyError, RuntimeError, TypeError, ValueError)
_NOT_FOR_CARDS = ("pretrained", "progress", "head_module")


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return an encoder of MONAI with weights that fit it.

    Parameters
    ----------
    parameters
        ``card``: layout NCDHW with a depth, or NCHW; its `arguments` hold ``network``
        (``SegResEncoder`` as of CT-FM, ``SwinTransformer`` as within SwinUNETR with ``prefix:
        swinViT.``, ``ResNet``, ``resnet50``, …, ``ViT``), what the network is told beside it,
        ``prefix`` and ``drop``; number of channels, of axes and size come from the card. Its
        `pooling`: ``spatial_mean`` or ``flat`` of the deepest maps of the first two; ``pooled`` of
        a ResNet, its own mean; ``cls``, ``mean``, ``cls_mean`` or ``flat`` of a ViT. ``path``: the
        weights. ``device``, ``precision``: as for every network of torch.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    MissingExtra
        Without the extra `volumes`.
    InvalidEncoder
        If there is no such network, weights do not fit it, or vectors do not fit the card.
    InvalidConfiguration
        If a parameter is missing or not known, or a GPU is asked for that is not there.

    References
    ----------
    Cardoso et al. 2022, arXiv 2211.02701 (MONAI); Myronenko 2018, BrainLes (SegResNet);
    Tang et al. 2022, CVPR (Swin transformers in three dimensions).

    Examples
    --------
    >>> load({"path": "nowhere.pt"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder monai: no parameter 'card'; got ['path']
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
    >>> network({"path": "nowhere.pt"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder monai: no parameter 'card'; got ['path']
    """
    checked_parameters(
        parameters, family=_FAMILY, required=_PARAMETERS, more=("precision", "device")
    )
    card = card_from(parameters["card"], scope, where="encoder monai")
    check_layout(card, ("NCDHW", "NCHW"), where=f"card '{card.name}'")
    if is_volume(card) and card.depth is None:
        raise InvalidEncoder(
            f"encoder '{card.name}': layout NCDHW and no depth in its card",
            hint="say depth: <slices>",
        )
    said = arguments_of(card, "network", family=_FAMILY)
    name = str(said.pop("network"))
    kind = _kind(name)
    path = place_of(parameters, scope)
    prefix, drop = sorting(said, where=str(path))
    monai = _monai()
    inner = _created(name, kind, said, card)
    given = weights(path, family=_FAMILY, extra=_EXTRA)
    where = f"MONAI's {name}"
    fill(inner, given, prefix=prefix, drop=(*drop, *kind.unused), where=where)
    return Network(
        module=joined(inner, _call(kind, inner, card, where), extra=_EXTRA, family=_FAMILY),
        card=card,
        weights=given.digest,
        libraries=(library("torch", extra=_EXTRA, family=_FAMILY), monai),
        where=str(path),
        family=_FAMILY,
        extra=_EXTRA,
    )


def _kind(name: str) -> _Kind:
    if name not in _NETWORKS:
        raise InvalidEncoder(
            f"encoder monai: no network '{name}'; known: {', '.join(_NETWORKS)}",
            hint=nearest(name, _NETWORKS),
        )
    return _NETWORKS[name]


def _monai() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations within it, of other libraries
        return library("monai", extra=_EXTRA, family=_FAMILY)


def _created(name: str, kind: _Kind, said: Mapping[str, Any], card: Card) -> Any:
    """Return the network without weights; what the card says of its input is not said twice."""
    depth = () if card.layout == "NCHW" else (card.depth,)
    told: dict[str, Any] = {"spatial_dims": 2 + len(depth), kind.channels: card.channels}
    told |= dict(kind.fixed)
    if kind.sized:
        told["img_size"] = (*depth, card.height, card.width)
    stray = [one for one in said if one in told or one in _NOT_FOR_CARDS]
    if stray:
        raise InvalidEncoder(
            f"encoder monai: argument '{stray[0]}' of card '{card.name}' is not for cards",
            hint="size, channels and axes follow from the card, weights from path",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = getattr(library(kind.module, extra=_EXTRA, family=_FAMILY), name)
        try:
            found = make(**told, **said)
        except (*_REFUSALS, ImportError) as error:
            raise InvalidEncoder(
                f"encoder monai: cannot make '{name}' with {sorted(said)} ({first_line(error)})",
                hint="correct the card's arguments",
            ) from error
    if hasattr(found, "classification_head"):
        del found.classification_head
    return found


def _call(kind: _Kind, inner: Any, card: Card, where: str) -> Callable[[Any, Any], Any]:
    pooling = card.pooling or ("spatial_mean" if kind.gives == "levels" else "pooled")
    if kind.gives == "levels":
        return lambda net, images: of_maps(net(images)[-1], pooling, where=where)
    if kind.gives == "tokens":
        has_class = hasattr(inner, "cls_token")
        return lambda net, images: of_tokens(
            net(images)[0], pooling, prefix=int(has_class), has_class=has_class, where=where
        )
    if pooling not in ("pooled", "spatial_mean"):
        raise InvalidEncoder(
            f"{where}: pooling '{pooling}' and the network pools itself; expected pooled"
        )
    return lambda net, images: net(images)
