"""Text towers: from words to vectors in the space that a model's images share.

A finding is scored by what its image vector is closer to: texts that say it is there, or texts
that say it is not. What the texts are is data with a digest (`prompts.PromptSet`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import evidence, registry
from equipoise.encoders.card import Card
from equipoise.encoders.prompts import PromptSet
from equipoise.errors import InvalidEncoder, InvalidTable
from equipoise.scope import Scope

Reals = npt.NDArray[np.float64]
Words = Callable[[Sequence[str]], npt.NDArray[np.float32]]

TEXTS = {
    "open_clip": "equipoise.encoders.open_clip:load_text",
    "transformers": "equipoise.encoders.transformers:load_text",
}
"""Family → what loads its text tower."""

_SAME = 1e-6
"""Vectors of unit length nearer than this are one."""


@dataclass(frozen=True, slots=True)
class TextTower:
    """A text tower that is ready to embed.

    Parameters
    ----------
    name
        What its model is called.
    weights
        SHA-256 of what it was loaded from: the same as of the image tower beside it.
    digest
        SHA-256 over everything that changes its vectors: weights, tokeniser, precision.
    engine
        What computes, with its version.
    dimension
        Length of a vector.
    scale
        By which cosines are multiplied before a softmax: 1 over the model's temperature.
    embed
        n texts → float32 ``(n, d)`` of unit length; a text longer than the model reads is refused.
    """

    name: str
    weights: str
    digest: str
    engine: str
    dimension: int
    scale: float
    embed: Words


def text_tower(family: str, parameters: Mapping[str, object], scope: Scope) -> TextTower:
    """Return the text tower of a model.

    Parameters
    ----------
    family
        ``transformers`` or ``open_clip``, or your own ``module:function``.
    parameters
        As of the image encoder of the same model: ``card``, ``path``.
    scope
        Where paths start, and how many threads may work.

    Raises
    ------
    UnknownName
        If there is no such family.
    InvalidEncoder
        If it has no text tower, or its files do not fit.

    Examples
    --------
    >>> text_tower("onnx", {}, Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no text tower 'onnx'; known: open_clip, transformers
    """
    made = registry.load(family, TEXTS, kind="text tower")(parameters, scope)
    if not isinstance(made, TextTower):
        raise InvalidEncoder(f"text tower '{family}' gives {type(made).__name__}; expected its own")
    return made


def check_same_model(tower: TextTower, card: Card, digest: str, precision: str) -> None:
    """Refuse embeddings that are not of the images of the same model, in the space of its texts.

    Parameters
    ----------
    tower
        Of the texts.
    card
        Of the encoder of the images.
    digest, precision
        As the table *embeddings* says them.

    Raises
    ------
    InvalidEncoder
        If the images were not projected into the space of the texts, or the digest is not the one
        that these weights, this card and this precision make.
    """
    if card.pooling != "projection":
        raise InvalidEncoder(
            f"embeddings of '{card.name}': pooling is {card.pooling}; expected projection, the "
            "space that its texts share",
            hint="embed the images again with pooling: projection in the card",
        )
    made = [encoder_digest(tower.weights, card, engine, precision) for engine in ("CPU", "GPU")]
    if digest not in made:
        raise InvalidEncoder(
            f"embeddings of '{card.name}': their encoder ({digest[:12]}) is not of the model of "
            f"the text tower '{tower.name}' ({made[0][:12]})",
            hint="images and texts must go through the same weights and the same card",
        )


def encoder_digest(weights: str, card: Card, place: str, precision: str) -> str:
    """Return the digest that `building.built` gives an encoder of torch.

    Examples
    --------
    >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
    ...             value_range="uint8", dimension=4, licence="MIT")
    >>> len(encoder_digest("0" * 64, card, "CPU", "float32"))
    64
    """
    subject = {
        "file": weights,
        "preprocessing": card.preprocessing(),
        "engine": f"torch {place}",
        "precision": precision,
    }
    return evidence.digest(subject)


def zero_shot(vectors: pl.DataFrame, tower: TextTower, prompts: PromptSet) -> pl.DataFrame:
    """Return the table *predictions* that texts alone make of images: no label is learnt from.

    Each side of a finding, there and not there, is the mean of the vectors of its texts, each of
    unit length, brought to unit length again; the score is the softmax over the two cosines at the
    model's temperature. A model with a bias beside its temperature gives the same, since the two
    differ by none. Scores are no probabilities: they are not calibrated to any population.

    Parameters
    ----------
    vectors
        The table *embeddings* of the images: `image_id` and `vector`, projected into the space of
        the texts.
    tower
        Of the same model.
    prompts
        What is said of each finding.

    Returns
    -------
    `image_id` and ``score:<finding>`` (Float64, 0 to 1), sorted by image.

    Raises
    ------
    InvalidTable
        If a column is absent, or vectors have another length than the texts'.
    InvalidEncoder
        If both sides of a finding come out as the same vector.

    References
    ----------
    Radford et al. 2021, ICML (arXiv 2103.00020), section 3.1.4 (ensembles of prompts); Tiu et al.
    2022, Nature Biomedical Engineering 6:1399 (a softmax over a prompt and its negation).

    Examples
    --------
    >>> sides = {"edema": [1.0, 0.0], "no edema": [0.0, 1.0]}
    >>> tower = TextTower("toy", "0" * 64, "0" * 64, "numpy", 2, 1.0,
    ...                   lambda texts: np.array([sides[one] for one in texts], np.float32))
    >>> prompts = PromptSet(name="toy", findings={
    ...     "edema": {"positive": ["edema"], "negative": ["no edema"]}})
    >>> images = pl.DataFrame({"image_id": ["a"], "vector": [[3.0, 0.0]]})
    >>> zero_shot(images, tower, prompts)["score:edema"].round(3).to_list()
    [0.731]
    """
    ids, x = _images(vectors, tower)
    scores = {}
    for finding, said in prompts.findings.items():
        there = _side(tower, prompts.texts(said.positive))
        absent = _side(tower, prompts.texts(said.negative))
        scores[f"score:{finding}"] = _softmax(x, there, absent, tower, finding)
    return pl.DataFrame({"image_id": ids, **scores})


def zero_shot_each(vectors: pl.DataFrame, tower: TextTower, prompts: PromptSet) -> pl.DataFrame:
    """Return what each pair of texts makes of images by itself, and their ensemble.

    Parameters
    ----------
    vectors, tower, prompts
        As of `zero_shot`.

    Returns
    -------
    A row per image, finding and prompt: `image_id`, `finding`, `prompt` (the two texts, or null
    for the ensemble), `score`.

    Raises
    ------
    InvalidTable, InvalidEncoder
        As of `zero_shot`.

    Examples
    --------
    >>> sides = {"edema": [1.0, 0.0], "no edema": [0.0, 1.0]}
    >>> tower = TextTower("toy", "0" * 64, "0" * 64, "numpy", 2, 1.0,
    ...                   lambda texts: np.array([sides[one] for one in texts], np.float32))
    >>> prompts = PromptSet(name="toy", findings={
    ...     "edema": {"positive": ["edema"], "negative": ["no edema"]}})
    >>> images = pl.DataFrame({"image_id": ["a"], "vector": [[3.0, 0.0]]})
    >>> zero_shot_each(images, tower, prompts)["prompt"].to_list()
    [None, 'edema | no edema']
    """
    ids, x = _images(vectors, tower)
    whole = zero_shot(vectors, tower, prompts)
    parts = []
    for finding in prompts.findings:
        pairs = prompts.pairs(finding)
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        rows = dict(zip(texts, _embedded(tower, texts), strict=True))
        parts.append(_long(ids, finding, None, whole[f"score:{finding}"].to_numpy()))
        for there, absent in pairs:
            score = _softmax(x, rows[there], rows[absent], tower, finding)
            parts.append(_long(ids, finding, f"{there} | {absent}", score))
    return pl.concat(parts)


def _long(ids: pl.Series, finding: str, prompt: str | None, score: Reals) -> pl.DataFrame:
    named = {"finding": pl.lit(finding), "prompt": pl.lit(prompt, dtype=pl.String)}
    return pl.DataFrame({"image_id": ids}).with_columns(**named, score=pl.Series(score))


def _images(vectors: pl.DataFrame, tower: TextTower) -> tuple[pl.Series, Reals]:
    """Return ids and vectors of unit length ``(n, d)``, sorted by id."""
    for name in ("image_id", "vector"):
        if name not in vectors.columns:
            raise InvalidTable(f"embeddings: no column '{name}'; got {vectors.columns}")
    ordered = vectors.sort("image_id")
    column = ordered["vector"].cast(pl.List(pl.Float64))
    lengths = set(column.list.len().to_list())
    if lengths - {tower.dimension}:
        raise InvalidTable(
            f"embeddings: vectors have {sorted(lengths)} values; expected {tower.dimension} as of "
            f"the text tower '{tower.name}'",
            hint="embed the images with pooling: projection in the card of the same model",
        )
    x = column.list.to_array(tower.dimension).to_numpy().reshape(-1, tower.dimension)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    if not np.isfinite(norm).all() or (norm == 0).any():
        raise InvalidTable("embeddings: vectors hold NaN or infinity, or are 0 throughout")
    return ordered["image_id"], x / norm


def _embedded(tower: TextTower, texts: Sequence[str]) -> Reals:
    found = np.asarray(tower.embed(list(texts)), np.float64)
    if found.shape != (len(texts), tower.dimension) or not np.isfinite(found).all():
        raise InvalidEncoder(
            f"text tower '{tower.name}': gave {found.shape} for {len(texts)} texts; expected "
            f"numbers ({len(texts)}, {tower.dimension})"
        )
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float64)


def _side(tower: TextTower, texts: Sequence[str]) -> Reals:
    mean = _embedded(tower, texts).mean(axis=0)
    norm = float(np.linalg.norm(mean))
    if norm < _SAME:
        raise InvalidEncoder(f"text tower '{tower.name}': the texts {list(texts)} cancel out")
    return np.asarray(mean / norm, np.float64)


def _softmax(x: Reals, there: Reals, absent: Reals, tower: TextTower, finding: str) -> Reals:
    apart = there - absent
    if float(np.linalg.norm(apart)) < _SAME:
        raise InvalidEncoder(
            f"text tower '{tower.name}': both sides of '{finding}' are the same vector",
            hint="see whether the tokeniser belongs to the model and knows these words",
        )
    from scipy.special import expit

    return np.asarray(expit(tower.scale * (x @ apart)), np.float64)
