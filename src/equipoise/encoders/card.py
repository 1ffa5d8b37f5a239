"""What an encoder says of itself (its card) and what it does (its embedding function)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from equipoise.encoders.provenance import TERM_FACTS, Bias, Population, Terms
from equipoise.errors import InvalidEncoder, nearest

NOT_AVAILABLE = "not available"
"""What a card says where its maker says nothing."""

ValueRange = Literal["uint8", "zero_one", "minus_one_one", "minus_1024_1024", "min_max"]

Pooling = Literal["cls", "mean", "cls_mean", "pooled", "projection", "spatial_mean", "flat"]
"""How one vector is made of what a model gives for an image.

cls: its class token; mean: the mean of its patches; cls_mean: both, one after the other; pooled: as
the library pools; projection: into the space shared with text; spatial_mean: the mean over the
places of a feature map; flat: all of it.
"""

Embed = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


_LATER = (
    "training_digest",
    "groups_seen",
    "fairness",
    "cost",
    "test_vector",
    "architecture",
    "source_id",
    "loader",
    "arguments",
    "depth",
    "resize",
    "interpolation",
    "pooling",
    "terms",
    "populations",
    "documented_bias",
    "verified",
    "checked",
    "text_tower",
    "seen_in",
)
"""Fields that came later: a card without them sums up as it did before."""


class KnownVector(BaseModel):
    """What the encoder makes of `known_image`, by which a wrong normalisation shows at once.

    Of `known_colours` if it takes colour, so that a wrong order of channels shows too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: tuple[float, ...] = Field(min_length=1, description="the vector of the known image")
    tolerance: float = Field(
        default=1e-3, gt=0, lt=1, description="most by which a vector may differ, of its length"
    )


class Card(BaseModel):
    """What an encoder expects and where it comes from.

    Examples
    --------
    >>> card = Card(name="bank", layout="NHWC", height=64, width=64, channels=1,
    ...             value_range="uint8", dimension=40, licence="Apache-2.0")
    >>> card.training_data
    'not available'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="what the encoder is called")
    modality: str = Field(default=NOT_AVAILABLE, description="the images it was made for")
    layout: Literal["NHWC", "NCHW", "NCDHW"] = Field(
        description="order of batch, height, width, channels; with depth, of volumes"
    )
    height: int = Field(gt=0, description="height of its input (pixels)")
    width: int = Field(gt=0, description="width of its input (pixels)")
    channels: Literal[1, 3] = Field(description="1 for grey, 3 for colour; grey is repeated")
    value_range: ValueRange = Field(
        description="uint8: 0 to 255 as stored; zero_one: x / 255; minus_one_one: x / 127.5 - 1; "
        "minus_1024_1024: (2 x / 255 - 1) * 1024; min_max: each image stretched to 0 to 1"
    )
    mean: tuple[float, ...] | None = Field(
        default=None, description="per channel, taken off after the value range is set"
    )
    std: tuple[float, ...] | None = Field(
        default=None, description="per channel, divided by after the mean is taken off"
    )
    output: str | None = Field(
        default=None, description="name of the output; by default the only one"
    )
    dimension: int = Field(gt=0, description="length of the vector of an image")
    precision: str = Field(
        default=NOT_AVAILABLE, description="of its arithmetic, as float32 or int8"
    )
    licence: str = Field(min_length=1, description="under which the weights may be used")
    source: str = Field(default=NOT_AVAILABLE, description="where the weights come from")
    training_data: str = Field(default=NOT_AVAILABLE, description="what they were trained on")
    notes: str = Field(default=NOT_AVAILABLE, description="what else one should know")
    training_digest: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the images it learnt from"
    )
    groups_seen: dict[str, dict[str, int]] | None = Field(
        default=None, description="attribute → level → how many training images are of it"
    )
    fairness: dict[str, JsonValue] | None = Field(
        default=None, description="sampler, reducer and negatives of its training"
    )
    cost: dict[str, JsonValue] | None = Field(
        default=None, description="of its training: steps, images, and what was measured"
    )
    architecture: str | None = Field(
        default=None, description="of the network, as ViT-B/14 or DenseNet-121"
    )
    text_tower: bool | None = Field(
        default=None, description="whether it was trained beside an encoder of text"
    )
    source_id: str | None = Field(
        default=None, description="of the weights, as a hub or a repository names them"
    )
    loader: str | None = Field(
        default=None, description="which family of encoders loads it; 'none' where none can yet"
    )
    arguments: dict[str, JsonValue] | None = Field(
        default=None, description="what the loader must be told, as the name of the network"
    )
    depth: int | None = Field(default=None, gt=0, description="slices of its input, of a volume")
    resize: int | None = Field(
        default=None, gt=0, description="shorter side before the middle is cut out (pixels)"
    )
    interpolation: Literal["bilinear", "bicubic", "lanczos"] | None = Field(
        default=None, description="by which images are resized; bilinear if not said"
    )
    pooling: Pooling | None = Field(
        default=None, description="how one vector is made of what the model gives"
    )
    terms: Terms | None = Field(default=None, description="what the licence asks")
    populations: tuple[Population, ...] | None = Field(
        default=None, description="whose images it was trained on, where published"
    )
    documented_bias: tuple[Bias, ...] | None = Field(
        default=None, description="biases of it that were measured and published"
    )
    verified: tuple[str, ...] | None = Field(
        default=None,
        description="fields that were seen in a model card, repository or paper; of the terms one "
        "by one too, as terms.gated",
    )
    seen_in: tuple[str, ...] | None = Field(
        default=None, description="where the verified fields were seen"
    )
    checked: str | None = Field(
        default=None, pattern="^[0-9]{4}-[0-9]{2}$", description="when, as 2026-11"
    )
    test_vector: KnownVector | None = Field(
        default=None, description="what it makes of the known image; checked when it is loaded"
    )

    @model_validator(mode="after")
    def _normalisation_fits(self) -> "Card":
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != self.channels:
                raise ValueError(
                    f"{name} has {len(values)} values; expected one for each of the "
                    f"{self.channels} channels"
                )
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std holds {min(self.std):g}; expected numbers above 0")
        if self.test_vector is not None and len(self.test_vector.values) != self.dimension:
            raise ValueError(
                f"test_vector has {len(self.test_vector.values)} values; expected the dimension, "
                f"{self.dimension}"
            )
        known = {*type(self).model_fields, *TERM_FACTS.values()}
        stray = [name for name in self.verified or () if name not in known]
        if stray:
            raise ValueError(f"verified: unknown field '{stray[0]}'")
        return self

    def facts(self) -> tuple[str, ...]:
        """Return the facts that this card tells, in its order; each of the terms is one.

        Examples
        --------
        >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
        ...             value_range="uint8", dimension=4, licence="MIT", terms={"gated": False})
        >>> card.facts()[-2:]
        ('licence', 'terms.gated')
        """
        bare = ("name", "verified", "checked", "test_vector", "notes", "seen_in")
        told: list[str] = []
        for name in type(self).model_fields:
            if name not in self.model_fields_set or name in bare or getattr(self, name) is None:
                continue
            if name == "terms" and self.terms is not None:
                known = (p for p in TERM_FACTS if getattr(self.terms, p) is not None)
                told += [TERM_FACTS[point] for point in known]
            else:
                told.append(name)
        return tuple(told)

    def unverified(self) -> tuple[str, ...]:
        """Return the facts of this card that nobody has checked yet, in its order.

        Examples
        --------
        >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
        ...             value_range="uint8", dimension=4, licence="MIT", verified=("licence",))
        >>> "licence" in card.unverified(), "dimension" in card.unverified()
        (False, True)
        """
        seen = set(self.verified or ())
        return tuple(n for n in self.facts() if not {n, n.partition(".")[0]} & seen)

    def preprocessing(self) -> dict[str, object]:
        """Return the fields that change the vectors, for the encoder's digest.

        Examples
        --------
        >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
        ...             value_range="uint8", dimension=4, licence="MIT")
        >>> "licence" in card.preprocessing()
        False
        """
        fields = ("layout", "height", "width", "channels", "value_range", "mean", "std", "output")
        later = ("depth", "resize", "interpolation", "pooling", "arguments")
        said = {name for name in later if getattr(self, name) is not None}
        return self.model_dump(mode="json", include={*fields, *said})

    def summary(self) -> dict[str, object]:
        """Return what the card says, in JSON, for the evidence and the report; no test vector.

        Examples
        --------
        >>> card = Card(name="bank", layout="NHWC", height=8, width=8, channels=1,
        ...             value_range="uint8", dimension=4, licence="MIT")
        >>> card.summary()["licence"]
        'MIT'
        """
        absent = {name for name in _LATER if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude={*absent, "test_vector"})


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder that is ready to embed.

    Parameters
    ----------
    name
        What it is called.
    digest
        SHA-256 over everything that changes its vectors: weights, preprocessing, engine.
    engine
        What computes, with its version.
    precision
        Of its arithmetic, as ``"float32"`` or ``"int8"``.
    dimension
        Length of a vector.
    card
        What it says of itself.
    embed
        uint8 ``(b, h, w)`` or ``(b, h, w, 3)``, or of volumes ``(b, depth, h, w)``, → float32
        ``(b, d)``.
    run
        The network alone, on prepared values; None where it is no network.
    chosen
        How the engine was chosen, with what was measured; None where it was said.
    """

    name: str
    digest: str
    engine: str
    precision: str
    dimension: int
    card: Card
    embed: Embed
    run: Callable[[npt.NDArray[np.generic]], npt.NDArray[np.float32]] | None = None
    chosen: Mapping[str, object] | None = None


