"""Who is in the data: as the stage *document* counted it, else as the audited images show it."""

from collections.abc import Iterator, Mapping, Sequence

from equipoise.figures import Span
from equipoise.report.material import Material, Record
from equipoise.report.subjects import Subject


def representation(material: Material, subjects: Sequence[Subject]) -> dict[str, object]:
    """Return images and patients by level of each attribute.

    Returns
    -------
    `source`: ``"facts"`` (all images that entered) or ``"audit"`` (the audited images only, where
    *document* did not run). `attributes`: attribute → rows of level, n_patients, n_images.
    """
    if material.facts is not None:
        part = _record(material.facts.get("representation"))
        rows = [*_rows(part.get("by_attribute")), *_rows(part.get("by_place"))]
        return {
            "source": "facts",
            "n_images": material.facts.get("images"),
            "n_patients": material.facts.get("patients"),
            "attributes": _by_attribute(_counted(row) for row in rows),
        }
    own = _of_one_metric(subjects[0]) if subjects else []
    everybody = next((span for span in own if not span.family), None)
    return {
        "source": "audit",
        "n_images": None if everybody is None else everybody.n_images,
        "n_patients": None if everybody is None else everybody.n_patients,
        "attributes": _by_attribute(_spanned(span) for span in own if len(span.family) == 1),
    }


def prevalence(material: Material, subjects: Sequence[Subject]) -> list[dict[str, object]]:
    """Return how often each finding is recorded by level of each attribute.

    Returns
    -------
    A row per finding, attribute and level (both None: everybody): n_positive, n_negative,
    n_not_assessed (images; None where only the audited images are known), and their `share`
    positive, None if none is labelled.
    """
    if material.facts is not None:
        rows = _rows(_record(material.facts.get("representation")).get("labels"))
        names = {"positive": "n_positive", "negative": "n_negative", "prevalence": "share"}
        names["not_assessed"] = "n_not_assessed"
        kept = ("finding", "attribute", "level")
        return [
            {**{k: row.get(k) for k in kept}, **{new: row.get(old) for old, new in names.items()}}
            for row in rows
        ]
    one_each = {subject.finding: subject for subject in subjects}.values()
    return [
        _labelled(subject.finding, span)
        for subject in one_each
        for span in _of_one_metric(subject)
        if len(span.family) <= 1
    ]


def missingness(material: Material) -> list[dict[str, object]] | None:
    """Return by column how many images have no value there; None if *document* did not run."""
    if material.facts is None:
        return None
    return [
        {"column": row.get("column"), "n_missing": row.get("images"), "share": row.get("share")}
        for row in _rows(material.facts.get("missingness"))
        if row.get("images")
    ]


def shortcuts(material: Material) -> list[dict[str, object]]:
    """Return the shortcut battery, a row per finding and source, those that warn first."""
    rows = [dict(row) for row in _rows((material.facts or {}).get("shortcuts"))]
    return sorted(rows, key=lambda row: row.get("verdict") != "shortcut warning")


def warnings(material: Material) -> list[str]:
    """Return the warnings of *document*, each as a sentence."""
    said = (material.facts or {}).get("warnings")
    return [
        str(one.get("sentence", one)) if isinstance(one, Mapping) else str(one)
        for one in (said if isinstance(said, list) else [])
    ]


def leakage(material: Material) -> list[str]:
    """Return what *document* says of patients in several splits and of pictures that recur."""
    said = material.facts or {}
    parts = [*_record(said.get("leakage")).values(), said.get("duplicates")]
    return [str(part["sentence"]) for part in map(_record, parts) if "sentence" in part]


def leaks(material: Material) -> tuple[int, int]:
    """Return how many patients are in several splits, and pictures under several patients."""
    said = material.facts or {}
    parts = map(_record, _record(said.get("leakage")).values())
    across = _record(said.get("duplicates")).get("across_patients")
    counts = [part.get("patients_in_several") for part in parts]
    return max((n for n in counts if isinstance(n, int)), default=0), (
        across if isinstance(across, int) else 0
    )


def _by_attribute(rows: Iterator[dict[str, object]]) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        found.setdefault(str(row.pop("attribute")), []).append(row)
    return {
        name: sorted(levels, key=lambda row: row["level"] == "unknown")
        for name, levels in found.items()
    }


def _counted(row: Record) -> dict[str, object]:
    return {
        "attribute": row.get("attribute"),
        "level": str(row.get("level")),
        "n_patients": row.get("patients"),
        "n_images": row.get("images"),
    }


def _spanned(span: Span) -> dict[str, object]:
    name = span.family[0]
    return {
        "attribute": name,
        "level": span.subgroup[name],
        "n_patients": span.n_patients,
        "n_images": span.n_images,
    }


def _labelled(finding: str, span: Span) -> dict[str, object]:
    name = span.family[0] if span.family else None
    total = span.n_positive + span.n_negative
    return {
        "finding": finding,
        "attribute": name,
        "level": None if name is None else span.subgroup[name],
        "n_positive": span.n_positive,
        "n_negative": span.n_negative,
        "n_not_assessed": None,
        "share": span.n_positive / total if total else None,
    }


def _of_one_metric(subject: Subject) -> list[Span]:
    """Return each subgroup once; the numbers of people are the same for every metric."""
    own = subject.own
    return [span for span in own if span.metric == own[0].metric]


def _rows(part: object) -> list[Record]:
    return [row for row in part if isinstance(row, Mapping)] if isinstance(part, list) else []


def _record(part: object) -> Record:
    return part if isinstance(part, Mapping) else {}
