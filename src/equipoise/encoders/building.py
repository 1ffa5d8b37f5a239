"""From a network that runs to an encoder: what every family of loaders does alike.

Pixels are prepared as the card says, a batch that a model insists on is filled up, a first grey
image shows that vectors come as the card says, and the known image that they are the right ones.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise import evidence
from equipoise.encoders import catalogue
from equipoise.encoders.card import Card, Encoder, card_of
from equipoise.encoders.card import load as load_card
from equipoise.encoders.known import check_known, known_input
from equipoise.encoders.preparation import prepared, ready_for
from equipoise.errors import InvalidConfiguration, InvalidEncoder, nearest
from equipoise.scope import Scope

Run = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.float32]]
"""From a batch in the card's layout to float32 ``(b, d)``."""


def checked_parameters(
    parameters: Mapping[str, object],
    *,
    family: str,
    required: Mapping[str, str],
    more: tuple[str, ...],
) -> None:
    """Refuse parameters that are not known, and the lack of one that is needed.

    Parameters
    ----------
    parameters
        As a study says them.
    family
        Of the loader, for the message.
    required
        Parameter → what it is, in words.
    more
        What else may be said.

    Raises
    ------
    InvalidConfiguration
        With the nearest known parameter.

    Examples
    --------
    >>> checked_parameters({"pth": 1}, family="onnx", required={"path": "the file"}, more=())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: encoder onnx: unknown parameter 'pth'; expected path
    """
    known = (*required, *more)
    stray = [name for name in parameters if name not in known]
    if stray:
        raise InvalidConfiguration(
            f"encoder {family}: unknown parameter '{stray[0]}'; expected {', '.join(known)}",
            hint=nearest(stray[0], known),
        )
    for name in required:
        if name not in parameters:
            told = ", ".join(f"'{one}': {words}" for one, words in required.items())
            raise InvalidConfiguration(
                f"encoder {family}: no parameter '{name}'; got {sorted(parameters)}",
                hint=f"give {told}",
            )


def card_from(given: object, scope: Scope, *, where: str) -> Card:
    """Return the card that a parameter names.

    Parameters
    ----------
    given
        A YAML file, a name of the catalogue where there is no such file, or the fields themselves.
    scope
        Where relative paths start.
    where
        Whose card it is, for the message.

    Raises
    ------
    InvalidEncoder
        If there is no such file and no such model, or it is no card.

    Examples
    --------
    >>> card_from("virchow2", Scope(), where="a.safetensors").pooling
    'cls_mean'
    >>> card_from("nowhere.yaml", Scope(), where="a.onnx")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card nowhere.yaml: no such file
    """
    if isinstance(given, Mapping):
        return card_of({str(k): v for k, v in given.items()}, where=f"card of {where}")
    return load_card(card_file(str(given), scope))


def card_file(given: str, scope: Scope) -> Path:
    """Return the file of a card: one at that path, else that of the catalogue.

    Examples
    --------
    >>> card_file("virchow2", Scope()).name, card_file("nowhere.yaml", Scope()).name
    ('virchow2.yaml', 'nowhere.yaml')
    """
    path = scope.resolve(given)
    return catalogue.path(given) if given in catalogue.names() and not path.is_file() else path


def files_of(parameters: Mapping[str, object], scope: Scope) -> dict[str, Path]:
    """Return the files that an encoder's parameters name: ``path`` and ``card``.

    Examples
    --------
    >>> named = files_of({"path": "a.onnx", "card": {}, "precision": "float32"}, Scope())
    >>> {name: path.name for name, path in named.items()}
    {'path': 'a.onnx'}
    """
    found = {}
    for name in ("path", "card"):
        given = parameters.get(name)
        if isinstance(given, str):
            found[name] = card_file(given, scope) if name == "card" else scope.resolve(given)
    return found


