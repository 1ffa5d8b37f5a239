"""Encoders in the layout of the library transformers (extra `hub`), and their text towers.

``config.json`` says which network it is; only classes of the library that are listed here are made,
and no code of a repository is run. RAD-DINO, Phikon, DINOv2, DINOv3, CLIP and SigLIP come this way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from equipoise import evidence
from equipoise.encoders import hub
from equipoise.encoders.assembling import Network, encoder_of, joined
from equipoise.encoders.building import card_from, checked_parameters
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.libraries import beside_torchvision, first_line, library
from equipoise.encoders.networks import listed, version
from equipoise.encoders.preprocessors import preprocessor_of
from equipoise.encoders.texts import TextTower
from equipoise.encoders.tokenising import Tokeniser, tokeniser_in, tower_of
from equipoise.errors import InvalidEncoder, nearest
from equipoise.scope import Scope

_FAMILY = "transformers"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_FILES = ("config.json", "preprocessor_config.json", "model*.safetensors*", "pytorch_model*.bin*")
_TOKENISER = ("tokenizer*", "special_tokens_map.json", "vocab*", "merges.txt", "spiece.model")
_REQUIRED = {"card": "its card, a YAML file or its fields"}
_MORE = ("path", "precision", "device")
_UNSAID = (  # keys of a config that say nothing of the network, or are set here
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_name_or_path",
    "attn_implementation",
    "dtype",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "torch_dtype",
    "transformers_version",
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A class of the library that may be made: what its config is called, and how its images are.

    `tokens` of a class, before the others; `free`: of any whole number of patches; `tower`: where
    that of images is; `projected`: into the space of texts, by a ``"layer"`` or as it is pooled.
    """

    config: str
    tokens: int = 1
    free: bool = False
    tower: str | None = None
    projected: str | None = None


_KINDS = {
    "CLIPModel": _Kind("CLIPConfig", tower="vision_model", projected="layer"),
    "CLIPVisionModel": _Kind("CLIPVisionConfig"),
    "CLIPVisionModelWithProjection": _Kind(
        "CLIPVisionConfig", tower="vision_model", projected="layer"
    ),
    "DINOv3ViTModel": _Kind("DINOv3ViTConfig", free=True),
    "Dinov2Model": _Kind("Dinov2Config", free=True),
    "Dinov2WithRegistersModel": _Kind("Dinov2WithRegistersConfig", free=True),
    "SiglipModel": _Kind("SiglipConfig", tokens=0, tower="vision_model", projected="pooled"),
    "SiglipVisionModel": _Kind("SiglipVisionConfig", tokens=0),
    "ViTModel": _Kind("ViTConfig"),
}
_SHARED = {"CLIPModel": "CLIP", "SiglipModel": "SigLIP"}
"""Networks with a text tower beside that of images."""


