"""What may be asked of adaptation."""

import itertools
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from equipoise.errors import nearest

Rule = Literal[
    "overall",
    "worst_group",
    "pareto_minimax",
    "distance_to_optimum",
    "least_encoding",
    "smallest_contrast",
]
PROCEDURE = "procedure"
"""What the selection within each fold of a cross-fit is called, among the candidates."""
BY_GROUP = ".by_group"
"""What follows the name of a candidate whose groups have thresholds of their own."""
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.]*$"


class Candidate(BaseModel):
    """One way of training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME, description="what it is called, in file names too")
    mitigation: str = Field(
        description="one of docs/mitigations.md, as plain, reweighting, group_dro, or your own "
        "module:function"
    )
    parameters: dict[str, JsonValue] = Field(default={}, description="those of the mitigation")
    grid: dict[str, tuple[JsonValue, ...]] = Field(
        default={},
        description="parameter: values to choose from on validation, every combination under every "
        "penalty, as {upweight: [5, 20, 50]}",
    )

    @model_validator(mode="after")
    def _grid_is_apart(self) -> "Candidate":
        for name, values in self.grid.items():
            if name in self.parameters:
                raise ValueError(
                    f"candidate '{self.name}': '{name}' is in parameters and in grid; expected "
                    "one of them"
                )
            if not values:
                raise ValueError(f"candidate '{self.name}': grid: '{name}' has no value")
        return self

    def settings(self) -> list[dict[str, JsonValue]]:
        """Return the parameters of every combination of the grid, of one setting without a grid.

        Examples
        --------
        >>> one = Candidate(name="jtt", mitigation="jtt", grid={"upweight": (5, 20)})
        >>> one.settings()
        [{'upweight': 5}, {'upweight': 20}]
        """
        chosen = itertools.product(*self.grid.values())
        return [self.parameters | dict(zip(self.grid, values, strict=True)) for values in chosen]


class OperatingPoint(BaseModel):
    """One place from which an image is called positive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="what it is called")
    rule: Literal["specificity", "sensitivity", "youden"] = Field(
        description="specificity or sensitivity of at least `at`; youden: their sum is largest"
    )
    at: float = Field(default=0.9, gt=0, lt=1, description="what the rule asks; not for youden")


PLAIN = Candidate(name="plain", mitigation="plain")


class Options(BaseModel):
    """Which probes are fitted, how one is selected, and where it calls positive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: tuple[str, ...] | None = Field(
        default=None, description="findings to fit probes for; all by default"
    )
    group_by: tuple[str, ...] = Field(
        default=(),
        description="attributes whose intersections are the groups of mitigations and selection",
    )
    candidates: tuple[Candidate, ...] = Field(
        default=(
            PLAIN,
            Candidate(name="reweighting", mitigation="reweighting"),
            Candidate(name="group_dro", mitigation="group_dro"),
        ),
        description="ways of training to compare; plain training is always among them",
    )
    penalties: tuple[float, ...] = Field(
        default=(0.01, 0.1, 1.0, 10.0),
        min_length=1,
        description="strengths of the L2 penalty to choose from on validation",
    )
    seeds: tuple[int, ...] = Field(
        default=(0,), min_length=1, description="each candidate is run once for each"
    )
    selection: Rule = Field(
        default="overall",
        description="what decides on validation: AUROC overall or of the worst_group; "
        "pareto_minimax, the worst group among candidates that none beats in every group; "
        "distance_to_optimum, from the best of each group; least_encoding, how little the scores "
        "tell the group given the label; smallest_contrast between a group and the others",
    )
    margin: float | None = Field(
        default=None,
        gt=0,
        lt=0.5,
        description="how much lower than under plain training a group's validation AUROC may be "
        "and still count as no worse; declared before looking. Without one, no candidate can be "
        "shown to harm nobody, and plain training stays",
    )
    standard_errors: float = Field(
        default=1.0,
        ge=0,
        description="by how many paired standard errors a candidate must be better than plain "
        "training; at one, out of ten candidates that are no better one is chosen more often than "
        "none",
    )
    floor: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="AUROC that every group must reach on validation for least_encoding and "
        "smallest_contrast; by default that of plain training's worst group, less the margin",
    )
    despite_guard: dict[str, str] = Field(
        default={},
        description="candidate: why it may be chosen although it cannot be ruled out that it "
        "makes a group worse; written reasons, which the report carries",
    )
    operating_points: tuple[OperatingPoint, ...] = Field(
        default=(OperatingPoint(name="specificity_0.9", rule="specificity", at=0.9),),
        description="chosen on validation, then locked",
    )
    evaluation: Literal["auto", "split", "cross-fit"] = Field(
        default="auto",
        description="score the test split, or every image by a probe that has not seen its "
        "patient; auto: cross-fit where the test split is too small",
    )
    group_thresholds: str | None = Field(
        default=None,
        min_length=1,
        description="why each group shall have operating points of its own: a written reason, "
        "which the report carries. The group of every patient is needed from then on; without "
        "this, all groups share a threshold",
    )
    minimum: int = Field(
        default=30,
        ge=1,
        description="auto: positives and negatives, and patients with them, that each group "
        "needs in the test split",
    )
    selection_minimum: int = Field(
        default=10,
        ge=1,
        description="positives and negatives (images) that a group needs on validation to count "
        "in worst-group selection",
    )
    inner_validation: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="cross-fit: share of the patients outside a fold kept for validation",
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Options":
        for what, names in (
            ("candidate", [candidate.name for candidate in (*self.candidates, *self._added())]),
            ("operating point", [point.name for point in self.operating_points]),
            ("seed", [str(seed) for seed in self.seeds]),
        ):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"{what} '{twice[0]}' occurs twice; expected different ones")
        if min(self.penalties) <= 0:
            raise ValueError(f"penalty {min(self.penalties):g}; expected numbers above 0")
        for name in (candidate.name for candidate in self.candidates):
            if name == PROCEDURE or name.endswith(BY_GROUP):
                raise ValueError(f"candidate '{name}': expected another name; this one is taken")
        _check_reasons(self.despite_guard, [one.name for one in self.compared()])
        return self

    def compared(self) -> tuple[Candidate, ...]:
        """Return the candidates, plain training first and always among them.

        Examples
        --------
        >>> [c.name for c in Options(candidates=()).compared()]
        ['plain']
        """
        plain = [c for c in self.candidates if c.mitigation == "plain"]
        others = [c for c in self.candidates if c.mitigation != "plain"]
        return (*plain, *self._added(), *others)

    def _added(self) -> tuple[Candidate, ...]:
        """Return plain training if it was not asked for."""
        return () if any(c.mitigation == "plain" for c in self.candidates) else (PLAIN,)


def _check_reasons(reasons: Mapping[str, str], known: list[str]) -> None:
    for name, reason in reasons.items():
        if name not in known:
            hint = nearest(name, known)
            raise ValueError(
                f"despite_guard: no candidate '{name}'; candidates: {', '.join(known)}"
                + (f"; {hint}" if hint else "")
            )
        if not reason.strip():
            raise ValueError(f"despite_guard: candidate '{name}' has no reason; expected a text")
