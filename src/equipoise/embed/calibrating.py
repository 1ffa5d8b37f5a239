"""Integers of 8 bits whose ranges come from the cohort that is embedded."""

import importlib.metadata
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl

from equipoise import evidence
from equipoise.embed.options import Options
from equipoise.encoders import openvino, quantising
from equipoise.encoders.building import card_from, place_of
from equipoise.errors import InvalidConfiguration, InvalidInput
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
    told = options.parameters
    asked = options.encoder == "openvino" and told.get("precision") == "int8"
    # What lacks one of the two is refused by the loader, which says what it expects.
    return asked and {"path", "card"} <= told.keys() and not str(told["path"]).endswith(".xml")


def calibrated(
    options: Options,
    cohort: pl.DataFrame,
    images: ImageCache,
    scope: Scope,
    *,
    pause: Callable[[], None] = lambda: time.sleep(1),
    patience: int = 3600,
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
        Where the model is kept; it needs a cache. The first rank calibrates and the others take
        what it made, as two that calibrate may differ in the last bit.
    pause
        Called by another rank between looks for the model; waits a second.
    patience
        Looks after which the first rank is given up.

    Raises
    ------
    InvalidConfiguration
        Without a cache.
    InvalidInput
        If the first rank makes no model.
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
    chosen = _chosen(index.unique("pixel_digest", keep="first").sort("pixel_digest"))
    model = openvino.file_digest(path)
    said: dict[str, object] = {
        "images": chosen.height,
        "pixel_digests": evidence.digest(chosen["pixel_digest"].to_list()),
        "of_model": model,
        "by": f"NNCF {importlib.metadata.version('nncf')}" if find_spec("nncf") else "NNCF",
    }
    key = evidence.digest([said, card.preprocessing(), openvino.version()])
    out = scope.cache / "quantised" / f"{key[:32]}.xml"
    if scope.rank:
        _await(out, pause, patience)
    elif not (out.is_file() and out.with_suffix(".bin").is_file()):
        rows = chosen["row"].to_numpy()
        scope.progress("calibrating", 0, len(rows))
        quantising.quantised(path, card, np.concatenate(list(images.batches(rows, 64))), out)
    told = {**options.parameters, "path": str(out.resolve())}
    return options.model_copy(update={"parameters": told}), said


def _chosen(distinct: pl.DataFrame) -> pl.DataFrame:
    n = distinct.height
    return distinct[np.unique(np.linspace(0, n - 1, min(IMAGES, n), dtype=int))]


def _await(out: Path, pause: Callable[[], None], patience: int) -> None:
    """Wait for the model, which is written after its weights and whole."""
    for _ in range(patience):
        if out.is_file():
            return
        pause()
    raise InvalidInput(
        f"embed: no quantised model {out}, which the first rank makes",
        hint="see what became of the first rank, and whether all ranks share the cache",
    )
