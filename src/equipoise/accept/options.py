"""What an acceptance test may be told."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Which bundle is tested, and how carefully its chances are worked out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str | None = Field(
        default=None, description="Folder or zip of the bundle, unless a stage before gives one."
    )
    today: date | None = Field(
        default=None,
        description="Today, by which an override may have expired; the command line fills it in.",
    )
    draws: int = Field(
        default=100, ge=5, description="Draws of local scores behind the chance of each verdict."
    )
    worst_draws: int = Field(
        default=25, ge=5, description="The same, for each case of a difference beyond tolerance."
    )
    chance: float = Field(
        default=0.8, gt=0.5, lt=1, description="With which the numbers needed shall suffice."
    )
    beyond: float = Field(
        default=0.01,
        gt=0,
        lt=0.5,
        description="By how much the difference of a worst case lies beyond the tolerance.",
    )
    correlation: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Of the scores of two images of a patient with the same label, where the "
        "bundle does not say it.",
    )
    shift_draws: int = Field(
        default=1000, ge=100, description="Draws behind each p value of the input shift."
    )
    seed: int = Field(default=0, ge=0, description="Of all draws.")
