"""Encoders of timm, from local weights or a folder as the hub lays it out (extra `train`).

The card names the network and all that changes it; weights must then fit key by key. Where a file
was written for another grid of patches or under the names of its makers, timm's own conversion
is tried, and its result must fit as well.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equipoise.encoders.assembling import (
    Network,
    arguments_of,
    encoder_of,
    joined,
    sorting,
)
from equipoise.encoders.building import card_from, checked_parameters
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.checkpoints import fill, part_of
from equipoise.encoders.hub import (
    Preparation,
    check_preparation,
    folder_of,
    read_config,
    weights_in,
)
from equipoise.encoders.libraries import beside_torchvision, library
from equipoise.encoders.networks import Weights, listed, weights
from equipoise.encoders.pooling import of_maps, of_tokens
from equipoise.errors import InvalidEncoder, nearest
from equipoise.scope import Scope

_FAMILY, _EXTRA = "timm", "train"
_FILES = ("model.safetensors", "pytorch_model.bin")
_CONFIG = "config.json"
_LAYERS = {
    "act_layer": {
        "GELU": "torch.nn:GELU",
        "QuickGELU": "timm.layers:QuickGELU",
        "ReLU": "torch.nn:ReLU",
        "SiLU": "torch.nn:SiLU",
    },
    "mlp_layer": {
        "GluMlp": "timm.layers:GluMlp",
        "Mlp": "timm.layers:Mlp",
        "SwiGLU": "timm.layers:SwiGLU",
        "SwiGLUPacked": "timm.layers:SwiGLUPacked",
    },
    "norm_layer": {
        "LayerNorm": "timm.layers:LayerNorm",
        "RmsNorm": "timm.layers:RmsNorm",
    },
}
"""Argument → name in a card → the class it stands for; no other can be named."""
_NOT_FOR_CARDS = (
    "cache_dir",
    "checkpoint_path",
    "features_only",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
)
"""Arguments by which timm would fetch or read weights by itself, or give something else."""
_FREE = ("num_classes", "global_pool", "img_size", "dynamic_img_size", "dynamic_img_pad")
"""Arguments in which a card may differ from a folder: they change no weight."""
_NOT_NEEDED = ("attn_mask", "mask_token", "relative_position_index", "rope")
"""In names: what stands for hidden patches in training, and constants that timm works out."""
_REFUSALS = (AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError)


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder that a card describes, with weights that fit it.

    Parameters
    ----------
    parameters
        ``card``: its `arguments` hold ``model``, a name of timm, and what `timm.create_model`
        must be told beside it (layers by name: ``mlp_layer: SwiGLUPacked``, ``act_layer: SiLU``);
        ``prefix`` and ``drop`` say which weights of a larger checkpoint are meant; its `pooling`
        is ``cls``, ``mean``, ``cls_mean`` (patches alone: registers are left out), ``pooled``,
        ``spatial_mean`` or ``flat``. ``path``: a file of weights, or a folder with
        ``model.safetensors`` or ``pytorch_model.bin`` and ``config.json``, which must not say
        otherwise than the card; without it the hub is asked. ``device``: ``cpu`` (the default) or
        ``cuda``. ``precision``: ``float32`` or ``bfloat16``.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    MissingExtra
        Without the extra `train`.
    InvalidEncoder
        If timm knows no such network, weights are missing, unexpected or of another shape, or
        what comes out does not fit the card.
    InvalidConfiguration
        If a parameter is not known, or a GPU is asked for that is not there.

    Examples
    --------
    >>> load({"path": "nowhere"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder timm: no parameter 'card'; got ['path']
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
    equipoise.errors.InvalidConfiguration: encoder timm: no parameter 'card'; got []
    """
    needed = {"card": "its card, a YAML file or its fields"}
    checked_parameters(
        parameters, family=_FAMILY, required=needed, more=("path", "precision", "device")
    )
    card = card_from(parameters["card"], scope, where="encoder timm")
    said = arguments_of(card, "model", family=_FAMILY)
    timm = beside_torchvision("timm", extra=_EXTRA, family=_FAMILY)
    check_name(said["model"], timm)
    files = (_CONFIG, *_FILES)
    place = folder_of(parameters, card, scope, family=_FAMILY, files=files)
    given = _weights(place, card)
    inner = _created(said, card, timm, str(given.path))
    prefix, drop = sorting(dict(said), where=str(given.path))
    part = part_of(given, inner.state_dict(), prefix=prefix, drop=(*drop, *_heads(inner)))
    fill(inner, _fitting(part, inner), where=f"timm's {said['model']}")
    module = joined(inner, _call(inner, card), extra=_EXTRA, family=_FAMILY)
    return Network(
        module=module,
        card=card,
        weights=given.digest,
        libraries=(library("torch", extra=_EXTRA, family=_FAMILY), timm),
        where=str(given.path),
        family=_FAMILY,
        extra=_EXTRA,
    )


