"""Embed: each image becomes a vector once, with a frozen encoder; then everything is cheap."""

from collections.abc import Mapping
from pathlib import Path

from equipoise import registry
from equipoise.embed.options import Options
from equipoise.embed.vectors import embeddings
from equipoise.encoders import ENCODERS, Encoder
from equipoise.errors import InvalidEncoder
from equipoise.scope import Scope
from equipoise.tables import COHORT, EMBEDDINGS, ImageCache, read, write

VERSION = 1
NEEDS = ("cohort", "images")
WANTS: tuple[str, ...] = ()
GIVES = ("embeddings",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Options",
    "embeddings",
    "loaded",
    "run",
    "sources",
]


def loaded(options: Options, scope: Scope) -> Encoder:
    """Return the encoder that the options name.

    Raises
    ------
    UnknownName
        If there is no such encoder.
    InvalidEncoder
        If its file does not fit its card, or the function named gives no encoder.

    Examples
    --------
    >>> loaded(Options(encoder="filterbnk"), Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no encoder 'filterbnk'; known: filterbank, onnx
    """
    load = registry.load(options.encoder, ENCODERS, kind="encoder")
    encoder = load(options.parameters, scope)
    if not isinstance(encoder, Encoder):
        raise InvalidEncoder(
            f"encoder '{options.encoder}' gives {type(encoder).__name__}; expected an Encoder"
        )
    return encoder


def sources(options: Options, scope: Scope) -> dict[str, Path]:
    """Return the files that the encoder is made of: its parameters `path` and `card`.

    Examples
    --------
    >>> chosen = Options(encoder="onnx", parameters={"path": "a.onnx", "card": {}})
    >>> {name: path.name for name, path in sources(chosen, Scope()).items()}
    {'path': 'a.onnx'}
    """
    given = options.parameters
    names = [name for name in ("path", "card") if isinstance(given.get(name), str)]
    return {name: scope.resolve(str(given[name])) for name in names}


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Read cohort and images, write ``embeddings.parquet``.

    Parameters
    ----------
    options
        What is asked.
    inputs
        The folders of *cohort* and *images*.
    out
        An existing folder.
    scope
        Where vectors are kept between runs, and how many threads may work.

    Returns
    -------
    How many images and different images there are, and what the encoder says of itself.
    """
    cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
    images = ImageCache.open(inputs["images"])
    encoder = loaded(options, scope)
    table = embeddings(
        cohort["image_id"].to_list(),
        images,
        encoder,
        batch_size=options.batch_size,
        store=None if scope.cache is None else scope.cache / "embeddings",
        progress=scope.progress,
    )
    said = {
        "encoder": encoder.name,
        "digest": encoder.digest,
        "engine": encoder.engine,
        "precision": encoder.precision,
        "dimension": encoder.dimension,
        "card": encoder.card.summary(),
    }
    write(table, out / "embeddings.parquet", EMBEDDINGS, more=said)
    used = images.index.filter(images.index["image_id"].is_in(cohort["image_id"].implode()))
    return {"images": table.height, "distinct": used["pixel_digest"].n_unique(), **said}
