"""What documentation may be told."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from equipoise.document.datasheets import check_answers

_Share = Annotated[float, Field(ge=0, le=1)]


class Options(BaseModel):
    """Options of *document*."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: list[str] | None = Field(
        default=None, description="Attributes to count by; all of the cohort if nothing is said."
    )
    findings: list[str] | None = Field(
        default=None, description="Findings to document; all of the cohort if nothing is said."
    )
    given_splits: str | None = Field(
        default=None,
        description="Attribute that holds splits someone else made: patients in several are named.",
    )
    material_excess: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        default=0.10,
        description="A source without image content warns if its AUROC is surely above 0.5 by "
        "more than this.",
    )
    share_of_encoder: _Share = Field(
        default=0.8,
        description="A thumbnail, border or other probe that sees some content warns if its "
        "excess over 0.5 is at least this share of the encoder's.",
    )
    level: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.05, description="Risk of any false warning in the whole battery."
    )
    folds: Annotated[int, Field(ge=2)] = Field(
        default=5, description="Patient folds over which each probe is cross-fitted."
    )
    minimum_patients: Annotated[int, Field(ge=2)] = Field(
        default=20,
        description="Patients with and patients without the finding that a probe needs.",
    )
    most_images: Annotated[int, Field(ge=100)] = Field(
        default=20_000,
        description="Images that a probe uses at most; of more, whole patients are drawn.",
    )
    penalty_content_free: Annotated[float, Field(gt=0)] = Field(
        default=0.001, description="Penalty of probes of a few numbers."
    )
    penalty_content: Annotated[float, Field(gt=0)] = Field(
        default=0.1, description="Penalty of probes of pixels and embeddings."
    )
    seed: int = Field(default=0, description="Of the folds and of the draw of patients.")
    datasheet: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict,
        description="Answers for the datasheet: section → field → text. What is not answered "
        "says 'not available'.",
    )

    @field_validator("datasheet")
    @classmethod
    def _known_fields(
        cls, said: Mapping[str, Mapping[str, str]]
    ) -> Mapping[str, Mapping[str, str]]:
        check_answers(said)
        return said
