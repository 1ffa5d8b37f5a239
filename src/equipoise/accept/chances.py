"""The chance of each verdict with the data at hand, by the engine and the judge themselves.

Local images keep their groups, labels and patients; only their scores are drawn. So the chance
is that of this cohort, this audit and this policy, under a truth that is stated.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles, metrics, policies
from equipoise.accept.shapes import Flags, Local, Reals, Shape, auroc, expected, pooled
from equipoise.metrics.intervals import wilson
from equipoise.policies import Criterion, Verdict
from equipoise.scope import Progress, silent

JOINT_DRAWS = 1_000
"""Of the simultaneous intervals in each draw; the audit itself takes 20,000."""

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Case:
    """A truth under which scores are drawn.

    Parameters
    ----------
    name
        *reference*, *beyond* or *twice*.
    says
        What holds in it, for JSON.
    shapes
        Finding → the expected scores.
    """

    name: str
    says: Mapping[str, object]
    shapes: Mapping[str, Shape]


def drawn(here: Local, shape: Shape, *, correlation: float, rng: np.random.Generator) -> Singles:
    """Return a score for each local image ``(n,)``; without a label it is NaN.

    Scores of one patient are correlated by a Gaussian copula: each is the quantile, in its own
    distribution, of a normal draw that shares a part with the patient's other images.

    Parameters
    ----------
    here
        The local images.
    shape
        The expected scores.
    correlation
        Of the normal draws of two images of a patient.
    rng
        Where the draws come from.

    References
    ----------
    Cario & Nelson 1997 (NORTA: correlated draws with given margins).

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> half = np.array([[0.0, 1.0]])
    >>> shape = Shape("x", np.array([0.0, 0.5, 1.0]), half, half, {}, (("", ""),))
    >>> flags = np.array([True, False])
    >>> here = SimpleNamespace(labels=lambda f: (flags | True, flags), patients=np.array([0, 1]),
    ...                        cells=SimpleNamespace(code=np.array([0, 0]), n=1))
    >>> found = drawn(here, shape, correlation=0.5, rng=np.random.default_rng(0))
    >>> bool((found >= 0.5).all()), found.dtype.name
    (True, 'float32')
    """
    from scipy.special import ndtr

    known, positive = here.labels(shape.finding)
    people = rng.standard_normal(int(here.patients.max(initial=-1)) + 1)
    own = rng.standard_normal(len(here.patients))
    normal = np.sqrt(correlation) * people[here.patients] + np.sqrt(1.0 - correlation) * own
    uniform = ndtr(normal)
    found = np.full(len(uniform), np.nan, dtype=np.float64)
    for label, chances in ((positive, shape.positive), (known & ~positive, shape.negative)):
        for cell in range(here.cells.n):
            rows = np.flatnonzero(label & (here.cells.code == cell))
            if len(rows):
                found[rows] = _quantiles(uniform[rows], chances[cell], shape.edges)
    return found.astype(np.float32)


def _quantiles(uniform: Reals, mass: Reals, edges: Reals) -> Reals:
    """Return the quantiles of a distribution that is uniform within each bin."""
    total = np.cumsum(mass)
    total /= total[-1]
    place = np.minimum(np.searchsorted(total, uniform, side="right"), len(mass) - 1)
    start = total[place] - mass[place]
    inside = np.divide(
        uniform - start, mass[place], out=np.zeros_like(start), where=mass[place] > 0
    )
    low, high = edges[place], edges[place + 1]
    # Never the upper edge itself: it belongs to the next bin, and may be the threshold.
    return np.asarray(low + np.clip(inside, 0.0, 1.0 - 1e-6) * (high - low), dtype=np.float64)


def cases(
    bundle: bundles.Bundle, here: Local, found: Mapping[str, Shape], *, beyond: float
) -> list[Case]:
    """Return the truths under which the chances are told.

    The first is that of the bundle's reference. Then two per criterion of the policy: in its
    smallest group that is large enough, the true difference lies just beyond the tolerance, or is
    twice as large.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> rules = policies.parse(policies.example()).model_copy(update={"criteria": []})
    >>> [case.name for case in cases(SimpleNamespace(policy=rules), None, {}, beyond=0.01)]
    ['reference']
    """
    said = {"truth": "scores of each group and label are distributed as in the reference"}
    listed = [Case("reference", said, found)]
    for criterion in bundle.policy.criteria:
        for name, size in (
            ("beyond", criterion.tolerance + beyond),
            ("twice", 2.0 * criterion.tolerance),
        ):
            listed.append(_worst(name, here, found, (bundle, criterion), size))
    return listed


def _worst(
    name: str,
    here: Local,
    found: Mapping[str, Shape],
    judged: tuple[bundles.Bundle, Criterion],
    size: float,
) -> Case:
    """Return the case in which a group is worse than what it is compared with by `size`."""
    bundle, criterion = judged
    finding = _first(criterion.findings, list(found))
    said: dict[str, object] = {
        "criterion": criterion.name,
        "metric": criterion.metric,
        "tolerance": criterion.tolerance,
        "finding": finding,
    }
    if finding is None or criterion.metric not in {"auroc", "sensitivity", "specificity"}:
        why = f"a difference of {criterion.metric} cannot be made to order"
        return Case(name, {**said, "reason": why}, {})
    shape = found[finding]
    point = None
    if criterion.metric != "auroc":
        point = _first(criterion.operating_points, list(shape.thresholds))
    contrast = _smallest(bundle, here, criterion, finding)
    if contrast is None:
        why = "no group that it judges is large enough here"
        return Case(name, {**said, "reason": why}, {})
    group, against = (here.compared.inside[i] for i in contrast)
    changed = _with_difference(shape, here, (group, against), (criterion.metric, point), -size)
    said |= {"operating_point": point, "group": here.compared.names[contrast[0]]}
    said |= {"against": here.compared.names[contrast[1]]}
    if changed is None:
        why = "its expected value leaves no room for such a difference"
        return Case(name, {**said, "reason": why}, {})
    values = [expected(changed, here, arm, criterion.metric, point) for arm in (group, against)]
    difference = None if None in values else float(values[0] or 0.0) - float(values[1] or 0.0)
    said |= {"truth": "the group's true difference lies beyond the tolerance"}
    return Case(name, {**said, "difference": difference}, {**found, finding: changed})


def _first(asked: Sequence[str], known: list[str]) -> str | None:
    """Return the first of what is asked for that is known; all are asked for by "all"."""
    wanted = known if asked == "all" else [name for name in asked if name in known]
    return wanted[0] if wanted else None


def _smallest(
    bundle: bundles.Bundle, here: Local, criterion: Criterion, finding: str
) -> tuple[int, int] | None:
    """Return the contrast that the criterion judges whose group has the fewest, yet enough."""
    known, positive = here.labels(finding)
    minimum, sets = bundle.audit.minimum, criterion.sets()
    classes = {
        "sensitivity": [(positive, minimum.positives)],
        "specificity": [(known & ~positive, minimum.negatives)],
        "auroc": [(positive, minimum.positives), (known & ~positive, minimum.negatives)],
    }[criterion.metric]
    sizes: dict[tuple[int, int], float] = {}
    for contrast in here.compared.contrasts:
        subgroup = here.compared.subgroups[contrast.group]
        if frozenset(k for k, v in subgroup.items() if v is not None) not in sets:
            continue
        pair = contrast.group, contrast.against
        inside = [here.compared.inside[arm] for arm in pair]
        have = [(float(here.by_cell(flag) @ arm), n) for flag, n in classes for arm in inside]
        people = [here.people(flag, arm) for flag, _ in classes for arm in inside]
        if all(n >= least for n, least in have) and min(people) >= minimum.patients:
            sizes[pair] = min(n for n, _ in have)
    return min(sizes, key=sizes.__getitem__, default=None)


def _with_difference(
    shape: Shape,
    here: Local,
    arms: tuple[Flags, Flags],
    asked: tuple[str, str | None],
    goal: float,
) -> Shape | None:
    """Return the shape with the first arm's cells changed so that its difference is `goal`."""
    metric, point = asked
    own, other = (expected(shape, here, arm, metric, point) for arm in arms)
    if own is None or other is None:
        return None
    target = other + goal
    if metric == "auroc":
        return _ranked_worse(shape, here, arms[0], own, target)
    if point is None or not 0.0 <= target <= 1.0 or own in {0.0, 1.0}:
        return None
    if metric == "sensitivity":
        changed = _with_rate(shape.positive, arms[0], shape.above(point), own, target)
        return replace(shape, positive=changed)
    changed = _with_rate(shape.negative, arms[0], ~shape.above(point), own, target)
    return replace(shape, negative=changed)


