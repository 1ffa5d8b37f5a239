"""From a network of torch to one ONNX file with its card, checked against torch (extra `train`).

Pooling is in the file and preparation in the card, so that onnxruntime and OpenVINO, which need no
torch, give the same vectors. What torch's exporter writes of the maker's machine is taken out.
"""

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from equipoise import registry
from equipoise.encoders import onnx
from equipoise.encoders.assembling import Network, encoder_of
from equipoise.encoders.card import Card, Encoder
from equipoise.encoders.known import Pixels, known_input
from equipoise.encoders.libraries import first_line, library
from equipoise.encoders.preparation import prepared
from equipoise.errors import InvalidConfiguration, InvalidEncoder, nearest
from equipoise.scope import Scope

FILE, CARD = "encoder.onnx", "card.yaml"
NETWORKS = {
    name: f"equipoise.encoders.{name}:network"
    for name in ("monai", "open_clip", "timm", "torch", "torchxrayvision", "transformers")
}
"""Loader → what makes its network without running it."""
LEAST = 0.9999
"""Cosine to torch's vectors below which an export is refused."""
_LONGER = 0.01
"""Most by which a vector's length may differ from torch's, which a cosine does not see."""
_OPSET = 18
_MOST = 2_000_000_000
"""Bytes of weights that fit one file of the format (protobuf ends at 2 GiB)."""
_TRIED = 8
_SOURCE, _OUTPUT = "images", "embedding"


def network(loader: str, parameters: Mapping[str, object], scope: Scope) -> Network:
    """Return the network of a loader, with its weights, before it runs.

    Parameters
    ----------
    loader
        A name of `NETWORKS`.
    parameters, scope
        As of that loader; ``device`` and ``precision`` are of no use here.

    Raises
    ------
    InvalidConfiguration
        If the loader runs no network of torch.
    MissingExtra, InvalidEncoder
        As of that loader.

    Examples
    --------
    >>> network("tim", {}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: loader 'tim' makes no network of torch; known: monai, \
open_clip, timm, torch, torchxrayvision, transformers
    """
    if loader not in NETWORKS:
        raise InvalidConfiguration(
            f"loader '{loader}' makes no network of torch; known: {', '.join(NETWORKS)}",
            hint=nearest(loader, NETWORKS),
        )
    made = registry.load(loader, NETWORKS, kind="network")(parameters, scope)
    if not isinstance(made, Network):
        raise InvalidConfiguration(f"loader '{loader}' gives {type(made).__name__}, no network")
    return made


