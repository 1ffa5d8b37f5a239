"""All candidates compared: fitted, scored, and one of them selected."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import polars as pl

from equipoise.adapt.material import Rows
from equipoise.adapt.options import PROCEDURE, Options
from equipoise.adapt.outcomes import Outcome, over_findings, table, trial_tables
from equipoise.adapt.procedure import Procedure, procedure
from equipoise.adapt.rounds import Evaluation, decided, rounds
from equipoise.adapt.selection import Selection, selection
from equipoise.adapt.thresholds import by_group
from equipoise.errors import InvalidTable
from equipoise.metrics import UNKNOWN
from equipoise.mitigations import MITIGATIONS, joined_groups
from equipoise.mitigations.rows import parsed
from equipoise.registry import load
from equipoise.scope import Progress, silent
from equipoise.tables import OPERATING_POINTS

_ABOUT: dict[Evaluation, str] = {
    "split": "one model, on patients it has not seen",
    "cross-fit": "the procedure, not one model: every image is scored by a probe fitted without "
    "its patient; penalty, candidate and operating points are chosen without its fold",
}


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of all candidates.

    Parameters
    ----------
    predictions
        File → the table *predictions*.
    operating_points
        The table.
    selection
        Which candidate was chosen by which rule, how it was evaluated, and why.
    outcomes
        All that was tried.
    selected
        Where every candidate stands under every rule, and under the guard.
    group_thresholds
        A record per finding, fold, group and operating point; none unless asked for.
    trials
        File → the table *predictions* of every setting and penalty, of images it was not fitted on.
    """

    predictions: Mapping[str, pl.DataFrame]
    operating_points: pl.DataFrame
    selection: Mapping[str, object]
    outcomes: list[Outcome]
    selected: Selection
    group_thresholds: list[dict[str, object]]
    trials: Mapping[str, pl.DataFrame]


def predictions(
    images: Rows, options: Options | None = None, *, progress: Progress = silent
) -> Adapted:
    """Return the predictions of all candidates, the losers too, and which one is selected.

    Parameters
    ----------
    images
        Cohort, split and embeddings, brought together by `rows`.
    options
        Candidates, penalties, selection rule, operating points, evaluation.
    progress
        Told ``("candidates", done, total)``.

    Raises
    ------
    InvalidTable
        If plain training cannot be fitted for some finding, or an attribute has one level only.
    UnknownName
        If there is no such mitigation; before anything is fitted.
    InvalidConfiguration
        If a mitigation has no such parameter; before anything is fitted.

    Examples
    --------
    >>> from equipoise.adapt.material import rows
    >>> ids = [str(i) for i in range(8)]
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids,
    ...                        "label:edema": [True, False] * 4})
    >>> vectors = pl.Series([[float(i % 2)] for i in range(8)], dtype=pl.Array(pl.Float32, 1))
    >>> splits = pl.DataFrame({"image_id": ids, "fold": [0] * 8,
    ...                        "split": ["train"] * 4 + ["validation"] * 2 + ["test"] * 2})
    >>> embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    >>> images = rows(cohort, splits, embeddings, findings=None, group_by=[])
    >>> adapted = predictions(images, Options(evaluation="split"))
    >>> adapted.selection["candidate"], len(adapted.predictions)
    ('plain', 3)
    """
    asked = options or Options()
    check_asked(images, asked)
    evaluation, why = decided(images, asked)
    work = [(seed, candidate) for seed in asked.seeds for candidate in asked.compared()]
    files: dict[str, pl.DataFrame] = {}
    tried: dict[str, pl.DataFrame] = {}
    outcomes: list[Outcome] = []
    for done, (seed, candidate) in enumerate(work):
        progress("candidates", done, len(work))
        parts = rounds(images, evaluation, seed=seed, inner=asked.inner_validation)
        found = over_findings(images, list(images.labels), candidate, parts, asked, seed=seed)
        # Its trials are in tables from here on: they need not be held twice.
        outcomes += [replace(one, each=()) for one in found]
        if any(one.reason is None for one in found):
            files[f"predictions/{found[0].file}.parquet"] = table(found, images, evaluation)
            tried |= trial_tables(found, images, evaluation)
    progress("candidates", len(work), len(work))
    selected = selection(images, outcomes, asked)
    said = _said(selected, asked, outcomes)
    points = outcomes
    if evaluation == "cross-fit":
        made = procedure(images, outcomes, asked)
        files |= _files(made.outcomes, images, evaluation)
        points = [*outcomes, *made.outcomes]
        said |= _by_fold(made, asked, said)
    records: list[dict[str, object]] = []
    if asked.group_thresholds is not None:
        own = [one for one in points if one.candidate == said["candidate"]]
        both = [by_group(images, one, asked) for one in own]
        points = [*points, *(one.outcome for one in both)]
        records = [record for one in both for record in one.records]
        files |= _files([one.outcome for one in both], images, evaluation)
        said |= _grouped(both[0].outcome, asked.group_thresholds)
    said |= {
        "evaluation": evaluation,
        "evaluation_reason": why,
        "evidence_about": _ABOUT[evaluation],
        "cross_fitted": evaluation == "cross-fit",
    }
    return Adapted(files, _points(points), said, outcomes, selected, records, tried)


