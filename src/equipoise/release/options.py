"""What a release may be told."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise.bundles import Override


class Options(BaseModel):
    """What the bundle is called, and who lets it go if its verdict is no pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="What the bundle is called.")
    intended_use: str = Field(
        default="not available", description="For whom, where and for what it is made."
    )
    format: Literal["folder", "zip"] = Field(
        default="folder", description="folder, or zip: the same beside it in one file."
    )
    override: Override | None = Field(
        default=None,
        description="Who lets it be used without a pass: {name, reason, expires}. It is shown "
        "everywhere after. Of no use if the verdict is pass.",
    )
    today: date | None = Field(
        default=None,
        description="Today, by which an override may have expired; the command line fills it in.",
    )
    distance_quantile: float = Field(
        default=0.995,
        ge=0.9,
        le=1.0,
        description="Quantile of the distances of held-out images beyond which the input gate "
        "refuses an image.",
    )
    size_margin: float = Field(
        default=2.0,
        ge=1.0,
        description="By which factor an image may be smaller or larger than any seen before.",
    )

    @model_validator(mode="after")
    def _knows_the_day(self) -> "Options":
        if self.override is not None and self.today is None:
            raise ValueError(
                "an override needs the date of the release, as today: 2026-11-25, so that it can "
                "be seen to hold"
            )
        return self
