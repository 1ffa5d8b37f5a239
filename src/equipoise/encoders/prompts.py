"""Prompt sets: what is said of each finding, as data that is checked and has a digest."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from equipoise import evidence
from equipoise.errors import InvalidConfiguration

_PLACE = "{}"


class Sides(BaseModel):
    """What is said where a finding is there, and where it is not.

    Examples
    --------
    >>> Sides(positive=("edema",), negative=("no edema",)).pairing
    'paired'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    positive: tuple[str, ...] = Field(description="texts that say the finding is there")
    negative: tuple[str, ...] = Field(description="texts that say it is not")
    pairing: Literal["paired", "crossed"] = Field(
        default="paired",
        description="which single pairs are looked at for sensitivity. paired: the first positive "
        "with the first negative, and so on; crossed: each with each",
    )

    @model_validator(mode="after")
    def _both_sides_are_said(self) -> "Sides":
        for name in ("positive", "negative"):
            texts: tuple[str, ...] = getattr(self, name)
            if not texts:
                raise ValueError(f"no {name} prompt; expected at least one")
            if any(not text.strip() for text in texts):
                raise ValueError(f"a {name} prompt is blank")
            if len(set(texts)) < len(texts):
                raise ValueError(f"a {name} prompt occurs twice")
        both = [text for text in self.positive if text in self.negative]
        if both:
            raise ValueError(f"'{both[0]}' is both positive and negative")
        if self.pairing == "paired" and len(self.positive) != len(self.negative):
            raise ValueError(
                f"{len(self.positive)} positive and {len(self.negative)} negative prompts do not "
                "pair; expected as many of either, or pairing: crossed"
            )
        return self


class PromptSet(BaseModel):
    """Finding → what is said of it, each prompt put into each template.

    Examples
    --------
    >>> made = PromptSet(name="two", templates=("{}", "X-ray: {}"), findings={
    ...     "edema": {"positive": ["edema"], "negative": ["no edema"]}})
    >>> made.pairs("edema")
    (('edema', 'no edema'), ('X-ray: edema', 'X-ray: no edema'))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(default=1, description="of this form")
    name: str = Field(min_length=1, description="what the set is called")
    source: str = Field(default="not available", description="where its prompts come from")
    templates: tuple[str, ...] = Field(
        default=(_PLACE,), min_length=1, description="texts with one {} where a prompt is put"
    )
    findings: dict[str, Sides] = Field(description="finding → its prompts")

    @field_validator("templates")
    @classmethod
    def _one_place_each(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for text in templates:
            if (n := text.count(_PLACE)) != 1:
                raise ValueError(f"template '{text}' has {n} places {_PLACE}; expected one")
        if len(set(templates)) < len(templates):
            raise ValueError("a template occurs twice")
        return templates

    @field_validator("findings")
    @classmethod
    def _some_finding(cls, findings: dict[str, Sides]) -> dict[str, Sides]:
        if not findings:
            raise ValueError("no finding; expected at least one with its prompts")
        return findings

    def texts(self, prompts: tuple[str, ...]) -> tuple[str, ...]:
        """Return each prompt in each template.

        Examples
        --------
        >>> PromptSet(name="one", findings={
        ...     "edema": {"positive": ["edema"], "negative": ["none"]}}).texts(("edema",))
        ('edema',)
        """
        return tuple(
            template.replace(_PLACE, prompt) for prompt in prompts for template in self.templates
        )

    def pairs(self, finding: str) -> tuple[tuple[str, str], ...]:
        """Return the single pairs of texts of a finding, positive and negative.

        Examples
        --------
        >>> PromptSet(name="one", findings={"edema": {"positive": ["edema", "wet lungs"],
        ...     "negative": ["none"], "pairing": "crossed"}}).pairs("edema")
        (('edema', 'none'), ('wet lungs', 'none'))
        """
        said = self.findings[finding]
        crossed = [(one, other) for one in said.positive for other in said.negative]
        paired = list(zip(said.positive, said.negative, strict=False))
        return tuple(
            (template.replace(_PLACE, one), template.replace(_PLACE, other))
            for one, other in (crossed if said.pairing == "crossed" else paired)
            for template in self.templates
        )

    def digest(self) -> str:
        """Return the SHA-256 of what is said; name and source do not change it.

        Examples
        --------
        >>> sides = {"edema": {"positive": ["edema"], "negative": ["no edema"]}}
        >>> PromptSet(name="a", findings=sides).digest() == PromptSet(
        ...     name="b", findings=sides).digest()
        True
        """
        return evidence.digest(self.model_dump(mode="json", exclude={"name", "source"}))


def load_prompts(path: Path) -> PromptSet:
    """Return the prompt set in a YAML file.

    Raises
    ------
    InvalidConfiguration
        If the file is absent, is not YAML, or is not a prompt set.

    Examples
    --------
    >>> load_prompts(Path("nowhere.yaml"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: prompts nowhere.yaml: no such file
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidConfiguration(f"prompts {path}: no such file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfiguration(f"prompts {path}: not readable as YAML ({error})") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise InvalidConfiguration(
            f"prompts {path}: holds {found}; expected a mapping with 'name' and 'findings'"
        )
    try:
        return PromptSet.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "prompt set"
        raise InvalidConfiguration(f"prompts {path}: {field}: {first['msg']}") from error
