"""Encoders in the layout of the library open_clip (extra `hub`), and their text towers.

BiomedCLIP and EchoCLIP come as a folder with ``open_clip_config.json``; a bare checkpoint, as of
CheXzero, comes with the name of a network that the library knows. Networks are made here and
weights read as tensors alone: nothing is asked of any other machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equipoise import evidence
from equipoise.encoders import hub
from equipoise.encoders.assembling import Network, encoder_of, joined
from equipoise.encoders.building import card_from, checked_parameters
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.libraries import beside_torchvision, first_line, library
from equipoise.encoders.networks import Weights, listed, take, version, weights
from equipoise.encoders.preprocessors import open_clip_said
from equipoise.encoders.texts import TextTower
from equipoise.encoders.tokenising import Tokeniser, tokeniser_in, tower_of
from equipoise.errors import InvalidEncoder, nearest
from equipoise.scope import Scope

_FAMILY = "open_clip"
_CONFIG = "open_clip_config.json"
_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
_TOKENISER = ("tokenizer*", "special_tokens_map.json", "vocab*", "merges.txt")
_REQUIRED = {"card": "its card, a YAML file or its fields"}
_MORE = ("path", "precision", "device")
_ARGUMENTS = ("model", "revision")
_BESIDE = ("input_resolution", "context_length", "vocab_size")
"""Numbers that the first checkpoints of CLIP keep beside their weights."""
_WORDS = (
    "text.",
    "transformer.",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "text_projection",
    "logit_scale",
    "logit_bias",
    "attn_mask",
)
"""How the names of tensors begin that are not of the image tower."""
_NO_TEXT = {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
"""A text tower in place of the model's own, where only images are asked for: it is thrown away."""
_POSITIONS = "text.transformer.embeddings.position_ids"
"""A buffer that older versions of transformers kept among the weights."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies at a path: how the network is made, its weights, and their digest together."""

    path: Path
    config: Mapping[str, Any]
    given: Weights
    digest: str


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder of images of an open_clip model that fits its card.

    Parameters
    ----------
    parameters
        ``card``: its card; pooling is ``projection`` (into the space of texts) or ``pooled`` (of
        the trunk, before it). ``path``: a folder with ``open_clip_config.json`` and its weights, or
        a checkpoint alone where the card's arguments name a `model` of the library; without it,
        `source_id` of the card is fetched from the hub. ``precision`` and ``device``: as of
        `networks.device_of`.
    scope
        Where relative paths start, and how many threads may work.

    Raises
    ------
    MissingExtra
        Without the extra `hub`.
    InvalidEncoder
        If a file is absent, lacks tensors or has others, or says otherwise than the card how
        images are prepared.
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
    open_clip = _library()
    found = _found(parameters, card, scope, open_clip)
    model = _made(open_clip.CustomTextCLIP, {**found.config, "text_cfg": _NO_TEXT}, found.path)
    _check_words(found)
    take(model.visual, found.given, prefix="visual.", where=f"the image tower of {card.name}")
    _check_images(model.visual, found, card)
    tower = _pooled(model.visual, card, found.path)
    return Network(
        module=joined(tower, lambda net, images: net(images), extra=hub.EXTRA, family=_FAMILY),
        card=card,
        weights=found.digest,
        libraries=(library("torch", extra=hub.EXTRA, family=_FAMILY), open_clip),
        where=str(found.path),
        family=_FAMILY,
        extra=hub.EXTRA,
    )


def load_text(parameters: Mapping[str, object], scope: Scope) -> TextTower:
    """Return the text tower of an open_clip model, in float32.

    Parameters
    ----------
    parameters
        As of `load`. A text tower of the library transformers, as BiomedCLIP's, needs the
        ``config.json`` of that network in the folder `text` beside the weights, and the files of
        its tokeniser beside them or in the same place.
    scope
        Where relative paths start.

    Raises
    ------
    MissingExtra
        Without the extra `hub`.
    InvalidEncoder
        If a file is absent, or the weights or the tokeniser do not belong to the network.

    Examples
    --------
    >>> load_text({"card": "nowhere.yaml"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card nowhere.yaml: no such file
    """
    checked_parameters(parameters, family=_FAMILY, required=_REQUIRED, more=_MORE)
    card = card_from(parameters["card"], scope, where=str(parameters.get("path", _FAMILY)))
    open_clip = _library()
    found = _found(parameters, card, scope, open_clip, more=_TOKENISER)
    text = dict(found.config["text_cfg"])
    hugging = bool(text.get("hf_model_name"))
    if hugging:
        text = {**text, **_text_network(found, str(text["hf_model_name"]))}
    custom = hugging or bool(found.config.get("custom_text"))
    kind = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    model = _made(kind, {**found.config, "text_cfg": text}, found.path)
    take(model, _of_all(found.given, model, open_clip), where=card.name)
    model = model.train(mode=False).requires_grad_(requires_grad=False)
    tokens, digest = _tokeniser(found, text, open_clip, words=int(model.vocab_size))
    torch = library("torch", extra=hub.EXTRA, family=_FAMILY)

    def vectors(texts: Sequence[str]) -> Any:
        with torch.inference_mode():
            return model.encode_text(tokens(texts)).float().numpy()

    return tower_of(
        card,
        vectors,
        weights=found.digest,
        tokeniser=digest,
        engine=version(torch, open_clip),
        scale=float(model.logit_scale.exp()),
    )


