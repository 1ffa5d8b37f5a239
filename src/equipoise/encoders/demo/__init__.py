"""The demo's own encoder: trained on phantoms without labels, run by onnxruntime, no parameters.

It comes with its evidence: ``card.yaml``, ``pretraining.json`` (how it was trained),
``comparison.json`` (what group-aware training changed) and ``evidence.json`` over them all. For
drawn images only: it has never seen a patient.
"""

from collections.abc import Mapping
from pathlib import Path

from equipoise.encoders import onnx
from equipoise.encoders.card import Encoder
from equipoise.errors import InvalidConfiguration
from equipoise.scope import Scope

FOLDER = Path(__file__).parent
"""Where its files lie, inside the package."""


def load(parameters: Mapping[str, object], scope: Scope) -> Encoder:
    """Return the encoder, ready to embed.

    Parameters
    ----------
    parameters
        None.
    scope
        How many threads may work.

    Raises
    ------
    InvalidConfiguration
        If a parameter is given.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = load({}, Scope())
    >>> encoder.embed(np.zeros((2, 128, 128), dtype=np.uint8)).shape == (2, encoder.dimension)
    True
    """
    if parameters:
        raise InvalidConfiguration(
            f"encoder demo: unknown parameter '{next(iter(parameters))}'; expected none"
        )
    here = Scope(base=FOLDER, workers=scope.workers)
    return onnx.load({"path": "encoder.onnx", "card": "card.yaml"}, here)
