"""What ``bundle.json`` says: what the model answers, what it takes, and how it is to be audited."""

from collections.abc import Mapping
from datetime import date
from typing import Literal, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from equipoise.encoders import Encoder
from equipoise.errors import InvalidInput, Refused
from equipoise.images import Fit, Frame
from equipoise.metrics import METRICS, Minimum
from equipoise.tables import REQUESTS
from equipoise.tables.nouns import ACQUISITION

VERSION = 1
"""Raised when the meaning of a key in ``bundle.json`` changes."""

Span = tuple[int, int]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _shown(text: str) -> str:
    """Return a line that a terminal, a log or a page shows as it is; it comes from elsewhere."""
    if not text.isprintable():
        raise ValueError("holds control characters; expected one printable line")
    return text


class Override(_Part):
    """Who lets a model be used without a pass, why, and until when."""

    name: str = Field(min_length=1, description="Who answers for it.")
    reason: str = Field(min_length=1, description="Why it may be used all the same.")
    expires: date = Field(description="The last day on which it holds.")

    @field_validator("name", "reason")
    @classmethod
    def _says_something(cls, text: str) -> str:
        line = " ".join(text.split())
        if not line:
            raise ValueError("is blank; expected a text")
        return _shown(line)


class InputContract(_Part):
    """What images the model takes; None is not restricted, since the reference does not say it."""

    modalities: tuple[str, ...] | None = Field(default=None, description="As DX, CR.")
    views: tuple[str, ...] | None = Field(default=None, description="As AP, PA.")
    photometric: tuple[str, ...] | None = Field(default=None, description="As MONOCHROME2.")
    rows: Span | None = Field(default=None, description="Fewest and most rows (pixels) as stored.")
    columns: Span | None = Field(default=None, description="Fewest and most columns as stored.")
    may_lack: tuple[str, ...] = Field(
        default=(), description="What the header of a reference image did not always say."
    )
    height: int = Field(gt=0, description="Of the image cache (pixels).")
    width: int = Field(gt=0, description="Of the image cache (pixels).")
    channels: Literal[1, 3] = Field(description="1 grey, 3 colour.")
    fit: Fit = Field(default="stretch", description="How an image is brought to that size.")
    distance_limit: float | None = Field(
        default=None,
        gt=0,
        description="Distance from the reference embeddings beyond which an image is refused.",
    )

    @property
    def frame(self) -> Frame:
        """The size to which an image is brought."""
        return Frame(self.height, self.width, self.channels, self.fit)


class Band(_Part):
    """How an attribute is cut from a number."""

    source: str = Field(alias="from", description="The numeric column, as age_years.")
    edges: tuple[int, ...] = Field(min_length=1, description="Where a new band begins.")


