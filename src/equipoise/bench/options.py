"""What may be asked of an experiment."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise.adapt import Candidate
from equipoise.adapt import Options as Adaptation
from equipoise.metrics import Minimum
from equipoise.pretrain import Options as Pretraining


class _Runs(BaseModel):
    """What every experiment is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapt: Adaptation = Field(
        default=Adaptation(), description="candidates, penalties, groups, operating points"
    )
    seeds: tuple[int, ...] = Field(
        default=(0, 1, 2, 3, 4),
        min_length=1,
        description="runs; each draws its patients anew, and with few of them intervals are wide",
    )
    minimum: Minimum = Field(default=Minimum(), description="what a group needs on test")
    level: float = Field(default=0.95, gt=0.5, lt=1, description="of the intervals, pointwise")

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        twice = [seed for seed in self.seeds if self.seeds.count(seed) > 1]
        if twice:
            raise ValueError(f"seed {twice[0]} occurs twice; expected different ones")
        return self


class _Asked(_Runs):
    """What an experiment is told that holds groups against each other."""

    reference: str | None = Field(
        default=None, description="group that the others are held against; the rest by default"
    )


class Members(_Runs):
    """Ways of training beside plain training."""

    seeds: tuple[int, ...] = Field(
        default=tuple(range(12)),
        min_length=1,
        description="runs; where all intervals hold together, over five runs they say hardly a "
        "Student's t at 3.5 standard errors is 10.5 there and 4.9 over twelve",
    )
    level: float = Field(
        default=0.95, gt=0.5, lt=1, description="of all intervals of one finding together"
    )


class Stages(_Runs):
    """Stages against stages, under one budget.

    The members of `adapt` are what mitigation tries; its `margin` is the guard's.
    """

    finding: str = Field(min_length=1, description="which one")
    group_by: tuple[str, ...] = Field(
        min_length=1, description="attributes whose intersections are the groups"
    )
    images: int = Field(default=800, ge=2, description="to learn from, in every run and way")
    validation: float = Field(
        default=0.25, gt=0, lt=1, description="share of the patients outside test who validate"
    )
    adapt: Adaptation = Field(
        default=Adaptation(
            candidates=tuple(
                Candidate(name=name, mitigation=name)
                for name in ("reweighting", "group_dro", "leace", "score_matching")
            ),
            penalties=(0.0003, 0.003, 0.03, 0.3, 3.0),
            margin=0.03,
        ),
        description="members, penalties, margin, one operating point; plain training has as many "
        "penalties as members and penalties make",
    )
    pretrain: Pretraining = Field(default=Pretraining(), description="how plain encoders are made")
    aware: Pretraining | None = Field(
        default=None,
        description="how group-aware ones are made; by default with as many images of each group "
        "in a batch, and group DRO over the losses",
    )

    @model_validator(mode="after")
    def _budgets_are_equal(self) -> "Stages":
        other = self.group_aware()
        for name in ("steps", "batch", "size", "widths"):
            if getattr(self.pretrain, name) != getattr(other, name):
                raise ValueError(
                    f"aware: {name} {getattr(other, name)}, and {getattr(self.pretrain, name)} in "
                    "pretrain; expected the same: the budget is"
                )
        return self

    def group_aware(self) -> Pretraining:
        """Return how group-aware encoders are made."""
        if self.aware is not None:
            return self.aware
        told = {
            "sampler": {"kind": "groups"},
            "reducer": {"kind": "group_dro", "parameters": {"step": 0.05}},
            "group_by": self.group_by,
        }
        return Pretraining.model_validate({**self.pretrain.model_dump(), **told})


class Labels(_Asked):
    """A label-fraction curve."""

    fractions: tuple[float, ...] = Field(
        default=(0.1, 0.25, 0.5, 1.0),
        min_length=1,
        description="shares of the patients of training and validation whose labels are used",
    )

    @model_validator(mode="after")
    def _fractions_are_shares(self) -> "Labels":
        for share in self.fractions:
            if not 0.0 < share <= 1.0:
                raise ValueError(f"fraction {share:g}; expected a share above 0 and up to 1")
        if len(set(self.fractions)) < len(self.fractions):
            raise ValueError("fractions: one occurs twice; expected different ones")
        return self


class Sites(_Asked):
    """Training at some sites, testing at them and at others."""

    train: tuple[str, ...] = Field(min_length=1, description="sites to train and test at")
    test: tuple[str, ...] = Field(min_length=1, description="sites to test at only")
    shares: dict[str, float] = Field(
        default={"train": 0.5, "validation": 0.2, "test": 0.3},
        description="of the patients of the sites to train at",
    )

    @model_validator(mode="after")
    def _no_site_is_both(self) -> "Sites":
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise ValueError(f"site '{both[0]}' is to train and to test at; expected one of them")
        if min(self.shares.get(name, 0.0) for name in ("train", "validation", "test")) <= 0:
            raise ValueError("shares: expected train, validation and test, each above 0")
        return self
