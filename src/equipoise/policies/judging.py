"""Judging: a pure function of estimates and a policy."""

from collections.abc import Iterator, Mapping

import polars as pl

from equipoise.evidence import digest
from equipoise.policies.matching import Estimate, Vain, attributes_of, matched
from equipoise.policies.numbers import more_needed
from equipoise.policies.schema import Criterion, Floor, Policy
from equipoise.policies.verdicts import Judgement, Outcome, Part, Verdict, concluded, worst
from equipoise.tables import ESTIMATES, check

_UNKNOWN = "unknown"
_EXPLORATORY = (
    "its groups were taken from the data, not declared before: exploratory, as is what was seen "
    "in images that were not set aside for testing"
)


def judge(estimates: pl.DataFrame, policy: Policy) -> Judgement:
    """Return the verdict of a policy over estimates, with the reason for each part of it.

    A difference fails where its simultaneous 95 % interval lies wholly beyond the tolerance,
    passes where its pointwise 90 % interval lies wholly within it, and is else inconclusive. A
    group's value fails its floor where the upper simultaneous 95 % limit is below, and passes
    where the lower pointwise 90 % limit reaches it. What is not assessable, not there at all, or
    exploratory never passes. The worst of fail, not assessable, inconclusive and pass decides.

    Parameters
    ----------
    estimates
        The table *estimates*.
    policy
        What must hold.

    Raises
    ------
    InvalidTable
        If the estimates break their contract.

    References
    ----------
    Schuirmann 1987, J Pharmacokinet Biopharm 15:657 (two one-sided tests); Berger 1982,
    Technometrics 24:295 (all must pass: no correction).

    Examples
    --------
    >>> from equipoise import metrics
    >>> from equipoise.policies.loading import example, parse
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 100, "label:x": [True, True, False, False] * 50,
    ...                      "score:x": [i * 7 % 11 / 11 for i in range(200)]})
    >>> table = metrics.subgroups({"sex": ["F", "M"]})
    >>> people = metrics.population(rows, table, patient=None)
    >>> plan = metrics.Plan({}, ("auroc",), metrics.Minimum(), "probe", draws=1_000)
    >>> estimates = metrics.estimate(people, table, plan).estimates
    >>> policy = parse(example())
    >>> judge(estimates, policy).verdict.value
    'fail'
    """
    check(estimates, ESTIMATES)
    # What is drawn to its neighbours or to another case mix stands beside, and is not judged.
    estimates = estimates.filter(pl.col("adjustment") == "crude")
    outcomes = [_judged_contrasts(estimates, criterion, policy) for criterion in policy.criteria]
    outcomes += [_judged_floor(estimates, floor, policy) for floor in policy.floors]
    if policy.required != "all":
        outcomes.append(_judged_required(estimates, policy, policy.required))
    if policy.maximum_unknown_share is not None:
        outcomes.append(_judged_unknown(estimates, policy, policy.maximum_unknown_share))
    verdict = worst(outcome.verdict for outcome in outcomes)
    return Judgement(verdict, _sentence(verdict, outcomes), tuple(outcomes), _named(policy))


def _named(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.name,
        "version": policy.version,
        "description": policy.description,
        "digest": digest(policy.model_dump(mode="json")),
    }


def _sentence(verdict: Verdict, outcomes: list[Outcome]) -> str:
    if verdict is Verdict.PASS:
        return f"all {len(outcomes)} criteria pass"
    deciding = [outcome for outcome in outcomes if outcome.verdict is verdict]
    first = deciding[0]
    return (
        f"{len(deciding)} of {len(outcomes)} criteria: {verdict.value}; as '{first.name}': "
        f"{first.reason}"
    )


def _judged_contrasts(estimates: pl.DataFrame, criterion: Criterion, policy: Policy) -> Outcome:
    parts = [
        _vain(found) if isinstance(found, Vain) else _contrast(found, criterion, policy)
        for found in matched(estimates, criterion, "contrast")
    ]
    facts = {"metric": criterion.metric, "tolerance": criterion.tolerance}
    return concluded(criterion.name, "contrast", parts, facts)


