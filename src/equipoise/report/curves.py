"""The curves of the page: ROC, reliability and net benefit, from the histograms of the counts."""

from collections.abc import Callable, Sequence

import polars as pl
from markupsafe import Markup

from equipoise import figures
from equipoise.figures import attributes_of
from equipoise.report.material import Material
from equipoise.report.subjects import Subject
from equipoise.words import Texts

_DRAWN: dict[str, Callable[..., str]] = {
    "roc": figures.roc,
    "reliability": figures.reliability,
    "decision": figures.decision,
}
"""In the order in which they are read: is it ranked well, is it meant, is it worth acting on."""


def curves(material: Material, about: Sequence[Subject], texts: Texts) -> list[dict[str, object]]:
    """Return the curves of each finding and candidate that the report is about.

    Parameters
    ----------
    material
        What the stages before left; without *counts* there are none.
    about
        The subjects; their operating points share a picture.
    texts
        The words.

    Returns
    -------
    A row per finding and candidate: its `kinds` with the picture of the groups of one attribute,
    `alone`, and that of the intersections, `combined`; None if none is declared.
    """
    if material.counts is None:
        return []
    found: list[dict[str, object]] = []
    for finding, candidate in dict.fromkeys((s.finding, s.candidate) for s in about):
        counts = material.counts.filter(
            pl.col("finding") == finding, pl.col("candidate") == candidate
        )
        if counts.height:
            identity = f"c{len(found)}"
            kinds = [_kind(name, counts, material, identity, texts) for name in _DRAWN]
            found.append({"finding": finding, "candidate": candidate, "kinds": kinds})
    return found


def _kind(
    name: str, counts: pl.DataFrame, material: Material, identity: str, texts: Texts
) -> dict[str, object]:
    width = pl.sum_horizontal(
        pl.lit(0), *(pl.col(column).is_not_null() for column in attributes_of(counts))
    )
    alone, combined = counts.filter(width <= 1), counts.filter(width != 1)

    def picture(rows: pl.DataFrame, part: str) -> Markup:
        made = _DRAWN[name](
            rows, texts=texts, estimates=material.estimates, identity=f"{identity}-{name}-{part}"
        )
        return Markup(made)  # noqa: S704  figures escape what they draw

    several = bool(counts.filter(width > 1).height)
    return {
        "name": name,
        "alone": picture(alone, "a"),
        "combined": picture(combined, "i") if several else None,
    }
