"""Two ways of training compared on the same patients: by group, and what it does to a gap.

Both answer for the same images, so most of what makes either of them uncertain is shared and
cancels: the variance of the difference is that of the difference of their influence values, summed
per patient. Runs of several seeds are averaged first; what seeds add is widened in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import stdtrit

from equipoise.errors import InvalidTable
from equipoise.metrics.definitions import Minimum
from equipoise.metrics.intervals import mover, quantile
from equipoise.metrics.limits import arm_limits
from equipoise.metrics.numbers import Numbers
from equipoise.metrics.placements import placements, small_sample

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PAIRED = ("auroc", "sensitivity", "specificity")
"""The metrics that are compared."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one way of training says of the images, in one run or in several.

    Parameters
    ----------
    score
        Shape ``(runs, n)``, finite.
    called
        Shape ``(runs, n)``: whether an image is called positive, at each run's own threshold.
    """

    score: npt.NDArray[np.floating]
    called: Flags


@dataclass(frozen=True, slots=True)
class _Change:
    """Second less first, in a group or a gap: limits are over patients, `runs` is by run."""

    first: float
    second: float
    low: float
    high: float
    influence: Reals
    runs: Reals
    numbers: tuple[int, int, int, int]
    lacking: str | None


def paired(
    first: Answers,
    second: Answers,
    *,
    label: Flags,
    patient: Integers,
    groups: Mapping[str, Flags],
    references: Mapping[str, str] | None = None,
    minimum: Minimum | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Return how the second way of training differs from the first, in each group and contrast.

    The interval is over patients, clustered: the limits of either way of training, joined by the
    correlation of the two. With several runs, run r of the second is held against run r of the
    first; values are means over runs, and to the half-width, in quadrature, is added Student's t
    times the standard error over runs. The interval is then over patients and seeds; it is wide
    where there are few, since each run's own difference also holds chance of patients.

    Parameters
    ----------
    first, second
        What each says of the same images, in equally many runs.
    label
        Shape ``(n,)``.
    patient
        Shape ``(n,)``, an integer code per patient.
    groups
        Name → which images are of it ``(n,)``.
    references
        Group → the group it is held against: what the second way does to the gap between them.
    minimum
        What a group needs; the engine's by default.
    level
        Of the intervals, pointwise.

    Returns
    -------
    A row per metric and group (`against` null), then per metric and reference: `first`, `second`,
    `difference` (second less first) with `low` and `high`; null where not assessable, with a
    `reason`.

    Raises
    ------
    InvalidTable
        If shapes do not agree.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837 (paired AUROCs); Obuchowski 1997,
    Biometrics 53:567 (clusters); Zou & Donner 2008, Statistics in Medicine 27:1693 (limits of a
    difference from those of its arms, with their correlation; Newcombe 1998, ibid. 17:2635).

    Examples
    --------
    >>> rng, n = np.random.default_rng(0), 400
    >>> label, noise = np.arange(n) % 2 == 1, rng.normal(size=n)
    >>> weak, strong = (Answers(x[None], x[None] > 0.5) for x in (label + 2 * noise, label + noise))
    >>> found = paired(weak, strong, label=label, patient=np.arange(n),
    ...                groups={"everybody": label | True})
    >>> row = found.row(0, named=True)
    >>> row["metric"], row["difference"] > 0, row["low"] > 0
    ('auroc', True, True)
    """
    _check(first, second, label, patient, groups)
    least = minimum or Minimum()
    code = np.unique(patient, return_inverse=True)[1].astype(np.int64)
    rows: list[dict[str, object]] = []
    for metric in PAIRED:
        changes = {
            name: _change(metric, (first, second), label, code, inside, least, level)
            for name, inside in groups.items()
        }
        rows += [_row(metric, name, None, change, level) for name, change in changes.items()]
        for name, against in (references or {}).items():
            change = _gap(changes[name], changes[against])
            rows.append(_row(metric, name, against, change, level))
    return pl.DataFrame(rows, infer_schema_length=None)


def _check(
    first: Answers,
    second: Answers,
    label: Flags,
    patient: Integers,
    groups: Mapping[str, Flags],
) -> None:
    shape = first.score.shape
    for what, found in (
        ("called of the first", first.called.shape),
        ("scores of the second", second.score.shape),
        ("called of the second", second.called.shape),
        *((f"group '{name}'", (shape[0], *inside.shape)) for name, inside in groups.items()),
        ("labels", (shape[0], *label.shape)),
        ("patients", (shape[0], *patient.shape)),
    ):
        if found != shape:
            raise InvalidTable(f"paired: {what} are of {found}; expected {shape}, (runs, images)")


def _change(
    metric: str,
    both: tuple[Answers, Answers],
    label: Flags,
    code: Integers,
    inside: Flags,
    least: Minimum,
    level: float,
) -> _Change:
    trials = inside & {"auroc": inside, "sensitivity": label, "specificity": ~label}[metric]
    by_class = [np.unique(code[trials & side]) for side in (label, ~label)]
    images = [int((trials & side).sum()) for side in (label, ~label)]
    told = (int(trials.sum()), len(np.unique(code[trials])), images[0], images[1])
    lacking = _lacking(metric, by_class, images, least)
    if lacking is not None:
        nothing = float("nan")
        return _Change(nothing, nothing, nothing, nothing, np.zeros(0), np.zeros(0), told, lacking)
    influence = _ranked if metric == "auroc" else _averaged
    values = np.zeros((2, both[0].score.shape[0]))  # (way, run)
    totals = np.zeros((2, int(code.max()) + 1))  # (way, patient)
    for way, answers in enumerate(both):
        for run in range(len(values[way])):
            answer = answers.score[run] if metric == "auroc" else answers.called[run] == label
            values[way, run], total = influence(answer[trials], label[trials], code[trials])
            totals[way] += np.bincount(np.arange(len(total)), total, totals.shape[1])
        totals[way] /= len(values[way])
    resting = min(len(part) for part in by_class if len(part))
    means = values.mean(axis=1)
    rate = None if metric == "auroc" else np.full(2, told[0], dtype=np.int64)
    low, high = _limits(means, totals, resting, rate, quantile(level))
    runs = values[1] - values[0]
    return _Change(
        float(means[0]), float(means[1]), low, high, totals[1] - totals[0], runs, told, None
    )


