"""What can be planted: each bias is declared, and changes only what it names.

The latent draw of a patient never depends on the biases, so two benches of one seed show the
same patients; a bias moves a threshold or a factor that turns the draw into an image and a label.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from equipoise.errors import InvalidConfiguration, nearest

Group = dict[str, str | int]
"""As ``{sex: F}`` or ``{sex: M, age_from: 60}``: all that is said must hold."""

_KEYS = ("sex", "age_from", "age_below")
_GROUP = "Group it falls on, as {sex: F} or {age_from: 60, age_below: 80}; by true attributes."


class _Bias(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("group", mode="after", check_fields=False)
    @classmethod
    def _known(cls, group: Group | None) -> Group | None:
        return None if group is None else checked_group(group, cls.model_fields["kind"].default)


class UnderRepresentation(_Bias):
    """The group is rarer than in the population; nothing else of a patient changes."""

    kind: Literal["under_representation"] = "under_representation"
    group: Group = Field(description=_GROUP)
    share: float = Field(gt=0, lt=1, description="Share of the patients that the group becomes.")


class LabelNoise(_Bias):
    """Recorded labels of the group are wrong at random; images and clean labels stay.

    Against recorded labels alone this cannot be told from a true difference between groups: a
    missed finding looks as a benign look-alike would (`LookAlikes`). Only clean labels tell.
    """

    kind: Literal["label_noise"] = "label_noise"
    group: Group = Field(description=_GROUP)
    under_diagnosis: float = Field(
        ge=0, le=1, description="Share of the group's positives that are recorded as negative."
    )
    over_diagnosis: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the group's negatives that are recorded as positive.",
    )


class Shortcut(_Bias):
    """At one site the side marker goes with the clean label; elsewhere it is a fair coin."""

    kind: Literal["shortcut"] = "shortcut"
    site: str = Field(description="Name of the site.")
    strength: float = Field(
        gt=0, le=1, description="P(marker R | positive) - P(marker R | negative) at the site."
    )


class LowerVisibility(_Bias):
    """The finding is fainter in the group's images; labels stay."""

    kind: Literal["lower_visibility"] = "lower_visibility"
    group: Group = Field(description=_GROUP)
    factor: float = Field(ge=0, lt=1, description="The opacity's contrast is multiplied by it.")


class LookAlikes(_Bias):
    """Some of the group's negatives show a benign opacity that looks like the finding.

    The true difference that matches under-diagnosis: with fitting shares both benches have the
    same law of images, recorded labels and groups.
    """

    kind: Literal["look_alikes"] = "look_alikes"
    group: Group = Field(description=_GROUP)
    share: float = Field(gt=0, le=1, description="Share of the group's negatives that show one.")


class PrevalenceShift(_Bias):
    """The finding is more or less common in the group."""

    kind: Literal["prevalence_shift"] = "prevalence_shift"
    group: Group = Field(description=_GROUP)
    prevalence: float = Field(gt=0, lt=1, description="Prevalence (of patients) in the group.")


class ScannerDrift(_Bias):
    """From a month on the detector's gain and noise change; labels stay."""

    kind: Literal["scanner_drift"] = "scanner_drift"
    from_month: int = Field(ge=1, description="First month affected, counted from 1.")
    group: Group | None = Field(default=None, description=f"{_GROUP} Or none: everybody.")
    site: str | None = Field(default=None, description="Site it falls on, or none: every site.")
    gain: float = Field(default=1.0, gt=0, description="Factor on the gain.")
    noise: float = Field(default=1.0, gt=0, description="Factor on the noise.")


Bias = Annotated[
    UnderRepresentation
    | LabelNoise
    | Shortcut
    | LowerVisibility
    | LookAlikes
    | PrevalenceShift
    | ScannerDrift,
    Field(discriminator="kind"),
]
KINDS = (
    "label_noise",
    "look_alikes",
    "lower_visibility",
    "prevalence_shift",
    "scanner_drift",
    "shortcut",
    "under_representation",
)


def checked_group(group: Mapping[str, str | int], whose: str) -> Group:
    """Return the group, once every attribute and value in it is known.

    Raises
    ------
    InvalidConfiguration
        With the name or value that stands for nothing.

    Examples
    --------
    >>> checked_group({"sex": "F"}, "lower_visibility")
    {'sex': 'F'}
    >>> checked_group({"gender": "F"}, "lower_visibility")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: phantoms: lower_visibility: no attribute 'gender'; \
known: sex, age_from, age_below
    """
    place = f"phantoms: {whose}"
    if not group:
        raise InvalidConfiguration(f"{place}: the group is empty; expected one of {_KEYS}")
    for name, value in group.items():
        if name not in _KEYS:
            raise InvalidConfiguration(
                f"{place}: no attribute '{name}'; known: {', '.join(_KEYS)}",
                hint=nearest(name, _KEYS),
            )
        if name == "sex" and value not in {"F", "M"}:
            raise InvalidConfiguration(f"{place}: sex is {value!r}; expected F or M")
        if name != "sex" and not isinstance(value, int):
            raise InvalidConfiguration(f"{place}: {name} is {value!r}; expected whole years")
    return dict(group)


def check_kinds(biases: object) -> object:
    """Return the declared biases as they came, once every kind among them is known.

    Raises
    ------
    InvalidConfiguration
        With the kind that stands for nothing, and the nearest that is known.

    Examples
    --------
    >>> check_kinds([{"kind": "lower_visibilty"}])
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: phantoms: no bias 'lower_visibilty'; known: \
label_noise, look_alikes, lower_visibility, prevalence_shift, scanner_drift, shortcut, \
under_representation
    """
    for bias in biases if isinstance(biases, list | tuple) else []:
        kind = bias.get("kind") if isinstance(bias, Mapping) else bias.kind
        if kind not in KINDS:
            raise InvalidConfiguration(
                f"phantoms: no bias '{kind}'; known: {', '.join(KINDS)}",
                hint=nearest(str(kind), KINDS),
            )
    return biases
