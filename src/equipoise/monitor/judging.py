"""The verdict of a monitor: from labelled cases alone, in the gate's words and exit codes.

*Fail*: a sequential test has raised an alarm; it stays until another bundle is released. *Pass*:
of the latest periods' labelled cases every contrast and floor was shown to hold, and no warning
is open. No alarm alone is no pass: it is *inconclusive*, or *not assessable* where too few labels
came to say anything.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equipoise import evidence
from equipoise.errors import InvalidInput
from equipoise.monitor.questions import Question
from equipoise.monitor.watching import LABELS, Watch, Watched
from equipoise.policies import Judgement, Outcome, Part, Policy, Verdict, worst
from equipoise.policies.verdicts import concluded


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Something that forbids a pass, and that no number can lift.

    Parameters
    ----------
    name
        What it is called in the verdict.
    reason
        Why, in a sentence.
    verdict
        *inconclusive* or *not assessable*: a hindrance is neither a pass nor a fail.
    """

    name: str
    reason: str
    verdict: Verdict = Verdict.INCONCLUSIVE


def judged(
    watch: Watch,
    policy: Policy,
    *,
    vain: Mapping[str, str],
    hindrances: Sequence[Hindrance],
    minimum: int,
) -> Judgement:
    """Return the verdict, with what led to it.

    It is handed labelled cases and hindrances, and nothing that was estimated without labels:
    such an estimate has no way to turn a verdict green.

    Parameters
    ----------
    watch
        What labelled cases say.
    policy
        The policy that is watched.
    vain
        Criterion → why it cannot be asked.
    hindrances
        What forbids a pass.
    minimum
        Patients with a label that each arm needs in the latest periods.

    Raises
    ------
    InvalidInput
        If something rests on anything but labels, or a hindrance would pass or fail.
    """
    for one in watch.watched:
        if one.basis != LABELS:
            raise InvalidInput(
                f"monitor: {one.question.metric} of {one.question.group} rests on {one.basis}; a "
                "verdict rests on labelled cases alone"
            )
    outcomes = [*_outcomes(watch, policy, minimum), *_vain(vain), *_hindered(hindrances)]
    verdict = worst(outcome.verdict for outcome in outcomes)
    return Judgement(verdict, _sentence(verdict, outcomes), tuple(outcomes), _named(policy))


def _outcomes(watch: Watch, policy: Policy, minimum: int) -> Iterable[Outcome]:
    about: dict[tuple[str, str], dict[tuple[object, ...], list[Watched]]] = {}
    for one in watch.watched:
        key = (one.question.kind, one.question.name)
        about.setdefault(key, {}).setdefault(one.question.about, []).append(one)
    for (kind, name), contrasts in about.items():
        parts = [_part(ways, watch.line, policy, minimum) for ways in contrasts.values()]
        first = next(iter(contrasts.values()))[0].question
        bound = {"tolerance" if kind == "contrast" else "floor": first.bound}
        yield concluded(name, kind, parts, {"metric": first.metric, **bound})


def _part(ways: Sequence[Watched], line: float, policy: Policy, minimum: int) -> Part:
    """Judge one contrast, or one floor: all its directions together."""
    required = _is_required(ways[0].question, policy)
    loudest = min(
        (one for one in ways if one.alarm is not None),
        key=lambda one: str(one.alarm),
        default=None,
    )
    if loudest is not None:
        reason = f"{said(loudest, recent=False)}; {_alarm(loudest, line)}"
        return Part(Verdict.FAIL, reason, required, facts(ways, loudest))
    least = min(ways, key=lambda one: one.log_holds)
    few = _few(least, minimum)
    if few is not None:
        return Part(Verdict.NOT_ASSESSABLE, few, required, facts(ways, least))
    if least.log_holds >= line:
        reason = f"{said(least)}, shown to be {_within(least)} (e-value {written(least.log_holds)})"
        return Part(Verdict.PASS, reason, required, facts(ways, least))
    reason = (
        f"{said(least)}; no alarm (highest e-value {written(least.highest)}, alarm at "
        f"{written(line)}), and not yet shown to be {_within(least)} (e-value "
        f"{written(least.log_holds)} of {written(line)}); {more(least, line)}"
    )
    return Part(Verdict.INCONCLUSIVE, reason, required, facts(ways, least))


def said(one: Watched, *, recent: bool = True) -> str:
    """Return what was seen of a question, with its numbers."""
    question, seen = one.question, one.recent if recent else one.bets
    first = f"{question.metric} of {question.group} is {_mean(seen.first)} of {len(seen.first)}"
    when = "in the latest periods" if recent else "since the start"
    if question.kind == "floor":
        return f"{first} patients {when}"
    against = "the rest" if question.contrast == "rest" else str(question.against)
    return f"{first}, that of {against} {_mean(seen.second)} of {len(seen.second)} patients {when}"