def _judged_floor(estimates: pl.DataFrame, floor: Floor, policy: Policy) -> Outcome:
    parts = [
        _vain(found) if isinstance(found, Vain) else _floor(found, floor, policy)
        for found in matched(estimates, floor, "floor")
    ]
    facts = {"metric": floor.metric, "floor": floor.minimum}
    return concluded(floor.name, "floor", parts, facts)


def _vain(found: Vain) -> Part:
    return Part(Verdict.NOT_ASSESSABLE, found.reason, required=True, facts={})


def _contrast(found: Estimate, criterion: Criterion, policy: Policy) -> Part:
    required = _is_required(found, policy, against=str(found.row["against"]))
    if found.value is None or found.limits is None:
        return _too_small(found, required=required)
    bound, limits, value = criterion.tolerance, found.limits, found.value
    against = "the rest" if found.row["contrast"] == "rest" else str(found.row["against"])
    side = "above" if value >= 0 else "below"
    what = f"{criterion.metric} of {found.group} is {abs(value):.3f} {side} that of {against}"
    outer = f"simultaneous 95 % interval {limits.low:+.3f} to {limits.high:+.3f}"
    inner = f"pointwise 90 % interval {limits.inner_low:+.3f} to {limits.inner_high:+.3f}"
    if limits.low > bound or limits.high < -bound:
        reason = f"{what} ({outer}), beyond the tolerance of {bound:g}"
        return Part(Verdict.FAIL, reason, required, _facts(found))
    if found.row["exploratory"]:
        return Part(Verdict.NOT_ASSESSABLE, f"{what}, but {_EXPLORATORY}", True, _facts(found))
    if limits.inner_low >= -bound and limits.inner_high <= bound:
        reason = f"{what} ({inner}), within the tolerance of {bound:g}"
        return Part(Verdict.PASS, reason, required, _facts(found))
    if abs(value) >= bound:
        factor = _square(
            value - limits.low if value > 0 else limits.high - value, abs(value) - bound
        )
    else:
        up, down = limits.inner_high - value, value - limits.inner_low
        factor = max(_square(up, bound - value), _square(down, bound + value))
    more = more_needed(found.row, criterion.metric, found.group, factor)
    reason = f"{what} ({inner}), neither within nor beyond the tolerance of {bound:g}; {more}"
    return Part(Verdict.INCONCLUSIVE, reason, required, _facts(found))


def _floor(found: Estimate, floor: Floor, policy: Policy) -> Part:
    required = _is_required(found, policy, against=None)
    if found.value is None or found.limits is None:
        return _too_small(found, required=required)
    bound, limits, value = floor.minimum, found.limits, found.value
    what = f"{floor.metric} of {found.group} is {value:.3f}"
    if limits.high < bound:
        reason = f"{what} (upper simultaneous 95 % limit {limits.high:.3f}), below {bound:g}"
        return Part(Verdict.FAIL, reason, required, _facts(found))
    if found.row["exploratory"]:
        return Part(Verdict.NOT_ASSESSABLE, f"{what}, but {_EXPLORATORY}", True, _facts(found))
    inner = f"lower pointwise 90 % limit {limits.inner_low:.3f}"
    if limits.inner_low >= bound:
        return Part(Verdict.PASS, f"{what} ({inner}), at least {bound:g}", required, _facts(found))
    if value >= bound:
        factor = _square(value - limits.inner_low, value - bound)
    else:
        factor = _square(limits.high - value, bound - value)
    more = more_needed(found.row, floor.metric, found.group, factor)
    reason = f"{what} ({inner}), not shown to be at least {bound:g}, nor to be below; {more}"
    return Part(Verdict.INCONCLUSIVE, reason, required, _facts(found))


def _too_small(found: Estimate, *, required: bool) -> Part:
    reason = found.row["reason"] or f"{found.group} has no interval to be judged by"
    return Part(Verdict.NOT_ASSESSABLE, str(reason), required, _facts(found))


def _square(half: float, room: float) -> float:
    """Return by how much the numbers must grow for the half-width to fit into the room."""
    return float("inf") if room <= 0 else (half / room) ** 2


