"""All that a report says, as data: what ``report.json`` holds and the page shows."""

from collections.abc import Sequence

from equipoise.figures import Span, spans
from equipoise.report import choices, deployment, gaps, intersections, people
from equipoise.report.encoders import encoder
from equipoise.report.errors_made import per_thousand
from equipoise.report.material import Link, Material
from equipoise.report.options import Options
from equipoise.report.subjects import Subject, subjects
from equipoise.report.verdicts import judged
from equipoise.tables import DESCRIPTIONS
from equipoise.words import Texts

SCHEMA = 1
"""Raised when the meaning of a key in ``report.json`` changes."""


def content(material: Material, options: Options, texts: Texts) -> dict[str, object]:
    """Return the content of a report, in JSON.

    Parameters
    ----------
    material
        What the stages before left.
    options
        The report's own options.
    texts
        The words, for the reason where none was recorded.

    Examples
    --------
    See `equipoise.report.html`.
    """
    about = subjects(material)
    return {
        "version": SCHEMA,
        "title": options.title,
        "language": options.language,
        "audience": options.audience,
        "intended_use": options.intended_use,
        "unit": gaps.unit_of(material) or "patient",
        "audited": _audited(material, about),
        "verdict": judged(material),
        "release": deployment.release(material),
        "acceptance": deployment.acceptance(material),
        "monitoring": deployment.monitoring(material),
        "pretraining": deployment.pretraining(material),
        "missing": {
            "not_assessable": gaps.not_assessable(about, texts),
            "unknown": gaps.unknown_shares(about),
        },
        "unknowns": gaps.unknowns(material, about),
        "people": _people(material, about),
        "findings": [_subject(subject) for subject in about],
        "candidates": choices.candidates(material),
        "selection": None if material.selection is None else dict(material.selection),
        "operating_points": choices.operating_points(material),
        "judged": choices.judged(material),
        "openings": None if material.openings is None else dict(material.openings),
        "attrition": choices.attrition(material),
        "encoder": None if material.embeddings is None else dict(material.embeddings),
        "encoder_card": encoder(material),
        "datasheet": None if material.datasheet is None else dict(material.datasheet),
        "not_available": gaps.not_available(material.datasheet or {}),
        "curation": None if material.curation is None else dict(material.curation),
        "audit": None if material.audit is None else dict(material.audit),
        "methods": sorted(material.estimates["method"].unique().to_list()),
        "chain": [_link(link) for link in material.chain],
    }


def _audited(material: Material, about: Sequence[Subject]) -> dict[str, object] | None:
    """Return how much was audited: what the estimates of everybody rest on, labelled and scored.

    With several findings these differ, and the audit's own total stands.
    """
    said = material.audit or {}
    everybody = next((s for subject in about for s in subject.own if not s.family), None)
    if everybody is None:
        return None
    several = len({subject.finding for subject in about}) > 1
    total = said if several else {}
    return {
        "n_images": total.get("n_images", everybody.n_images),
        "n_patients": total.get("n_patients", everybody.n_patients),
        "split": said.get("split"),
    }


def _people(material: Material, about: Sequence[Subject]) -> dict[str, object]:
    return {
        "representation": people.representation(material, about),
        "prevalence": people.prevalence(material, about),
        "missingness": people.missingness(material),
        "shortcuts": people.shortcuts(material),
        "warnings": people.warnings(material),
        "leakage": people.leakage(material),
    }


def _subject(subject: Subject) -> dict[str, object]:
    everything = spans_of(subject)
    return {
        "finding": subject.finding,
        "candidate": subject.candidate,
        "operating_point": subject.operating_point,
        "estimates": [_span(span) for span in everything if span.contrast not in DESCRIPTIONS],
        "ranges": [_span(span) for span in everything if span.contrast in DESCRIPTIONS],
        "shrunken": [one.as_json() for one in intersections.drawn(subject)],
        "per_thousand": per_thousand(subject),
    }


def spans_of(subject: Subject) -> list[Span]:
    """Return all rows about a subject, contrasts too, metric by metric."""
    found = spans(subject.estimates)
    order = {name: place for place, name in enumerate(subject.metrics)}
    return sorted(found, key=lambda span: order[span.metric])


def _span(span: Span) -> dict[str, object]:
    return {
        "subgroup": dict(span.subgroup),
        "metric": span.metric,
        "contrast": span.contrast,
        "against": span.against,
        "value": span.value,
        "limits": [
            {"interval": interval, "level": level, "low": low, "high": high}
            for (interval, level), (low, high) in sorted(span.limits.items())
        ],
        "events": span.events,
        "trials": span.trials,
        "n_images": span.n_images,
        "n_patients": span.n_patients,
        "n_positive": span.n_positive,
        "n_negative": span.n_negative,
        "chance": span.chance,
        "corrected": span.corrected,
        "p_adjusted": span.p_adjusted,
        "method": span.method,
        "status": span.status,
        "reason": span.reason,
        "exploratory": span.exploratory,
    }


def _link(link: Link) -> dict[str, object]:
    return {
        "stage": link.stage,
        "folder": link.folder,
        "digest": link.digest,
        "output": link.output,
        "files": dict(link.files),
        "inputs": dict(link.inputs),
        "code": dict(link.code),
    }
