"""What a bench of phantoms is to be: patients, sites, the finding, and the planted biases."""

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from equipoise.errors import InvalidConfiguration, nearest
from equipoise.phantoms.biases import Bias, Group, Shortcut, check_kinds, checked_group


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(_Part):
    """A site with its scanner; patients come to one site only."""

    name: str = Field(pattern=r"^[a-z0-9_-]{1,16}$", description="Name, also of its folder.")
    manufacturer: str = Field(default="Alder Imaging", description="Maker of the scanner.")
    model: str = Field(default="Alder R1", description="Model of the scanner.")
    modality: Literal["CR", "DX"] = Field(default="DX", description="Kind of DICOM object.")
    share: float = Field(default=1.0, gt=0, description="Weight of the site among the patients.")
    bits: Literal[12, 16] = Field(default=12, description="Bits stored, of 16 allocated.")
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = Field(
        default="MONOCHROME2", description="MONOCHROME1 is stored inverted."
    )
    signed: bool = Field(default=False, description="Whether stored values are signed (CR only).")
    slope: float = Field(default=1.0, gt=0, description="RescaleSlope (1 for DX).")
    intercept: float = Field(default=0.0, description="RescaleIntercept (0 for DX).")
    gain: float = Field(default=1.0, gt=0, description="Brightness of the detector, 1 is usual.")
    noise: float = Field(default=0.028, ge=0, description="Noise, as a share of the full scale.")
    blur: float = Field(default=0.7, ge=0, description="Blur of the detector (pixels at 128).")
    portable_share: float = Field(
        default=0.3, ge=0, le=1, description="Share of images in view AP, the rest are PA."
    )

    @model_validator(mode="after")
    def _digital_radiography_is_plain(self) -> "Site":
        if self.modality == "DX" and (self.signed or self.slope != 1 or self.intercept != 0):
            raise InvalidConfiguration(
                f"phantoms: site '{self.name}' is DX with signed={self.signed}, "
                f"slope={self.slope}, intercept={self.intercept}; DICOM allows DX only unsigned "
                "values with slope 1 and intercept 0",
                hint="say `modality: CR` for this site",
            )
        return self


class ImagesPerPatient(_Part):
    """How many images a patient has: at least one."""

    mean: float = Field(default=1.2, ge=1, description="Mean over the patients.")
    max: int = Field(default=3, ge=1, le=8, description="No patient has more.")

    @model_validator(mode="after")
    def _reachable(self) -> "ImagesPerPatient":
        if self.mean > self.max:
            raise InvalidConfiguration(
                f"phantoms: images_per_patient.mean {self.mean} is above max {self.max}"
            )
        return self


class Age(_Part):
    """Ages (years): a normal curve cut at both ends, in whole years."""

    mean: float = Field(default=56, description="Centre of the curve.")
    spread: float = Field(default=17, gt=0, description="Its standard deviation before the cut.")
    low: int = Field(default=18, ge=0, le=120, description="Youngest.")
    high: int = Field(default=92, ge=0, le=120, description="Oldest.")

    @model_validator(mode="after")
    def _ordered(self) -> "Age":
        if self.low > self.high:
            raise InvalidConfiguration(f"phantoms: age.low {self.low} is above high {self.high}")
        return self


class Missing(_Part):
    """Shares of images whose file does not say, at random."""

    sex: float = Field(
        default=0.03, ge=0, lt=1, description="Share without PatientSex (of patients)."
    )
    age: float = Field(
        default=0.03, ge=0, lt=1, description="Share without PatientAge (of patients)."
    )
    view: float = Field(
        default=0.05, ge=0, lt=1, description="Share without ViewPosition (of images)."
    )
    label: float = Field(default=0.01, ge=0, lt=1, description="Share not assessed (of images).")


class LateGroup(_Part):
    """How labels come in one group, where it is not as elsewhere."""

    group: Group = Field(description="As {sex: F}; by true attributes.")
    mean_days: float | None = Field(default=None, gt=0, description="Mean days to a label.")
    never_share: float | None = Field(
        default=None, ge=0, lt=1, description="Share of images that never get a label."
    )

    @field_validator("group", mode="after")
    @classmethod
    def _known(cls, group: Group) -> Group:
        return checked_group(group, "labels_late")


class LabelsLate(_Part):
    """Labels that come after their images, or never: what a monitor in use has to live with."""

    mean_days: float = Field(default=30.0, gt=0, description="Mean days (exponential) to a label.")
    never_share: float = Field(
        default=0.0, ge=0, lt=1, description="Share of images that never get a label."
    )
    groups: tuple[LateGroup, ...] = Field(
        default=(), description="Groups in which it is otherwise; a later one stands above."
    )


