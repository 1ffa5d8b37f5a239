"""What can be said to the stage *report*."""

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """The options of a report.

    Examples
    --------
    >>> Options().language
    'en'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field("Subgroup audit", min_length=1, description="the heading of the page")
    language: str = Field("en", description="the language of the page; a file in equipoise/words")
    audience: str = Field("", description="a sentence to the readers, shown under the heading")
    intended_use: str = Field(
        "", description="what the model is for, and for whom; empty is shown as not available"
    )