def check_name(name: str, timm: Any) -> None:
    """Refuse a network that timm does not know, naming the nearest.

    Parameters
    ----------
    name
        Of the network; a tag after a full stop names weights, not a network, and is refused.
    timm
        The library.

    Raises
    ------
    InvalidEncoder
        With the nearest name.
    """
    bare = name.partition(".")[0]
    if timm.is_model(name) and name == bare:
        return
    hint = nearest(bare, timm.list_models())
    if timm.is_model(bare):
        hint = f"say model: {bare}; which weights are meant is said by path or source_id"
    raise InvalidEncoder(
        f"encoder timm: timm {timm.__version__} has no network '{name}'", hint=hint
    )


def _weights(place: Path, card: Card) -> Weights:
    """Return the weights at a place, once what lies beside them is seen to agree with the card."""
    if not place.is_dir():
        return weights(place, family=_FAMILY, extra=_EXTRA)
    config = place / _CONFIG
    if config.is_file():
        _check_config(config, card)
    return weights_in(place, _FILES, family=_FAMILY)


def _check_config(config: Path, card: Card) -> None:
    said = read_config(config)
    ours = {"in_chans": card.channels, **(card.arguments or {})}
    if said.get("architecture") not in (None, ours["model"]):
        raise InvalidEncoder(
            f"{config}: architecture is {said['architecture']}; the card '{card.name}' says "
            f"{ours['model']}",
            hint="correct 'model' in the card's arguments",
        )
    options = said.get("model_args")
    for name, theirs in (options if isinstance(options, dict) else {}).items():
        same = str(theirs).lower() == str(ours.get(name)).lower()
        if name not in _FREE and theirs is not None and not same:
            raise InvalidEncoder(
                f"{config}: {name} is {theirs}; the card '{card.name}' says "
                f"{ours.get(name, 'nothing')}",
                hint=f"say {name} in the card's arguments: it changes what the weights compute",
            )
    prepared = said.get("pretrained_cfg", said)
    if isinstance(prepared, dict):
        check_preparation(_preparation(prepared), card, where=str(config))


def _preparation(said: Mapping[str, Any]) -> Preparation:
    """Return how images are prepared; their size is left out, which a card may choose."""
    mean, std = said.get("mean"), said.get("std")
    told = None not in (mean, std)
    return Preparation(
        scale=1 / 255 if told else None,
        mean=tuple(mean) if told and mean else None,
        std=tuple(std) if told and std else None,
        interpolation=said.get("interpolation"),
    )


def _created(said: Mapping[str, Any], card: Card, timm: Any, where: str) -> Any:
    """Return the network without weights."""
    told = {name: one for name, one in said.items() if name != "model"}
    sorting(told, where=where)
    stray = [name for name in told if name in _NOT_FOR_CARDS]
    if stray:
        raise InvalidEncoder(
            f"{where}: argument '{stray[0]}' of card '{card.name}' is not for cards",
            hint="weights come by path or source_id, and vectors by pooling",
        )
    for name, value in (("num_classes", 0), ("in_chans", card.channels)):
        if told.setdefault(name, value) != value:
            raise InvalidEncoder(
                f"{where}: argument {name} of card '{card.name}' is {told[name]}; expected {value}"
            )
    for name, known in _LAYERS.items():
        if name in told:
            told[name] = _layer(name, told[name], known, where)
    try:
        return timm.create_model(said["model"], pretrained=False, **told)
    except _REFUSALS as error:
        raise InvalidEncoder(
            f"{where}: timm cannot make '{said['model']}' with {sorted(told)} ({error})",
            hint="correct the card's arguments",
        ) from error


