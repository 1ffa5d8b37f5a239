"""Tokenisers of the library transformers, from a local folder, held against their network."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise import evidence
from equipoise.encoders import hub
from equipoise.encoders.card import Card
from equipoise.encoders.libraries import first_line
from equipoise.encoders.texts import TextTower
from equipoise.errors import InvalidEncoder, MissingExtra

_ANY_OF = ("tokenizer.json", "spiece.model", "tokenizer.model", "vocab.json", "vocab.txt")
_FILES = (*_ANY_OF, "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Tokeniser:
    """A tokeniser that refuses what its network would not read whole.

    Parameters
    ----------
    tokens
        The library's own.
    length
        Tokens that the network reads at most.
    words
        Size of its vocabulary.
    digest
        SHA-256 over the tokeniser's files.
    where
        Its folder, for messages.
    """

    tokens: Any
    length: int
    words: int
    digest: str
    where: Path

    def shortest(self, texts: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
        """Return tokens and mask ``(n, longest)``, filled up to the longest of the texts."""
        self.check(texts)
        made = self.tokens(list(texts), padding=True, truncation=False)
        return made["input_ids"], made["attention_mask"]

    def whole(self, texts: Sequence[str]) -> list[list[int]]:
        """Return tokens ``(n, length)``, filled up to all that the network reads."""
        self.check(texts)
        made = self.tokens(
            list(texts), padding="max_length", max_length=self.length, truncation=False
        )
        ids: list[list[int]] = made["input_ids"]
        return ids

    def check(self, texts: Sequence[str]) -> None:
        """Refuse texts that would be cut off, or tokens that the network does not know.

        Raises
        ------
        InvalidEncoder
            With the text.
        """
        for text, ids in zip(texts, self.tokens(list(texts))["input_ids"], strict=True):
            if len(ids) > self.length:
                raise InvalidEncoder(
                    f"{self.where}: '{text}' is {len(ids)} tokens; the network reads {self.length}",
                    hint="shorten the prompt: what is cut off would not be read",
                )
            if max(ids, default=0) >= self.words:
                raise InvalidEncoder(
                    f"{self.where}: '{text}' has the token {max(ids)}; the network knows "
                    f"{self.words}",
                    hint="the tokeniser is of another network",
                )


def tokeniser_in(folder: Path, transformers: Any, *, length: int, words: int) -> Tokeniser:
    """Return the tokeniser in a folder, which runs no code of its own.

    Parameters
    ----------
    folder
        Where its files lie.
    transformers
        The library.
    length, words
        As of `Tokeniser`.

    Raises
    ------
    MissingExtra
        If its kind needs a library that is not installed.
    InvalidEncoder
        If its files are absent, cannot be read, or name code to be run.
    """
    there = [name for name in _FILES if (folder / name).is_file()]
    if not set(there) & set(_ANY_OF):
        raise InvalidEncoder(
            f"{folder}: no tokeniser; expected one of {', '.join(_ANY_OF)}",
            hint=f"place the files of its tokeniser in {folder}",
        )
    if "tokenizer_config.json" in there:
        hub.read_config(folder / "tokenizer_config.json")
    try:
        tokens = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except ImportError as error:
        raise MissingExtra(
            f"{folder}: its tokeniser needs a library that is not installed ({first_line(error)})",
            hint="pip install 'equipoise[hub]'",
        ) from error
    except Exception as error:
        first = first_line(error)
        raise InvalidEncoder(f"{folder}: its tokeniser cannot be read ({first})") from error
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in there}
    return Tokeniser(tokens, length, words, evidence.digest(files), folder)


def tower_of(
    card: Card,
    read: Callable[[Sequence[str]], Any],
    *,
    weights: str,
    tokeniser: str,
    engine: str,
    scale: float,
) -> TextTower:
    """Return the text tower that a network and its tokeniser make.

    Parameters
    ----------
    card
        Of the model.
    read
        From texts to vectors ``(n, d)``, of any length.
    weights, tokeniser
        SHA-256 of either.
    engine
        What computes, with its version.
    scale
        By which cosines are multiplied.

    Raises
    ------
    InvalidEncoder
        If the texts have vectors of another length than the card says.

    Examples
    --------
    >>> card = Card(name="toy", layout="NHWC", height=2, width=2, channels=1, dimension=2,
    ...             value_range="uint8", licence="MIT")
    >>> made = tower_of(card, lambda texts: np.array([[3.0, 4.0]] * len(texts)),
    ...                 weights="0", tokeniser="1", engine="numpy", scale=10.0)
    >>> made.embed(["edema"]).round(2).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        parts = [
            np.asarray(read(texts[start : start + _BATCH]), np.float64)
            for start in range(0, len(texts), _BATCH)
        ]
        found = np.concatenate([*parts, np.empty((0, card.dimension))])
        norm = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / norm, np.float32)

    length = np.asarray(read(["a"])).shape[1]
    if length != card.dimension:
        raise InvalidEncoder(
            f"text tower of '{card.name}': vectors have {length} values; expected "
            f"{card.dimension} as the card says of its images"
        )
    subject = {"file": weights, "tokeniser": tokeniser, "precision": "float32"}
    return TextTower(
        name=card.name,
        weights=weights,
        digest=evidence.digest(subject),
        engine=engine,
        dimension=card.dimension,
        scale=scale,
        embed=embed,
    )
