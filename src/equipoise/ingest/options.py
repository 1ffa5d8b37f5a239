"""What ingestion may be told: where the files are, and what the columns of a table mean."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise.errors import InvalidConfiguration
from equipoise.images import Fit, Form, Frame
from equipoise.tables.nouns import ACQUISITION, COHORT

Word = str | int | float | bool
_TAKEN = {*COHORT.columns, *ACQUISITION}
_FROM_HEADER = ("age", "view", "acquired_on", "site", "study")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Finding(_Part):
    """How the label of a finding is read from a column."""

    column: str = Field(description="Column of the table.")
    contains: str | list[str] | None = Field(
        default=None,
        description="Positive where the cell holds this word, or one of these; an empty cell is "
        "not assessed. Without it the column itself holds 0, 1 or nothing.",
    )
    separator: str | None = Field(
        default=None,
        description="What parts the words in a cell, as '|'. Without it a cell is one word.",
    )
    source: str | None = Field(
        default=None, description="Where the label comes from, as 'text-mined from reports'."
    )


class Band(_Part):
    """An attribute that is cut from a number."""

    source: str = Field(alias="from", description="The numeric column, as age_years.")
    edges: Annotated[list[int], Field(min_length=1)] = Field(
        description="Where a new band begins, ascending: [40, 65] gives 0-39, 40-64 and 65+."
    )

    @model_validator(mode="after")
    def _ascending(self) -> "Band":
        if self.edges != sorted(set(self.edges)) or self.edges[0] <= 0:
            raise InvalidConfiguration(
                f"ingest: bands: edges {self.edges}; expected whole numbers above 0, ascending"
            )
        return self


class Columns(_Part):
    """Which column of the table means what."""

    image: str | None = Field(
        default=None,
        description="Names the image. Files: its path in the folder (default 'image'). DICOM "
        "labels: its SOP instance UID (default 'sop_instance_uid') or path, see label_key.",
    )
    image_id: str | None = Field(
        default=None, description="Files: the id of the image; its path if nothing is said."
    )
    patient: str | None = Field(
        default=None,
        description="The patient. Files without it: every image counts as one patient.",
    )
    study: str | None = Field(default=None, description="Files: the study.")
    site: str | None = Field(
        default=None, description="Files: the site, unless one is said for all."
    )
    age: str | None = Field(default=None, description="Files: age, in years or as 045Y.")
    view: str | None = Field(default=None, description="Files: the view, as AP or PA.")
    acquired_on: str | None = Field(default=None, description="Files: the date of acquisition.")
    attributes: Mapping[str, str] = Field(
        default_factory=dict, description="Attribute → column, as {sex: Sex}."
    )
    findings: Mapping[str, str | Finding] = Field(
        default_factory=dict,
        description="Finding → column, or a rule. DICOM labels without it: every column that is "
        "called label:<finding>.",
    )
    keep: Mapping[str, str] = Field(
        default_factory=dict,
        description="Cohort column → column, for acquisition facts (as manufacturer) and numbers.",
    )


class Options(BaseModel):
    """Options of *ingest*."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Form = Field(
        default="dicom",
        description="dicom: a folder of DICOM files; files: PNG, JPEG, … and a table.",
    )
    folder: str | None = Field(
        default=None,
        description="Folder of the images. DICOM: may come from another stage instead.",
    )
    table: str | None = Field(default=None, description="Files: CSV or Parquet, a row per image.")
    labels: str | None = Field(
        default=None, description="DICOM: CSV or Parquet with labels and further attributes."
    )
    label_key: Literal["image", "patient", "path"] = Field(
        default="image",
        description="What joins labels to DICOM files: SOP instance UID, patient id, or path.",
    )
    columns: Columns = Field(
        default_factory=Columns, description="Which column of the table means what."
    )
    ending: str = Field(default="", description="Files: added to the image column, as .jpg.")
    site: str | None = Field(default=None, description="One site for all images.")
    site_from: Literal["header", "folder"] = Field(
        default="header",
        description="DICOM: where the site is read, the institution in the header or the first "
        "folder of the path.",
    )
    patient_means: str = Field(
        default="patient",
        description="What a patient id stands for, if not a patient: lesion, study.",
    )
    where: Mapping[str, Word | list[Word]] = Field(
        default_factory=dict,
        description="Keep only what has this value, or one of these: column → value.",
    )
    bands: Mapping[str, Band] = Field(
        default_factory=dict, description="Attributes that are cut from numbers."
    )
    size: int | tuple[int, int] = Field(
        default=224, description="Height and width of all images (pixels); one number for both."
    )
    channels: Literal[1, 3] = Field(default=1, description="1 grey, 3 colour.")
    fit: Fit = Field(
        default="stretch",
        description="stretch: the aspect ratio is given up. pad: it is kept with black bars, "
        "whose width tells the shape of the original.",
    )

    @property
    def frame(self) -> Frame:
        """The one size of all images."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Frame(height, width, self.channels, self.fit)

    @model_validator(mode="after")
    def _consistent(self) -> "Options":
        if min(self.frame.height, self.frame.width) < 1:
            raise InvalidConfiguration(f"ingest: size {self.size}; expected at least 1 pixel")
        if self.format == "dicom":
            _check_dicom(self)
        else:
            _check_files(self)
        for name in [*self.columns.attributes, *self.bands]:
            if name in _TAKEN or name.startswith(tuple(COHORT.families)):
                raise InvalidConfiguration(
                    f"ingest: '{name}' cannot be an attribute: the cohort has such a column"
                )
        return self


def _check_dicom(options: Options) -> None:
    if options.table is not None:
        raise InvalidConfiguration(
            "ingest: 'table' is for format files", hint="for DICOM say it under 'labels'"
        )
    for name in _FROM_HEADER:
        if getattr(options.columns, name) is not None:
            raise InvalidConfiguration(
                f"ingest: columns.{name} is for format files; DICOM says it in the header"
            )


def _check_files(options: Options) -> None:
    if options.folder is None or options.table is None:
        raise InvalidConfiguration("ingest: format files needs 'folder' and 'table'")
    if options.labels is not None:
        raise InvalidConfiguration(
            "ingest: 'labels' is for format dicom", hint="name the columns under columns.findings"
        )
