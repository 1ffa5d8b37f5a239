"""What the monitor may be told."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Which model is watched, on what, and how sure an alarm must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str | None = Field(
        default=None,
        description="The bundle that is in use: its folder or zip; that of the stage release, if "
        "it is given by one.",
    )
    log: str | None = Field(
        default=None, description="Folder of the request log that `equipoise serve` writes."
    )
    tables: list[str] = Field(
        default_factory=list,
        description="Instead of a log: prediction tables, one per period, in the order of time. "
        "Columns as in the log: case_id, patient_key, at, score:<finding>, attributes.",
    )
    labels: list[str] = Field(
        default_factory=list,
        description="Labels that came since, CSV or Parquet: case_id, labelled_at, "
        "label:<finding>. With a cohort and without these, its own labels are taken, as if "
        "each had come with its case.",
    )
    period: Literal["month", "week"] = Field(
        default="month", description="What one row of the tables and one step of a chart is."
    )
    as_of: dt.date | None = Field(
        default=None,
        description="The day of the look: what came later is not known yet, and a case later "
        "than it is an error. By default the day of the last case or label.",
    )
    level: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Chance of any false alarm of the sequential tests, for ever; as much again "
        "of the tests of the inputs.",
    )
    minimum: int = Field(
        default=30, ge=2, description="Patients with a label that an arm needs to be judged."
    )
    window: int = Field(
        default=6,
        ge=1,
        description="Latest periods, of cases old enough for a label, that must show that the "
        "policy holds.",
    )
    baseline: int = Field(
        default=3,
        ge=1,
        description="First periods with which a group's later embeddings are compared.",
    )
    run_length: int = Field(
        default=10_000,
        ge=50,
        le=100_000,
        description="CUSUM: mean number of cases between false warnings.",
    )
    follow_up_days: int = Field(
        default=60,
        ge=0,
        description="Age (days) at which a case ought to have its label; a pass rests on cases of "
        "that age.",
    )
    settle_days: int | None = Field(
        default=None,
        ge=0,
        description="Age (days) at which a case is bet on, even if its label came sooner; "
        "follow_up_days by default. Error control of alarms needs that how soon a label comes does "
        "not depend on the model's answer: positives are often looked up at once. Where it does "
        "not, 0 raises alarms that much sooner.",
    )
    budget: int = Field(
        default=10, ge=0, description="Cases per group in the list of what to adjudicate next."
    )
    accept_clock: bool = Field(
        default=False,
        description="Go on though the log's clock was set back; the rows are then sorted by time.",
    )
    title: str = Field(default="Monitoring", description="Title of the page.")
    language: str = Field(default="en", description="Language of the page.")
    seed: int = Field(default=0, ge=0, description="Of the limits of charts and of the list.")

    @property
    def settled_days(self) -> int:
        """Age (days) at which a case is bet on."""
        return self.follow_up_days if self.settle_days is None else self.settle_days
