"""The guard against levelling down: a candidate must be shown to make no group worse.

"Shown" means that in every group of every finding the lower limit of the paired difference from
plain training lies above the declared margin below 0; the limits are one-sided and hold for all
groups of all candidates together, since the best of many is looked for among those that pass. No
data, no proof: a group that is too small to be assessed blocks as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from equipoise.adapt.outcomes import Held, Outcome
from equipoise.adapt.quantities import Validation
from equipoise.metrics import Answers, Minimum
from equipoise.metrics.changes import Change, Side, changes
from equipoise.metrics.intervals import freedom, widened
from equipoise.metrics.simultaneous import joint_draws, root

Reals = npt.NDArray[np.float64]
Status = Literal["reference", "acceptable", "cannot rule out levelling down", "failed"]

LEVEL = 0.95
_DRAWS = 50_000


@dataclass(frozen=True, slots=True)
class Guarded:
    """Whether it was shown that a candidate makes no group worse than plain training does.

    Parameters
    ----------
    status
        *reference* is plain training itself.
    reason
        In words, what was shown or what is lacking.
    critical
        Standard errors from estimate to lower limit, for all groups together; None if none.
    differences
        A record per finding and group: paired difference in validation AUROC, lower limit.
    """

    status: Status
    reason: str
    critical: float | None = None
    differences: tuple[Mapping[str, object], ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the guard stands in nobody's way."""
        return self.status in {"reference", "acceptable"}


def guarded(
    plain: Sequence[Outcome],
    candidate: Sequence[Outcome],
    on: Validation,
    *,
    margin: float | None,
    rng: np.random.Generator,
    candidates: int = 1,
) -> Guarded:
    """Return whether a candidate was shown to make no group worse.

    Parameters
    ----------
    plain, candidate
        The outcomes of both, for the same findings and seeds.
    on
        Who validates.
    margin
        How much lower a group's AUROC may be and still count as no worse; None if not declared.
    rng
        Where the joint distribution is drawn from.
    candidates
        How many are judged: each has its share of the 5 % (Bonferroni), so that the chance that
        any harmful one passes stays below it.

    References
    ----------
    Zietlow et al. 2022, CVPR; Mittelstadt, Wachter & Russell 2023, Michigan Technology Law Review
    30:1 (levelling down). Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346 (limits that
    hold together).

    Examples
    --------
    >>> import polars as pl
    >>> from equipoise.adapt.material import Rows
    >>> from equipoise.adapt.quantities import validation
    >>> n = 400
    >>> label, ids = np.arange(n) % 2 == 1, [str(i) for i in range(n)]
    >>> rows = Rows(ids, ids, np.zeros((n, 1)), {"x": pl.Series(label)},
    ...             np.array(["F", "F", "M", "M"] * 100), [""] * n, np.arange(n),
    ...             np.array(["validation"] * n), np.zeros(n, int))
    >>> score = np.random.default_rng(0).normal(size=n) + label
    >>> held = {None: Held(np.arange(n), score.astype(np.float32))}
    >>> one = Outcome("x", "a", "plain", 0, "a-0", {}, {}, held[None].score, [], None, held)
    >>> on = validation(rows, list(held.values()), 10)
    >>> guarded([one], [one], on, margin=0.05, rng=np.random.default_rng(0)).status
    'acceptable'
    >>> guarded([one], [one], on, margin=None, rng=np.random.default_rng(0)).reason
    'no margin was declared'
    """
    cannot: Status = "cannot rule out levelling down"
    failed = next((one for one in candidate if one.reason is not None), None)
    if failed is not None:
        return Guarded("failed", f"{failed.finding}, seed {failed.seed}: {failed.reason}")
    named = list(_compared(plain, candidate, on))
    influences = [change.influence for _, _, change in named if not change.lacking]
    critical = _one_sided(influences, 1.0 - (1.0 - LEVEL) / max(candidates, 1), rng)
    found = [_record(finding, group, change, critical) for finding, group, change in named]
    # Without a margin the limits are still told: they say what could have been declared.
    reason = "no margin was declared" if margin is None else _lacks(found, margin)
    if reason is not None:
        return Guarded(cannot, reason, critical, tuple(found))
    said = f"in all of {len(found)} comparisons by group the lower limit is above -{margin:g}"
    return Guarded("acceptable", said, critical, tuple(found))


def _compared(
    plain: Sequence[Outcome], candidate: Sequence[Outcome], on: Validation
) -> Iterator[tuple[str, str, Change]]:
    """Yield finding, group and difference from plain training, over seeds and rounds."""
    for finding in dict.fromkeys(one.finding for one in plain):
        first = {one.seed: one.held for one in plain if one.finding == finding}
        second = {one.seed: one.held for one in candidate if one.finding == finding}
        by_seed = [
            [_round(first[seed][fold], second[seed][fold], finding, on) for fold in first[seed]]
            for seed in first
        ]
        for place, group in enumerate(on.groups):
            yield finding, group, _over_rounds([[r[place] for r in one] for one in by_seed], on)


