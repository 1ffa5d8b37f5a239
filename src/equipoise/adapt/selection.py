"""Which candidate each rule chooses on validation: plain training, unless another is better.

Better means: by more than one standard error, or what else was declared, paired over patients, in
what the rule looks at; and shown to make no group worse, or let through with a written reason.
Seeds are averaged; of the chosen candidate the first seed is used, since taking its luckiest seed
would be selecting noise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.adapt.guard import Guarded, guarded
from equipoise.adapt.material import Rows
from equipoise.adapt.options import Options, Rule
from equipoise.adapt.outcomes import Outcome
from equipoise.adapt.quantities import validation
from equipoise.adapt.standing import RULES, Field, Standing, field
from equipoise.errors import InvalidTable

_ABOVE_FLOOR = {"least_encoding", "smallest_contrast"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a rule chooses.

    Parameters
    ----------
    candidate, seed
        Which.
    file
        Its predictions, relative to the folder of the stage.
    value
        What the rule looks at, of that candidate: an AUROC, or a distance that is to be small.
    highest
        The candidate that is best by the rule alone, without regard to chance and harm.
    gain, error
        By how much that one is better than plain training, and the paired standard error.
    reason
        Why the choice is what it is.
    """

    candidate: str
    seed: int
    file: str
    value: float
    highest: str
    gain: float
    error: float
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """All choices, and what they rest on.

    Parameters
    ----------
    choices
        Rule → what it chooses; None where there is no number for it.
    guards
        Candidate → whether it was shown to make no group worse.
    field
        Where all candidates stand.
    plain
        The candidate that all are held against.
    """

    choices: Mapping[Rule, Choice | None]
    guards: Mapping[str, Guarded]
    field: Field
    plain: str

    def chosen(self, rule: Rule) -> tuple[str, str]:
        """Return the candidate that a rule leads to, and why."""
        choice = self.choices[rule]
        if choice is not None:
            return choice.candidate, choice.reason
        return self.plain, (
            f"plain training: no group is large enough on validation for rule '{rule}'"
        )


def selection(rows: Rows, outcomes: Sequence[Outcome], options: Options) -> Selection:
    """Return what each rule chooses.

    Over several findings the mean decides: one candidate is selected for the study. A candidate
    that failed for a finding or a seed is out.

    Parameters
    ----------
    rows
        The images.
    outcomes
        Of all candidates, for the same findings and seeds.
    options
        Margin, floor and written reasons.

    Raises
    ------
    InvalidTable
        If plain training failed, so that nothing can be held against it.

    References
    ----------
    One standard error: Breiman et al. 1984, Classification and Regression Trees, 3.4.3.

    Examples
    --------
    >>> nothing = np.array([], np.float32)
    >>> failed = Outcome("edema", "plain", "plain", 0, "a-0", {}, {}, nothing, [], "why")
    >>> selection(None, [failed], Options())
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: adapt: no candidate could be fitted; plain: why
    """
    by: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by.setdefault(one.candidate, []).append(one)
    fitted = {name: found for name, found in by.items() if all(o.reason is None for o in found)}
    plain = next(one.candidate for one in outcomes if one.mitigation == "plain")
    _check_plain(plain, by, fitted)
    on = validation(
        rows,
        [held for one in by[plain] for held in one.held.values()],
        options.selection_minimum,
    )
    everyone = field(fitted, plain, on)
    guards = {plain: Guarded("reference", "plain training")}
    for name, found in by.items():
        if name != plain:
            guards[name] = guarded(
                by[plain],
                found,
                on,
                margin=options.margin,
                rng=np.random.default_rng(0),
                candidates=len(fitted) - 1,
            )
    choices = {
        rule: _choice(rule, everyone, guards, plain, fitted[plain][0].seed, options)
        for rule in RULES
    }
    return Selection(choices, guards, everyone, plain)


def _check_plain(
    plain: str, by: Mapping[str, Sequence[Outcome]], fitted: Mapping[str, object]
) -> None:
    if plain in fitted:
        return
    first = next(one for one in by[plain] if one.reason is not None)
    what = "plain training failed, so nothing can be held against it"
    if not fitted:
        what = "no candidate could be fitted"
    raise InvalidTable(f"adapt: {what}; {plain}: {first.reason}")


def _choice(
    rule: Rule,
    everyone: Field,
    guards: Mapping[str, Guarded],
    plain: str,
    seed: int,
    options: Options,
) -> Choice | None:
    standings = {name: found[rule] for name, found in everyone.standings.items()}
    known = {name: one for name, one in standings.items() if one is not None}
    if plain not in known:
        return None
    eligible, why = _eligible(rule, known, everyone, plain, options)
    # Of equals the first counts, and plain training comes first.
    highest = max(eligible, key=lambda name: (known[name].value, name == plain), default=plain)
    beating = [
        name for name in eligible if name != plain and known[name].beats(options.standard_errors)
    ]
    free = [name for name in beating if guards[name].passes or name in options.despite_guard]
    top = max(free, key=lambda name: known[name].value, default=plain)
    return Choice(
        candidate=top,
        seed=seed,
        file=f"predictions/{top}-{seed}.parquet",
        value=abs(known[top].value),
        highest=highest,
        gain=known[highest].gain,
        error=known[highest].error,
        reason=_reason(top, (plain, highest, why), known, guards, options)
        + _kept_out(top, beating, free, known, guards),
    )


def _eligible(
    rule: Rule, known: Iterable[str], everyone: Field, plain: str, options: Options
) -> tuple[list[str], str]:
    """Return the candidates a rule looks at, and what is to be said of it."""
    names = list(known)
    if rule == "pareto_minimax":
        return [name for name in names if not everyone.dominated(name)], ""
    if rule not in _ABOVE_FLOOR:
        return names, ""
    floor = options.floor
    lowest = everyone.worst(plain)
    if lowest is None:
        return [], "; no group is large enough on validation to hold against a floor"
    if floor is None:
        floor = lowest - (options.margin or 0.0)
    above = [name for name in names if (everyone.worst(name) or 0.0) >= floor]
    said = (
        f"; floor {floor:.3f} in every group with a number: {len(above)} of {len(names)} "
        "candidates reach it"
    )
    return above, said


def _reason(
    top: str,
    about: tuple[str, str, str],
    known: Mapping[str, Standing],
    guards: Mapping[str, Guarded],
    options: Options,
) -> str:
    plain, highest, why = about
    if top == plain:
        if highest == plain:
            return f"plain training: none is better by this rule{why}"
        one = known[highest]
        return (
            f"plain training: the best by this rule, {highest}, is better by {one.gain:.4f}, "
            f"standard error {one.error:.4f}{why}"
        )
    one = known[top]
    said = f"better than plain training by {one.gain:.4f}, standard error {one.error:.4f}{why}"
    if guards[top].passes:
        return f"{said}; no group worse by the margin of {options.margin:g}"
    return (
        f"{said}; {guards[top].status} ({guards[top].reason}), chosen for this written reason: "
        f"{options.despite_guard[top]}"
    )


def _kept_out(
    top: str,
    beating: Sequence[str],
    free: Sequence[str],
    known: Mapping[str, Standing],
    guards: Mapping[str, Guarded],
) -> str:
    """Return in words who was better and could not be chosen."""
    better = [n for n in beating if n not in free and known[n].value > known[top].value]
    if not better:
        return ""
    first = max(better, key=lambda name: known[name].value)
    return f"; {first} is better, but {guards[first].status}: {guards[first].reason}"
