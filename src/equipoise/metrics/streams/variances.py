"""Second moments of a question's influence values, from what was counted of a stream."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.grams import Calls, Gram, of_calls
from equipoise.metrics.influences import Influence
from equipoise.metrics.numbers import Numbers, Question
from equipoise.metrics.parts.grid import placed
from equipoise.metrics.placements import small_sample
from equipoise.metrics.streams.clusters import ACROSS, Clusters
from equipoise.metrics.tallies import KINDS

Reals = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Weighed = TypeVar("Weighed", Reals, Singles)
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question about a stream, and its answer.

    Parameters
    ----------
    made
        What was counted.
    compared
        The arms.
    question, found
        The question and the answer.
    histogram
        Images of each arm by label and bin, shape ``(arms, 2, bins)``.
    """

    made: Clusters
    compared: Arms
    question: Question
    found: Numbers
    histogram: Integers


def gram(asked: Asked) -> Gram:
    """Return the sums over patients of products of the influence values of two arms.

    Fourth powers, which only degrees of freedom hang on, are exact where a patient has at most two
    images; of more, products of three and four of them are taken from the pairs and their
    correlation.

    Parameters
    ----------
    asked
        The question and what is known.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; Obuchowski 1997, Biometrics 53:567.

    Examples
    --------
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.samples import Sample
    >>> from equipoise.metrics.streams.clustering import clustered
    >>> from equipoise.metrics.streams.clusters import layout
    >>> from equipoise.metrics.streams.grids import Grid
    >>> from equipoise.metrics.streams.people import Rows
    >>> grid, inside = Grid({}, {"x": np.array([0.0, 0.5])}), np.ones((1, 1), dtype=bool)
    >>> who, cell = np.arange(40).astype(np.uint64), np.zeros(40, dtype=np.int64)
    >>> rows = Rows(cell, who, np.array([[0, 1, 2, 3] * 10], np.int16))
    >>> made = clustered([rows], layout(grid, {("x", "half"): 0.5}, inside))
    >>> none, n = np.zeros(0, dtype=np.int64), np.array([20])
    >>> sample = Sample("x", none / 2, none > 0, none, none, {"half": none > 0}, 0)
    >>> found = Numbers(n / 40, n // 2, n, n, (n, n), (n, n), (None,))
    >>> compared = Arms(inside, ("everybody",), (), ({"sex": None},))
    >>> asked = Question(sample, metric("sensitivity"), "half")
    >>> one = Asked(made, compared, asked, found, np.full((1, 2, 2), 10))
    >>> gram(one).products.round(5).tolist()  # 0.25 / 19
    [[0.01316]]
    """
    return _of_rate(asked) if asked.question.metric.kind == "rate" else _of_ranking(asked)


def _of_rate(asked: Asked) -> Gram:
    metric, found = asked.question.metric, asked.found
    trials = np.maximum(1, found.trials if found.trials is not None else 1)
    by_kind = np.array(
        [
            ((kind in metric.events) - found.value) * (kind in metric.trials) / trials
            for kind in KINDS
        ]
    )
    table = np.nan_to_num(by_kind.T) * _factor(found, found.patients)[:, None]
    key, inside = (asked.question.sample.finding, asked.question.point), asked.compared.inside
    second = asked.made.second[key].astype(np.float64)
    one = Influence(None, table.reshape(-1, 2, 2), np.stack([inside, inside]), key[1])
    made = of_calls(one, Calls(second, np.zeros((len(second), 10, 10))))
    across = asked.made.second_across.get(key)
    if across is None:
        return made
    flat = (inside[:, :, None] * table[:, None, :]).reshape(len(inside), -1)
    half = flat @ across.astype(np.float64) @ flat.T
    return Gram(made.products + half + half.T, made.fourth)


