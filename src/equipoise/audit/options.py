"""What an audit may be told."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from equipoise.metrics import METRICS, Minimum


class Options(BaseModel):
    """What is audited, for whom, and how small a group may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: Mapping[str, list[str] | None] = Field(
        default_factory=dict,
        description="Attribute → its levels, declared before looking, 'unknown' too if it occurs. "
        "Bands, as 0-39, 40-64, 65+, cut a column of numbers. "
        "Without levels they are taken from the data: then every result is exploratory, and no "
        "exploratory result passes a gate.",
    )
    references: Mapping[str, str] = Field(
        default_factory=dict,
        description="Attribute → the level with which the others are compared. Without one, each "
        "level is compared with the rest.",
    )
    against: Literal["rest", "overall"] = Field(
        default="rest",
        description="What a group is compared with where no reference is declared: the rest, or "
        "everybody, itself too.",
    )
    intersections: int = Field(
        default=2, ge=1, le=3, description="How many attributes are combined at most; 1 is none."
    )
    sets: list[list[str]] | None = Field(
        default=None,
        description="Which attributes are combined, set by set, as [[sex, age_band], [site]]; "
        "instead of all up to `intersections`.",
    )
    findings: list[str] | None = Field(
        default=None, description="Which findings; all that have a label and a score, by default."
    )
    split: Literal["train", "validation", "test", "all"] | None = Field(
        default=None,
        description="Which images; the test split, or all where scores are cross-fitted. Others "
        "make every result exploratory: the model was fitted or chosen on them.",
    )
    candidate: str | None = Field(
        default=None, description="Whose predictions; those of the selected candidate, by default."
    )
    metrics: list[str] = Field(
        default_factory=lambda: list(METRICS),
        min_length=1,
        description="Which metrics. Rates need an operating point: there is none by default.",
    )
    standardise: list[Mapping[str, Mapping[str, float] | str | float]] = Field(
        default_factory=list,
        description="Case mixes to which estimates are standardised, beside the crude ones: column "
        "→ overall, the share of each level, or a group as sex=M; prevalence → the share of "
        "positives. As [{age_band: overall}, {view: {AP: 0.5, PA: 0.5}}].",
    )
    minimum: Minimum = Field(
        default_factory=Minimum, description="What a group needs; below it is not assessable."
    )
    patient_is: str = Field(
        default="patient",
        description="What a patient id stands for, as 'lesion' where the patient is not known.",
    )
    describe: bool = Field(
        default=True,
        description="Whether range, ratio, worst group, variance between groups and odds are "
        "described, beside what chance would make of them.",
    )
    shrink: bool = Field(
        default=True,
        description="Whether small intersections are also drawn to their main effects.",
    )
    seed: int = Field(
        default=0, ge=0, description="Of the draws behind the simultaneous intervals."
    )