_SITES = (
    Site(
        name="harbour",
        manufacturer="Alder Imaging",
        model="Alder R1",
        share=0.4,
        noise=0.026,
        portable_share=0.25,
    ),
    Site(
        name="meadow",
        manufacturer="Birch Medical",
        model="Birch 16",
        share=0.35,
        bits=16,
        photometric="MONOCHROME1",
        gain=0.95,
        noise=0.028,
        blur=0.8,
        portable_share=0.35,
    ),
    Site(
        name="ridge",
        manufacturer="Cedar Systems",
        model="Cedar CR-2",
        modality="CR",
        share=0.25,
        signed=True,
        slope=0.5,
        intercept=1024,
        gain=1.05,
        noise=0.03,
        blur=0.9,
        portable_share=0.45,
    ),
)


class Options(_Part):
    """A bench of chest-like radiographs with a known truth."""

    patients: int = Field(default=1600, ge=1, description="Number of patients.")
    images_per_patient: ImagesPerPatient = Field(
        default=ImagesPerPatient(), description="Images per patient: mean and max."
    )
    seed: int = Field(
        default=1, ge=0, lt=2**32, description="Same seed, same bytes; same patients in every arm."
    )
    size: int = Field(
        default=128, ge=32, le=1024, multiple_of=32, description="Height and width (pixels)."
    )
    sites: tuple[Site, ...] = Field(default=_SITES, min_length=1, description="The sites.")
    prevalence: float = Field(
        default=0.4, gt=0, lt=1, description="Share of patients with the finding."
    )
    visibility: float = Field(
        default=0.18, ge=0, description="Contrast of the opacity (of full scale)."
    )
    female_share: float = Field(default=0.5, gt=0, lt=1, description="Share of patients of sex F.")
    age: Age = Field(default=Age(), description="Ages.")
    missing: Missing = Field(default=Missing(), description="What files do not say.")
    months: int = Field(default=24, ge=1, description="Months over which studies are spread.")
    first_day: dt.date = Field(
        default=dt.date(2024, 1, 1), description="Day on which month 1 begins."
    )
    biases: tuple[Bias, ...] = Field(
        default=(), description="What is planted; none: groups are exchangeable given the label."
    )
    labels_late: LabelsLate | None = Field(
        default=None,
        description="If given, labels_late.csv tells when each label came; null writes none.",
    )
    truth_patients: int = Field(
        default=20000,
        ge=2,
        description="Patients of the independent draw behind the population truth.",
    )
    truth_groups: tuple[Group, ...] = Field(
        default=({"sex": "F"}, {"sex": "M"}),
        description="Groups whose population contrasts are told, beside those of the biases.",
    )

    @model_serializer(mode="wrap")
    def _unsaid(self, told: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what is not asked for: a bench of before has the bytes of before."""
        said: dict[str, object] = told(self)
        if said.get("labels_late") is None:
            said.pop("labels_late", None)
        return said

    @field_validator("biases", mode="before")
    @classmethod
    def _kinds(cls, biases: object) -> object:
        return check_kinds(biases)

    @field_validator("truth_groups", mode="after")
    @classmethod
    def _groups(cls, groups: tuple[Group, ...]) -> tuple[Group, ...]:
        return tuple(checked_group(group, "truth_groups") for group in groups)

    @model_validator(mode="after")
    def _sites_are_known(self) -> "Options":
        names = [site.name for site in self.sites]
        if len(set(names)) < len(names):
            raise InvalidConfiguration(f"phantoms: two sites share a name; got {names}")
        for bias in self.biases:
            site = getattr(bias, "site", None)
            if site is not None and site not in names:
                raise InvalidConfiguration(
                    f"phantoms: {bias.kind}: no site '{site}'; known: {', '.join(names)}",
                    hint=nearest(site, names),
                )
        planted = [bias.site for bias in self.biases if isinstance(bias, Shortcut)]
        if len(set(planted)) < len(planted):
            raise InvalidConfiguration(f"phantoms: two shortcuts at one site; got {planted}")
        return self

    def site(self, name: str) -> Site:
        """Return the site of that name."""
        return next(site for site in self.sites if site.name == name)

    def groups(self) -> list[Mapping[str, str | int]]:
        """Return the groups whose truth is told, each once, those of the biases last."""
        said: list[Mapping[str, str | int]] = list(self.truth_groups)
        planted = [getattr(bias, "group", None) for bias in self.biases]
        for group in planted:
            if group is not None and group not in said:
                said.append(group)
        return said
