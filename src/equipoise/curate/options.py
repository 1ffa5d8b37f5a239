"""What may be asked of curation."""

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """How the cohort is split and balanced."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: dict[str, float] = Field(
        default={"train": 0.5, "validation": 0.2, "test": 0.3},
        description="share of the patients in each split; they add up to 1",
    )
    findings: tuple[str, ...] | None = Field(
        default=None, description="findings to stratify and balance by; all by default"
    )
    stratify_by: tuple[str, ...] | None = Field(
        default=None, description="attributes to stratify and balance by; all by default"
    )
    folds: int = Field(default=5, ge=2, description="folds for cross-fitting, by patient")
    seed: int = Field(default=0, description="another seed, another draw")
    given: str | None = Field(
        default=None,
        description="column of the cohort with a split of your own: train, validation, test",
    )
    small_cell: int = Field(
        default=30, ge=1, description="cells of split, label and group with fewer images are listed"
    )