def _library() -> Any:
    return beside_torchvision(_FAMILY, extra=hub.EXTRA, family=_FAMILY)


def _found(
    parameters: Mapping[str, object],
    card: Card,
    scope: Scope,
    open_clip: Any,
    *,
    more: tuple[str, ...] = (),
) -> _Found:
    """Return what lies at the path, or at the hub."""
    arguments = hub.checked_arguments(card, _ARGUMENTS, family=_FAMILY)
    files = (_CONFIG, *_WEIGHTS, *more)
    path = hub.folder_of(parameters, card, scope, family=_FAMILY, files=files)
    if path.is_dir():
        if "model" in arguments:
            raise InvalidEncoder(
                f"{path}: a folder says its network itself; the card's arguments say model "
                f"'{arguments['model']}'",
                hint="give the checkpoint itself as path, or take the argument out",
            )
        config = hub.read_config(path / _CONFIG).get("model_cfg")
        given = hub.weights_in(path, _WEIGHTS, family=_FAMILY)
    else:
        config = _known(arguments.get("model"), path, open_clip)
        given = weights(path, family=_FAMILY, extra=hub.EXTRA)
    parts = config if isinstance(config, dict) else {}
    if not all(isinstance(parts.get(name), dict) for name in ("vision_cfg", "text_cfg")):
        raise InvalidEncoder(f"{path / _CONFIG}: no model_cfg with its vision_cfg and text_cfg")
    given = _bare(given)
    digest = evidence.digest({"weights": given.digest, "config": parts})
    return _Found(path, parts, given, digest)


def _known(name: object, path: Path, open_clip: Any) -> object:
    known = open_clip.list_models()
    if name is None:
        raise InvalidEncoder(
            f"{path}: a checkpoint alone does not say its network; expected arguments: "
            "{model: ViT-B-32} in its card",
            hint=f"or give a folder with {_CONFIG} and {_WEIGHTS[0]}",
        )
    if name not in known:
        raise InvalidEncoder(
            f"{path}: open_clip knows no model '{name}'", hint=nearest(str(name), known)
        )
    return open_clip.get_model_config(name)


def _bare(given: Weights) -> Weights:
    """Return weights without what training in parallel puts before names, and without numbers."""
    tensors = given.tensors
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): one for name, one in tensors.items()}
    kept = {name: one for name, one in tensors.items() if name not in (*_BESIDE, _POSITIONS)}
    return Weights(kept, given.digest, given.path)


def _made(kind: Any, config: Mapping[str, Any], path: Path) -> Any:
    """Return a network without weights; none are fetched from anywhere."""
    vision = {**config["vision_cfg"], "timm_model_pretrained": False}
    text = {**config["text_cfg"], "hf_model_pretrained": False}
    rest = {key: value for key, value in config.items() if key != "custom_text"}
    if "multimodal_cfg" in rest:
        raise InvalidEncoder(f"{path}: is a CoCa, which is not loaded; expected a CLIP")
    try:
        return kind(**{**rest, "vision_cfg": vision, "text_cfg": text}).train(mode=False)
    except Exception as error:
        first = first_line(error)
        raise InvalidEncoder(f"{path}: no network can be made of its config ({first})") from error


def _check_words(found: _Found) -> None:
    """Refuse tensors that belong to neither tower."""
    stray = [name for name in found.given.tensors if not name.startswith(("visual.", *_WORDS))]
    if stray:
        raise InvalidEncoder(
            f"{found.given.path}: has beside both towers {listed(stray)}",
            hint="see whether it is a checkpoint of open_clip",
        )


def _check_images(visual: Any, found: _Found, card: Card) -> None:
    size = visual.image_size
    wanted = (size, size) if isinstance(size, int) else (size[0], size[1])
    if card.layout != "NCHW" or card.channels != 3 or (card.height, card.width) != wanted:
        raise InvalidEncoder(
            f"{found.path}: takes 3 channels of {wanted[0]} x {wanted[1]} (NCHW); its card says "
            f"{card.channels} of {card.height} x {card.width} ({card.layout})"
        )
    if found.path.is_dir():
        where = found.path / _CONFIG
        said = hub.read_config(where).get("preprocess_cfg")
        if isinstance(said, dict):
            hub.check_preparation(open_clip_said(said, where, size=wanted), card, where=str(where))


