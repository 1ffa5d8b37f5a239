"""Folders in the layouts of the hub: from a local path first, else fetched where it is reached.

Nothing in a folder is run: files are read as JSON or as tensors alone, and what asks for code of
its own is refused.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equipoise.encoders.building import place_of
from equipoise.encoders.card import Card
from equipoise.encoders.libraries import first_line, library
from equipoise.encoders.networks import Weights, weights
from equipoise.errors import InvalidEncoder, nearest
from equipoise.scope import Scope

EXTRA = "hub"
"""The extra of this project that brings the libraries of these families."""

_CODE = ("auto_map", "custom_pipelines", "fusion_config", "quantization_config")
"""Keys of a config that would have a library run other code than its own."""

_ALMOST = 1e-3
"""What values of -3 to 3 may differ by: configs give means of three digits or more."""


def folder_of(
    parameters: Mapping[str, object],
    card: Card,
    scope: Scope,
    *,
    family: str,
    files: Sequence[str],
) -> Path:
    """Return the local folder (or file) that *path* names, or what *source_id* of the card names.

    With a path nothing is asked of any other machine.

    Parameters
    ----------
    parameters
        Of the loader: ``path`` may be among them.
    card
        Of the encoder: its `source_id`, and ``revision`` of its arguments.
    scope
        Where paths start.
    family
        Of the encoders, for messages.
    files
        Names, or patterns, of the files that are needed.

    Raises
    ------
    InvalidEncoder
        If the path is not there; without one, if the card names no source or the hub does not give
        it: the message says which files to place where.
    MissingExtra
        Without a path and without the library that asks the hub.
    """
    if "path" in parameters:
        return place_of(parameters, scope)
    told = f"place {', '.join(files)} in a folder and say path: <folder>"
    if card.source_id is None:
        raise InvalidEncoder(
            f"encoder {family}: neither 'path' nor a source_id in the card '{card.name}'", hint=told
        )
    hub = library("huggingface_hub", extra=EXTRA, family=family)
    revision = str((card.arguments or {}).get("revision", "main"))
    try:
        return Path(
            hub.snapshot_download(card.source_id, revision=revision, allow_patterns=list(files))
        )
    except (OSError, ValueError, RuntimeError, hub.errors.EntryNotFoundError) as error:
        terms = " after its terms were accepted" if card.terms and card.terms.gated else ""
        raise InvalidEncoder(
            f"encoder {family}: the hub does not give '{card.source_id}' ({first_line(error)})",
            hint=f"fetch '{card.source_id}' elsewhere{terms}: {told}",
        ) from error


def read_config(path: Path) -> dict[str, object]:
    """Return a config in JSON that asks for no code of its own.

    Raises
    ------
    InvalidEncoder
        If the file is absent, is no JSON mapping, or names code to be run.

    Examples
    --------
    >>> read_config(Path("nowhere/config.json"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: nowhere/config.json: no such file
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidEncoder(
            f"{path}: no such file", hint=f"place it there: it says which network {path.parent} is"
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidEncoder(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(said, dict):
        raise InvalidEncoder(f"{path}: holds {type(said).__name__}; expected a mapping")
    for key in _CODE:
        if said.get(key):
            raise InvalidEncoder(
                f"{path}: '{key}' asks for code or arithmetic that is not the library's own: "
                f"{said[key]!r}",
                hint="only networks of the library itself are loaded; code of a repository never",
            )
    return said


def weights_in(folder: Path, names: Sequence[str], *, family: str) -> Weights:
    """Return the tensors in a folder, of the first of several files that is there.

    A checkpoint in parts (``<name>.index.json``) is read whole; its digest is that of its parts.

    Raises
    ------
    InvalidEncoder
        If none is there, or one cannot be read.
    """
    for name in names:
        if (folder / name).is_file():
            return weights(folder / name, family=family, extra=EXTRA)
        if (folder / f"{name}.index.json").is_file():
            return _in_parts(folder, f"{name}.index.json", family)
    raise InvalidEncoder(
        f"{folder}: no weights; expected {' or '.join(names)}",
        hint=f"place one of them in {folder}",
    )


def _in_parts(folder: Path, index: str, family: str) -> Weights:
    listed = read_config(folder / index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise InvalidEncoder(f"{folder / index}: no 'weight_map'; expected tensor → file")
    names = sorted({str(name) for name in listed.values()})
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise InvalidEncoder(f"{folder / index}: '{outside[0]}' is not a file of this folder")
    parts = [weights(folder / name, family=family, extra=EXTRA) for name in names]
    tensors = {name: one for part in parts for name, one in part.tensors.items()}
    total = hashlib.sha256("".join(part.digest for part in parts).encode()).hexdigest()
    return Weights(tensors, total, folder / index)


def checked_arguments(card: Card, known: Sequence[str], *, family: str) -> dict[str, object]:
    """Return the arguments of a card; what a family does not know is refused.

    Raises
    ------
    InvalidEncoder
        With the nearest known argument.

    Examples
    --------
    >>> card = Card(name="a", layout="NCHW", height=8, width=8, channels=3, dimension=4,
    ...             value_range="uint8", licence="MIT", arguments={"modle": "ViT-B-32"})
    >>> checked_arguments(card, ("model",), family="open_clip")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card 'a': unknown argument 'modle' of open_clip; expected model
    """
    said: dict[str, object] = dict(card.arguments or {})
    stray = [name for name in said if name not in known]
    if stray:
        raise InvalidEncoder(
            f"card '{card.name}': unknown argument '{stray[0]}' of {family}; expected "
            f"{', '.join(known)}",
            hint=nearest(stray[0], known),
        )
    return said


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a folder says that images are prepared; None where it says nothing.

    Parameters
    ----------
    size
        Height and width of the input (pixels).
    resize
        Shorter side before the middle is cut out (pixels); 0 where images are resized as a whole.
    scale
        Pixels of 0 to 255 are multiplied by it.
    mean, std
        Taken off, and divided by, per channel.
    interpolation
        By which images are resized.
    """

    size: tuple[int, int] | None = None
    resize: int | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str | None = None


def check_preparation(said: Preparation, card: Card, *, where: str) -> None:
    """Refuse a card that prepares images otherwise than its folder says.

    Means and deviations are compared by what they make of pixels, so that a range of -1 to 1 is
    the same as one of 0 to 1 with a mean and deviation of 0.5.

    Parameters
    ----------
    said
        What the folder says.
    card
        Of the encoder.
    where
        Which file says it, for the message.

    Raises
    ------
    InvalidEncoder
        With both values.

    Examples
    --------
    >>> card = Card(name="vit", layout="NCHW", height=224, width=224, channels=1, dimension=4,
    ...             value_range="zero_one", licence="MIT")
    >>> check_preparation(Preparation(size=(448, 448)), card, where="preprocessor_config.json")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: preprocessor_config.json: size is 448 x 448; its card says \
224 x 224
    """
    pairs: list[tuple[str, str, str]] = []
    if said.size is not None:
        pairs.append(("size", _by(said.size), _by((card.height, card.width))))
    if said.resize is not None:
        pairs.append(("resize", str(said.resize or None), str(card.resize)))
    if said.interpolation is not None:
        pairs.append(("interpolation", said.interpolation, card.interpolation or "bilinear"))
    for name, theirs, ours in pairs:
        if theirs != ours:
            raise InvalidEncoder(
                f"{where}: {name} is {theirs}; its card says {ours}",
                hint="correct the card: these files were written by who trained it",
            )
    if said.scale is not None or said.mean is not None or said.std is not None:
        _check_values(said, card, where)


def _check_values(said: Preparation, card: Card, where: str) -> None:
    lengths = {len(one) for one in (said.mean, said.std) if one is not None}
    ours = _ends(card)
    theirs = _ends_said(said, card.channels) if lengths <= {card.channels} else None
    if theirs is None or ours is None or not np.allclose(theirs, ours, _ALMOST, _ALMOST):
        told = f"value_range {card.value_range}, mean {_told(card.mean)}, std {_told(card.std)}"
        raise InvalidEncoder(
            f"{where}: pixels are multiplied by {1.0 if said.scale is None else said.scale:.6g}, "
            f"mean {_told(said.mean)}, std {_told(said.std)}; its card says {told}",
            hint="correct the card: these files were written by who trained it",
        )


def _ends_said(said: Preparation, channels: int) -> np.ndarray:
    """Return what becomes of the pixels 0 and 255 in each channel, ``(2, channels)``."""
    pixels = np.array([[0.0], [255.0]]) * (1.0 if said.scale is None else said.scale)
    mean, std = (None if one is None else np.resize(one, channels) for one in (said.mean, said.std))
    return _normalised(pixels, mean, std, channels)


def _ends(card: Card) -> np.ndarray | None:
    ends = {
        "uint8": (0.0, 255.0),
        "zero_one": (0.0, 1.0),
        "minus_one_one": (-1.0, 1.0),
        "minus_1024_1024": (-1024.0, 1024.0),
    }.get(card.value_range)
    if ends is None:
        return None
    mean, std = (None if one is None else np.array(one) for one in (card.mean, card.std))
    return _normalised(np.array(ends)[:, None], mean, std, card.channels)


def _normalised(
    pixels: np.ndarray, mean: np.ndarray | None, std: np.ndarray | None, channels: int
) -> np.ndarray:
    centred = pixels - (np.zeros(channels) if mean is None else mean)
    found: np.ndarray = centred / (np.ones(channels) if std is None else std)
    return found


def _told(values: Sequence[float] | None) -> str:
    return "none" if values is None else "[" + ", ".join(f"{one:g}" for one in values) + "]"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
