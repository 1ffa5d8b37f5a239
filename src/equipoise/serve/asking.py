"""What a caller says beside the image: ids in headers, acquisition and attributes in the query.

Ids never stand in the query, since proxies write it to their logs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from equipoise.bundles import AuditPlan
from equipoise.errors import InvalidInput, nearest
from equipoise.metrics import UNKNOWN
from equipoise.tables.nouns import COHORT

CASE_HEADER, PATIENT_HEADER = "x-case-id", "x-patient-id"
FORMS = {"application/dicom": "dicom", "image/png": "png", "image/jpeg": "jpeg"}
"""Content type → form of the image."""

WORDS = ("modality", "view", "laterality", "manufacturer", "device_model")
"""What a caller may say of how an image without a header came to be."""

_LONGEST = 256
_OLDEST = COHORT.columns["age_years"].high or 130.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller said, checked against what the bundle declares.

    Parameters
    ----------
    form
        dicom, png or jpeg.
    case, patient
        Ids as given; None if not.
    acquisition
        Column of ``tables.nouns.ACQUISITION`` → word.
    attributes
        Declared attribute → declared level.
    numbers
        Numeric column from which an attribute is cut → number.
    """

    form: str
    case: str | None = None
    patient: str | None = None
    acquisition: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


def levels(plan: AuditPlan) -> dict[str, list[str]]:
    """Return attribute → its levels, unknown among them.

    Examples
    --------
    >>> levels(AuditPlan(attributes={"sex": ["F", "M"]}))
    {'sex': ['F', 'M', 'unknown']}
    """
    return {
        name: [*words, *([] if UNKNOWN in words else [UNKNOWN])]
        for name, words in plan.attributes.items()
    }


def numbers(plan: AuditPlan) -> list[str]:
    """Return the numeric columns from which the attributes of a plan are cut.

    Examples
    --------
    >>> from equipoise.bundles import Band
    >>> bands = {"age_band": Band(**{"from": "age_years", "edges": [40]})}
    >>> numbers(AuditPlan(attributes={"age_band": ["0-39", "40+"]}, bands=bands))
    ['age_years']
    """
    return list(dict.fromkeys(plan.bands[name].source for name in plan.bands))


def asked(
    query: Sequence[tuple[str, str]], headers: Mapping[str, str], form: str, plan: AuditPlan
) -> Asked:
    """Return what a caller says, once it is seen to be declared.

    Parameters
    ----------
    query
        Names with values.
    headers
        By lower-case name.
    form
        dicom, png or jpeg.
    plan
        The bundle's, which declares attributes and levels.

    Raises
    ------
    InvalidInput
        If a name or a level is not declared; the message names those that are.

    Examples
    --------
    >>> plan = AuditPlan(attributes={"sex": ["F", "M"]})
    >>> asked([("sex", "F"), ("view", "PA")], {"x-case-id": "17"}, "png", plan).attributes
    {'sex': 'F'}
    >>> asked([("sex", "female")], {}, "png", plan)
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidInput: attribute sex: undeclared level; declared: F, M, unknown
    """
    declared = levels(plan)
    sources = numbers(plan)
    acquisition: dict[str, str] = {}
    attributes: dict[str, str] = {}
    found: dict[str, float] = {}
    for name, value in query:
        if name in declared:
            attributes[name] = _level(name, value, declared[name])
            acquisition |= {name: value} if name in WORDS else {}
        elif name in sources:
            found[name] = _number(name, value)
        elif name in WORDS:
            acquisition[name] = value
        else:
            raise _undeclared(name, [*declared, *sources, *WORDS])
    return Asked(
        form,
        _id(headers, CASE_HEADER),
        _id(headers, PATIENT_HEADER),
        acquisition,
        attributes,
        found,
    )


def _level(name: str, value: str, declared: Sequence[str]) -> str:
    if value not in declared:  # the value itself is not told again: it may be anything
        raise InvalidInput(
            f"attribute {name}: undeclared level; declared: {', '.join(declared)}",
            hint=nearest(value, declared),
        )
    return value


def _number(name: str, value: str) -> float:
    highest = _OLDEST if name == "age_years" else math.inf
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not 0.0 <= number <= highest:
        span = f" from 0 to {highest:g} (years)" if highest < math.inf else ", 0 or above"
        raise InvalidInput(f"{name}: expected a number{span}")
    return number


def _undeclared(name: str, known: Sequence[str]) -> InvalidInput:
    return InvalidInput(
        f"the query holds a name that is not declared; declared: {', '.join(known)}",
        hint=nearest(name, known) or "ids go into the headers X-Case-Id and X-Patient-Id",
    )


def _id(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name, "").strip()
    if len(value) > _LONGEST:
        raise InvalidInput(f"header {name}: more than {_LONGEST} characters")
    return value or None
