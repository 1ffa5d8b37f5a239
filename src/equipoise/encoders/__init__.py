"""Encoders: from pixels to one vector per image, each bound to its card and its digest.

A member is a function ``load(parameters, scope) -> Encoder``. What a model was trained on, what
it expects and under which licence it may be used stands in its card; a file that does not fit
its card is refused.
"""

from equipoise.encoders.card import NOT_AVAILABLE, Card, Encoder, KnownVector, card_of, load
from equipoise.encoders.known import check_known, known_colours, known_image
from equipoise.encoders.prompts import PromptSet, load_prompts
from equipoise.encoders.texts import TEXTS, TextTower, text_tower, zero_shot, zero_shot_each

ENCODERS = {
    "demo": "equipoise.encoders.demo:load",
    "fastest": "equipoise.encoders.fastest:load",
    "filterbank": "equipoise.encoders.filterbank:load",
    "monai": "equipoise.encoders.monai:load",
    "onnx": "equipoise.encoders.onnx:load",
    "open_clip": "equipoise.encoders.open_clip:load",
    "openvino": "equipoise.encoders.openvino:load",
    "timm": "equipoise.encoders.timm:load",
    "torch": "equipoise.encoders.torch:load",
    "torchxrayvision": "equipoise.encoders.torchxrayvision:load",
    "transformers": "equipoise.encoders.transformers:load",
}
"""Name → what loads it; a study may also name its own ``module:function``."""

BUNDLED = ("demo", "filterbank", "onnx")
"""Those that a bundle may hold: they need the core alone, and name no code of their own."""

__all__ = [
    "BUNDLED",
    "ENCODERS",
    "NOT_AVAILABLE",
    "TEXTS",
    "Card",
    "Encoder",
    "KnownVector",
    "PromptSet",
    "TextTower",
    "card_of",
    "check_known",
    "known_colours",
    "known_image",
    "load",
    "load_prompts",
    "text_tower",
    "zero_shot",
    "zero_shot_each",
]
