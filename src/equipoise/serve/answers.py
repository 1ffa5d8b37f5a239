"""What the service answers, as models: they make the OpenAPI document and the tests hold them."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from equipoise.bundles import Bundle, InputContract
from equipoise.bundles import Override as Given
from equipoise.serve.scoring import Outcome

_DIGEST = "9f2c" * 16


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OverrideNote(_Part):
    """Somebody lets the model be used although its verdict is not *pass*."""

    name: str = Field(description="Who answers for it.", examples=["A. Lee"])
    reason: str = Field(description="Why it may be used all the same.", examples=["pilot"])
    expires: date = Field(description="The last day on which it holds.")


class Model(_Part):
    """Which model answered."""

    name: str = Field(description="Name of the bundle.", examples=["chest"])
    bundle: str = Field(description="Digest of the bundle (SHA-256).", examples=[_DIGEST])
    encoder: str = Field(description="Digest of its encoder (SHA-256).", examples=[_DIGEST])
    verdict: str = Field(description="What its audit led to.", examples=["pass"])
    override: OverrideNote | None = Field(
        description="Not null: the verdict is not *pass*, and somebody answers for its use."
    )


class Called(_Part):
    """A decision at a locked operating point."""

    threshold: float = Field(description="Positive at this score or above.", examples=[0.62])
    positive: bool = Field(description="Whether the score reaches the threshold.")


class Finding(_Part):
    """What the model says of one finding."""

    score: float = Field(ge=0, le=1, description="Score in [0, 1].", examples=[0.71])
    decisions: dict[str, Called] = Field(description="By operating point.")


class Scored(_Part):
    """An image that was scored."""

    outcome: Literal["scored"]
    case_id: str = Field(
        description="Pseudonym of the image; labels that come later are given under it.",
        examples=["0c9a6d1f4f7b4c0fb1d7a2f0c3f1e5aa"],
    )
    at: datetime = Field(description="When it was answered (UTC).")
    model: Model
    findings: dict[str, Finding] = Field(description="By finding.")
    distance: float | None = Field(
        description="From the images the model was made on; null if it describes none."
    )
    attributes: dict[str, str] = Field(
        description="Group of the patient as it stands in the log.", examples=[{"sex": "F"}]
    )


class Reason(_Part):
    """Why there is no score."""

    code: Literal[
        "undecodable", "modality", "view", "photometric", "size", "out_of_distribution"
    ] = Field(description="For programs.")
    sentence: str = Field(description="For people.", examples=["view 'LL'; the model takes AP, PA"])


class Refused(_Part):
    """An image the model is not made for: it gets no score."""

    outcome: Literal["refused"]
    case_id: str = Field(description="Pseudonym of the image.")
    at: datetime = Field(description="When it was answered (UTC).")
    model: Model
    refusal: Reason
    distance: float | None = Field(description="As of a scored image, where it came so far.")
    attributes: dict[str, str] = Field(description="As of a scored image.")


class Problem(_Part):
    """A request that was not taken; nothing was scored and nothing is in the log."""

    error: str = Field(description="For programs.", examples=["rate"])
    message: str = Field(description="For people.", examples=["too many requests"])
    hint: str | None = Field(default=None, description="What can be done.")


class Point(_Part):
    """A locked operating point."""

    finding: str
    operating_point: str
    threshold: float
    rule: str = Field(description="How the threshold was chosen.")


class Served(_Part):
    """What is served."""

    model: Model
    findings: list[str]
    intended_use: str
    reason: str = Field(description="Of the verdict, in a sentence.")
    contract: InputContract = Field(description="What images it takes.")
    operating_points: list[Point]
    attributes: dict[str, list[str]] = Field(description="Declared attributes and levels.")


class Health(_Part):
    """Whether the service lives, or can take requests."""

    status: Literal["ok", "unavailable"]
    reason: str | None = None


def model_of(bundle: Bundle) -> Model:
    """Return which model answers.

    Examples
    --------
    See the tests: a bundle needs files on disk.
    """
    return Model(
        name=bundle.name,
        bundle=bundle.digest,
        encoder=bundle.encoder.digest,
        verdict=bundle.manifest.verdict,
        override=None if bundle.override is None else _note(bundle.override),
    )


def _note(given: Given) -> OverrideNote:
    return OverrideNote(name=given.name, reason=given.reason, expires=given.expires)


def served(bundle: Bundle, attributes: dict[str, list[str]]) -> Served:
    """Return what ``GET /v1/bundle`` answers."""
    points = bundle.operating_points.sort("finding", "operating_point")
    names = ("finding", "operating_point", "threshold", "rule")
    return Served(
        model=model_of(bundle),
        findings=list(bundle.findings),
        intended_use=bundle.manifest.intended_use,
        reason=bundle.manifest.reason,
        contract=bundle.contract,
        operating_points=[Point(**row) for row in points.select(names).iter_rows(named=True)],
        attributes=attributes,
    )


def answer(outcome: Outcome, at: datetime, model: dict[str, object]) -> dict[str, object]:
    """Return the body of an answer: a `Scored` or a `Refused`, ready for JSON.

    Parameters
    ----------
    outcome
        What the bundle answers.
    at
        When (UTC).
    model
        `Model` as JSON; the same for all answers.
    """
    case, why = outcome.case, outcome.refusal
    head: dict[str, object] = {
        "outcome": "scored" if why is None else "refused",
        "case_id": case.case_id,
        "at": at.isoformat(timespec="microseconds"),
        "model": model,
    }
    tail = {"distance": outcome.distance, "attributes": dict(case.attributes)}
    if why is not None:
        return {**head, "refusal": {"code": why.code, "sentence": why.sentence}, **tail}
    findings: dict[str, dict[str, object]] = {}
    for name, score in outcome.scores.items():
        decisions = {
            one.point: {"threshold": one.threshold, "positive": one.positive}
            for one in outcome.decisions
            if one.finding == name
        }
        findings[name] = {"score": score, "decisions": decisions}
    return {**head, "findings": findings, **tail}
