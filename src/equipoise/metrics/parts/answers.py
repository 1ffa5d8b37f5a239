"""From merged counts and summed moments to the tables *counts* and *estimates*: no patient seen."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.metrics.counts import BINS, lists_of
from equipoise.metrics.estimates import Estimated, answered
from equipoise.metrics.groups import levels_of
from equipoise.metrics.moments import Block, Moments, families
from equipoise.metrics.numbers import Numbers, Question, lacking_of
from equipoise.metrics.parts.agreements import Agreed
from equipoise.metrics.parts.grid import auroc
from equipoise.metrics.parts.messages import CELLS, Merged, Second
from equipoise.metrics.parts.notes import with_notes, withheld_by
from equipoise.metrics.rows import Sheet
from equipoise.metrics.samples import Sample
from equipoise.tables import COUNTS, check

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def estimates_from(merged: Merged, second: Second, agreed: Agreed) -> Estimated:
    """Return all estimates of all declared subgroups, from what the parts have sent.

    They are those of the pooled data: cells exactly, values and limits but for rounding. AUROC is
    that on the grid; its `reason` says how far at most it lies from the AUROC without one.

    Parameters
    ----------
    merged
        Counts of all parts.
    second
        Second moments of all parts.
    agreed
        What was counted.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import (Rules, first, merge, moments_of, population_of,
    ...                                      sum_moments)
    >>> plan = Plan({}, ("auroc",), Minimum(positives=2, negatives=2, patients=2), "probe")
    >>> rules = Rules(minimum_cell=1, contributors=1)
    >>> agreed = Agreed(subgroups({"sex": ["F", "M"]}), plan, ("x",), rules=rules)
    >>> rows = pl.DataFrame({"sex": ["F", "M"] * 4, "label:x": [True, True, False, False] * 2,
    ...                      "score:x": [0.8, 0.9, 0.2, 0.3, 0.7, 0.6, 0.1, 0.65]})
    >>> people = population_of(rows, agreed, patient=None)
    >>> part = first(people, agreed, name="site-1")
    >>> merged = merge([part], agreed, disjoint_patients=True)
    >>> second = sum_moments([moments_of(people, part, merged, agreed)], merged)
    >>> made = estimates_from(merged, second, agreed).estimates
    >>> made.filter(pl.col("contrast").is_null(), level=0.9)["sex", "value"].rows()
    [(None, 0.9375), ('F', 1.0), ('M', 0.75)]
    """
    asked, found = numbers_of(merged, agreed)
    values, differences = families(found, agreed.compared)
    moments_of_all = Moments(
        second.variance,
        second.fourth,
        second.covariance,
        values,
        differences,
        (Block(np.arange(len(values.question)), second.joint_values),),
        (Block(np.arange(len(differences.question)), second.joint_differences),),
    )
    counts = check(_counts(merged, agreed), COUNTS)
    sheet = Sheet(tuple(levels_of(agreed.table)), counts, agreed.compared, merged.clustered)
    unscored = dict(zip(agreed.findings, merged.counts.unscored.tolist(), strict=True))
    made = answered((asked, found), moments_of_all, sheet, agreed.plan, unscored=unscored)
    return replace(made, estimates=with_notes(made.estimates, merged, agreed))


def numbers_of(merged: Merged, agreed: Agreed) -> tuple[list[Question], list[Numbers]]:
    """Return the questions, and their answers for all arms from the merged counts.

    Parameters
    ----------
    merged
        Counts of all parts.
    agreed
        What was counted.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, Plan, subgroups
    >>> from equipoise.metrics.parts import first, merge, population_of
    >>> agreed = Agreed(subgroups({"sex": ["F"]}), Plan({}, ("auroc",), Minimum(), "probe"), ("x",))
    >>> people = population_of(pl.DataFrame({"sex": ["F"]}), agreed, patient=None)
    >>> merged = merge([first(people, agreed, name="site-1")], agreed, disjoint_patients=True)
    >>> numbers_of(merged, agreed)[1][0].lacking[1]
    'sex=F has 0 positives (30 more are needed) and 0 negatives (30 more are needed)'
    """
    reasons = _reasons(merged, agreed)
    asked, found = [], []
    for at, (position, metric, point) in enumerate(agreed.questions):
        name = None if point is None else agreed.named_points[point][1]
        asked.append(Question(_hollow(merged, agreed, position), metric, name))
        found.append(_numbers(merged, agreed, at, reasons[position]))
    return asked, found


def _numbers(merged: Merged, agreed: Agreed, at: int, reasons: list[str | None]) -> Numbers:
    position, metric, point = agreed.questions[at]
    people = {
        name: (merged.counts.of(images)[position], merged.counts.of(patients)[position])
        for name, images, patients in (
            ("all", "images", "patients"),
            ("positive", "positive", "patients_positive"),
            ("negative", "negative", "patients_negative"),
        )
    }
    positive, negative, counted = people["positive"], people["negative"], people["all"]
    events = None
    if point is not None:
        cells = dict(zip(CELLS, merged.counts.confusion[point], strict=True))
        trials = np.sum([cells[name] for name in metric.trials], axis=0)
        both = [cells[name] for name in metric.events if name in metric.trials]
        events = np.sum([np.zeros_like(trials), *both], axis=0)
        counted = trials, merged.counts.trial_patients[at]
    have = positive, negative, counted
    short = lacking_of(metric, agreed.compared.names, have, agreed.plan.minimum)
    lacking = tuple(why or few for why, few in zip(reasons, short, strict=True))
    fine = np.array([why is None for why in lacking], dtype=bool)
    smaller = np.minimum(positive[1], negative[1])
    return Numbers(
        value=np.where(fine, _values(merged, agreed, at, (events, counted[0])), np.nan),
        events=events,
        trials=None if events is None else counted[0],
        patients=smaller if metric.kind == "ranking" else counted[1],
        by_class=(positive[1], negative[1]),
        images_by_class=(positive[0], negative[0]),
        lacking=lacking,
    )


def _values(
    merged: Merged, agreed: Agreed, at: int, rate: tuple[Integers | None, Integers]
) -> Reals:
    position, metric, _ = agreed.questions[at]
    if metric.kind == "ranking":
        return auroc(*merged.counts.histogram[position])
    events, trials = rate
    total = merged.counts.losses()[at] if events is None else events.astype(np.float64)
    value = np.full(len(trials), np.nan)
    return np.asarray(np.divide(total, trials, out=value, where=trials > 0), dtype=np.float64)


def _hollow(merged: Merged, agreed: Agreed, position: int) -> Sample:
    """Return a finding without its images: all that a row of the estimates asks of it."""
    nobody, none = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    unscored = int(merged.counts.unscored[position])
    points = {point: none for mine, point in agreed.named_points if mine == position}
    finding = agreed.findings[position]
    return Sample(finding, nobody.astype(np.float64), none, nobody, nobody, points, unscored)


def _reasons(merged: Merged, agreed: Agreed) -> list[list[str | None]]:
    """Return why parts do not answer for an arm, by finding and arm, or None."""
    few, behind = merged.few(agreed), merged.told.sum(axis=0)
    names, n = agreed.compared.names, len(merged.names)
    made: list[list[str | None]] = []
    for position in range(len(agreed.findings)):
        row: list[str | None] = [None] * len(names)
        for arm in np.flatnonzero(few[position]):
            row[arm] = (
                f"{names[arm]} is told by {behind[position, arm]} of {n} parts"
                f"{withheld_by(merged, position, int(arm))}; {agreed.rules.contributors} must"
            )
        for contrast in agreed.compared.contrasts:
            mine = merged.withheld[:, position, contrast.group]
            theirs = merged.withheld[:, position, contrast.against]
            if row[contrast.against] is None and (mine != theirs).any():
                row[contrast.against] = (
                    f"{names[contrast.against]} is told by other parts than {names[contrast.group]}"
                    f"{withheld_by(merged, position, contrast.against)}"
                )
        made.append(row)
    return made


def _counts(merged: Merged, agreed: Agreed) -> pl.DataFrame:
    frames = []
    for position, finding in enumerate(agreed.findings):
        points: list[tuple[int | None, str | None]] = [
            (at, point) for at, (mine, point) in enumerate(agreed.named_points) if mine == position
        ]
        for at, point in points or [(None, None)]:
            frames.append(_table(merged, agreed, (position, finding), (at, point)))
    return pl.concat(frames)


def _table(
    merged: Merged, agreed: Agreed, finding: tuple[int, str], at: tuple[int | None, str | None]
) -> pl.DataFrame:
    n, counts = agreed.table.height, merged.counts
    nothing = pl.lit(None, dtype=pl.Int64)
    cells = None if at[0] is None else counts.confusion[at[0]]
    fine = _finest(counts.histogram[finding[0], :, :n])
    people = [
        ("n_images", "images"),
        ("n_patients", "patients"),
        ("n_positive", "positive"),
        ("n_negative", "negative"),
        ("patients_positive", "patients_positive"),
        ("patients_negative", "patients_negative"),
    ]
    return agreed.table.drop("exploratory").with_columns(
        pl.lit(finding[1]).alias("finding"),
        pl.lit(agreed.plan.candidate).alias("candidate"),
        pl.lit(at[1], dtype=pl.String).alias("operating_point"),
        *[pl.Series(name, counts.of(mine)[finding[0], :n]) for name, mine in people],
        *[
            nothing.alias(name) if cells is None else pl.Series(name, cells[row, :n])
            for row, name in enumerate(CELLS)
        ],
        *lists_of((fine[0], fine[1])),
        agreed.table["exploratory"],
    )


def _finest(histogram: Integers) -> Integers:
    """Return histograms on the bins of the table *counts*: a wide bin's in that of its centre."""
    bins = histogram.shape[-1]
    made = np.zeros((*histogram.shape[:-1], BINS), dtype=np.int64)
    made[..., ((np.arange(bins) + 0.5) / bins * BINS).astype(np.int64)] = histogram
    return made
