"""What a case mix asks of one metric: strata as codes of cells, and the weight of each stratum.

A metric that conditions on the label, as sensitivity does, is standardised within that class; one
that does not, as PPV, over all images, and there the share of positives is a margin of its own.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from equipoise.errors import InvalidTable
from equipoise.metrics.definitions import Metric
from equipoise.metrics.groups import UNKNOWN, Cells
from equipoise.metrics.samples import Sample
from equipoise.metrics.standardised.mixes import Mix, in_words

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Target:
    """The wanted share of each stratum, by class where class matters.

    Parameters
    ----------
    names
        The strata in words.
    stratum
        Shape ``(cells,)``: the stratum of each cell, -1 where a level is not known.
    share
        Shape ``(classes, strata)``; each class that counts sums to one, others are zero. One
        class stands for all images.
    scale
        Shape ``(classes,)``: the weight of each class as a whole.
    pool
        Shape ``(classes, strata)``: images from which the shares were estimated; None if they
        were declared and have no error.
    pooled
        Shape ``(cells,)``: whose images those are.
    estimated_scale
        Whether the scale is the share of positives among the same images.
    """

    names: tuple[str, ...]
    stratum: Integers
    share: Reals
    scale: Reals
    pool: Reals | None
    pooled: Flags
    estimated_scale: bool

    def code(self, sample: Sample) -> Integers:
        """Return class and stratum of each image as one code, -1 where not known."""
        stratum = self.stratum[sample.cell]
        if len(self.scale) == 1:
            return stratum
        return np.where(stratum < 0, -1, stratum + sample.label * len(self.names))


def target(mix: Mix, metric: Metric, sample: Sample, cells: Cells) -> Target:
    """Return what a case mix asks of a metric of one finding.

    Parameters
    ----------
    mix
        The case mix.
    metric
        The metric; the classes on which it conditions are those of its trials.
    sample
        The images.
    cells
        The atomic cells, with the columns of the mix.

    Raises
    ------
    InvalidTable
        If a column is not among the attributes of the cells, or a level occurs that is not in
        the declared mix.

    Examples
    --------
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.standardised.mixes import mix
    >>> code = np.arange(4)
    >>> sample = Sample("x", code / 4, code > 1, code, code % 2, {}, 0)
    >>> cells = Cells(code % 2, {"view": np.array(["AP", "PA"])})
    >>> target(mix({"view": {"AP": 0.2, "PA": 0.8}}), metric("auroc"), sample, cells).share.tolist()
    [[0.2, 0.8], [0.2, 0.8]]
    """
    strata, stratum = _strata(mix, cells)
    names = tuple(in_words(mix.columns, levels) or "all" for levels in strata)
    used = conditioned(metric)
    classes = 2 if used or mix.prevalence is not None else 1
    pooled = cells.inside(mix.reference) if mix.source == "reference" else stratum >= 0
    pooled &= stratum >= 0
    counts = _pool(sample, stratum, pooled, len(names), classes)
    if mix.source == "declared":
        wanted = np.array([mix.shares.get(levels, 0.0) for levels in strata], dtype=np.float64)
        share, pool = np.tile(wanted, (classes, 1)), None
    else:
        total = counts.sum(axis=1, keepdims=True)
        share, pool = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0), counts
    scale = np.ones(classes)
    if used:
        share[[y for y in (0, 1) if y not in used]] = 0.0
    elif mix.prevalence is not None:
        n = float(counts.sum())
        positive = mix.prevalence
        if positive == "source":
            positive = float(counts[1].sum()) / n if n else float("nan")
        scale = np.array([1.0 - positive, positive])
    estimated = not used and mix.prevalence == "source"
    return Target(names, stratum, share, scale, pool, pooled, estimated)


def conditioned(metric: Metric) -> tuple[int, ...]:
    """Return the classes on which a metric conditions: 1 of positives, 0 of negatives.

    Examples
    --------
    >>> from equipoise.metrics.known import metric
    >>> [conditioned(metric(name)) for name in ("sensitivity", "auroc", "ppv")]
    [(1,), (0, 1), ()]
    """
    if metric.kind == "ranking":
        return (0, 1)
    if metric.trials and set(metric.trials) <= {"tp", "fn"}:
        return (1,)
    if metric.trials and set(metric.trials) <= {"tn", "fp"}:
        return (0,)
    return ()


def lacking_share(wanted: Target, counts: Integers) -> Reals:
    """Return the share of the mix for which each arm has nobody, shape ``(arms, classes)``.

    Parameters
    ----------
    wanted
        The target.
    counts
        Images of each arm, shape ``(arms, classes, strata)``.

    Examples
    --------
    >>> share, one = np.array([[0.2, 0.8]]), np.ones(1)
    >>> wanted = Target(("a", "b"), np.arange(2), share, one, None, one > 0, False)
    >>> lacking_share(wanted, np.array([[[5, 0]]])).tolist()
    [[0.8]]
    """
    empty = (counts == 0) & (wanted.share > 0.0)
    return np.asarray(np.where(empty, wanted.share, 0.0).sum(axis=2), dtype=np.float64)


def trimmed(wanted: Target, counts: Integers) -> tuple[Target, float]:
    """Return the target on the strata in which every arm has images, and the share cut off.

    Parameters
    ----------
    wanted
        The target.
    counts
        Images of the arms that shall share a support, shape ``(arms, classes, strata)``.

    Returns
    -------
    Where classes lose different shares, the larger is said; 1 if nothing is left.

    References
    ----------
    Hernán & Robins 2020, *Causal Inference: What If*, chapter 3 (positivity).

    Examples
    --------
    >>> share, one = np.array([[0.2, 0.8]]), np.ones(1)
    >>> wanted = Target(("a", "b"), np.arange(2), share, one, None, one > 0, False)
    >>> made, cut = trimmed(wanted, np.array([[[5, 0]], [[5, 5]]]))
    >>> made.share.tolist(), cut
    ([[1.0, 0.0]], 0.8)
    """
    kept = np.where((counts > 0).all(axis=0), wanted.share, 0.0)
    left = kept.sum(axis=1)
    before = wanted.share.sum(axis=1)
    cut = float(np.max(np.where(before > 0.0, 1.0 - left, 0.0), initial=0.0))
    share = np.divide(kept, left[:, None], out=np.zeros_like(kept), where=left[:, None] > 0.0)
    pool = None if wanted.pool is None else np.where(kept > 0.0, wanted.pool, 0.0)
    return replace(wanted, share=share, pool=pool), cut


def _strata(mix: Mix, cells: Cells) -> tuple[list[tuple[str, ...]], Integers]:
    """Return the strata, and which of them each cell is in."""
    for column in (*mix.columns, *mix.reference):
        if column not in cells.levels:
            raise InvalidTable(
                f"case mix: no column '{column}' among the cells; got {sorted(cells.levels)}"
            )
    levels = list(zip(*(cells.levels[c].tolist() for c in mix.columns), strict=True))
    levels = levels if mix.columns else [()] * cells.n
    known = [levels_of for levels_of in levels if UNKNOWN not in levels_of]
    strata = sorted({*known, *mix.shares})
    if mix.source == "declared":
        stray = [stratum for stratum in known if stratum not in mix.shares]
        if stray:
            raise InvalidTable(
                f"case mix: no share of {in_words(mix.columns, stray[0])}, which occurs",
                hint="name every level, with 0 where it shall not count",
            )
    place = {stratum: position for position, stratum in enumerate(strata)}
    return strata, np.array([place.get(stratum, -1) for stratum in levels], dtype=np.int64)


def _pool(sample: Sample, stratum: Integers, pooled: Flags, strata: int, classes: int) -> Reals:
    mine = pooled[sample.cell]
    code = stratum[sample.cell[mine]]
    if classes == 2:
        code = code + sample.label[mine] * strata
    counts = np.bincount(code, minlength=classes * strata)
    return counts.reshape(classes, strata).astype(np.float64)