def more(one: Watched, line: float) -> str:
    """Return how many more patients would show that it holds, if it went on as it went."""
    bets = len(one.recent.gains)
    pace = one.log_holds / bets if bets else 0.0
    if pace <= 0.0:
        return "as things are, more cases would not show it"
    n = math.ceil((line - one.log_holds) / pace)
    return f"if it went on so, about {max(n, 1)} more of the smaller arm would show it"


def facts(ways: Sequence[Watched], one: Watched) -> dict[str, object]:
    """Return the numbers behind a part, for JSON."""
    question, seen = one.question, one.recent
    value = _value(seen.first)
    if question.kind == "contrast":
        second = _value(seen.second)
        value = None if value is None or second is None else value - second
    return {
        "finding": question.finding,
        "operating_point": question.point,
        "contrast": question.contrast,
        "against": question.against,
        "subgroup": dict(question.subgroup),
        "direction": question.direction,
        "value": value,
        "n_first": len(seen.first),
        "n_second": len(seen.second),
        "e_value": _finite(max(w.highest for w in ways)),
        "e_value_holds": _finite(one.log_holds),
        "alarm": None if one.alarm is None else str(one.alarm),
        "repeats": one.repeats,
    }


def _few(one: Watched, minimum: int) -> str | None:
    arms = [(one.question.group, len(one.recent.first))]
    if one.question.kind == "contrast":
        against = "the rest" if one.question.contrast == "rest" else str(one.question.against)
        arms.append((against, len(one.recent.second)))
    for group, n in arms:
        if n < minimum:
            return (
                f"{one.question.metric} of {group}: {n} patients with a label in the latest "
                f"periods, {minimum - n} more are needed to say anything"
            )
    return None


def _alarm(one: Watched, line: float) -> str:
    question = one.question
    bound = f"{question.bound:g}"
    broken = f"the floor of {bound} is broken"
    if question.kind == "contrast":
        against = "the rest" if question.contrast == "rest" else str(question.against)
        broken = f"it is {question.direction} that of {against} by more than {bound}"
    return (
        f"alarm on {one.alarm}: {broken} (e-value {written(one.highest)}, alarm at {written(line)})"
    )


def _within(one: Watched) -> str:
    question = one.question
    if question.kind == "floor":
        return f"at least {question.bound:g}"
    return f"within the tolerance of {question.bound:g}"


def _vain(vain: Mapping[str, str]) -> Iterable[Outcome]:
    for name, why in vain.items():
        part = Part(Verdict.NOT_ASSESSABLE, f"'{name}' is not watched: {why}", True, {})
        yield concluded(name, "not watched", [part], {})


def _hindered(hindrances: Sequence[Hindrance]) -> Iterable[Outcome]:
    for one in hindrances:
        if one.verdict not in {Verdict.INCONCLUSIVE, Verdict.NOT_ASSESSABLE}:
            raise InvalidInput(f"monitor: hindrance '{one.name}' says {one.verdict.value}")
        yield concluded(one.name, "warning", [Part(one.verdict, one.reason, True, {})], {})


def _sentence(verdict: Verdict, outcomes: Sequence[Outcome]) -> str:
    if verdict is Verdict.PASS:
        return f"all {len(outcomes)} criteria were shown to hold, from labelled cases"
    deciding = [outcome for outcome in outcomes if outcome.verdict is verdict]
    if not deciding:
        return "the policy asks nothing that is watched"
    first = deciding[0]
    return (
        f"{len(deciding)} of {len(outcomes)} criteria: {verdict.value}; as '{first.name}': "
        f"{first.reason}"
    )


def _named(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.name,
        "version": policy.version,
        "description": policy.description,
        "digest": evidence.digest(policy.model_dump(mode="json")),
    }


def _is_required(question: Question, policy: Policy) -> bool:
    if policy.required == "all":
        return True
    named = [dict(group) for group in policy.required]
    return not question.subgroup or dict(question.subgroup) in named


def _mean(values: np.typing.NDArray[np.float64]) -> str:
    return f"{values.mean():.3f}" if len(values) else "–"


def _value(values: np.typing.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _finite(log: float) -> float:
    """Return an e-value as JSON can hold it."""
    return float(np.exp(min(log, 700.0)))


def written(log: float) -> str:
    """Return an e-value, given as its logarithm, as it is read.

    Examples
    --------
    >>> written(3.0), written(-1.0), written(50.0)
    ('20', '0.37', '10^22')
    """
    value = _finite(log)
    if value >= 1e6:
        return f"10^{log / math.log(10.0):.0f}"
    return f"{value:,.0f}" if value >= 10.0 else f"{value:.2g}"