def _with_rate(chances: Reals, arm: Flags, counted: Flags, own: float, target: float) -> Reals:
    """Return chances in which the arm's rate of the counted bins is the target."""
    changed = chances.copy()
    for cell in np.flatnonzero(arm):
        rate = float(chances[cell, counted].sum())
        ratio, rest = target / own, (1.0 - target) / (1.0 - own)
        wanted = rate * ratio if target <= own else 1.0 - (1.0 - rate) * rest
        for bins, before, after in ((counted, rate, wanted), (~counted, 1 - rate, 1 - wanted)):
            n = int(bins.sum())
            scale = after / before if before > 0 else 0.0
            changed[cell, bins] = chances[cell, bins] * scale if before > 0 else after / max(n, 1)
    return changed


def _ranked_worse(shape: Shape, here: Local, arm: Flags, own: float, target: float) -> Shape | None:
    """Return the shape in which some of the arm's positives score as its negatives do."""
    known, positive = here.labels(shape.finding)
    negatives = pooled(shape.negative, here.by_cell(known & ~positive) * arm)
    if negatives is None or not 0.5 <= target < own:
        return None
    share = (own - target) / (own - auroc(negatives, negatives))
    changed = shape.positive.copy()
    changed[arm] = (1.0 - share) * changed[arm] + share * negatives
    return replace(shape, positive=changed)