def _of_ranking(asked: Asked) -> Gram:
    made, inside = asked.made, asked.compared.inside
    place = made.layout.grid.findings.index(asked.question.sample.finding)
    table, arms = _influences(asked), len(inside)
    # Each arm scaled to one, so that nothing is too small for single precision: six digits.
    scale = np.maximum(np.abs(table).max(axis=(1, 2)), 1e-300)
    unit = (table / scale[:, None, None]).reshape(arms, -1).astype(np.float32)
    square = np.square(unit)
    own = asked.histogram.reshape(arms, -1).astype(np.float32)
    total = Gram(np.zeros((arms, arms)), np.einsum("ab,ab,ab->a", square, square, own))
    wide = made.layout.places(made.layout.coarse)
    for cell in np.flatnonzero(made.histogram[place].any(axis=(1, 2))).tolist():
        arm = np.flatnonzero(inside[:, cell])
        flat, counts = unit[arm], made.histogram[place, cell].ravel()
        weighed = flat * counts.astype(np.float32)
        products = weighed @ flat.T
        if made.crowd[place, cell, 0]:
            paired = made.same[place, cell].astype(np.float32)
            mean = _means(weighed, counts, wide, len(paired))
            half = mean @ paired
            both = half @ mean.T
            products += both + both.T
            total.fourth[arm] += _fourth(mean, half, paired, made.crowd[place, cell])
        total.products[arm[:, None], arm] += products
    total = Gram(total.products * np.outer(scale, scale), total.fourth * scale**4)
    across = made.across.get(asked.question.sample.finding)
    if across is None:
        return total
    half = _across(asked, table, across)
    more = np.diag(half) * 2.0 / np.maximum(np.diag(total.products), 1e-300)
    # As if what a patient has in several cells agreed as much in its fourth powers.
    return Gram(total.products + half + half.T, total.fourth * np.maximum(1.0 + more, 1.0) ** 3)


def _fourth(mean: Singles, half: Singles, paired: Singles, crowd: Integers) -> Reals:
    """Return what pairs add to sums of fourth powers, shape ``(arms,)``.

    The fourth power of a sum holds, beside fourth powers, products of two numbers, of three and of
    four; those of three and four are as large as those of two allow, times the correlation once
    and twice.
    """
    square = np.square(mean)
    of_two = _along(square @ paired, square)
    # Both ways round: the cube of the one times the other.
    cube = square * mean
    uneven = _along(half, cube) + _along(cube @ paired, mean)
    sides = square @ (paired.sum(axis=0) + paired.sum(axis=1)) / 2.0
    agree = np.clip(_along(half, mean) / np.maximum(sides, 1e-30), 0.0, 1.0)
    third, fourth = crowd[1:] / crowd[0]
    more = 3.0 + 6.0 * third * agree + fourth * agree**2
    return np.asarray(4.0 * uneven + 2.0 * more * of_two, dtype=np.float64)


def _along(one: Singles, other: Singles) -> Singles:
    """Return the sum of products of each row."""
    return np.asarray(np.einsum("ab,ab->a", one, other), dtype=np.float32)


def _across(asked: Asked, table: Reals, across: Integers) -> Reals:
    made, inside = asked.made, asked.compared.inside
    place = made.layout.grid.findings.index(asked.question.sample.finding)
    few, size = made.layout.places(ACROSS), 2 * ACROSS
    flat = np.zeros((len(inside), inside.shape[1], size))
    for cell in range(inside.shape[1]):
        counts = made.histogram[place, cell].ravel()
        mean = _means(table.reshape(len(table), -1) * counts, counts, few, size)
        flat[:, cell] = mean * inside[:, cell, None]
    both = flat.reshape(len(inside), -1)
    return np.asarray(both @ across.astype(np.float64) @ both.T, dtype=np.float64)


def _means(weighed: Weighed, counts: Integers, place: Integers, size: int) -> Weighed:
    """Return the mean influence of the images of each coarse bin, shape ``(arms, size)``."""
    n = np.bincount(place, counts, size)
    # Places rise within each label, and the second label's are above the first's.
    starts = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
    total = np.zeros((len(weighed), size), dtype=weighed.dtype)
    total[:, place[starts]] = np.add.reduceat(weighed, starts, axis=1)
    total /= np.maximum(n, 1.0).astype(weighed.dtype)
    return total


def _influences(asked: Asked) -> Reals:
    """Return the influence of an image on the AUROC by label and bin, ``(arms, 2, bins)``."""
    found, negative, positive = asked.found, asked.histogram[:, 0], asked.histogram[:, 1]
    value = found.value[:, None]
    up = _factor(found, found.by_class[0]) / np.maximum(found.images_by_class[0], 1)
    down = _factor(found, found.by_class[1]) / np.maximum(found.images_by_class[1], 1)
    above = (placed(negative) - value) * up[:, None]
    below = (1.0 - placed(positive) - value) * down[:, None]
    return np.nan_to_num(np.stack([below, above], axis=1))


def _factor(found: Numbers, patients: Integers) -> Reals:
    fine = found.assessable
    return np.array(
        [small_sample(int(n)) if f else 0.0 for n, f in zip(patients, fine, strict=True)]
    )