def built(
    card: Card,
    run: Run,
    *,
    weights: str,
    engine: str,
    version: str,
    precision: str,
    where: str,
    batch: int | None = None,
) -> Encoder:
    """Return the encoder that a network and its card make, once its vectors are seen to fit.

    Parameters
    ----------
    card
        What it expects.
    run
        The network, on prepared batches.
    weights
        SHA-256 of what it was loaded from.
    engine, version
        What computes, without and with its version: only the first is in the digest.
    precision
        Of its arithmetic: vectors of another are others.
    where
        Whose network it is, for messages.
    batch
        The only size that it takes, if there is one.

    Raises
    ------
    InvalidEncoder
        If a grey image gives another number of values, NaN or infinity, or the known image gives
        something else than the card says.

    Examples
    --------
    >>> card = Card(name="mean", layout="NHWC", height=2, width=2, channels=1,
    ...             value_range="uint8", dimension=1, licence="MIT")
    >>> mean = lambda x: x.mean(axis=(1, 2, 3), dtype=np.float32)[:, None]
    >>> made = built(card, mean, weights="0" * 64, engine="numpy", version="numpy 2",
    ...              precision="float32", where="mean")
    >>> made.embed(np.full((1, 2, 2), 8, np.uint8)).tolist()
    [[8.0]]
    """

    def embed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        ready_for(pixels, card)
        parts = [_filled(run, prepared(part, card), batch) for part in _parts(pixels, batch)]
        return np.concatenate([*parts, np.empty((0, card.dimension), np.float32)])

    _check_vector(run, card, batch, where)
    check_known(card, embed, where=where, precision=precision)
    subject = {
        "file": weights,
        "preprocessing": card.preprocessing(),
        "engine": engine,
        "precision": precision,
    }
    return Encoder(
        name=card.name,
        digest=evidence.digest(subject),
        engine=version,
        precision=precision,
        dimension=card.dimension,
        card=card,
        embed=embed,
        run=run,
    )


def wrong_dimension(where: str, what: str, found: int, card: Card) -> InvalidEncoder:
    """Return the error that an output has another length than the card says.

    Examples
    --------
    >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> wrong_dimension("a.onnx", "output 'y'", 5, card)
    InvalidEncoder("a.onnx: output 'y' has 5 values for an image; expected 4 as its card says")
    """
    return InvalidEncoder(
        f"{where}: {what} has {found} values for an image; expected {card.dimension} as its card "
        "says",
        hint=f"say dimension: {found}, or name another output or pooling",
    )


def _check_vector(run: Run, card: Card, batch: int | None, where: str) -> None:
    """See with one grey image that vectors come as the card says."""
    grey = np.full_like(known_input(card), 128)
    found = _filled(run, prepared(grey, card), batch)
    if found.shape != (1, card.dimension):
        raise wrong_dimension(
            where, f"output '{card.output or '(the only one)'}'", found.size, card
        )
    if not np.isfinite(found).all():
        raise InvalidEncoder(f"{where}: a grey image gives NaN or infinity; expected numbers")


def _parts(pixels: npt.NDArray[np.uint8], batch: int | None) -> Iterator[npt.NDArray[np.uint8]]:
    size = batch or max(len(pixels), 1)
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size]


def _filled(
    run: Run, values: npt.NDArray[np.generic], batch: int | None
) -> npt.NDArray[np.float32]:
    n = len(values)
    if batch is not None and n < batch:
        values = np.concatenate([values, np.repeat(values[-1:], batch - n, axis=0)])
    found = run(values)[:n]
    return np.ascontiguousarray(found.reshape(n, -1), dtype=np.float32)  # (b, d)


def place_of(parameters: Mapping[str, object], scope: Scope) -> Path:
    """Return the file or folder that the parameter *path* names.

    Raises
    ------
    InvalidEncoder
        If it is not there.

    Examples
    --------
    >>> place_of({"path": "nowhere.pt"}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: nowhere.pt: no such file or folder
    """
    path = scope.resolve(str(parameters["path"]))
    if not path.exists():
        raise InvalidEncoder(
            f"{path}: no such file or folder",
            hint="fetch the weights from their source and place them there by hand",
        )
    return path
