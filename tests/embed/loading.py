"""Encoders that other processes can load: one that says what it did, one that ends its process."""

import os
import time
from pathlib import Path

import numpy as np

from equipoise.encoders import Encoder, card_of
from tests.encoders.test_card import FIELDS


def _made(function):
    return Encoder("noted", "d" * 64, "numpy", "float32", 16, card_of(FIELDS, where="c"), function)


def _vectors(pixels):
    return pixels.reshape(len(pixels), -1).astype(np.float32)


def load(parameters, scope):
    """Return an encoder that leaves a line for each batch, and takes its time if so asked."""
    log = scope.resolve(str(parameters["log"]))

    def noted(pixels):
        time.sleep(float(parameters.get("seconds", 0)))
        with log.open("a") as file:
            file.write(f"{os.getpid()} {len(pixels)}\n")
        return _vectors(pixels)

    return _made(noted)


def plain(threads):
    """Return an encoder, given how many threads it may use."""
    return _made(_vectors)


SCOPES = []
"""In which `scoped` was called."""


def scoped(parameters, scope):
    """Return an encoder, and note the surroundings that it was loaded in."""
    SCOPES.append(scope)
    return plain(scope.workers)


SIDE = 64
"""Of the images of `wide` (pixels)."""


def wide():
    """Return an encoder whose vectors are as many numbers as an image has pixels."""
    said = {**FIELDS, "height": SIDE, "width": SIDE, "dimension": SIDE * SIDE}
    card = card_of(said, where="c")
    return Encoder("wide", "d" * 64, "numpy", "float32", SIDE * SIDE, card, _vectors)


def deadly(threads):
    """Return an encoder that ends its process, as too little memory would."""

    def end(pixels):
        os._exit(9)

    return _made(end)


def batches(log: Path) -> int:
    """Return how many batches were computed."""
    return len(log.read_text().splitlines()) if log.exists() else 0
