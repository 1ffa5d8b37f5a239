"""Power before results: all that ``power.json`` says, from labels and the bundle, no score read."""

from collections.abc import Mapping

import polars as pl

from equipoise import bundles, metrics
from equipoise.accept.chances import cases, chance
from equipoise.accept.needs import Planning, needs
from equipoise.accept.options import Options
from equipoise.accept.shapes import Local, Shape, local, shapes
from equipoise.scope import Progress, silent

VERSION = 1
"""Raised when the meaning of a key in ``power.json`` changes."""

_CRITICAL = 3.0
"""Half-width of the simultaneous intervals where none could be drawn."""


def power(
    bundle: bundles.Bundle,
    cohort: pl.DataFrame,
    options: Options | None = None,
    *,
    progress: Progress = silent,
) -> dict[str, object]:
    """Return the chance of each verdict with the local labels, and what each verdict needs.

    Parameters
    ----------
    bundle
        Its audit plan is followed, its policy judges, its reference says what is expected.
    cohort
        Local groups, labels and patients.
    options
        Draws, seed, chance.
    progress
        Told how far it is.

    Examples
    --------
    See the tests: it takes a bundle.

    >>> power.__name__
    'power'
    """
    chosen = options or Options()
    levels = {name: list(words) for name, words in bundle.audit.attributes.items()}
    table = metrics.subgroups(levels, order=bundle.audit.intersections)
    here = local(bundle, cohort, table)
    found = shapes(bundle, here)
    correlation = _correlations(bundle, chosen)
    made: list[dict[str, object]] = []
    for position, case in enumerate(cases(bundle, here, found, beyond=chosen.beyond)):
        if not case.shapes:
            reason = case.says.get("reason", "nothing is known of the scores to expect")
            made.append({"case": case.name, **case.says, "draws": 0, "reason": reason})
            continue
        made.append(
            chance(
                bundle,
                here,
                table,
                case,
                draws=chosen.draws if case.name == "reference" else chosen.worst_draws,
                correlation=correlation.__getitem__,
                seed=chosen.seed + position,
                progress=progress,
            )
        )
    critical = made[0].get("critical_value")
    planning = Planning(
        chosen.chance, critical if isinstance(critical, float) else _CRITICAL, correlation
    )
    return {
        "version": VERSION,
        "bundle": bundle.digest,
        "policy": {"name": bundle.policy.name, "description": bundle.policy.description},
        "stated_before": "no local score was read",
        "expected_from": _sources(bundle, found),
        "drawn_from": _drawn_from(here, found),
        "correlation": correlation,
        "correlation_assumed": [f for f in bundle.findings if _known(bundle, f) is None],
        "labels": _labels(bundle, here),
        "chance_of_needs": chosen.chance,
        "needs": needs(bundle, here, found, planning),
        "chances": made,
    }


def _known(bundle: bundles.Bundle, finding: str) -> float | None:
    reference = bundle.reference
    return None if reference is None else reference.within_patient.get(finding)


def _correlations(bundle: bundles.Bundle, options: Options) -> dict[str, float]:
    return {
        finding: options.correlation if (known := _known(bundle, finding)) is None else known
        for finding in bundle.findings
    }


def _sources(bundle: bundles.Bundle, found: Mapping[str, Shape]) -> dict[str, str]:
    counted = bundle.reference is not None and bundle.reference.counts is not None
    source = "reference counts" if counted else "claims of the maker, the same for every group"
    return {f: source if f in found else "nothing" for f in bundle.findings}


def _drawn_from(here: Local, found: Mapping[str, Shape]) -> list[dict[str, object]]:
    names = list(here.cells.levels)
    return [
        {
            "finding": finding,
            "cell": {name: str(here.cells.levels[name][cell]) for name in names},
            "positives": sources[0],
            "negatives": sources[1],
        }
        for finding, shape in found.items()
        for cell, sources in enumerate(shape.drawn_from)
    ]


def _labels(bundle: bundles.Bundle, here: Local) -> list[dict[str, object]]:
    """Return how many positives and negatives each declared subgroup has here."""
    rows: list[dict[str, object]] = []
    for finding in bundle.findings:
        known, positive = here.labels(finding)
        ups, downs = here.by_cell(positive), here.by_cell(known & ~positive)
        for position, subgroup in enumerate(here.compared.subgroups):
            inside = here.compared.inside[position]
            rows.append(
                {
                    "finding": finding,
                    "subgroup": {k: v for k, v in subgroup.items() if v is not None},
                    "n_positive": int(ups @ inside),
                    "n_negative": int(downs @ inside),
                }
            )
    return rows