def _is_required(found: Estimate, policy: Policy, *, against: str | None) -> bool:
    if policy.required == "all":
        return _UNKNOWN not in found.subgroup.values()
    named = [dict(group) for group in policy.required]
    reference = against is not None and against in {
        ", ".join(f"{k}={v}" for k, v in group.items()) for group in named
    }
    return not found.subgroup or dict(found.subgroup) in named or reference


def _facts(found: Estimate) -> dict[str, object]:
    row = found.row
    facts: dict[str, object] = {
        name: row[name] for name in ("finding", "candidate", "operating_point", "contrast")
    }
    facts |= {"against": row["against"], "subgroup": dict(found.subgroup), "value": found.value}
    if found.limits is not None:
        facts |= {
            "low": found.limits.low,
            "high": found.limits.high,
            "interval": "simultaneous",
            "level": 0.95,
            "pointwise_90": [found.limits.inner_low, found.limits.inner_high],
        }
    names = ("n_images", "n_patients", "n_positive", "n_negative")
    return {**facts, **{name: row[name] for name in names}}


def _judged_required(
    estimates: pl.DataFrame, policy: Policy, required: list[Mapping[str, str]]
) -> Outcome:
    """Judge whether the groups that must be there were audited, and were large enough."""
    names = attributes_of(estimates)
    own = estimates.filter(pl.col("contrast").is_null() & _asked(policy))
    parts = []
    for group in required:
        text = ", ".join(f"{k}={v}" for k, v in group.items())
        rows = own.clear()
        if group and set(group) <= set(names):
            rows = own.filter(
                pl.all_horizontal(
                    *[pl.col(n) == group[n] if n in group else pl.col(n).is_null() for n in names]
                )
            )
        few = rows.filter(pl.col("status") != "assessed")
        verdict, reason = Verdict.NOT_ASSESSABLE, f"the required group {text} was not audited"
        if few.height:
            reason = f"the required group is too small: {few['reason'][0] or text}"
        elif rows.height:
            verdict, reason = Verdict.PASS, f"{text} was audited and is large enough"
        parts.append(Part(verdict, reason, True, {"subgroup": dict(group)}))
    return concluded("required groups", "required", parts, {})


def _asked(policy: Policy) -> pl.Expr:
    """Return which estimates are of a metric and finding that the policy judges."""
    return pl.any_horizontal(
        (pl.col("metric") == part.metric)
        & (pl.lit(value=True) if part.findings == "all" else pl.col("finding").is_in(part.findings))
        for part in [*policy.criteria, *policy.floors]
    )


def _judged_unknown(estimates: pl.DataFrame, policy: Policy, maximum: float) -> Outcome:
    """Judge for how many patients each attribute that the policy judges is not known."""
    parts = [
        part for name in _judged_attributes(policy) for part in _unknown(estimates, name, maximum)
    ]
    return concluded("unknown share", "unknown", parts, {"maximum": maximum})


def _judged_attributes(policy: Policy) -> list[str]:
    judged = [*policy.criteria, *policy.floors]
    return sorted({name for part in judged for names in part.sets() for name in names})


def _unknown(estimates: pl.DataFrame, name: str, maximum: float) -> Iterator[Part]:
    names = attributes_of(estimates)
    if name not in names:
        yield _vain(Vain(f"'{name}' was not audited, so that its unknown share is not known"))
        return
    own = estimates.filter(pl.col("contrast").is_null())
    others = [pl.col(other).is_null() for other in names if other != name]
    for finding in own["finding"].unique(maintain_order=True).to_list():
        mine = own.filter(pl.all_horizontal(pl.col("finding") == finding, *others))
        everybody = _most(mine.filter(pl.col(name).is_null()))
        unknown = _most(mine.filter(pl.col(name) == _UNKNOWN))
        share = unknown / everybody if everybody else 1.0
        of = f"{name} is unknown for {share:.1%} of patients with '{finding}' assessed"
        facts = {"finding": finding, "attribute": name, "value": share}
        if share > maximum:
            text = f"{of}; at most {maximum:.1%} may be"
            yield Part(Verdict.NOT_ASSESSABLE, text, True, facts)
        else:
            yield Part(Verdict.PASS, f"{of}, at most {maximum:.1%}", True, facts)


def _most(rows: pl.DataFrame) -> int:
    return max((int(n) for n in rows["n_patients"].to_list()), default=0)
