"""One candidate in one round: what every penalty reaches on validation, and the best one kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
import numpy.typing as npt

from equipoise.adapt.material import Rows
from equipoise.adapt.options import Options, Rule
from equipoise.adapt.rounds import Round
from equipoise.metrics import UNKNOWN, clustered_auroc
from equipoise.mitigations import Fitted, scores


@dataclass(frozen=True, slots=True)
class Trial:
    """One fit, and what it reached on validation.

    Parameters
    ----------
    penalty
        Under which it was fitted.
    overall
        AUROC of all validation images.
    groups
        AUROC of each group that is large enough.
    fitted
        The probe.
    parameters
        Those of the mitigation under which it was fitted.
    """

    penalty: float
    overall: float
    groups: Mapping[str, float]
    fitted: Fitted
    parameters: Mapping[str, object] = field(default_factory=dict)

    def value(self, rule: Rule) -> float:
        """Return what the penalty is chosen by under a rule.

        Of the worst group where the rule looks at it and a group is large enough; else overall:
        a penalty chosen for little encoding or a small contrast would be the one that tells least.
        """
        if rule not in {"worst_group", "pareto_minimax"} or not self.groups:
            return self.overall
        return min(self.groups.values())


def trials(
    rows: Rows, finding: str, fitted: Sequence[Fitted], part: Round, options: Options
) -> list[Trial]:
    """Return what each fit reaches on the validation part of its round.

    Raises
    ------
    InvalidTable
        If a score is no number.

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.adapt.material import rows
    >>> from equipoise.adapt.options import PLAIN
    >>> from equipoise.adapt.sweeps import fits
    >>> ids = ["a", "b", "c", "d"]
    >>> labels = {"label:edema": [True, False, True, False]}
    >>> cohort = pl.DataFrame({"image_id": ids, "patient_id": ids, **labels})
    >>> splits = pl.DataFrame({"image_id": ids, "split": ["train"] * 4, "fold": [0, 0, 1, 1]})
    >>> vectors = pl.Series([[1.0], [0.0]] * 2, dtype=pl.Array(pl.Float32, 1))
    >>> embeddings = pl.DataFrame({"image_id": ids, "vector": vectors})
    >>> images = rows(cohort, splits, embeddings, findings=None, group_by=[])
    >>> everyone = np.ones(4, dtype=bool)
    >>> part, asked = Round(None, everyone, everyone, everyone), Options(penalties=(0.1, 1.0))
    >>> fitted = fits(images, ["edema"], PLAIN, part, asked, seed=0)["edema"]
    >>> found = trials(images, "edema", fitted, part, asked)
    >>> [(trial.penalty, trial.overall) for trial in found]
    [(1.0, 1.0), (0.1, 1.0)]
    """
    held = rows.assessed(finding, part.validation)
    x, truth, groups = rows.x[held], rows.truth(finding)[held], rows.groups[held]
    found: list[Trial] = []
    for one in fitted:
        score = scores(one, x, groups)
        overall, by_group = _reached(score, truth, rows, held, options.selection_minimum)
        found.append(Trial(one.probe.penalty, overall, by_group, one))
    return found


def best(found: list[Trial], rule: Rule) -> Trial:
    """Return the trial with the highest value; of equals, the strongest penalty.

    Examples
    --------
    >>> probe = Fitted("plain", None)
    >>> found = [Trial(1.0, 0.7, {"F": 0.6, "M": 0.8}, probe), Trial(0.1, 0.8, {"F": 0.5}, probe)]
    >>> best(found, "overall").penalty, best(found, "worst_group").penalty
    (0.1, 1.0)
    """
    return max(found, key=lambda trial: (trial.value(rule), trial.penalty))


def mean_by_group(parts: list[Trial]) -> dict[str, float]:
    """Return the AUROC of each group, averaged over the rounds in which it is large enough.

    Examples
    --------
    >>> mean_by_group([])
    {}
    """
    names = sorted({name for trial in parts for name in trial.groups})
    return {
        name: fmean(trial.groups[name] for trial in parts if name in trial.groups) for name in names
    }


def _reached(
    score: npt.NDArray[np.float32],
    truth: npt.NDArray[np.bool_],
    rows: Rows,
    held: npt.NDArray[np.bool_],
    minimum: int,
) -> tuple[float, dict[str, float]]:
    patients, groups = rows.patients[held], rows.groups[held]
    overall = clustered_auroc(score, truth, patients)[0]
    found = {}
    for name in sorted(set(groups.tolist()) - {UNKNOWN}):
        inside = groups == name
        n, positive = int(inside.sum()), int(truth[inside].sum())
        if min(positive, n - positive) >= minimum:
            found[name] = clustered_auroc(score[inside], truth[inside], patients[inside])[0]
    return float(overall), found
