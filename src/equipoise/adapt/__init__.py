"""Adapt: probes on frozen embeddings, with and without mitigation, one selected, all kept.

Penalty, candidate and operating points are chosen on validation alone; plain training stays
unless another is better and was shown to make no group worse. Where the test split is too small to
say anything, every image is scored by a probe that has not seen its patient, and the candidate is
chosen anew in every fold: then the numbers are evidence about the procedure, not about one model.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from equipoise import mitigations
from equipoise.adapt.comparison import Adapted, predictions
from equipoise.adapt.material import Rows, rows
from equipoise.adapt.options import Candidate, OperatingPoint, Options
from equipoise.adapt.outcomes import Outcome
from equipoise.adapt.records import all_trials, judged, summary
from equipoise.adapt.validations import validations
from equipoise.metrics.points import threshold
from equipoise.scope import Scope
from equipoise.tables import (
    COHORT,
    EMBEDDINGS,
    OPERATING_POINTS,
    PREDICTIONS,
    SPLITS,
    read,
    write,
    write_json,
)

VERSION = 4
NEEDS = ("cohort", "splits", "embeddings")
WANTS: tuple[str, ...] = ()
GIVES = ("predictions",)

__all__ = [
    "GIVES",
    "NEEDS",
    "VERSION",
    "WANTS",
    "Adapted",
    "Candidate",
    "OperatingPoint",
    "Options",
    "Rows",
    "predictions",
    "rows",
    "run",
    "threshold",
]


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Read cohort, splits and embeddings; write all predictions and what was chosen.

    Parameters
    ----------
    options
        What is asked.
    inputs
        The folders of *cohort*, *splits* and *embeddings*.
    out
        An existing folder.
    scope
        Progress.

    Returns
    -------
    The selection, how many candidates there were and failed, and how many labels were not
    assessed.
    """
    images = rows(
        read(inputs["cohort"] / "cohort.parquet", COHORT),
        read(inputs["splits"] / "splits.parquet", SPLITS),
        read(inputs["embeddings"] / "embeddings.parquet", EMBEDDINGS),
        findings=options.findings,
        group_by=options.group_by,
    )
    adapted = predictions(images, options, progress=scope.progress)
    kept = {**adapted.predictions, **adapted.trials, **validations(images, adapted.outcomes)}
    for name, frame in kept.items():
        write(frame, out / name, PREDICTIONS)
    write(adapted.operating_points, out / "operating_points.parquet", OPERATING_POINTS)
    write_json(out / "selection.json", dict(adapted.selection))
    if adapted.group_thresholds:
        write_json(out / "group_thresholds.json", {"thresholds": adapted.group_thresholds})
    unassessed = {name: labels.null_count() for name, labels in images.labels.items()}
    records = {
        "candidates": summary(adapted.outcomes, adapted.selected),
        "judged": judged(adapted.selected),
        "trials": all_trials(adapted.outcomes),
    }
    write_json(
        out / "candidates.json",
        {**records, "evaluation": adapted.selection["evaluation"], "not_assessed": unassessed},
    )
    for number, finding in enumerate(images.labels):
        slug = f"{number:02d}-{re.sub('[^A-Za-z0-9]+', '_', finding)}"
        _save([one for one in adapted.outcomes if one.finding == finding], out / "probes" / slug)
    return {
        **adapted.selection,
        "n_candidates": len({(one.candidate, one.seed) for one in adapted.outcomes}),
        "n_failed": sum(one.reason is not None for one in adapted.outcomes),
        "not_assessed": unassessed,
    }


def _save(outcomes: list[Outcome], folder: Path) -> None:
    for one in outcomes:
        for fold, trial in one.kept.items():
            name = one.file if fold is None else f"{one.file}-fold{fold}"
            mitigations.save(trial.fitted, folder / name)