@dataclass(frozen=True, slots=True)
class _Network:
    """A network with its weights in it, and what its folder says."""

    module: Any
    name: str
    kind: _Kind
    config: Any
    digest: str
    folder: Path


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder of images in a folder of the hub's layout that fits its card.

    Parameters
    ----------
    parameters
        ``card``: its card; pooling must be said. ``path``: the folder with ``config.json`` and
        ``model.safetensors`` or ``pytorch_model.bin``; without it, `source_id` of the card is
        fetched from the hub. ``precision`` and ``device``: as of `networks.device_of`.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    MissingExtra
        Without the extra `hub`.
    InvalidEncoder
        If a file is absent, asks for code of its own, lacks tensors or has others, or says
        otherwise than the card how images are prepared.
    InvalidConfiguration
        If a parameter is missing or not known.

    Examples
    --------
    >>> load({"card": "nowhere.yaml"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card nowhere.yaml: no such file
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
    >>> network({"card": "nowhere.yaml"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card nowhere.yaml: no such file
    """
    checked_parameters(parameters, family=_FAMILY, required=_REQUIRED, more=_MORE)
    card = card_from(parameters["card"], scope, where=str(parameters.get("path", _FAMILY)))
    hub.checked_arguments(card, ("revision",), family=_FAMILY)
    folder = hub.folder_of(parameters, card, scope, family=_FAMILY, files=_FILES)
    transformers = _library()
    found = _network(folder, transformers)
    _check_images(found, card)
    said = preprocessor_of(folder)
    if said is not None:
        hub.check_preparation(said[0], card, where=str(said[1]))
    module, pool = _pooled(found, card)
    return Network(
        module=joined(
            module, lambda net, images: pool(net(images)), extra=hub.EXTRA, family=_FAMILY
        ),
        card=card,
        weights=found.digest,
        libraries=(library("torch", extra=hub.EXTRA, family=_FAMILY), transformers),
        where=str(folder),
        family=_FAMILY,
        extra=hub.EXTRA,
    )


def load_text(parameters: Mapping[str, object], scope: Scope) -> TextTower:
    """Return the text tower of a CLIP or SigLIP in a folder of the hub's layout, in float32.

    SigLIP reads texts filled up to its whole length, without a mask, as it was trained; CLIP reads
    them as they are.

    Parameters
    ----------
    parameters
        As of `load`; the files of the tokeniser lie in the same folder.
    scope
        Where relative paths start.

    Raises
    ------
    MissingExtra
        Without the extra `hub`.
    InvalidEncoder
        If the network has no text tower, or the tokeniser is absent or does not belong to it.

    Examples
    --------
    >>> load_text({"card": "nowhere.yaml"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card nowhere.yaml: no such file
    """
    checked_parameters(parameters, family=_FAMILY, required=_REQUIRED, more=_MORE)
    card = card_from(parameters["card"], scope, where=str(parameters.get("path", _FAMILY)))
    files = (*_FILES, *_TOKENISER)
    folder = hub.folder_of(parameters, card, scope, family=_FAMILY, files=files)
    transformers = _library()
    network = _network(folder, transformers)
    if network.name not in _SHARED:
        raise InvalidEncoder(
            f"{folder}: {network.name} has no text tower; expected {' or '.join(_SHARED)}"
        )
    text = network.config.text_config
    tokeniser = tokeniser_in(
        folder, transformers, length=text.max_position_embeddings, words=text.vocab_size
    )
    torch = library("torch", extra=hub.EXTRA, family=_FAMILY)
    return tower_of(
        card,
        _reader(network, tokeniser, torch),
        weights=network.digest,
        tokeniser=tokeniser.digest,
        engine=version(torch, transformers),
        scale=float(network.module.logit_scale.detach().exp()),
    )


def _library() -> Any:
    """Return the library; it imports torchvision where there is one."""
    library("torch", extra=hub.EXTRA, family=_FAMILY)
    found = library if find_spec("torchvision") is None else beside_torchvision
    return found(_FAMILY, extra=hub.EXTRA, family=_FAMILY)


def _network(folder: Path, transformers: Any) -> _Network:
    """Return the network in a folder, its weights complete and no others."""
    if not folder.is_dir():
        raise InvalidEncoder(
            f"{folder}: is a file; expected the folder with config.json and {_WEIGHTS[0]}"
        )
    path = folder / "config.json"
    said = hub.read_config(path)
    name = _architecture(said, path)
    kind = _KINDS[name]
    clean = _cleaned(said)
    given = hub.weights_in(folder, _WEIGHTS, family=_FAMILY)
    torch = library("torch", extra=hub.EXTRA, family=_FAMILY)
    try:
        with _quietly(transformers):
            config = getattr(transformers, kind.config).from_dict(clean)
            module, info = getattr(transformers, name).from_pretrained(
                None,
                config=config,
                state_dict=dict(given.tensors),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
                **_left_out(name, given.tensors),
            )
    except Exception as error:
        raise InvalidEncoder(
            f"{path}: {name} cannot be made of it ({first_line(error)})"
        ) from error
    _check_complete(info, given.path, name)
    digest = evidence.digest({"weights": given.digest, "config": clean})
    return _Network(module.train(mode=False), name, kind, config, digest, folder)


def _architecture(said: Mapping[str, object], path: Path) -> str:
    names = said.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else None
    if name not in _KINDS:
        raise InvalidEncoder(
            f"{path}: architectures is {names!r}; expected one of {', '.join(_KINDS)}",
            hint=nearest(name, _KINDS) if name else "say which class of the library it is",
        )
    return name


def _cleaned(said: Mapping[str, object]) -> dict[str, object]:
    """Return a config without what says nothing of the network, in its parts too."""
    return {
        key: _cleaned(value) if isinstance(value, dict) else value
        for key, value in said.items()
        if key not in _UNSAID
    }


def _left_out(name: str, tensors: Mapping[str, Any]) -> dict[str, bool]:
    """Return what a ViT is to be made without, or with: its config does not say."""
    if name != "ViTModel":
        return {}
    return {
        "add_pooling_layer": any(one.endswith("pooler.dense.weight") for one in tensors),
        "use_mask_token": any(one.endswith("embeddings.mask_token") for one in tensors),
    }


def _check_complete(info: Mapping[str, Any], path: Path, name: str) -> None:
    missing, stray = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    if missing or stray:
        told = [f"misses {listed(missing)}"] * bool(missing)
        told += [f"has beside them {listed(stray)}"] * bool(stray)
        raise InvalidEncoder(
            f"{path}: does not fit {name}: {'; '.join(told)}",
            hint="see whether config.json and the weights are of the same network",
        )
    for one in sorted(info["mismatched_keys"]):  # names alone, or with both shapes, by version
        key, *shapes = (one,) if isinstance(one, str) else one
        both = " against ".join(str(tuple(shape)) for shape in shapes) or "another than expected"
        raise InvalidEncoder(f"{path}: shape of '{key}' is {both} of {name}")


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Keep the library from writing bars and tables: what matters is said as an error."""
    said = transformers.utils.logging
    level, bars = said.get_verbosity(), said.is_progress_bar_enabled()
    said.set_verbosity(said.CRITICAL)
    said.disable_progress_bar()
    try:
        yield
    finally:
        said.set_verbosity(level)
        if bars:
            said.enable_progress_bar()


def _check_images(network: _Network, card: Card) -> None:
    """Refuse a card whose images the network cannot take."""
    config = getattr(network.config, "vision_config", network.config)
    if card.layout != "NCHW" or card.channels != config.num_channels:
        raise InvalidEncoder(
            f"{network.folder}: {network.name} takes {config.num_channels} channels (NCHW); its "
            f"card says {card.channels} ({card.layout})"
        )
    ours = (card.height, card.width)
    if network.kind.free:
        patch = _sides(config.patch_size)
        if any(size % step for size, step in zip(ours, patch, strict=True)):
            raise InvalidEncoder(
                f"{network.folder}: {network.name} takes whole patches of {patch[0]} x {patch[1]}; "
                f"its card says {ours[0]} x {ours[1]}"
            )
    elif ours != _sides(config.image_size):
        size = _sides(config.image_size)
        raise InvalidEncoder(
            f"{network.folder}: {network.name} takes images of {size[0]} x {size[1]}; its card "
            f"says {ours[0]} x {ours[1]}"
        )


def _sides(size: Any) -> tuple[int, int]:
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _pooled(network: _Network, card: Card) -> tuple[Any, Callable[[Any], Any]]:
    """Return the image tower, and what makes one vector of what it gives."""
    kind, module = network.kind, network.module
    tower = module if kind.tower is None else getattr(module, kind.tower)
    config = getattr(network.config, "vision_config", network.config)
    first = kind.tokens + int(getattr(config, "num_register_tokens", 0) or 0)
    pools: dict[str, Callable[[Any], Any]] = {
        "mean": lambda out: out.last_hidden_state[:, first:].mean(dim=1)  # (b, token, d) → (b, d)
    }
    if kind.tokens:
        torch = library("torch", extra=hub.EXTRA, family=_FAMILY)
        pools["cls"] = lambda out: out.last_hidden_state[:, 0]
        pools["cls_mean"] = lambda out: torch.cat([pools["cls"](out), pools["mean"](out)], dim=1)
    if getattr(module, "pooler", True) is not None and getattr(tower, "use_head", True):
        pools["pooled"] = lambda out: out.pooler_output
    if kind.projected == "layer":
        layer = module.visual_projection
        pools["projection"] = lambda out: layer.to(out.pooler_output.device)(out.pooler_output)
    elif kind.projected == "pooled" and "pooled" in pools:
        pools["projection"] = pools["pooled"]
    if card.pooling not in pools:
        raise InvalidEncoder(
            f"{network.folder}: pooling is {card.pooling} in the card; {network.name} as it lies "
            f"there gives {', '.join(pools)}",
            hint="say the pooling that its maker says",
        )
    return tower, pools[card.pooling]


def _reader(network: _Network, tokeniser: Tokeniser, torch: Any) -> Callable[[Sequence[str]], Any]:
    """Return what makes vectors ``(n, d)`` of texts, not yet of unit length."""
    model = network.module

    def clip(texts: Sequence[str]) -> Any:
        ids, mask = tokeniser.shortest(texts)
        found = model.text_model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
        return model.text_projection(found.pooler_output)

    def siglip(texts: Sequence[str]) -> Any:
        return model.text_model(input_ids=torch.tensor(tokeniser.whole(texts))).pooler_output

    read = clip if network.name == "CLIPModel" else siglip

    def vectors(texts: Sequence[str]) -> Any:
        with torch.inference_mode():
            return read(texts).numpy()

    return vectors