def _pooled(visual: Any, card: Card, path: Path) -> Any:
    """Return what gives the vectors that the card asks for."""
    if card.pooling == "projection":
        return visual
    gives = ["projection"]
    if hasattr(visual, "trunk"):
        parted = visual.trunk.num_classes == 0 and not hasattr(visual.head, "pool")
        gives += ["pooled"] * parted
    elif getattr(visual, "proj", None) is not None:
        gives.append("pooled")
    if card.pooling not in gives:
        raise InvalidEncoder(
            f"{path}: pooling is {card.pooling} in the card; {type(visual).__name__} of open_clip, "
            f"as its config says, gives {', '.join(gives)}",
            hint="say the pooling that its maker says",
        )
    if hasattr(visual, "trunk"):
        return visual.trunk
    visual.proj = None
    return visual


def _text_network(found: _Found, name: str) -> dict[str, object]:
    """Return where the config of a text network lies, in place of its name at the hub."""
    home = (found.path if found.path.is_dir() else found.path.parent) / "text"
    said = home / "config.json"
    if not said.is_file():
        raise InvalidEncoder(
            f"{said}: no such file; its text tower is '{name}', which only that file describes",
            hint=f"place config.json of '{name}' there; its weights are in the checkpoint itself",
        )
    hub.read_config(said)
    return {"hf_model_name": str(home), "hf_tokenizer_name": str(home)}


def _of_all(given: Weights, model: Any, open_clip: Any) -> Weights:
    """Return weights named as the network names them: older ones have no text tower of its own."""
    tensors = dict(given.tensors)
    if "positional_embedding" in tensors and not hasattr(model, "positional_embedding"):
        tensors = open_clip.model.convert_to_custom_text_state_dict(tensors)
    wanted = model.state_dict()
    for name in ("attn_mask", "text.attn_mask"):
        tensors.pop(name, None)
    for name in ("logit_scale", "logit_bias"):  # one number, with or without an axis
        if name in tensors and name in wanted and tensors[name].numel() == wanted[name].numel():
            tensors[name] = tensors[name].reshape(wanted[name].shape)
    return Weights(tensors, given.digest, given.path)


def _tokeniser(
    found: _Found, text: Mapping[str, Any], open_clip: Any, *, words: int
) -> tuple[Callable[[Sequence[str]], Any], str]:
    """Return what makes tokens of texts, none cut off, and its digest."""
    length = int(text.get("context_length") or 77)
    if text.get("hf_tokenizer_name"):
        return _of_folder(found, text, open_clip, length=length, words=words)
    if words != 49408:
        raise InvalidEncoder(
            f"{found.path}: its text tower knows {words} tokens; the tokeniser of CLIP has 49408",
            hint="its config names no tokeniser of its own (hf_tokenizer_name)",
        )
    clip = open_clip.SimpleTokenizer(context_length=length, clean=_clean(found, text, "lower"))

    def tokens(texts: Sequence[str]) -> Any:
        for one in texts:
            n = len(clip.encode(one)) + 2  # with those of its beginning and end
            if n > length:
                raise InvalidEncoder(
                    f"{found.path}: '{one}' is {n} tokens; the network reads {length}",
                    hint="shorten the prompt: what is cut off would not be read",
                )
        return clip(list(texts))

    return tokens, evidence.digest({"tokeniser": "open_clip SimpleTokenizer", "length": length})


def _of_folder(
    found: _Found, text: Mapping[str, Any], open_clip: Any, *, length: int, words: int
) -> tuple[Callable[[Sequence[str]], Any], str]:
    folder = found.path if found.path.is_dir() else found.path.parent
    beside = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt"))
    made = library("transformers", extra=hub.EXTRA, family=_FAMILY)
    one: Tokeniser = tokeniser_in(
        folder if beside else folder / "text", made, length=length, words=words
    )
    clean = open_clip.tokenizer.get_clean_fn(_clean(found, text, "whitespace"))
    torch = library("torch", extra=hub.EXTRA, family=_FAMILY)
    return (lambda texts: torch.tensor(one.whole([clean(text) for text in texts]))), one.digest


def _clean(found: _Found, text: Mapping[str, Any], default: str) -> str:
    """Return how texts are cleaned; what else a config asks of its tokeniser is not done here."""
    more = dict(text.get("tokenizer_kwargs") or {})
    clean = str(more.pop("clean", default))
    if more or text.get("tokenizer_mode"):
        raise InvalidEncoder(
            f"{found.path}: its config asks of the tokeniser what is not done here "
            f"({text.get('tokenizer_mode') or more})"
        )
    return clean