def exported(made: Network, out: Path, scope: Scope) -> tuple[Encoder, float]:
    """Write ``encoder.onnx`` and ``card.yaml`` into a new folder, once they are seen to agree.

    The card is that of the network with loader ``onnx``, float32, the file's output, and what the
    file makes of the known image, so that a card of another model is refused ever after.

    Parameters
    ----------
    made
        From `network`.
    out
        The folder; must not exist, or be empty.
    scope
        How many threads may work.

    Returns
    -------
    The exported encoder as onnxruntime runs it, and the least cosine of its vectors to torch's,
    over the known image and seven images of noise.

    Raises
    ------
    InvalidEncoder
        If the network does not fit its own card or test vector (an export would make a card that
        says otherwise), torch cannot export it, weights exceed 2 GB, or vectors differ: a cosine
        below 0.9999, a length by more than 1 %.
    InvalidConfiguration
        If the folder holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidConfiguration(f"{out}: holds something; expected a new folder to export to")
    first = encoder_of(made, {"device": "cpu", "precision": "float32"}, scope)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        card = _card_of(made.card)
        (aside / FILE).write_bytes(_converted(made))
        encoder = onnx.load({"path": str(aside / FILE), "card": _fields(card)}, scope)
        least = _least_cosine(first, encoder, made)
        _write_card(card, encoder, aside / CARD)
        if out.exists():
            out.rmdir()
        aside.replace(out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    final = {"path": str(out / FILE), "card": str(out / CARD)}
    return onnx.load(final, scope), least


def _converted(made: Network) -> bytes:
    """Return the file, without the places of code and names of modules."""
    torch = library("torch", extra=made.extra, family=made.family)
    size = sum(one.numel() * 4 for one in made.module.state_dict().values())
    if size > _MOST:
        raise InvalidEncoder(
            f"{made.where}: {size / 1e9:.1f} GB of weights; one ONNX file holds {_MOST / 1e9:.0f}",
            hint=f"embed with loader {made.family} itself",
        )
    module = made.module.train(mode=False).float().cpu()
    example = torch.from_numpy(_values(_tried(made.card)[:2], made.card))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations, and constants that tracing fixes
        path = Path(folder) / FILE
        try:
            torch.onnx.export(
                module,
                (example,),
                str(path),
                input_names=[_SOURCE],
                output_names=[_OUTPUT],
                dynamic_axes={_SOURCE: {0: "batch"}, _OUTPUT: {0: "batch"}},
                opset_version=_OPSET,
                dynamo=False,
            )
        except Exception as error:
            raise InvalidEncoder(
                f"{made.where}: torch cannot export this network ({first_line(error)})",
                hint=f"embed with loader {made.family} itself",
            ) from error
        return _bare(path.read_bytes(), made)


def _bare(content: bytes, made: Network) -> bytes:
    """Return a file that tells nothing of the machine it was made on."""
    library_ = library("onnx", extra="train", family=made.family)
    model = library_.load_from_string(content)
    model.doc_string, model.producer_name, model.producer_version = "", "equipoise", ""
    del model.metadata_props[:]
    _without_words(model.graph)
    return bytes(model.SerializeToString(deterministic=True))


def _without_words(graph: Any) -> None:
    graph.doc_string = ""
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for one in node.attribute:
            if one.HasField("g"):
                _without_words(one.g)


def _least_cosine(first: Encoder, encoder: Encoder, made: Network) -> float:
    """Return the least cosine to torch's vectors, refused where they are others or no numbers."""
    pixels = _tried(made.card)
    ours = encoder.embed(pixels).astype(np.float64)
    theirs = first.embed(pixels).astype(np.float64)
    lengths = [np.maximum(np.linalg.norm(one, axis=1), 1e-30) for one in (ours, theirs)]
    least = float(np.min((ours * theirs).sum(axis=1) / (lengths[0] * lengths[1])))
    longer = float(np.max(np.abs(lengths[0] / lengths[1] - 1.0)))
    if not (least >= LEAST and longer <= _LONGER):
        raise InvalidEncoder(
            f"{made.where}: the exported file gives other vectors than torch: least cosine "
            f"{least:.6f}, lengths differ by {longer:.2%}; expected {LEAST} or more, {_LONGER:.0%} "
            "or less",
            hint=f"embed with loader {made.family} itself",
        )
    return least


def _tried(card: Card) -> Pixels:
    """Return the known image and noise, uint8, in the card's size."""
    known = known_input(card)
    shape = (_TRIED - 1, *known.shape[1:])
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return np.concatenate([known, noise])


def _values(pixels: Pixels, card: Card) -> Any:
    return np.ascontiguousarray(prepared(pixels, card), dtype=np.float32)


def _card_of(card: Card) -> Card:
    """Return the card of the file: another loader, nothing that is for the old one."""
    change = {"loader": "onnx", "arguments": None, "output": _OUTPUT, "precision": "float32"}
    kept = tuple(name for name in card.verified or () if name not in change)
    seen = {"verified": kept} if card.verified is not None else {}
    return card.model_copy(update={**change, **seen, "test_vector": None})


def _fields(card: Card) -> dict[str, object]:
    return {
        name: value
        for name, value in card.model_dump(mode="json", exclude_defaults=True).items()
        if value is not None
    }


def _write_card(card: Card, encoder: Encoder, path: Path) -> None:
    vector = encoder.embed(known_input(card))[0]
    values = [float(f"{one:.6g}") for one in vector]
    told = {**_fields(card), "test_vector": {"values": values}}
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
