"""From what is counted of a stream to the tables *counts* and *estimates*: no row is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from equipoise.errors import InvalidConfiguration
from equipoise.metrics.arms import Arms
from equipoise.metrics.counts import BINS, lists_of
from equipoise.metrics.definitions import Metric
from equipoise.metrics.estimates import Estimated, Plan, answered
from equipoise.metrics.groups import levels_of
from equipoise.metrics.known import metric
from equipoise.metrics.moments import by_question
from equipoise.metrics.numbers import Numbers, Question, lacking_of
from equipoise.metrics.parts.grid import auroc, bound
from equipoise.metrics.rows import Sheet
from equipoise.metrics.samples import Sample
from equipoise.metrics.streams.clusters import Clusters, Point
from equipoise.metrics.streams.variances import Asked, gram
from equipoise.metrics.tallies import KINDS, NEGATIVE, POSITIVE
from equipoise.tables import COUNTS, check

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_CELLS = ("tp", "fp", "tn", "fn")


@dataclass(frozen=True)
class Streamed:
    """What a stream has of everybody.

    Parameters
    ----------
    made
        What was counted.
    table
        The table *subgroups*.
    compared
        The arms and contrasts, over all cells of the grid.
    plan
        What is estimated.
    clustered
        Whether patients are known.
    """

    made: Clusters
    table: pl.DataFrame
    compared: Arms
    plan: Plan
    clustered: bool

    @property
    def unscored(self) -> dict[str, int]:
        """Finding → images with a label and no score."""
        findings = self.made.layout.grid.findings
        return dict(zip(findings, self.made.unscored.tolist(), strict=True))

    def images(self, key: Point, wanted: Sequence[str]) -> Integers:
        """Return how many images of the wanted kinds each arm has, shape ``(arms,)``."""
        place = self.made.layout.grid.findings.index(key[0])
        first = self.made.layout.called.get(key, self.made.layout.grid.bins)
        by_cell = self.made.histogram[place]
        parts = {
            "tn": by_cell[:, 0, :first],
            "fp": by_cell[:, 0, first:],
            "fn": by_cell[:, 1, :first],
            "tp": by_cell[:, 1, first:],
        }
        total = np.sum([parts[kind].sum(axis=1) for kind in wanted], axis=0)
        return np.asarray(self.compared.inside.astype(np.int64) @ total, dtype=np.int64)

    def patients(self, key: Point, wanted: Sequence[str]) -> Integers:
        """Return how many patients have any of the wanted kinds in each arm, shape ``(arms,)``."""
        if key[1] is None:
            key = key[0], self.made.layout.point_of(key[0])
        bits = sum(1 << KINDS.index(kind) for kind in wanted)
        some = (np.arange(1 << len(KINDS)) & bits) > 0
        lone = self.made.lone[key][:, some].sum(axis=1)
        several = self.made.several[key][:, some].sum(axis=1)
        return np.asarray(self.compared.inside.astype(np.int64) @ lone + several, dtype=np.int64)

    @cached_property
    def histograms(self) -> dict[str, Integers]:
        """Finding → the images of each arm by label and bin, shape ``(arms, 2, bins)``."""
        inside = self.compared.inside.astype(np.float64)
        made = {}
        for name, cells in zip(self.made.layout.grid.findings, self.made.histogram, strict=True):
            flat = inside @ cells.reshape(len(cells), -1)
            made[name] = flat.astype(np.int64).reshape(len(flat), *cells.shape[1:])
        return made


def estimate(streamed: Streamed) -> Estimated:
    """Return all estimates of a stream, jointly over the subgroups of each question.

    Rates and cells are exact. AUROC takes scores in one bin as tied: `error_bound` says how far at
    most it can lie from that of the scores themselves. Standard errors take the pairs of a
    patient's images from coarser bins.

    Parameters
    ----------
    streamed
        What is known of the stream.

    Raises
    ------
    InvalidConfiguration
        If a metric cannot be streamed.

    Examples
    --------
    >>> from equipoise.metrics import Minimum, subgroups
    >>> from equipoise.metrics.arms import arms
    >>> from equipoise.metrics.groups import Cells
    >>> from equipoise.metrics.streams.clustering import clustered
    >>> from equipoise.metrics.streams.clusters import layout
    >>> from equipoise.metrics.streams.grids import Grid
    >>> from equipoise.metrics.streams.people import Rows
    >>> grid = Grid({"sex": ("F", "M")}, {"x": np.array([0.0, 0.5])})
    >>> table = subgroups({"sex": ["F", "M"]})
    >>> compared = arms(table, Cells(np.arange(2), grid.levels_of_cells()), {})
    >>> who, cell = np.arange(80).astype(np.uint64), np.zeros(80, dtype=np.int64)
    >>> rows = Rows(cell, who, np.array([[0, 1, 2, 3, 3, 3, 0, 0] * 10], np.int16))
    >>> made = clustered([rows], layout(grid, {}, compared.inside))
    >>> plan = Plan({}, ("auroc",), Minimum(), "model")
    >>> found = estimate(Streamed(made, table, compared, plan, True)).estimates
    >>> found["sex", "value", "error_bound"].rows()[:2]
    [(None, 0.75, 0.1875), ('F', 0.75, 0.1875)]
    """
    with threadpool_limits(1, user_api="blas"):  # Many small products: threads would only wait.
        return _estimated(streamed)


def _estimated(streamed: Streamed) -> Estimated:
    plan, compared = streamed.plan, streamed.compared
    asked = [
        Question(_hollow(streamed, finding), _streamable(one), point)
        for finding in streamed.made.layout.grid.findings
        for one in map(metric, plan.metrics)
        for point in (_points(streamed, finding) if one.thresholded else [None])
    ]
    found = [_numbers(streamed, question) for question in asked]
    grams = (
        gram(
            Asked(
                streamed.made,
                compared,
                question,
                answer,
                streamed.histograms[question.sample.finding],
            )
        )
        for question, answer in zip(asked, found, strict=True)
    )
    attributes = tuple(levels_of(streamed.table))
    sheet = Sheet(attributes, _counts(streamed), compared, streamed.clustered)
    second = by_question(grams, found, compared)
    made = answered((asked, found), second, sheet, plan, unscored=streamed.unscored)
    return Estimated(
        estimates=_with_bounds(made.estimates, streamed),
        counts=made.counts,
        critical_groups=made.critical_groups,
        critical_contrasts=made.critical_contrasts,
        family_groups=made.family_groups,
        family_contrasts=made.family_contrasts,
        unscored=made.unscored,
    )


def _streamable(one: Metric) -> Metric:
    if one.kind == "rate" or (one.kind == "ranking" and one.across is None):
        return one
    raise InvalidConfiguration(
        f"stream: '{one.name}' cannot be streamed; expected AUROC or a rate at an operating point",
        hint="take a sample into memory for the other metrics",
    )


def _points(streamed: Streamed, finding: str) -> list[str | None]:
    return [point for mine, point in streamed.made.layout.called if mine == finding]


def _hollow(streamed: Streamed, finding: str) -> Sample:
    """Return a finding without its images: all that a row of the estimates asks of it."""
    nobody, none = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    called = {point: none for point in _points(streamed, finding) if point is not None}
    unscored = streamed.unscored.get(finding, 0)
    return Sample(finding, nobody.astype(np.float64), none, nobody, nobody, called, unscored)


def _numbers(streamed: Streamed, question: Question) -> Numbers:
    of, finding = question.metric, question.sample.finding
    label, key = (finding, None), (finding, question.point)
    positive = streamed.images(label, POSITIVE), streamed.patients(label, POSITIVE)
    negative = streamed.images(label, NEGATIVE), streamed.patients(label, NEGATIVE)
    wanted = of.trials if of.kind == "rate" else (*NEGATIVE, *POSITIVE)
    trials = streamed.images(key, wanted), streamed.patients(key, wanted)
    lacking = lacking_of(
        of, streamed.compared.names, (positive, negative, trials), streamed.plan.minimum
    )
    fine = np.array([why is None for why in lacking], dtype=bool)
    if of.kind == "rate":
        events = streamed.images(key, [kind for kind in of.events if kind in of.trials])
        value = events / np.maximum(trials[0], 1)
    else:
        events, value = None, auroc(*streamed.histograms[finding].swapaxes(0, 1))
    return Numbers(
        value=np.where(fine, value, np.nan),
        events=events,
        trials=None if events is None else trials[0],
        patients=np.minimum(positive[1], negative[1]) if events is None else trials[1],
        by_class=(positive[1], negative[1]),
        images_by_class=(positive[0], negative[0]),
        lacking=lacking,
    )


def _with_bounds(rows: pl.DataFrame, streamed: Streamed) -> pl.DataFrame:
    """Return the estimates with how far an AUROC lies at most from that without bins."""
    compared = streamed.compared
    groups = len(compared.subgroups)
    frames = []
    for finding in streamed.made.layout.grid.findings:
        limit = bound(*streamed.histograms[finding].swapaxes(0, 1))
        contrasts = [
            (c.group, c.text, limit[c.group] + limit[c.against]) for c in compared.contrasts
        ]
        own = [(group, None, limit[group]) for group in range(groups)]
        who = streamed.table.drop("exploratory")[[group for group, _, _ in (*own, *contrasts)]]
        frames.append(
            who.with_columns(
                pl.Series("against", [text for _, text, _ in (*own, *contrasts)], dtype=pl.String),
                pl.Series("error_bound", [far for _, _, far in (*own, *contrasts)]).fill_nan(None),
                finding=pl.lit(finding),
                metric=pl.lit("auroc"),
                adjustment=pl.lit("crude"),
            )
        )
    limits = pl.concat(frames)
    key = [name for name in limits.columns if name != "error_bound"]
    joined = rows.drop("error_bound", strict=False).join(
        limits, on=key, how="left", nulls_equal=True, maintain_order="left"
    )
    assessed = pl.when(pl.col("status") == "assessed").then(pl.col("error_bound"))
    bins = streamed.made.layout.grid.bins
    said = pl.format("{}; scores in {} bins", "method", pl.lit(bins))
    binned = (pl.col("metric") == "auroc") & (pl.col("status") != "description")
    return joined.with_columns(
        error_bound=assessed, method=pl.when(binned).then(said).otherwise("method")
    ).select([*_before(rows.columns, "p_value"), "error_bound", *_from(rows.columns, "p_value")])


def _before(names: Sequence[str], name: str) -> list[str]:
    return [one for one in names[: list(names).index(name)] if one != "error_bound"]


def _from(names: Sequence[str], name: str) -> list[str]:
    return [one for one in names[list(names).index(name) :] if one != "error_bound"]


def _counts(streamed: Streamed) -> pl.DataFrame:
    """Return the table *counts*; its histograms have a wide bin's images in that of its middle."""
    frames, n = [], streamed.table.height
    for finding, edges in streamed.made.layout.grid.edges.items():
        ends = np.r_[edges[1:].astype(np.float64), 1.0]
        middle = np.clip((edges.astype(np.float64) + ends) / 2.0, 0.0, 1.0)
        place = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
        fine = streamed.histograms[finding][:n, :, : len(edges)]
        starts = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
        wide = np.zeros((n, 2, BINS), dtype=np.int64)
        wide[:, :, place[starts]] = np.add.reduceat(fine, starts, axis=2)
        points = _points(streamed, finding) or [None]
        frames += [_table(streamed, finding, point, wide) for point in points]
    return check(pl.concat(frames), COUNTS)


def _table(streamed: Streamed, finding: str, point: str | None, wide: Integers) -> pl.DataFrame:
    label, n = (finding, None), streamed.table.height
    everyone = (*NEGATIVE, *POSITIVE)
    people = {
        "n_images": streamed.images(label, everyone),
        "n_patients": streamed.patients(label, everyone),
        "n_positive": streamed.images(label, POSITIVE),
        "n_negative": streamed.images(label, NEGATIVE),
        "patients_positive": streamed.patients(label, POSITIVE),
        "patients_negative": streamed.patients(label, NEGATIVE),
    }
    nothing = pl.lit(None, dtype=pl.Int64)
    return streamed.table.drop("exploratory").with_columns(
        pl.lit(finding).alias("finding"),
        pl.lit(streamed.plan.candidate).alias("candidate"),
        pl.lit(point, dtype=pl.String).alias("operating_point"),
        *[pl.Series(name, column[:n]) for name, column in people.items()],
        *[
            nothing.alias(name)
            if point is None
            else pl.Series(name, streamed.images((finding, point), (name,))[:n])
            for name in _CELLS
        ],
        *lists_of((wide[:, 0], wide[:, 1])),
        streamed.table["exploratory"],
    )
