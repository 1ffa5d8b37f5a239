"""What scores are expected here before any is looked at: the reference's, by group and label.

Histograms of the reference are refined at the operating points, where its confusion cells say
exactly how many lie above, so that rates of drawn scores have the reference's rates as truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import bundles
from equipoise.metrics.arms import Arms, arms
from equipoise.metrics.groups import Cells, cells

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ENOUGH = 10
"""Reference images with a label that a subgroup needs for its own histogram to be drawn from."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The expected scores of one finding here.

    Parameters
    ----------
    finding
        Its name.
    edges
        Ascending ``(bins + 1,)``, from 0 to 1, with every operating point among them.
    positive, negative
        Chance of each bin, by local cell ``(cells, bins)``.
    thresholds
        Operating point → threshold.
    drawn_from
        For each cell, the reference subgroup whose positives and negatives are drawn.
    """

    finding: str
    edges: Reals
    positive: Reals
    negative: Reals
    thresholds: Mapping[str, float]
    drawn_from: tuple[tuple[str, str], ...]

    def above(self, point: str) -> Flags:
        """Return which bins are called positive at an operating point ``(bins,)``."""
        return np.asarray(self.edges[:-1] >= float(np.float32(self.thresholds[point])))


@dataclass(frozen=True, slots=True)
class Local:
    """The local images of the declared subgroups, without a score.

    Parameters
    ----------
    frame
        Image, patient, attributes and labels.
    cells
        The atomic cell of each image.
    compared
        Subgroups and what they are compared with.
    patients
        Code of the patient of each image.
    """

    frame: pl.DataFrame
    cells: Cells
    compared: Arms
    patients: Integers

    def labels(self, finding: str) -> tuple[Flags, Flags]:
        """Return which images are assessed and which of those are positive ``(n,)``."""
        column = self.frame[f"label:{finding}"]
        known = column.is_not_null().to_numpy()
        return known, known & column.fill_null(value=False).to_numpy().astype(bool)

    def people(self, flag: Flags, arm: Flags) -> int:
        """Return how many patients have a flagged image in an arm."""
        return len(np.unique(self.patients[flag & arm[self.cells.code]]))

    def by_cell(self, flag: Flags) -> Reals:
        """Return how many flagged images each cell has ``(cells,)``."""
        code = self.cells.code[flag]
        return np.bincount(code, minlength=self.cells.n).astype(np.float64)


def local(bundle: bundles.Bundle, cohort: pl.DataFrame, table: pl.DataFrame) -> Local:
    """Return the local images, arranged by declared subgroup.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from equipoise.metrics import subgroups
    >>> cohort = pl.DataFrame({"image_id": ["a"], "patient_id": ["p"], "sex": ["F"],
    ...                        "label:x": [True]})
    >>> plan = bundles.AuditPlan(attributes={"sex": ["F", "M"]})
    >>> model = SimpleNamespace(audit=plan, findings=("x",))
    >>> local(model, cohort, subgroups({"sex": ["F", "M"]})).patients.tolist()
    [0]
    """
    names = ["image_id", "patient_id", *bundle.audit.attributes]
    frame = cohort.select(*names, *(f"label:{finding}" for finding in bundle.findings))
    frame = frame.sort("image_id")
    atomic = cells(frame, table)
    codes = frame["patient_id"].rank("dense").to_numpy().astype(np.int64) - 1
    return Local(frame, atomic, arms(table, atomic, bundle.audit.references), codes)


def shapes(bundle: bundles.Bundle, here: Local) -> dict[str, Shape]:
    """Return finding → the expected scores; a finding of which nothing is known is absent.

    Parameters
    ----------
    bundle
        Its reference counts are used, or else what its maker claims of every group alike.
    here
        The local images.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> bare = SimpleNamespace(findings=("x",), reference=None, manifest=SimpleNamespace(claims={}),
    ...                        operating_points=pl.DataFrame({"finding": [], "threshold": [],
    ...                                                       "operating_point": []}))
    >>> shapes(bare, None)
    {}
    """
    found = {}
    for finding in bundle.findings:
        thresholds = _thresholds(bundle, finding)
        reference = bundle.reference
        counts = None if reference is None else reference.counts
        mine = None if counts is None else counts.filter(pl.col("finding") == finding)
        if mine is not None and mine.height:
            found[finding] = _counted(finding, mine, thresholds, here)
        elif bundle.manifest.claims.get(finding):
            claims = bundle.manifest.claims[finding]
            found[finding] = _claimed(finding, claims, thresholds, here)
    return found


def _thresholds(bundle: bundles.Bundle, finding: str) -> dict[str, float]:
    mine = bundle.operating_points.filter(pl.col("finding") == finding)
    return {str(n): float(t) for n, t in mine.select("operating_point", "threshold").iter_rows()}


def _inner(thresholds: Mapping[str, float]) -> list[float]:
    return [float(np.float32(t)) for t in thresholds.values() if 0.0 < t < 1.0]


def _counted(
    finding: str, counts: pl.DataFrame, thresholds: Mapping[str, float], here: Local
) -> Shape:
    names = list(here.cells.levels)
    bins = len(counts["histogram_positive"][0])
    edges = np.unique([*np.linspace(0.0, 1.0, bins + 1), *_inner(thresholds)])
    parts: dict[str, list[Reals]] = {"positive": [], "negative": []}
    sources: list[tuple[str, str]] = []
    for code in range(here.cells.n):
        cell = {name: str(here.cells.levels[name][code]) for name in names}
        chosen = [_chosen(counts, cell, label) for label in parts]
        for label, group in zip(parts, chosen, strict=True):
            rows = _of_group(counts, group)
            parts[label].append(_masses(rows, label, edges, thresholds))
        sources.append((_words(chosen[0]), _words(chosen[1])))
    return Shape(
        finding,
        edges,
        np.array(parts["positive"]).reshape(here.cells.n, -1),
        np.array(parts["negative"]).reshape(here.cells.n, -1),
        thresholds,
        tuple(sources),
    )


def _chosen(counts: pl.DataFrame, cell: Mapping[str, str], label: str) -> dict[str, str | None]:
    """Return the narrowest reference subgroup around a cell that has enough images of a label."""
    fits = counts.filter(
        pl.all_horizontal(pl.col(n).is_null() | (pl.col(n) == level) for n, level in cell.items())
    ).with_columns(depth=pl.sum_horizontal(pl.col(n).is_not_null() for n in cell))
    enough = fits.filter((pl.col(f"n_{label}") >= ENOUGH) | (pl.col("depth") == 0))
    row = enough.sort("depth", f"n_{label}", descending=True).row(0, named=True)
    return {name: row[name] for name in cell}


def _of_group(counts: pl.DataFrame, group: Mapping[str, str | None]) -> pl.DataFrame:
    same = [pl.col(n).eq_missing(pl.lit(level, pl.String)) for n, level in group.items()]
    return counts.filter(pl.all_horizontal(same))


def _words(group: Mapping[str, str | None]) -> str:
    return ", ".join(f"{k}={v}" for k, v in group.items() if v is not None) or "everybody"


def _masses(rows: pl.DataFrame, label: str, edges: Reals, thresholds: Mapping[str, float]) -> Reals:
    """Return the chance of each bin: the difference of how many lie at or above its two edges."""
    histogram = np.array(rows[f"histogram_{label}"][0], dtype=np.float64)
    total = histogram.sum()
    if total == 0.0:
        return np.full(len(edges) - 1, 1.0 / (len(edges) - 1))
    at = np.linspace(0.0, 1.0, len(histogram) + 1)
    tail = np.append(np.cumsum(histogram[::-1])[::-1], 0.0)
    known = dict(zip(at.tolist(), tail.tolist(), strict=True))
    cell = "tp" if label == "positive" else "fp"
    for row in rows.iter_rows(named=True):
        point = row["operating_point"]
        if point is not None and 0.0 < thresholds.get(point, 0.0) < 1.0:
            known[float(np.float32(thresholds[point]))] = float(row[cell])
    above = np.array([known.get(edge, np.interp(edge, at, tail)) for edge in edges.tolist()])
    above[-1] = 0.0
    mass = np.maximum(-np.diff(above), 0.0)
    return np.asarray(mass / mass.sum(), dtype=np.float64)


def _claimed(
    finding: str,
    claims: Mapping[str, bundles.Claim],
    thresholds: Mapping[str, float],
    here: Local,
) -> Shape:
    known = {
        float(np.float32(thresholds[name])): claim
        for name, claim in claims.items()
        if 0.0 < thresholds.get(name, 0.0) < 1.0
    }
    edges = np.array([0.0, *sorted(known), 1.0])
    inner = [known[edge] for edge in edges[1:-1].tolist()]
    positive = _steps([claim.sensitivity for claim in inner])
    negative = _steps([1.0 - claim.specificity for claim in inner])
    said = ("as claimed", "as claimed")
    return Shape(
        finding,
        edges,
        np.tile(positive, (here.cells.n, 1)),
        np.tile(negative, (here.cells.n, 1)),
        {name: thresholds[name] for name in claims if name in thresholds},
        (said,) * here.cells.n,
    )


def _steps(above: Sequence[float]) -> Reals:
    mass = np.maximum(-np.diff([1.0, *above, 0.0]), 0.0)
    return np.asarray(mass / mass.sum(), dtype=np.float64)


def auroc(positive: Reals, negative: Reals) -> float:
    """Return the AUROC of two distributions over the same bins, uniform within each.

    Examples
    --------
    >>> auroc(np.array([0.0, 1.0]), np.array([1.0, 0.0])), auroc(np.ones(1), np.ones(1))
    (1.0, 0.5)
    """
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2.0))


def pooled(chances: Reals, weights: Reals) -> Reals | None:
    """Return the distribution over several cells, weighed by their images; None without any.

    Examples
    --------
    >>> pooled(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([3.0, 1.0])).tolist()
    [0.75, 0.25]
    """
    total = weights.sum()
    return np.asarray(weights @ chances / total, dtype=np.float64) if total > 0 else None


def expected(shape: Shape, here: Local, arm: Flags, metric: str, point: str | None) -> float | None:
    """Return the expected value of a metric in an arm, None if it cannot be told.

    Parameters
    ----------
    shape
        The expected scores.
    here
        The local images.
    arm
        The cells of the arm.
    metric
        auroc, sensitivity or specificity.
    point
        The operating point of a rate.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> half = np.array([[0.5, 0.5]])
    >>> shape = Shape("x", np.array([0.0, 0.5, 1.0]), half, half, {"p": 0.5}, (("", ""),))
    >>> flags = np.array([True, False])
    >>> here = SimpleNamespace(labels=lambda f: (flags | True, flags),
    ...                        by_cell=lambda flag: np.array([1.0]))
    >>> expected(shape, here, np.array([True]), "sensitivity", "p")
    0.5
    """
    known, positive = here.labels(shape.finding)
    ups = pooled(shape.positive, here.by_cell(positive) * arm)
    downs = pooled(shape.negative, here.by_cell(known & ~positive) * arm)
    if metric == "auroc" and ups is not None and downs is not None:
        return auroc(ups, downs)
    if point is None or point not in shape.thresholds:
        return None
    above = shape.above(point)
    if metric == "sensitivity" and ups is not None:
        return float(ups[above].sum())
    if metric == "specificity" and downs is not None:
        return float(downs[~above].sum())
    return None