def card_of(content: Mapping[str, object], *, where: str) -> Card:
    """Return the card that a mapping describes.

    Parameters
    ----------
    content
        Field → value.
    where
        Whose card it is, for the message.

    Raises
    ------
    InvalidEncoder
        If a field is not known, is missing (a licence must be stated), or says what cannot be.

    Examples
    --------
    >>> card_of({"licencex": "MIT"}, where="card.yaml")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card.yaml: unknown key 'licencex'
    """
    unknown = [key for key in content if key not in Card.model_fields]
    if unknown:
        hint = nearest(str(unknown[0]), Card.model_fields)
        known = f"known keys: {', '.join(Card.model_fields)}"
        raise InvalidEncoder(f"{where}: unknown key '{unknown[0]}'", hint=hint or known)
    if not content.get("licence"):
        raise InvalidEncoder(
            f"{where}: no licence; expected the terms under which the weights may be used",
            hint="ask the maker of the model; an encoder without a stated licence is not run",
        )
    try:
        return Card.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "card"
        found = "" if first["type"] in {"missing", "value_error"} else f" (got {first['input']!r})"
        raise InvalidEncoder(f"{where}: {field}: {first['msg']}{found}") from error


def load(path: Path) -> Card:
    """Return the card in a YAML file.

    Raises
    ------
    InvalidEncoder
        If the file is absent, is not YAML, or is not a card.

    Examples
    --------
    >>> load(Path("nowhere.yaml"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidEncoder: card nowhere.yaml: no such file
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidEncoder(f"card {path}: no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidEncoder(f"card {path}: not readable as YAML ({error})") from error
    if not isinstance(content, dict):
        raise InvalidEncoder(
            f"card {path}: holds {type(content).__name__}; expected a mapping of fields"
        )
    return card_of(content, where=f"card {path}")
