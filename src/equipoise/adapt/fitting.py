"""One candidate in one round: every penalty tried on validation, the best one kept."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt

from equipoise import registry
from equipoise.adapt.material import Rows
from equipoise.adapt.options import Candidate, Options, Rule
from equipoise.adapt.rounds import Round
from equipoise.errors import InvalidConfiguration, InvalidTable
from equipoise.metrics import UNKNOWN, clustered_auroc
from equipoise.mitigations import MITIGATIONS, Declared, Fitted, Training, scores

Fit = Callable[..., object]


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
    """

    penalty: float
    overall: float
    groups: Mapping[str, float]
    fitted: Fitted

    def value(self, rule: Rule) -> float:
        """Return what the penalty is chosen by under a rule.

        Of the worst group where the rule looks at it and a group is large enough; else overall:
        a penalty chosen for little encoding or a small contrast would be the one that tells least.
        """
        if rule not in {"worst_group", "pareto_minimax"} or not self.groups:
            return self.overall
        return min(self.groups.values())


def trials(
    rows: Rows, finding: str, candidate: Candidate, part: Round, options: Options, *, seed: int
) -> list[Trial]:
    """Return a trial per penalty, the strongest first, each started from the one before.

    Raises
    ------
    InvalidTable
        If the part to fit on or the part to validate on holds one label only, or a score is no
        number.
    InvalidConfiguration
        If the mitigation has no such parameter or gives no probe.

    Examples
    --------
    >>> import polars as pl
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
    >>> found = trials(images, "edema", plain, part, Options(penalties=(0.1, 1.0)), seed=0)
    >>> [(trial.penalty, trial.overall) for trial in found]
    [(1.0, 1.0), (0.1, 1.0)]
    """
    fit = registry.load(candidate.mitigation, MITIGATIONS, kind="mitigation")
    inside, held = rows.assessed(finding, part.fit), rows.assessed(finding, part.validation)
    truth = rows.truth(finding)
    _check_both(truth[held], finding, part.chosen_on)
    if _needs_groups(fit):
        _check_groups(truth[inside], rows.groups[inside], finding)
    training = Training(rows.x[inside], truth[inside], rows.groups[inside], rows.patients[inside])
    found: list[Trial] = []
    for penalty in sorted(options.penalties, reverse=True):
        fitted = fit(
            training,
            penalty=penalty,
            parameters=candidate.parameters,
            rng=np.random.default_rng(seed),
            start=found[-1].fitted.probe if found else None,
        )
        if not isinstance(fitted, Fitted):
            raise InvalidConfiguration(
                f"mitigation '{candidate.mitigation}' gives {type(fitted).__name__}; "
                "expected Fitted"
            )
        score = scores(fitted, rows.x[held], rows.groups[held])
        overall, groups = _reached(score, truth[held], rows, held, options.selection_minimum)
        found.append(Trial(penalty, overall, groups, fitted))
    return found


def best(found: list[Trial], rule: Rule) -> Trial:
    """Return the trial with the highest value; of equals, the strongest penalty.

    Examples
    --------
    >>> import polars as pl
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
    >>> found = trials(images, "edema", plain, part, Options(penalties=(0.1, 1.0)), seed=0)
    >>> best(found, "overall").penalty
    1.0
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


def _check_both(truth: npt.NDArray[np.bool_], finding: str, where: str) -> None:
    positive = int(truth.sum())
    if positive in {0, len(truth)}:
        raise InvalidTable(
            f"finding '{finding}': {where} has {positive} positives among {len(truth)} images; "
            "expected both labels"
        )


def _needs_groups(fit: Fit) -> bool:
    """Return whether a member learns from groups, as it declares; one of a study's own may."""
    declared = getattr(sys.modules.get(fit.__module__), "DECLARED", None)
    return not isinstance(declared, Declared) or declared.group_in_training


def _check_groups(truth: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_], finding: str) -> None:
    """Refuse a group of one class: what would be learned there is to tell the group."""
    for name in sorted(set(groups.tolist()) - {UNKNOWN}):
        own = truth[groups == name]
        positive = int(own.sum())
        if positive in {0, len(own)}:
            raise InvalidTable(
                f"finding '{finding}': group '{name}' has {positive} positives among {len(own)} "
                "images in training; a mitigation needs both labels in every group"
            )
