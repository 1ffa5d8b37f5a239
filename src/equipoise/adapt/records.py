"""What is written down of every candidate and every fit, the losers and the failed too."""

from collections.abc import Iterator, Mapping, Sequence

from equipoise.adapt.fitting import Trial
from equipoise.adapt.outcomes import Outcome
from equipoise.adapt.selection import Selection
from equipoise.adapt.standing import Standing


def summary(outcomes: Sequence[Outcome], found: Selection) -> list[dict[str, object]]:
    """Return a record per finding, candidate and seed, the losers and the failed too.

    Examples
    --------
    >>> import numpy as np
    >>> from equipoise.adapt.guard import Guarded
    >>> from equipoise.adapt.standing import Field
    >>> nothing = np.array([], np.float32)
    >>> failed = Outcome("edema", "a", "a", 0, "a-0", {}, {}, nothing, [], "why")
    >>> found = Selection({}, {"a": Guarded("failed", "why")}, Field({}, {}), "plain")
    >>> summary([failed], found)[0]["status"]
    'failed'
    """
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
                rule
                for rule, choice in found.choices.items()
                if choice is not None
                and (choice.candidate, choice.seed) == (one.candidate, one.seed)
            ],
            "status": "fitted" if one.reason is None else "failed",
            "reason": one.reason,
            "guard": found.guards[one.candidate].status,
            "guard_reason": found.guards[one.candidate].reason,
            "penalties": [trial.penalty for trial in one.kept.values()],
            "parameters": [dict(trial.parameters) for trial in one.kept.values()],
            "converged": all(trial.fitted.converged for trial in one.kept.values())
            if one.kept
            else None,
            "group_auroc": one.groups,
        }
        for one in outcomes
    ]


def judged(found: Selection) -> list[dict[str, object]]:
    """Return a record per candidate: where it stands by each rule, and the guard in full.

    Examples
    --------
    >>> from equipoise.adapt.guard import Guarded
    >>> from equipoise.adapt.standing import Field
    >>> judged(Selection({}, {"a": Guarded("failed", "why")}, Field({}, {}), "plain"))
    [{'candidate': 'a', 'standings': {}, 'guard': {'status': 'failed', 'reason': 'why', \
'critical': None, 'differences': []}}]
    """
    return [
        {
            "candidate": name,
            "standings": {
                rule: None if one is None else _standing(one)
                for rule, one in found.field.standings.get(name, {}).items()
            },
            "guard": {
                "status": guard.status,
                "reason": guard.reason,
                "critical": guard.critical,
                "differences": [dict(row) for row in guard.differences],
            },
        }
        for name, guard in found.guards.items()
    ]


def _standing(one: Standing) -> Mapping[str, float]:
    return {"value": one.value, "gain": one.gain, "error": one.error}


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
        for k, trial in enumerate(found):
            yield {
                "finding": one.finding,
                "candidate": one.candidate,
                "seed": one.seed,
                "fold": fold,
                "file": f"trials/{one.file}-{k}.parquet" if one.reason is None else None,
                "kept": one.kept.get(fold) is trial,
                **_trial(trial),
            }


def _trial(trial: Trial) -> dict[str, object]:
    probe = trial.fitted.probe
    return {
        "penalty": trial.penalty,
        "parameters": dict(trial.parameters),
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
