"""The influence value of an image on the estimate of each arm, as a table of few rows.

An influence value is the derivative of an estimate by the count of images like this one. Images of
one label and one call, or of one label and one bin of scores, are alike; so a table over label and
level, and a code per image, say it for all images.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise.metrics.arms import Arms
from equipoise.metrics.counting import Counted, Ranked, histograms
from equipoise.metrics.numbers import Numbers, Question, kinds_of, sides
from equipoise.metrics.placements import small_sample
from equipoise.metrics.samples import Sample
from equipoise.metrics.tallies import KINDS, kind_codes

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_ORDER = ("tp", "fp", "tn", "fn")


@dataclass(frozen=True, slots=True)
class Influence:
    """The influence values of one question.

    Parameters
    ----------
    bin
        Shape ``(n,)``: the level of each image where it is a bin; None where it is a call.
    table
        Shape ``(arms, 2, levels)``: by label and level; zero for an arm that is not assessable.
    inside
        Shape ``(2, arms, cells)``: whose images of either label an arm is moved by.
    point
        The operating point if the levels are calls, not bins.
    """

    bin: Integers | None
    table: Reals
    inside: Flags
    point: str | None

    @classmethod
    def nothing(cls) -> "Influence":
        """Return influence values on no arm."""
        return cls(None, np.zeros((0, 2, 2)), np.zeros((2, 0, 0), dtype=bool), None)

    def codes(self, sample: Sample, rows: Integers | slice) -> Integers:
        """Return label times levels plus level of some images: the column of the table."""
        if self.bin is None:
            return kind_codes(sample, self.point)[rows]
        code = sample.label[rows] * self.table.shape[2] + self.bin[rows]
        return np.asarray(code, dtype=np.int64)

    @property
    def alike(self) -> bool:
        """Whether both labels move the same arms."""
        return bool((self.inside[0] == self.inside[1]).all())


def influence(question: Question, counted: Counted, found: Numbers, compared: Arms) -> Influence:
    """Return the influence values of one question.

    Where scores have more levels than the table has bins, the influence of a ranking is that of
    the middle of its bin: off by at most half the bin's share of the other class, which is below
    1/1000, so that a standard error is off by about a thousandth of itself at most; estimates
    are not touched by it.

    Parameters
    ----------
    question, counted, found
        What is asked, what is counted of its finding, and the answer.
    compared
        The arms.

    References
    ----------
    Hampel 1974, JASA 69:383 (influence curve); DeLong, DeLong & Clarke-Pearson 1988, Biometrics
    44:837, whose placements are those of the AUROC.

    Examples
    --------
    >>> from equipoise.metrics.counting import counted_of
    >>> from equipoise.metrics.definitions import Minimum
    >>> from equipoise.metrics.known import metric
    >>> from equipoise.metrics.numbers import numbers
    >>> from equipoise.metrics.samples import Sample
    >>> code = np.arange(4)
    >>> sample = Sample("x", np.array([0.1, 0.3, 0.2, 0.4]), code > 1, code, code * 0, {}, 0)
    >>> compared = Arms(np.ones((1, 1), dtype=bool), ("everybody",), (), ({"sex": None},))
    >>> counted = counted_of(sample, compared, ranked=True)
    >>> asked = Question(sample, metric("auroc"), None)
    >>> found = numbers(asked, counted, compared, Minimum(positives=2, negatives=2, patients=2))
    >>> influence(asked, counted, found, compared).table[0, 1].round(3).tolist()
    [-0.354, -0.177, 0.0, 0.177]
    """
    metric, fine = question.metric, found.assessable
    inside = np.stack([compared.inside, compared.inside])
    if metric.across is not None:
        inside[0 if metric.across == "positives" else 1] = True
    bins = None
    if metric.thresholded:
        table = _of_calls(question, counted, found, compared)
        table *= _factor(found.patients, fine)[:, None, None]
    elif counted.ranked is not None:
        bins = counted.ranked.ranks.bin
        table = _of_bins(question, counted, counted.ranked, found, compared)
        if metric.kind == "mean":
            table *= _factor(found.patients, fine)[:, None, None]
        else:
            table[:, 1] *= _factor(found.by_class[0], fine)[:, None]
            table[:, 0] *= _factor(found.by_class[1], fine)[:, None]
    table = np.where(fine[:, None, None], table, 0.0)
    return Influence(bins, table, inside, question.point)


def _factor(patients: Integers, fine: Flags) -> Reals:
    return np.array(
        [small_sample(int(n)) if f else 0.0 for n, f in zip(patients, fine, strict=True)]
    )


def _of_calls(question: Question, counted: Counted, found: Numbers, compared: Arms) -> Reals:
    """Return the derivative by the images of each label and call, shape ``(arms, 2, 2)``."""
    metric = question.metric
    if metric.composite is not None:
        cells = kinds_of(counted, question.point, compared)
        gradient = metric.composite(cells)[1]
        by_kind = [gradient[_ORDER.index(kind)] for kind in KINDS]
    else:
        trials = np.maximum(1, found.trials if found.trials is not None else 1)
        by_kind = [
            ((kind in metric.events) - found.value) * (kind in metric.trials) / trials
            for kind in KINDS
        ]
    return np.asarray(np.nan_to_num(np.array(by_kind).T).reshape(-1, 2, 2), dtype=np.float64)


def _of_bins(
    question: Question, counted: Counted, ranked: Ranked, found: Numbers, compared: Arms
) -> Reals:
    """Return the derivative by the images of each label and bin, shape ``(arms, 2, bins)``."""
    metric, inside = question.metric, compared.inside
    if metric.loss is not None:
        n = found.images_by_class[0] + found.images_by_class[1]
        loss = _mean_loss(question, ranked) - found.value[:, None, None]
        return np.asarray(loss / np.maximum(n, 1)[:, None, None], dtype=np.float64)
    both = histograms(ranked, inside)
    if metric.functional is not None:
        floats = both.astype(np.float64)
        return np.nan_to_num(metric.functional(floats[:, 0], floats[:, 1], ranked.scores)[1])
    positive, negative = sides(metric, counted)
    up = down = both
    if metric.across is not None:
        everybody = np.broadcast_to(ranked.histogram.sum(axis=0), both.shape)
        up, down = (both, everybody) if metric.across == "positives" else (everybody, both)
    value = found.value[:, None]
    above = (_below(down[:, 0]) - value) / np.maximum(positive[0], 1)[:, None]
    under = (1.0 - _below(up[:, 1]) - value) / np.maximum(negative[0], 1)[:, None]
    return np.nan_to_num(np.stack([under, above], axis=1))


def _mean_loss(question: Question, ranked: Ranked) -> Reals:
    """Return the mean loss of the images of each label and bin, shape ``(2, bins)``."""
    sample, bins = question.sample, len(ranked.scores)
    if question.metric.loss is None:
        return np.zeros((2, bins))
    loss = question.metric.loss(sample.score.astype(np.float64), sample.label)
    code = sample.label * bins + ranked.ranks.bin
    total = np.bincount(code, loss, 2 * bins)
    return (total / np.maximum(1, np.bincount(code, minlength=2 * bins))).reshape(2, bins)


def _below(histogram: Integers) -> Reals:
    """Return the share of a class below each bin, its own counted half, shape ``(arms, bins)``."""
    upto = np.cumsum(histogram, axis=1)
    total = np.maximum(upto[:, -1:], 1)
    return np.asarray((upto - 0.5 * histogram) / total, dtype=np.float64)
