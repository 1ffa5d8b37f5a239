"""One candidate with one seed: its findings, all rounds of each, or why one failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.adapt.fitting import Trial, best, mean_by_group, trials
from equipoise.adapt.material import Rows
from equipoise.adapt.options import Candidate, Options, Rule
from equipoise.adapt.rounds import Evaluation, Round
from equipoise.adapt.sweeps import FAILURES, Failure, fits
from equipoise.metrics.points import seal, threshold
from equipoise.mitigations import Fitted, scores

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Held:
    """The validation images of one round that have a label, and what a candidate says of them.

    Parameters
    ----------
    rows
        Which images ``(n,)``.
    score
        Shape ``(n,)``, Float32.
    """

    rows: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one candidate with one seed for one finding.

    Parameters
    ----------
    finding, candidate, mitigation, seed
        What was tried.
    file
        Name of its predictions, without ending.
    tried
        Fold (None = all images) → every trial.
    kept
        Fold → the trial whose penalty was chosen.
    scores
        ``(n,)`` Float32; NaN everywhere if it failed.
    points
        Rows of the table *operating points*.
    reason
        Why it failed, or None.
    held
        Fold → its scores on validation, by which it is selected.
    each
        Of every setting and penalty the scores ``(n,)`` Float32 of images it was not fitted on,
        NaN elsewhere; in the order of `tried`.
    """

    finding: str
    candidate: str
    mitigation: str
    seed: int
    file: str
    tried: Mapping[int | None, list[Trial]]
    kept: Mapping[int | None, Trial]
    scores: npt.NDArray[np.float32]
    points: list[dict[str, object]]
    reason: str | None = None
    held: Mapping[int | None, Held] = field(default_factory=dict)
    each: Sequence[Scores] = ()

    @property
    def overall(self) -> float | None:
        """Validation AUROC, averaged over rounds."""
        return fmean(trial.overall for trial in self.kept.values()) if self.kept else None

    @property
    def groups(self) -> dict[str, float]:
        """Validation AUROC of each group that is large enough, averaged over rounds."""
        return mean_by_group(list(self.kept.values()))

    def value(self, rule: Rule) -> float | None:
        """Return what a selection rule looks at, or None if there is no such number."""
        if rule == "overall":
            return self.overall
        return min(self.groups.values(), default=None)


def over_findings(
    rows: Rows,
    findings: Sequence[str],
    candidate: Candidate,
    parts: Sequence[Round],
    options: Options,
    *,
    seed: int,
) -> list[Outcome]:
    """Return an outcome per finding: fitted together, chosen and scored round by round.

    A finding whose numbers fail is returned with the reason; the others go on.

    Examples
    --------
    >>> from equipoise.adapt.material import rows
    >>> from equipoise.adapt.options import PLAIN
    >>> ids = ["a", "b", "c", "d"]
    >>> labels = {"label:edema": [True, False, True, False], "label:mass": [True] * 4}
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, **labels})
    >>> splits = pl.DataFrame({"image_id": ids, "split": ["train"] * 4, "fold": [0, 0, 1, 1]})
    >>> vectors = pl.Series([[1.0], [0.0]] * 2, dtype=pl.Array(pl.Float32, 1))
    >>> embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    >>> images = rows(cohort, splits, embeddings, findings=None, group_by=[])
    >>> everyone = np.ones(4, dtype=bool)
    >>> part = Round(None, everyone, everyone, everyone)
    >>> found = over_findings(images, ["edema", "mass"], PLAIN, [part], Options(), seed=0)
    >>> [(one.overall, len(one.points), one.reason is None) for one in found]
    [(1.0, 1, True), (None, 0, False)]
    """
    fitted: dict[str, list[list[Fitted] | Failure]] = {name: [] for name in findings}
    for part in parts:
        going = [name for name, before in fitted.items() if _sound(before)]
        with np.errstate(all="ignore"):  # numbers that fail are seen in the scores
            found = fits(rows, going, candidate, part, options, seed=seed)
        for name, made in found.items():
            fitted[name].append(made)
    return [
        _outcome(rows, finding, candidate, list(zip(parts, made, strict=False)), options, seed=seed)
        for finding, made in fitted.items()
    ]


def _sound(fitted: Sequence[list[Fitted] | Failure]) -> bool:
    return all(isinstance(one, list) for one in fitted)