def _round(plain: Held, candidate: Held, finding: str, on: Validation) -> list[Change]:
    """Return the difference in each group in one round."""
    label = on.rows.truth(finding)[plain.rows]
    named = on.rows.groups[plain.rows]
    n = max(2, on.minimum)
    both = [Answers(one.score[None], label[None]) for one in (plain, candidate)]
    return changes(
        "auroc",
        (both[0], both[1]),
        label=label,
        patient=on.code[plain.rows],
        groups=[named == group for group in on.groups],
        minimum=Minimum(positives=n, negatives=n, patients=2),
    )


def _over_rounds(by_seed: Sequence[Sequence[Change]], on: Validation) -> Change:
    """Return the mean over seeds of the mean over the rounds in which there is a number."""
    known = [[one for one in rounds if one.lacking is None] for rounds in by_seed]
    if not all(known):
        return next(rounds[0] for rounds, fine in zip(by_seed, known, strict=True) if not fine)
    means, totals, runs = np.zeros(2), np.zeros((2, on.size)), []
    for rounds in known:
        share = 1.0 / (len(known) * len(rounds))
        for one in rounds:
            means += share * one.sides[0].means
            totals[:, : one.sides[0].totals.shape[1]] += share * one.sides[0].totals
        runs.append(float(np.mean([one.difference for one in rounds])))
    widest = max((one for rounds in known for one in rounds), key=lambda one: one.sides[0].resting)
    # A patient may validate in several rounds: the largest of them is no more than there are.
    side = Side(means, totals, widest.sides[0].resting, None)
    return Change(
        float(means[0]),
        float(means[1]),
        (side,),
        totals[1] - totals[0],
        np.array(runs),
        widest.numbers,
        None,
    )


def _one_sided(influences: Sequence[Reals], level: float, rng: np.random.Generator) -> float | None:
    """Return the half-width, in standard errors, of lower limits that hold together."""
    if not influences:
        return None
    stacked = np.stack(influences)
    drawn = [
        block.max(axis=1)
        for (block,) in joint_draws([root(np.asarray(stacked @ stacked.T))], rng, _DRAWS)
    ]
    found = float(np.quantile(np.concatenate(drawn), level))
    return float(np.ceil(1000.0 * max(found, NormalDist().inv_cdf(level))) / 1000.0)


def _limits(change: Change, z: float) -> tuple[float, float]:
    """Return the limits of a paired difference: its own error, Student's t by what it rests on.

    The limits of either candidate, joined by their correlation, would not close on a difference
    that is nearly constant, since each leans to one side. Few patients who differ give few degrees
    of freedom. However little everybody differs, harm to a few who were not drawn is not seen: no
    limit is closer than the share that nobody among so many would show.
    """
    side, own = change.sides[0], change.influence
    variance, fourth = (np.array([(own**power).sum()]) for power in (2, 4))
    n = np.array([side.resting], dtype=np.float64)
    half = 1.0 - float(ndtr(-z)) ** (1.0 / side.resting)
    if variance[0] > 0.0:
        by_error = widened(z, freedom(variance, fourth, n))[0] * np.sqrt(variance[0])
        half = max(half, float(by_error))
    if len(change.runs) > 1:
        k = len(change.runs)
        half = float(np.hypot(half, stdtrit(k - 1.0, ndtr(z)) * change.runs.std(ddof=1) / k**0.5))
    return change.difference - half, change.difference + half


def _record(finding: str, group: str, change: Change, critical: float | None) -> dict[str, object]:
    images, patients, positives, negatives = change.numbers
    fine = change.lacking is None and critical is not None
    low, high = _limits(change, critical) if fine and critical is not None else (None, None)
    return {
        "finding": finding,
        "group": group,
        "plain": change.first if fine else None,
        "candidate": change.second if fine else None,
        "difference": change.difference if fine else None,
        "low": low,
        "high": high,
        "n_images": images,
        "n_patients": patients,
        "n_positive": positives,
        "n_negative": negatives,
        "reason": change.lacking,
    }


def _lacks(found: Sequence[Mapping[str, object]], margin: float) -> str | None:
    """Return what stands in the way: a group without a number, or the lowest limit below."""
    if not found:
        return "no group is known"
    for row in found:
        if row["reason"] is not None:
            return f"{row['finding']}: group '{row['group']}' on validation: {row['reason']}"
    worst = min(found, key=lambda row: float(str(row["low"])))
    low, difference = float(str(worst["low"])), float(str(worst["difference"]))
    if low > -margin:
        return None
    return (
        f"{worst['finding']}: in group '{worst['group']}' AUROC differs by {difference:+.3f} from "
        f"plain training, lower limit {low:+.3f}; expected above -{margin:g}"
    )
