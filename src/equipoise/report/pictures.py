"""The pictures of the page, and the rows of the tables beside them."""

from collections.abc import Mapping, Sequence

import polars as pl
from markupsafe import Markup

from equipoise import figures
from equipoise.figures import Span
from equipoise.report import intersections
from equipoise.report.contents import spans_of
from equipoise.report.phrases import subgroup_of
from equipoise.report.subjects import Subject
from equipoise.tables import CONTRASTS, DESCRIPTIONS
from equipoise.words import Texts

_ALWAYS = ("sensitivity", "specificity", "auroc")
"""Metrics whose pictures are open; of the others, those that the policy judges."""


def view(
    subject: Subject, identity: str, content: Mapping[str, object], texts: Texts
) -> dict[str, object]:
    """Return all pictures and tables of one subject.

    Parameters
    ----------
    subject
        The finding, candidate and operating point.
    identity
        What the ids in its pictures start with.
    content
        The content of the report; its verdict gives floors, tolerances and outcomes.
    texts
        The words.
    """
    everything = spans_of(subject)
    by_metric = {m: [span for span in everything if span.metric == m] for m in subject.metrics}
    verdict = content["verdict"]
    criteria = _criteria(verdict, subject) if isinstance(verdict, Mapping) else []
    pictures = [
        _picture(subject, by_metric[metric], f"{identity}-{place}", criteria, texts)
        for place, metric in enumerate(subject.metrics)
    ]
    return {
        "subject": subject,
        "metrics": pictures,
        "ranges": [span for span in everything if span.contrast == "range"],
        "descriptions": [
            span
            for span in everything
            if span.contrast in DESCRIPTIONS and span.contrast != "range"
        ],
    }


def _picture(
    subject: Subject,
    rows: Sequence[Span],
    identity: str,
    criteria: Sequence[Mapping[str, object]],
    texts: Texts,
) -> dict[str, object]:
    metric = rows[0].metric
    floors = {
        bound
        for c in criteria
        if c["kind"] == "floor" and c["metric"] == metric and isinstance(bound := c["bound"], float)
    }
    floor = floors.pop() if len(floors) == 1 else None
    forest = figures.forest(
        subject.estimates, metric=metric, texts=texts, identity=identity, floor=floor
    )
    return {
        "name": metric,
        "identity": identity,
        "floor": floor,
        "forest": Markup(forest),  # noqa: S704  figures escape what they draw
        "own": [span for span in rows if span.contrast is None],
        "intersections": intersections.view(subject, metric, f"{identity}-i", texts),
        "contrasts": _differences(subject, rows, f"{identity}-d", criteria, texts),
        "plain": metric in _ALWAYS or any(c["metric"] == metric for c in criteria),
    }


def _differences(
    subject: Subject,
    rows: Sequence[Span],
    identity: str,
    criteria: Sequence[Mapping[str, object]],
    texts: Texts,
) -> dict[str, object]:
    metric = rows[0].metric
    here = [c for c in criteria if c["kind"] == "contrast" and c["metric"] == metric]
    bounds = {bound for c in here if isinstance(bound := c["bound"], float)}
    tolerance = bounds.pop() if len(bounds) == 1 else None
    outcomes = {figures.subgroup_key(subgroup_of(c)): str(c["outcome"]) for c in here}
    picture = figures.contrasts(
        subject.estimates,
        metric=metric,
        texts=texts,
        identity=identity,
        tolerance=tolerance,
        outcomes=outcomes,
    )
    compared_rows = [s for s in rows if s.contrast in CONTRASTS]
    return {
        "tolerance": tolerance,
        "picture": Markup(picture),  # noqa: S704  figures escape what they draw
        "rows": [
            (span, outcomes.get(figures.subgroup_key(span.subgroup))) for span in compared_rows
        ],
    }


def _criteria(verdict: Mapping[str, object], subject: Subject) -> list[Mapping[str, object]]:
    """Return the criteria that are about a subject; what a criterion does not name fits all."""
    found: list[Mapping[str, object]] = []
    for part in ("floors", "contrasts"):
        criteria = verdict[part]
        for criterion in criteria if isinstance(criteria, list) else []:
            said = (criterion["finding"], criterion["candidate"], criterion["operating_point"])
            pairs = zip(said, subject.identity, strict=True)
            if all(name is None or name == own or own is None for name, own in pairs):
                found.append(criterion)
    return found


def bar_picture(
    levels: Sequence[Mapping[str, object]],
    attribute: str,
    place: int,
    total: int | None,
    *,
    texts: Texts,
) -> Markup:
    """Return the picture of one attribute's levels.

    Parameters
    ----------
    levels
        Rows of level, n_patients, n_images.
    attribute
        Its name.
    place
        Its number on the page.
    total
        All patients.
    texts
        The words.
    """
    schema = {"level": pl.String, "n_patients": pl.Int64, "n_images": pl.Int64}
    table = pl.DataFrame([dict(row) for row in levels], schema=schema)
    drawn = figures.bars(
        table, attribute=attribute, texts=texts, total=total, identity=f"b-{place}"
    )
    return Markup(drawn)  # noqa: S704  figures escape what they draw