class AuditPlan(_Part):
    """How the model is audited anywhere: the groups are declared before any local image is seen."""

    attributes: Mapping[str, list[str]] = Field(
        min_length=1, description="Attribute → its levels, all declared."
    )
    references: Mapping[str, str] = Field(
        default_factory=dict, description="Attribute → the level others are compared with."
    )
    intersections: int = Field(default=2, ge=1, le=3, description="Attributes combined at most.")
    minimum: Minimum = Field(default_factory=Minimum, description="What a group needs.")
    metrics: tuple[str, ...] = Field(
        default=tuple(METRICS), min_length=1, description="Which metrics."
    )
    bands: Mapping[str, Band] = Field(
        default_factory=dict, description="Attribute → how it is cut from a number."
    )
    seed: int = Field(default=0, ge=0, description="Of the simultaneous intervals.")

    @field_validator("attributes")
    @classmethod
    def _names_of_their_own(cls, attributes: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
        """Refuse a name under which the log of requests says something else."""
        for name in attributes:
            column = REQUESTS.column(name, pl.String())
            free = column is not None and column.kind == "text" and column.among is None
            taken = name in REQUESTS.columns and name not in ACQUISITION
            if not free or taken:
                raise ValueError(f"attribute '{name}': the log of requests says something else so")
        return attributes


class Claim(_Part):
    """What the maker claims of a model at an operating point, where no reference counts travel."""

    sensitivity: float = Field(ge=0, le=1, description="Share of positives called positive.")
    specificity: float = Field(ge=0, le=1, description="Share of negatives called negative.")


class Head(_Part):
    """Where a finding's score comes from: a probe, or a column of what the encoder answers."""

    kind: Literal["probe", "output"] = Field(description="probe or output.")
    file: str | None = Field(default=None, description="probe: its file, without the ending.")
    column: int | None = Field(default=None, ge=0, description="output: the column, from 0.")

    @model_validator(mode="after")
    def _complete(self) -> "Head":
        needed = self.file if self.kind == "probe" else self.column
        if needed is None:
            raise ValueError(f"head: a {self.kind} needs its file (probe) or its column (output)")
        return self


class EncoderNote(_Part):
    """Which encoder travels with the bundle."""

    name: str = Field(description="What it is called.")
    digest: str = Field(description="SHA-256 over everything that changes its vectors.")
    engine: str = Field(description="What computed the reference, with its version.")
    precision: str = Field(description="Of its arithmetic.")
    dimension: int = Field(gt=0, description="Length of a vector.")
    licence: str = Field(description="Under which its weights may be used.")

    @classmethod
    def of(cls, encoder: Encoder) -> "EncoderNote":
        """Return the note about an encoder."""
        return cls(
            name=encoder.name,
            digest=encoder.digest,
            engine=encoder.engine,
            precision=encoder.precision,
            dimension=encoder.dimension,
            licence=encoder.card.licence,
        )


class Manifest(_Part):
    """All that ``bundle.json`` says."""

    version: Literal[1] = Field(default=1, description="Of this form of bundle.")
    name: str = Field(min_length=1, description="What the bundle is called.")
    intended_use: str = Field(default="not available", description="What it is for.")
    findings: tuple[str, ...] = Field(min_length=1, description="What it answers.")
    candidate: str = Field(min_length=1, description="Whose scores they are.")
    encoder: EncoderNote = Field(description="Which encoder travels with it.")
    heads: Mapping[str, Head] = Field(description="Finding → where its score comes from.")
    contract: InputContract = Field(description="What images it takes.")
    audit: AuditPlan = Field(description="How it is audited.")
    verdict: str = Field(description="pass, fail, inconclusive, not assessable or not judged.")
    reason: str = Field(description="Why, in a sentence.")
    override: Override | None = Field(default=None, description="Who lets it be used all the same.")
    claims: Mapping[str, Mapping[str, Claim]] = Field(
        default_factory=dict, description="Finding → operating point → what its maker claims."
    )
    reference: bool = Field(description="Whether reference embeddings are described.")

    @field_validator("name", "reason")
    @classmethod
    def _shown_as_it_is(cls, text: str) -> str:
        return _shown(text)

    @field_validator("findings")
    @classmethod
    def _all_shown_as_they_are(cls, findings: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_shown(finding) for finding in findings)

    @model_validator(mode="after")
    def _heads_for_all(self) -> "Manifest":
        lacking = [finding for finding in self.findings if finding not in self.heads]
        if lacking:
            raise ValueError(f"finding '{lacking[0]}' has no head")
        return self


Model = TypeVar("Model", bound=BaseModel)


def parsed(model: type[Model], content: object, where: str) -> Model:
    """Return a part of a bundle, or say which key is wrong.

    Raises
    ------
    InvalidInput
        With the key, what was found and what was expected.

    Examples
    --------
    >>> parsed(Override, {"name": "A. Lee", "reason": " ", "expires": "2030-01-01"}, "override")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: override: reason: Value error, is blank; expected a text; \
found ' '
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    place = ".".join([where, *(str(part) for part in first["loc"])]).replace(f"{where}.", "", 1)
    found = "" if first["type"] == "missing" else f"; found {first['input']!r}"
    raise InvalidInput(f"{where}: {place}: {first['msg']}{found}")


def check_in_force(override: Override | None, *, on: date, name: str) -> None:
    """Refuse a bundle whose override has run out.

    An override is a permission that a named person gave for a time. After its last day nobody
    answers for the model any longer, so that a warning would not do: who uses a bundle asks first.

    Parameters
    ----------
    override
        That of the bundle, if it has one.
    on
        Today, as the caller says.
    name
        The bundle's, for the message.

    Raises
    ------
    Refused
        If the override has expired.

    Examples
    --------
    >>> given = Override(name="A. Lee", reason="pilot", expires=date(2026, 1, 31))
    >>> check_in_force(given, on=date(2026, 1, 31), name="demo")
    >>> check_in_force(given, on=date(2026, 2, 1), name="demo")
    Traceback (most recent call last):
        ...
    equipoise.errors.Refused: bundle 'demo': the override by A. Lee expired on 2026-01-31 \
(today is 2026-02-01)
    """
    if override is not None and on > override.expires:
        raise Refused(
            f"bundle '{name}': the override by {override.name} expired on {override.expires} "
            f"(today is {on})",
            hint="its verdict is no pass; release it again with a new override, or with a pass",
        )