def chance(
    bundle: bundles.Bundle,
    here: Local,
    table: pl.DataFrame,
    case: Case,
    *,
    draws: int,
    correlation: Callable[[str], float],
    seed: int,
    progress: Progress = silent,
) -> dict[str, object]:
    """Return the share of draws with each verdict, of the policy and of each criterion.

    Parameters
    ----------
    bundle
        Its policy judges, its audit plan is followed.
    here
        The local images.
    table
        The table *subgroups*.
    case
        The truth.
    draws
        How many.
    correlation
        Finding → of the scores of two images of a patient.
    seed
        Of the draws.
    progress
        Told how many are done.

    Examples
    --------
    See the tests: it takes a bundle.

    >>> chance.__name__
    'chance'
    """
    plan = metrics.Plan(
        references=bundle.audit.references,
        metrics=bundle.audit.metrics,
        minimum=bundle.audit.minimum,
        candidate=bundle.candidate,
        seed=bundle.audit.seed,
        draws=JOINT_DRAWS,
    )
    overall: Counter[Verdict] = Counter()
    single: dict[str, Counter[Verdict]] = {}
    kinds: dict[str, str] = {}
    critical = 0.0
    for number in range(draws):
        progress(f"chances ({case.name})", number, draws)
        frame = here.frame
        for position, (finding, shape) in enumerate(case.shapes.items()):
            rng = np.random.default_rng([seed, number, position])
            scores = drawn(here, shape, correlation=correlation(finding), rng=rng)
            column = pl.Series(f"score:{finding}", scores, dtype=pl.Float32)
            frame = frame.with_columns(column.fill_nan(None))
        made = metrics.estimate(
            metrics.population(
                frame,
                table,
                patient="patient_id",
                points=bundle.operating_points,
                findings=list(case.shapes),
            ),
            table,
            plan,
        )
        critical = max(critical, made.critical_contrasts or 0.0)
        judgement = policies.judge(made.estimates, bundle.policy)
        overall[judgement.verdict] += 1
        for outcome in judgement.outcomes:
            single.setdefault(outcome.name, Counter())[outcome.verdict] += 1
            kinds[outcome.name] = outcome.kind
    return {
        "case": case.name,
        **case.says,
        "draws": draws,
        "verdicts": shares(overall, draws),
        "criteria": [
            {"name": name, "kind": kinds[name], "verdicts": shares(found, draws)}
            for name, found in single.items()
        ],
        "critical_value": critical or None,
    }


def shares(found: Mapping[Verdict, int], draws: int) -> dict[str, object]:
    """Return verdict → share of the draws, with Wilson's 95 % limits of the simulation itself.

    Examples
    --------
    >>> shares({Verdict.PASS: 10}, 10)["pass"]["share"]
    1.0
    """
    said: dict[str, object] = {}
    for verdict in Verdict:
        share = np.array([found.get(verdict, 0) / draws])
        low, high = wilson(share, np.array([float(draws)]), 1.959964)
        said[verdict.value] = {
            "share": float(share[0]),
            "low": float(low[0]),
            "high": float(high[0]),
        }
    return said