def _files(
    outcomes: Sequence[Outcome], images: Rows, evaluation: Evaluation
) -> dict[str, pl.DataFrame]:
    """Return file → predictions of some outcomes, those of a candidate and seed in one."""
    return {
        f"predictions/{file}.parquet": table(
            [one for one in outcomes if one.file == file], images, evaluation
        )
        for file in dict.fromkeys(one.file for one in outcomes)
    }


def _grouped(first: Outcome, reason: str) -> dict[str, object]:
    """Return what is audited if each group has a threshold of its own."""
    return {
        "candidate": first.candidate,
        "file": f"predictions/{first.file}.parquet",
        "group_thresholds": reason,
        "needs_group_at_test": True,
    }


def check_asked(images: Rows, options: Options) -> None:
    """Refuse, before anything is fitted, a name that does not exist and groups that are one.

    Raises
    ------
    UnknownName
        If there is no such mitigation.
    InvalidTable
        If groups are asked for, and one only is known.

    Examples
    --------
    >>> import numpy as np
    >>> rows = Rows(["a"], ["p"], np.zeros((1, 1)), {}, np.array(["F"]), [""], np.zeros(1, int),
    ...             np.array(["train"]), np.zeros(1, int))
    >>> check_asked(rows, Options(group_by=("sex",)))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: cohort: group_by sex: one group only, 'F'; expected at least \
two levels
    """
    for candidate in options.compared():
        load(candidate.mitigation, MITIGATIONS, kind="mitigation")
        if candidate.mitigation in MITIGATIONS:
            module = sys.modules[MITIGATIONS[candidate.mitigation].partition(":")[0]]
            for parameters in candidate.settings():
                parsed(module.Parameters, parameters, candidate.mitigation)
    names = sorted(set(images.groups.tolist()) - {UNKNOWN})
    if len(names) < 2 and names != joined_groups(pl.DataFrame({"": [0]}), []):
        by = ", ".join(options.group_by) or "as given"
        found = f"one group only, '{names[0]}'" if names else "no group that is known"
        raise InvalidTable(f"cohort: group_by {by}: {found}; expected at least two levels")


def _said(selected: Selection, options: Options, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return what was chosen by the study's rule, and by the others."""
    candidate, reason = selected.chosen(options.selection)
    first = next(one for one in outcomes if one.candidate == candidate)
    guard = selected.guards[candidate]
    return {
        "candidate": candidate,
        "seed": first.seed,
        "file": f"predictions/{first.file}.parquet",
        "rule": options.selection,
        "reason": reason,
        "standard_errors": options.standard_errors,
        "margin": options.margin,
        "guard": guard.status,
        "guard_reason": guard.reason,
        "written_reason": None if guard.passes else options.despite_guard.get(candidate),
        "choices": {
            rule: None if one is None else asdict(one) for rule, one in selected.choices.items()
        },
    }


def _by_fold(made: Procedure, options: Options, overall: Mapping[str, object]) -> dict[str, object]:
    """Return what is audited after a cross-fit: the procedure, which chooses in every fold."""
    named = sorted({str(row["candidate"]) for row in made.choices})
    cannot = "cannot rule out levelling down"
    open_ones = sorted({str(r["candidate"]) for r in made.choices if r["guard"] == cannot})
    told = [f"{name}: {options.despite_guard[name]}" for name in open_ones]
    only_plain = all(row["guard"] == "reference" for row in made.choices)
    return {
        "candidate": PROCEDURE,
        "seed": options.seeds[0],
        "file": f"predictions/{PROCEDURE}-{options.seeds[0]}.parquet",
        "reason": f"chosen in each fold without it: {', '.join(named)}",
        "guard": cannot if open_ones else "reference" if only_plain else "acceptable",
        "guard_reason": "judged in each fold without it",
        "written_reason": "; ".join(told) or None,
        "by_fold": made.choices,
        "over_all_folds": {name: overall[name] for name in ("candidate", "seed", "reason")},
    }


def _points(outcomes: list[Outcome]) -> pl.DataFrame:
    others: dict[str, pl.DataType] = {"fold": pl.Int64(), "threshold": pl.Float64()}
    schema = {name: others.get(name, pl.String()) for name in OPERATING_POINTS.columns}
    return pl.DataFrame([point for one in outcomes for point in one.points], schema=schema)
