"""What a policy may say: tolerances on differences, floors under every group, who must be there."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_ALL = Literal["all"]
_CALLED = frozenset({"sensitivity", "specificity", "ppv", "npv"})
"""Metrics of a model at its threshold."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Matched(_Part):
    """What estimates a part of the policy speaks of."""

    name: str = Field(min_length=1, description="Its name in the verdict.")
    metric: str = Field(description="The metric, as it stands in the estimates.")
    findings: list[str] | _ALL = Field(
        default="all", description="Which findings; all that were audited, by default."
    )
    operating_points: list[str] | _ALL = Field(
        default="all",
        description="Which operating points, if the metric needs one; all, by default.",
    )
    attributes: list[str] = Field(
        default_factory=list, description="Attributes whose levels are judged."
    )
    intersections: list[list[str]] = Field(
        default_factory=list,
        description="Combinations of attributes that are judged, as [[sex, age_band]].",
    )

    def sets(self) -> list[frozenset[str]]:
        """Return each attribute and each combination that is judged."""
        alone = [frozenset([name]) for name in self.attributes]
        return [*alone, *(frozenset(names) for names in self.intersections)]


class Criterion(_Matched):
    """A tolerance: no group may differ by more from its reference, or from the rest."""

    tolerance: float = Field(
        gt=0, lt=1, description="The largest difference, either way, that is tolerated."
    )

    @model_validator(mode="after")
    def _names_groups(self) -> "Criterion":
        if not self.sets():
            raise ValueError(f"criterion '{self.name}' names no attributes and no intersections")
        return self


class Floor(_Matched):
    """A floor: every group must reach it, whatever the others do."""

    minimum: float = Field(gt=0, lt=1, description="The smallest value that is acceptable.")
    overall: bool = Field(default=True, description="Whether everybody together is judged too.")

    @model_validator(mode="after")
    def _has_a_direction(self) -> "Floor":
        if self.metric == "brier":
            raise ValueError(f"floor '{self.name}': small is good for brier, so it has no floor")
        return self


class Policy(_Part):
    """What must hold before a model is used. Every number is the institution's own."""

    version: Literal[1] = Field(description="Version of this form of policy: 1.")
    name: str = Field(min_length=1, description="What the policy is called.")
    description: str = Field(default="", description="Whose it is, for which use, since when.")
    criteria: list[Criterion] = Field(min_length=1, description="Tolerances on differences.")
    floors: list[Floor] = Field(min_length=1, description="Floors under every group.")
    required: list[Mapping[str, str]] | _ALL = Field(
        default="all",
        description="Groups that must be assessable, as [{sex: F}, {sex: M}]; all known groups "
        "that a criterion or a floor judges, by default.",
    )
    maximum_unknown_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Largest share of patients whose attribute may be unknown; null = any.",
    )

    @model_validator(mode="after")
    def _stops_a_useless_model(self) -> "Policy":
        for criterion in self.criteria:
            for attribute in sorted(set().union(*criterion.sets())):
                over = [floor for floor in self.floors if _covers(floor, criterion, attribute)]
                if not _excludes_chance(over, criterion):
                    ranking = "" if criterion.metric in _CALLED else "an auroc floor above 0.5, or "
                    raise ValueError(
                        f"no floor would stop a useless model in the groups of '{attribute}', "
                        f"which criterion '{criterion.name}' compares: equally bad is not good "
                        f"enough; expected for the same attribute, findings and operating points "
                        f"{ranking}floors of sensitivity and specificity that add up to more "
                        f"than 1"
                    )
        return self


def _covers(floor: Floor, criterion: Criterion, attribute: str) -> bool:
    points = floor.metric == "auroc" or _within(criterion.operating_points, floor.operating_points)
    return attribute in floor.attributes and points and _within(criterion.findings, floor.findings)


def _within(asked: Sequence[str], given: Sequence[str]) -> bool:
    """Return whether `given` names all that `asked` does; ``"all"`` names everything."""
    return given == "all" or (asked != "all" and set(asked) <= set(given))


def _excludes_chance(floors: Sequence[Floor], criterion: Criterion) -> bool:
    # A good ranking excuses no threshold: all could be called positive, or nobody.
    least: dict[str, float] = {}
    for floor in floors:
        least[floor.metric] = max(floor.minimum, least.get(floor.metric, 0.0))
    called = least.get("sensitivity", 0.0) + least.get("specificity", 0.0)
    ranking = criterion.metric not in _CALLED and least.get("auroc", 0.0) > 0.5
    return ranking or called > 1.0