def _layer(name: str, said: object, known: Mapping[str, str], where: str) -> Any:
    if said not in known:
        raise InvalidEncoder(
            f"{where}: {name} is {said!r}; expected {', '.join(known)}",
            hint=nearest(str(said), known),
        )
    module, _, attribute = known[str(said)].partition(":")
    return getattr(library(module, extra=_EXTRA, family=_FAMILY), attribute)


def _heads(inner: Any) -> tuple[str, ...]:
    """Return how the names of its classifier begin, which has no weights here."""
    said = inner.pretrained_cfg.get("classifier") or ()
    names = (said,) if isinstance(said, str) else tuple(said)
    return tuple(f"{name}." for name in names)


def _fitting(part: Weights, inner: Any) -> Weights:
    """Return the weights under the network's names: as they are, else as timm converts them.

    A conversion that changes the shape of anything but positions is not taken: it would load the
    weights of another network.
    """
    state = part.tensors
    convert = getattr(sys.modules[type(inner).__module__], "checkpoint_filter_fn", None)
    if convert is None or _fits(state, inner):
        return part
    try:
        found = convert(dict(state), inner)
    except (*_REFUSALS, IndexError):
        return part  # what does not fit is then named by the names in the file
    changed = [
        name
        for name, one in found.items()
        if name in state and one.shape != state[name].shape and not name.endswith("pos_embed")
    ]
    if changed or not _fits(found, inner):
        return part
    _check_all_read(part, found, lambda fewer: convert(fewer, inner))
    return Weights(found, part.digest, part.path)


def _check_all_read(part: Weights, found: Mapping[str, Any], convert: Any) -> None:
    """Refuse a checkpoint of which a conversion throws tensors away, as those of a text tower.

    A tensor that comes out as it went in was read; any other was if the outcome is another
    without it.
    """
    out = {id(one) for one in found.values()}
    doubtful = [name for name, one in part.tensors.items() if id(one) not in out]
    stray = [
        name
        for name in doubtful
        if not any(one in name for one in _NOT_NEEDED)
        and _same(convert, {n: one for n, one in part.tensors.items() if n != name}, found)
    ]
    if stray:
        raise InvalidEncoder(
            f"{part.path}: timm's conversion leaves out {listed(stray)}",
            hint="if the network needs none of them, say how they begin as 'drop' in the card's "
            "arguments",
        )


def _same(convert: Any, state: dict[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether a conversion of fewer tensors comes to the same."""
    try:
        other = convert(state)
    except (*_REFUSALS, IndexError):
        return False
    return other.keys() == found.keys() and all(
        one is found[name] or (one.shape == found[name].shape and bool((one == found[name]).all()))
        for name, one in other.items()
    )


def _fits(state: Mapping[str, Any], inner: Any) -> bool:
    wanted = inner.state_dict()
    return state.keys() == wanted.keys() and all(
        state[name].shape == one.shape for name, one in wanted.items()
    )


def _call(inner: Any, card: Card) -> Any:
    """Return what makes vectors: the network's own pooling, or one of its tokens or maps."""
    pooling = card.pooling or "pooled"
    where = f"timm's {(card.arguments or {})['model']}"
    if pooling == "pooled":
        return lambda network, images: network(images)
    if pooling != "flat" and _normalises_later(inner):
        raise InvalidEncoder(
            f"{where}: normalises after it has pooled, which pooling '{pooling}' would leave out",
            hint="say pooling: pooled, or of a ViT global_pool: token in the card's arguments",
        )
    prefix = int(getattr(inner, "num_prefix_tokens", 0))
    has_class = prefix > 0 and getattr(inner, "cls_token", None) is not None

    def call(network: Any, images: Any) -> Any:
        found = network.forward_features(images)
        if found.ndim == 3:
            return of_tokens(found, pooling, prefix=prefix, has_class=has_class, where=where)
        if getattr(inner, "output_fmt", "NCHW") == "NHWC":
            found = found.permute(0, 3, 1, 2)  # (b, h, w, c) → (b, c, h, w)
        return of_maps(found, pooling, where=where)

    return call


def _normalises_later(inner: Any) -> bool:
    """Return whether weights stand between pooling and the vector, as ConvNeXt's norm does."""
    parts = (getattr(inner, "fc_norm", None), getattr(getattr(inner, "head", None), "norm", None))
    return any(list(one.parameters()) for one in parts if one is not None)
