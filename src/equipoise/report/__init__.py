"""The report: one page that a clinician, an auditor and an engineer can read, offline.

First the verdict, the floors, the contrasts, who is missing and what is unknown; behind it the
numbers. What was not given is said to be not available; nothing is left out in silence.
"""

from collections.abc import Mapping
from pathlib import Path

from equipoise import words
from equipoise.report.contents import content
from equipoise.report.gaps import unit_of
from equipoise.report.material import Link, Material, gathered
from equipoise.report.options import Options
from equipoise.report.pages import page
from equipoise.scope import Scope
from equipoise.tables import write_json, write_text

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Link",
    "Material",
    "Options",
    "content",
    "gathered",
    "html",
    "run",
]

VERSION = 6
NEEDS = ("estimates",)
WANTS = (
    "verdict",
    "facts",
    "splits",
    "predictions",
    "embeddings",
    "cohort",
    "bundle",
    "acceptance",
    "monitoring",
)
GIVES = ("report",)


def html(material: Material, options: Options | None = None) -> str:
    """Return the whole report as one self-contained HTML page.

    Parameters
    ----------
    material
        What the stages before left; only the estimates are required.
    options
        Title, language and what is said to the readers.

    Raises
    ------
    UnknownName
        If there are no words in the language.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.tables import ESTIMATES
    >>> kinds = {"text": pl.String, "boolean": pl.Boolean, "integer": pl.Int64,
    ...          "real": pl.Float64}
    >>> schema = {name: kinds[column.kind] for name, column in ESTIMATES.columns.items()}
    >>> html(Material(pl.DataFrame(schema=schema)))[:15]
    '<!DOCTYPE html>'
    """
    chosen = options or Options.model_validate({})
    texts = words.load(chosen.language, unit=unit_of(material) or "patient")
    return page(material, content(material, chosen, texts), texts)


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Write ``report.html`` and ``report.json`` from the folders of the stages before.

    Parameters
    ----------
    options
        The options.
    inputs
        Noun → folder; only ``"estimates"`` must be there.
    out
        Where the report goes.
    scope
        The surroundings.
    """
    material = gathered(inputs)
    texts = words.load(options.language, unit=unit_of(material) or "patient")
    scope.progress("parts", 1, 3)
    said = content(material, options, texts)
    write_json(out / "report.json", said)
    scope.progress("parts", 2, 3)
    write_text(out / "report.html", page(material, said, texts))
    scope.progress("parts", 3, 3)
    verdict = said["verdict"]
    return {
        "verdict": verdict["verdict"] if isinstance(verdict, dict) else None,
        "findings": material.estimates["finding"].n_unique(),
        "given": sorted(inputs),
    }