def _outcome(
    rows: Rows,
    finding: str,
    candidate: Candidate,
    fitted: Sequence[tuple[Round, list[Fitted] | Failure]],
    options: Options,
    *,
    seed: int,
) -> Outcome:
    """Choose the penalty and the operating points, and score, round by round."""
    file, name = f"{candidate.name}-{seed}", identity(candidate.name, seed, options)
    tried: dict[int | None, list[Trial]] = {}
    kept: dict[int | None, Trial] = {}
    found = np.full(len(rows.image_ids), np.nan, dtype=np.float32)
    points: list[dict[str, object]] = []
    held: dict[int | None, Held] = {}
    settings = [one for one in candidate.settings() for _ in options.penalties]
    each = [found.copy() for _ in settings]
    reason: str | None = None
    try:
        for part, made in fitted:
            if not isinstance(made, list):
                raise made
            with np.errstate(all="ignore"):
                told = trials(rows, finding, made, part, options)
            tried[part.fold] = [
                replace(trial, parameters=parameters)
                for trial, parameters in zip(told, settings, strict=True)
            ]
            kept[part.fold] = best(tried[part.fold], options.selection)
            part_scores = scores(kept[part.fold].fitted, rows.x, rows.groups)
            found[part.scored] = part_scores[part.scored]
            unseen = part.scored & ~part.fit
            x, groups = rows.x[unseen], rows.groups[unseen]
            for trial, score in zip(tried[part.fold], each, strict=True):
                own = trial is kept[part.fold]
                score[unseen] = part_scores[unseen] if own else scores(trial.fitted, x, groups)
            inside = np.flatnonzero(rows.assessed(finding, part.validation))
            held[part.fold] = Held(inside, part_scores[inside])
            points += _points(rows, finding, part, part_scores, options, candidate=name)
    except FAILURES as error:
        found[:] = np.nan
        kept, points, held, each = {}, [], {}, []
        reason = str(error) or type(error).__name__
    return Outcome(
        finding=finding,
        candidate=candidate.name,
        mitigation=candidate.mitigation,
        seed=seed,
        file=file,
        tried=tried,
        kept=kept,
        scores=found,
        points=points,
        reason=reason,
        held=held,
        each=each,
    )


def identity(name: str, seed: int, options: Options) -> str:
    """Return what a candidate is called among operating points: of several seeds, with its seed.

    Examples
    --------
    >>> identity("plain", 1, Options(seeds=(0, 1)))
    'plain-1'
    """
    return name if len(options.seeds) == 1 else f"{name}-{seed}"


def table(outcomes: list[Outcome], rows: Rows, evaluation: Evaluation) -> pl.DataFrame:
    """Return the table *predictions* of one candidate and seed, a score column per finding.

    Examples
    --------
    >>> from equipoise.adapt.material import rows
    >>> ids = ["a", "b", "c", "d"]
    >>> labels = {"label:edema": [True, False, True, False]}
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, **labels})
    >>> splits = pl.DataFrame({"image_id": ids, "split": ["train"] * 4, "fold": [0, 0, 1, 1]})
    >>> vectors = pl.Series([[1.0], [0.0]] * 2, dtype=pl.Array(pl.Float32, 1))
    >>> embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    >>> images = rows(cohort, splits, embeddings, findings=None, group_by=[])
    >>> everyone = np.ones(4, dtype=bool)
    >>> part = Round(None, everyone, everyone, everyone)
    >>> plain = Candidate(name="plain", mitigation="plain")
    >>> found = over_findings(images, ["edema"], plain, [part], Options(), seed=0)
    >>> table(found, images, "cross-fit").columns
    ['image_id', 'fold', 'score:edema']
    """
    where: pl.Series = (
        pl.Series("split", rows.split.tolist(), dtype=pl.String)
        if evaluation == "split"
        else pl.Series("fold", rows.fold, dtype=pl.Int64)
    )
    columns = [
        pl.Series(f"score:{one.finding}", one.scores, dtype=pl.Float32).fill_nan(None)
        for one in outcomes
    ]
    return pl.DataFrame([pl.Series("image_id", rows.image_ids), where, *columns])


def trial_tables(
    outcomes: Sequence[Outcome], rows: Rows, evaluation: Evaluation
) -> dict[str, pl.DataFrame]:
    """Return file → the table *predictions* of each setting and penalty of one candidate and seed.

    Images that a trial was fitted on are left out, in a split.

    Examples
    --------
    >>> labels = {"x": pl.Series([True, False])}
    >>> rows = Rows(["a", "b"], ["p", "q"], np.zeros((2, 1)), labels, np.array(["F"] * 2),
    ...             [""] * 2, np.arange(2), np.array(["train", "test"]), np.zeros(2, int))
    >>> score = np.array([np.nan, 0.5], np.float32)
    >>> one = Outcome("x", "a", "a", 0, "a-0", {}, {}, score, [], each=[score])
    >>> [(name, t.rows()) for name, t in trial_tables([one], rows, "split").items()]
    [('trials/a-0-0.parquet', [('b', 'test', 0.5)])]
    """
    nothing = np.full(len(rows.image_ids), np.nan, dtype=np.float32)
    found = {}
    for k in range(max((len(one.each) for one in outcomes), default=0)):
        alone = [replace(one, scores=one.each[k] if one.each else nothing) for one in outcomes]
        told = table(alone, rows, evaluation)
        scored = pl.any_horizontal(pl.col("^score:.*$").is_not_null())
        found[f"trials/{outcomes[0].file}-{k}.parquet"] = told.filter(scored)
    return found


def _points(
    rows: Rows,
    finding: str,
    part: Round,
    score: npt.NDArray[np.float32],
    options: Options,
    *,
    candidate: str,
) -> list[dict[str, object]]:
    held = rows.assessed(finding, part.validation)
    truth = rows.truth(finding)[held]
    image_ids = [rows.image_ids[i] for i in np.flatnonzero(held)]
    digest = seal(image_ids, score[held], truth)
    return [
        {
            "finding": finding,
            "candidate": candidate,
            "operating_point": point.name,
            "fold": part.fold,
            "rule": point.rule if point.rule == "youden" else f"{point.rule} >= {point.at:g}",
            "threshold": threshold(score[held], truth, rule=point.rule, at=point.at),
            "chosen_on": part.chosen_on,
            "digest": digest,
        }
        for point in options.operating_points
    ]
