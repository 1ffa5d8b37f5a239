"""Which candidate each rule chooses on validation, and what is said of every one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from equipoise.adapt.fitting import Trial
from equipoise.adapt.options import Rule
from equipoise.adapt.outcomes import Outcome
from equipoise.errors import InvalidTable

RULES: tuple[Rule, ...] = ("overall", "worst_group")
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Choice:
    """What a rule chooses.

    Parameters
    ----------
    candidate, seed
        Which.
    file
        Its predictions, relative to the folder of the stage.
    auroc
        On validation, averaged over findings.
    """

    candidate: str
    seed: int
    file: str
    auroc: float


def chosen(outcomes: Sequence[Outcome], rule: Rule) -> Choice | None:
    """Return the candidate and seed with the highest validation AUROC by a rule.

    Over several findings the mean decides: one candidate is selected for the study. Of equals
    the first counts, and plain training comes first.

    Returns
    -------
    None if no candidate has such a number for every finding.

    Examples
    --------
    >>> chosen([], "overall") is None
    True
    """
    top: Choice | None = None
    for key in dict.fromkeys((one.candidate, one.seed) for one in outcomes):
        found = [one for one in outcomes if (one.candidate, one.seed) == key]
        known = [value for one in found if (value := one.value(rule)) is not None]
        if len(known) == len(found) and (top is None or fmean(known) > top.auroc + _TIE):
            top = Choice(*key, f"predictions/{found[0].file}.parquet", fmean(known))
    return top


def selected(outcomes: Sequence[Outcome], rule: Rule) -> tuple[Choice, str]:
    """Return what the study's rule chooses, and why.

    Raises
    ------
    InvalidTable
        If every candidate failed for some finding.

    Examples
    --------
    >>> import numpy as np
    >>> nothing = np.array([], np.float32)
    >>> selected([Outcome("edema", "a", "a", 0, "a-0", {}, {}, nothing, [], "why")], "overall")
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: adapt: no candidate could be fitted; a: why
    """
    choice = chosen(outcomes, rule)
    if choice is not None:
        margin = _margin(outcomes, choice, rule)
        return choice, f"highest validation AUROC by rule '{rule}' ({choice.auroc:.4f}{margin})"
    overall = chosen(outcomes, "overall")
    if overall is None:
        failed = next(one for one in outcomes if one.reason is not None)
        raise InvalidTable(
            f"adapt: no candidate could be fitted; {failed.candidate}: {failed.reason}"
        )
    return overall, (
        f"highest validation AUROC overall ({overall.auroc:.4f}"
        f"{_margin(outcomes, overall, 'overall')}): no group is large enough on validation for "
        f"rule '{rule}'"
    )


def _margin(outcomes: Sequence[Outcome], choice: Choice, rule: Rule) -> str:
    """Return in words how little a mitigation may have won by."""
    plain = chosen([one for one in outcomes if one.mitigation == "plain"], rule)
    if plain is None or plain.candidate == choice.candidate:
        return ""
    return f", {choice.auroc - plain.auroc:.4f} above plain training"


def summary(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Return a record per finding, candidate and seed, the losers and the failed too.

    Examples
    --------
    >>> import numpy as np
    >>> nothing = np.array([], np.float32)
    >>> failed = Outcome("edema", "a", "a", 0, "a-0", {}, {}, nothing, [], "why")
    >>> summary([failed])[0]["status"]
    'failed'
    """
    by = {name: chosen(outcomes, name) for name in RULES}
    return [
        {
            "finding": one.finding,
            "candidate": one.candidate,
            "mitigation": one.mitigation,
            "seed": one.seed,
            "overall_auroc": one.overall,
            "worst_group_auroc": one.value("worst_group"),
            "worst_group": min(one.groups, key=one.groups.__getitem__, default=None),
            "chosen_by": [
                name
                for name, choice in by.items()
                if choice is not None
                and (choice.candidate, choice.seed) == (one.candidate, one.seed)
            ],
            "status": "fitted" if one.reason is None else "failed",
            "reason": one.reason,
            "penalties": [trial.penalty for trial in one.kept.values()],
            "converged": all(trial.fitted.converged for trial in one.kept.values()),
            "group_auroc": one.groups,
        }
        for one in outcomes
    ]


def all_trials(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Return a record per fit: every penalty and fold, with how closely it was solved.

    Examples
    --------
    >>> all_trials([])
    []
    """
    return [record for one in outcomes for record in _records(one)]


def _records(one: Outcome) -> Iterator[dict[str, object]]:
    for fold, found in one.tried.items():
        for trial in found:
            yield {
                "finding": one.finding,
                "candidate": one.candidate,
                "seed": one.seed,
                "fold": fold,
                "kept": one.kept.get(fold) is trial,
                **_trial(trial),
            }


def _trial(trial: Trial) -> dict[str, object]:
    probe = trial.fitted.probe
    return {
        "penalty": trial.penalty,
        "overall_auroc": trial.overall,
        "worst_group_auroc": min(trial.groups.values(), default=None),
        "group_auroc": dict(trial.groups),
        "iterations": probe.iterations,
        "gradient_norm": probe.gradient_norm,
        "converged": trial.fitted.converged,
        "gap": trial.fitted.gap,
        "worst_training_loss": float(trial.fitted.group_losses.max())
        if len(trial.fitted.group_losses)
        else None,
    }
