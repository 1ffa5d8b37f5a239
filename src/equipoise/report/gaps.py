"""Who is missing and what is unknown: what an audit must say before it is believed."""

from collections.abc import Mapping, Sequence

from equipoise.figures import Span, bare_reason
from equipoise.report.encoders import encoder
from equipoise.report.material import Material, Record
from equipoise.report.people import leaks, shortcuts
from equipoise.report.subjects import Subject
from equipoise.words import Texts

UNKNOWN = "unknown"
WARNING = "shortcut warning"
Pairs = tuple[tuple[str, str], ...]


def not_assessable(subjects: Sequence[Subject], texts: Texts) -> list[dict[str, object]]:
    """Return every declared subgroup that could not be judged, with its metrics and what lacks.

    Returns
    -------
    A row per finding, subgroup and reason; groups that are known before those with an unknown
    level, whole groups before intersections.
    """
    found: dict[tuple[str, Pairs, str], dict[str, object]] = {}
    for subject in subjects:
        for span in subject.own:
            if span.value is None:
                reason = bare_reason(span, texts)
                key = (subject.finding, tuple(span.subgroup.items()), reason)
                row = found.setdefault(key, _row(subject, span, reason))
                metrics = row["metrics"]
                if isinstance(metrics, list) and span.metric not in metrics:
                    metrics.append(span.metric)
    groups = list(dict.fromkeys(key[1] for key in found))
    return [found[key] for key in sorted(found, key=lambda key: _place(key[1], groups))]


def _place(group: Pairs, groups: Sequence[Pairs]) -> tuple[bool, int, int]:
    """Order by whether a level is not known, then by how many attributes restrict a group."""
    return any(level == UNKNOWN for _, level in group), len(group), groups.index(group)


def _row(subject: Subject, span: Span, reason: str) -> dict[str, object]:
    return {
        "finding": subject.finding,
        "subgroup": dict(span.subgroup),
        "metrics": [],
        "reason": reason,
        "n_patients": span.n_patients,
        "n_images": span.n_images,
        "n_positive": span.n_positive,
        "n_negative": span.n_negative,
    }


def unknown_shares(subjects: Sequence[Subject]) -> list[dict[str, object]]:
    """Return, by attribute, how many of the audited patients have the level ``unknown``.

    Returns
    -------
    A row per attribute that is audited, also where nobody is unknown; the first finding's.
    """
    if not subjects:
        return []
    own = subjects[0].own
    total = max((span.n_patients for span in own if not span.family), default=0)
    shares: dict[str, int] = {}
    for span in own:
        if len(span.family) == 1:
            name = span.family[0]
            shares.setdefault(name, 0)
            if span.subgroup[name] == UNKNOWN:
                shares[name] = max(shares[name], span.n_patients)
    return [
        {
            "attribute": name,
            "n_patients": n,
            "n_total": total,
            "share": n / total if total else None,
        }
        for name, n in shares.items()
    ]


def unknowns(material: Material, subjects: Sequence[Subject]) -> list[dict[str, object]]:
    """Return what these numbers cannot tell, as keys of the words with their values.

    Label errors and people who are not in the data can never be seen here, so they always stand.
    """
    unit, unscored = unit_of(material), _unscored(material)
    absent, documents = absent_parts(material), not_available(material.datasheet or {})
    exploratory = bool(material.estimates["exploratory"].any())
    warned = _warned(material)
    split, shared = leaks(material)
    no_point = any(subject.operating_point is None for subject in subjects)
    known: list[tuple[bool, dict[str, object]]] = [
        (True, {"key": "labels"}),
        (_images_independent(material), {"key": "independent"}),
        (unit not in (None, "image"), {"key": "unit", "unit": unit}),
        (_cross_fitted(material), {"key": "cross_fitted", "unit": unit or "patient"}),
        (exploratory, {"key": "exploratory"}),
        (unscored > 0, {"key": "unscored", "n": unscored}),
        (no_point, {"key": "no_operating_point"}),
        (bool(warned), {"key": "shortcuts", "n": len(warned), **_beside(material, warned)}),
        (split + shared > 0, {"key": "leakage", "patients": split, "pictures": shared}),
        (_past_unknown(material), {"key": "encoder_people"}),
        (True, {"key": "elsewhere"}),
        (bool(absent), {"key": "parts", "parts": absent}),
        (bool(documents), {"key": "documents", "n": len(documents)}),
    ]
    return [said for holds, said in known if holds]


def _past_unknown(material: Material) -> bool:
    """Return whether nobody knows whose images the encoder learnt from."""
    said = encoder(material)
    lacking = said["not_known"] if said else []
    return isinstance(lacking, list) and "populations" in lacking


def _warned(material: Material) -> list[Record]:
    return [row for row in shortcuts(material) if row.get("verdict") == WARNING]


def _beside(material: Material, warned: Sequence[Record]) -> dict[str, object]:
    """Return the AUROC of each source that warns, beside that of the encoder."""
    whole = [row for row in shortcuts(material) if row.get("kind") == "encoder"]
    return {
        name: [
            {"finding": row.get("finding"), "source": row.get("source"), "auroc": _crude(row)}
            for row in rows
        ]
        for name, rows in (("sources", warned), ("encoder", whole))
    }


def _crude(row: Record) -> object:
    crude = row.get("crude")
    return crude.get("auroc") if isinstance(crude, Mapping) else None


def absent_parts(material: Material) -> list[str]:
    """Return the names of what the report was not given."""
    names = ("verdict", "facts", "datasheet", "curation", "candidates", "embeddings", "attrition")
    return [name for name in names if getattr(material, name) is None]


def not_available(said: Record, above: str = "") -> list[str]:
    """Return the names of all that a document says is not available, with dots between levels.

    Examples
    --------
    >>> not_available({"licence": "not available", "who": {"funder": "not available", "n": 3}})
    ['licence', 'who.funder']
    """
    found: list[str] = []
    for name, value in said.items():
        place = f"{above}{name}"
        if isinstance(value, Mapping):
            if value.get("value", value.get("answer")) == "not available":
                found.append(place)
            else:
                found += not_available(value, f"{place}.")
        elif value == "not available":
            found.append(place)
    return found


def _images_independent(material: Material) -> bool:
    methods = material.estimates["method"]
    said = bool(methods.str.contains("images taken as independent", literal=True).any())
    return said or unit_of(material) == "image"


def unit_of(material: Material) -> str | None:
    """Return what stands for a patient, where it is declared to be something else."""
    said = [(material.audit or {}).get("patient_is")]
    said += [(part or {}).get("patient_means") for part in (material.cohort, material.facts)]
    return next((unit for unit in said if isinstance(unit, str) and unit != "patient"), None)


def _unscored(material: Material) -> int:
    by_finding = (material.audit or {}).get("images_without_a_score")
    return sum(by_finding.values()) if isinstance(by_finding, dict) else 0


def _cross_fitted(material: Material) -> bool:
    points = material.operating_points
    folds = points is not None and bool(points["fold"].is_not_null().any())
    said: list[Record] = [part for part in (material.audit, material.selection) if part]
    return folds or any(bool(part.get("cross_fitted")) for part in said)
