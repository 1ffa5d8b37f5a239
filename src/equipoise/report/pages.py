"""The page: the content in words, tables and pictures, every string from data escaped."""

from collections.abc import Callable, Mapping
from functools import partial

from equipoise import figures, pages
from equipoise.report import arrangements, deployment, phrases, pictures
from equipoise.report.curves import curves
from equipoise.report.material import Material
from equipoise.report.subjects import subjects
from equipoise.words import Texts

_SHOWN = 4
"""Rows of each kind on the first screen; the worst come first, all stand below."""

_CAUTIONS = ("shortcuts", "leakage", "cross_fitted", "unit", "independent")
"""What is unknown and bears on every number: it stands beside the verdict."""


_SECTIONS = (
    "acceptance",
    "monitoring",
    "people",
    "performance",
    "curves",
    "differences",
    "errors",
    "criteria",
    "missing",
    "pretraining",
    "candidates",
    "attrition",
    "documents",
    "methods",
    "chain",
)
"""In the order of the page; one whose part of the content is there but empty is left out."""


def page(material: Material, content: Mapping[str, object], texts: Texts) -> str:
    """Return the page of a report.

    Parameters
    ----------
    material
        What the stages before left; the pictures are drawn from its estimates.
    content
        What `equipoise.report.contents.content` made of it.
    texts
        The words.
    """
    environment = pages.environment("equipoise.report", texts, _tools(texts))
    about = subjects(material)
    missing = content["missing"]
    absent = missing["not_assessable"] if isinstance(missing, Mapping) else []
    return environment.get_template("report.html.jinja").render(
        content=content,
        views=[
            pictures.view(subject, f"p{place}", content, texts)
            for place, subject in enumerate(about)
        ],
        curves=curves(material, about, texts),
        absent_groups=arrangements.absent_groups(absent, sum(len(s.metrics) for s in about), texts),
        shown=_SHOWN,
        cautions=_CAUTIONS,
        in_units=partial(phrases.in_units, unit=str(content["unit"])),
        several_findings=len({subject.finding for subject in about}) > 1,
        several_points=len({subject.operating_point for subject in about}) > 1,
        verdicts=deployment.VERDICTS,
        sections=[key for key in _SECTIONS if content.get(key, True)],
        method_notes=("unit", "pointwise", "simultaneous", "judging", "assessable"),
    )


def _tools(texts: Texts) -> dict[str, Callable[..., object]]:
    """Return what the report's templates call beside what every page has."""
    return {
        "bar_picture": partial(pictures.bar_picture, texts=texts),
        "family": lambda span: figures.family_name(span.family, texts),
        "row_name": partial(figures.row_name, texts=texts),
        "contrast_name": partial(figures.contrast_name, texts=texts),
        "compared": partial(phrases.compared, texts=texts),
        "auroc_cell": phrases.auroc_cell,
        "unknown_text": partial(phrases.unknown_text, texts=texts),
        "percented": arrangements.percented,
        "compared_candidates": arrangements.compared_candidates,
        "chosen_facts": arrangements.chosen_facts,
        "points_of": arrangements.points_of,
        "rule_choices": arrangements.rule_choices,
        "fold_choices": arrangements.fold_choices,
        "by_kind": arrangements.by_kind,
        "counted": arrangements.counted,
        "unmirrored": arrangements.unmirrored,
        "needed": partial(phrases.needed, texts=texts),
        "lacking": partial(phrases.lacking, texts=texts),
        "unknown": arrangements.unknown,
        "narrow": arrangements.narrow,
        "wide": arrangements.wide,
        "distinct": arrangements.distinct,
        "by_group": arrangements.by_group,
        "sentence": partial(phrases.sentence, texts=texts),
    }
