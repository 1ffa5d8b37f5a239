"""The verdict as the first screen shows it: floors, contrasts, and what decided."""

from collections.abc import Iterator, Mapping

from equipoise.report.material import Material, Record

SEVERITY = ("fail", "not assessable", "inconclusive", "pass")
"""The worst first."""
_COUNTS = ("n_patients", "n_images", "n_positive", "n_negative")
_KINDS = {"contrast": "contrasts", "floor": "floors"}


def judged(material: Material) -> dict[str, object] | None:
    """Return the verdict, and every judgement as a floor, a contrast or another, worst first.

    Returns
    -------
    None if no policy was held against the estimates. `deciding` holds the judgements that made
    the verdict what it is; none if it is a pass.
    """
    said = material.verdict
    if said is None:
        return None
    verdict = _outcome(said)
    judgements = sorted(_judgements(said), key=_rank)
    sorted_in: dict[str, list[dict[str, object]]] = {"contrasts": [], "floors": [], "others": []}
    for one in judgements:
        sorted_in[_KINDS.get(str(one["kind"]), "others")].append(one)
    return {
        "verdict": verdict,
        "reason": _text(said, "reason"),
        "policy": _policy(said.get("policy")),
        **sorted_in,
        "deciding": [
            one
            for one in judgements
            if verdict != "pass" and one["outcome"] == verdict and one["deciding"]
        ],
    }


def _judgements(said: Record) -> Iterator[dict[str, object]]:
    """Yield what was said of each group under each criterion; of one without groups, itself."""
    criteria = said.get("criteria")
    for criterion in criteria if isinstance(criteria, list) else []:
        if isinstance(criterion, dict):
            parts = criterion.get("judgements")
            own = {name: value for name, value in criterion.items() if name != "judgements"}
            for part in parts if isinstance(parts, list) and parts else [{}]:
                yield _judgement({**own, **part})


def _judgement(said: Record) -> dict[str, object]:
    kind = _text(said, "kind") or "other"
    bound = {"contrast": "tolerance", "floor": "floor"}.get(kind, "maximum")
    subgroup = said.get("subgroup")
    texts = ("name", "finding", "candidate", "operating_point", "metric", "contrast", "against")
    return {
        "kind": kind,
        "outcome": _outcome(said),
        **{name: _text(said, name) for name in (*texts, "interval", "reason")},
        "subgroup": {str(k): str(v) for k, v in subgroup.items()}
        if isinstance(subgroup, Mapping)
        else {},
        "bound": _number(said.get(bound)),
        **{name: _number(said.get(name)) for name in ("value", "low", "high", "level")},
        **{name: _count(said.get(name)) for name in _COUNTS},
        "inner": _pair(said.get("pointwise_90")),
        "required": said.get("required") is not False,
        "deciding": said.get("deciding") is not False,
    }


def _outcome(said: Record) -> str:
    """Return the outcome; a word that is not known is no pass."""
    word = _text(said, "outcome") or _text(said, "verdict") or ""
    return word if word in SEVERITY else "not assessable"


def _policy(said: object) -> dict[str, object]:
    record: Record = said if isinstance(said, Mapping) else {}
    return {name: _text(record, name) for name in ("name", "version", "digest", "description")}


def _rank(one: Mapping[str, object]) -> tuple[int, float, str]:
    """Order by outcome, what is not required last; then by how far on the wrong side it is."""
    value, bound = one["value"], one["bound"]
    place = SEVERITY.index(str(one["outcome"])) if one["required"] else len(SEVERITY)
    beyond = 0.0
    if isinstance(value, float) and isinstance(bound, float):
        beyond = abs(value) - bound if one["kind"] == "contrast" else bound - value
    return place, -beyond, str(one["subgroup"])


def _text(said: Record, name: str) -> str | None:
    value = said.get(name)
    return None if value is None or isinstance(value, dict | list) else str(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _pair(value: object) -> list[float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = (_number(bound) for bound in value)
    return None if low is None or high is None else [low, high]
