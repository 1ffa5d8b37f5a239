"""The procedure of a cross-fit: in every fold a candidate chosen without it scores it.

A candidate that is chosen by the validation parts of all folds was chosen by patients on whom it
is then audited. Chosen anew within each fold it was not, and what is audited is the procedure,
selection and all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.adapt.material import Rows
from equipoise.adapt.options import PROCEDURE, Options
from equipoise.adapt.outcomes import Outcome, identity
from equipoise.adapt.selection import selection


@dataclass(frozen=True, slots=True)
class Procedure:
    """What the procedure says of every image.

    Parameters
    ----------
    outcomes
        One per finding and seed, named as the procedure.
    choices
        A record per seed and fold: the candidate, and why.
    """

    outcomes: list[Outcome]
    choices: list[dict[str, object]]


def procedure(rows: Rows, outcomes: Sequence[Outcome], options: Options) -> Procedure:
    """Return scores and operating points of the candidate that each fold chose without itself.

    Parameters
    ----------
    rows
        The images.
    outcomes
        Of all candidates, findings and seeds, cross-fitted.
    options
        Rule, margin, floor and written reasons, as for the selection over all folds.

    References
    ----------
    Varma & Simon 2006, BMC Bioinformatics 7:91; Cawley & Talbot 2010, JMLR 11:2079.

    Examples
    --------
    >>> procedure(None, [], Options()).choices
    []
    """
    made: list[Outcome] = []
    choices: list[dict[str, object]] = []
    for seed in dict.fromkeys(one.seed for one in outcomes):
        of_seed = [one for one in outcomes if one.seed == seed]
        chosen: dict[int | None, str] = {}
        for fold in sorted({f for one in of_seed for f in one.held if f is not None}):
            found = selection(rows, [_within(one, fold) for one in of_seed], options)
            chosen[fold], reason = found.chosen(options.selection)
            about = {"candidate": chosen[fold], "guard": found.guards[chosen[fold]].status}
            choices.append({"seed": seed, "fold": fold, **about, "reason": reason})
        for finding in dict.fromkeys(one.finding for one in of_seed):
            own = {one.candidate: one for one in of_seed if one.finding == finding}
            made.append(_joined(rows, own, chosen, options))
    return Procedure(made, choices)


def _within(one: Outcome, fold: int) -> Outcome:
    """Return an outcome as it is seen from one fold."""
    return Outcome(
        finding=one.finding,
        candidate=one.candidate,
        mitigation=one.mitigation,
        seed=one.seed,
        file=one.file,
        tried={},
        kept={key: trial for key, trial in one.kept.items() if key == fold},
        scores=one.scores,
        points=[],
        reason=one.reason,
        held={key: held for key, held in one.held.items() if key == fold},
    )


def _joined(
    rows: Rows, own: Mapping[str, Outcome], chosen: Mapping[int | None, str], options: Options
) -> Outcome:
    """Return one outcome out of those that were chosen in each fold."""
    first = next(iter(own.values()))
    scores = np.full(len(rows.fold), np.nan, dtype=np.float32)
    name = identity(PROCEDURE, first.seed, options)
    points: list[dict[str, object]] = []
    for fold, candidate in chosen.items():
        scored = rows.fold == fold
        scores[scored] = own[candidate].scores[scored]
        points += [
            {**point, "candidate": name} for point in own[candidate].points if point["fold"] == fold
        ]
    return Outcome(
        finding=first.finding,
        candidate=PROCEDURE,
        mitigation=PROCEDURE,
        seed=first.seed,
        file=f"{PROCEDURE}-{first.seed}",
        tried={},
        kept={fold: own[candidate].kept[fold] for fold, candidate in chosen.items()},
        scores=scores,
        points=points,
        held={fold: own[candidate].held[fold] for fold, candidate in chosen.items()},
    )
