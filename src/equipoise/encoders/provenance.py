"""What is known of a model beside its arithmetic: terms, who it learnt from, documented bias."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

POINTS = ("gated", "research_only", "non_commercial", "derivative_bound")
"""What a licence is asked; each is true, false, or not known."""

TERM_FACTS = {point: f"terms.{point}" for point in POINTS}
"""Point → what a card calls it among its facts."""

Use = Literal["research", "clinical", "commercial"]
"""What vectors are made for: the licence of the weights may forbid it."""


class Terms(BaseModel):
    """What the licence of the weights asks, each point with the clause that says so.

    A point is null where it is not known, which is another thing than allowed.

    Examples
    --------
    >>> Terms(gated=True, research_only=True, clauses={"research_only": "card, 'Use'"}).gated
    True
    >>> Terms(non_commercial=True)
    Traceback (most recent call last):
        ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Terms
      Value error, non_commercial: no clause; expected where the licence says so ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gated: bool | None = Field(
        default=None, description="whether a form or a log-in stands before the weights"
    )
    research_only: bool | None = Field(
        default=None, description="whether use on patients, or deployment, is ruled out"
    )
    non_commercial: bool | None = Field(
        default=None, description="whether commercial use is ruled out"
    )
    derivative_bound: bool | None = Field(
        default=None,
        description="whether what is made with it, as a probe on its vectors, may not be shared "
        "without its maker's leave",
    )
    share_conditions: str | None = Field(
        default=None, description="on which terms what is made with it may be shared, if on any"
    )
    clauses: dict[str, str] = Field(
        default={}, description="point → the clause of the licence, or of the card, that says so"
    )

    @model_validator(mode="after")
    def _clauses_are_named(self) -> "Terms":
        for point in ("research_only", "non_commercial", "derivative_bound"):
            if getattr(self, point) and not self.clauses.get(point):
                raise ValueError(f"{point}: no clause; expected where the licence says so")
        for point in self.clauses:
            if point not in POINTS:
                raise ValueError(f"clauses: unknown point '{point}'")
        return self


class Population(BaseModel):
    """Some of the people whose images a model was trained on.

    Examples
    --------
    >>> one = Population(dataset="MIMIC-CXR", country="US", people="one hospital", source="paper")
    >>> one.images is None
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(min_length=1, description="name of the data set")
    country: str = Field(
        min_length=1, description="where its images come from, ISO 3166 letters, or 'several'"
    )
    people: str = Field(
        min_length=1, description="who they are, in a few words: hospital, age, ethnicity"
    )
    images: int | None = Field(default=None, gt=0, description="how many images, if published")
    source: str = Field(min_length=1, description="where that is published")


class Bias(BaseModel):
    """A bias of this model that somebody measured and published.

    Examples
    --------
    >>> Bias(finding="encodes sex", source="Glocker et al. 2023").source
    'Glocker et al. 2023'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    finding: str = Field(min_length=1, description="what was found, with its numbers")
    source: str = Field(min_length=1, description="where that is published")