def _lacking(
    metric: str, by_class: list[npt.NDArray[np.int64]], images: list[int], least: Minimum
) -> str | None:
    needs = (("positives", least.positives), ("negatives", least.negatives))
    asked = {"auroc": (0, 1), "sensitivity": (0,), "specificity": (1,)}[metric]
    for side in asked:
        name, n = needs[side]
        if images[side] < n:
            return f"{images[side]} {name} (images); needs {n}"
        if len(by_class[side]) < least.patients:
            return f"{len(by_class[side])} patients with {name}; needs {least.patients}"
    return None


def _ranked(score: npt.NDArray[np.floating], label: Flags, code: Integers) -> tuple[float, Reals]:
    """Return AUROC and influence values by patient."""
    above = placements(score[label], np.sort(score[~label]))
    below = 1.0 - placements(score[~label], np.sort(score[label]))
    value = float(above.mean())
    total = np.zeros(int(code.max()) + 1)
    for part, where in ((above, code[label]), (below, code[~label])):
        scale = small_sample(len(np.unique(where))) / len(part)
        total += np.bincount(where, (part - value) * scale, len(total))
    return value, total


def _averaged(right: npt.NDArray[np.floating], label: Flags, code: Integers) -> tuple[float, Reals]:
    """Return a rate and influence values by patient; `right` is whether each call is correct."""
    del label
    hit = right.astype(np.float64)
    value = float(hit.mean())
    scale = small_sample(len(np.unique(code))) / len(hit)
    total = np.bincount(code, (hit - value) * scale)
    return value, np.asarray(total, dtype=np.float64)


def _limits(
    means: Reals, totals: Reals, resting: int, trials: Integers | None, z: float
) -> tuple[float, float]:
    """Return the limits of second less first over patients."""
    n = np.full(2, resting, dtype=np.int64)
    events = None if trials is None else np.rint(means * trials).astype(np.int64)
    found = Numbers(means, events, trials, n, (n, n), (n, n), (None, None))
    variance, fourth = (totals**2).sum(axis=1), (totals**4).sum(axis=1)
    low, high = arm_limits(found, variance, fourth, z=z)
    arms = [(means[way : way + 1], low[way : way + 1], high[way : way + 1]) for way in (1, 0)]
    down, up = mover(arms[0], arms[1], np.array([_correlation(totals[1], totals[0])]))
    return float(down[0]), float(up[0])


def _correlation(one: Reals, other: Reals) -> float:
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float(np.clip((one * other).sum() / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _with_runs(
    difference: float, low: float, high: float, runs: Reals, level: float
) -> tuple[float, float]:
    """Return the limits with what the runs add, in quadrature."""
    if len(runs) < 2:
        return low, high
    t = float(stdtrit(len(runs) - 1.0, (1.0 + level) / 2.0))
    added = t * float(runs.std(ddof=1)) / np.sqrt(len(runs))
    down, up = np.hypot(difference - low, added), np.hypot(high - difference, added)
    return float(difference - down), float(difference + up)


def _gap(change: _Change, against: _Change) -> _Change:
    """Return what becomes of the gap between a group and its reference."""
    lacking = change.lacking or against.lacking
    told = change.numbers
    if lacking is not None:
        nothing = float("nan")
        return _Change(nothing, nothing, nothing, nothing, np.zeros(0), np.zeros(0), told, lacking)
    one, other = (
        (np.array([c.second - c.first]), np.array([c.low]), np.array([c.high]))
        for c in (change, against)
    )
    together = _correlation(change.influence, against.influence)
    low, high = (float(part[0]) for part in mover(one, other, np.array([together])))
    return _Change(
        change.first - against.first,
        change.second - against.second,
        low,
        high,
        change.influence - against.influence,
        change.runs - against.runs,
        told,
        None,
    )


def _row(
    metric: str, group: str, against: str | None, change: _Change, level: float
) -> dict[str, object]:
    fine = change.lacking is None
    # Runs are added here, once: what a seed does to a gap is not the sum over its groups.
    limits = _with_runs(change.second - change.first, change.low, change.high, change.runs, level)
    n_images, n_patients, n_positive, n_negative = change.numbers
    return {
        "metric": metric,
        "group": group,
        "against": against,
        "first": change.first if fine else None,
        "second": change.second if fine else None,
        "difference": change.second - change.first if fine else None,
        "low": limits[0] if fine else None,
        "high": limits[1] if fine else None,
        "level": level,
        "runs": len(change.runs),
        "n_images": n_images,
        "n_patients": n_patients,
        "n_positive": n_positive,
        "n_negative": n_negative,
        "status": "assessed" if fine else "not assessable",
        "reason": change.lacking,
    }
