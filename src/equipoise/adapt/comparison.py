"""All candidates compared: fitted, scored, and one of them selected."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import polars as pl

from equipoise.adapt.material import Rows
from equipoise.adapt.options import Options
from equipoise.adapt.outcomes import Outcome, outcome, table
from equipoise.adapt.rounds import Evaluation, decided, rounds
from equipoise.adapt.selection import RULES, chosen, selected
from equipoise.scope import Progress, silent
from equipoise.tables import OPERATING_POINTS

_ABOUT: dict[Evaluation, str] = {
    "split": "one model, on patients it has not seen",
    "cross-fit": "the procedure, not one model: every image is scored by a probe fitted without "
    "its patient; penalty and operating points are chosen without its fold, the candidate by "
    "validation parts of all folds",
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
    """

    predictions: Mapping[str, pl.DataFrame]
    operating_points: pl.DataFrame
    selection: Mapping[str, object]
    outcomes: list[Outcome]


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
        If no candidate can be fitted for some finding.

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
    evaluation, why = decided(images, asked)
    work = [(seed, candidate) for seed in asked.seeds for candidate in asked.compared()]
    files: dict[str, pl.DataFrame] = {}
    outcomes: list[Outcome] = []
    for done, (seed, candidate) in enumerate(work):
        progress("candidates", done, len(work))
        parts = rounds(images, evaluation, seed=seed, inner=asked.inner_validation)
        found = [
            outcome(images, finding, candidate, parts, asked, seed=seed)
            for finding in images.labels
        ]
        outcomes += found
        if any(one.reason is None for one in found):
            files[f"predictions/{found[0].file}.parquet"] = table(found, images, evaluation)
    progress("candidates", len(work), len(work))
    choice, reason = selected(outcomes, asked.selection)
    choices = {rule: chosen(outcomes, rule) for rule in RULES}
    said = {
        **asdict(choice),
        "rule": asked.selection,
        "reason": reason,
        "choices": {rule: None if one is None else asdict(one) for rule, one in choices.items()},
        "evaluation": evaluation,
        "evaluation_reason": why,
        "evidence_about": _ABOUT[evaluation],
        "cross_fitted": evaluation == "cross-fit",
    }
    return Adapted(files, _points(outcomes), said, outcomes)


def _points(outcomes: list[Outcome]) -> pl.DataFrame:
    others: dict[str, pl.DataType] = {"fold": pl.Int64(), "threshold": pl.Float64()}
    schema = {name: others.get(name, pl.String()) for name in OPERATING_POINTS.columns}
    return pl.DataFrame([point for one in outcomes for point in one.points], schema=schema)
