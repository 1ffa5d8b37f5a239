"""The declared study: who takes part, what is counted, and what nobody may be asked for.

All sites must hold the same declaration, byte for byte: it is what a site agrees to, and each
answer names its digest.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from equipoise import evidence
from equipoise.errors import InvalidConfiguration, nearest
from equipoise.metrics import METRICS, Minimum

VERSION = 1
"""Raised when the same tables give other results."""

SCHEMA = 1
"""Version of the declaration and of the messages; both sides must speak the same."""

FEWEST = 3
"""Of two sites each knows the other's counts from the sum: a sum is of three or more."""


class Timeouts(BaseModel):
    """How long the server waits, in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    round: int = Field(
        default=120, ge=1, le=3600, description="A round ends after so many seconds, come what may."
    )
    patience: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="How long the rest is waited for once a quorum has answered.",
    )


class Federation(BaseModel):
    """A federated audit, declared before anything is counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=SCHEMA, description="Version of this declaration.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Name of the study.")
    sites: tuple[str, ...] = Field(
        min_length=FEWEST, description="The sites by name, as on their certificates."
    )
    attributes: Mapping[str, tuple[str, ...]] = Field(
        min_length=1,
        description="Attribute → its levels, declared before looking, 'unknown' too if it occurs.",
    )
    references: Mapping[str, str] = Field(
        default_factory=dict,
        description="Attribute → the level with which the others are compared; without, the rest.",
    )
    intersections: int = Field(
        default=2, ge=1, le=3, description="How many attributes are combined at most; 1 is none."
    )
    findings: tuple[str, ...] = Field(min_length=1, description="The findings.")
    candidate: str = Field(default="predictions", description="Whose scores they are.")
    metrics: tuple[str, ...] = Field(
        default=tuple(METRICS), min_length=1, description="Which metrics."
    )
    operating_points: Mapping[str, float] = Field(
        default_factory=dict, description="Operating point → threshold, the same at all sites."
    )
    minimum: Minimum = Field(
        default_factory=Minimum, description="What a group needs in the pooled counts."
    )
    minimum_cell: int = Field(
        default=5,
        ge=1,
        description="Fewest patients in a cell that leaves a site; smaller ones are withheld, and "
        "with them as many others as keep them from being worked out. 1 withholds nothing.",
    )
    minimum_sites: int = Field(
        default=FEWEST, ge=FEWEST, description="Fewest contributing sites of a sum."
    )
    quorum: int | None = Field(
        default=None,
        ge=FEWEST,
        description="Answers after which the server waits only `timeouts.patience` more; "
        "all sites but one, and at least `minimum_sites`, by default.",
    )
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long is waited.")
    patients_disjoint: Literal[True] = Field(
        description="Declares that no patient is at two sites: their counts could not be added."
    )
    codes_local: bool = Field(
        default=True,
        description="Whether each site numbers its own patients, so that what stands behind the "
        "site in a patient id, as 0042 in a/0042, is somebody else elsewhere. If not, equal codes "
        "are the same patient, and refused as such.",
    )
    patient: str = Field(default="patient_id", description="The column that says whose image.")
    seed: int = Field(
        default=0, ge=0, description="Of the draws behind the simultaneous intervals."
    )

    @field_validator("sites")
    @classmethod
    def _sites_are_distinct(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({site for site in sites if sites.count(site) > 1})
        if twice:
            raise ValueError(f"site '{twice[0]}' stands there twice")
        bad = [s for s in sites if not s.replace("-", "").isalnum() or not s.isascii() or not s]
        if bad or "server" in sites:
            raise ValueError(f"'{(bad or ['server'])[0]}' cannot name a site: letters, digits, -")
        return sites

    @field_validator("operating_points")
    @classmethod
    def _thresholds_are_scores(cls, points: Mapping[str, float]) -> Mapping[str, float]:
        for name, threshold in points.items():
            if not 0 <= threshold <= 1 + 1e-6:  # also false for NaN
                raise ValueError(f"threshold {threshold} of '{name}' is outside [0, 1]")
        return points

    @model_validator(mode="after")
    def _enough_sites(self) -> "Federation":
        if self.minimum_sites > len(self.sites):
            raise ValueError(f"minimum_sites is {self.minimum_sites}, of {len(self.sites)} sites")
        if self.quorum is not None and not self.minimum_sites <= self.quorum <= len(self.sites):
            raise ValueError(
                f"quorum is {self.quorum}; expected {self.minimum_sites} (minimum_sites) to "
                f"{len(self.sites)} (sites)"
            )
        return self

    @property
    def enough(self) -> int:
        """How many answers are a quorum."""
        return self.quorum or max(self.minimum_sites, len(self.sites) - 1)


def load(path: Path) -> Federation:
    """Return the study declared in a YAML file.

    Raises
    ------
    InvalidConfiguration
        If it is absent, no YAML, of another version, or says what cannot be.

    Examples
    --------
    >>> load(Path("nowhere.yaml"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: nowhere.yaml: no such file
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidConfiguration(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfiguration(f"{path}: not readable as YAML ({error})") from error
    return declared(content, where=path.name)


def declared(content: object, *, where: str = "federation") -> Federation:
    """Return the study that a mapping declares.

    Parameters
    ----------
    content
        What the YAML says.
    where
        Whose declaration it is, for messages.

    Raises
    ------
    InvalidConfiguration
        As `load`.

    Examples
    --------
    >>> declared({"version": 7})
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: federation: schema version is 7; expected 1
    """
    if not isinstance(content, dict):
        raise InvalidConfiguration(
            f"{where}: is a {type(content).__name__}; expected keys with values"
        )
    version = content.get("version", SCHEMA)
    if version != SCHEMA:
        raise InvalidConfiguration(
            f"{where}: schema version is {version!r}; expected {SCHEMA}",
            hint="install the same release of Equipoise at the server and at every site",
        )
    try:
        return Federation.model_validate(content)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
    first = next((one for one in wrong if one["type"] == "extra_forbidden"), wrong[0])
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(Federation.model_fields)
        raise InvalidConfiguration(
            f"{where}: unknown key '{place}'; known keys: {', '.join(known)}",
            hint=nearest(place, known),
        )
    raise InvalidConfiguration(f"{where}: {place or 'study'}: {_plain(first['msg'])}")


def _plain(message: str) -> str:
    return (
        message.removeprefix("Value error, ")[:1].lower()
        + message.removeprefix("Value error, ")[1:]
    )


def text(study: Federation) -> str:
    """Return a declaration as YAML, attributes and levels in the order in which they were given.

    Parameters
    ----------
    study
        The declaration.

    Examples
    --------
    >>> study = declared({"name": "a", "sites": ["a", "b", "c"], "attributes": {"sex": ["F"]},
    ...                   "findings": ["x"], "patients_disjoint": True})
    >>> declared(yaml.safe_load(text(study))) == study
    True
    """
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)


def digest(study: Federation) -> str:
    """Return the digest of a declaration, order included, which every answer names.

    Parameters
    ----------
    study
        The declaration.

    Examples
    --------
    >>> study = declared({"name": "a", "sites": ["a", "b", "c"], "attributes": {"sex": ["F"]},
    ...                   "findings": ["x"], "patients_disjoint": True})
    >>> digest(study) == digest(study.model_copy(update={"seed": 1}))
    False
    """
    return evidence.digest(text(study))
