"""Integers of 8 bits whose ranges come from the cohort that is embedded."""

from pathlib import Path

import numpy as np
import polars as pl

from equipoise import evidence
from equipoise.embed.options import Options
from equipoise.encoders import openvino, quantising
from equipoise.encoders.building import card_from, place_of
from equipoise.errors import InvalidConfiguration
from equipoise.scope import Scope
from equipoise.tables import ImageCache

IMAGES = 256
"""How many a model is calibrated on, at most."""


def wanted(options: Options) -> bool:
    """Return whether a model is to be quantised before it embeds.

    Examples
    --------
    >>> told = {"path": "a.onnx", "card": {}, "precision": "int8"}
    >>> wanted(Options(encoder="openvino", parameters=told))
    True
    >>> wanted(Options(encoder="openvino", parameters={**told, "path": "a.xml"}))
    False
    """
    path = str(options.parameters.get("path", ""))
    asked = options.parameters.get("precision") == "int8"
    return options.encoder == "openvino" and asked and not path.endswith(".xml")


def calibrated(
    options: Options, cohort: pl.DataFrame, images: ImageCache, scope: Scope
) -> tuple[Options, dict[str, object]]:
    """Return options that name a model in integers, and what it was calibrated on.

    Images are taken evenly from the cohort in the order of their pixel digests, which is that of a
    lottery: all groups are in it as they are in the cohort, and the same cohort gives the same
    model. Labels are not looked at.

    Parameters
    ----------
    options
        With a model in float32 and ``precision: int8``.
    cohort
        Who is embedded.
    images
        Their pixels.
    scope
        Where the model is kept; it needs a cache.

    Raises
    ------
    InvalidConfiguration
        Without a cache.
    InvalidEncoder
        If there are fewer than 16 different images, or the model cannot be quantised.
    """
    if scope.cache is None:
        raise InvalidConfiguration(
            "embed: int8 needs a cache folder, where the quantised model is kept",
            hint="quantise it beforehand: encoders.quantising.quantised",
        )
    path = place_of(options.parameters, scope)
    card = card_from(options.parameters["card"], scope, where=str(path))
    index = images.index.filter(pl.col("image_id").is_in(cohort["image_id"].implode()))
    distinct = index.unique("pixel_digest", keep="first").sort("pixel_digest")
    place = np.unique(np.linspace(0, distinct.height - 1, min(IMAGES, distinct.height), dtype=int))
    chosen = distinct[place]
    digest = evidence.digest(chosen["pixel_digest"].to_list())
    key = evidence.digest(
        [openvino.file_digest(path), digest, card.preprocessing(), openvino.version()]
    )
    out = scope.cache / "quantised" / f"{key[:32]}.xml"
    if not (out.is_file() and out.with_suffix(".bin").is_file()):
        rows = chosen["row"].to_numpy()
        scope.progress("calibrating", 0, len(rows))
        pixels = np.concatenate(list(images.batches(rows, 64)))
        quantising.quantised(path, card, pixels, out)
    told = {**options.parameters, "path": str(Path(out).resolve())}
    said: dict[str, object] = {"images": chosen.height, "pixel_digests": digest}
    return options.model_copy(update={"parameters": told}), said
